//! Instance and disk offerings.

use gantry_common::id::{DiskOfferingUuid, InstanceOfferingUuid};

use super::{AdminState, Declaration};
use crate::{clock::Timestamp, resource};

/// The declarations of this file.
pub const ALL: &[fn() -> &'static Declaration] = &[InstanceOffering::declaration, DiskOffering::declaration];

resource! {
    /// A size of VM.
    InstanceOffering, table "instance_offering", class "org.zstack.header.configuration.InstanceOfferingInventory", shareable {
        /// Its id.
        uuid: InstanceOfferingUuid,
        /// Its name.
        name: String,
        /// Free text.
        description: Option<String>,
        /// Virtual processors.
        cpu_num: u32,
        /// Always 0, kept for clients.
        cpu_speed: u32,
        /// Memory in bytes.
        memory_size: u64,
        /// Always `UserVm`.
        kind as "type": String,
        /// How a host is chosen.
        allocator_strategy: String,
        /// Where it stands in lists.
        sort_key: i32,
        /// Whether new VMs may use it.
        state: AdminState,
        /// When it was made.
        create_date: Timestamp,
        /// When it last changed.
        last_op_date: Timestamp,
    }
    relations {
        "vmInstance" => VmInstance(uuid = instance_offering_uuid);
    }
}

resource! {
    /// A size of volume.
    DiskOffering, table "disk_offering", class "org.zstack.header.configuration.DiskOfferingInventory", shareable {
        /// Its id.
        uuid: DiskOfferingUuid,
        /// Its name.
        name: String,
        /// Free text.
        description: Option<String>,
        /// The volume's size in bytes.
        disk_size: u64,
        /// Where it stands in lists.
        sort_key: i32,
        /// Whether new volumes may use it.
        state: AdminState,
        /// Always `zstack`.
        kind as "type": String,
        /// When it was made.
        create_date: Timestamp,
        /// When it last changed.
        last_op_date: Timestamp,
        /// How a primary storage is chosen.
        allocator_strategy: String,
    }
    relations {
        "volume" => Volume(uuid = disk_offering_uuid);
    }
}
