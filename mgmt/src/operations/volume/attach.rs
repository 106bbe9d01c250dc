//! AttachDataVolumeToVm.

use gantry_common::{
    agent::{AttachDisk, DetachDisk, Disk, ImageFormat},
    id::{HostUuid, VmUuid, VolumeUuid},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    super::making::require,
    create::{Making, make_file, note_made},
};
use crate::{
    cleanup::{Cleanup, clean_up_some_time},
    clock::Timestamp,
    failure::Failure,
    job::{JobOperation, Recording, Run, Step},
    operation,
    query::inventory_reply,
    resource::{PrimaryStorage, VmInstance, Volume},
    store::Tx,
    vm,
    volume::{self, Attachment, VolumeCommand, VolumeFile, admit_attachment, admit_volume, settle, unsettle},
};

operation! {
    /// Attaches a data volume to a VM; the guest of a running one sees the disk at once. A volume without a file gets it now.
    AttachDataVolumeToVm, "3.2.19", Post "/volumes/{volumeUuid}/vm-instances/{vmInstanceUuid}", Job -> Volume; {
        /// The VM.
        vm_instance_uuid: VmUuid;
        /// The volume.
        volume_uuid: VolumeUuid;
    }
}

/// What is done where; nothing where the VM has the volume already.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Attaching {
    attachment: Option<Attachment>,
    making: Making,
}

impl JobOperation for AttachDataVolumeToVm {
    type State = Attaching;

    fn locks(&self) -> Vec<String> {
        vec![self.volume_uuid.to_string(), self.vm_instance_uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("give the volume to the VM", give).undo_record(take_back),
            make_file(|state: &mut Attaching| &mut state.making),
            Step::record("record its file", |tx, run| note_made(tx, &run.state.making)),
            Step::remote("plug the disk into the running VM", |run: Run<Self>| async move {
                if let Some(Attachment { device_id, live_on: Some(host), .. }) = run.state.attachment {
                    plug(&run, host, run.params.vm_instance_uuid, run.params.volume_uuid, device_id).await?;
                }
                Ok(run.state)
            })
            .undo_remote(|run: Run<Self>| async move {
                if let Some(host) = run.state.attachment.and_then(|attachment| attachment.live_on) {
                    let (vm, volume) = (run.params.vm_instance_uuid, run.params.volume_uuid);
                    // A guest that keeps the disk must not keep the VM from being stopped, which waits for this job.
                    clean_up_some_time(&run.node, host, Cleanup::Disk(DetachDisk { vm, volume })).await;
                }
                Ok(run.state)
            }),
        ]
    }

    fn reply(&self, tx: &Tx<'_>, _state: &Attaching) -> Result<Value, Failure> {
        inventory_reply::<Volume>(tx, self.volume_uuid)
    }
}

fn give(tx: &Tx<'_>, run: &mut Recording<'_, AttachDataVolumeToVm>) -> Result<(), Failure> {
    let mut volume = require::<Volume>(tx, "volumeUuid", run.params.volume_uuid)?;
    let vm = require::<VmInstance>(tx, "vmInstanceUuid", run.params.vm_instance_uuid)?;
    if volume.vm_instance_uuid == Some(vm.uuid) {
        // A root volume is refused, a data volume is where it is to be.
        return admit_volume(&volume, VolumeCommand::Detach).map(drop);
    }
    let attachment = admit_attachment(tx, &run.node.settings.now(), &volume, &vm)?;
    if let Some((storage, host)) = attachment.home {
        let storage = require::<PrimaryStorage>(tx, "primaryStorageUuid", storage)?;
        let file = settle(tx, &mut volume, &storage, host, run.account_uuid, None)?;
        run.state.making = Making { volume: Some(volume.uuid), host: Some(host), file: Some(file), size: None };
    }
    volume::attach(&mut volume, &vm, attachment.device_id);
    volume.last_op_date = Timestamp::now();
    tx.save(&volume)?;
    run.state.attachment = Some(attachment);
    Ok(())
}

fn take_back(tx: &Tx<'_>, run: &mut Recording<'_, AttachDataVolumeToVm>) -> Result<(), Failure> {
    let volume = tx.get::<Volume>(run.params.volume_uuid)?;
    let (Some(attachment), Some(mut volume)) = (run.state.attachment, volume) else { return Ok(()) };
    volume::detach(&mut volume);
    if attachment.home.is_some() {
        volume.actual_size = None;
        unsettle(tx, &mut volume)?;
    }
    tx.save(&volume)?;
    Ok(())
}

/// Plugs the volume into the running VM as its disk of that number.
pub async fn plug<O: JobOperation>(
    run: &Run<O>,
    host: HostUuid,
    vm: VmUuid,
    volume: VolumeUuid,
    device_id: u32,
) -> Result<(), Failure> {
    let find = move |tx: &Tx<'_>| {
        let path = VolumeFile::require(tx, &require::<Volume>(tx, "volumeUuid", volume)?)?.path;
        let platform = vm::platform(require::<VmInstance>(tx, "vmInstanceUuid", vm)?.platform);
        let disk = Disk { volume, path, format: ImageFormat::Qcow2, device_id };
        Ok::<_, Failure>(AttachDisk { vm, platform, disk })
    };
    let command = run.node.store.read(find).await?;
    run.call(host, "attach", command).await
}
