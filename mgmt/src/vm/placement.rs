//! Where a VM runs: hosts that cannot take it fall out with a reason each, the others are ranked by the strategy.

use std::collections::HashSet;

use gantry_common::{
    error::ErrorKind,
    id::{ClusterUuid, HostUuid, ImageUuid, L2NetworkUuid, PrimaryStorageUuid, ZoneUuid},
};
use serde_json::json;

use crate::{
    failure::Failure,
    resource::{
        AdminState, Cluster, ConnectionStatus, Host, L2NetworkClusterRef, PrimaryStorage, PrimaryStorageClusterRef,
        VmInstance, Zone,
    },
    store::{SqlValue, StoreError, Tx},
};

/// How a host is chosen among those that can take a VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// The one with the fewest VMs.
    LeastVm,
    /// The one it last ran on, else the one with the fewest VMs.
    LastHost,
    /// Any.
    Random,
    /// The one with the most processors left.
    MinimumCpu,
    /// The one with the most memory left.
    MinimumMemory,
}

impl Strategy {
    /// The strategies by their published names; two have two.
    pub const NAMES: [(&str, Self); 7] = [
        ("LeastVmPreferredHostAllocatorStrategy", Self::LeastVm),
        ("LastHostPreferredHostAllocatorStrategy", Self::LastHost),
        ("LastHostPreferredAllocatorStrategy", Self::LastHost),
        ("DefaultHostAllocatorStrategy", Self::Random),
        ("DesignatedHostAllocatorStrategy", Self::Random),
        ("MinimumCPUUsageHostAllocatorStrategy", Self::MinimumCpu),
        ("MinimumMemoryUsageHostAllocatorStrategy", Self::MinimumMemory),
    ];

    /// The strategy by its published name.
    pub fn parse(name: &str) -> Result<Self, Failure> {
        let found = Self::NAMES.into_iter().find(|(known, _)| *known == name);
        found.map(|(_, strategy)| strategy).ok_or_else(|| {
            let allowed = Self::NAMES.map(|(name, _)| name).join(", ");
            Failure::argument("allocatorStrategy", name, format!("allowed are {allowed}"))
        })
    }
}

/// What a VM needs of its host.
#[derive(Debug, Clone)]
pub struct Demand {
    /// Virtual processors.
    pub cpu_num: u32,
    /// Memory.
    pub memory_bytes: u64,
    /// Whether processors and memory are needed now.
    pub runs: bool,
    /// The L2 networks it must be on.
    pub l2_networks: HashSet<L2NetworkUuid>,
    /// Where its volumes are to be made; empty where they are there.
    pub disk: Option<DiskDemand>,
    /// Restrictions by the caller.
    pub zone: Option<ZoneUuid>,
    /// Restrictions by the caller.
    pub cluster: Option<ClusterUuid>,
    /// Restrictions by the caller, or the host that has the volumes.
    pub host: Option<HostUuid>,
    /// The host it last ran on.
    pub last_host: Option<HostUuid>,
    /// How the host is chosen.
    pub strategy: Strategy,
}

/// The disk space a new VM needs.
#[derive(Debug, Clone)]
pub struct DiskDemand {
    /// The primary storage, where the caller named one.
    pub storage: Option<PrimaryStorageUuid>,
    /// Bytes of its volumes.
    pub volume_bytes: u64,
    /// The image that its root volume stands on, and the image's size, where it has to be brought to the host.
    pub image: Option<(ImageUuid, u64)>,
    /// The part of the storage's file system that may be in use.
    pub physical_threshold: f64,
}

/// A host that can take the VM, and the primary storage for its volumes where some are to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The host.
    pub host: HostUuid,
    /// Its cluster.
    pub cluster: ClusterUuid,
    /// Its zone.
    pub zone: ZoneUuid,
    /// The primary storage.
    pub storage: Option<PrimaryStorageUuid>,
}

/// The hosts that can take the VM, the best first. Where there is none, the error says why for each host.
pub fn place(tx: &Tx<'_>, demand: &Demand) -> Result<Vec<Place>, Failure> {
    let mut places: Vec<(Place, Host, u64)> = Vec::new();
    let mut reasons: Vec<(Host, String)> = Vec::new();
    for host in tx.all::<Host>()? {
        if demand.zone.is_some_and(|zone| zone != host.zone_uuid)
            || demand.cluster.is_some_and(|cluster| cluster != host.cluster_uuid)
            || demand.host.is_some_and(|wanted| wanted != host.uuid)
        {
            continue;
        }
        match judge(tx, &host, demand)? {
            Ok(storage) => {
                let vms = tx.count::<VmInstance>(&[("host_uuid", host.uuid.to_sql())])?;
                let place = Place { host: host.uuid, cluster: host.cluster_uuid, zone: host.zone_uuid, storage };
                places.push((place, host, vms));
            }
            Err(reason) => reasons.push((host, reason)),
        }
    }
    if places.is_empty() {
        return Err(refusal(demand, &reasons));
    }
    places.sort_by_key(|(place, host, vms)| {
        let last = demand.strategy == Strategy::LastHost && demand.last_host == Some(place.host);
        let rank = match demand.strategy {
            Strategy::LeastVm | Strategy::LastHost => *vms,
            Strategy::Random => rand::random(),
            Strategy::MinimumCpu => u64::MAX - host.available_cpu_capacity,
            Strategy::MinimumMemory => u64::MAX - host.available_memory_capacity,
        };
        (!last, rank)
    });
    Ok(places.into_iter().map(|(place, _, _)| place).collect())
}

fn refusal(demand: &Demand, reasons: &[(Host, String)]) -> Failure {
    let asked = format!("a host with {} CPUs and {} bytes of memory", demand.cpu_num, demand.memory_bytes);
    if reasons.is_empty() {
        return Failure::new(
            ErrorKind::NoHostCapacity,
            format!("{asked} is needed, and no host is in the place that was asked for"),
        );
    }
    let texts: Vec<String> =
        reasons.iter().map(|(host, reason)| format!("{} ({}): {reason}", host.name, host.management_ip)).collect();
    let mut failure = Failure::new(
        ErrorKind::NoHostCapacity,
        format!("{asked} is needed, and no host can take it: {}", texts.join("; ")),
    );
    let mut cause = failure.to_wire();
    let by_host: Vec<_> =
        reasons.iter().map(|(host, reason)| json!({ "hostUuid": host.uuid, "reason": reason })).collect();
    cause.opaque = Some(json!({ "hosts": by_host }));
    failure.cause = Some(Box::new(cause));
    failure
}

/// The storage a host would use, or why it cannot take the VM.
fn judge(tx: &Tx<'_>, host: &Host, demand: &Demand) -> Result<Result<Option<PrimaryStorageUuid>, String>, StoreError> {
    if host.state != AdminState::Enabled {
        return Ok(Err(format!("it is {}", host.state)));
    }
    if host.status != ConnectionStatus::Connected {
        return Ok(Err(format!("it is {}", host.status)));
    }
    if tx.get::<Zone>(host.zone_uuid)?.is_none_or(|zone| zone.state != AdminState::Enabled) {
        return Ok(Err("its zone is not Enabled".to_owned()));
    }
    if tx.is_going(&host.uuid.to_string())? {
        return Ok(Err("it is being deleted".to_owned()));
    }
    let cluster = tx.get::<Cluster>(host.cluster_uuid)?;
    if cluster.is_none_or(|cluster| cluster.state != AdminState::Enabled) {
        return Ok(Err("its cluster is not Enabled".to_owned()));
    }
    if demand.runs && host.available_cpu_capacity < u64::from(demand.cpu_num) {
        return Ok(Err(format!("{} CPUs are left of {}", host.available_cpu_capacity, host.total_cpu_capacity)));
    }
    if demand.runs && host.available_memory_capacity < demand.memory_bytes {
        let (left, all) = (host.available_memory_capacity, host.total_memory_capacity);
        return Ok(Err(format!("{left} bytes of memory are left of {all}")));
    }
    let mut attached: HashSet<L2NetworkUuid> = HashSet::new();
    for link in tx.find::<L2NetworkClusterRef>(&[("cluster_uuid", host.cluster_uuid.to_sql())])? {
        if !tx.is_going(&format!("{} {}", link.l2_network_uuid, link.cluster_uuid))? {
            attached.insert(link.l2_network_uuid);
        }
    }
    if let Some(missing) = demand.l2_networks.difference(&attached).next() {
        return Ok(Err(format!("its cluster is not on L2 network {missing}")));
    }
    let Some(disk) = &demand.disk else { return Ok(Ok(None)) };
    let mut reason = "its cluster has no primary storage".to_owned();
    for link in tx.find::<PrimaryStorageClusterRef>(&[("cluster_uuid", host.cluster_uuid.to_sql())])? {
        if disk.storage.is_some_and(|wanted| wanted != link.primary_storage_uuid) {
            continue;
        }
        let Some(storage) = tx.get::<PrimaryStorage>(link.primary_storage_uuid)? else { continue };
        if tx.is_going(&format!("{} {}", link.primary_storage_uuid, link.cluster_uuid))? {
            reason = format!("primary storage '{}' is being detached from its cluster", storage.name);
            continue;
        }
        if storage.state != AdminState::Enabled {
            reason = format!("primary storage '{}' is {}", storage.name, storage.state);
            continue;
        }
        let Some(local) = tx.local_storage(storage.uuid, host.uuid)? else {
            reason = format!("primary storage '{}' was not opened on it", storage.name);
            continue;
        };
        if local.is_fuller_than(disk.physical_threshold) {
            reason = format!(
                "the file system of primary storage '{}' is fuller there than the setting mevoco threshold.primaryStorage.physicalCapacity allows ({})",
                storage.name, disk.physical_threshold
            );
            continue;
        }
        let image = disk.image.filter(|(image, _)| !tx.is_cached(*image, storage.uuid, host.uuid).unwrap_or(false));
        let needed = disk.volume_bytes + image.map_or(0, |(_, bytes)| bytes);
        if local.available_bytes < needed {
            reason = format!(
                "primary storage '{}' has {} bytes left there and {needed} are needed",
                storage.name, local.available_bytes
            );
            continue;
        }
        return Ok(Ok(Some(storage.uuid)));
    }
    Ok(Err(reason))
}
