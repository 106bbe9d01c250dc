//! How much of the hosts and their storages may be promised: what they have, less the reserves, times the overcommit.

use gantry_common::{
    agent::{ForeignDomain, HostFacts},
    cpu_set::CpuSet,
    id::HostUuid,
};
use serde::Deserialize;

use super::DEFAULT_SSH_PORT;
use crate::{
    clock::Timestamp,
    failure::Failure,
    resource::{AdminState, Cluster, ConnectionStatus, Host, Machine},
    settings::{Values, parse_bytes},
    store::{StorageRules, Tx, scaled},
};

/// A KVM host of a cluster that has not been measured yet.
pub fn unmeasured_host(cluster: &Cluster, uuid: HostUuid, name: &str, address: &str) -> Host {
    let now = Timestamp::now();
    Host {
        uuid,
        zone_uuid: cluster.zone_uuid,
        name: name.to_owned(),
        cluster_uuid: cluster.uuid,
        description: None,
        management_ip: address.to_owned(),
        hypervisor_type: "KVM".to_owned(),
        state: AdminState::Enabled,
        status: ConnectionStatus::Disconnected,
        total_cpu_capacity: 0,
        available_cpu_capacity: 0,
        cpu_sockets: 0,
        total_memory_capacity: 0,
        available_memory_capacity: 0,
        cpu_num: 0,
        username: String::new(),
        ssh_port: DEFAULT_SSH_PORT,
        create_date: now,
        last_op_date: now,
    }
}

/// The settings that capacity follows from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CapacityRules {
    cpu_overcommit: f64,
    memory_overcommit: f64,
    reserved_memory_bytes: u64,
    /// The rules for storages.
    pub storage: StorageRules,
}

impl From<&Values> for CapacityRules {
    fn from(settings: &Values) -> Self {
        Self {
            cpu_overcommit: settings.cpu_overcommit,
            memory_overcommit: settings.memory_overcommit,
            reserved_memory_bytes: settings.host_reserved_memory_bytes,
            storage: StorageRules {
                reserved_bytes: settings.storage_reserved_bytes,
                overcommit: settings.storage_overcommit,
            },
        }
    }
}

/// Brings a host's totals up to date with what it last said of itself. One that never said anything has none.
pub fn recount_host(tx: &Tx<'_>, host: HostUuid, rules: CapacityRules) -> Result<(), Failure> {
    let (Some(known), Some(machine)) = (tx.get::<Host>(host)?, tx.get::<Machine>(host)?) else { return Ok(()) };
    let Some(facts) = facts_of(&machine) else { return Ok(()) };
    // Domains that others made take their share of the host.
    let foreign: Vec<ForeignDomain> = serde_json::from_value(machine.foreign_domains).unwrap_or_default();
    let foreign_bytes: u64 = foreign.iter().map(|domain| domain.memory_bytes).sum();
    let reserved_bytes = reserve_tagged(tx, &known)?.unwrap_or(rules.reserved_memory_bytes);
    let memory_bytes = facts.memory_bytes.saturating_sub(reserved_bytes).saturating_sub(foreign_bytes);
    let cpu = scaled(u64::from(facts.cpu_num), rules.cpu_overcommit);
    Ok(tx.set_host_totals(host, cpu, scaled(memory_bytes, rules.memory_overcommit))?)
}

/// What a machine last said of itself.
fn facts_of(machine: &Machine) -> Option<HostFacts> {
    HostFacts::deserialize(machine.facts.as_ref()?).ok()
}

/// The processors of a host by number, as it last said. One whose agent tells only how many there are has them without gaps.
pub fn processors(tx: &Tx<'_>, host: &Host) -> Result<CpuSet, Failure> {
    let told = tx.get::<Machine>(host.uuid)?.and_then(|machine| facts_of(&machine)).map(|facts| facts.cpus);
    Ok(told.filter(|cpus| !cpus.is_empty()).unwrap_or_else(|| CpuSet::first(host.cpu_num)))
}

/// The reserve that the host's own tag says, else its cluster's, else its zone's.
fn reserve_tagged(tx: &Tx<'_>, host: &Host) -> Result<Option<u64>, Failure> {
    for (resource, prefix) in [
        (host.uuid.to_string(), "reservedMemory::"),
        (host.cluster_uuid.to_string(), "host::reservedMemory::"),
        (host.zone_uuid.to_string(), "host::reservedMemory::"),
    ] {
        let tags = tx.system_tags(&resource)?;
        if let Some(bytes) = tags.iter().find_map(|tag| parse_bytes(tag.strip_prefix(prefix)?)) {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

/// Brings all hosts and storages to other rules.
pub fn recount_everything(tx: &Tx<'_>, rules: CapacityRules) -> Result<(), Failure> {
    for host in tx.all::<Host>()? {
        recount_host(tx, host.uuid, rules)?;
    }
    Ok(tx.recount_local_storages(rules.storage)?)
}
