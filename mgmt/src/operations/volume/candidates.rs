//! Which VMs a data volume can be attached to, and which data volumes a VM can have.

use gantry_common::id::{VmUuid, VolumeUuid};
use serde_json::Value;

use super::super::{candidates::Candidates, making::require};
use crate::{
    api::{Caller, SyncOperation},
    failure::Failure,
    operation,
    resource::{VmInstance, Volume, VolumeType},
    store::SqlValue,
    volume::admit_attachment,
};

operation! {
    /// The VMs that a data volume can be attached to now, and why it cannot be to the others.
    GetDataVolumeAttachableVm, "3.2.18", Get "/volumes/{volumeUuid}/candidate-vm-instances",
        Sync -> { inventories: [VmInstance], details: [Exclusion] }; {
        /// The volume.
        volume_uuid: VolumeUuid;
    }
}

impl SyncOperation for GetDataVolumeAttachableVm {
    async fn answer(self, caller: Caller) -> Result<Value, Failure> {
        let settings = caller.node.settings.now();
        let find = move |tx: &crate::store::Tx<'_>| {
            let volume = require::<Volume>(tx, "volumeUuid", self.volume_uuid)?;
            let check = |vm: &VmInstance| admit_attachment(tx, &settings, &volume, vm).map(drop);
            Candidates::sift(tx.all::<VmInstance>()?, |vm| &vm.name, check)?.reply(tx)
        };
        caller.node.store.read(find).await
    }
}

operation! {
    /// The data volumes that can be attached to a VM now, and why the others cannot be.
    GetVmAttachableDataVolume, "3.1.20", Get "/vm-instances/{vmInstanceUuid}/data-volume-candidates",
        Sync -> { inventories: [Volume], details: [Exclusion] }; {
        /// The VM.
        vm_instance_uuid: VmUuid;
    }
}

impl SyncOperation for GetVmAttachableDataVolume {
    async fn answer(self, caller: Caller) -> Result<Value, Failure> {
        let settings = caller.node.settings.now();
        let find = move |tx: &crate::store::Tx<'_>| {
            let vm = require::<VmInstance>(tx, "vmInstanceUuid", self.vm_instance_uuid)?;
            let volumes = tx.find::<Volume>(&[("kind", VolumeType::Data.to_sql())])?;
            let check = |volume: &Volume| admit_attachment(tx, &settings, volume, &vm).map(drop);
            Candidates::sift(volumes, |volume| &volume.name, check)?.reply(tx)
        };
        caller.node.store.read(find).await
    }
}
