//! SyncVolumeSize, GetVolumeCapabilities.

use gantry_common::{
    agent::{MeasureVolume, VolumeSize},
    id::VolumeUuid,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::making::require;
use crate::{
    api::{Caller, SyncOperation},
    clock::Timestamp,
    failure::Failure,
    job::{JobOperation, Recording, Run, Step},
    operation,
    query::inventory_reply,
    resource::{MediaStatus, Volume},
    store::Tx,
    volume::{VolumeCommand, VolumeFile, admit_volume, require_host},
};

operation! {
    /// Measures a volume's file and records its size.
    SyncVolumeSize, "3.2.11", Put "/volumes/{uuid}/actions", Job -> Volume; {
        /// The volume.
        uuid: VolumeUuid;
    }
}

/// The file and what it was found to have.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Measuring {
    file: Option<VolumeFile>,
    seen: Option<VolumeSize>,
}

impl JobOperation for SyncVolumeSize {
    type State = Measuring;

    fn locks(&self) -> Vec<String> {
        vec![self.uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("find its file", |tx, run: &mut Recording<'_, Self>| {
                let volume = require::<Volume>(tx, "uuid", run.params.uuid)?;
                admit_volume(&volume, VolumeCommand::Measure)?;
                require_host(tx, &volume)?;
                run.state.file = Some(VolumeFile::require(tx, &volume)?);
                Ok(())
            }),
            Step::remote("measure it", |mut run: Run<Self>| async move {
                if let Some(file) = run.state.file.clone() {
                    let command = MeasureVolume { root: file.root, path: file.path };
                    run.state.seen = Some(run.call(file.host, "measure", command).await?);
                }
                Ok(run.state)
            }),
            Step::record("record its size", |tx, run| {
                run.state.seen.map_or(Ok(()), |seen| note_size(tx, run.params.uuid, seen))
            }),
        ]
    }

    fn reply(&self, tx: &Tx<'_>, _state: &Measuring) -> Result<Value, Failure> {
        inventory_reply::<Volume>(tx, self.uuid)
    }
}

/// Records the size that a volume's file was seen to have, and promises it that much.
pub fn note_size(tx: &Tx<'_>, uuid: VolumeUuid, seen: VolumeSize) -> Result<(), Failure> {
    let mut volume = require::<Volume>(tx, "uuid", uuid)?;
    if let (Some(storage), Some(host)) = (volume.primary_storage_uuid, volume.host_uuid) {
        tx.set_promise(storage, host, &uuid.to_string(), seen.size_bytes)?;
    }
    volume.size = seen.size_bytes;
    volume.actual_size = Some(seen.actual_bytes);
    volume.last_op_date = Timestamp::now();
    tx.save(&volume)?;
    Ok(())
}

operation! {
    /// What can be done with a volume.
    GetVolumeCapabilities, "3.2.10", Get "/volumes/{uuid}/capabilities", Sync -> { capabilities: (Json) }; {
        /// The volume.
        uuid: VolumeUuid;
    }
}

impl SyncOperation for GetVolumeCapabilities {
    async fn answer(self, caller: Caller) -> Result<Value, Failure> {
        let volume = caller.node.store.read(move |tx| require::<Volume>(tx, "uuid", self.uuid)).await?;
        // Files on local storage move between hosts and between storages; a volume without a file has none to move.
        let moves = volume.status == MediaStatus::Ready;
        Ok(json!({
            "capabilities": { "MigrationInCurrentPrimaryStorage": moves, "MigrationToOtherPrimaryStorage": moves },
        }))
    }
}
