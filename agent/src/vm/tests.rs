//! The commands and the events against libvirt's own test driver, which keeps domains in this process.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use gantry_common::agent::{CpuPin, Disk, Firmware, GuestData, ImageFormat, Platform};
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::time::timeout;
use virt::{connect::Connect, domain::Domain};

use super::*;
use crate::libvirt::ffi::Connection;

const URI: &str = "test:///default";
/// Only to end a test that would otherwise wait for ever.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Default)]
struct RecordedNetworks {
    attached: Mutex<Vec<VmUuid>>,
    refuse: AtomicBool,
}

#[async_trait]
impl GuestNetworks for RecordedNetworks {
    async fn attach_vm(&self, vm: &VmSpec) -> Result<(), AgentError> {
        self.attached.lock().push(vm.uuid);
        if self.refuse.load(Ordering::Relaxed) {
            return Err(AgentError::Network { operation: "attach".into(), reason: "the test says so".into() });
        }
        Ok(())
    }

    async fn detach_vm(&self, vm: VmUuid) -> Result<(), AgentError> {
        self.attached.lock().retain(|attached| *attached != vm);
        Ok(())
    }
}

/// A host on the test driver.
struct Fixture {
    vms: VirtualMachines,
    networks: Arc<RecordedNetworks>,
    events: broadcast::Receiver<Event>,
    directory: TempDir,
    /// What somebody with virsh would do. It also keeps the driver's domains alive.
    virsh: Connection,
}

impl Fixture {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (sink, events) = broadcast::channel(1024);
        let networks = Arc::new(RecordedNetworks::default());
        let virsh = Connection::open(URI).unwrap();
        let vms = VirtualMachines::with_hypervisor(settings(&directory), networks.clone(), sink, Hypervisor::Test);
        let mut this = Self { vms, networks, events, directory, virsh };
        this.until(|event| matches!(event, Event::Snapshot(_))).await;
        this
    }

    fn spec(&self) -> VmSpec {
        let path = self.directory.path().join("disk.qcow2");
        std::fs::write(&path, "").unwrap();
        VmSpec {
            uuid: VmUuid::random(),
            name: "web".into(),
            cpu_num: 1,
            cpu_pins: vec![],
            memory_bytes: 64 << 20,
            platform: Platform::Linux,
            firmware: Firmware::Bios,
            disks: vec![Disk {
                volume: gantry_common::id::VolumeUuid::random(),
                path: path.to_str().unwrap().into(),
                format: ImageFormat::Qcow2,
                device_id: 0,
            }],
            cdroms: vec![],
            boot_order: vec![],
            nics: vec![],
            networks: vec![],
            console_listen: None,
            guest_data: GuestData::default(),
        }
    }

    async fn started(&self) -> VmUuid {
        let spec = self.spec();
        assert_eq!(self.vms.start(spec.clone()).await.unwrap().state, VmState::Running);
        spec.uuid
    }

    fn domain(&self, vm: VmUuid) -> Domain {
        Domain::lookup_by_uuid(&self.virsh, vm.as_uuid()).unwrap()
    }

    fn is_attached(&self, vm: VmUuid) -> bool {
        self.networks.attached.lock().contains(&vm) || self.directory.path().join("vms").join(vm.to_string()).exists()
    }

    /// Reads events up to the first one that is `wanted`.
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

    async fn until_state(&mut self, vm: VmUuid, state: VmState) -> Observation {
        match self.until(|event| matches!(event, Event::Vm(seen) if seen.vm == vm && seen.state == state)).await {
            Event::Vm(observation) => observation,
            other => panic!("{other:?}"),
        }
    }

    async fn until_released(&self, vm: VmUuid) {
        let wait = async {
            while self.is_attached(vm) {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, wait).await.expect("the VM's attachments stayed");
    }
}

fn settings(directory: &TempDir) -> Settings {
    Settings {
        uri: URI.into(),
        attachments: directory.path().join("vms"),
        serial_logs: directory.path().join("serial"),
        ..Settings::default()
    }
}

fn create(virsh: &Connect, name: &str, uuid: VmUuid, metadata: &str) -> Domain {
    let xml = format!(
        "<domain type='test'><name>{name}</name><uuid>{}</uuid>{metadata}<memory>65536</memory><vcpu>3</vcpu>\
         <os><type>hvm</type></os></domain>",
        uuid.hyphenated()
    );
    Domain::create_xml(virsh, &xml, 0).unwrap()
}

#[tokio::test]
async fn a_started_vm_runs_with_its_networks_attached() {
    let fixture = Fixture::new().await;
    let vm = fixture.started().await;
    assert!(fixture.is_attached(vm));
    assert!(!fixture.domain(vm).is_persistent().unwrap());
    assert_eq!(fixture.vms.observe(vm).await.unwrap().state, VmState::Running);
}

#[tokio::test]
async fn starting_a_running_vm_leaves_it_running() {
    let fixture = Fixture::new().await;
    let spec = fixture.spec();
    let (first, second) = tokio::join!(fixture.vms.start(spec.clone()), fixture.vms.start(spec.clone()));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!((first.state, second.state), (VmState::Running, VmState::Running));
    assert_ne!(first.revision, second.revision);
    assert_eq!(fixture.networks.attached.lock().iter().filter(|vm| **vm == spec.uuid).count(), 1);
}

#[tokio::test]
async fn starting_a_paused_vm_is_refused_with_its_state() {
    let fixture = Fixture::new().await;
    let spec = fixture.spec();
    fixture.vms.start(spec.clone()).await.unwrap();
    fixture.vms.pause(spec.uuid).await.unwrap();
    let error = fixture.vms.start(spec.clone()).await.unwrap_err();
    assert!(matches!(error, AgentError::VmState { vm, state: VmState::Paused, .. } if vm == spec.uuid), "{error}");
}

#[tokio::test]
async fn a_vm_runs_on_the_processors_it_is_pinned_to() {
    let fixture = Fixture::new().await;
    let pinned_to = |cpus: &str| vec![CpuPin { vcpu: 1, cpus: cpus.parse().unwrap() }];
    let spec = VmSpec { cpu_num: 2, cpu_pins: pinned_to("0"), ..fixture.spec() };
    fixture.vms.start(spec.clone()).await.unwrap();
    let xml = fixture.domain(spec.uuid).get_xml_desc(0).unwrap();
    assert!(xml.contains("<vcpupin vcpu='1' cpuset='0'/>"), "{xml}");

    let elsewhere = VmSpec { cpu_pins: pinned_to("0,8191"), ..spec.clone() };
    let error = fixture.vms.reboot(elsewhere.clone(), StopMode::Force).await.unwrap_err();
    assert!(error.to_string().contains("vm.cpuPins.cpus '8191' is not usable"), "{error}");
    assert_eq!(fixture.vms.observe(spec.uuid).await.unwrap().state, VmState::Running, "it runs on as it was");
    let other = VmSpec { uuid: VmUuid::random(), ..elsewhere };
    assert!(matches!(fixture.vms.start(other.clone()).await, Err(AgentError::InvalidArgument { .. })));
    assert!(!fixture.is_attached(other.uuid));
}

#[tokio::test]
async fn networks_that_refuse_leave_nothing_attached() {
    let fixture = Fixture::new().await;
    fixture.networks.refuse.store(true, Ordering::Relaxed);
    let spec = fixture.spec();
    assert!(matches!(fixture.vms.start(spec.clone()).await, Err(AgentError::Network { .. })));
    assert!(!fixture.is_attached(spec.uuid));
    assert_eq!(fixture.vms.observe(spec.uuid).await.unwrap().state, VmState::Absent);
}

#[tokio::test]
async fn a_domain_that_libvirt_refuses_leaves_nothing_attached() {
    let fixture = Fixture::new().await;
    let spec = fixture.spec();
    // Somebody else's domain has the name.
    create(&fixture.virsh, &spec.uuid.to_string(), VmUuid::random(), "");
    let error = fixture.vms.start(spec.clone()).await.unwrap_err();
    assert!(matches!(&error, AgentError::Libvirt { operation, .. } if operation == "virDomainCreateXML"), "{error}");
    assert!(!fixture.is_attached(spec.uuid));
}

#[tokio::test]
async fn a_missing_volume_is_named_before_anything_is_touched() {
    let fixture = Fixture::new().await;
    let mut spec = fixture.spec();
    spec.disks[0].path = "/nonexistent/disk.qcow2".into();
    let error = fixture.vms.start(spec.clone()).await.unwrap_err();
    assert_eq!(error, AgentError::NotFound { what: "volume file".into(), name: "/nonexistent/disk.qcow2".into() });
    assert!(!fixture.is_attached(spec.uuid));
}

#[tokio::test]
async fn stopping_removes_the_vm_and_what_it_had_attached() {
    let fixture = Fixture::new().await;
    for mode in [StopMode::Force, StopMode::Grace { timeout_seconds: 600 }] {
        let vm = fixture.started().await;
        assert_eq!(fixture.vms.stop(vm, mode).await.unwrap().state, VmState::Absent);
        assert!(!fixture.is_attached(vm));
    }
}

#[tokio::test]
async fn stopping_a_vm_that_is_not_there_is_a_success() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.vms.stop(VmUuid::random(), StopMode::Force).await.unwrap().state, VmState::Absent);
}

#[tokio::test]
async fn a_paused_vm_is_woken_to_shut_down() {
    let fixture = Fixture::new().await;
    let vm = fixture.started().await;
    fixture.vms.pause(vm).await.unwrap();
    let stopped = fixture.vms.stop(vm, StopMode::Grace { timeout_seconds: 600 }).await.unwrap();
    assert_eq!(stopped.state, VmState::Absent);
}

#[tokio::test]
async fn rebooting_gives_a_new_domain_that_runs() {
    let fixture = Fixture::new().await;
    let spec = fixture.spec();
    fixture.vms.start(spec.clone()).await.unwrap();
    let before = fixture.domain(spec.uuid).get_id();
    let observation = fixture.vms.reboot(spec.clone(), StopMode::Grace { timeout_seconds: 600 }).await.unwrap();
    assert_eq!(observation.state, VmState::Running);
    assert_ne!(fixture.domain(spec.uuid).get_id(), before);
    assert!(fixture.is_attached(spec.uuid));
}

#[tokio::test]
async fn pausing_and_resuming_are_idempotent() {
    let fixture = Fixture::new().await;
    let vm = fixture.started().await;
    for _ in 0..2 {
        assert_eq!(fixture.vms.pause(vm).await.unwrap().state, VmState::Paused);
    }
    for _ in 0..2 {
        assert_eq!(fixture.vms.resume(vm).await.unwrap().state, VmState::Running);
    }
}

#[tokio::test]
async fn pausing_and_resuming_a_vm_that_is_not_there_are_refused() {
    let fixture = Fixture::new().await;
    let vm = VmUuid::random();
    for result in [fixture.vms.pause(vm).await, fixture.vms.resume(vm).await] {
        assert!(matches!(result, Err(AgentError::VmState { state: VmState::Absent, .. })), "{result:?}");
    }
}

#[tokio::test]
async fn what_somebody_does_with_virsh_is_seen() {
    let mut fixture = Fixture::new().await;
    let vm = fixture.started().await;
    let running = fixture.until_state(vm, VmState::Running).await;
    fixture.domain(vm).suspend().unwrap();
    let paused = fixture.until_state(vm, VmState::Paused).await;
    fixture.domain(vm).resume().unwrap();
    let resumed = fixture.until_state(vm, VmState::Running).await;
    fixture.domain(vm).destroy().unwrap();
    let gone = fixture.until_state(vm, VmState::Absent).await;
    let revisions = [running, paused, resumed, gone].map(|observation| observation.revision);
    assert!(revisions.is_sorted_by(|a, b| a < b), "{revisions:?}");
    fixture.until_released(vm).await;
}

#[tokio::test]
async fn a_foreign_domain_is_told_about_and_left_alone() {
    let mut fixture = Fixture::new().await;
    let uuid = VmUuid::random();
    let foreign = create(&fixture.virsh, "theirs", uuid, "");
    let domains = |event: &Event| match event {
        Event::ForeignDomains { domains } => domains.iter().find(|domain| domain.uuid == uuid.hyphenated()).cloned(),
        _ => None,
    };
    let event = fixture.until(|event| domains(event).is_some()).await;
    let told = domains(&event).unwrap();
    assert_eq!((told.name.as_str(), told.cpu_num, told.memory_bytes), ("theirs", 3, 64 << 20));

    let spec = VmSpec { uuid, ..fixture.spec() };
    let error = fixture.vms.start(spec).await.unwrap_err();
    assert!(matches!(&error, AgentError::InUse { user, .. } if user.contains("theirs")), "{error}");
    assert_eq!(fixture.vms.stop(uuid, StopMode::Force).await.unwrap().state, VmState::Absent);
    assert!(fixture.vms.pause(uuid).await.is_err());
    assert!(foreign.is_active().unwrap());

    foreign.destroy().unwrap();
    fixture.until(|event| matches!(event, Event::ForeignDomains { .. }) && domains(event).is_none()).await;
}

#[tokio::test]
async fn a_copy_that_carries_a_vms_mark_is_not_the_vm() {
    let fixture = Fixture::new().await;
    let vm = fixture.started().await;
    let copy = VmUuid::random();
    let mark = format!("<metadata><g:vm xmlns:g='urn:gantry:domain:1' uuid='{vm}'/></metadata>");
    create(&fixture.virsh, "copy", copy, &mark);
    let snapshot = fixture.vms.snapshot().await;
    assert!(snapshot.foreign.iter().any(|domain| domain.name == "copy"));
    assert!(!snapshot.vms.unwrap().iter().any(|observation| observation.vm == copy));
}

#[tokio::test]
async fn a_snapshot_lists_what_runs_under_one_new_number() {
    let fixture = Fixture::new().await;
    let vm = fixture.started().await;
    let before = fixture.vms.observe(vm).await.unwrap().revision;
    let snapshot = fixture.vms.snapshot().await;
    assert!(snapshot.revision > before);
    let vms = snapshot.vms.unwrap();
    assert!(vms.contains(&Observation { vm, state: VmState::Running, revision: snapshot.revision }), "{vms:?}");
    assert!(fixture.vms.observe(vm).await.unwrap().revision > snapshot.revision);
}

#[tokio::test]
async fn a_restarted_agent_knows_its_vms_and_cleans_up_after_those_that_ended() {
    let mut fixture = Fixture::new().await;
    let (running, ended) = (fixture.started().await, fixture.started().await);
    let last = fixture.vms.observe(running).await.unwrap().revision;
    // An agent elsewhere in the meantime, so that this one is gone while a VM ends.
    let (sink, events) = broadcast::channel(1024);
    let elsewhere = tempfile::tempdir().unwrap();
    fixture.vms = VirtualMachines::with_hypervisor(
        settings(&elsewhere),
        Arc::new(RecordedNetworks::default()),
        sink.clone(),
        Hypervisor::Test,
    );
    fixture.domain(ended).destroy().unwrap();
    assert!(fixture.is_attached(ended));

    fixture.events = events;
    fixture.vms = VirtualMachines::with_hypervisor(
        settings(&fixture.directory),
        fixture.networks.clone(),
        sink,
        Hypervisor::Test,
    );
    let event = fixture.until(|event| matches!(event, Event::Snapshot(_))).await;
    let Event::Snapshot(snapshot) = event else { unreachable!() };
    assert!(snapshot.revision > last);
    assert!(snapshot.vms.unwrap().iter().any(|seen| seen.vm == running && seen.state == VmState::Running));
    fixture.until_released(ended).await;
    assert!(fixture.is_attached(running));
}

#[tokio::test]
async fn a_libvirt_that_is_not_there_is_named_and_told() {
    let directory = tempfile::tempdir().unwrap();
    let (sink, mut events) = broadcast::channel(16);
    let settings =
        Settings { uri: "qemu+unix:///system?socket=/nonexistent/libvirt-sock".into(), ..settings(&directory) };
    let vms = VirtualMachines::with_hypervisor(settings, Arc::new(RecordedNetworks::default()), sink, Hypervisor::Qemu);
    let error = vms.observe(VmUuid::random()).await.unwrap_err();
    assert!(matches!(error, AgentError::LibvirtUnavailable { .. }), "{error}");
    let told = timeout(PATIENCE, events.recv()).await.unwrap().unwrap();
    assert!(matches!(&told, Event::LibvirtLost { reason } if reason.contains("/nonexistent")), "{told:?}");
    let snapshot = vms.snapshot().await;
    assert_eq!(snapshot.vms, None);
    assert!(snapshot.facts.libvirt_version.is_empty());
}
