//! Discs that are put in and taken out while a guest runs.

use std::{path::Path, process::Command};

use gantry_common::{
    agent::{AgentError, Cdrom, Firmware, Platform},
    id::VmUuid,
};

use crate::{fixture::Fixture, lab_host::on_a_lab_host};

/// A disc that begins with this mark.
fn disc(directory: &Path, mark: &str) -> String {
    let path = directory.join(format!("{mark}.iso"));
    let mut content = mark.as_bytes().to_vec();
    content.resize(2048 * 512, 0);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

fn drives(discs: [Option<&str>; 3]) -> Vec<Cdrom> {
    (0..).zip(discs).map(|(device_id, path)| Cdrom { path: path.map(str::to_owned), device_id }).collect()
}

/// The discs in QEMU's drives.
fn inserted(vm: VmUuid) -> String {
    let ask = ["-c", "qemu:///system", "qemu-monitor-command", "--hmp", &vm.to_string(), "info block"];
    String::from_utf8(Command::new("virsh").args(ask).output().unwrap().stdout).unwrap()
}

#[test]
fn discs_are_put_into_the_drives_of_a_running_guest_and_taken_out() {
    on_a_lab_host("discs::discs_are_put_into_the_drives_of_a_running_guest_and_taken_out", async {
        let mut fixture = Fixture::new("discs").await;
        // Its CD-ROM drives are on IDE, which the test guest drives.
        let mut spec = fixture.spec(Platform::Other, Firmware::Bios);
        let vm = spec.uuid;
        spec.cdroms = drives([None, None, None]);
        let (first, second) = (disc(&fixture.directory, "FIRST"), disc(&fixture.directory, "SECOND"));
        fixture.vms.set_discs(vm, drives([Some(&first), None, None])).await.unwrap();
        fixture.vms.start(spec).await.unwrap();
        assert!(!inserted(vm).contains(".iso"), "what does not run is left as it is");
        fixture.until_booted(vm).await;

        for _ in 0..2 {
            fixture.vms.set_discs(vm, drives([Some(&first), None, Some(&second)])).await.unwrap();
            assert!(inserted(vm).contains(&first) && inserted(vm).contains(&second), "{}", inserted(vm));
        }
        fixture.vms.set_discs(vm, drives([Some(&second), None, None])).await.unwrap();
        assert!(!inserted(vm).contains(&first) && inserted(vm).matches(&second).count() == 1, "{}", inserted(vm));
        fixture.vms.set_discs(vm, drives([None, None, None])).await.unwrap();
        assert!(!inserted(vm).contains(".iso"), "{}", inserted(vm));
        fixture.finish().await;
    });
}

#[test]
fn a_disc_that_is_not_there_or_a_drive_that_is_not_is_named() {
    on_a_lab_host("discs::a_disc_that_is_not_there_or_a_drive_that_is_not_is_named", async {
        let mut fixture = Fixture::new("no-discs").await;
        let mut spec = fixture.spec(Platform::Linux, Firmware::Bios);
        let vm = spec.uuid;
        spec.cdroms = drives([None, None, None])[..1].to_vec();
        fixture.vms.start(spec).await.unwrap();
        let there = disc(&fixture.directory, "THERE");
        let refused = fixture.vms.set_discs(vm, drives([Some("/nowhere.iso"), None, None])).await;
        assert!(matches!(&refused, Err(AgentError::NotFound { name, .. }) if name == "/nowhere.iso"), "{refused:?}");
        let refused = fixture.vms.set_discs(vm, drives([None, Some(&there), None])).await;
        assert!(matches!(&refused, Err(AgentError::NotFound { what, .. }) if what == "drive"), "{refused:?}");
        fixture.vms.set_discs(vm, drives([Some(&there), None, None])).await.unwrap();
        assert!(inserted(vm).contains(&there));
        fixture.finish().await;
    });
}
