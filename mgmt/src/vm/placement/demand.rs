//! What a VM needs of its host.

use std::collections::HashSet;

use gantry_common::{
    cpu_set::CpuSet,
    id::{ClusterUuid, HostUuid, L2NetworkUuid, ZoneUuid},
};

use super::{Affinity, Choice, VolumeDemand};
use crate::{
    failure::Failure,
    operations::require,
    resource::{Cluster, Host, Image, Zone},
    store::Tx,
};

/// What a VM needs of its host.
#[derive(Debug, Clone)]
pub struct Demand {
    /// Virtual processors.
    pub cpu_num: u32,
    /// The processors of the host that it is pinned to.
    pub pinned_to: CpuSet,
    /// Memory.
    pub memory_bytes: u64,
    /// Whether processors and memory are needed now.
    pub runs: bool,
    /// The L2 networks it must be on.
    pub l2_networks: HashSet<L2NetworkUuid>,
    /// The volumes that are to be made, the root volume first; none where they are there.
    pub volumes: Vec<VolumeDemand>,
    /// The image that is to be in the host's cache.
    pub image: Option<Image>,
    /// The part of a storage's file system that may be in use.
    pub physical_threshold: f64,
    /// Which hosts are asked for.
    pub target: Target,
    /// The zone that the VM belongs to.
    pub zone: Option<ZoneUuid>,
    /// The host whose disks hold its volumes.
    pub home: Option<HostUuid>,
    /// The host it last ran on.
    pub last_host: Option<HostUuid>,
    /// How the host is chosen.
    pub choice: Choice,
    /// The VMs that it is kept apart from.
    pub affinity: Option<Affinity>,
}

/// Which hosts a caller asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// All.
    Anywhere,
    /// Those of a zone.
    Zone(ZoneUuid),
    /// Those of a cluster.
    Cluster(ClusterUuid),
    /// One.
    Host(HostUuid),
}

impl Target {
    /// What the parameters `zoneUuid`, `clusterUuid` and `hostUuid` ask for: the narrowest counts.
    pub fn of(
        tx: &Tx<'_>,
        zone: Option<ZoneUuid>,
        cluster: Option<ClusterUuid>,
        host: Option<HostUuid>,
    ) -> Result<Self, Failure> {
        Ok(match (zone, cluster, host) {
            (_, _, Some(host)) => Self::Host(require::<Host>(tx, "hostUuid", host)?.uuid),
            (_, Some(cluster), None) => Self::Cluster(require::<Cluster>(tx, "clusterUuid", cluster)?.uuid),
            (Some(zone), None, None) => Self::Zone(require::<Zone>(tx, "zoneUuid", zone)?.uuid),
            (None, None, None) => Self::Anywhere,
        })
    }
}
