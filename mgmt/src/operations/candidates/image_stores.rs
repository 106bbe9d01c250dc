//! 3.3.9, 4.5.13: which backup storages can take an image.

use gantry_common::id::{BackupStorageUuid, VolumeSnapshotUuid, VolumeUuid};
use serde_json::Value;

use super::Candidates;
use crate::{
    api::{Caller, SyncOperation},
    failure::Failure,
    operation,
    operations::{image_migration::admit_migration, image_template::SourceVolume, require},
    resource::BackupStorage,
    settings::Values,
    store::Tx,
};

operation! {
    /// Lists the backup storages that an image made of a volume can go to. `details` says why the others are left out.
    GetCandidateBackupStorageForCreatingImage, "3.3.9",
        Get "/images/volumes/{volumeUuid}/candidate-backup-storage" |
            "/images/volume-snapshots/{volumeSnapshotUuid}/candidate-backup-storage",
        Sync -> { inventories: [BackupStorage], details: [Exclusion] }; {
        /// The volume.
        volume_uuid: Option<VolumeUuid>;
        /// The snapshot.
        volume_snapshot_uuid: Option<VolumeSnapshotUuid>;
    }
}

impl SyncOperation for GetCandidateBackupStorageForCreatingImage {
    async fn answer(self, caller: Caller) -> Result<Value, Failure> {
        let settings = caller.node.settings.now();
        caller.node.store.read(move |tx| self.list(tx, &settings)).await
    }
}

impl GetCandidateBackupStorageForCreatingImage {
    fn list(&self, tx: &Tx<'_>, settings: &Values) -> Result<Value, Failure> {
        let volume = match (self.volume_uuid, self.volume_snapshot_uuid) {
            (Some(volume), None) => volume,
            (_, Some(snapshot)) => {
                return Err(Failure::argument(
                    "volumeSnapshotUuid",
                    snapshot,
                    "there are no snapshots yet: name a volume by volumeUuid alone",
                ));
            }
            (None, None) => return Err(Failure::argument("volumeUuid", "", "name the volume")),
        };
        let source = SourceVolume::find(tx, "volumeUuid", volume)?;
        Candidates::sift(
            tx.all::<BackupStorage>()?,
            |storage| &storage.name,
            |storage| source.admit_storage(tx, settings, storage),
        )?
        .reply(tx)
    }
}

operation! {
    /// Lists the backup storages that images of one can be moved to. `details` says why the others are left out.
    GetBackupStorageCandidatesForImageMigration, "4.5.13",
        Get "/backup-storage/{srcBackupStorageUuid}/migration-candidates",
        Sync -> { inventories: [BackupStorage], details: [Exclusion] }; {
        /// The backup storage they are on.
        src_backup_storage_uuid: BackupStorageUuid;
    }
}

impl SyncOperation for GetBackupStorageCandidatesForImageMigration {
    async fn answer(self, caller: Caller) -> Result<Value, Failure> {
        let settings = caller.node.settings.now();
        caller.node.store.read(move |tx| self.list(tx, &settings)).await
    }
}

impl GetBackupStorageCandidatesForImageMigration {
    fn list(&self, tx: &Tx<'_>, settings: &Values) -> Result<Value, Failure> {
        let from = require::<BackupStorage>(tx, "srcBackupStorageUuid", self.src_backup_storage_uuid)?;
        let others: Vec<BackupStorage> =
            tx.all::<BackupStorage>()?.into_iter().filter(|storage| storage.uuid != from.uuid).collect();
        // Which image is to move is not said: one that is large may find too little room still.
        Candidates::sift(others, |storage| &storage.name, |to| admit_migration(tx, settings, &from, to, 0))?.reply(tx)
    }
}
