//! A host that can be spared.

use std::future::Future;

use gantry_tests::{Kind, Lab};

const ON_THE_HOST: &str = "GANTRY_TEST_ON_LAB_HOST";
const TESTS: &str = "/root/libvirt-tests";
/// There, a disk with a guest that powers off when its power button is pressed.
pub const GUEST_DISK: &str = "/root/guest.qcow2";

/// Runs the test of that name again on a lab host, and there its body.
pub fn on_a_lab_host(name: &str, body: impl Future<Output = ()>) {
    if std::env::var_os(ON_THE_HOST).is_some() {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(body);
        return;
    }
    let disk = Lab::guest_image();
    let lab = Lab::boot(Kind::Kvm, 1);
    let host = lab.host(1);
    host.copy(&std::env::current_exe().unwrap(), TESTS);
    host.copy(&disk, GUEST_DISK);
    let said = host.run(&format!("{ON_THE_HOST}=yes {TESTS} {name} --exact --nocapture 2>&1"));
    assert!(said.contains("1 passed"), "{said}");
    print!("{said}");
}
