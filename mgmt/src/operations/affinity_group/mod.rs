//! 3.4: affinity groups.

mod membership;

use gantry_common::id::{AffinityGroupUuid, VmUuid};
pub use membership::{enroll, expel};
use serde_json::Value;

use self::membership::{admit, refuse_neighbours};
use super::{
    changing::{Change, SWITCHES, change, switched},
    making::{made, make, put_tags, readable_name, require},
};
use crate::{
    api::{Operation, job, query},
    change_description,
    clock::Timestamp,
    deletes,
    deletion::deletes,
    failure::Failure,
    job::{JobOperation, Step},
    operation,
    query::inventory_reply,
    resource::{AdminState, AffinityGroup, AffinityGroupUsage, AffinityPolicy},
    store::{SqlValue, Tx},
};

/// The operations of this chapter.
pub fn operations() -> Vec<Operation> {
    vec![
        job::<CreateAffinityGroup>(),
        deletes::<DeleteAffinityGroup>(),
        change::<UpdateAffinityGroup>(),
        change::<ChangeAffinityGroupState>(),
        job::<AddVmToAffinityGroup>(),
        job::<RemoveVmFromAffinityGroup>(),
        query::<QueryAffinityGroup>(AffinityGroup::declaration),
    ]
}

operation! {
    /// Makes a group of VMs that are kept on different hosts: with `antiSoft` where that is possible, with `antiHard`
    /// strictly, so that a VM that finds no host of its own does not start.
    CreateAffinityGroup, "3.4.1", Post "/affinity-groups", Job -> AffinityGroup; {
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 255;
        /// How strictly its VMs are kept apart.
        policy: String, values &["antiSoft", "antiHard"];
        /// What they are kept apart by.
        kind as "type": Option<String>, values &["host"];
        /// The id it gets.
        resource_uuid: Option<AffinityGroupUuid>;
    }
}

impl JobOperation for CreateAffinityGroup {
    type State = Option<AffinityGroupUuid>;

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("record the affinity group", |tx, run| {
            let params = run.params;
            let uuid = params.resource_uuid.unwrap_or_else(AffinityGroupUuid::random);
            let now = Timestamp::now();
            let policy = if params.policy == "antiHard" { AffinityPolicy::AntiHard } else { AffinityPolicy::AntiSoft };
            make(
                tx,
                &AffinityGroup {
                    uuid,
                    name: readable_name(&params.name)?,
                    description: params.description.clone(),
                    policy,
                    version: "1.0".to_owned(),
                    kind: "HOST".to_owned(),
                    appliance: "CUSTOMER".to_owned(),
                    state: AdminState::Enabled,
                    create_date: now,
                    last_op_date: now,
                },
            )?;
            put_tags::<AffinityGroup>(tx, uuid, &params.system_tags, &params.user_tags)?;
            *run.state = Some(uuid);
            Ok(())
        })]
    }

    fn reply(&self, tx: &Tx<'_>, state: &Self::State) -> Result<Value, Failure> {
        made::<AffinityGroup>(tx, *state)
    }
}

operation! {
    /// Deletes an affinity group. Its VMs stay where they are, and are in no group any more.
    DeleteAffinityGroup, "3.4.2", Delete "/affinity-groups/{uuid}", Job; {
        /// The affinity group.
        uuid: AffinityGroupUuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }
}

deletes!(DeleteAffinityGroup of AffinityGroup);

operation! {
    /// Queries affinity groups.
    QueryAffinityGroup, "3.4.3", Get "/affinity-groups" | "/affinity-groups/{uuid}", Sync -> [AffinityGroup]; {}
}

operation! {
    /// Gives an affinity group another name or description.
    UpdateAffinityGroup, "3.4.4", Put "/affinity-groups/{uuid}/actions", Job -> AffinityGroup; {
        /// The affinity group.
        uuid: AffinityGroupUuid;
        /// Its new name.
        name: Option<String>, max_length 255;
        /// Its new description.
        description: Option<String>, max_length 2048;
    }
}

change_description!(UpdateAffinityGroup of AffinityGroup);

operation! {
    /// Enables or disables an affinity group. A disabled one keeps its VMs and is not honoured. An `antiHard` one of which
    /// two VMs are on one host cannot be enabled.
    ChangeAffinityGroupState, "3.4.7", Put "/affinity-groups/{uuid}/actions", Job -> AffinityGroup; {
        /// The affinity group.
        uuid: AffinityGroupUuid;
        /// What is to happen.
        state_event: String, values SWITCHES;
    }
}

impl Change for ChangeAffinityGroupState {
    type Resource = AffinityGroup;

    fn key(&self) -> AffinityGroupUuid {
        self.uuid
    }

    fn apply(&self, tx: &Tx<'_>, group: &mut AffinityGroup) -> Result<(), Failure> {
        group.state = switched(&self.state_event);
        if group.state == AdminState::Enabled { refuse_neighbours(tx, group) } else { Ok(()) }
    }
}

operation! {
    /// Puts a VM into an affinity group; a VM is in one at the most. Where it runs stays as it is: one that is on a host
    /// with another VM of an `antiHard` group cannot join.
    AddVmToAffinityGroup, "3.4.5",
        Post "/affinity-groups/{affinityGroupUuid}/vm-instances/{uuid}", Job -> AffinityGroup; {
        /// The affinity group.
        affinity_group_uuid: AffinityGroupUuid;
        /// The VM.
        uuid: VmUuid;
    }
}

impl JobOperation for AddVmToAffinityGroup {
    type State = ();

    fn locks(&self) -> Vec<String> {
        vec![self.affinity_group_uuid.to_string(), self.uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("put the VM into the group", |tx, run| {
            let params = run.params;
            let group = require::<AffinityGroup>(tx, "affinityGroupUuid", params.affinity_group_uuid)?;
            admit(tx, &group, params.uuid)?;
            enroll(tx, group.uuid, params.uuid)?;
            Ok(tx.touch::<AffinityGroup>(group.uuid)?)
        })]
    }

    fn reply(&self, tx: &Tx<'_>, _state: &()) -> Result<Value, Failure> {
        inventory_reply::<AffinityGroup>(tx, self.affinity_group_uuid)
    }
}

operation! {
    /// Takes a VM out of an affinity group.
    RemoveVmFromAffinityGroup, "3.4.6",
        Delete "/affinity-groups/{affinityGroupUuid}/vm-instances", Job -> AffinityGroup; {
        /// The affinity group.
        affinity_group_uuid: AffinityGroupUuid;
        /// The VM.
        uuid: VmUuid;
    }
}

impl JobOperation for RemoveVmFromAffinityGroup {
    type State = ();

    fn locks(&self) -> Vec<String> {
        vec![self.affinity_group_uuid.to_string(), self.uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("take the VM out of the group", |tx, run| {
            let params = run.params;
            let group = require::<AffinityGroup>(tx, "affinityGroupUuid", params.affinity_group_uuid)?;
            let membership = [("affinity_group_uuid", group.uuid.to_sql()), ("resource_uuid", params.uuid.to_sql())];
            if tx.count::<AffinityGroupUsage>(&membership)? == 0 {
                let remedy = format!("it is no VM of affinity group '{}': see its usages", group.name);
                return Err(Failure::argument("uuid", params.uuid, remedy));
            }
            expel(tx, params.uuid)?;
            Ok(tx.touch::<AffinityGroup>(group.uuid)?)
        })]
    }

    fn reply(&self, tx: &Tx<'_>, _state: &()) -> Result<Value, Failure> {
        inventory_reply::<AffinityGroup>(tx, self.affinity_group_uuid)
    }
}
