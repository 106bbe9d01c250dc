//! The VMs on this host.
//!
//! A command takes its VM's turn, looks, acts, and looks again; what it answers is that last look. Domains are
//! transient: one that ended is gone, and a host that restarts starts none of them by itself.
//!
//! - `start`, `stop`, `pause`, `console`, `disks`, `discs`, `nics`: the commands
//! - `devices`: how the devices of a VM that runs are changed
//! - `observer`, `look`, `state`: numbered looks, and what they see
//! - `watch`: follows libvirt's events, and libvirtd's absence
//! - `turn`: one command per VM at a time
//! - `attachments`, `serial_logs`: what a domain does not take with it when it ends

mod attachments;
mod console;
mod devices;
mod discs;
mod disks;
mod files;
mod look;
mod nics;
mod observer;
mod pause;
mod serial_logs;
mod start;
mod state;
mod stop;
#[cfg(test)]
mod tests;
mod turn;
mod watch;

use std::{future::Future, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use gantry_common::{
    agent::{
        AgentError, Cdrom, ConsoleAddress, Disk, Event, HostFacts, Observation, Platform, Snapshot, StopMode, VmSpec,
        VmState,
    },
    id::{VmUuid, VolumeUuid},
};
use tokio::{
    net::UnixStream,
    sync::{broadcast, mpsc},
};

pub use self::start::nvram_path;
use self::{
    attachments::Attachments,
    devices::{DeviceName, Removals},
    observer::Observer,
    turn::Turns,
};
use crate::{
    host,
    libvirt::{EventConnection, Executor, SYSTEM_URI, acceleration, domain_xml::Hypervisor},
    network::Networks,
};

/// Calls that change domains, at a time. libvirtd has 20 threads for such calls, for all its clients.
const COMMAND_THREADS: usize = 16;
/// Looks at a time, which libvirtd answers on threads of their own.
const LOOK_THREADS: usize = 4;

/// The part of the networks that VMs need.
#[async_trait]
pub trait GuestNetworks: Send + Sync + 'static {
    /// Brings up everything the VM's interfaces need before its domain starts.
    async fn attach_vm(&self, vm: &VmSpec) -> Result<(), AgentError>;
    /// Takes it away again. A VM that has none of it is a success.
    async fn detach_vm(&self, vm: VmUuid) -> Result<(), AgentError>;
}

#[async_trait]
impl GuestNetworks for Networks {
    async fn attach_vm(&self, vm: &VmSpec) -> Result<(), AgentError> {
        Networks::attach_vm(self, vm).await
    }

    async fn detach_vm(&self, vm: VmUuid) -> Result<(), AgentError> {
        Networks::detach_vm(self, vm).await
    }
}

/// Where the VMs' side of the agent finds and keeps things.
#[derive(Debug, Clone)]
pub struct Settings {
    /// libvirt's connection URI.
    pub uri: String,
    /// A directory for [`Attachments`], which a restart of the host empties.
    pub attachments: PathBuf,
    /// The directory in which the guests' serial lines are recorded.
    pub serial_logs: PathBuf,
    /// How long a guest has to let go of a device.
    pub device_patience: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            uri: SYSTEM_URI.into(),
            attachments: "/run/gantry/vms".into(),
            serial_logs: "/var/log/gantry/serial".into(),
            // A busy guest under emulation takes seconds; one without a system never answers.
            device_patience: Duration::from_secs(40),
        }
    }
}

/// The VMs on this host. Clones are the same.
#[derive(Clone)]
pub struct VirtualMachines(Arc<Host>);

struct Host {
    settings: Settings,
    hypervisor: Hypervisor,
    commands: Executor,
    observer: Observer,
    attachments: Attachments,
    networks: Arc<dyn GuestNetworks>,
    turns: Turns,
    removals: Removals,
    connection: EventConnection,
}

impl VirtualMachines {
    /// Connects to libvirt, now and whenever the connection is lost, and tells `sink` what is seen. libvirtd need not
    /// be there yet. Call it on a tokio runtime.
    ///
    /// # Errors
    /// `/proc/cpuinfo` cannot be read.
    pub fn new(
        settings: Settings,
        networks: Arc<dyn GuestNetworks>,
        sink: broadcast::Sender<Event>,
    ) -> std::io::Result<Self> {
        Ok(Self::with_hypervisor(settings, networks, sink, acceleration()?.into()))
    }

    fn with_hypervisor(
        settings: Settings,
        networks: Arc<dyn GuestNetworks>,
        sink: broadcast::Sender<Event>,
        hypervisor: Hypervisor,
    ) -> Self {
        let (events, happenings) = mpsc::unbounded_channel();
        let host = Arc::new(Host {
            hypervisor,
            commands: Executor::new("vm-command", &settings.uri, COMMAND_THREADS),
            observer: Observer::new(Executor::new("vm-look", &settings.uri, LOOK_THREADS), sink),
            attachments: Attachments::in_directory(settings.attachments.clone()),
            networks,
            turns: Turns::default(),
            removals: Removals::default(),
            connection: EventConnection::keep(&settings.uri, events),
            settings,
        });
        tokio::spawn(watch::watch(Arc::downgrade(&host), happenings, host.connection.link()));
        Self(host)
    }

    /// Starts the VM, its networks included. A VM that runs already is left running; a start that fails leaves nothing.
    pub async fn start(&self, spec: VmSpec) -> Result<Observation, AgentError> {
        let vm = spec.uuid;
        self.run(async move |host| start::start(&host, host.turns.of(vm).await, &spec).await).await
    }

    /// Stops the VM and removes what only a running VM needs. With [`StopMode::Force`], a graceful stop that waits for
    /// the guest waits no longer.
    pub async fn stop(&self, vm: VmUuid, mode: StopMode) -> Result<Observation, AgentError> {
        if mode == StopMode::Force {
            self.0.turns.hurry(vm);
        }
        self.run(async move |host| {
            let mut turn = host.turns.of(vm).await;
            stop::stop(&host, &mut turn, vm, mode).await
        })
        .await
    }

    /// Stops the VM as `mode` says and starts it as `spec` says. A VM that does not run is started: it may have been
    /// stopped by the same command, before the agent was killed.
    pub async fn reboot(&self, spec: VmSpec, mode: StopMode) -> Result<Observation, AgentError> {
        let vm = spec.uuid;
        self.run(async move |host| {
            start::check(&host, &spec).await?;
            let mut turn = host.turns.of(vm).await;
            stop::stop(&host, &mut turn, vm, mode).await?;
            start::start(&host, turn, &spec).await
        })
        .await
    }

    /// Suspends the VM's processors.
    pub async fn pause(&self, vm: VmUuid) -> Result<Observation, AgentError> {
        self.run(async move |host| {
            let _turn = host.turns.of(vm).await;
            pause::pause(&host, vm).await
        })
        .await
    }

    /// Lets a paused or stalled VM go on.
    pub async fn resume(&self, vm: VmUuid) -> Result<Observation, AgentError> {
        self.run(async move |host| {
            let _turn = host.turns.of(vm).await;
            pause::resume(&host, vm).await
        })
        .await
    }

    /// Attaches a data disk to the running VM. One that is attached already is left as it is.
    pub async fn attach_disk(&self, vm: VmUuid, platform: Platform, disk: Disk) -> Result<(), AgentError> {
        self.run(async move |host| {
            let turn = Arc::new(host.turns.of(vm).await);
            disks::attach(&host, &turn, vm, platform, disk).await
        })
        .await
    }

    /// Detaches a volume's disk from the VM and answers when the guest has let go of it. A disk that is not there, or a
    /// VM that does not run, is a success.
    pub async fn detach_disk(&self, vm: VmUuid, volume: VolumeUuid) -> Result<(), AgentError> {
        self.run(async move |host| {
            let turn = Arc::new(host.turns.of(vm).await);
            devices::detach(&host, &turn, vm, &DeviceName::Volume(volume)).await
        })
        .await
    }

    /// Gives the running VM the interfaces of its specification, and answers when its guest has let go of those that are
    /// not in it any more. A VM that does not run is left as it is.
    pub async fn set_nics(&self, spec: VmSpec) -> Result<(), AgentError> {
        self.run(async move |host| {
            let turn = Arc::new(host.turns.of(spec.uuid).await);
            nics::set(&host, &turn, &spec).await
        })
        .await
    }

    /// Puts discs into the running VM's drives, and takes out those that are not to be in them. A VM that does not run is
    /// left as it is.
    pub async fn set_discs(&self, vm: VmUuid, drives: Vec<Cdrom>) -> Result<(), AgentError> {
        self.run(async move |host| {
            let _turn = host.turns.of(vm).await;
            discs::set(&host, vm, &drives).await
        })
        .await
    }

    /// Makes a volume's disk larger: by QEMU where the VM runs with it, else `at_rest`, during which the VM does not start.
    pub async fn resize_disk(
        &self,
        vm: VmUuid,
        volume: VolumeUuid,
        size_bytes: u64,
        at_rest: impl Future<Output = Result<(), AgentError>> + Send + 'static,
    ) -> Result<(), AgentError> {
        self.run(async move |host| {
            let _turn = host.turns.of(vm).await;
            match disks::find(&host, vm, volume).await? {
                Some(target) => disks::resize(&host, vm, target, size_bytes).await,
                None => at_rest.await,
            }
        })
        .await
    }

    /// Looks at the VM now.
    pub async fn observe(&self, vm: VmUuid) -> Result<Observation, AgentError> {
        self.0.observer.observe(vm).await
    }

    /// Where VNC viewers reach the VM's console, if it has a port for them.
    pub async fn console_address(&self, vm: VmUuid) -> Result<Option<ConsoleAddress>, AgentError> {
        console::address(&self.0, vm).await
    }

    /// Opens the VM's console, whether it has a port or not.
    pub async fn open_console(&self, vm: VmUuid) -> Result<UnixStream, AgentError> {
        console::open(&self.0, vm).await
    }

    /// Everything there is to see now. To miss nothing, subscribe to the event sink before.
    pub async fn snapshot(&self) -> Snapshot {
        watch::snapshot(&self.0).await
    }

    /// The VMs that have something attached on this host: those that run, are about to start, or are to be cleaned up.
    pub fn attached(&self) -> std::io::Result<Vec<VmUuid>> {
        self.0.attachments.all()
    }

    /// What the host is and has.
    pub async fn facts(&self) -> HostFacts {
        host::facts(self.0.observer.executor()).await
    }

    /// Carries a command through even when its caller goes away in the middle: what is half done would stay so.
    async fn run<T: Send + 'static, F: Future<Output = Result<T, AgentError>> + Send + 'static>(
        &self,
        command: impl FnOnce(Arc<Host>) -> F,
    ) -> Result<T, AgentError> {
        tokio::spawn(command(self.0.clone()))
            .await
            .unwrap_or_else(|error| Err(AgentError::Internal { reason: format!("a VM command failed: {error}") }))
    }
}

impl std::fmt::Debug for VirtualMachines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VirtualMachines").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}

impl Host {
    /// Takes away what the ended VM had attached. Call it in the VM's turn.
    async fn release(&self, vm: VmUuid) -> Result<(), AgentError> {
        self.removals.forget_vm(vm);
        self.networks.detach_vm(vm).await?;
        self.attachments.forget(vm)
    }
}

/// The VM is in a state that does not allow the command.
fn wrong_state(vm: VmUuid, state: VmState, remedy: &str) -> AgentError {
    AgentError::VmState { vm, state, remedy: remedy.to_owned() }
}
