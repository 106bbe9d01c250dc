//! The interface itself: one line per command gives its name, argument and reply.

use std::{fmt, pin::Pin, sync::Arc};

use async_trait::async_trait;
use futures_util::Stream;
use serde::{Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::id::{OperationId, VmUuid};

/// The header that carries a command's [`OperationId`].
pub const OPERATION_HEADER: &str = "x-gantry-operation";

/// The TCP port an agent listens on unless it is configured otherwise.
pub const DEFAULT_PORT: u16 = 7272;

/// The TCP port on which an image store's host serves exported images unless it is configured otherwise.
pub const DEFAULT_EXPORT_PORT: u16 = 7273;

/// A command and the type of its reply.
pub trait Command: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The command's name in the path `/v1/commands/{name}`.
    const NAME: &'static str;
    /// What the agent answers.
    type Reply: Serialize + DeserializeOwned + Send + 'static;
}

/// What accompanies a command: its id, where its progress goes, and whether the caller still wants it.
#[derive(Clone)]
pub struct Call {
    /// A repeat of the command carries the same id and gets the first outcome.
    pub operation: OperationId,
    /// Cancelled when the caller no longer wants the outcome; long commands then stop and clean up.
    pub cancelled: CancellationToken,
    progress: Arc<dyn Fn(Progress) + Send + Sync>,
}

impl Call {
    /// A call whose progress goes to `progress`.
    pub fn new(operation: OperationId, progress: Arc<dyn Fn(Progress) + Send + Sync>) -> Self {
        Self { operation, cancelled: CancellationToken::new(), progress }
    }

    /// A call whose progress nobody follows.
    pub fn detached(operation: OperationId) -> Self {
        Self::new(operation, Arc::new(|_| ()))
    }

    /// Tells the caller how far the command is.
    pub fn report(&self, done_bytes: u64, total_bytes: Option<u64>) {
        (self.progress)(Progress { operation: self.operation, done_bytes, total_bytes });
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("operation", &self.operation).finish_non_exhaustive()
    }
}

/// The agent's events, from the moment of subscription on.
pub type EventStream = Pin<Box<dyn Stream<Item = Event> + Send>>;

/// A VM's screen, keyboard and pointer: a connection that speaks RFB, the VNC protocol. It ends when the VM does.
pub trait ConsoleStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> ConsoleStream for T {}

/// The `:protocol` of the extended CONNECT that opens a [`ConsoleStream`] at [`console_path`].
pub const CONSOLE_PROTOCOL: &str = "rfb";

/// The path of a VM's console on its agent.
pub fn console_path(vm: impl fmt::Display) -> String {
    format!("/v1/consoles/{vm}")
}

macro_rules! agent_interface {
    ($($(#[$doc:meta])* $method:ident($command:ident) -> $reply:ty;)*) => {
        /// What a host can do for the management node. Every command is idempotent: done twice, it has the effect of once.
        #[async_trait]
        pub trait HostAgent: Send + Sync + 'static {
            $($(#[$doc])* async fn $method(&self, call: Call, command: $command) -> Result<$reply, AgentError>;)*

            /// The host's events. The first is [`Event::Snapshot`]; another one follows at intervals.
            fn events(&self) -> EventStream;

            /// Opens the VM's console. Each call is a connection of its own; several may be open at once.
            async fn open_console(&self, vm: VmUuid) -> Result<Box<dyn ConsoleStream>, AgentError>;
        }

        $(impl Command for $command {
            const NAME: &'static str = stringify!($method);
            type Reply = $reply;
        })*

        /// The names of all commands.
        pub const COMMANDS: &[&str] = &[$(stringify!($method),)*];

        /// Carries out the command `name` whose JSON is `body`; answers the JSON of its reply.
        pub async fn dispatch(agent: &dyn HostAgent, call: Call, name: &str, body: &[u8]) -> Result<Vec<u8>, AgentError> {
            match name {
                $(stringify!($method) => {
                    let command: $command = serde_json::from_slice(body)
                        .map_err(|error| AgentError::invalid("body", name, error.to_string()))?;
                    encode(&agent.$method(call, command).await?)
                })*
                _ => Err(AgentError::invalid("command", name, "use one of the commands of this agent's version; is the agent older than the node?")),
            }
        }
    };
}

fn encode<T: Serialize>(reply: &T) -> Result<Vec<u8>, AgentError> {
    serde_json::to_vec(reply).map_err(|error| AgentError::Internal { reason: error.to_string() })
}

agent_interface! {
    /// What the host is and has.
    describe_host(DescribeHost) -> HostFacts;
    /// Forgets the management node: configuration and certificate are deleted and the agent ends for good. Refused with
    /// `InUse` while VMs of the node run here.
    retire(Retire) -> ();
    /// Runs a script on the host, once: repeated after a restart of the agent, it answers what became of the first run.
    run_script(RunScript) -> ScriptOutcome;
    /// What an upgrade of the host's packages would do, and what stands in its way.
    plan_upgrade(PlanUpgrade) -> Upgrade;
    /// Upgrades the host's packages.
    upgrade_packages(UpgradePackages) -> Upgrade;

    /// Makes a bridge and puts the physical interface into it, keeping the host's own addresses and routes reachable.
    ensure_bridge(EnsureBridge) -> ();
    /// Takes the bridge away again and gives the physical interface its addresses back.
    remove_bridge(RemoveBridge) -> ();
    /// Serves DHCP and user data of an L3 network on this host, or brings what is served up to date.
    ensure_network(EnsureNetwork) -> ();
    /// Ends the services of an L3 network on this host.
    remove_network(RemoveNetwork) -> ();

    /// Makes a storage's directory if need be, checks that it can be written, and reports its capacity.
    open_storage(OpenStorage) -> StorageCapacity;
    /// Makes a qcow2 volume, empty or on a backing file. One that is there already and fits is left as it is.
    create_volume(CreateVolume) -> VolumeSize;
    /// Deletes a volume, its temporary files included. A volume that is not there is a success.
    delete_volume(DeleteVolume) -> ();
    /// Makes a volume larger, also while a VM has it open, whose guest sees the new size then. One that has the size is left
    /// as it is; one that is larger is refused.
    resize_volume(ResizeVolume) -> VolumeSize;
    /// Makes a self-contained copy of a volume that no VM has open.
    flatten_volume(FlattenVolume) -> VolumeSize;
    /// How large a volume is.
    measure_volume(MeasureVolume) -> VolumeSize;
    /// What a storage holds: its capacity, what its files take, the images in its cache.
    survey_storage(SurveyStorage) -> StorageSurvey;
    /// Lets one host fetch a volume or a cached image. Refused with `InUse` while a VM has the volume open.
    offer_file(OfferFile) -> OfferedFile;
    /// Makes a copy of an offered volume, of this host or of a peer.
    copy_volume(CopyVolume) -> VolumeSize;

    /// Brings an image from a URL into this host's image store: downloaded, checked, measured.
    add_image(AddImage) -> ImageFacts;
    /// Deletes an image from this host's image store. An image that is not there is a success.
    delete_image(DeleteImage) -> ();
    /// Brings an image from an image store, here or on a peer, into a primary storage's image cache.
    cache_image(CacheImage) -> ImageFacts;
    /// Deletes an image from a primary storage's image cache, unless a volume still stands on it.
    evict_image(EvictImage) -> ();

    /// Brings a file of a storage, here or on a peer, into this host's image store; only what is missing travels.
    fetch_image(FetchImage) -> FetchedImage;
    /// Measures an image of this host's image store.
    measure_image(MeasureImage) -> ImageFacts;
    /// Has an image of this host's image store served over HTTP.
    export_image(ExportImage) -> ExportedImage;
    /// Has an image served over HTTP no more. One that is not exported is a success.
    end_export(EndExport) -> ();
    /// Which images are in this host's image store.
    survey_image_store(SurveyImageStore) -> ImageStoreSurvey;
    /// Puts down beside an image of this host's image store what the node knows of it.
    label_image(LabelImage) -> ();
    /// Removes from this host's image store what nothing needs.
    reclaim_space(ReclaimSpace) -> ReclaimedSpace;

    /// Starts the VM, its networks and leases included. A VM that runs already is left running.
    start_vm(StartVm) -> Observation;
    /// Stops the VM and removes what only a running VM needs.
    stop_vm(StopVm) -> Observation;
    /// Restarts the guest.
    reboot_vm(RebootVm) -> Observation;
    /// Plugs and unplugs network interfaces of a running VM, and answers when its guest has let go of the latter. `InUse`
    /// where the guest does not. A VM that does not run is left as it is.
    set_nics(SetNics) -> ();
    /// Changes the discs in a running VM's drives. A VM that does not run is left as it is.
    set_discs(SetDiscs) -> ();
    /// Suspends the VM's processors.
    pause_vm(PauseVm) -> Observation;
    /// Lets a paused VM go on.
    resume_vm(ResumeVm) -> Observation;
    /// Attaches a data disk to a VM that runs. One that is attached already is left as it is.
    attach_disk(AttachDisk) -> ();
    /// Detaches a volume's disk from a VM and answers when the guest has let go of it. `InUse` where the guest does not.
    /// A disk that is not attached, or a VM that does not run, is a success.
    detach_disk(DetachDisk) -> ();
    /// Looks at the VM now.
    observe_vm(ObserveVm) -> Observation;
    /// Where VNC viewers reach the VM's console, if it has a port for them.
    console_address(ConsoleAddressOf) -> Option<ConsoleAddress>;
}
