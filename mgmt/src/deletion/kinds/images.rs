//! Backup storages and images.

use std::collections::BTreeSet;

use gantry_common::{
    agent::{DeleteImage, EndExport},
    id::{BackupStorageUuid, HostUuid, ImageUuid},
};

use super::{Kind, held, plain, remove_row};
use crate::{
    cleanup::Cleanup,
    failure::Failure,
    hosts::{farewell, is_needed},
    operations::{copies, require, settle},
    resource::{BackupStorage, ImageBackupStorageRef},
    store::{Row, RowKey, Tx},
};

pub const COPY: Kind = Kind {
    leaves: |tx, copy| {
        let storage: BackupStorageUuid = held(copy, "backup_storage_uuid")?;
        let storage = require::<BackupStorage>(tx, "backupStorageUuid", storage)?;
        let path: String = held(copy, "install_path")?;
        let export = copy.text("export_url").map(|_| Cleanup::Export(EndExport { path: path.clone() }));
        let file = Cleanup::Image(DeleteImage { root: storage.url, path });
        // An image whose file stays is served still.
        Ok([file].into_iter().chain(export).map(|cleanup| (storage.machine_uuid, cleanup)).collect())
    },
    after: |tx, copy| {
        let image: ImageUuid = held(copy, "image_uuid")?;
        if !copies(tx, image)?.is_empty() {
            // What is left of the image may be deleted already.
            settle(tx, image)?;
            return Ok(Vec::new());
        }
        // An image is never nowhere, also where the deletion goes no further.
        tx.row(&RowKey::new("Image", [image.to_string()]))?.map_or(Ok(Vec::new()), |image| remove_row(tx, &image))
    },
    ..plain("ImageBackupStorageRef", "copy")
};

pub const BACKUP_STORAGE: Kind = Kind {
    locks: |storage| storage.text("hostname").map(|name| format!("machine {name}")).into_iter().collect(),
    machine: |tx, storage| {
        let machine: HostUuid = held(storage, "machine_uuid")?;
        Ok((!is_needed(tx, machine, Some(held(storage, "uuid")?))?).then_some(machine))
    },
    after: |tx, storage| farewell(tx, held(storage, "machine_uuid")?),
    ..plain("BackupStorage", "backup storage")
};

/// The images of which every copy goes.
pub fn without_copies<'a>(
    tx: &Tx<'_>,
    goes: impl Fn(&RowKey) -> bool,
    going: impl Iterator<Item = &'a RowKey>,
) -> Result<Vec<Row>, Failure> {
    let copies = going.filter(|key| key.resource == COPY.name);
    let images: BTreeSet<&String> = copies.filter_map(|copy| copy.key.first()).collect();
    let mut lost = Vec::new();
    for image in images {
        let key = RowKey::new("Image", [image.clone()]);
        let copies = tx.rows_with(ImageBackupStorageRef::declaration(), "image_uuid", image)?;
        if !goes(&key) && copies.iter().all(|copy| goes(&copy.key)) {
            lost.extend(tx.row(&key)?);
        }
    }
    Ok(lost)
}
