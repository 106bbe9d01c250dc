//! 4.5.3, 4.5.14: image stores in operation: connected anew, described anew, tidied up.

use std::time::Duration;

use gantry_common::{
    agent::{OpenStorage, ReclaimSpace, ReclaimedSpace, StorageCapacity, SurveyImageStore},
    error::ErrorKind,
    id::{BackupStorageUuid, HostUuid},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::making::require;
use crate::{
    api::{Operation, job},
    clock::Timestamp,
    failure::Failure,
    inventories,
    job::{JobOperation, Recording, Run, Step},
    operation,
    query::inventory_reply,
    resource::{BackupStorage, ImageBackupStorageRef, Machine},
    store::{SqlValue, Tx},
};

/// The operations of this file.
pub fn operations() -> Vec<Operation> {
    vec![
        job::<ReconnectBackupStorage>(),
        job::<ReconnectImageStoreBackupStorage>(),
        job::<ReclaimSpaceFromImageStore>(),
    ]
}

inventories! {
    /// An image store backup storage.
    ImageStoreBackupStorage {
        hostname: String, username: String, sshPort: i64, uuid: Uuid, name: String, url: String, description: String,
        totalCapacity: i64, availableCapacity: i64, type: String, state: String, status: String,
        createDate: Timestamp, lastOpDate: Timestamp, attachedZoneUuids: [Uuid],
    }
}

/// How long a machine that is asked to reconnect may take.
const RECONNECT: Duration = Duration::from_secs(15);

operation! {
    /// Makes sure that a backup storage is connected, and measures it.
    ReconnectBackupStorage, "4.5.3", Put "/backup-storage/{uuid}/actions", Job -> BackupStorage; {
        /// The backup storage.
        uuid: BackupStorageUuid;
    }
}

operation! {
    /// Makes sure that an image store is connected, and measures it.
    ReconnectImageStoreBackupStorage, "4.5.14.3", Put "/backup-storage/image-store/{uuid}/actions",
        Job -> ImageStoreBackupStorage, body_keys &["reconnectImageStoreBackupStorage", "params"]; {
        /// The backup storage.
        uuid: BackupStorageUuid;
    }
}

/// What was found of the storage.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Reconnecting {
    at: Option<(HostUuid, String)>,
    capacity: Option<StorageCapacity>,
}

/// An operation that connects to a backup storage anew.
trait Reconnect: JobOperation<State = Reconnecting> {
    fn storage(&self) -> BackupStorageUuid;
}

macro_rules! reconnects {
    ($operation:ident) => {
        impl Reconnect for $operation {
            fn storage(&self) -> BackupStorageUuid {
                self.uuid
            }
        }

        impl JobOperation for $operation {
            type State = Reconnecting;

            fn locks(&self) -> Vec<String> {
                vec![self.uuid.to_string()]
            }

            fn steps() -> Vec<Step<Self>> {
                reconnecting_steps()
            }

            fn reply(&self, tx: &Tx<'_>, _state: &Reconnecting) -> Result<Value, Failure> {
                inventory_reply::<BackupStorage>(tx, self.uuid)
            }
        }
    };
}

reconnects!(ReconnectBackupStorage);
reconnects!(ReconnectImageStoreBackupStorage);

fn reconnecting_steps<O: Reconnect>() -> Vec<Step<O>> {
    vec![
        Step::record("find the backup storage", |tx, run: &mut Recording<'_, O>| {
            let storage = require::<BackupStorage>(tx, "uuid", run.params.storage())?;
            run.state.at = Some((storage.machine_uuid, storage.url));
            Ok(())
        }),
        Step::remote("connect and measure it", |mut run: Run<O>| async move {
            if let Some((machine, root)) = run.state.at.clone() {
                run.node.fleet.redial_now(machine);
                run.node.wait_connected(machine, RECONNECT).await?;
                run.state.capacity = Some(run.call(machine, "open", OpenStorage { root }).await?);
            }
            Ok(run.state)
        }),
        Step::record("record what was found", |tx, run: &mut Recording<'_, O>| {
            let storage = require::<BackupStorage>(tx, "uuid", run.params.storage())?;
            let Some(capacity) = run.state.capacity else { return Ok(()) };
            tx.save(&BackupStorage {
                status: require::<Machine>(tx, "machineUuid", storage.machine_uuid)?.status,
                total_capacity: capacity.total_bytes,
                available_capacity: capacity.available_bytes,
                last_op_date: Timestamp::now(),
                ..storage
            })?;
            Ok(())
        }),
    ]
}

operation! {
    /// Removes from an image store the files of images that are none of this node's any more, and what was left by
    /// transfers that were killed. The answer says how much that was.
    ReclaimSpaceFromImageStore, "4.5.14.5", Put "/backup-storage/image-store/{uuid}/actions",
        Job -> { reclaimedFiles: i64, reclaimedBytes: i64 }, body_keys &["reclaimSpaceFromImageStore", "params"]; {
        /// The backup storage.
        uuid: BackupStorageUuid;
    }
}

/// What is there, and what is nobody's.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Reclaiming {
    at: Option<(HostUuid, String)>,
    images: Vec<String>,
    orphans: Vec<String>,
    reclaimed: ReclaimedSpace,
    capacity: Option<StorageCapacity>,
}

impl Reclaiming {
    fn at(&self) -> Result<(HostUuid, String), Failure> {
        self.at.clone().ok_or_else(|| Failure::new(ErrorKind::Internal, "the backup storage was not found"))
    }
}

impl JobOperation for ReclaimSpaceFromImageStore {
    type State = Reclaiming;

    fn locks(&self) -> Vec<String> {
        vec![self.uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("find the image store", |tx, run: &mut Recording<'_, Self>| {
                let storage = require::<BackupStorage>(tx, "uuid", run.params.uuid)?;
                run.state.at = Some((storage.machine_uuid, storage.url));
                Ok(())
            }),
            Step::remote("see what is there", |mut run: Run<Self>| async move {
                let (machine, root) = run.state.at()?;
                let survey = run.call(machine, "survey", SurveyImageStore { root }).await?;
                run.state.images = survey.images.into_iter().map(|image| image.path).collect();
                Ok(run.state)
            }),
            // After the survey, and not before: an image is recorded before its file is made.
            Step::record("see what is nobody's", |tx, run: &mut Recording<'_, Self>| {
                let on = [("backup_storage_uuid", run.params.uuid.to_sql())];
                let known: Vec<String> =
                    tx.find::<ImageBackupStorageRef>(&on)?.into_iter().map(|copy| copy.install_path).collect();
                run.state.orphans = run.state.images.iter().filter(|image| !known.contains(image)).cloned().collect();
                Ok(())
            }),
            Step::remote("remove it", |mut run: Run<Self>| async move {
                let (machine, root) = run.state.at()?;
                let command = ReclaimSpace { root: root.clone(), orphans: run.state.orphans.clone() };
                run.state.reclaimed = run.call(machine, "reclaim", command).await?;
                run.state.capacity = Some(run.call(machine, "open", OpenStorage { root }).await?);
                Ok(run.state)
            }),
            Step::record("record how much is left", |tx, run: &mut Recording<'_, Self>| {
                let Some(capacity) = run.state.capacity else { return Ok(()) };
                let storage = require::<BackupStorage>(tx, "uuid", run.params.uuid)?;
                tx.save(&BackupStorage {
                    total_capacity: capacity.total_bytes,
                    available_capacity: capacity.available_bytes,
                    ..storage
                })?;
                Ok(())
            }),
        ]
    }

    fn reply(&self, _tx: &Tx<'_>, state: &Reclaiming) -> Result<Value, Failure> {
        let ReclaimedSpace { files, bytes } = state.reclaimed;
        Ok(json!({ "reclaimedFiles": files, "reclaimedBytes": bytes }))
    }
}
