//! 3.2: volumes.

mod attach;
mod candidates;
mod create;
mod create_from_template;
mod detach;
mod remove;
mod resize;
mod size;

pub use detach::vm_of;
use gantry_common::id::VolumeUuid;
pub use remove::ExpungeDataVolume;
use serde_json::{Value, json};

use super::changing::{SWITCHES, change};
use crate::{
    api::{Caller, Operation, SyncOperation, job, query, sync},
    change_description, change_state,
    failure::Failure,
    operation,
    resource::{ShareableVolumeVmInstanceRef, Volume},
};

/// The operations of this chapter.
pub fn operations() -> Vec<Operation> {
    vec![
        job::<create::CreateDataVolume>(),
        job::<create_from_template::CreateDataVolumeFromVolumeTemplate>(),
        job::<remove::DeleteDataVolume>(),
        job::<remove::RecoverDataVolume>(),
        job::<remove::ExpungeDataVolume>(),
        job::<attach::AttachDataVolumeToVm>(),
        job::<detach::DetachDataVolumeFromVm>(),
        job::<resize::ResizeRootVolume>(),
        job::<resize::ResizeDataVolume>(),
        job::<size::SyncVolumeSize>(),
        sync::<size::GetVolumeCapabilities>(),
        sync::<candidates::GetDataVolumeAttachableVm>(),
        sync::<candidates::GetVmAttachableDataVolume>(),
        query::<QueryShareableVolumeVmInstanceRef>(ShareableVolumeVmInstanceRef::declaration),
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
    /// Queries which VMs shareable volumes are attached to. Local storage, which one host has, shares none.
    QueryShareableVolumeVmInstanceRef, "3.1.13", Get "/volumes/vm-instances/refs",
        Sync -> [ShareableVolumeVmInstanceRef]; {}
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
