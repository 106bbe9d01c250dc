//! 3.4: affinity groups.

use uuid::Uuid;

use crate::{inventories, planned};

planned! {
    /// Creates an affinity group.
    CreateAffinityGroup, "3.4.1", Post "/affinity-groups", Job -> AffinityGroup; {
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 255;
        /// How its members are placed.
        policy: String, values &["antiSoft", "antiHard"];
        /// Its type.
        kind as "type": Option<String>, values &["host"];
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Deletes an affinity group.
    DeleteAffinityGroup, "3.4.2", Delete "/affinity-groups/{uuid}", Job; {
        /// The affinity group.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Queries affinity groups.
    QueryAffinityGroup, "3.4.3", Get "/affinity-groups" | "/affinity-groups/{uuid}", Sync -> [AffinityGroup]; {}

    /// Updates an affinity group.
    UpdateAffinityGroup, "3.4.4", Put "/affinity-groups/{uuid}/actions", Job -> AffinityGroup; {
        /// The affinity group.
        uuid: Uuid;
        /// Its name.
        name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
    }

    /// Puts a VM instance into an affinity group.
    AddVmToAffinityGroup, "3.4.5",
        Post "/affinity-groups/{affinityGroupUuid}/vm-instances/{uuid}", Job -> AffinityGroup; {
        /// The affinity group.
        affinity_group_uuid: Uuid;
        /// The VM instance.
        uuid: Uuid;
    }

    /// Takes a VM instance out of an affinity group.
    RemoveVmFromAffinityGroup, "3.4.6",
        Delete "/affinity-groups/{affinityGroupUuid}/vm-instances", Job -> AffinityGroup; {
        /// The affinity group.
        affinity_group_uuid: Uuid;
        /// The VM instance.
        uuid: Uuid;
    }

    /// Enables or disables an affinity group.
    ChangeAffinityGroupState, "3.4.7", Put "/affinity-groups/{uuid}/actions", Job -> AffinityGroup; {
        /// The affinity group.
        uuid: Uuid;
        /// Which way its state changes.
        state_event: String, values &["enable", "disable"];
    }
}

inventories! {
    /// An affinity group.
    AffinityGroup {
        uuid: Uuid, name: String, description: String, policy: String, version: String, type: String,
        appliance: String, state: String, createDate: Timestamp, lastOpDate: Timestamp, usages: [AffinityGroupUsage],
    }

    /// A member of an affinity group.
    AffinityGroupUsage {
        uuid: Uuid, affinityGroupUuid: Uuid, resourceUuid: Uuid, resourceType: String, createDate: Timestamp,
        lastOpDate: Timestamp,
    }
}
