//! A host whose commands do what a test tells them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use gantry_agent::image::Images;
use gantry_common::{agent::*, id::VmUuid};
use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast};
use tokio_stream::wrappers::BroadcastStream;

/// The host. Images are handled by the agent's own code where there are any; `pause_vm` waits for `gate`, `measure_volume`
/// reports progress until it is cancelled, `delete_volume` notes the path and `set_nics` the interfaces unless it refuses.
pub struct Double {
    pub deleted: Mutex<Vec<String>>,
    /// The interfaces of its VM, as it was last told.
    pub nics: Mutex<Vec<Nic>>,
    /// What every storage has, where there are any.
    pub capacity: Mutex<Option<StorageCapacity>>,
    pub refuses: AtomicBool,
    pub gate: Notify,
    pub begun: Notify,
    pub pauses: AtomicU64,
    pub told: broadcast::Sender<Event>,
    pub images: Option<Images>,
}

impl Double {
    pub fn new() -> Arc<Self> {
        Arc::new(Self::with_images(None))
    }

    pub fn with_images(images: Option<Images>) -> Self {
        let told = broadcast::Sender::new(4096);
        Self {
            deleted: Mutex::default(),
            nics: Mutex::default(),
            capacity: Mutex::default(),
            refuses: AtomicBool::new(false),
            gate: Notify::new(),
            begun: Notify::new(),
            pauses: AtomicU64::new(0),
            told,
            images,
        }
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
        cpu_sockets: 1,
        cpu_mhz: 2000,
        memory_bytes: 1 << 30,
        acceleration: Acceleration::Emulation,
        libvirt_version: "9.0.0".to_owned(),
        qemu_version: "7.2.0".to_owned(),
        interfaces: vec![],
    }
}

pub fn snapshot() -> Event {
    Event::Snapshot(Box::new(Snapshot { facts: facts(), vms: Some(vec![]), foreign: vec![], revision: 0 }))
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
                self.images.as_ref().ok_or_else(no_images)?.delete_image(&call, command).await
            }

            async fn pause_vm(&self, _: Call, command: PauseVm) -> Result<Observation, AgentError> {
                let revision = self.pauses.fetch_add(1, Ordering::SeqCst) + 1;
                self.begun.notify_one();
                self.gate.notified().await;
                Ok(Observation { vm: command.vm, state: VmState::Paused, revision })
            }

            async fn measure_volume(&self, call: Call, _: MeasureVolume) -> Result<VolumeSize, AgentError> {
                call.report(1, Some(2));
                call.cancelled.cancelled().await;
                Err(AgentError::Cancelled)
            }

            async fn open_storage(&self, _: Call, command: OpenStorage) -> Result<StorageCapacity, AgentError> {
                let missing = AgentError::NotFound { what: "storage".to_owned(), name: command.root };
                (*self.capacity.lock()).ok_or(missing)
            }

            async fn delete_volume(&self, _: Call, command: DeleteVolume) -> Result<(), AgentError> {
                if self.refuses.load(Ordering::SeqCst) {
                    return Err(AgentError::Internal { reason: "the double refuses".to_owned() });
                }
                self.deleted.lock().push(command.path);
                Ok(())
            }

            async fn set_nics(&self, _: Call, command: SetNics) -> Result<(), AgentError> {
                if self.refuses.load(Ordering::SeqCst) {
                    return Err(AgentError::Internal { reason: "the double refuses".to_owned() });
                }
                *self.nics.lock() = command.vm.nics;
                Ok(())
            }

            async fn set_discs(&self, _: Call, _: SetDiscs) -> Result<(), AgentError> {
                Ok(())
            }

            fn events(&self) -> EventStream {
                let told = BroadcastStream::new(self.told.subscribe()).filter_map(async |event| event.ok());
                stream::iter([snapshot()]).chain(told).boxed()
            }
        }
    };
}

double! {
    retire(Retire) -> ();
    ensure_bridge(EnsureBridge) -> ();
    remove_bridge(RemoveBridge) -> ();
    ensure_network(EnsureNetwork) -> ();
    remove_network(RemoveNetwork) -> ();
    create_volume(CreateVolume) -> VolumeSize;
    cache_image(CacheImage) -> ImageFacts;
    evict_image(EvictImage) -> ();
    start_vm(StartVm) -> Observation;
    stop_vm(StopVm) -> Observation;
    reboot_vm(RebootVm) -> Observation;
    resume_vm(ResumeVm) -> Observation;
    attach_disk(AttachDisk) -> ();
    detach_disk(DetachDisk) -> ();
    observe_vm(ObserveVm) -> Observation;
    console_address(ConsoleAddressOf) -> ConsoleAddress;
}
