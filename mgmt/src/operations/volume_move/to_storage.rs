//! A volume moves to another storage of its host.

use gantry_common::{
    error::ErrorKind,
    id::{PrimaryStorageUuid, VolumeUuid},
};
use serde_json::Value;

use super::{
    super::{candidates::Candidates, making::require},
    admission::LocalVolume,
    moving::{Destination, VolumeMove},
};
use crate::{
    api::{Caller, SyncOperation},
    failure::Failure,
    operation,
    query::inventory_reply,
    resource::{PrimaryStorage, Volume},
    settings::Values,
    store::{SqlValue, Tx},
};

operation! {
    /// Moves a volume to another local storage of the host it is on. Its VM must be stopped. The image it was made from
    /// comes along where it is not there yet; the original is deleted when the copy has taken its place.
    PrimaryStorageMigrateVolume, "4.4.14", Put "/primary-storage/volumes/{volumeUuid}/actions", Job -> Volume; {
        /// The volume.
        volume_uuid: VolumeUuid;
        /// The primary storage it goes to.
        dst_primary_storage_uuid: PrimaryStorageUuid;
    }
}

fn admit(tx: &Tx<'_>, settings: &Values, volume: &LocalVolume, storage: &PrimaryStorage) -> Result<(), Failure> {
    volume.admit_move()?;
    if volume.storage.uuid == storage.uuid {
        let details = format!("volume '{}' is on primary storage '{}' already", volume.volume.name, storage.name);
        return Err(Failure::new(ErrorKind::Refused, details));
    }
    volume.admit_place(tx, settings, storage, &volume.host)
}

impl VolumeMove for PrimaryStorageMigrateVolume {
    fn volume(&self) -> VolumeUuid {
        self.volume_uuid
    }

    fn destination(&self, tx: &Tx<'_>, settings: &Values, volume: &LocalVolume) -> Result<Destination, Failure> {
        let storage = require::<PrimaryStorage>(tx, "dstPrimaryStorageUuid", self.dst_primary_storage_uuid)?;
        admit(tx, settings, volume, &storage)?;
        Ok(Destination { storage, host: volume.host.clone() })
    }

    fn reply(&self, tx: &Tx<'_>) -> Result<Value, Failure> {
        inventory_reply::<Volume>(tx, self.volume_uuid)
    }
}

operation! {
    /// Lists the primary storages that a volume can be moved to, and why not to the others of its zone.
    GetPrimaryStorageCandidatesForVolumeMigration, "4.4.13",
        Get "/primary-storage/volumes/{volumeUuid}/migration-candidates",
        Sync -> { inventories: [PrimaryStorage], details: [Exclusion] }; {
        /// The volume.
        volume_uuid: VolumeUuid;
    }
}

impl SyncOperation for GetPrimaryStorageCandidatesForVolumeMigration {
    async fn answer(self, caller: Caller) -> Result<Value, Failure> {
        let settings = caller.node.settings.now();
        let look = move |tx: &Tx<'_>| {
            let volume = LocalVolume::find(tx, self.volume_uuid)?;
            let storages = tx.find::<PrimaryStorage>(&[("zone_uuid", volume.storage.zone_uuid.to_sql())])?;
            let check = |storage: &PrimaryStorage| admit(tx, &settings, &volume, storage);
            Candidates::sift(storages, |storage| &storage.name, check)?.reply(tx)
        };
        caller.node.store.read(look).await
    }
}
