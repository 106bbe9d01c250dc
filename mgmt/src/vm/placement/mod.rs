//! Where a VM runs. One survey of the hosts serves the operations that place VMs and those that list candidates: hosts
//! that cannot take the VM fall out with a reason each, the others are ranked.

mod affinity;
mod demand;
mod fleet;
mod image_copy;
mod refusal;
mod strategy;
mod volume;

use std::cmp::Reverse;

pub use affinity::*;
pub use demand::*;
use fleet::Fleet;
use gantry_common::id::{ClusterUuid, HostUuid, PrimaryStorageUuid, ZoneUuid};
pub use image_copy::*;
pub use refusal::reasons;
pub use strategy::*;
pub use volume::*;

use crate::{
    failure::Failure,
    resource::Host,
    store::{SqlValue, Tx},
};

/// A host that can take the VM, and the primary storages for the volumes that are to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The host.
    pub host: HostUuid,
    /// Its cluster.
    pub cluster: ClusterUuid,
    /// Its zone.
    pub zone: ZoneUuid,
    /// The primary storage of each volume, in the order of [`Demand::volumes`].
    pub storages: Vec<PrimaryStorageUuid>,
}

/// A host that cannot take the VM.
#[derive(Debug, Clone)]
pub struct HostRefusal {
    /// The host.
    pub host: Host,
    /// All that stands in the way.
    pub reason: String,
}

/// What became of the hosts that were asked for.
#[derive(Debug, Default)]
pub struct Survey {
    /// Those that can take the VM, the best first.
    pub places: Vec<Place>,
    /// The others.
    pub refusals: Vec<HostRefusal>,
}

struct Admitted {
    host: Host,
    storages: Vec<PrimaryStorageUuid>,
    rank: u64,
}

/// Looks at every host that is asked for.
pub fn survey(tx: &Tx<'_>, demand: &Demand) -> Result<Survey, Failure> {
    let hosts = match demand.target {
        Target::Anywhere => tx.all::<Host>()?,
        Target::Zone(zone) => tx.find::<Host>(&[("zone_uuid", zone.to_sql())])?,
        Target::Cluster(cluster) => tx.find::<Host>(&[("cluster_uuid", cluster.to_sql())])?,
        Target::Host(host) => tx.get::<Host>(host)?.into_iter().collect(),
    };
    let mut fleet = Fleet::new(tx, demand)?;
    let mut admitted: Vec<Admitted> = Vec::new();
    let mut refusals: Vec<HostRefusal> = Vec::new();
    for host in hosts {
        match fleet.judge(&host)? {
            Ok(storages) => {
                let rank = demand.choice.rank(&host, fleet.vms_on(host.uuid));
                admitted.push(Admitted { host, storages, rank });
            }
            Err(reason) => refusals.push(HostRefusal { host, reason }),
        }
    }
    let admitted = refuse_used(demand, admitted, &mut refusals);
    Ok(Survey { places: ranked(demand, admitted), refusals })
}

/// The best host that can take the VM. Where there is none, the error says why for each host.
pub fn place(tx: &Tx<'_>, demand: &Demand) -> Result<Place, Failure> {
    let Survey { places, refusals } = survey(tx, demand)?;
    match places.into_iter().next() {
        Some(place) => Ok(place),
        None => Err(refusal::no_host(tx, demand, &refusals)?),
    }
}

/// Takes out those that a strict choice does not admit beside the least used one.
fn refuse_used(demand: &Demand, admitted: Vec<Admitted>, refusals: &mut Vec<HostRefusal>) -> Vec<Admitted> {
    let least = admitted.iter().map(|one| one.rank).min();
    let Some(least) = least.filter(|_| demand.choice.strict) else { return admitted };
    let mut left = Vec::new();
    for one in admitted {
        match demand.choice.refuse_used(one.rank, least) {
            Some(reason) => refusals.push(HostRefusal { host: one.host, reason }),
            None => left.push(one),
        }
    }
    left
}

/// The best first: away from the VMs of its group, on its last host where that is wished for, by the strategy.
fn ranked(demand: &Demand, mut admitted: Vec<Admitted>) -> Vec<Place> {
    admitted.sort_by_cached_key(|one| {
        let crowd = demand.affinity.as_ref().map(|affinity| affinity.crowd(one.host.uuid));
        let is_last = demand.choice.strategy == Strategy::LastHost && demand.last_host == Some(one.host.uuid);
        (crowd, Reverse(is_last), one.rank)
    });
    let place = |one: Admitted| Place {
        host: one.host.uuid,
        cluster: one.host.cluster_uuid,
        zone: one.host.zone_uuid,
        storages: one.storages,
    };
    admitted.into_iter().map(place).collect()
}

#[cfg(test)]
mod tests;
