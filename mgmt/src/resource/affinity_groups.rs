//! Affinity groups: VMs that are kept apart.

use gantry_common::id::{AffinityGroupUsageUuid, AffinityGroupUuid, VmUuid};

use super::{AdminState, AffinityPolicy, Declaration, Shown};
use crate::{clock::Timestamp, resource};

/// The declarations of this file.
pub const ALL: &[fn() -> &'static Declaration] = &[AffinityGroup::declaration, AffinityGroupUsage::declaration];

resource! {
    /// VMs that are kept on different hosts.
    AffinityGroup, table "affinity_group", class "org.zstack.header.affinitygroup.AffinityGroupInventory", owned {
        /// Its id.
        uuid: AffinityGroupUuid,
        /// Its name.
        name: String,
        /// Free text.
        description: Option<String>,
        /// Whether its VMs may share a host where there is no other way.
        policy: AffinityPolicy,
        /// Always `1.0`, kept for clients.
        version: String,
        /// What its VMs are kept apart by: always `HOST`.
        kind as "type": String,
        /// Always `CUSTOMER`, kept for clients.
        appliance: String,
        /// Whether it is honoured.
        state: AdminState,
        /// When it was made.
        create_date: Timestamp,
        /// When it last changed.
        last_op_date: Timestamp,
    }
    relations {
        "usages" => AffinityGroupUsage(uuid = affinity_group_uuid) shown Shown::Inventories { order: "create_date" };
        "vmInstance" => VmInstance(uuid via affinity_group_usage(affinity_group_uuid, resource_uuid) = uuid);
    }
}

resource! {
    /// A VM's membership of an affinity group.
    AffinityGroupUsage, table "affinity_group_usage",
        class "org.zstack.header.affinitygroup.AffinityGroupUsageInventory", with "vmInstance" {
        /// Its id.
        uuid: AffinityGroupUsageUuid,
        /// The group.
        affinity_group_uuid: AffinityGroupUuid,
        /// The VM.
        resource_uuid: VmUuid,
        /// `VmInstanceVO`.
        resource_type: String,
        /// When it joined.
        create_date: Timestamp,
        /// When it last changed.
        last_op_date: Timestamp,
    }
    relations {
        "affinityGroup" => AffinityGroup(affinity_group_uuid = uuid);
        "vmInstance" => VmInstance(resource_uuid = uuid);
    }
}
