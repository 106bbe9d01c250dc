//! The real host agent: one implementation of `HostAgent` over libvirt, the kernel and the files.

use std::{
    collections::HashSet,
    sync::{Arc, Weak},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::stream;
use gantry_common::{agent::*, id::VmUuid};
use tokio::{
    sync::{RwLock, broadcast},
    time::{Instant, Interval, MissedTickBehavior, interval, interval_at},
};

use crate::{
    config::Config,
    errand::Errands,
    image::{Images, http_client},
    network::{NetworkPaths, Networks},
    retire::{self, Membership},
    server::identity::Identity,
    storage::{PathLocks, Storages},
    vm::{Settings, VirtualMachines},
};

/// How often the node gets everything the host sees, whatever happened.
const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(30);

/// How often networks of VMs that are gone are looked for.
const NETWORK_SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// Events that wait for a reader of the event stream. One that misses some gets a snapshot instead.
const BUFFERED_EVENTS: usize = 1024;

/// A KVM host.
pub struct Agent {
    vms: VirtualMachines,
    networks: Arc<Networks>,
    storages: Storages,
    images: Images,
    errands: Errands,
    membership: Membership,
    events: broadcast::Sender<Event>,
    /// Read while a VM starts. Only while none does, the networks of VMs that are gone are taken away.
    starting: RwLock<()>,
}

impl Agent {
    /// Takes up what an earlier agent left on this host, and connects to libvirt as soon as that is possible.
    ///
    /// # Errors
    /// `/proc/cpuinfo`, the system's certificates or `identity` cannot be used.
    pub async fn start(config: &Config, membership: Membership, identity: &Arc<Identity>) -> anyhow::Result<Arc<Self>> {
        let networks = Arc::new(Networks::new(NetworkPaths { run_dir: config.run_dir.clone() }));
        if let Err(error) = networks.restore().await {
            // Whoever needs the broken network will be told; the others must not wait for it.
            tracing::error!("a network of this host could not be restored: {error}");
        }
        let (events, _) = broadcast::channel(BUFFERED_EVENTS);
        let settings = Settings {
            attachments: config.run_dir.join("vms"),
            serial_logs: config.log_dir.join("serial"),
            ..Settings::default()
        };
        let locks = PathLocks::default();
        let peers = Arc::new(identity.client_config()?);
        let agent = Arc::new(Self {
            vms: VirtualMachines::new(settings, Arc::clone(&networks) as _, events.clone())?,
            networks,
            storages: Storages::new(locks.clone()),
            images: Images::new(http_client()?, peers, locks),
            errands: Errands::new(config.run_dir.join("errands")),
            membership,
            events,
            starting: RwLock::default(),
        });
        tokio::spawn(sweep_networks(Arc::downgrade(&agent)));
        Ok(agent)
    }

    /// Takes away networks of VMs that are gone, and restores the packet filter should another program have removed it.
    async fn sweep_networks(&self) {
        let Some(mut wanted) = self.vms.snapshot().await.vms.map(running) else { return };
        let Ok(_none_starts) = self.starting.try_write() else { return };
        match self.vms.attached() {
            Ok(attached) => wanted.extend(attached),
            Err(error) => return tracing::warn!("the VMs with attached networks are not known: {error}"),
        }
        if let Err(error) = self.networks.sweep(&wanted).await {
            tracing::warn!("networks of VMs that are gone remain; it will be tried again: {error}");
        }
    }
}

fn running(vms: Vec<Observation>) -> HashSet<VmUuid> {
    vms.into_iter().map(|observation| observation.vm).collect()
}

async fn sweep_networks(agent: Weak<Agent>) {
    let mut ticks = interval(NETWORK_SWEEP_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(agent) = agent.upgrade() else { return };
        agent.sweep_networks().await;
    }
}

#[async_trait]
impl HostAgent for Agent {
    async fn describe_host(&self, _call: Call, _command: DescribeHost) -> Result<HostFacts, AgentError> {
        Ok(self.vms.facts().await)
    }

    async fn retire(&self, _call: Call, _command: Retire) -> Result<(), AgentError> {
        let running = self.vms.snapshot().await.vms.unwrap_or_default();
        if let Some(vm) = running.first() {
            let user = format!("{} VMs that run on it, such as {}", running.len(), vm.vm);
            return Err(AgentError::InUse { what: "the host".to_owned(), user });
        }
        self.membership.delete()?;
        tracing::info!("this host is no longer its management node's: the agent ends");
        retire::leave();
        Ok(())
    }

    async fn run_script(&self, call: Call, command: RunScript) -> Result<ScriptOutcome, AgentError> {
        self.errands.run_script(&call, &command).await
    }

    async fn plan_upgrade(&self, call: Call, command: PlanUpgrade) -> Result<Upgrade, AgentError> {
        self.errands.plan_upgrade(&call, &command.exclude).await
    }

    async fn upgrade_packages(&self, call: Call, command: UpgradePackages) -> Result<Upgrade, AgentError> {
        self.errands.upgrade_packages(&call, &command.exclude).await
    }

    async fn ensure_bridge(&self, _call: Call, command: EnsureBridge) -> Result<(), AgentError> {
        self.networks.ensure_bridge(&command.bridge).await
    }

    async fn remove_bridge(&self, _call: Call, command: RemoveBridge) -> Result<(), AgentError> {
        self.networks.remove_bridge(&command.bridge).await
    }

    async fn ensure_network(&self, _call: Call, command: EnsureNetwork) -> Result<(), AgentError> {
        self.networks.ensure_network(&command.network).await
    }

    async fn remove_network(&self, _call: Call, command: RemoveNetwork) -> Result<(), AgentError> {
        self.networks.remove_network(command.l3_network).await
    }

    async fn open_storage(&self, call: Call, command: OpenStorage) -> Result<StorageCapacity, AgentError> {
        self.storages.open_storage(&call, command).await
    }

    async fn create_volume(&self, call: Call, command: CreateVolume) -> Result<VolumeSize, AgentError> {
        self.storages.create_volume(&call, command).await
    }

    async fn delete_volume(&self, call: Call, command: DeleteVolume) -> Result<(), AgentError> {
        self.storages.delete_volume(&call, command).await
    }

    async fn measure_volume(&self, call: Call, command: MeasureVolume) -> Result<VolumeSize, AgentError> {
        self.storages.measure_volume(&call, command).await
    }

    async fn add_image(&self, call: Call, command: AddImage) -> Result<ImageFacts, AgentError> {
        self.images.add_image(&call, command).await
    }

    async fn delete_image(&self, call: Call, command: DeleteImage) -> Result<(), AgentError> {
        self.images.delete_image(&call, command).await
    }

    async fn cache_image(&self, call: Call, command: CacheImage) -> Result<ImageFacts, AgentError> {
        self.images.cache_image(&call, command).await
    }

    async fn evict_image(&self, call: Call, command: EvictImage) -> Result<(), AgentError> {
        self.images.evict_image(&call, command).await
    }

    async fn start_vm(&self, _call: Call, command: StartVm) -> Result<Observation, AgentError> {
        let _starting = self.starting.read().await;
        self.vms.start(command.vm).await
    }

    async fn stop_vm(&self, _call: Call, command: StopVm) -> Result<Observation, AgentError> {
        self.vms.stop(command.vm, command.mode).await
    }

    async fn reboot_vm(&self, _call: Call, command: RebootVm) -> Result<Observation, AgentError> {
        let _starting = self.starting.read().await;
        self.vms.reboot(command.vm, command.mode).await
    }

    async fn pause_vm(&self, _call: Call, command: PauseVm) -> Result<Observation, AgentError> {
        self.vms.pause(command.vm).await
    }

    async fn resume_vm(&self, _call: Call, command: ResumeVm) -> Result<Observation, AgentError> {
        self.vms.resume(command.vm).await
    }

    async fn observe_vm(&self, _call: Call, command: ObserveVm) -> Result<Observation, AgentError> {
        self.vms.observe(command.vm).await
    }

    async fn console_address(&self, _call: Call, command: ConsoleAddressOf) -> Result<ConsoleAddress, AgentError> {
        self.vms.console_address(command.vm).await
    }

    fn events(&self) -> EventStream {
        // Subscribed before the first snapshot is taken, so that nothing falls between the two.
        let reader = EventReader { vms: self.vms.clone(), events: self.events.subscribe(), snapshots: None };
        Box::pin(stream::unfold(reader, async |mut reader| {
            let event = reader.next().await?;
            Some((event, reader))
        }))
    }
}

/// One event stream.
struct EventReader {
    vms: VirtualMachines,
    events: broadcast::Receiver<Event>,
    /// `None` before the first snapshot.
    snapshots: Option<Interval>,
}

impl EventReader {
    async fn next(&mut self) -> Option<Event> {
        let Some(snapshots) = &mut self.snapshots else { return Some(self.snapshot().await) };
        let received = tokio::select! {
            received = self.events.recv() => received,
            _ = snapshots.tick() => return Some(self.snapshot().await),
        };
        match received {
            Ok(event) => {
                if matches!(event, Event::Snapshot(_)) {
                    snapshots.reset();
                }
                Some(event)
            }
            Err(broadcast::error::RecvError::Lagged(_)) => Some(self.snapshot().await),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    async fn snapshot(&mut self) -> Event {
        let snapshot = self.vms.snapshot().await;
        let mut snapshots = interval_at(Instant::now() + SNAPSHOT_INTERVAL, SNAPSHOT_INTERVAL);
        snapshots.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.snapshots = Some(snapshots);
        Event::Snapshot(Box::new(snapshot))
    }
}
