//! Judging a host, and installing what it lacks.

use gantry_common::{
    error::ErrorKind,
    host_check::{Component, HostPolicy},
    id::NodeUuid,
};
use gantry_mgmt::onboarding::Changed;

use crate::{
    agent::Agent,
    lab::{Kind, LabHost, assert_unchanged},
};

#[tokio::test]
async fn a_host_without_hardware_virtualisation_is_refused_unless_emulation_is_allowed() {
    let host = LabHost::boot(&Kind::Kvm);
    let before = host.snapshot();
    let agent = Agent::simple(NodeUuid::random()).await;
    let session = host.login("root").await.unwrap();
    let found = session.probe().await.unwrap();
    if found.cpu_virtualisation.is_some() && found.kvm_device {
        // The lab shares this machine's processor; on one with vmx or svm there is nothing to refuse.
        session.check(&HostPolicy { allow_emulation: false, ..agent.policy() }).await.unwrap();
        return;
    }
    let error = session.check(&HostPolicy { allow_emulation: false, ..agent.policy() }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HostUnfit);
    let text = error.to_string();
    assert!(text.contains("virtualisation") && text.contains("allow emulation"), "{text}");
    session.check(&agent.policy()).await.unwrap();
    assert_unchanged(&before, &host);
}

#[tokio::test]
async fn a_bare_host_without_a_package_source_is_refused_unchanged() {
    let host = LabHost::boot(&Kind::Bare);
    let agent = Agent::simple(NodeUuid::random()).await;
    host.run(
        "mv /etc/apt/sources.list.d /etc/apt/sources.away; mkdir /etc/apt/sources.list.d; rm -f /etc/apt/sources.list",
    );
    let before = host.snapshot();
    let session = host.login("root").await.unwrap();
    let error = session.check(&agent.policy()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HostUnfit);
    let text = error.to_string();
    assert!(text.contains("apt has no package source") && text.contains("libvirt-daemon-system"), "{text}");
    assert_unchanged(&before, &host);

    // A source that is there and does not answer shows only when it is used.
    host.run("echo 'deb [trusted=yes] http://127.0.0.1:9/debian bookworm main' >/etc/apt/sources.list");
    let before = host.snapshot();
    let checked = session.check(&agent.policy()).await.unwrap();
    let error = session.install(&checked.plan).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HostSetup);
    let text = error.to_string();
    assert!(text.contains("libvirt-daemon-system") && text.contains("127.0.0.1"), "{text}");
    assert_unchanged(&before, &host);
}

#[tokio::test]
async fn a_bare_host_gets_its_packages_once() {
    let host = LabHost::boot(&Kind::Bare);
    let agent = Agent::simple(NodeUuid::random()).await;
    let session = host.login("operator").await.unwrap();
    let checked = session.check(&agent.policy()).await.unwrap();
    assert_eq!(checked.plan.packages().len(), Component::ALL.len());
    assert_eq!(session.install(&checked.plan).await.unwrap(), Changed::Yes);

    let checked = session.check(&agent.policy()).await.unwrap();
    assert!(checked.plan.is_empty(), "{:?}", checked.findings);
    host.run("test -S /run/libvirt/libvirt-sock");
    session.deploy(&agent.deployment()).await.unwrap();
}

#[tokio::test]
async fn a_libvirt_that_was_switched_off_is_switched_on() {
    let host = LabHost::boot(&Kind::Kvm);
    let agent = Agent::simple(NodeUuid::random()).await;
    host.run("systemctl --quiet disable --now libvirtd.service libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket 2>&1");
    let session = host.login("root").await.unwrap();
    let checked = session.check(&agent.policy()).await.unwrap();
    assert!(!checked.plan.is_empty() && checked.plan.packages().is_empty());
    assert_eq!(session.install(&checked.plan).await.unwrap(), Changed::Yes);
    assert_eq!(session.install(&checked.plan).await.unwrap(), Changed::No);
    assert!(session.check(&agent.policy()).await.unwrap().plan.is_empty());
}
