//! Deploying, repeating, replacing, taking back.

use gantry_common::{error::ErrorKind, id::NodeUuid};
use gantry_mgmt::onboarding::{Changed, OnboardingError};

use crate::{
    agent::{Agent, Behaviour, KEY},
    lab::{Kind, LabHost, assert_unchanged},
};

const PLACES: &str = "/usr/local/bin/gantry-agent /etc/gantry /etc/gantry/agent.toml /etc/gantry/tls \
     /etc/gantry/tls/ca.pem /etc/gantry/tls/cert.pem /etc/gantry/tls/key.pem \
     /etc/systemd/system/gantry-agent.service";

#[tokio::test]
async fn a_host_is_set_up_once_and_withdrawn_without_a_trace() {
    let host = LabHost::boot(&Kind::Kvm);
    let before = host.snapshot();
    let agent = Agent::simple(NodeUuid::random()).await;

    let session = host.login("root").await.unwrap();
    let checked = session.check(&agent.policy()).await.unwrap();
    assert!(checked.plan.is_empty(), "{:?}", checked.plan);
    assert_eq!(session.install(&checked.plan).await.unwrap(), Changed::No);
    assert_unchanged(&before, &host);

    assert_eq!(session.deploy(&agent.deployment()).await.unwrap(), Changed::Yes);
    assert_eq!(
        host.run(&format!("stat -c '%a %U:%G %n' {PLACES}")),
        "755 root:root /usr/local/bin/gantry-agent\n755 root:root /etc/gantry\n600 root:root /etc/gantry/agent.toml\n\
         700 root:root /etc/gantry/tls\n644 root:root /etc/gantry/tls/ca.pem\n644 root:root /etc/gantry/tls/cert.pem\n\
         600 root:root /etc/gantry/tls/key.pem\n644 root:root /etc/systemd/system/gantry-agent.service\n"
    );
    assert_eq!(host.run("cat /etc/gantry/tls/key.pem"), KEY);
    let process = "systemctl is-enabled gantry-agent; systemctl show -p MainPID gantry-agent";
    let running = host.run(process);

    let found = session.probe().await.unwrap().agent;
    assert_eq!(found.node, Some(agent.node));
    assert_eq!(found.digest.as_ref(), Some(agent.program.digest()));
    assert!(found.running);

    let after = host.snapshot();
    assert_eq!(session.deploy(&agent.deployment()).await.unwrap(), Changed::No);
    assert_unchanged(&after, &host);
    assert_eq!(host.run(process), running, "the service was not restarted");

    assert_eq!(session.withdraw(agent.node).await.unwrap(), Changed::Yes);
    assert_unchanged(&before, &host);
    assert_eq!(session.withdraw(agent.node).await.unwrap(), Changed::No);
    assert_unchanged(&before, &host);
    session.close().await;
}

#[tokio::test]
async fn a_replaced_agent_comes_back_until_the_new_one_is_confirmed() {
    let host = LabHost::boot(&Kind::Kvm);
    let before = host.snapshot();
    let node = NodeUuid::random();
    let (first, second) = (Agent::simple(node).await, Agent::new(node, "two", Behaviour::Runs, 100_000).await);
    let session = host.login("root").await.unwrap();

    session.deploy(&first.deployment()).await.unwrap();
    assert_eq!(session.commit(node).await.unwrap(), Changed::Yes);
    assert_eq!(session.commit(node).await.unwrap(), Changed::No);
    let with_first = host.snapshot();

    assert_eq!(session.deploy(&second.deployment()).await.unwrap(), Changed::Yes);
    assert_eq!(session.withdraw(node).await.unwrap(), Changed::Yes);
    assert_unchanged(&with_first, &host);
    assert!(session.probe().await.unwrap().agent.running);

    session.deploy(&second.deployment()).await.unwrap();
    session.commit(node).await.unwrap();
    assert_eq!(session.withdraw(node).await.unwrap(), Changed::Yes);
    assert_unchanged(&before, &host);
}

#[tokio::test]
async fn an_agent_that_does_not_start_leaves_what_was_there_before() {
    let host = LabHost::boot(&Kind::Kvm);
    let before = host.snapshot();
    let node = NodeUuid::random();
    let session = host.login("root").await.unwrap();

    let broken = Agent::new(node, "broken", Behaviour::FailsToStart, 0).await;
    let error = session.deploy(&broken.deployment()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HostSetup);
    let text = error.to_string();
    assert!(text.contains("did not start") && text.contains("the cat sits on it"), "{text}");
    assert_unchanged(&before, &host);

    let cannot = Agent::new(node, "cannot", Behaviour::CannotRun, 0).await;
    let error = session.deploy(&cannot.deployment()).await.unwrap_err();
    assert!(matches!(error, OnboardingError::AgentDoesNotRun { .. }), "{error}");
    assert!(error.to_string().contains("libvirt.so.0"), "{error}");
    assert_unchanged(&before, &host);

    let good = Agent::simple(node).await;
    session.deploy(&good.deployment()).await.unwrap();
    session.commit(node).await.unwrap();
    let with_good = host.snapshot();
    for agent in [&broken, &cannot] {
        session.deploy(&agent.deployment()).await.unwrap_err();
        assert_unchanged(&with_good, &host);
        assert!(session.probe().await.unwrap().agent.running);
    }
}

#[tokio::test]
async fn a_host_of_another_management_node_is_left_alone() {
    let host = LabHost::boot(&Kind::Kvm);
    let (theirs, ours) = (Agent::simple(NodeUuid::random()).await, Agent::simple(NodeUuid::random()).await);
    let session = host.login("root").await.unwrap();
    session.deploy(&theirs.deployment()).await.unwrap();
    let before = host.snapshot();

    let errors = [
        session.check(&ours.policy()).await.unwrap_err(),
        session.deploy(&ours.deployment()).await.unwrap_err(),
        session.commit(ours.node).await.unwrap_err(),
        session.withdraw(ours.node).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::HostOwned, "{error}");
        let text = error.to_string();
        assert!(text.contains(&theirs.node.to_string()) && text.contains("delete the host there first"), "{text}");
    }
    assert_unchanged(&before, &host);
}

#[tokio::test]
async fn a_full_disk_is_named_and_nothing_is_left_on_it() {
    let host = LabHost::boot(&Kind::Kvm);
    let agent = Agent::new(NodeUuid::random(), "large", Behaviour::Runs, 3 << 20).await;
    let session = host.login("root").await.unwrap();
    for full in ["/usr/local/bin", "/var/lib/gantry"] {
        host.run(&format!("mkdir -p {full} && mount -t tmpfs -o size=2m none {full}"));
        let before = host.snapshot();
        let error = session.deploy(&agent.deployment()).await.unwrap_err();
        assert!(matches!(error, OnboardingError::DiskFull { .. }), "{full}: {error}");
        assert_unchanged(&before, &host);
        host.run(&format!("umount {full}"));
    }
    host.run("rmdir /var/lib/gantry");

    host.run("mount -t tmpfs -o size=2m none /usr/local");
    let error = session.check(&agent.policy()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HostUnfit);
    let text = error.to_string();
    assert!(text.contains("/usr/local has 2 MiB free") && text.contains("free space on"), "{text}");
}

#[tokio::test]
async fn two_setups_at_once_end_with_one_whole_agent() {
    let host = LabHost::boot(&Kind::Kvm);
    let node = NodeUuid::random();
    let agents = [
        Agent::new(node, "one", Behaviour::Runs, 1 << 20).await,
        Agent::new(node, "two", Behaviour::Runs, 1 << 20).await,
    ];
    let sessions = [host.login("root").await.unwrap(), host.login("root").await.unwrap()];
    let deployments = [agents[0].deployment(), agents[1].deployment()];
    let (first, second) = tokio::join!(sessions[0].deploy(&deployments[0]), sessions[1].deploy(&deployments[1]));
    for outcome in [&first, &second] {
        assert!(matches!(outcome, Ok(_) | Err(OnboardingError::Contended { .. })), "{outcome:?}");
    }
    assert!(first.is_ok() || second.is_ok());
    let found = sessions[0].probe().await.unwrap().agent;
    assert!(found.running);
    let winner = agents.iter().find(|agent| Some(agent.program.digest()) == found.digest.as_ref()).unwrap();
    assert_eq!(sessions[0].deploy(&winner.deployment()).await.unwrap(), Changed::No);
}

#[tokio::test]
async fn a_sudo_user_sets_a_host_up_with_and_without_a_password_and_no_secret_is_seen() {
    let host = LabHost::boot(&Kind::Kvm);
    host.run("echo 'operator:hunter2-Zx9!' | chpasswd");
    // Debian's sudo makes this file at a user's first sudo.
    host.run("install -o operator -g operator -m 644 /dev/null /home/operator/.sudo_as_admin_successful");
    let agent = Agent::simple(NodeUuid::random()).await;

    for setup in ["true", "echo 'operator ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/operator"] {
        host.run(setup);
        let before = host.snapshot();
        let target = host.target("operator", "hunter2-Zx9!");
        let session = gantry_mgmt::onboarding::HostSession::connect(target, None).await.unwrap();
        session.check(&agent.policy()).await.unwrap();
        assert_eq!(session.deploy(&agent.deployment()).await.unwrap(), Changed::Yes);
        assert_eq!(session.deploy(&agent.deployment()).await.unwrap(), Changed::No);
        assert_eq!(session.withdraw(agent.node).await.unwrap(), Changed::Yes);
        assert_unchanged(&before, &host);
        session.close().await;
    }
    // sudo logs whole command lines.
    let log = host.run("journalctl --no-pager");
    assert!(log.contains("COMMAND=/usr/bin/sh -c"), "sudo did not log to the journal");
    assert!(!log.contains("hunter2") && !log.contains("PRIVATE KEY") && !log.contains("bm90IGEg"));
}
