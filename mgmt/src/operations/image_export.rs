//! 4.5.8, 4.5.9: images that anyone who knows the address can download, from the backup storage's machine.

use gantry_common::{
    agent::{EndExport, ExportImage, ExportedImage},
    error::ErrorKind,
    id::{BackupStorageUuid, HostUuid, ImageUuid},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    image_copies::{ImageCopy, copies, reference, save_reference},
    making::require,
};
use crate::{
    api::{Operation, job},
    cleanup::{Cleanup, clean_up},
    failure::Failure,
    hosts::fleet::HostEndpoint,
    job::{JobOperation, Recording, Run, Step},
    operation,
    resource::{BackupStorage, ConnectionStatus, Image, ImageBackupStorageRef, MediaStatus},
    store::Tx,
};

/// The operations of this file.
pub fn operations() -> Vec<Operation> {
    vec![job::<ExportImageFromBackupStorage>(), job::<DeleteExportedImageFromBackupStorage>()]
}

operation! {
    /// Has an image served over HTTP by its backup storage's machine, at an address that cannot be guessed, until
    /// DeleteExportedImageFromBackupStorage.
    ExportImageFromBackupStorage, "4.5.8",
        Put "/backup-storage/{backupStorageUuid}/actions", Job -> { imageUrl: String, success: bool }; {
        /// The backup storage.
        backup_storage_uuid: BackupStorageUuid;
        /// The image.
        image_uuid: ImageUuid;
    }
}

operation! {
    /// Has an exported image served no more.
    DeleteExportedImageFromBackupStorage, "4.5.9",
        Delete "/backup-storage/{backupStorageUuid}/exported-images/{imageUuid}", Job; {
        /// The backup storage.
        backup_storage_uuid: BackupStorageUuid;
        /// The image.
        image_uuid: ImageUuid;
    }
}

/// Where the image is, and where it is served.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Export {
    copy: Option<ImageCopy>,
    served: Option<ExportedImage>,
    url: Option<String>,
    /// Whether it was served before, and stays so should this fail.
    before: bool,
}

impl Export {
    fn copy(&self) -> Result<ImageCopy, Failure> {
        self.copy.clone().ok_or_else(|| Failure::new(ErrorKind::Internal, "the image was not found"))
    }

    fn end(&self) -> Option<(HostUuid, Cleanup)> {
        self.copy.clone().map(|copy| (copy.machine, Cleanup::Export(EndExport { path: copy.path })))
    }
}

/// The image, the storage, and the image's copy there.
fn named(
    tx: &Tx<'_>,
    image: ImageUuid,
    storage: BackupStorageUuid,
) -> Result<(Image, BackupStorage, ImageCopy), Failure> {
    let image = require::<Image>(tx, "imageUuid", image)?;
    let storage = require::<BackupStorage>(tx, "backupStorageUuid", storage)?;
    let copy = ImageCopy::find(tx, "backupStorageUuid", &image, &storage)?;
    Ok((image, storage, copy))
}

impl JobOperation for ExportImageFromBackupStorage {
    type State = Export;

    fn locks(&self) -> Vec<String> {
        vec![self.image_uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("find the image", |tx, run: &mut Recording<'_, Self>| {
                let (image, storage, copy) = named(tx, run.params.image_uuid, run.params.backup_storage_uuid)?;
                if image.status != MediaStatus::Ready || storage.status != ConnectionStatus::Connected {
                    let details = format!(
                        "image '{}' is {} and backup storage '{}' is {}: they must be Ready and Connected",
                        image.name, image.status, storage.name, storage.status
                    );
                    return Err(Failure::new(ErrorKind::StateForbids, details));
                }
                run.state.before =
                    reference(tx, image.uuid, storage.uuid)?.is_some_and(|copy| copy.export_url.is_some());
                run.state.copy = Some(copy);
                Ok(())
            }),
            Step::remote("have it served", |mut run: Run<Self>| async move {
                let copy = run.state.copy()?;
                let command = ExportImage { root: copy.root, path: copy.path };
                run.state.served = Some(run.call(copy.machine, "export", command).await?);
                Ok(run.state)
            })
            .undo_remote(|run: Run<Self>| async move {
                if let Some((machine, cleanup)) = run.state.end().filter(|_| !run.state.before) {
                    clean_up(&run.node, machine, cleanup).await?;
                }
                Ok(run.state)
            }),
            Step::record("record where", |tx, run: &mut Recording<'_, Self>| {
                let storage = require::<BackupStorage>(tx, "backupStorageUuid", run.params.backup_storage_uuid)?;
                let Some(served) = &run.state.served else {
                    return Err(Failure::new(ErrorKind::Internal, "the image was not exported"));
                };
                let endpoint =
                    HostEndpoint { host: storage.machine_uuid, address: storage.hostname, port: served.port };
                let url = format!("http://{endpoint}{}", served.url_path);
                run.state.url = Some(url.clone());
                set_url(tx, run.params.image_uuid, storage.uuid, Some(url))
            }),
        ]
    }

    fn reply(&self, _tx: &Tx<'_>, state: &Export) -> Result<Value, Failure> {
        Ok(json!({ "imageUrl": state.url, "success": true }))
    }
}

impl JobOperation for DeleteExportedImageFromBackupStorage {
    type State = Export;

    fn locks(&self) -> Vec<String> {
        vec![self.image_uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("find the image", |tx, run: &mut Recording<'_, Self>| {
                let (image, storage, copy) = named(tx, run.params.image_uuid, run.params.backup_storage_uuid)?;
                run.state.copy = Some(copy);
                // First the record: a machine that is away owes the end of what is recorded no more.
                set_url(tx, image.uuid, storage.uuid, None)
            }),
            Step::remote("have it served no more", |run: Run<Self>| async move {
                if let Some((machine, cleanup)) = run.state.end() {
                    clean_up(&run.node, machine, cleanup).await?;
                }
                Ok(run.state)
            }),
        ]
    }
}

/// Records where an image is served from a storage. The image itself shows the address of one of its copies.
fn set_url(
    tx: &Tx<'_>,
    image: ImageUuid,
    storage: BackupStorageUuid,
    export_url: Option<String>,
) -> Result<(), Failure> {
    let Some(copy) = reference(tx, image, storage)? else { return Ok(()) };
    save_reference(tx, ImageBackupStorageRef { export_url: export_url.clone(), ..copy })?;
    let export_url = match export_url {
        Some(url) => Some(url),
        None => copies(tx, image)?.into_iter().find_map(|copy| copy.export_url),
    };
    let image = require::<Image>(tx, "imageUuid", image)?;
    let export_md5_sum = export_url.as_ref().and(image.md5_sum.clone());
    tx.save(&Image { export_url, export_md5_sum, ..image })?;
    Ok(())
}
