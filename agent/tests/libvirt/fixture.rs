//! The agent's VMs on this host, with a bridge for their interfaces, and what of them to look at.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use gantry_agent::vm::{GuestNetworks, Settings, VirtualMachines};
use gantry_common::{
    agent::{
        AgentError, BootDevice, Bridge, Disk, Event, Firmware, GuestData, ImageFormat, Network, Nic, Observation,
        Platform, StopMode, VmSpec, VmState,
    },
    id::{L2NetworkUuid, L3NetworkUuid, NicUuid, VmUuid, VolumeUuid},
};
use tokio::{sync::broadcast, time::timeout};

use crate::lab_host::GUEST_DISK;

const BRIDGE: &str = "br_gtest";
/// Only to end a test that would otherwise wait for ever; emulated guests take their time.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Networks that are only the bridge, which the fixture makes.
struct BridgeOnly;

#[async_trait]
impl GuestNetworks for BridgeOnly {
    async fn attach_vm(&self, _: &VmSpec) -> Result<(), AgentError> {
        Ok(())
    }

    async fn detach_vm(&self, _: VmUuid) -> Result<(), AgentError> {
        Ok(())
    }
}

pub struct Fixture {
    pub vms: VirtualMachines,
    events: broadcast::Receiver<Event>,
    pub directory: PathBuf,
    started: Vec<VmUuid>,
}

impl Fixture {
    pub async fn new(name: &str) -> Self {
        let directory = Path::new("/var/tmp").join(format!("gantry-test-{name}"));
        std::fs::create_dir_all(&directory).unwrap();
        assert!(run("ip", &["link", "add", BRIDGE, "type", "bridge"]), "the bridge could not be made");
        let (sink, events) = broadcast::channel(4096);
        let vms = VirtualMachines::new(settings(&directory), Arc::new(BridgeOnly), sink).unwrap();
        let mut this = Self { vms, events, directory, started: Vec::new() };
        this.until(|event| matches!(event, Event::Snapshot(_))).await;
        this
    }

    pub fn spec(&mut self, platform: Platform, firmware: Firmware) -> VmSpec {
        let uuid = VmUuid::random();
        self.started.push(uuid);
        let disk = self.directory.join(format!("{uuid}.qcow2"));
        std::fs::copy(GUEST_DISK, &disk).unwrap();
        let network = Network {
            l3_network: L3NetworkUuid::random(),
            bridge: Bridge {
                l2_network: L2NetworkUuid::random(),
                name: BRIDGE.into(),
                physical_interface: "none".into(),
            },
            subnet: "10.9.8.0/24".parse().unwrap(),
            gateway: None,
            service_address: None,
            dhcp: false,
            userdata: false,
            dns: vec![],
            dns_domain: None,
            mtu: None,
            host_routes: vec![],
        };
        VmSpec {
            uuid,
            name: "test <&\"' Пример".into(),
            cpu_num: 1,
            cpu_pins: vec![],
            memory_bytes: 256 << 20,
            platform,
            firmware,
            disks: vec![Disk {
                volume: VolumeUuid::random(),
                path: disk.to_str().unwrap().into(),
                format: ImageFormat::Qcow2,
                device_id: 0,
            }],
            cdroms: vec![],
            boot_order: vec![BootDevice::HardDisk],
            nics: vec![Nic {
                uuid: NicUuid::random(),
                device_id: 0,
                l3_network: network.l3_network,
                tap: format!("gt{}", &uuid.to_string()[..9]),
                mac: "fa:4c:ee:9a:76:01".parse().unwrap(),
                ip: "10.9.8.7".parse().unwrap(),
                is_default: true,
                anti_spoofing: false,
            }],
            networks: vec![network],
            console_listen: None,
            guest_data: GuestData::default(),
        }
    }

    pub async fn until(&mut self, wanted: impl Fn(&Event) -> bool) -> Event {
        let mut others = Vec::new();
        let search = async {
            loop {
                let event = self.events.recv().await.unwrap();
                if wanted(&event) {
                    return event;
                }
                others.push(event);
            }
        };
        let found = timeout(PATIENCE, search).await;
        found.unwrap_or_else(|_| panic!("the event did not come; these did: {others:#?}"))
    }

    pub async fn until_state(&mut self, vm: VmUuid, state: VmState) {
        self.until(|event| {
            matches!(event, Event::Vm(Observation { vm: seen, state: now, .. }) if *seen == vm && *now == state)
        })
        .await;
    }

    /// The guest has booted when there is a shell on its serial line.
    pub async fn until_booted(&self, vm: VmUuid) {
        self.until_printed(vm, "guest#").await;
    }

    pub async fn until_printed(&self, vm: VmUuid, text: &str) {
        let log = self.directory.join("serial").join(format!("{vm}.log"));
        let wait = async {
            while !String::from_utf8_lossy(&std::fs::read(&log).unwrap_or_default()).contains(text) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(PATIENCE, wait).await.expect("the guest did not print it");
    }

    /// Checks that nothing is left of the VMs but what belongs to their disks.
    pub async fn finish(self) {
        for vm in &self.started {
            self.vms.stop(*vm, StopMode::Force).await.unwrap();
            assert!(!self.directory.join("vms").join(vm.to_string()).exists());
        }
        std::fs::remove_dir_all(&self.directory).unwrap();
    }
}

fn settings(directory: &Path) -> Settings {
    Settings {
        attachments: directory.join("vms"),
        serial_logs: directory.join("serial"),
        device_patience: Duration::from_secs(10),
        ..Settings::default()
    }
}

/// Runs a program whose failure is the test's business only where it is asserted.
pub fn run(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).status().is_ok_and(|status| status.success())
}

pub fn virsh(arguments: &[&str]) -> bool {
    run("virsh", &[&["-c", "qemu:///system"], arguments].concat())
}

/// Types a line at the guest's serial terminal, which QEMU reads only while somebody holds it open.
pub fn type_in(vm: VmUuid, line: &str) -> File {
    let name = vm.to_string();
    let terminal = Command::new("virsh").args(["-c", "qemu:///system", "ttyconsole", &name]).output().unwrap();
    let terminal = String::from_utf8(terminal.stdout).unwrap();
    let mut terminal = File::options().write(true).open(terminal.trim()).unwrap();
    writeln!(terminal, "{line}").unwrap();
    terminal
}

/// The processors that the kernel lets one of the VM's processors run on.
pub fn processors_of(vm: VmUuid, vcpu: u32) -> String {
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap();
    let threads = std::fs::read_dir(format!("/proc/{}/task", qemu_pid(vm).trim())).unwrap();
    let mut threads = threads.map(|thread| thread.unwrap().path());
    let thread = threads.find(|thread| read(thread.join("comm")).starts_with(&format!("CPU {vcpu}/"))).unwrap();
    let status = read(thread.join("status"));
    status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap().trim().to_owned()
}

pub fn qemu_pid(vm: VmUuid) -> String {
    std::fs::read_to_string(format!("/run/libvirt/qemu/{vm}.pid")).unwrap()
}
