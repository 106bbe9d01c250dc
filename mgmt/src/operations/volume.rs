//! 3.2: volumes.

use gantry_common::id::VolumeUuid;

use serde_json::{Value, json};

use super::changing::{SWITCHES, change};
use crate::{
    api::{Caller, Operation, SyncOperation, query, sync},
    change_description, change_state,
    failure::Failure,
    operation,
    resource::Volume,
};

/// The operations of this chapter.
pub fn operations() -> Vec<Operation> {
    vec![
        sync::<GetVolumeFormat>(),
        change::<UpdateVolume>(),
        change::<ChangeVolumeState>(),
        query::<QueryVolume>(Volume::declaration),
    ]
}

operation! {
    /// Queries volumes.
    QueryVolume, "3.2.8", Get "/volumes" | "/volumes/{uuid}", Sync -> [Volume]; {}
}

operation! {
    /// Gives a volume another name or description.
    UpdateVolume, "3.2.14", Put "/volumes/{uuid}/actions", Job -> Volume; {
        /// The volume.
        uuid: VolumeUuid;
        /// Its new name.
        name: Option<String>, max_length 255;
        /// Its new description.
        description: Option<String>, max_length 2048;
    }
}

change_description!(UpdateVolume of Volume);

operation! {
    /// Enables or disables a volume. A disabled one cannot be attached.
    ChangeVolumeState, "3.2.5", Put "/volumes/{uuid}/actions", Job -> Volume; {
        /// The volume.
        uuid: VolumeUuid;
        /// What is to happen.
        state_event: String, values SWITCHES;
    }
}

change_state!(ChangeVolumeState of Volume);

operation! {
    /// The formats that volumes can have.
    GetVolumeFormat, "3.2.9", Get "/volumes/formats",
        Sync -> { formats: [{ format: String, masterHypervisorType: String, supportingHypervisorTypes: [String] }] }; {}
}

impl SyncOperation for GetVolumeFormat {
    async fn answer(self, _caller: Caller) -> Result<Value, Failure> {
        let format = |format: &str| json!({ "format": format, "masterHypervisorType": "KVM", "supportingHypervisorTypes": ["KVM"] });
        Ok(json!({ "formats": [format("qcow2"), format("raw"), format("iso")] }))
    }
}
