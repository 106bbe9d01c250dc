//! Hosts and the machines whose agents the node talks to.

use gantry_common::id::{ClusterUuid, HostUuid, ZoneUuid};

use super::{AdminState, ConnectionStatus, Declaration};
use crate::{clock::Timestamp, resource};

/// The declarations of this file.
pub const ALL: &[fn() -> &'static Declaration] = &[Host::declaration, Machine::declaration];

resource! {
    /// A KVM host.
    Host, table "host", class "org.zstack.kvm.KVMHostInventory" {
        /// Its id, which its agent's certificate carries.
        uuid: HostUuid,
        /// Its zone.
        zone_uuid: ZoneUuid,
        /// Its name.
        name: String,
        /// Its cluster.
        cluster_uuid: ClusterUuid,
        /// Free text.
        description: Option<String>,
        /// The address the node reaches it at.
        management_ip: String,
        /// Always `KVM`.
        hypervisor_type: String,
        /// Whether it takes new work.
        state: AdminState,
        /// Whether its agent answers.
        status: ConnectionStatus,
        /// Processors that may be promised: the host's, times the overcommit ratio.
        total_cpu_capacity: u64,
        /// Of these, how many are not promised yet.
        available_cpu_capacity: u64,
        /// Processor sockets.
        cpu_sockets: u32,
        /// Memory that may be promised, in bytes: the host's less the reserve, times the overcommit ratio.
        total_memory_capacity: u64,
        /// Of this, how much is not promised yet.
        available_memory_capacity: u64,
        /// Logical processors.
        cpu_num: u32,
        /// The SSH user it was added with.
        username: String,
        /// Its SSH port.
        ssh_port: u16,
        /// When it was added.
        create_date: Timestamp,
        /// When it last changed.
        last_op_date: Timestamp,
    }
    relations {
        "zone" => Zone(zone_uuid = uuid);
        "cluster" => Cluster(cluster_uuid = uuid);
        "vmInstance" => VmInstance(uuid = host_uuid);
    }
}

resource! {
    /// A machine that runs an agent of this node: a KVM host, a backup storage, or both.
    Machine, table "machine", class "" {
        /// Its id, which its agent's certificate carries.
        uuid: HostUuid,
        /// The address the node dials.
        address: String,
        /// The agent's port.
        port: u16,
    }
    hidden {
        /// The SSH host key seen when it was added, where it was added over SSH.
        host_key: Option<String>,
        /// Whether its agent answers.
        status: ConnectionStatus,
        /// Why it does not answer.
        status_reason: Option<String>,
        /// What the agent said of the machine, as JSON.
        facts: Option<serde_json::Value>,
        /// The domains on it that Gantry did not make, as JSON.
        foreign_domains: serde_json::Value,
        /// When it was added.
        create_date: Timestamp,
    }
}
