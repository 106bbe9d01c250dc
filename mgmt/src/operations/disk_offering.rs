//! 3.6: disk offerings.

use gantry_common::id::DiskOfferingUuid;
use serde_json::Value;

use super::{
    changing::{SWITCHES, change},
    making::{made, make, put_tags, readable_name, require},
};
use crate::{
    api::{Operation, job, query},
    change_description, change_state,
    clock::Timestamp,
    failure::Failure,
    job::{JobOperation, Step},
    operation,
    resource::{AdminState, DiskOffering},
    store::Tx,
    vm::{DEFAULT_STORAGE_STRATEGY, storage_strategy},
};

/// The operations of this chapter.
pub fn operations() -> Vec<Operation> {
    vec![
        job::<CreateDiskOffering>(),
        job::<DeleteDiskOffering>(),
        change::<UpdateDiskOffering>(),
        change::<ChangeDiskOfferingState>(),
        query::<QueryDiskOffering>(DiskOffering::declaration),
    ]
}

/// A qcow2 file's smallest sensible size.
const SMALLEST_DISK_BYTES: u64 = 1 << 20;

operation! {
    /// Makes a size of volume.
    CreateDiskOffering, "3.6.1", Post "/disk-offerings", Job -> DiskOffering; {
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The size in bytes.
        disk_size: u64, range 1..=i64::MAX;
        /// Where it stands in lists.
        sort_key: Option<i32>;
        /// How a primary storage is chosen.
        allocation_strategy: Option<String>;
        /// Its kind.
        kind as "type": Option<String>, values &["zstack"];
        /// The id it gets.
        resource_uuid: Option<DiskOfferingUuid>;
    }
}

impl JobOperation for CreateDiskOffering {
    type State = Option<DiskOfferingUuid>;

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("record the disk offering", |tx, run| {
            let params = run.params;
            if params.disk_size < SMALLEST_DISK_BYTES {
                return Err(Failure::argument(
                    "diskSize",
                    params.disk_size,
                    "it is in bytes; at least 1 MiB is needed",
                ));
            }
            let strategy = params.allocation_strategy.as_deref().unwrap_or(DEFAULT_STORAGE_STRATEGY);
            let strategy = storage_strategy("allocationStrategy", strategy)?;
            let uuid = params.resource_uuid.unwrap_or_else(DiskOfferingUuid::random);
            let now = Timestamp::now();
            make(
                tx,
                &DiskOffering {
                    uuid,
                    name: readable_name(&params.name)?,
                    description: params.description.clone(),
                    disk_size: params.disk_size,
                    sort_key: params.sort_key.unwrap_or(0),
                    state: AdminState::Enabled,
                    kind: "zstack".to_owned(),
                    create_date: now,
                    last_op_date: now,
                    allocator_strategy: strategy.to_owned(),
                },
            )?;
            put_tags::<DiskOffering>(tx, uuid, &params.system_tags, &params.user_tags)?;
            *run.state = Some(uuid);
            Ok(())
        })]
    }

    fn reply(&self, tx: &Tx<'_>, state: &Self::State) -> Result<Value, Failure> {
        made::<DiskOffering>(tx, *state)
    }
}

operation! {
    /// Deletes a disk offering. Volumes made from it keep their size.
    DeleteDiskOffering, "3.6.2", Delete "/disk-offerings/{uuid}", Job; {
        /// The disk offering.
        uuid: DiskOfferingUuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }
}

impl JobOperation for DeleteDiskOffering {
    type State = ();

    fn locks(&self) -> Vec<String> {
        vec![self.uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("delete the disk offering", |tx, run| {
            let offering = require::<DiskOffering>(tx, "uuid", run.params.uuid)?;
            Ok(tx.delete::<DiskOffering>(offering.uuid)?)
        })]
    }
}

operation! {
    /// Queries disk offerings.
    QueryDiskOffering, "3.6.3", Get "/disk-offerings" | "/disk-offerings/{uuid}", Sync -> [DiskOffering]; {}
}

operation! {
    /// Gives a disk offering another name or description.
    UpdateDiskOffering, "3.6.5", Put "/disk-offerings/{uuid}/actions", Job -> DiskOffering; {
        /// The disk offering.
        uuid: DiskOfferingUuid;
        /// Its new name.
        name: Option<String>, max_length 255;
        /// Its new description.
        description: Option<String>, max_length 2048;
    }
}

change_description!(UpdateDiskOffering of DiskOffering);

operation! {
    /// Enables or disables a disk offering. No new volume is made from a disabled one.
    ChangeDiskOfferingState, "3.6.4", Put "/disk-offerings/{uuid}/actions", Job -> DiskOffering; {
        /// The disk offering.
        uuid: DiskOfferingUuid;
        /// What is to happen.
        state_event: String, values SWITCHES;
    }
}

change_state!(ChangeDiskOfferingState of DiskOffering);
