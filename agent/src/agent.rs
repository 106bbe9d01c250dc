//! The real host agent: one implementation of `HostAgent` over libvirt, the kernel and the files.

use std::{
    collections::HashSet,
    sync::{Arc, Weak},
    time::Duration,
};

use async_trait::async_trait;
use axum::Router;
use futures_util::stream;
use gantry_common::{agent::*, id::VmUuid};
use tokio::{
    sync::{RwLock, broadcast},
    time::{Instant, Interval, MissedTickBehavior, interval, interval_at},
};

use crate::{
    config::Config,
    errand::Errands,
    image::{Exports, Images, http_client},
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
    exports: Exports,
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
            exports: Exports::new(config.export_dir.clone(), config.export_address()),
            membership,
            events,
            starting: RwLock::default(),
        });
        agent.exports.resume();
        tokio::spawn(sweep_networks(Arc::downgrade(&agent)));
        Ok(agent)
    }

    /// What other hosts may read here.
    pub fn peer_routes(&self) -> Router {
        self.images.serve()
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
        self.exports.end_all().await?;
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

    async fn resize_volume(&self, call: Call, command: ResizeVolume) -> Result<VolumeSize, AgentError> {
        let measure = MeasureVolume { root: command.root.clone(), path: command.path.clone() };
        let (vm, volume, size_bytes) = (command.vm, command.volume, command.size_bytes);
        let at_rest = {
            let (storages, call) = (self.storages.clone(), call.clone());
            async move { storages.resize_volume(&call, command).await }
        };
        match vm {
            Some(vm) => self.vms.resize_disk(vm, volume, size_bytes, at_rest).await?,
            None => at_rest.await?,
        }
        self.storages.measure_volume(&call, measure).await
    }

    async fn measure_volume(&self, call: Call, command: MeasureVolume) -> Result<VolumeSize, AgentError> {
        self.storages.measure_volume(&call, command).await
    }

    async fn survey_storage(&self, _call: Call, command: SurveyStorage) -> Result<StorageSurvey, AgentError> {
        self.images.survey_storage(command).await
    }

    async fn offer_file(&self, call: Call, command: OfferFile) -> Result<OfferedFile, AgentError> {
        self.images.offer_file(&call, command).await
    }

    async fn copy_volume(&self, call: Call, command: CopyVolume) -> Result<VolumeSize, AgentError> {
        self.images.copy_volume(&call, command).await
    }

    async fn flatten_volume(&self, call: Call, command: FlattenVolume) -> Result<VolumeSize, AgentError> {
        self.images.flatten_volume(&call, command).await
    }

    async fn fetch_image(&self, call: Call, command: FetchImage) -> Result<FetchedImage, AgentError> {
        self.images.fetch_image(&call, command).await
    }

    async fn measure_image(&self, _call: Call, command: MeasureImage) -> Result<ImageFacts, AgentError> {
        self.images.measure_image(command).await
    }

    async fn export_image(&self, _call: Call, command: ExportImage) -> Result<ExportedImage, AgentError> {
        self.exports.export(command).await
    }

    async fn end_export(&self, _call: Call, command: EndExport) -> Result<(), AgentError> {
        self.exports.end(&command.path).await
    }

    async fn survey_image_store(&self, _call: Call, command: SurveyImageStore) -> Result<ImageStoreSurvey, AgentError> {
        self.images.survey_image_store(command).await
    }

    async fn label_image(&self, call: Call, command: LabelImage) -> Result<(), AgentError> {
        self.images.label_image(&call, command).await
    }

    async fn reclaim_space(&self, call: Call, command: ReclaimSpace) -> Result<ReclaimedSpace, AgentError> {
        self.images.reclaim_space(&call, command).await
    }

    async fn add_image(&self, call: Call, command: AddImage) -> Result<ImageFacts, AgentError> {
        self.images.add_image(&call, command).await
    }

    async fn delete_image(&self, call: Call, command: DeleteImage) -> Result<(), AgentError> {
        self.exports.end(&command.path).await?;
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

    async fn set_nics(&self, _call: Call, command: SetNics) -> Result<(), AgentError> {
        self.vms.set_nics(command.vm).await
    }

    async fn set_discs(&self, _call: Call, command: SetDiscs) -> Result<(), AgentError> {
        self.vms.set_discs(command.vm, command.drives).await
    }

    async fn pause_vm(&self, _call: Call, command: PauseVm) -> Result<Observation, AgentError> {
        self.vms.pause(command.vm).await
    }

    async fn resume_vm(&self, _call: Call, command: ResumeVm) -> Result<Observation, AgentError> {
        self.vms.resume(command.vm).await
    }

    async fn attach_disk(&self, _call: Call, command: AttachDisk) -> Result<(), AgentError> {
        self.vms.attach_disk(command.vm, command.platform, command.disk).await
    }

    async fn detach_disk(&self, _call: Call, command: DetachDisk) -> Result<(), AgentError> {
        self.vms.detach_disk(command.vm, command.volume).await
    }

    async fn observe_vm(&self, _call: Call, command: ObserveVm) -> Result<Observation, AgentError> {
        self.vms.observe(command.vm).await
    }

    async fn console_address(
        &self,
        _call: Call,
        command: ConsoleAddressOf,
    ) -> Result<Option<ConsoleAddress>, AgentError> {
        self.vms.console_address(command.vm).await
    }

    async fn open_console(&self, vm: VmUuid) -> Result<Box<dyn ConsoleStream>, AgentError> {
        Ok(Box::new(self.vms.open_console(vm).await?))
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
