//! An image's copies in backup storages: where they are, and which storages can take one.

use gantry_common::{
    agent::{ImageFormat, Peer},
    error::ErrorKind,
    id::{BackupStorageUuid, HostUuid, ImageUuid, ZoneUuid},
};
use serde::{Deserialize, Serialize};

use super::making::require;
use crate::{
    clock::Timestamp,
    failure::Failure,
    resource::{
        AdminState, BackupStorage, BackupStorageZoneRef, ConnectionStatus, Image, ImageBackupStorageRef, Machine,
        MediaStatus, Zone,
    },
    settings::Values,
    store::{SqlValue, Tx},
};

/// A copy's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageCopy {
    /// The storage it is in.
    pub backup_storage: BackupStorageUuid,
    /// The machine that keeps the storage.
    pub machine: HostUuid,
    /// The storage's directory.
    pub root: String,
    /// The file.
    pub path: String,
}

impl ImageCopy {
    fn new(storage: &BackupStorage, path: String) -> Self {
        Self { backup_storage: storage.uuid, machine: storage.machine_uuid, root: storage.url.clone(), path }
    }

    /// All copies of an image.
    pub fn all(tx: &Tx<'_>, image: ImageUuid) -> Result<Vec<Self>, Failure> {
        let mut all = Vec::new();
        for copy in copies(tx, image)? {
            let storage = require::<BackupStorage>(tx, "backupStorageUuids", copy.backup_storage_uuid)?;
            all.push(Self::new(&storage, copy.install_path));
        }
        Ok(all)
    }

    /// The copy in a storage that can be read.
    ///
    /// # Errors
    /// There is none, or it is not ready.
    pub fn ready(tx: &Tx<'_>, parameter: &str, image: &Image, storage: &BackupStorage) -> Result<Self, Failure> {
        let copy = Self::find(tx, parameter, image, storage)?;
        match reference(tx, image.uuid, storage.uuid)?.map(|copy| copy.status) {
            Some(MediaStatus::Ready) | None => Ok(copy),
            Some(status) => {
                let details = format!(
                    "image '{}' is {status} in backup storage '{}': it must be Ready",
                    image.name, storage.name
                );
                Err(Failure::new(ErrorKind::StateForbids, details))
            }
        }
    }

    /// The copy in a storage.
    ///
    /// # Errors
    /// There is none.
    pub fn find(tx: &Tx<'_>, parameter: &str, image: &Image, storage: &BackupStorage) -> Result<Self, Failure> {
        match reference(tx, image.uuid, storage.uuid)? {
            Some(copy) => Ok(Self::new(storage, copy.install_path)),
            None => {
                let remedy = format!(
                    "image '{}' is not in backup storage '{}': its backupStorageRefs say where it is",
                    image.name, storage.name
                );
                Err(Failure::argument(parameter, storage.uuid, remedy))
            }
        }
    }

    /// Records that an image is to have a copy in a storage, under a name that no file of it ever had there; nothing where
    /// it has one already.
    pub fn plan(
        tx: &Tx<'_>,
        image: &Image,
        storage: &BackupStorage,
        status: MediaStatus,
    ) -> Result<Option<Self>, Failure> {
        let (uuid, now) = (image.uuid, Timestamp::now());
        // A deletion that the machine owes for an older copy must never meet this one.
        let name = format!("{uuid}-{:08x}", rand::random::<u32>());
        let path = format!("{}/images/{uuid}/{name}.{}", storage.url, image.format);
        let copy = ImageBackupStorageRef {
            image_uuid: uuid,
            backup_storage_uuid: storage.uuid,
            install_path: path.clone(),
            status,
            create_date: now,
            last_op_date: now,
            export_url: None,
        };
        Ok(tx.link(&copy)?.then(|| Self::new(storage, path)))
    }
}

/// How a machine's files are reached from another one; nothing where they are the same.
pub fn peer_of(tx: &Tx<'_>, machine: HostUuid, from: HostUuid) -> Result<Option<Peer>, Failure> {
    if machine == from {
        return Ok(None);
    }
    let machine = require::<Machine>(tx, "machineUuid", machine)?;
    Ok(Some(Peer { host: machine.uuid, address: machine.address, port: machine.port }))
}

/// The format as hosts know it.
pub fn format_of(image: &Image) -> ImageFormat {
    match image.format.as_str() {
        "iso" => ImageFormat::Iso,
        "raw" => ImageFormat::Raw,
        _ => ImageFormat::Qcow2,
    }
}

/// The records of an image's copies.
pub fn copies(tx: &Tx<'_>, image: ImageUuid) -> Result<Vec<ImageBackupStorageRef>, Failure> {
    Ok(tx.find::<ImageBackupStorageRef>(&[("image_uuid", image.to_sql())])?)
}

/// The record of an image's copy in a storage.
pub fn reference(
    tx: &Tx<'_>,
    image: ImageUuid,
    storage: BackupStorageUuid,
) -> Result<Option<ImageBackupStorageRef>, Failure> {
    Ok(copies(tx, image)?.into_iter().find(|copy| copy.backup_storage_uuid == storage))
}

/// Writes the record of a copy anew.
pub fn save_reference(tx: &Tx<'_>, copy: ImageBackupStorageRef) -> Result<(), Failure> {
    forget_copy(tx, copy.image_uuid, copy.backup_storage_uuid)?;
    Ok(tx.insert(&ImageBackupStorageRef { last_op_date: Timestamp::now(), ..copy })?)
}

/// Removes the record of a copy.
pub fn forget_copy(tx: &Tx<'_>, image: ImageUuid, storage: BackupStorageUuid) -> Result<(), Failure> {
    let key = [("image_uuid", image.to_sql()), ("backup_storage_uuid", storage.to_sql())];
    tx.delete_where::<ImageBackupStorageRef>(&key)?;
    Ok(())
}

/// Sets the status of all copies of an image.
pub fn set_copies(tx: &Tx<'_>, image: ImageUuid, status: MediaStatus) -> Result<(), Failure> {
    copies(tx, image)?.into_iter().try_for_each(|copy| save_reference(tx, ImageBackupStorageRef { status, ..copy }))
}

/// An image is deleted while all of its copies are, and ready again with one that is.
pub fn settle(tx: &Tx<'_>, image: ImageUuid) -> Result<(), Failure> {
    let image = require::<Image>(tx, "uuid", image)?;
    let all_are_deleted = copies(tx, image.uuid)?.iter().all(|copy| copy.status == MediaStatus::Deleted);
    let status = match image.status {
        MediaStatus::Deleted if !all_are_deleted => MediaStatus::Ready,
        _ if all_are_deleted => MediaStatus::Deleted,
        other => other,
    };
    if status != image.status {
        tx.save(&Image { status, last_op_date: Timestamp::now(), ..image })?;
    }
    Ok(())
}

/// Whether a storage takes an image of so many bytes.
pub fn admit_image(settings: &Values, storage: &BackupStorage, bytes: u64) -> Result<(), Failure> {
    if storage.state != AdminState::Enabled || storage.status != ConnectionStatus::Connected {
        return Err(Failure::new(
            ErrorKind::StateForbids,
            format!(
                "backup storage '{}' is {} and {}: it must be Enabled and Connected",
                storage.name, storage.state, storage.status
            ),
        ));
    }
    let reserved_bytes = settings.backup_reserved_bytes;
    if storage.available_capacity < reserved_bytes.saturating_add(bytes) {
        let details = format!(
            "backup storage '{}' has {} bytes left, the image takes {bytes}, and the setting backupStorage reservedCapacity keeps {reserved_bytes}: free space or lower the setting",
            storage.name, storage.available_capacity
        );
        return Err(Failure::new(ErrorKind::NoStorageCapacity, details));
    }
    Ok(())
}

/// Whether the hosts of a zone may use a storage.
pub fn admit_zone(tx: &Tx<'_>, storage: &BackupStorage, zone: ZoneUuid) -> Result<(), Failure> {
    let link = [("backup_storage_uuid", storage.uuid.to_sql()), ("zone_uuid", zone.to_sql())];
    if tx.count::<BackupStorageZoneRef>(&link)? > 0 {
        return Ok(());
    }
    let zone = require::<Zone>(tx, "zoneUuid", zone)?;
    let details = format!(
        "backup storage '{}' is not attached to zone '{}': use AttachBackupStorageToZone",
        storage.name, zone.name
    );
    Err(Failure::new(ErrorKind::StateForbids, details))
}
