//! 11.5: how much the hosts have.

use gantry_common::id::{ClusterUuid, HostUuid, ZoneUuid};
use serde_json::{Value, json};

use super::making::require;
use crate::{
    api::{Caller, Operation, SyncOperation, sync},
    failure::Failure,
    operation,
    resource::{AdminState, Cluster, ConnectionStatus, Host, Zone},
    store::{SqlValue, Tx},
};

/// The operations of this chapter.
pub fn operations() -> Vec<Operation> {
    vec![sync::<GetCpuMemoryCapacity>()]
}

operation! {
    /// How much processors and memory hosts have, and how much of it is not promised, over those that are Enabled, Connected and
    /// named: by themselves, by their clusters or by their zones.
    GetCpuMemoryCapacity, "11.5.1", Get "/hosts/capacities/cpu-memory",
        Sync -> { totalCpu: i64, availableCpu: i64, totalMemory: i64, availableMemory: i64, managedCpuNum: i64, success: bool }; {
        /// Zones whose hosts count.
        zone_uuids: Option<Vec<ZoneUuid>>;
        /// Clusters whose hosts count.
        cluster_uuids: Option<Vec<ClusterUuid>>;
        /// Hosts that count.
        host_uuids: Option<Vec<HostUuid>>;
        /// Whether all hosts count, where none is named.
        all: Option<bool>;
        /// Only hosts with this hypervisor.
        hypervisor_type: Option<String>, values &["KVM", "ESX"];
    }
}

impl SyncOperation for GetCpuMemoryCapacity {
    async fn answer(self, caller: Caller) -> Result<Value, Failure> {
        let hosts = caller.node.store.read(move |tx| self.hosts(tx)).await?;
        let sum = |of: fn(&Host) -> u64| hosts.iter().map(of).sum::<u64>();
        Ok(json!({
            "totalCpu": sum(|host| host.total_cpu_capacity),
            "availableCpu": sum(|host| host.available_cpu_capacity),
            "totalMemory": sum(|host| host.total_memory_capacity),
            "availableMemory": sum(|host| host.available_memory_capacity),
            "managedCpuNum": sum(|host| u64::from(host.cpu_num)),
            "success": true,
        }))
    }
}

impl GetCpuMemoryCapacity {
    /// The hosts that are asked for and in service.
    fn hosts(&self, tx: &Tx<'_>) -> Result<Vec<Host>, Failure> {
        let named = self.zone_uuids.is_some() || self.cluster_uuids.is_some() || self.host_uuids.is_some();
        if !named && self.all != Some(true) {
            let remedy = "name zoneUuids, clusterUuids or hostUuids, or set it to true";
            return Err(Failure::argument("all", self.all.unwrap_or(false), remedy));
        }
        for uuid in self.zone_uuids.iter().flatten() {
            require::<Zone>(tx, "zoneUuids", *uuid)?;
        }
        for uuid in self.cluster_uuids.iter().flatten() {
            require::<Cluster>(tx, "clusterUuids", *uuid)?;
        }
        for uuid in self.host_uuids.iter().flatten() {
            require::<Host>(tx, "hostUuids", *uuid)?;
        }
        let useful = [("state", AdminState::Enabled.to_sql()), ("status", ConnectionStatus::Connected.to_sql())];
        let mut hosts = tx.find::<Host>(&useful)?;
        hosts.retain(|host| {
            let is_named = names(self.zone_uuids.as_ref(), &host.zone_uuid)
                || names(self.cluster_uuids.as_ref(), &host.cluster_uuid)
                || names(self.host_uuids.as_ref(), &host.uuid);
            (is_named || !named) && self.hypervisor_type.as_ref().is_none_or(|kind| *kind == host.hypervisor_type)
        });
        Ok(hosts)
    }
}

fn names<T: PartialEq>(list: Option<&Vec<T>>, uuid: &T) -> bool {
    list.is_some_and(|list| list.contains(uuid))
}
