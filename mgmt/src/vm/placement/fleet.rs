//! The hosts as a demand sees them. What many hosts share is read once.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use gantry_common::id::{ClusterUuid, HostUuid, PrimaryStorageUuid, ZoneUuid};

use super::{Demand, StorageRule, Target, VolumeDemand, image_copy};
use crate::{
    failure::Failure,
    hosts::processors,
    operations::require,
    resource::{
        AdminState, Cluster, ConnectionStatus, Host, Image, L2Network, L2NetworkClusterRef, PrimaryStorage,
        PrimaryStorageClusterRef, UserTag, Zone,
    },
    store::{LocalStorageCapacity, SqlValue, Tx},
};

/// The hosts as a demand sees them.
pub struct Fleet<'a> {
    tx: &'a Tx<'a>,
    demand: &'a Demand,
    clusters: HashMap<ClusterUuid, Rc<ClusterView>>,
    storages: HashMap<PrimaryStorageUuid, Rc<StorageView>>,
    /// Why the hosts of a zone get no image, by whether they have it in their cache.
    images: HashMap<(ZoneUuid, bool), Option<String>>,
    vms: HashMap<HostUuid, u64>,
}

/// What the hosts of a cluster share.
struct ClusterView {
    /// Why none of them can take the VM.
    reasons: Vec<String>,
    /// The primary storages they have.
    storages: Vec<Rc<StorageView>>,
}

/// A primary storage.
struct StorageView {
    storage: PrimaryStorage,
    user_tags: Vec<String>,
    /// What it has on each host.
    room: HashMap<HostUuid, LocalStorageCapacity>,
    /// The hosts that have the image in its cache.
    cached_on: HashSet<HostUuid>,
}

impl<'a> Fleet<'a> {
    pub fn new(tx: &'a Tx<'a>, demand: &'a Demand) -> Result<Self, Failure> {
        let vms = if demand.choice.counts_vms() { tx.vms_by_host()? } else { HashMap::new() };
        let (clusters, storages, images) = (HashMap::new(), HashMap::new(), HashMap::new());
        Ok(Self { tx, demand, clusters, storages, images, vms })
    }

    /// How many VMs are on a host; 0 where the choice does not go by it.
    pub fn vms_on(&self, host: HostUuid) -> u64 {
        self.vms.get(&host).copied().unwrap_or(0)
    }

    /// The storages that a host would use for the volumes, or all that keeps it from taking the VM.
    pub fn judge(&mut self, host: &Host) -> Result<Result<Vec<PrimaryStorageUuid>, String>, Failure> {
        let demand = self.demand;
        if demand.home.is_some_and(|home| home != host.uuid) {
            return Ok(Err("the VM's volumes are on the local storage of another host".to_owned()));
        }
        if demand.zone.is_some_and(|zone| zone != host.zone_uuid) {
            return Ok(Err("the VM belongs to another zone".to_owned()));
        }
        if host.state != AdminState::Enabled {
            return Ok(Err(format!("it is {}", host.state)));
        }
        if host.status != ConnectionStatus::Connected {
            return Ok(Err(format!("it is {}", host.status)));
        }
        if self.tx.is_going(&host.uuid.to_string())? {
            return Ok(Err("it is being deleted".to_owned()));
        }
        let cluster = self.cluster(host.cluster_uuid)?;
        let mut reasons = cluster.reasons.clone();
        reasons.extend(self.lacks_processors(host)?);
        if demand.runs {
            self.judge_running(host, &mut reasons);
        }
        let storages = match self.choose_storages(host, &cluster)? {
            Ok(storages) => storages,
            Err(reason) => {
                reasons.push(reason);
                Vec::new()
            }
        };
        Ok(if reasons.is_empty() { Ok(storages) } else { Err(reasons.join(", and ")) })
    }

    /// Also of a VM that is not to run now: its volumes may bind it to the host.
    fn lacks_processors(&self, host: &Host) -> Result<Option<String>, Failure> {
        let wanted = &self.demand.pinned_to;
        if wanted.is_empty() {
            return Ok(None);
        }
        let there = processors(self.tx, host)?;
        let lacking = wanted.without(&there);
        let reason = || format!("it has the processors {there}, and the VM's tag vmCpuPinning names {lacking}");
        Ok((!lacking.is_empty()).then(reason))
    }

    fn judge_running(&self, host: &Host, reasons: &mut Vec<String>) {
        let demand = self.demand;
        if host.available_cpu_capacity < u64::from(demand.cpu_num) {
            reasons.push(format!("{} CPUs are left of {}", host.available_cpu_capacity, host.total_cpu_capacity));
        }
        if host.available_memory_capacity < demand.memory_bytes {
            let (left, all) = (host.available_memory_capacity, host.total_memory_capacity);
            reasons.push(format!("{left} bytes of memory are left of {all}"));
        }
        let vms = self.vms_on(host.uuid);
        if let Some(most) = demand.choice.max_vms
            && vms >= most
        {
            reasons.push(format!("{vms} VMs are on it, and maxInstancePerHost of the instance offering is {most}"));
        }
        reasons.extend(demand.affinity.as_ref().and_then(|affinity| affinity.refuse(host.uuid)));
    }

    fn cluster(&mut self, uuid: ClusterUuid) -> Result<Rc<ClusterView>, Failure> {
        if let Some(known) = self.clusters.get(&uuid) {
            return Ok(known.clone());
        }
        let view = Rc::new(self.look_at_cluster(uuid)?);
        self.clusters.insert(uuid, view.clone());
        Ok(view)
    }

    fn look_at_cluster(&mut self, uuid: ClusterUuid) -> Result<ClusterView, Failure> {
        let tx = self.tx;
        let mut reasons = Vec::new();
        let cluster = require::<Cluster>(tx, "clusterUuid", uuid)?;
        let zone = require::<Zone>(tx, "zoneUuid", cluster.zone_uuid)?;
        if zone.state != AdminState::Enabled {
            reasons.push(format!("its zone '{}' is {}", zone.name, zone.state));
        }
        if cluster.state != AdminState::Enabled {
            reasons.push(format!("its cluster '{}' is {}", cluster.name, cluster.state));
        }
        let mut attached = HashSet::new();
        for link in tx.find::<L2NetworkClusterRef>(&[("cluster_uuid", uuid.to_sql())])? {
            // One that is being detached takes no new VMs.
            if !tx.is_going(&format!("{} {uuid}", link.l2_network_uuid))? {
                attached.insert(link.l2_network_uuid);
            }
        }
        let mut missing: Vec<_> = self.demand.l2_networks.difference(&attached).copied().collect();
        missing.sort();
        for l2 in missing {
            let name = tx.get::<L2Network>(l2)?.map_or_else(String::new, |l2| l2.name);
            reasons.push(format!("its cluster is not on L2 network '{name}' ({l2})"));
        }
        let mut storages = Vec::new();
        if !self.demand.volumes.is_empty() {
            for link in tx.find::<PrimaryStorageClusterRef>(&[("cluster_uuid", uuid.to_sql())])? {
                if !tx.is_going(&format!("{} {uuid}", link.primary_storage_uuid))? {
                    storages.extend(self.storage(link.primary_storage_uuid)?);
                }
            }
        }
        Ok(ClusterView { reasons, storages })
    }

    fn storage(&mut self, uuid: PrimaryStorageUuid) -> Result<Option<Rc<StorageView>>, Failure> {
        if let Some(known) = self.storages.get(&uuid) {
            return Ok(Some(known.clone()));
        }
        let tx = self.tx;
        let Some(storage) = tx.get::<PrimaryStorage>(uuid)? else { return Ok(None) };
        let tags = tx.find::<UserTag>(&[("resource_uuid", uuid.to_string().to_sql())])?;
        let image = self.demand.image.as_ref();
        let (room, cached_on) = match self.demand.target {
            Target::Host(host) => {
                let room = tx.local_storage(uuid, host)?.map(|room| (host, room));
                let is_cached = image.map(|image| tx.is_cached(image.uuid, uuid, host)).transpose()? == Some(true);
                (room.into_iter().collect(), is_cached.then_some(host).into_iter().collect())
            }
            _ => {
                let cached = image.map(|image| tx.hosts_with_cached(image.uuid, uuid)).transpose()?;
                (tx.local_storage_by_host(uuid)?, cached.unwrap_or_default())
            }
        };
        let user_tags = tags.into_iter().map(|tag| tag.tag).collect();
        let view = Rc::new(StorageView { storage, user_tags, room, cached_on });
        self.storages.insert(uuid, view.clone());
        Ok(Some(view))
    }

    /// A storage for each volume: where the offering prefers it, beside the root volume, where most is left.
    fn choose_storages(
        &mut self,
        host: &Host,
        cluster: &ClusterView,
    ) -> Result<Result<Vec<PrimaryStorageUuid>, String>, Failure> {
        let demand = self.demand;
        if demand.volumes.is_empty() {
            return Ok(Ok(Vec::new()));
        }
        if cluster.storages.is_empty() {
            return Ok(Err("its cluster has no primary storage".to_owned()));
        }
        let mut taken: HashMap<PrimaryStorageUuid, u64> = HashMap::new();
        let mut chosen: Vec<PrimaryStorageUuid> = Vec::new();
        for (number, volume) in demand.volumes.iter().enumerate() {
            let mut best: Option<((usize, bool, u64), &StorageView, u64)> = None;
            let mut reasons: Vec<Unfit> = Vec::new();
            for view in &cluster.storages {
                let uuid = view.storage.uuid;
                let image = demand.image.as_ref().filter(|_| number == 0);
                let needed = volume.bytes.saturating_add(view.image_bytes(image, host.uuid));
                let taken = taken.get(&uuid).copied().unwrap_or(0);
                let unfit = match view.left(host.uuid, volume, needed, taken, demand.physical_threshold) {
                    Ok(left) => {
                        let unfit = self.lacks_image(image, host, view)?.map(Unfit::Because);
                        let order = (view.preference(&volume.rule), chosen.first() == Some(&uuid), left);
                        if unfit.is_none() && best.as_ref().is_none_or(|(known, ..)| order > *known) {
                            best = Some((order, view, needed));
                        }
                        unfit
                    }
                    Err(reason) => Some(reason),
                };
                reasons.extend(unfit);
            }
            let Some((_, view, needed)) = best else { return Ok(Err(told(reasons))) };
            *taken.entry(view.storage.uuid).or_default() += needed;
            chosen.push(view.storage.uuid);
        }
        Ok(Ok(chosen))
    }

    /// Why the image cannot be brought to a storage of the host.
    fn lacks_image(
        &mut self,
        image: Option<&Image>,
        host: &Host,
        view: &StorageView,
    ) -> Result<Option<String>, Failure> {
        let Some(image) = image else { return Ok(None) };
        let key = (host.zone_uuid, view.cached_on.contains(&host.uuid));
        if let Some(known) = self.images.get(&key) {
            return Ok(known.clone());
        }
        let reason = image_copy(self.tx, image, key.0, key.1)?.err();
        self.images.insert(key, reason.clone());
        Ok(reason)
    }
}

/// Why a storage does not take a volume.
enum Unfit {
    /// Another one is asked for.
    NotAskedFor(String),
    /// It cannot.
    Because(String),
}

/// What to tell of the storages: those that are not asked for are told of only where the one that is cannot be found.
fn told(reasons: Vec<Unfit>) -> String {
    let (mut other, mut telling) = (Vec::new(), Vec::new());
    for reason in reasons {
        match reason {
            Unfit::NotAskedFor(reason) => other.push(reason),
            Unfit::Because(reason) => telling.push(reason),
        }
    }
    if telling.is_empty() { other.join(", and ") } else { telling.join(", and ") }
}

impl StorageView {
    /// What the image takes on a host in addition.
    fn image_bytes(&self, image: Option<&Image>, host: HostUuid) -> u64 {
        image.filter(|_| !self.cached_on.contains(&host)).map_or(0, |image| image.actual_size)
    }

    /// For how many of the preferred user tags it is preferred.
    fn preference(&self, rule: &StorageRule) -> usize {
        rule.preferred_tags.iter().filter(|tag| self.user_tags.contains(tag)).count()
    }

    /// The bytes left on a host once `taken` and the volume have theirs, or why the volume cannot be there.
    fn left(
        &self,
        host: HostUuid,
        volume: &VolumeDemand,
        needed: u64,
        taken: u64,
        threshold: f64,
    ) -> Result<u64, Unfit> {
        if let Some(reason) = volume.rule.refuse(&self.storage, &self.user_tags) {
            return Err(Unfit::NotAskedFor(reason));
        }
        self.has_room(host, needed, taken, threshold).map_err(Unfit::Because)
    }

    fn has_room(&self, host: HostUuid, needed: u64, taken: u64, threshold: f64) -> Result<u64, String> {
        let StorageView { storage, .. } = self;
        let name = &storage.name;
        if storage.state != AdminState::Enabled {
            return Err(format!("primary storage '{name}' is {}", storage.state));
        }
        let Some(room) = self.room.get(&host) else {
            return Err(format!("primary storage '{name}' was not opened on it"));
        };
        if room.is_fuller_than(threshold) {
            return Err(format!(
                "the file system of primary storage '{name}' is fuller there than the setting mevoco threshold.primaryStorage.physicalCapacity allows ({threshold})"
            ));
        }
        let left = room.available_bytes.saturating_sub(taken);
        left.checked_sub(needed)
            .ok_or_else(|| format!("primary storage '{name}' has {left} bytes left there and {needed} are needed"))
    }
}
