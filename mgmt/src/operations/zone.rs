//! 4.1: zones.

use gantry_common::id::ZoneUuid;
use serde_json::Value;

use super::{
    changing::{SWITCHES, change},
    making::{made, make, put_tags, readable_name},
};
use crate::{
    api::{Operation, job, query},
    change_description, change_state,
    clock::Timestamp,
    deletes,
    deletion::deletes,
    failure::Failure,
    job::{JobOperation, Step},
    operation,
    resource::{AdminState, Zone},
    store::Tx,
};

/// The operations of this chapter.
pub fn operations() -> Vec<Operation> {
    vec![
        job::<CreateZone>(),
        deletes::<DeleteZone>(),
        change::<UpdateZone>(),
        change::<ChangeZoneState>(),
        query::<QueryZone>(Zone::declaration),
    ]
}

operation! {
    /// Makes a zone.
    CreateZone, "4.1.1", Post "/zones", Job -> Zone; {
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The id it gets.
        resource_uuid: Option<ZoneUuid>;
    }
}

impl JobOperation for CreateZone {
    type State = Option<ZoneUuid>;

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("record the zone", |tx, run| {
            let uuid = run.params.resource_uuid.unwrap_or_else(ZoneUuid::random);
            let now = Timestamp::now();
            make(
                tx,
                &Zone {
                    uuid,
                    name: readable_name(&run.params.name)?,
                    description: run.params.description.clone(),
                    state: AdminState::Enabled,
                    kind: "zstack".to_owned(),
                    create_date: now,
                    last_op_date: now,
                },
            )?;
            put_tags::<Zone>(tx, uuid, &run.params.system_tags, &run.params.user_tags)?;
            *run.state = Some(uuid);
            Ok(())
        })]
    }

    fn reply(&self, tx: &Tx<'_>, state: &Self::State) -> Result<Value, Failure> {
        made::<Zone>(tx, *state)
    }
}

operation! {
    /// Deletes a zone with its clusters, hosts, VMs, primary storages and networks.
    DeleteZone, "4.1.2", Delete "/zones/{uuid}", Job; {
        /// The zone.
        uuid: ZoneUuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }
}

deletes!(DeleteZone of Zone);

operation! {
    /// Queries zones.
    QueryZone, "4.1.3", Get "/zones" | "/zones/{uuid}", Sync -> [Zone]; {}
}

operation! {
    /// Gives a zone another name or description.
    UpdateZone, "4.1.4", Put "/zones/{uuid}/actions", Job -> Zone; {
        /// The zone.
        uuid: ZoneUuid;
        /// Its new name.
        name: Option<String>, max_length 255;
        /// Its new description.
        description: Option<String>, max_length 2048;
    }
}

change_description!(UpdateZone of Zone);

operation! {
    /// Enables or disables a zone. The hosts of a disabled one take no new VMs.
    ChangeZoneState, "4.1.5", Put "/zones/{uuid}/actions", Job -> Zone; {
        /// The zone.
        uuid: ZoneUuid;
        /// What is to happen.
        state_event: String, values SWITCHES;
    }
}

change_state!(ChangeZoneState of Zone);
