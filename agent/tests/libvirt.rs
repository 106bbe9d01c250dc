//! The agent's VMs on a real libvirtd with real QEMU processes, by emulation where need be.
//!
//! Run as root on a host that can be spared, such as one of the lab's: it makes and removes a bridge, and it kills
//! libvirtd. `GANTRY_TEST_DISK` names a qcow2 disk with a guest that powers off when its power button is pressed.
//!
//!     cargo nextest run -p gantry-agent --test libvirt --run-ignored only -j 1
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
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

const BRIDGE: &str = "br_gtest";
/// Only to end a test that would otherwise wait for ever; emulated guests take their time.
const PATIENCE: Duration = Duration::from_secs(180);

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

struct Fixture {
    vms: VirtualMachines,
    events: broadcast::Receiver<Event>,
    directory: PathBuf,
    started: Vec<VmUuid>,
}

impl Fixture {
    async fn new(name: &str) -> Self {
        let directory = Path::new("/var/tmp").join(format!("gantry-test-{name}"));
        std::fs::create_dir_all(&directory).unwrap();
        run("ip", &["link", "add", BRIDGE, "type", "bridge"]);
        let (sink, events) = broadcast::channel(4096);
        let vms = VirtualMachines::new(settings(&directory), Arc::new(BridgeOnly), sink).unwrap();
        let mut this = Self { vms, events, directory, started: Vec::new() };
        this.until(|event| matches!(event, Event::Snapshot(_))).await;
        this
    }

    fn spec(&mut self, platform: Platform, firmware: Firmware) -> VmSpec {
        let uuid = VmUuid::random();
        self.started.push(uuid);
        let source = std::env::var("GANTRY_TEST_DISK").expect("GANTRY_TEST_DISK names a guest's disk");
        let disk = self.directory.join(format!("{uuid}.qcow2"));
        std::fs::copy(source, &disk).unwrap();
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
            console_listen: "127.0.0.1".parse().unwrap(),
            guest_data: GuestData::default(),
        }
    }

    async fn until(&mut self, wanted: impl Fn(&Event) -> bool) -> Event {
        let search = async {
            loop {
                let event = self.events.recv().await.unwrap();
                if wanted(&event) {
                    return event;
                }
            }
        };
        timeout(PATIENCE, search).await.expect("the event did not come")
    }

    async fn until_state(&mut self, vm: VmUuid, state: VmState) {
        self.until(|event| {
            matches!(event, Event::Vm(Observation { vm: seen, state: now, .. }) if *seen == vm && *now == state)
        })
        .await;
    }

    /// The guest has booted when there is a shell on its serial line.
    async fn until_booted(&self, vm: VmUuid) {
        self.until_printed(vm, "guest#").await;
    }

    async fn until_printed(&self, vm: VmUuid, text: &str) {
        let log = self.directory.join("serial").join(format!("{vm}.log"));
        let wait = async {
            while !String::from_utf8_lossy(&std::fs::read(&log).unwrap_or_default()).contains(text) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(PATIENCE, wait).await.expect("the guest did not print it");
    }

    /// Checks that nothing is left of the VMs but what belongs to their disks.
    async fn finish(self) {
        for vm in &self.started {
            self.vms.stop(*vm, StopMode::Force).await.unwrap();
            assert!(!self.directory.join("vms").join(vm.to_string()).exists());
        }
        std::fs::remove_dir_all(&self.directory).unwrap();
    }
}

fn settings(directory: &Path) -> Settings {
    Settings { attachments: directory.join("vms"), serial_logs: directory.join("serial"), ..Settings::default() }
}

/// Runs a program whose failure is the test's business only where it is asserted.
fn run(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).status().is_ok_and(|status| status.success())
}

fn virsh(arguments: &[&str]) -> bool {
    run("virsh", &[&["-c", "qemu:///system"], arguments].concat())
}

/// Types a line at the guest's serial terminal, which QEMU reads only while somebody holds it open.
fn type_in(vm: VmUuid, line: &str) -> File {
    let name = vm.to_string();
    let terminal = Command::new("virsh").args(["-c", "qemu:///system", "ttyconsole", &name]).output().unwrap();
    let terminal = String::from_utf8(terminal.stdout).unwrap();
    let mut terminal = File::options().write(true).open(terminal.trim()).unwrap();
    writeln!(terminal, "{line}").unwrap();
    terminal
}

fn qemu_pid(vm: VmUuid) -> String {
    std::fs::read_to_string(format!("/run/libvirt/qemu/{vm}.pid")).unwrap()
}

#[tokio::test]
#[ignore = "needs root, libvirtd and QEMU"]
async fn a_guest_starts_pauses_resumes_and_shuts_down() {
    let mut fixture = Fixture::new("lifecycle").await;
    let spec = fixture.spec(Platform::Linux, Firmware::Bios);
    let vm = spec.uuid;
    assert_eq!(fixture.vms.start(spec.clone()).await.unwrap().state, VmState::Running);
    assert_eq!(fixture.vms.start(spec.clone()).await.unwrap().state, VmState::Running);
    let console = fixture.vms.console_address(vm).await.unwrap();
    std::net::TcpStream::connect((console.listen, console.port)).unwrap();
    fixture.until_booted(vm).await;
    // What cloud-init goes by.
    let terminal = type_in(vm, "cat /sys/class/dmi/id/product_serial");
    fixture.until_printed(vm, "ds=nocloud;dsmode=net;s=http://169.254.169.254/").await;
    drop(terminal);

    assert_eq!(fixture.vms.pause(vm).await.unwrap().state, VmState::Paused);
    assert!(matches!(fixture.vms.start(spec).await, Err(AgentError::VmState { state: VmState::Paused, .. })));
    assert_eq!(fixture.vms.resume(vm).await.unwrap().state, VmState::Running);

    let stopped = fixture.vms.stop(vm, StopMode::Grace { timeout_seconds: 150 });
    let began = Instant::now();
    assert_eq!(stopped.await.unwrap().state, VmState::Absent);
    assert!(began.elapsed() < Duration::from_secs(150), "the guest did not shut down by itself");
    fixture.finish().await;
}

#[tokio::test]
#[ignore = "needs root, libvirtd and QEMU"]
async fn every_platform_and_firmware_starts() {
    let mut fixture = Fixture::new("platforms").await;
    let kinds = [
        (Platform::Linux, Firmware::Uefi),
        (Platform::Windows, Firmware::Bios),
        (Platform::WindowsVirtio, Firmware::Uefi),
        (Platform::Other, Firmware::Bios),
        (Platform::Paravirtualization, Firmware::Bios),
    ];
    for (platform, firmware) in kinds {
        let spec = fixture.spec(platform, firmware);
        let nvram = PathBuf::from(format!("{}.nvram", spec.disks[0].path));
        assert_eq!(fixture.vms.start(spec.clone()).await.unwrap().state, VmState::Running, "{platform:?} {firmware:?}");
        assert_eq!(nvram.exists(), firmware == Firmware::Uefi);
        fixture.vms.stop(spec.uuid, StopMode::Force).await.unwrap();
        // It holds the guest's boot entries, and is used again.
        assert_eq!(nvram.exists(), firmware == Firmware::Uefi);
        assert_eq!(fixture.vms.start(spec.clone()).await.unwrap().state, VmState::Running, "{platform:?} {firmware:?}");
        fixture.vms.stop(spec.uuid, StopMode::Force).await.unwrap();
    }
    fixture.finish().await;
}

#[tokio::test]
#[ignore = "needs root, libvirtd and QEMU"]
async fn a_guest_killed_from_outside_is_seen() {
    let mut fixture = Fixture::new("killed").await;
    let spec = fixture.spec(Platform::Linux, Firmware::Bios);
    fixture.vms.start(spec.clone()).await.unwrap();
    assert!(virsh(&["suspend", &spec.uuid.to_string()]));
    fixture.until_state(spec.uuid, VmState::Paused).await;
    assert!(virsh(&["destroy", &spec.uuid.to_string()]));
    fixture.until_state(spec.uuid, VmState::Absent).await;

    fixture.vms.start(spec.clone()).await.unwrap();
    assert!(run("kill", &["-9", &qemu_pid(spec.uuid)]));
    fixture.until_state(spec.uuid, VmState::Absent).await;
    fixture.finish().await;
}

#[tokio::test]
#[ignore = "needs root, libvirtd and QEMU"]
async fn a_hung_guest_delays_no_other_and_can_be_ended() {
    let mut fixture = Fixture::new("hung").await;
    let (hung, other) = (fixture.spec(Platform::Linux, Firmware::Bios), fixture.spec(Platform::Linux, Firmware::Bios));
    fixture.vms.start(hung.clone()).await.unwrap();
    fixture.vms.start(other.clone()).await.unwrap();
    assert!(run("kill", &["-STOP", &qemu_pid(hung.uuid)]));
    let vms = fixture.vms.clone();
    let pausing = tokio::spawn(async move { vms.pause(hung.uuid).await });
    let began = Instant::now();
    for _ in 0..5 {
        assert_eq!(fixture.vms.pause(other.uuid).await.unwrap().state, VmState::Paused);
        assert_eq!(fixture.vms.resume(other.uuid).await.unwrap().state, VmState::Running);
        assert_eq!(fixture.vms.observe(hung.uuid).await.unwrap().state, VmState::Running);
    }
    println!("ten commands beside a hung guest: {:?}", began.elapsed());
    assert!(!pausing.is_finished());
    assert!(pausing.await.unwrap().is_err());
    assert_eq!(fixture.vms.stop(hung.uuid, StopMode::Force).await.unwrap().state, VmState::Absent);
    fixture.finish().await;
}

#[tokio::test]
#[ignore = "needs root, libvirtd and QEMU; kills libvirtd"]
async fn guests_outlive_libvirtd_and_what_happened_meanwhile_is_seen() {
    let mut fixture = Fixture::new("libvirtd").await;
    let (stays, ends) = (fixture.spec(Platform::Linux, Firmware::Bios), fixture.spec(Platform::Linux, Firmware::Bios));
    fixture.vms.start(stays.clone()).await.unwrap();
    fixture.vms.start(ends.clone()).await.unwrap();
    let (kept, killed) = (qemu_pid(stays.uuid), qemu_pid(ends.uuid));
    assert!(run("systemctl", &["kill", "--kill-who=main", "-s", "KILL", "libvirtd.service"]));
    assert!(run("kill", &["-9", &killed]));
    fixture.until(|event| matches!(event, Event::LibvirtLost { .. })).await;
    let event = fixture.until(|event| matches!(event, Event::Snapshot(snapshot) if snapshot.vms.is_some())).await;
    let Event::Snapshot(snapshot) = event else { unreachable!() };
    let vms: Vec<_> = snapshot.vms.unwrap().into_iter().map(|seen| (seen.vm, seen.state)).collect();
    assert!(vms.contains(&(stays.uuid, VmState::Running)) && !vms.iter().any(|(vm, _)| *vm == ends.uuid), "{vms:?}");
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
}

#[tokio::test]
#[ignore = "needs root, libvirtd and QEMU"]
async fn pulling_the_plug_ends_a_graceful_stop_that_waits() {
    let mut fixture = Fixture::new("plug").await;
    let mut spec = fixture.spec(Platform::Linux, Firmware::Bios);
    // Without a system, nothing listens to the power button.
    std::fs::write(&spec.disks[0].path, vec![0; 1 << 20]).unwrap();
    spec.disks[0].format = ImageFormat::Raw;
    fixture.vms.start(spec.clone()).await.unwrap();
    let vms = fixture.vms.clone();
    let graceful = tokio::spawn(async move { vms.stop(spec.uuid, StopMode::Grace { timeout_seconds: 3600 }).await });
    while !graceful.is_finished() {
        assert_eq!(fixture.vms.stop(spec.uuid, StopMode::Force).await.unwrap().state, VmState::Absent);
    }
    assert_eq!(graceful.await.unwrap().unwrap().state, VmState::Absent);
    fixture.finish().await;
}

#[tokio::test]
#[ignore = "needs root, libvirtd and QEMU"]
async fn a_guest_whose_storage_is_full_stalls_and_goes_on_when_there_is_room() {
    let mut fixture = Fixture::new("full").await;
    let mut spec = fixture.spec(Platform::Linux, Firmware::Bios);
    let small = fixture.directory.join("small");
    std::fs::create_dir_all(&small).unwrap();
    assert!(run("mount", &["-t", "tmpfs", "-o", "size=32m,mode=755", "tmpfs", small.to_str().unwrap()]));
    let disk = small.join("disk.qcow2");
    std::fs::copy(&spec.disks[0].path, &disk).unwrap();
    spec.disks[0].path = disk.to_str().unwrap().into();
    fixture.vms.start(spec.clone()).await.unwrap();
    fixture.until_booted(spec.uuid).await;

    let _terminal = type_in(spec.uuid, "dd if=/dev/urandom of=/data/fill bs=1M count=64; sync");
    fixture.until_state(spec.uuid, VmState::Stalled).await;
    let refused = fixture.vms.pause(spec.uuid).await;
    assert!(matches!(refused, Err(AgentError::VmState { state: VmState::Stalled, .. })), "{refused:?}");

    assert!(run("mount", &["-o", "remount,size=256m", small.to_str().unwrap()]));
    assert_eq!(fixture.vms.resume(spec.uuid).await.unwrap().state, VmState::Running);
    fixture.vms.stop(spec.uuid, StopMode::Force).await.unwrap();
    assert!(run("umount", &[small.to_str().unwrap()]));
    fixture.finish().await;
}

#[tokio::test]
#[ignore = "needs root, libvirtd and QEMU; stops libvirtd for a while"]
async fn a_libvirtd_that_hangs_is_noticed_and_taken_up_again() {
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
}

/// Prints how long a start takes against `virsh create` of the very same domain; asserts nothing about time.
#[tokio::test]
#[ignore = "needs root, libvirtd and QEMU"]
async fn a_start_costs_little_more_than_virsh_create() {
    let mut fixture = Fixture::new("overhead").await;
    let spec = fixture.spec(Platform::Linux, Firmware::Bios);
    let name = spec.uuid.to_string();
    fixture.vms.start(spec.clone()).await.unwrap();
    let xml = fixture.directory.join("domain.xml");
    let dump = Command::new("virsh").args(["-c", "qemu:///system", "dumpxml", "--inactive", &name]).output().unwrap();
    std::fs::write(&xml, dump.stdout).unwrap();
    fixture.vms.stop(spec.uuid, StopMode::Force).await.unwrap();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        let began = Instant::now();
        fixture.vms.start(spec.clone()).await.unwrap();
        ours.push(began.elapsed());
        fixture.vms.stop(spec.uuid, StopMode::Force).await.unwrap();
        let began = Instant::now();
        assert!(virsh(&["create", xml.to_str().unwrap()]));
        theirs.push(began.elapsed());
        fixture.vms.stop(spec.uuid, StopMode::Force).await.unwrap();
    }
    ours.sort();
    theirs.sort();
    println!("median start: agent {:?}, virsh create {:?}", ours[5], theirs[5]);
    // All that a start does beside making the domain and attaching networks, it does for a running VM, too, but for a
    // look at the disks.
    fixture.vms.start(spec.clone()).await.unwrap();
    let began = Instant::now();
    for _ in 0..100 {
        fixture.vms.start(spec.clone()).await.unwrap();
    }
    println!("start of a running VM: {:?}", began.elapsed() / 100);
    let began = Instant::now();
    assert!(virsh(&["suspend", &name]));
    println!("virsh suspend: {:?}", began.elapsed());
    fixture.until_state(spec.uuid, VmState::Paused).await;
    println!("seen after: {:?}", began.elapsed());
    fixture.finish().await;
}
