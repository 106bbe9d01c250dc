//! DetachDataVolumeFromVm, and how other operations take a volume from its VM.

use gantry_common::{
    agent::DetachDisk,
    id::{HostUuid, VmUuid, VolumeUuid},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{super::making::require, attach::plug};
use crate::{
    clock::Timestamp,
    failure::Failure,
    job::{FindLocks, JobOperation, Recording, Run, Step},
    operation,
    query::inventory_reply,
    resource::{VmInstance, Volume},
    store::{SqlValue, Tx},
    volume::{self, admit_detachment},
};

operation! {
    /// Detaches a data volume from its VM. The guest of a running one has to let go of the disk; what is on it stays.
    DetachDataVolumeFromVm, "3.2.20", Delete "/volumes/{uuid}/vm-instances", Job -> Volume; {
        /// The volume.
        uuid: VolumeUuid;
        /// The VM it is attached to.
        vm_uuid: Option<VmUuid>;
    }
}

/// A volume that was taken from a VM in the inventory, and what is needed to give it back.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Detached {
    vm: VmUuid,
    device_id: u32,
    /// The host on which the VM runs, if it does.
    live_on: Option<HostUuid>,
}

/// The VM of a volume.
pub fn vm_of(tx: &Tx<'_>, volume: VolumeUuid) -> Result<Vec<String>, Failure> {
    let vm = tx.get::<Volume>(volume)?.and_then(|volume| volume.vm_instance_uuid);
    Ok(vm.iter().map(ToString::to_string).collect())
}

/// Takes the volume from its VM in the inventory. This comes before the running guest is asked: whatever is done with the VM
/// from now on, it is done without the volume.
pub fn take(tx: &Tx<'_>, volume: &mut Volume) -> Result<Option<Detached>, Failure> {
    let Some(live_on) = admit_detachment(tx, volume)? else { return Ok(None) };
    let taken = volume.vm_instance_uuid.zip(volume.device_id);
    volume::detach(volume);
    volume.last_op_date = Timestamp::now();
    tx.save(volume)?;
    Ok(taken.map(|(vm, device_id)| Detached { vm, device_id, live_on }))
}

/// Gives the volume back to the VM whose guest did not let go of it. A VM that is gone by now gets nothing.
pub fn give_back(tx: &Tx<'_>, volume: VolumeUuid, detached: Option<Detached>) -> Result<(), Failure> {
    let (Some(detached), Some(mut volume)) = (detached, tx.get::<Volume>(volume)?) else { return Ok(()) };
    let Some(vm) = tx.get::<VmInstance>(detached.vm)? else { return Ok(()) };
    let disks = tx.find::<Volume>(&[("vm_instance_uuid", vm.uuid.to_sql())])?;
    let is_free = |number: &u32| !disks.iter().any(|disk| disk.device_id == Some(*number));
    let device_id = [detached.device_id].into_iter().chain(1..).find(is_free).unwrap_or(detached.device_id);
    volume::attach(&mut volume, &vm, device_id);
    tx.save(&volume)?;
    Ok(())
}

/// The step after the volume was taken from its VM: the guest of a running one lets go of the disk.
pub fn let_go<O: JobOperation<State = Option<Detached>>>(volume: fn(&O) -> VolumeUuid) -> Step<O> {
    Step::remote("have the guest let go of the disk", move |run: Run<O>| async move {
        if let Some(Detached { vm, live_on: Some(host), .. }) = run.state {
            run.call(host, "detach", DetachDisk { vm, volume: volume(&run.params) }).await?;
        }
        Ok(run.state)
    })
    .undo_remote(move |run: Run<O>| async move {
        plug_again(&run, volume(&run.params)).await;
        Ok(run.state)
    })
}

/// Sees to it that the VM has the disk, in case its guest let go of it although the job was told otherwise.
async fn plug_again<O: JobOperation<State = Option<Detached>>>(run: &Run<O>, volume: VolumeUuid) {
    let Some(Detached { vm, device_id, live_on: Some(host) }) = run.state else { return };
    if let Err(failure) = plug(run, host, vm, volume, device_id).await {
        tracing::warn!(%volume, %vm, error = %failure, "a volume that was not detached may be missing until the VM starts again");
    }
}

impl JobOperation for DetachDataVolumeFromVm {
    type State = Option<Detached>;

    fn locks(&self) -> Vec<String> {
        vec![self.uuid.to_string()]
    }

    const FIND_LOCKS: Option<FindLocks<Self>> = Some(|call, tx| vm_of(tx, call.uuid));

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("take the volume from the VM", |tx, run: &mut Recording<'_, Self>| {
                let mut volume = require::<Volume>(tx, "uuid", run.params.uuid)?;
                if let (Some(asked), Some(vm)) = (run.params.vm_uuid, volume.vm_instance_uuid)
                    && asked != vm
                {
                    let remedy = format!("volume '{}' is attached to VM {vm}: name that one, or none", volume.name);
                    return Err(Failure::argument("vmUuid", asked, remedy));
                }
                *run.state = take(tx, &mut volume)?;
                Ok(())
            })
            .undo_record(|tx, run| give_back(tx, run.params.uuid, *run.state)),
            let_go(|call| call.uuid),
        ]
    }

    fn reply(&self, tx: &Tx<'_>, _state: &Option<Detached>) -> Result<Value, Failure> {
        inventory_reply::<Volume>(tx, self.uuid)
    }
}
