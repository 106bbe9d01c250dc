//! A host whose commands do what a test tells them.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use gantry_agent::image::Images;
use gantry_common::{
    agent::*,
    cpu_set::CpuSet,
    id::{L2NetworkUuid, L3NetworkUuid, NicUuid, VmUuid},
};
use parking_lot::Mutex;
use tokio::{
    io::{DuplexStream, duplex},
    sync::{Notify, broadcast},
};
use tokio_stream::wrappers::BroadcastStream;

#[path = "disks.rs"]
mod disks;

pub use disks::Disks;

/// The host. Images are handled by the agent's own code where there are any; `pause_vm` and `evict_image` wait for `gate`,
/// `measure_volume` reports progress until it is cancelled, `delete_volume` notes the path and `set_nics` the interfaces
/// unless it refuses, `start_vm` and `reboot_vm` note the size and the pins that the VM gets. With `disks`, there are
/// volumes; with `things`, the host has them until it is told to remove them.
pub struct Double {
    /// Domains, interfaces, files, bridges, networks, and its membership.
    pub things: Mutex<Option<BTreeSet<Thing>>>,
    /// How many more things it removes. Then it refuses, or, where it `holds`, does not answer any more.
    pub removes: AtomicU64,
    pub holds: AtomicBool,
    /// Whether somebody waits for an answer that does not come.
    pub held: AtomicBool,
    pub deleted: Mutex<Vec<String>>,
    /// The interfaces of its VM, as it was last told.
    pub nics: Mutex<Vec<Nic>>,
    /// What every storage has, where there are any.
    pub capacity: Mutex<Option<StorageCapacity>>,
    /// What is in the cache of every storage.
    pub cached: Mutex<Vec<CachedImage>>,
    pub refuses: AtomicBool,
    pub gate: Notify,
    pub begun: Notify,
    pub pauses: AtomicU64,
    /// Processors and memory of each VM that runs.
    pub sizes: Mutex<HashMap<VmUuid, (u32, u64)>>,
    /// What the processors of each VM that runs are pinned to.
    pub pins: Mutex<HashMap<VmUuid, Vec<CpuPin>>>,
    pub told: broadcast::Sender<Event>,
    pub images: Option<Images>,
    pub disks: Mutex<Option<Disks>>,
    /// The state in which every VM is seen, where there is any.
    pub vm_state: Mutex<Option<VmState>>,
    screens: Mutex<VecDeque<(VmUuid, DuplexStream)>>,
    screen_opened: Notify,
}

/// Something that a host has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thing {
    Agent,
    Domain(VmUuid),
    Interface(VmUuid, NicUuid),
    File(String),
    Bridge(L2NetworkUuid),
    Network(L3NetworkUuid),
}

impl Double {
    pub fn new() -> Arc<Self> {
        Arc::new(Self::with_images(None))
    }

    pub fn with_images(images: Option<Images>) -> Self {
        let told = broadcast::Sender::new(4096);
        Self {
            things: Mutex::default(),
            removes: AtomicU64::new(u64::MAX),
            holds: AtomicBool::new(false),
            held: AtomicBool::new(false),
            deleted: Mutex::default(),
            nics: Mutex::default(),
            capacity: Mutex::default(),
            cached: Mutex::default(),
            refuses: AtomicBool::new(false),
            gate: Notify::new(),
            begun: Notify::new(),
            pauses: AtomicU64::new(0),
            sizes: Mutex::default(),
            pins: Mutex::default(),
            told,
            images,
            disks: Mutex::default(),
            vm_state: Mutex::default(),
            screens: Mutex::default(),
            screen_opened: Notify::new(),
        }
    }

    /// The next console that is opened, from the VM's side.
    pub async fn screen(&self) -> (VmUuid, DuplexStream) {
        loop {
            let opened = self.screen_opened.notified();
            if let Some(screen) = self.screens.lock().pop_front() {
                return screen;
            }
            opened.await;
        }
    }

    /// Removes a thing where it has things. One that is not there is a success.
    async fn remove(&self, thing: Thing, command: &str) -> Result<(), AgentError> {
        if self.things.lock().is_none() {
            return Err(AgentError::NotFound { what: "command of the double".to_owned(), name: command.to_owned() });
        }
        let take = || self.removes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        let mut left = take();
        while left.is_err() && self.holds.load(Ordering::SeqCst) {
            let released = self.gate.notified();
            self.held.store(true, Ordering::SeqCst);
            released.await;
            left = take();
        }
        if left.is_err() || self.refuses.load(Ordering::SeqCst) {
            return Err(AgentError::Internal { reason: "the double refuses".to_owned() });
        }
        if let Some(things) = self.things.lock().as_mut() {
            things.remove(&thing);
            if let Thing::Domain(vm) = thing {
                things.retain(|thing| !matches!(thing, Thing::Interface(of, _) if *of == vm));
            }
        }
        Ok(())
    }

    /// Gives a VM that runs these interfaces and no others.
    async fn set_interfaces(&self, vm: &VmSpec) -> Result<(), AgentError> {
        let wanted: BTreeSet<Thing> = vm.nics.iter().map(|nic| Thing::Interface(vm.uuid, nic.uuid)).collect();
        let has = self.things.lock().clone().unwrap_or_default();
        if !has.contains(&Thing::Domain(vm.uuid)) {
            return Ok(());
        }
        let is_its = |thing: &Thing| matches!(thing, Thing::Interface(of, _) if *of == vm.uuid);
        for thing in has.into_iter().filter(|thing| is_its(thing) && !wanted.contains(thing)) {
            self.remove(thing, "set_nics").await?;
        }
        if let Some(things) = self.things.lock().as_mut() {
            things.extend(wanted);
        }
        Ok(())
    }

    /// Answers what was held, and removes so many more things.
    pub fn release(&self, removes: u64) {
        self.removes.store(removes, Ordering::SeqCst);
        self.held.store(false, Ordering::SeqCst);
        self.gate.notify_waiters();
    }

    fn snapshot(&self) -> Event {
        let things = self.things.lock().clone().unwrap_or_default();
        let domain = |thing| match thing {
            Thing::Domain(vm) => Some(Observation { vm, state: VmState::Running, revision: 0 }),
            _ => None,
        };
        let vms = things.into_iter().filter_map(domain).collect();
        Event::Snapshot(Box::new(Snapshot { facts: facts(), vms: Some(vms), foreign: vec![], revision: 0 }))
    }

    fn run(&self, spec: &VmSpec) -> Observation {
        self.sizes.lock().insert(spec.uuid, (spec.cpu_num, spec.memory_bytes));
        self.pins.lock().insert(spec.uuid, spec.cpu_pins.clone());
        Observation { vm: spec.uuid, state: VmState::Running, revision: 1 }
    }

    pub fn tell(&self, revision: u64) {
        let observation = Observation { vm: VmUuid::random(), state: VmState::Running, revision };
        self.told.send(Event::Vm(observation)).unwrap();
    }
}

pub fn facts() -> HostFacts {
    HostFacts {
        agent_version: "0.1.0".to_owned(),
        boot_id: "boot".to_owned(),
        hostname: "double".to_owned(),
        operating_system: "Debian".to_owned(),
        kernel: "6".to_owned(),
        cpu_model: "cpu".to_owned(),
        cpu_num: 2,
        cpus: CpuSet::first(2),
        cpu_sockets: 1,
        cpu_mhz: 2000,
        memory_bytes: 1 << 30,
        acceleration: Acceleration::Emulation,
        libvirt_version: "9.0.0".to_owned(),
        qemu_version: "7.2.0".to_owned(),
        interfaces: vec![],
    }
}

fn no_disks() -> AgentError {
    AgentError::NotFound { what: "command of the double".to_owned(), name: "volumes".to_owned() }
}

fn no_images() -> AgentError {
    AgentError::NotFound { what: "image store".to_owned(), name: "double".to_owned() }
}

macro_rules! double {
    ($($method:ident($command:ident) -> $reply:ty;)*) => {
        #[async_trait]
        impl HostAgent for Double {
            $(async fn $method(&self, _: Call, _: $command) -> Result<$reply, AgentError> {
                Err(AgentError::NotFound { what: "command of the double".to_owned(), name: stringify!($method).to_owned() })
            })*

            async fn describe_host(&self, _: Call, _: DescribeHost) -> Result<HostFacts, AgentError> {
                Ok(facts())
            }

            async fn add_image(&self, call: Call, command: AddImage) -> Result<ImageFacts, AgentError> {
                self.images.as_ref().ok_or_else(no_images)?.add_image(&call, command).await
            }

            async fn delete_image(&self, call: Call, command: DeleteImage) -> Result<(), AgentError> {
                if self.things.lock().is_some() {
                    return self.remove(Thing::File(command.path), "delete_image").await;
                }
                self.images.as_ref().ok_or_else(no_images)?.delete_image(&call, command).await
            }

            async fn fetch_image(&self, call: Call, command: FetchImage) -> Result<FetchedImage, AgentError> {
                self.images.as_ref().ok_or_else(no_images)?.fetch_image(&call, command).await
            }

            async fn measure_image(&self, _: Call, command: MeasureImage) -> Result<ImageFacts, AgentError> {
                self.images.as_ref().ok_or_else(no_images)?.measure_image(command).await
            }

            async fn survey_image_store(
                &self,
                _: Call,
                command: SurveyImageStore,
            ) -> Result<ImageStoreSurvey, AgentError> {
                self.images.as_ref().ok_or_else(no_images)?.survey_image_store(command).await
            }

            async fn label_image(&self, call: Call, command: LabelImage) -> Result<(), AgentError> {
                self.images.as_ref().ok_or_else(no_images)?.label_image(&call, command).await
            }

            async fn reclaim_space(&self, call: Call, command: ReclaimSpace) -> Result<ReclaimedSpace, AgentError> {
                self.images.as_ref().ok_or_else(no_images)?.reclaim_space(&call, command).await
            }

            async fn pause_vm(&self, _: Call, command: PauseVm) -> Result<Observation, AgentError> {
                let revision = self.pauses.fetch_add(1, Ordering::SeqCst) + 1;
                self.begun.notify_one();
                self.gate.notified().await;
                Ok(Observation { vm: command.vm, state: VmState::Paused, revision })
            }

            async fn create_volume(&self, _: Call, command: CreateVolume) -> Result<VolumeSize, AgentError> {
                self.disks.lock().as_mut().ok_or_else(no_disks)?.create(command)
            }

            async fn resize_volume(&self, _: Call, command: ResizeVolume) -> Result<VolumeSize, AgentError> {
                self.disks.lock().as_mut().ok_or_else(no_disks)?.resize(command)
            }

            async fn attach_disk(&self, _: Call, command: AttachDisk) -> Result<(), AgentError> {
                self.disks.lock().as_mut().ok_or_else(no_disks)?.attach(command)
            }

            async fn detach_disk(&self, _: Call, command: DetachDisk) -> Result<(), AgentError> {
                self.disks.lock().as_mut().ok_or_else(no_disks)?.detach(command)
            }

            async fn start_vm(&self, _: Call, command: StartVm) -> Result<Observation, AgentError> {
                Ok(self.run(&command.vm))
            }

            async fn reboot_vm(&self, _: Call, command: RebootVm) -> Result<Observation, AgentError> {
                Ok(self.run(&command.vm))
            }

            async fn measure_volume(&self, call: Call, command: MeasureVolume) -> Result<VolumeSize, AgentError> {
                if let Some(disks) = &*self.disks.lock() {
                    return disks.measure(&command.path);
                }
                call.report(1, Some(2));
                call.cancelled.cancelled().await;
                Err(AgentError::Cancelled)
            }

            async fn open_storage(&self, _: Call, command: OpenStorage) -> Result<StorageCapacity, AgentError> {
                let missing = AgentError::NotFound { what: "storage".to_owned(), name: command.root };
                (*self.capacity.lock()).ok_or(missing)
            }

            async fn survey_storage(&self, call: Call, command: SurveyStorage) -> Result<StorageSurvey, AgentError> {
                let capacity = self.open_storage(call, OpenStorage { root: command.root }).await?;
                let cached_images = self.cached.lock().clone();
                let used_bytes = cached_images.iter().map(|image| image.actual_bytes).sum();
                Ok(StorageSurvey { capacity, used_bytes, cached_images })
            }

            async fn evict_image(&self, _: Call, command: EvictImage) -> Result<(), AgentError> {
                if self.things.lock().is_some() {
                    return self.remove(Thing::File(command.path), "evict_image").await;
                }
                if self.refuses.load(Ordering::SeqCst) {
                    return Err(AgentError::InUse { what: command.path, user: "a volume of the double".to_owned() });
                }
                self.begun.notify_one();
                self.gate.notified().await;
                self.cached.lock().retain(|image| image.path != command.path);
                Ok(())
            }

            async fn delete_volume(&self, _: Call, command: DeleteVolume) -> Result<(), AgentError> {
                if self.refuses.load(Ordering::SeqCst) {
                    return Err(AgentError::Internal { reason: "the double refuses".to_owned() });
                }
                if self.things.lock().is_some() {
                    self.remove(Thing::File(command.path.clone()), "delete_volume").await?;
                }
                if let Some(disks) = &mut *self.disks.lock() {
                    disks.files.remove(&command.path);
                }
                self.deleted.lock().push(command.path);
                Ok(())
            }

            async fn set_nics(&self, _: Call, command: SetNics) -> Result<(), AgentError> {
                if self.refuses.load(Ordering::SeqCst) {
                    return Err(AgentError::Internal { reason: "the double refuses".to_owned() });
                }
                if self.things.lock().is_some() {
                    self.set_interfaces(&command.vm).await?;
                }
                *self.nics.lock() = command.vm.nics;
                Ok(())
            }

            async fn set_discs(&self, _: Call, _: SetDiscs) -> Result<(), AgentError> {
                Ok(())
            }

            async fn stop_vm(&self, _: Call, command: StopVm) -> Result<Observation, AgentError> {
                self.remove(Thing::Domain(command.vm), "stop_vm").await?;
                let observation = Observation { vm: command.vm, state: VmState::Absent, revision: 1 };
                let _ = self.told.send(Event::Vm(observation.clone()));
                Ok(observation)
            }

            async fn ensure_bridge(&self, _: Call, command: EnsureBridge) -> Result<(), AgentError> {
                let missing = AgentError::NotFound { what: "command of the double".to_owned(), name: "ensure_bridge".to_owned() };
                self.things.lock().as_mut().ok_or(missing)?.insert(Thing::Bridge(command.bridge.l2_network));
                Ok(())
            }

            async fn remove_bridge(&self, _: Call, command: RemoveBridge) -> Result<(), AgentError> {
                self.remove(Thing::Bridge(command.bridge.l2_network), "remove_bridge").await
            }

            async fn remove_network(&self, _: Call, command: RemoveNetwork) -> Result<(), AgentError> {
                self.remove(Thing::Network(command.l3_network), "remove_network").await
            }

            async fn retire(&self, _: Call, _: Retire) -> Result<(), AgentError> {
                self.remove(Thing::Agent, "retire").await
            }

            async fn observe_vm(&self, _: Call, command: ObserveVm) -> Result<Observation, AgentError> {
                let missing = AgentError::NotFound { what: "VM".to_owned(), name: command.vm.to_string() };
                let state = (*self.vm_state.lock()).ok_or(missing)?;
                Ok(Observation { vm: command.vm, state, revision: 1 })
            }

            async fn open_console(&self, vm: VmUuid) -> Result<Box<dyn ConsoleStream>, AgentError> {
                let state = self.vm_state.lock().unwrap_or(VmState::Absent);
                if state == VmState::Absent {
                    return Err(AgentError::VmState { vm, state, remedy: "start it".to_owned() });
                }
                let (ours, theirs) = duplex(64 << 10);
                self.screens.lock().push_back((vm, ours));
                self.screen_opened.notify_one();
                Ok(Box::new(theirs))
            }

            fn events(&self) -> EventStream {
                let told = BroadcastStream::new(self.told.subscribe()).filter_map(async |event| event.ok());
                stream::iter([self.snapshot()]).chain(told).boxed()
            }
        }
    };
}

double! {
    run_script(RunScript) -> ScriptOutcome;
    plan_upgrade(PlanUpgrade) -> Upgrade;
    upgrade_packages(UpgradePackages) -> Upgrade;
    ensure_network(EnsureNetwork) -> ();
    offer_file(OfferFile) -> OfferedFile;
    copy_volume(CopyVolume) -> VolumeSize;
    flatten_volume(FlattenVolume) -> VolumeSize;
    export_image(ExportImage) -> ExportedImage;
    end_export(EndExport) -> ();
    cache_image(CacheImage) -> ImageFacts;
    resume_vm(ResumeVm) -> Observation;
    console_address(ConsoleAddressOf) -> Option<ConsoleAddress>;
}
