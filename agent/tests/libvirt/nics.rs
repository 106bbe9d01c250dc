//! Interfaces that are plugged in and unplugged while a guest runs.

use std::process::Command;

use gantry_common::{
    agent::{AgentError, Firmware, ImageFormat, Nic, Platform, VmSpec},
    id::{NicUuid, VmUuid},
};

use crate::{
    fixture::{Fixture, virsh},
    lab_host::on_a_lab_host,
};

/// The specification with one more interface, whose address ends in this number.
fn with_nic(spec: &VmSpec, number: u8) -> VmSpec {
    let mut more = spec.clone();
    more.nics.push(Nic {
        uuid: NicUuid::random(),
        device_id: number.into(),
        tap: format!("vnic{}{number}", &spec.uuid.to_string()[..8]),
        mac: format!("fa:4c:ee:9a:76:{number:02}").parse().unwrap(),
        is_default: false,
        ..spec.nics[0].clone()
    });
    more
}

fn interfaces(vm: VmUuid) -> String {
    let output = Command::new("virsh").args(["-c", "qemu:///system", "domiflist", &vm.to_string()]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn interfaces_come_and_go_and_what_somebody_else_plugged_in_stays() {
    on_a_lab_host("nics::interfaces_come_and_go_and_what_somebody_else_plugged_in_stays", async {
        let mut fixture = Fixture::new("nics").await;
        let spec = fixture.spec(Platform::Linux, Firmware::Bios);
        let vm = spec.uuid;
        let two = with_nic(&spec, 12);
        fixture.vms.set_nics(two.clone()).await.expect("what does not run is left as it is");
        fixture.vms.start(spec.clone()).await.unwrap();
        fixture.until_booted(vm).await;
        let name = vm.to_string();
        let by_hand = ["attach-interface", &name, "bridge", "br_gtest", "--live", "--model", "virtio"];
        let by_hand = [&by_hand[..], &["--mac", "52:54:00:00:00:01"]].concat();
        assert!(virsh(&by_hand));
        for _ in 0..2 {
            fixture.vms.set_nics(two.clone()).await.unwrap();
            assert_eq!(interfaces(vm).matches("fa:4c:ee:9a:76:").count(), 2, "{}", interfaces(vm));
        }
        // In one go, one goes and another one comes.
        let other = with_nic(&spec, 13);
        fixture.vms.set_nics(other.clone()).await.unwrap();
        let listed = interfaces(vm);
        assert!(listed.contains("fa:4c:ee:9a:76:13") && !listed.contains("fa:4c:ee:9a:76:12"), "{listed}");
        assert!(listed.contains("52:54:00:00:00:01"), "{listed}");

        let mut nowhere = with_nic(&other, 14);
        nowhere.networks.push(nowhere.networks[0].clone());
        nowhere.networks[1].l3_network = gantry_common::id::L3NetworkUuid::random();
        nowhere.networks[1].bridge.name = "br_nowhere".into();
        nowhere.nics[2].l3_network = nowhere.networks[1].l3_network;
        let refused = fixture.vms.set_nics(nowhere).await;
        assert!(
            matches!(&refused, Err(AgentError::Libvirt { message, .. }) if message.contains("br_nowhere")),
            "{refused:?}"
        );
        assert!(!interfaces(vm).contains("fa:4c:ee:9a:76:14"));
        fixture.finish().await;
    });
}

#[test]
fn a_guest_that_does_not_let_go_keeps_its_interface() {
    on_a_lab_host("nics::a_guest_that_does_not_let_go_keeps_its_interface", async {
        let mut fixture = Fixture::new("kept-nic").await;
        let mut spec = fixture.spec(Platform::Linux, Firmware::Bios);
        // Without a system, nobody answers.
        std::fs::write(&spec.disks[0].path, vec![0; 1 << 20]).unwrap();
        spec.disks[0].format = ImageFormat::Raw;
        let vm = spec.uuid;
        let two = with_nic(&spec, 12);
        fixture.vms.start(two).await.unwrap();
        let refused = fixture.vms.set_nics(spec).await;
        assert!(matches!(&refused, Err(AgentError::InUse { user, .. }) if user.contains("let go")), "{refused:?}");
        assert!(interfaces(vm).contains("fa:4c:ee:9a:76:12"));
        fixture.vms.pause(vm).await.unwrap();
        fixture.finish().await;
    });
}
