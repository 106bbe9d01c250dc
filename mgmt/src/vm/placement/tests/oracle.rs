//! What a reader of the rules says of a host: one rule after the other, from the case alone.

use gantry_common::id::PrimaryStorageUuid;

use super::fleet::{Case, HostCase, IMAGE_BYTES, Placed, STORAGES, TargetCase};
use crate::{resource::AffinityPolicy, vm::Strategy};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opinion {
    /// The call leaves it out.
    NotAsked,
    /// It can take the VM.
    Takes,
    /// It cannot, and the reason has this word.
    Refuses(&'static str),
    /// No storage alone takes all volumes; some may together.
    MaySpread,
}

pub fn opinion(case: &Case, number: usize) -> Opinion {
    let host = &case.hosts[number];
    let cluster = &case.clusters[host.cluster];
    let is_asked = match case.target {
        TargetCase::Anywhere => true,
        TargetCase::Zone(zone) => cluster.zone == zone,
        TargetCase::Cluster(cluster) => host.cluster == cluster,
        TargetCase::Host(host) => number == host,
    };
    let refuses = |is_so: bool, word| is_so.then_some(Opinion::Refuses(word));
    let is_hard = matches!(case.affinity, Some((AffinityPolicy::AntiHard, _)));
    if !is_asked {
        return Opinion::NotAsked;
    }
    refuses(!host.enabled, "it is Disabled")
        .or(refuses(!host.connected, "it is Disconnected"))
        .or(refuses(!case.zones[cluster.zone], "its zone '"))
        .or(refuses(!cluster.enabled, "its cluster '"))
        .or(refuses(case.l2.iter().zip(cluster.l2).any(|(wanted, has)| *wanted && !has), "L2 network"))
        .or(refuses(case.pinned_to.is_some_and(|number| number >= host.cpu_num), "vmCpuPinning"))
        .or(refuses(case.runs && host.cpu.0 < u64::from(case.cpu_num), "CPUs are left"))
        .or(refuses(case.runs && host.memory.0 < case.memory_bytes, "bytes of memory are left"))
        .or(refuses(case.runs && case.max_vms.is_some_and(|most| host.vms >= most), "maxInstancePerHost"))
        .or(refuses(case.runs && is_hard && case.crowd(number).0 > 0, "affinity group"))
        .or_else(|| storage_opinion(case, number))
        .unwrap_or(Opinion::Takes)
}

fn storage_opinion(case: &Case, number: usize) -> Option<Opinion> {
    if case.volumes.is_empty() {
        return None;
    }
    let each_fits = case
        .volumes
        .iter()
        .enumerate()
        .all(|(volume, _)| (0..STORAGES).any(|storage| fits(case, number, storage, &[volume])));
    if !each_fits {
        return Some(Opinion::Refuses(""));
    }
    let all: Vec<usize> = (0..case.volumes.len()).collect();
    let one_takes_all = (0..STORAGES).any(|storage| fits(case, number, storage, &all));
    if one_takes_all { None } else { Some(Opinion::MaySpread) }
}

/// Whether a storage has room on the host for these of the volumes, of which the first brings the image.
fn fits(case: &Case, number: usize, storage: usize, volumes: &[usize]) -> bool {
    let host = &case.hosts[number];
    let cluster = &case.clusters[host.cluster];
    let (enabled, tagged) = case.storages[storage];
    let Some((left, is_cached)) = host.room[storage] else { return volumes.is_empty() };
    let brings = volumes.contains(&0) && !is_cached;
    let has_image = !volumes.contains(&0) || (case.image_in[cluster.zone] && (case.image_connected || is_cached));
    let allowed = |volume: &usize| {
        let volume = &case.volumes[*volume];
        volume.only.is_none_or(|only| only == storage) && (!volume.tagged || tagged)
    };
    let bytes: u64 = volumes.iter().map(|volume| case.volumes[*volume].bytes).sum();
    volumes.is_empty()
        || (cluster.storages[storage]
            && enabled
            && has_image
            && volumes.iter().all(allowed)
            && bytes + if brings { IMAGE_BYTES } else { 0 } <= left)
}

/// Whether the chosen storages hold the volumes together.
pub fn storages_hold(case: &Case, placed: &Placed, host: usize, chosen: &[PrimaryStorageUuid]) -> bool {
    chosen.len() == case.volumes.len()
        && (0..STORAGES).all(|storage| {
            let there: Vec<usize> =
                (0..chosen.len()).filter(|volume| chosen[*volume] == placed.storages[storage]).collect();
            fits(case, host, storage, &there)
        })
}

/// What the strategy makes of each host; nothing where it draws lots.
pub fn ranks(case: &Case) -> Option<Vec<u64>> {
    let part = |(left, all): (u64, u64)| ((all - left) * 1_000_000).checked_div(all).unwrap_or(1_000_000);
    let rank = |host: &HostCase| match case.strategy {
        Strategy::Random => None,
        Strategy::LeastVm | Strategy::LastHost | Strategy::MaxInstances => Some(host.vms),
        Strategy::MinimumCpu => Some(part(host.cpu)),
        Strategy::MinimumMemory => Some(part(host.memory)),
    };
    case.hosts.iter().map(rank).collect()
}
