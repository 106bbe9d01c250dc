//! Each rule against probes of real hosts, changed where a host has to be broken.

use proptest::prelude::*;

use super::*;
use crate::{
    host_check::types::{DiskSpace, KvmAccess, LibvirtDaemon},
    id::{HostUuid, NodeUuid},
};

fn policy() -> HostPolicy {
    HostPolicy {
        allow_emulation: false,
        node: Some("8aef7e3a53b34eedaa05027a919156d9".parse().unwrap()),
        host: Some("479e88bab7a647e3b066a724c8bb3b82".parse().unwrap()),
        agent_port: 8083,
        agent_architecture: "x86_64".to_owned(),
        agent_bytes: 20 << 20,
        clock_epoch_seconds: Some(1_795_235_604),
    }
}

fn fedora() -> ProbedHost {
    ProbedHost::parse(include_str!("../fixtures/fedora.txt")).unwrap()
}

fn lab_host() -> ProbedHost {
    ProbedHost::parse(include_str!("../fixtures/lab-host.txt")).unwrap()
}

fn bare_host() -> ProbedHost {
    ProbedHost::parse(include_str!("../fixtures/bare-host.txt")).unwrap()
}

fn of(host: &ProbedHost, policy: &HostPolicy, check: Check) -> Finding {
    check_host(host, policy).into_iter().find(|finding| finding.check == check).unwrap()
}

fn fatal_checks(host: &ProbedHost, policy: &HostPolicy) -> Vec<Check> {
    let findings = check_host(host, policy);
    findings.into_iter().filter(|finding| finding.severity == Severity::Fatal).map(|finding| finding.check).collect()
}

#[test]
fn a_fit_host_has_nothing_to_mend() {
    for finding in check_host(&fedora(), &policy()) {
        assert_eq!(finding.severity, Severity::Ok, "{finding:?}");
    }
}

#[test]
fn a_processor_with_neither_vmx_nor_svm_is_refused_unless_emulation_is_allowed() {
    assert_eq!(fatal_checks(&lab_host(), &policy()), [Check::Virtualisation]);
    let mut with_device = lab_host();
    with_device.kvm_device = true;
    assert_eq!(fatal_checks(&with_device, &policy()), [Check::Virtualisation]);

    let allowed = HostPolicy { allow_emulation: true, ..policy() };
    assert_eq!(fatal_checks(&lab_host(), &allowed), []);
    assert_eq!(of(&lab_host(), &allowed, Check::Virtualisation).severity, Severity::Warning);
}

#[test]
fn a_processor_whose_virtualisation_is_switched_off_is_told_so() {
    let mut host = fedora();
    host.kvm_device = false;
    let finding = of(&host, &policy(), Check::Virtualisation);
    assert_eq!(finding.severity, Severity::Fatal);
    assert!(finding.remedy.contains("firmware"), "{finding:?}");
}

#[test]
fn a_kvm_device_that_qemu_may_not_use_is_refused_unless_emulation_is_allowed() {
    let mut host = fedora();
    host.kvm_access = Some(KvmAccess { user: "qemu".to_owned(), allowed: false });
    assert_eq!(fatal_checks(&host, &policy()), [Check::KvmAccess]);
    let finding = of(&host, &HostPolicy { allow_emulation: true, ..policy() }, Check::KvmAccess);
    assert_eq!(finding.severity, Severity::Warning);
    assert!(finding.found.contains("QEMU's user qemu") && finding.remedy.contains("chmod 660 /dev/kvm"), "{finding:?}");

    // Before libvirt is installed there is no user to try with, and without the device nothing to try.
    host.kvm_access = None;
    assert_eq!(of(&host, &policy(), Check::KvmAccess).severity, Severity::Ok);
    assert_eq!(of(&lab_host(), &policy(), Check::KvmAccess).found, "no /dev/kvm");
}

#[test]
fn what_a_bare_host_lacks_is_named_with_its_package() {
    let findings = check_host(&bare_host(), &policy());
    let missing: Vec<_> = findings
        .iter()
        .filter_map(|finding| match finding.severity {
            Severity::MissingPackage(component) => Some(component),
            _ => None,
        })
        .collect();
    assert_eq!(missing, Component::ALL);
    let libvirt = of(&bare_host(), &policy(), Check::Component(Component::Libvirt));
    assert!(libvirt.remedy.contains("libvirt-daemon-system with apt"), "{libvirt:?}");
}

#[test]
fn a_bare_host_without_a_package_source_is_refused() {
    let mut host = bare_host();
    host.packages.sources = Some(0);
    let finding = of(&host, &policy(), Check::Component(Component::Libvirt));
    assert_eq!(finding.severity, Severity::Fatal);
    assert!(finding.found.contains("no package source"), "{finding:?}");
}

#[test]
fn old_programs_are_refused() {
    let mut host = fedora();
    host.libvirt.daemons.insert(LibvirtDaemon::Virtqemud, Version(7, 9));
    host.qemu.as_mut().unwrap().version = Version(6, 1);
    let expected = [Check::Component(Component::Libvirt), Check::Component(Component::Qemu)];
    assert_eq!(fatal_checks(&host, &policy()), expected);
}

#[test]
fn a_libvirt_that_does_not_run_is_a_warning_because_adding_the_host_starts_it() {
    let mut host = fedora();
    host.libvirt.units.iter_mut().for_each(|unit| unit.active = false);
    assert_eq!(of(&host, &policy(), Check::LibvirtService).severity, Severity::Warning);
}

#[test]
fn a_host_of_another_management_node_is_refused_and_the_node_named() {
    let other = HostPolicy { node: Some(NodeUuid::random()), ..policy() };
    let finding = of(&fedora(), &other, Check::Owner);
    assert_eq!(finding.severity, Severity::Fatal);
    assert!(finding.found.contains("8aef7e3a53b34eedaa05027a919156d9"), "{finding:?}");
    assert_eq!(fatal_checks(&fedora(), &HostPolicy { node: None, ..policy() }), []);
}

#[test]
fn a_host_known_under_another_uuid_is_a_warning() {
    let other = HostPolicy { host: Some(HostUuid::random()), ..policy() };
    assert_eq!(of(&fedora(), &other, Check::Owner).severity, Severity::Warning);
}

#[test]
fn a_full_a_read_only_and_an_inodeless_file_system_are_refused() {
    let broken: [fn(&mut DiskSpace); 3] =
        [|disk| disk.available_bytes = 1 << 20, |disk| disk.writable = false, |disk| disk.available_inodes = Some(3)];
    for break_it in broken {
        for index in 0..4 {
            let mut host = fedora();
            break_it(&mut host.disks[index]);
            assert_eq!(fatal_checks(&host, &policy()), [Check::Disk]);
            assert!(of(&host, &policy(), Check::Disk).found.contains(&host.disks[index].path));
        }
    }
}

#[test]
fn installing_packages_needs_more_room() {
    let mut host = bare_host();
    host.disks.iter_mut().for_each(|disk| disk.available_bytes = 1 << 30);
    assert!(fatal_checks(&host, &policy()).contains(&Check::Disk));
    host = lab_host();
    host.disks.iter_mut().for_each(|disk| disk.available_bytes = 1 << 30);
    assert!(!fatal_checks(&host, &policy()).contains(&Check::Disk));
}

#[test]
fn a_port_taken_by_another_program_is_refused_and_the_agents_own_is_not() {
    let mut host = fedora();
    assert_eq!(fatal_checks(&host, &policy()), []);
    host.agent.running = false;
    assert_eq!(fatal_checks(&host, &policy()), [Check::Port]);
}

#[test]
fn a_clock_is_judged_by_how_far_it_is_off() {
    for (off, severity) in
        [(0, Severity::Ok), (5, Severity::Ok), (6, Severity::Warning), (300, Severity::Warning), (301, Severity::Fatal)]
    {
        for direction in [1, -1] {
            let mut host = fedora();
            host.clock_epoch_seconds += off * direction;
            assert_eq!(of(&host, &policy(), Check::Clock).severity, severity, "{off} s");
        }
    }
}

#[test]
fn systemd_the_architecture_and_the_kernel_are_looked_at() {
    let mut host = fedora();
    host.systemd = None;
    host.architecture = "riscv64".to_owned();
    host.features.insert(KernelFeature::Bridge, FeatureState::Missing);
    let expected = [Check::Architecture, Check::Systemd, Check::Kernel(KernelFeature::Bridge)];
    assert_eq!(fatal_checks(&host, &policy()), expected);
}

#[test]
fn whatever_is_not_ok_has_a_remedy() {
    let mut private_kvm = fedora();
    private_kvm.kvm_access = Some(KvmAccess { user: "qemu".to_owned(), allowed: false });
    for host in [fedora(), lab_host(), bare_host(), private_kvm] {
        for finding in check_host(&host, &HostPolicy { node: Some(NodeUuid::random()), ..policy() }) {
            assert_eq!(finding.severity == Severity::Ok, finding.remedy.is_empty(), "{finding:?}");
        }
    }
}

proptest! {
    #[test]
    fn any_clock_is_judged_without_overflow(theirs: i64, ours: i64) {
        let mut host = fedora();
        host.clock_epoch_seconds = theirs;
        check_host(&host, &HostPolicy { clock_epoch_seconds: Some(ours), ..policy() });
    }
}
