//! Golden files: what every kind of VM looks like to libvirt. They are in `snapshots`.

use gantry_common::{
    agent::{BootDevice, Bridge, Cdrom, CpuPin, Disk, Firmware, GuestData, ImageFormat, Network, Nic, Platform},
    id::{L2NetworkUuid, L3NetworkUuid},
};

use super::*;

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(last: u32) -> T {
    format!("{:032x}", 0x8aef_7e3a_53b3_4eed_aa05_0000_0000_0000_u128 + u128::from(last)).parse().unwrap()
}

fn network(number: u32, mtu: Option<u16>) -> Network {
    Network {
        l3_network: id::<L3NetworkUuid>(300 + number),
        bridge: Bridge {
            l2_network: id::<L2NetworkUuid>(200 + number),
            name: format!("br_eth{number}"),
            physical_interface: format!("eth{number}"),
        },
        subnet: "10.99.1.0/24".parse().unwrap(),
        gateway: None,
        service_address: None,
        dhcp: true,
        userdata: true,
        dns: vec![],
        dns_domain: None,
        mtu,
        host_routes: vec![],
    }
}

fn nic(number: u32) -> Nic {
    Nic {
        uuid: id(400 + number),
        device_id: number,
        l3_network: id(300 + number),
        tap: format!("gt0123456789.{number}"),
        mac: format!("fa:4c:ee:9a:76:0{number}").parse().unwrap(),
        ip: format!("10.99.1.5{number}").parse().unwrap(),
        is_default: number == 0,
        anti_spoofing: true,
    }
}

fn disk(number: u32) -> Disk {
    Disk {
        volume: id(500 + number),
        path: format!("/gantry_ps/volumes/{number}.qcow2"),
        format: ImageFormat::Qcow2,
        device_id: number,
    }
}

fn cdrom(number: u32) -> Cdrom {
    Cdrom { path: Some(format!("/gantry_ps/iso/{number}.iso")), device_id: number }
}

fn pin(vcpu: u32, cpus: &str) -> CpuPin {
    CpuPin { vcpu, cpus: cpus.parse().unwrap() }
}

fn spec(platform: Platform) -> VmSpec {
    VmSpec {
        uuid: id(1),
        name: "web-1".into(),
        cpu_num: 2,
        cpu_pins: vec![],
        memory_bytes: 1 << 30,
        platform,
        firmware: Firmware::Bios,
        disks: vec![disk(0)],
        cdroms: vec![],
        boot_order: vec![BootDevice::HardDisk, BootDevice::CdRom],
        nics: vec![nic(0)],
        networks: vec![network(0, None)],
        console_listen: None,
        guest_data: GuestData::default(),
    }
}

fn placement(hypervisor: Hypervisor) -> Placement {
    Placement {
        hypervisor,
        direct_io: ["/gantry_ps/volumes/0.qcow2".to_owned()].into(),
        serial_log: "/var/log/gantry/serial/1.log".into(),
        nvram: Some("/gantry_ps/volumes/0.qcow2.nvram".into()),
    }
}

fn xml(spec: &VmSpec, hypervisor: Hypervisor) -> String {
    render(spec, &placement(hypervisor)).unwrap()
}

#[test]
fn linux_with_bios() {
    insta::assert_snapshot!(xml(&spec(Platform::Linux), Hypervisor::Kvm));
}

#[test]
fn a_console_with_a_port_for_viewers() {
    let spec = VmSpec { console_listen: Some("10.99.1.11".parse().unwrap()), ..spec(Platform::Linux) };
    let listening =
        "<graphics type=\"vnc\" port=\"-1\" autoport=\"yes\">\n      <listen type=\"address\" address=\"10.99.1.11\"/>";
    assert!(xml(&spec, Hypervisor::Kvm).contains(listening));
}

#[test]
fn linux_with_uefi_under_emulation() {
    let spec = VmSpec { firmware: Firmware::Uefi, ..spec(Platform::Linux) };
    insta::assert_snapshot!(xml(&spec, Hypervisor::Qemu));
}

#[test]
fn linux_with_several_disks_drives_and_interfaces() {
    let raw = Disk { format: ImageFormat::Raw, path: "/tmp/raw".into(), ..disk(7) };
    let spec = VmSpec {
        disks: vec![disk(0), raw, disk(2)],
        cdroms: vec![cdrom(1), Cdrom { path: None, device_id: 0 }],
        nics: vec![nic(1), nic(0)],
        networks: vec![network(0, Some(9000)), network(1, None)],
        boot_order: vec![BootDevice::CdRom, BootDevice::Network, BootDevice::HardDisk],
        ..spec(Platform::Linux)
    };
    insta::assert_snapshot!(xml(&spec, Hypervisor::Kvm));
}

#[test]
fn a_processor_that_runs_on_some_of_the_hosts_alone() {
    let spec = VmSpec { cpu_num: 4, cpu_pins: vec![pin(1, "3"), pin(3, "4-7,^6")], ..spec(Platform::Linux) };
    insta::assert_snapshot!(xml(&spec, Hypervisor::Kvm));
}

#[test]
fn windows_without_virtio() {
    let spec = VmSpec { disks: vec![disk(0), disk(1)], cdroms: vec![cdrom(0)], ..spec(Platform::Windows) };
    insta::assert_snapshot!(xml(&spec, Hypervisor::Kvm));
}

#[test]
fn windows_with_virtio_and_uefi() {
    let spec = VmSpec { firmware: Firmware::Uefi, ..spec(Platform::WindowsVirtio) };
    insta::assert_snapshot!(xml(&spec, Hypervisor::Kvm));
}

#[test]
fn windows_under_emulation() {
    insta::assert_snapshot!(xml(&spec(Platform::WindowsVirtio), Hypervisor::Qemu));
}

#[test]
fn an_unknown_guest_system() {
    let spec = VmSpec { disks: vec![disk(0), disk(2)], cdroms: vec![cdrom(0)], ..spec(Platform::Other) };
    insta::assert_snapshot!(xml(&spec, Hypervisor::Kvm));
}

#[test]
fn a_machine_without_disks_boots_from_its_cdrom() {
    let spec = VmSpec { disks: vec![], cdroms: vec![cdrom(0)], nics: vec![], ..spec(Platform::Linux) };
    insta::assert_snapshot!(render(&spec, &Placement { nvram: None, ..placement(Hypervisor::Qemu) }).unwrap());
}

#[test]
fn names_cannot_break_out_of_the_document() {
    let name = "</title><evil a='b' c=\"d\">& \u{1f98a} Пример\n\u{0}\u{1b}[31m\u{fffe}";
    let document = xml(&VmSpec { name: name.into(), ..spec(Platform::Linux) }, Hypervisor::Kvm);
    let document = roxmltree::Document::parse(&document).unwrap();
    let title = document.descendants().find(|node| node.has_tag_name("title")).unwrap();
    assert_eq!(title.text(), Some("</title><evil a='b' c=\"d\">& \u{1f98a} Пример   [31m"));
    assert!(!document.descendants().any(|node| node.has_tag_name("evil")));
}

#[test]
fn paths_are_kept_to_the_letter() {
    let path = "/gantry ps/<&\"'>/Диск 1,2.qcow2";
    let spec = VmSpec { disks: vec![Disk { path: path.into(), ..disk(0) }], ..spec(Platform::Linux) };
    let document = xml(&spec, Hypervisor::Kvm);
    let document = roxmltree::Document::parse(&document).unwrap();
    let source = document.descendants().find(|node| node.has_tag_name("source")).unwrap();
    assert_eq!(source.attribute("file"), Some(path));
}

#[test]
fn an_unusable_argument_is_named() {
    let usable = spec(Platform::Other);
    let cases: Vec<(&str, VmSpec)> = vec![
        ("vm.cpuNum", VmSpec { cpu_num: 0, ..usable.clone() }),
        ("vm.memoryBytes", VmSpec { memory_bytes: 0, ..usable.clone() }),
        ("vm.cpuPins.vcpu", VmSpec { cpu_pins: vec![pin(2, "0")], ..usable.clone() }),
        ("vm.cpuPins.vcpu", VmSpec { cpu_pins: vec![pin(1, "0"), pin(1, "1")], ..usable.clone() }),
        ("vm.cpuPins.cpus", VmSpec { cpu_pins: vec![pin(1, "")], ..usable.clone() }),
        ("vm.disks.path", VmSpec { disks: vec![Disk { path: "a/b".into(), ..disk(0) }], ..usable.clone() }),
        ("vm.disks.path", VmSpec { disks: vec![Disk { path: "/a\u{0}".into(), ..disk(0) }], ..usable.clone() }),
        (
            "vm.cdroms.path",
            VmSpec { cdroms: vec![Cdrom { path: Some("/a\n".into()), device_id: 0 }], ..usable.clone() },
        ),
        ("vm.disks.deviceId", VmSpec { disks: vec![disk(0), disk(0)], ..usable.clone() }),
        ("vm.disks.deviceId", VmSpec { disks: vec![disk(4)], ..usable.clone() }),
        ("vm.disks", VmSpec { disks: (0..4).map(disk).collect(), cdroms: vec![cdrom(0)], ..usable.clone() }),
        ("vm.nics.tap", VmSpec { nics: vec![Nic { tap: "sixteen-letters!".into(), ..nic(0) }], ..usable.clone() }),
        ("vm.nics.l3Network", VmSpec { networks: vec![], ..usable.clone() }),
    ];
    for (field, spec) in cases {
        for result in [check(&spec), render(&spec, &placement(Hypervisor::Qemu)).map(drop)] {
            match result {
                Err(AgentError::InvalidArgument { field: named, .. }) => assert_eq!(named, field),
                other => panic!("{field}: {other:?}"),
            }
        }
    }
    check(&usable).unwrap();
}
