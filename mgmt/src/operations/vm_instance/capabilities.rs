//! GetVmCapabilities.

use gantry_common::id::VmUuid;
use serde_json::{Value, json};

use super::super::{is_carried_out, making::require};
use crate::{
    api::{Caller, SyncOperation},
    failure::Failure,
    operation,
    resource::{Image, MediaType, PrimaryStorage, VmInstance, Volume},
    store::{SqlValue, Tx},
    vm::LOCAL_STORAGE,
};

operation! {
    /// What can be done with a VM: whether it can move to another host while it runs, whether its root volume can move to
    /// another storage, and whether its root volume can be made from its image anew.
    GetVmCapabilities, "3.1.49", Get "/vm-instances/{uuid}/capabilities", Sync -> { capabilities: (Json) }; {
        /// The VM.
        uuid: VmUuid;
    }
}

impl SyncOperation for GetVmCapabilities {
    async fn answer(self, caller: Caller) -> Result<Value, Failure> {
        caller.node.store.read(move |tx| capabilities(tx, self.uuid)).await
    }
}

fn capabilities(tx: &Tx<'_>, uuid: VmUuid) -> Result<Value, Failure> {
    let vm = require::<VmInstance>(tx, "uuid", uuid)?;
    let mut volumes = Vec::new();
    for volume in tx.find::<Volume>(&[("vm_instance_uuid", vm.uuid.to_sql())])? {
        let storage = volume.primary_storage_uuid.map(|uuid| tx.get::<PrimaryStorage>(uuid)).transpose()?.flatten();
        let is_local = storage.is_some_and(|storage| storage.kind == LOCAL_STORAGE);
        volumes.push((Some(volume.uuid) == vm.root_volume_uuid, is_local));
    }
    let has_root = volumes.iter().any(|(is_root, _)| *is_root);
    let root_is_local = volumes.contains(&(true, true));
    let is_template = tx.get::<Image>(vm.image_uuid)?.is_some_and(|image| image.media_type != MediaType::Iso);
    Ok(json!({ "capabilities": {
        // Files on a host's own disks stay there while the VM runs.
        "LiveMigration": has_root && volumes.iter().all(|(_, is_local)| !is_local) && is_carried_out("MigrateVm"),
        "VolumeMigration": root_is_local && is_carried_out("LocalStorageMigrateVolume"),
        "Reimage": has_root && is_template && is_carried_out("ReimageVmInstance"),
    } }))
}
