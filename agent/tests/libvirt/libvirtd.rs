//! A libvirtd that ends or hangs under the agent.

use std::time::Duration;

use gantry_common::{
    agent::{Event, Firmware, Platform, VmState},
    id::VmUuid,
};
use tokio::time::timeout;

use crate::{
    fixture::{Fixture, PATIENCE, qemu_pid, run},
    lab_host::on_a_lab_host,
};

#[test]
fn guests_outlive_libvirtd_and_what_happened_meanwhile_is_seen() {
    on_a_lab_host("libvirtd::guests_outlive_libvirtd_and_what_happened_meanwhile_is_seen", async {
        let mut fixture = Fixture::new("libvirtd").await;
        let (stays, ends) =
            (fixture.spec(Platform::Linux, Firmware::Bios), fixture.spec(Platform::Linux, Firmware::Bios));
        fixture.vms.start(stays.clone()).await.unwrap();
        fixture.vms.start(ends.clone()).await.unwrap();
        let (kept, killed) = (qemu_pid(stays.uuid), qemu_pid(ends.uuid));
        assert!(run("systemctl", &["kill", "--kill-who=main", "-s", "KILL", "libvirtd.service"]));
        assert!(run("kill", &["-9", &killed]));
        // A libvirtd that is back at once may not be seen to be gone; what it knows then is looked at in any case.
        let is_seen = |event: &Event| {
            let Event::Snapshot(snapshot) = event else { return false };
            let vms = snapshot.vms.as_deref().unwrap_or_default();
            let state_of = |wanted: VmUuid| vms.iter().find(|seen| seen.vm == wanted).map(|seen| seen.state);
            state_of(stays.uuid) == Some(VmState::Running) && state_of(ends.uuid).is_none()
        };
        fixture.until(is_seen).await;
        assert_eq!(qemu_pid(stays.uuid), kept);
        let marker = fixture.directory.join("vms").join(ends.uuid.to_string());
        let swept = async {
            while marker.exists() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, swept).await.expect("what the ended VM had attached was not taken away");
        assert_eq!(fixture.vms.pause(stays.uuid).await.unwrap().state, VmState::Paused);
        fixture.finish().await;
    });
}

#[test]
fn a_libvirtd_that_hangs_is_noticed_and_taken_up_again() {
    on_a_lab_host("libvirtd::a_libvirtd_that_hangs_is_noticed_and_taken_up_again", async {
        let mut fixture = Fixture::new("hang").await;
        let spec = fixture.spec(Platform::Linux, Firmware::Bios);
        fixture.vms.start(spec.clone()).await.unwrap();
        assert!(run("systemctl", &["kill", "--kill-who=main", "-s", "STOP", "libvirtd.service"]));
        let unheard = fixture.vms.observe(spec.uuid).await;
        let lost = fixture.until(|event| matches!(event, Event::LibvirtLost { .. })).await;
        assert!(run("systemctl", &["kill", "--kill-who=main", "-s", "CONT", "libvirtd.service"]));
        assert!(unheard.is_err(), "{unheard:?}");
        println!("{lost:?}");
        fixture.until(|event| matches!(event, Event::Snapshot(snapshot) if snapshot.vms.is_some())).await;
        assert_eq!(fixture.vms.observe(spec.uuid).await.unwrap().state, VmState::Running);
        fixture.finish().await;
    });
}
