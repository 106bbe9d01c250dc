//! 3.5: instance offerings.

use gantry_common::id::InstanceOfferingUuid;
use serde_json::Value;

use super::{
    changing::{Change, SWITCHES, change, describe},
    making::{made, make, put_tags, readable_name, require},
};
use crate::{
    api::{Operation, job, query},
    change_state,
    clock::Timestamp,
    failure::Failure,
    job::{JobOperation, Step},
    operation,
    resource::{AdminState, InstanceOffering},
    store::Tx,
};

/// The operations of this chapter.
pub fn operations() -> Vec<Operation> {
    vec![
        job::<CreateInstanceOffering>(),
        job::<DeleteInstanceOffering>(),
        change::<UpdateInstanceOffering>(),
        change::<ChangeInstanceOfferingState>(),
        query::<QueryInstanceOffering>(InstanceOffering::declaration),
    ]
}

/// QEMU's firmware does not start with less.
const SMALLEST_MEMORY_BYTES: u64 = 16 << 20;

/// Whether a VM can have that much memory at all.
pub(super) fn check_memory(memory_bytes: u64) -> Result<(), Failure> {
    if memory_bytes < SMALLEST_MEMORY_BYTES {
        return Err(Failure::argument("memorySize", memory_bytes, "it is in bytes; at least 16 MiB are needed"));
    }
    Ok(())
}

operation! {
    /// Makes a size of VM.
    CreateInstanceOffering, "3.5.1", Post "/instance-offerings", Job -> InstanceOffering; {
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// Virtual processors.
        cpu_num: u32, range 1..=1024;
        /// Memory in bytes.
        memory_size: u64, range 1..=i64::MAX;
        /// How a host is chosen.
        allocator_strategy: Option<String>;
        /// Where it stands in lists.
        sort_key: Option<i32>;
        /// Its kind.
        kind as "type": Option<String>, values &["UserVm"];
        /// The id it gets.
        resource_uuid: Option<InstanceOfferingUuid>;
    }
}

impl JobOperation for CreateInstanceOffering {
    type State = Option<InstanceOfferingUuid>;

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("record the instance offering", |tx, run| {
            let params = run.params;
            check_memory(params.memory_size)?;
            let preferred = run.node.settings.now().allocator_strategy;
            let strategy = params.allocator_strategy.as_deref().unwrap_or(preferred);
            crate::vm::Strategy::parse(strategy)?;
            let uuid = params.resource_uuid.unwrap_or_else(InstanceOfferingUuid::random);
            let now = Timestamp::now();
            make(
                tx,
                &InstanceOffering {
                    uuid,
                    name: readable_name(&params.name)?,
                    description: params.description.clone(),
                    cpu_num: params.cpu_num,
                    cpu_speed: 0,
                    memory_size: params.memory_size,
                    kind: params.kind.clone().unwrap_or_else(|| "UserVm".to_owned()),
                    allocator_strategy: strategy.to_owned(),
                    sort_key: params.sort_key.unwrap_or(0),
                    state: AdminState::Enabled,
                    create_date: now,
                    last_op_date: now,
                },
            )?;
            put_tags::<InstanceOffering>(tx, uuid, &params.system_tags, &params.user_tags)?;
            *run.state = Some(uuid);
            Ok(())
        })]
    }

    fn reply(&self, tx: &Tx<'_>, state: &Self::State) -> Result<Value, Failure> {
        made::<InstanceOffering>(tx, *state)
    }
}

operation! {
    /// Deletes an instance offering. VMs made from it keep their size.
    DeleteInstanceOffering, "3.5.2", Delete "/instance-offerings/{uuid}", Job; {
        /// The instance offering.
        uuid: InstanceOfferingUuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }
}

impl JobOperation for DeleteInstanceOffering {
    type State = ();

    fn locks(&self) -> Vec<String> {
        vec![self.uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("delete the instance offering", |tx, run| {
            let offering = require::<InstanceOffering>(tx, "uuid", run.params.uuid)?;
            Ok(tx.delete::<InstanceOffering>(offering.uuid)?)
        })]
    }
}

operation! {
    /// Queries instance offerings.
    QueryInstanceOffering, "3.5.3",
        Get "/instance-offerings" | "/instance-offerings/{uuid}", Sync -> [InstanceOffering]; {}
}

operation! {
    /// Enables or disables an instance offering. No new VM is made from a disabled one.
    ChangeInstanceOfferingState, "3.5.6", Put "/instance-offerings/{uuid}/actions", Job -> InstanceOffering; {
        /// The instance offering.
        uuid: InstanceOfferingUuid;
        /// What is to happen.
        state_event: String, values SWITCHES;
    }
}

change_state!(ChangeInstanceOfferingState of InstanceOffering);

operation! {
    /// Gives an instance offering another name, description or way of choosing hosts. VMs made from it keep theirs.
    UpdateInstanceOffering, "3.5.5", Put "/instance-offerings/{uuid}/actions", Job -> InstanceOffering; {
        /// The instance offering.
        uuid: InstanceOfferingUuid;
        /// Its new name.
        name: Option<String>, max_length 255;
        /// Its new description.
        description: Option<String>, max_length 2048;
        /// How a host is chosen from now on.
        allocator_strategy: Option<String>;
    }
}

impl Change for UpdateInstanceOffering {
    type Resource = InstanceOffering;

    fn key(&self) -> InstanceOfferingUuid {
        self.uuid
    }

    fn apply(&self, _tx: &Tx<'_>, offering: &mut InstanceOffering) -> Result<(), Failure> {
        if let Some(strategy) = &self.allocator_strategy {
            crate::vm::Strategy::parse(strategy)?;
            offering.allocator_strategy.clone_from(strategy);
        }
        describe((&mut offering.name, self.name.as_deref()), (&mut offering.description, self.description.as_deref()))
    }
}
