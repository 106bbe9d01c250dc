//! Reaching a host, knowing it, getting in.

use gantry_common::{error::ErrorKind, id::NodeUuid};
use gantry_mgmt::{
    onboarding::{HostSession, OnboardingError, SshTarget},
    secret::Secret,
};
use tokio::{io::AsyncWriteExt as _, net::TcpListener};

use crate::{
    agent::Agent,
    lab::{Kind, LabHost, assert_unchanged},
};

async fn refused(target: SshTarget, kind: ErrorKind, words: &[&str]) -> OnboardingError {
    let address = target.address.to_string();
    let password = target.password.expose().to_owned();
    let Err(error) = HostSession::connect(target, None).await else { panic!("{address}: it should not connect") };
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{text}");
    assert!(text.contains(&address), "{text}");
    for word in words {
        assert!(text.contains(word), "'{word}' is missing: {text}");
    }
    assert!(!text.contains(&password) && !format!("{error:?}").contains(&password), "{text}");
    error
}

fn local(port: u16) -> SshTarget {
    SshTarget {
        address: "127.0.0.1".parse().unwrap(),
        port,
        username: "root".to_owned(),
        password: Secret::new("pass-phrase-1"),
    }
}

#[tokio::test]
async fn each_way_of_not_reaching_a_host_has_its_own_text() {
    let host = LabHost::boot(&Kind::Kvm);

    let closed = SshTarget { port: 2223, ..host.target("root", "pass-phrase-1") };
    refused(closed, ErrorKind::HostUnreachable, &["connection to SSH port 2223 refused", "check the port"]).await;

    host.run("nft add table inet t && nft 'add chain inet t c { type filter hook input priority 0; }' && nft add rule inet t c tcp dport 2224 drop");
    let silent = SshTarget { port: 2224, ..host.target("root", "pass-phrase-1") };
    refused(silent, ErrorKind::HostUnreachable, &["port 2224 did not answer within 5 s", "firewall"]).await;

    let nobody = host.address().rsplit_once('.').unwrap().0.to_owned() + ".200";
    let absent = SshTarget { address: nobody.parse().unwrap(), ..host.target("root", "pass-phrase-1") };
    let error = refused(absent, ErrorKind::HostUnreachable, &["no route to it", "check the address"]).await;
    assert!(matches!(error, OnboardingError::NoRoute { .. }));

    let unknown =
        SshTarget { address: "no-such-host.invalid".parse().unwrap(), ..host.target("root", "pass-phrase-1") };
    refused(unknown, ErrorKind::HostUnreachable, &["could not be resolved", "IP address instead"]).await;
}

#[tokio::test]
async fn something_else_than_sshd_is_told_from_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    });
    let error = refused(local(port), ErrorKind::HostUnreachable, &["did not agree to an SSH session"]).await;
    assert!(matches!(error, OnboardingError::Handshake { .. }), "{error}");
    server.await.unwrap();
}

#[tokio::test]
async fn each_way_of_not_getting_in_has_its_own_text_and_changes_nothing() {
    let host = LabHost::boot(&Kind::Kvm);
    let before = host.snapshot();
    let agent = Agent::simple(NodeUuid::random()).await;

    refused(host.target("root", "wrong-pass"), ErrorKind::HostLogin, &["login as 'root' failed", "PermitRootLogin"])
        .await;
    refused(host.target("nobody-here", "wrong-pass"), ErrorKind::HostLogin, &["login as 'nobody-here' failed"]).await;

    let session = host.login("nosudo").await.unwrap();
    let error = session.check(&agent.policy()).await.unwrap_err();
    assert!(matches!(error, OnboardingError::NoPrivilege { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::HostLogin);
    assert!(error.to_string().contains("not in the sudoers file"), "{error}");
    assert!(matches!(session.deploy(&agent.deployment()).await, Err(OnboardingError::NoPrivilege { .. })));
    assert_unchanged(&before, &host);

    host.run("echo 'Defaults rootpw' >/etc/sudoers.d/rootpw; echo 'root:other-password' | chpasswd");
    let session = host.login("operator").await.unwrap();
    let error = session.probe().await.unwrap_err();
    assert!(matches!(error, OnboardingError::WrongSudoPassword { .. }), "{error}");
    session.close().await;

    host.run("mv /usr/bin/sudo /usr/bin/sudo.away");
    let session = host.login("operator").await.unwrap();
    let error = session.probe().await.unwrap_err();
    assert!(matches!(error, OnboardingError::NoPrivilege { .. }), "{error}");
    host.run("mv /usr/bin/sudo.away /usr/bin/sudo; rm /etc/sudoers.d/rootpw");

    host.run("usermod --shell /usr/sbin/nologin operator");
    let session = host.login("operator").await.unwrap();
    let error = session.probe().await.unwrap_err();
    assert!(matches!(error, OnboardingError::NoShell { .. }), "{error}");
    assert!(error.to_string().contains("This account is currently not available"), "{error}");
}

#[tokio::test]
async fn sshd_may_ask_for_the_password_itself_or_take_none_at_all() {
    let host = LabHost::boot(&Kind::Kvm);
    let reload = "systemctl reload ssh";
    host.run(&format!(
        "printf 'PasswordAuthentication no\nKbdInteractiveAuthentication yes\n' >/etc/ssh/sshd_config.d/00-test.conf; {reload}"
    ));
    host.login("root").await.unwrap().probe().await.unwrap();
    refused(host.target("root", "wrong-pass"), ErrorKind::HostLogin, &["login as 'root' failed"]).await;

    host.run(&format!(
        "printf 'PasswordAuthentication no\nKbdInteractiveAuthentication no\n' >/etc/ssh/sshd_config.d/00-test.conf; {reload}"
    ));
    let words = ["takes no passwords, only publickey", "PasswordAuthentication yes"];
    refused(host.target("root", "lab"), ErrorKind::HostLogin, &words).await;
}

#[tokio::test]
async fn a_pinned_key_is_asked_for_and_another_one_is_refused() {
    let host = LabHost::boot(&Kind::Kvm);
    let session = host.login("root").await.unwrap();
    let key = session.host_key().clone();
    let listed = host.run("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub");
    assert_eq!(key.to_string(), format!("ssh-ed25519 {}", listed.split(' ').nth(1).unwrap()));

    host.login_pinned(&key).await.unwrap().probe().await.unwrap();
    let ecdsa = host.run("ssh-keygen -lf /etc/ssh/ssh_host_ecdsa_key.pub");
    let ecdsa = format!("ecdsa-sha2-nistp256 {}", ecdsa.split(' ').nth(1).unwrap()).parse().unwrap();
    assert_eq!(*host.login_pinned(&ecdsa).await.unwrap().host_key(), ecdsa, "the pinned algorithm is asked for first");

    host.run("rm /etc/ssh/ssh_host_ed25519_key*; ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key; systemctl restart ssh");
    let Err(error) = host.login_pinned(&key).await else { panic!("another key was accepted") };
    assert_eq!(error.kind(), ErrorKind::HostKeyChanged);
    let text = error.to_string();
    assert!(text.contains(&key.to_string()) && text.contains("nothing was sent to it"), "{text}");
    assert_eq!(
        host.run("journalctl --no-pager -u ssh --since '-1min' | grep -c 'Accepted password' || true").trim(),
        "3"
    );
}

#[tokio::test]
async fn a_login_shell_may_be_noisy() {
    let host = LabHost::boot(&Kind::Kvm);
    host.run("printf 'echo welcome; echo uid=7; echo careful >&2\n' | tee -a /root/.bashrc >/home/operator/.bashrc");
    host.run("sed -i '1i echo good morning' /root/.bashrc");
    assert_eq!(host.login("root").await.unwrap().probe().await.unwrap().uid, 0);
    assert_eq!(host.login("operator").await.unwrap().probe().await.unwrap().uid, 0);
}
