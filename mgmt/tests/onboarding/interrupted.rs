//! Setups that end in the middle.

use gantry_common::{error::ErrorKind, id::NodeUuid};
use gantry_mgmt::onboarding::{Changed, OnboardingError};

use crate::{
    agent::{Agent, Behaviour},
    lab::{Kind, LabHost, assert_unchanged},
};

/// True once a good part of the program has arrived.
const HALF_WAY: &str = "test \"$(stat -c %s /var/lib/gantry/setup/stage.*/agent)\" -gt 4000000";

async fn large_agent() -> Agent {
    Agent::new(NodeUuid::random(), "large", Behaviour::Runs, 200 << 20).await
}

#[tokio::test]
async fn a_connection_lost_half_way_leaves_nothing_and_the_next_try_completes() {
    let host = LabHost::boot(&Kind::Kvm);
    let before = host.snapshot();
    let agent = large_agent().await;
    let session = host.login("root").await.unwrap();
    let deployment = agent.deployment();
    let end_sshd = async {
        host.until(HALF_WAY).await;
        host.run("kill $(pgrep -f '^sshd: root')");
    };
    let (outcome, ()) = tokio::join!(session.deploy(&deployment), end_sshd);
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HostUnreachable);
    assert!(error.to_string().contains("lost while putting the agent in place"), "{error}");
    host.until("test ! -e /var/lib/gantry").await;
    assert_unchanged(&before, &host);

    let session = host.login("root").await.unwrap();
    assert_eq!(session.deploy(&deployment).await.unwrap(), Changed::Yes);
    assert_eq!(session.deploy(&deployment).await.unwrap(), Changed::No);
}

#[tokio::test]
async fn a_host_cut_off_half_way_is_noticed_and_can_be_cleaned_or_completed() {
    let host = LabHost::boot(&Kind::Kvm);
    let before = host.snapshot();
    let agent = large_agent().await;
    let deployment = agent.deployment();
    for completes in [false, true] {
        let session = host.login("root").await.unwrap();
        let unplug = async {
            host.until(HALF_WAY).await;
            host.cut();
        };
        let (outcome, ()) = tokio::join!(session.deploy(&deployment), unplug);
        assert!(matches!(outcome, Err(OnboardingError::ConnectionLost { .. })), "{outcome:?}");
        host.join();
        // The host does not know yet that the first connection is gone.
        let session = host.login("root").await.unwrap();
        if completes {
            assert_eq!(session.deploy(&deployment).await.unwrap(), Changed::Yes);
            assert!(session.probe().await.unwrap().agent.running);
        } else {
            session.withdraw(agent.node).await.unwrap();
            assert_unchanged(&before, &host);
        }
    }
}

#[tokio::test]
async fn a_host_that_lost_power_half_way_is_completed_after_it_is_back() {
    let host = LabHost::boot(&Kind::Kvm);
    let agent = large_agent().await;
    let session = host.login("root").await.unwrap();
    let deployment = agent.deployment();
    let pull_the_plug = async {
        host.until(HALF_WAY).await;
        host.power_cycle();
    };
    let (outcome, ()) = tokio::join!(session.deploy(&deployment), pull_the_plug);
    assert!(matches!(outcome, Err(OnboardingError::ConnectionLost { .. })), "{outcome:?}");
    let session = host.login("root").await.unwrap();
    assert_eq!(session.deploy(&deployment).await.unwrap(), Changed::Yes);
    host.run("test \"$(ls /var/lib/gantry/setup)\" = undo");
    assert_eq!(session.withdraw(agent.node).await.unwrap(), Changed::Yes);
    host.run("test ! -e /var/lib/gantry -a ! -e /etc/gantry");
}
