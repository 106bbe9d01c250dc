//! ResizeRootVolume and ResizeDataVolume. A volume only grows, and what has grown stays so: a job that fails afterwards
//! records the size that the file then has.

use gantry_common::{
    agent::{MeasureVolume, ResizeVolume, VolumeSize},
    error::ErrorKind,
    id::{HostUuid, VolumeUuid},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{super::making::require, detach::vm_of, size::note_size};
use crate::{
    api::Declared,
    failure::Failure,
    job::{FindLocks, JobOperation, Recording, Run, Step},
    operation,
    query::inventory_reply,
    resource::{AdminState, PrimaryStorage, VmInstance, VmInstanceState, Volume, VolumeType},
    store::Tx,
    volume::{VolumeCommand, VolumeFile, admit_volume, require_host},
};

/// Volumes consist of whole sectors.
const SECTOR_BYTES: u64 = 512;

operation! {
    /// Makes a VM's root volume larger; the guest of a running VM sees the new size at once.
    ResizeRootVolume, "3.2.12", Put "/volumes/resize/{uuid}/actions", Job -> Volume; {
        /// The volume.
        uuid: VolumeUuid;
        /// Its new size in bytes.
        size: i64;
    }
}

operation! {
    /// Makes a data volume larger; the guest of a running VM that has it sees the new size at once.
    ResizeDataVolume, "3.2.13", Put "/volumes/data/resize/{uuid}/actions", Job -> Volume; {
        /// The volume.
        uuid: VolumeUuid;
        /// Its new size in bytes.
        size: i64;
    }
}

/// What is done; nothing where the volume has that size.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Resizing {
    command: Option<(HostUuid, ResizeVolume)>,
    /// What the file was last seen to have.
    seen: Option<VolumeSize>,
}

/// What the two operations have in common.
trait Resize: Declared {
    const KIND: VolumeType;

    fn volume(&self) -> VolumeUuid;

    fn size_bytes(&self) -> u64;
}

fn promise<O: Resize + JobOperation<State = Resizing>>(tx: &Tx<'_>, run: &mut Recording<'_, O>) -> Result<(), Failure> {
    let volume = require::<Volume>(tx, "uuid", run.params.volume())?;
    let size_bytes = run.params.size_bytes();
    if volume.kind != O::KIND {
        let remedy = format!("it is a {} volume: use Resize{}Volume", volume.kind, volume.kind);
        return Err(Failure::argument("uuid", volume.uuid, remedy));
    }
    admit_volume(&volume, VolumeCommand::Grow)?;
    if size_bytes < volume.size {
        let remedy = format!("volume '{}' has {} bytes, and volumes only grow", volume.name, volume.size);
        return Err(Failure::argument("size", size_bytes, remedy));
    }
    let vm = volume.vm_instance_uuid.map(|vm| tx.get::<VmInstance>(vm)).transpose()?.flatten();
    if let Some(vm) = vm.filter(|vm| matches!(vm.state, VmInstanceState::Destroyed | VmInstanceState::Expunging)) {
        let details = format!("volume '{}' belongs to VM '{}', which is {}", volume.name, vm.name, vm.state);
        return Err(Failure::new(ErrorKind::StateForbids, details));
    }
    if size_bytes == volume.size {
        return Ok(());
    }
    require_host(tx, &volume)?;
    let file = VolumeFile::require(tx, &volume)?;
    let storage = volume.primary_storage_uuid.map(|uuid| tx.get::<PrimaryStorage>(uuid)).transpose()?.flatten();
    let storage = storage
        .ok_or_else(|| Failure::new(ErrorKind::Internal, format!("volume '{}' is on no storage", volume.name)))?;
    if storage.state == AdminState::Maintenance {
        let details = format!("primary storage '{}' is in Maintenance: enable it", storage.name);
        return Err(Failure::new(ErrorKind::StateForbids, details));
    }
    if !tx.grow_promise(storage.uuid, file.host, &volume.uuid.to_string(), size_bytes)? {
        let left = tx.local_storage(storage.uuid, file.host)?.map_or(0, |local| local.available_bytes);
        let details = format!(
            "primary storage '{}' has {left} bytes left on the volume's host and {} more are needed: free space",
            storage.name,
            size_bytes - volume.size
        );
        return Err(Failure::new(ErrorKind::NoStorageCapacity, details));
    }
    let command =
        ResizeVolume { volume: volume.uuid, root: file.root, path: file.path, size_bytes, vm: volume.vm_instance_uuid };
    run.state.command = Some((file.host, command));
    Ok(())
}

async fn grow<O: Resize + JobOperation<State = Resizing>>(mut run: Run<O>) -> Result<Resizing, Failure> {
    if let Some((host, command)) = run.state.command.clone() {
        run.state.seen = Some(run.call(host, "resize", command).await?);
    }
    Ok(run.state)
}

/// The file may have grown although the job was told that it did not.
async fn look<O: Resize + JobOperation<State = Resizing>>(mut run: Run<O>) -> Result<Resizing, Failure> {
    if let Some((host, command)) = run.state.command.clone() {
        let measure = MeasureVolume { root: command.root, path: command.path };
        match run.call(host, "measure", measure).await {
            Ok(size) => run.state.seen = Some(size),
            // Its space stays promised, in case it has grown, until SyncVolumeSize sees it.
            Err(failure) => {
                tracing::warn!(volume = %command.volume, error = %failure, "the size of a volume is not certain: its space stays promised");
            }
        }
    }
    Ok(run.state)
}

fn note<O: Resize + JobOperation<State = Resizing>>(tx: &Tx<'_>, run: &mut Recording<'_, O>) -> Result<(), Failure> {
    run.state.seen.map_or(Ok(()), |seen| note_size(tx, run.params.volume(), seen))
}

macro_rules! resizes {
    ($operation:ident, $kind:expr) => {
        impl Resize for $operation {
            const KIND: VolumeType = $kind;

            fn volume(&self) -> VolumeUuid {
                self.uuid
            }

            fn size_bytes(&self) -> u64 {
                u64::try_from(self.size).unwrap_or_default().next_multiple_of(SECTOR_BYTES)
            }
        }

        impl JobOperation for $operation {
            type State = Resizing;

            fn locks(&self) -> Vec<String> {
                vec![self.uuid.to_string()]
            }

            const FIND_LOCKS: Option<FindLocks<Self>> = Some(|call, tx| vm_of(tx, call.uuid));

            fn steps() -> Vec<Step<Self>> {
                vec![
                    Step::record("promise the space", promise::<Self>).undo_record(note::<Self>),
                    Step::remote("make the volume larger", grow::<Self>).undo_remote(look::<Self>),
                    Step::record("record its size", note::<Self>),
                ]
            }

            fn reply(&self, tx: &Tx<'_>, _state: &Resizing) -> Result<Value, Failure> {
                inventory_reply::<Volume>(tx, self.uuid)
            }
        }
    };
}

resizes!(ResizeRootVolume, VolumeType::Root);
resizes!(ResizeDataVolume, VolumeType::Data);
