//! Disks that come and go while a guest runs.

use std::{path::Path, process::Command, time::Duration};

use gantry_common::{
    agent::{AgentError, Disk, Firmware, ImageFormat, Platform, StopMode, VmState},
    id::{VmUuid, VolumeUuid},
};

use tokio::time::timeout;

use crate::{
    fixture::{Fixture, PATIENCE, run, type_in, virsh},
    lab_host::on_a_lab_host,
};

/// A data disk of 64 MiB.
fn data_disk(directory: &Path, device_id: u32) -> Disk {
    let volume = VolumeUuid::random();
    let path = directory.join(format!("{volume}.qcow2"));
    assert!(run("qemu-img", &["create", "-q", "-f", "qcow2", path.to_str().unwrap(), "64M"]));
    Disk { volume, path: path.to_str().unwrap().into(), format: ImageFormat::Qcow2, device_id }
}

/// The disks as virsh lists them.
fn disks(vm: VmUuid) -> String {
    let output = Command::new("virsh").args(["-c", "qemu:///system", "domblklist", &vm.to_string()]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// libvirt's number of the attachment of the file at `path`: each has one of its own.
fn attachment(vm: VmUuid, path: &str) -> Option<String> {
    let output = Command::new("virsh").args(["-c", "qemu:///system", "dumpxml", &vm.to_string()]).output().unwrap();
    let xml = String::from_utf8(output.stdout).unwrap();
    let source = xml.lines().find(|line| line.contains(path))?;
    Some(source.split("index='").nth(1)?.split('\'').next()?.to_owned())
}

#[test]
fn a_disk_comes_and_goes_with_what_was_written_on_it() {
    on_a_lab_host("disks::a_disk_comes_and_goes_with_what_was_written_on_it", async {
        let mut fixture = Fixture::new("disks").await;
        let spec = fixture.spec(Platform::Linux, Firmware::Bios);
        let vm = spec.uuid;
        let disk = data_disk(&fixture.directory, 1);
        let refused = fixture.vms.attach_disk(vm, Platform::Linux, disk.clone()).await;
        assert!(matches!(refused, Err(AgentError::VmState { state: VmState::Absent, .. })), "{refused:?}");
        fixture.vms.detach_disk(vm, disk.volume).await.unwrap();
        fixture.vms.start(spec).await.unwrap();
        fixture.until_booted(vm).await;

        for _ in 0..2 {
            fixture.vms.attach_disk(vm, Platform::Linux, disk.clone()).await.unwrap();
            assert_eq!(disks(vm).matches(&disk.path).count(), 1);
        }
        let elsewhere = Disk { path: data_disk(&fixture.directory, 1).path, ..disk.clone() };
        let refused = fixture.vms.attach_disk(vm, Platform::Linux, elsewhere).await;
        assert!(matches!(&refused, Err(AgentError::InUse { user, .. }) if user.contains(&disk.path)), "{refused:?}");

        let serial = "cat /sys/block/vdb/serial; echo marked > /dev/vdb; sync; echo written $(cat /sys/block/vdb/size)";
        let terminal = type_in(vm, serial);
        fixture.until_printed(vm, "written 131072").await;
        fixture.until_printed(vm, &disk.volume.to_string()[..20]).await;
        drop(terminal);
        let at_rest = || async { unreachable!("the guest has the disk") };
        for _ in 0..2 {
            fixture.vms.resize_disk(vm, disk.volume, 96 << 20, at_rest()).await.unwrap();
        }
        let smaller = fixture.vms.resize_disk(vm, disk.volume, 64 << 20, at_rest()).await;
        assert!(matches!(smaller, Err(AgentError::InvalidArgument { .. })), "{smaller:?}");
        let terminal = type_in(vm, "echo grown to $(cat /sys/block/vdb/size)");
        fixture.until_printed(vm, "grown to 196608").await;
        drop(terminal);
        for _ in 0..2 {
            fixture.vms.detach_disk(vm, disk.volume).await.unwrap();
            assert!(!disks(vm).contains(&disk.path));
        }
        let read = Command::new("qemu-io").args(["-f", "qcow2", "-c", "read -v 0 16", &disk.path]).output().unwrap();
        assert!(String::from_utf8_lossy(&read.stdout).contains("marked"), "{read:?}");

        // Under another number, and with it the VM ends.
        fixture.vms.attach_disk(vm, Platform::Linux, Disk { device_id: 7, ..disk.clone() }).await.unwrap();
        assert!(disks(vm).contains("vdh"));
        fixture.vms.stop(vm, StopMode::Force).await.unwrap();
        fixture.vms.detach_disk(vm, disk.volume).await.unwrap();
        fixture.finish().await;
    });
}

#[test]
fn a_full_machine_takes_24_disks_and_a_bus_without_hot_plug_none() {
    on_a_lab_host("disks::a_full_machine_takes_24_disks_and_a_bus_without_hot_plug_none", async {
        let mut fixture = Fixture::new("many").await;
        let spec = fixture.spec(Platform::Linux, Firmware::Bios);
        fixture.vms.start(spec.clone()).await.unwrap();
        let many: Vec<_> = (1..=24).map(|number| data_disk(&fixture.directory, number)).collect();
        for disk in &many {
            fixture.vms.attach_disk(spec.uuid, Platform::Linux, disk.clone()).await.unwrap();
        }
        fixture.vms.stop(spec.uuid, StopMode::Force).await.unwrap();

        for platform in [Platform::Windows, Platform::Other] {
            let spec = fixture.spec(platform, Firmware::Bios);
            fixture.vms.start(spec.clone()).await.unwrap();
            let refused = fixture.vms.attach_disk(spec.uuid, platform, many[0].clone()).await;
            assert!(matches!(&refused, Err(AgentError::InvalidArgument { .. })), "{refused:?}");
        }
        fixture.finish().await;
    });
}

#[test]
fn a_guest_that_does_not_let_go_keeps_its_disk_also_when_it_does_later() {
    on_a_lab_host("disks::a_guest_that_does_not_let_go_keeps_its_disk_also_when_it_does_later", async {
        let mut fixture = Fixture::new("kept").await;
        let mut spec = fixture.spec(Platform::Linux, Firmware::Bios);
        // Without a system, nobody answers.
        std::fs::write(&spec.disks[0].path, vec![0; 1 << 20]).unwrap();
        spec.disks[0].format = ImageFormat::Raw;
        let vm = spec.uuid;
        fixture.vms.start(spec).await.unwrap();
        let disk = data_disk(&fixture.directory, 1);
        fixture.vms.attach_disk(vm, Platform::Linux, disk.clone()).await.unwrap();
        let refused = fixture.vms.detach_disk(vm, disk.volume).await;
        assert!(matches!(&refused, Err(AgentError::InUse { user, .. }) if user.contains("let go")), "{refused:?}");
        assert!(disks(vm).contains(&disk.path));

        // A reset carries out what QEMU still has pending.
        let before = attachment(vm, &disk.path);
        assert!(virsh(&["reset", &vm.to_string()]));
        let attached_again = async {
            while attachment(vm, &disk.path).is_none_or(|now| Some(now) == before) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(PATIENCE, attached_again).await.expect("the disk was not attached again");

        fixture.vms.pause(vm).await.unwrap();
        let refused = fixture.vms.detach_disk(vm, disk.volume).await;
        assert!(matches!(refused, Err(AgentError::VmState { state: VmState::Paused, .. })), "{refused:?}");
        fixture.finish().await;
    });
}
