//! 3.3.2, 3.3.3, 3.3.5: images that are put aside, taken back and removed, whole or from single backup storages.

use gantry_common::{
    agent::{DeleteImage as DeleteImageCommand, EndExport},
    error::ErrorKind,
    id::{BackupStorageUuid, HostUuid, ImageUuid},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    image_copies::{ImageCopy, copies, forget_copy, save_reference, settle},
    making::{refuse_if_used, require},
};
use crate::{
    api::{Operation, job},
    background::expunge_image,
    cleanup::{Cleanup, clean_up},
    failure::Failure,
    job::{JobOperation, Recording, Run, Step},
    operation,
    query::inventory_reply,
    resource::{BackupStorage, Image, ImageBackupStorageRef, MediaStatus, MediaType},
    settings::DeletionPolicy,
    store::Tx,
};

/// The operations of this chapter.
pub fn operations() -> Vec<Operation> {
    vec![job::<DeleteImage>(), job::<RecoverImage>(), job::<ExpungeImage>()]
}

/// The copies that a call is about: those in the storages that it names, and all where it names none.
fn chosen(
    tx: &Tx<'_>,
    image: &Image,
    asked: Option<&[BackupStorageUuid]>,
) -> Result<Vec<ImageBackupStorageRef>, Failure> {
    let all = copies(tx, image.uuid)?;
    for storage in asked.into_iter().flatten() {
        let storage = require::<BackupStorage>(tx, "backupStorageUuids", *storage)?;
        ImageCopy::find(tx, "backupStorageUuids", image, &storage)?;
    }
    Ok(all.into_iter().filter(|copy| asked.is_none_or(|asked| asked.contains(&copy.backup_storage_uuid))).collect())
}

/// The same, of those that are deleted.
///
/// # Errors
/// None is, or one that is named is not.
fn deleted(
    tx: &Tx<'_>,
    image: &Image,
    asked: Option<&[BackupStorageUuid]>,
    wanted: &str,
) -> Result<Vec<ImageBackupStorageRef>, Failure> {
    let (deleted, others): (Vec<_>, Vec<_>) =
        chosen(tx, image, asked)?.into_iter().partition(|copy| copy.status == MediaStatus::Deleted);
    let details = match others.first() {
        Some(other) if asked.is_some() => {
            let storage = require::<BackupStorage>(tx, "backupStorageUuids", other.backup_storage_uuid)?;
            let (status, storage) = (other.status, storage.name);
            format!("image '{}' is {status} in backup storage '{storage}': {wanted}", image.name)
        }
        _ if deleted.is_empty() && image.status != MediaStatus::Deleted => {
            format!("image '{}' is {} and has no copy that is deleted: {wanted}", image.name, image.status)
        }
        _ => return Ok(deleted),
    };
    Err(Failure::new(ErrorKind::StateForbids, details))
}

operation! {
    /// Puts an image aside, or its copies in single backup storages: it can be recovered until it is expunged. An image
    /// is deleted when all of its copies are.
    DeleteImage, "3.3.2", Delete "/images/{uuid}", Job; {
        /// The image.
        uuid: ImageUuid;
        /// The backup storages to delete it from; all where they are left out.
        backup_storage_uuids: Option<Vec<BackupStorageUuid>>, nonempty true;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }
}

/// The storages from which copies are deleted.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Deleted {
    from: Vec<BackupStorageUuid>,
}

impl JobOperation for DeleteImage {
    type State = Deleted;

    fn locks(&self) -> Vec<String> {
        vec![self.uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("put the image aside", |tx, run: &mut Recording<'_, Self>| {
                let image = require::<Image>(tx, "uuid", run.params.uuid)?;
                for copy in chosen(tx, &image, run.params.backup_storage_uuids.as_deref())? {
                    if copy.status != MediaStatus::Deleted {
                        run.state.from.push(copy.backup_storage_uuid);
                        save_reference(tx, ImageBackupStorageRef { status: MediaStatus::Deleted, ..copy })?;
                    }
                }
                settle(tx, image.uuid)
            }),
            Step::remote("have it expunged, where that is the policy", |run: Run<Self>| async move {
                if run.node.settings.now().image_deletion_policy == DeletionPolicy::Direct {
                    let (node, image, from) = (run.node.clone(), run.params.uuid, run.state.from.clone());
                    // It waits for this job's end.
                    tokio::spawn(async move { expunge_image(&node, image, &from).await });
                }
                Ok(run.state)
            }),
        ]
    }
}

operation! {
    /// Takes a deleted image back, or its copies in single backup storages.
    RecoverImage, "3.3.5", Put "/images/{imageUuid}/actions", Job -> Image, body_keys &["recoverImage", "params"]; {
        /// The image.
        image_uuid: ImageUuid;
        /// The backup storages; all where they are left out.
        backup_storage_uuids: Option<Vec<BackupStorageUuid>>;
    }
}

impl JobOperation for RecoverImage {
    type State = ();

    fn locks(&self) -> Vec<String> {
        vec![self.image_uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("take the image back", |tx, run| {
            let image = require::<Image>(tx, "imageUuid", run.params.image_uuid)?;
            let asked = run.params.backup_storage_uuids.as_deref().filter(|asked| !asked.is_empty());
            for copy in deleted(tx, &image, asked, "only what is Deleted can be recovered")? {
                save_reference(tx, ImageBackupStorageRef { status: MediaStatus::Ready, ..copy })?;
            }
            settle(tx, image.uuid)
        })]
    }

    fn reply(&self, tx: &Tx<'_>, _state: &()) -> Result<Value, Failure> {
        inventory_reply::<Image>(tx, self.image_uuid)
    }
}

operation! {
    /// Removes a deleted image and its files for good, or its deleted copies in single backup storages.
    ExpungeImage, "3.3.3", Put "/images/{imageUuid}/actions", Job; {
        /// The image.
        image_uuid: ImageUuid;
        /// The backup storages; all that it is deleted from where they are left out.
        backup_storage_uuids: Option<Vec<BackupStorageUuid>>, nonempty true;
    }
}

/// The files that are to go, and the addresses under which they are served.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Files {
    copies: Vec<ImageCopy>,
    #[serde(default)]
    exports: Vec<(HostUuid, EndExport)>,
}

impl JobOperation for ExpungeImage {
    type State = Files;

    fn locks(&self) -> Vec<String> {
        vec![self.image_uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("find its files", find_files),
            Step::remote("delete its files", |run: Run<Self>| async move {
                for (machine, export) in run.state.exports.clone() {
                    clean_up(&run.node, machine, Cleanup::Export(export)).await?;
                }
                for copy in run.state.copies.clone() {
                    let command = DeleteImageCommand { root: copy.root, path: copy.path };
                    clean_up(&run.node, copy.machine, Cleanup::Image(command)).await?;
                }
                Ok(run.state)
            }),
            Step::record("forget the image", |tx, run| {
                let image = run.params.image_uuid;
                for copy in &run.state.copies {
                    forget_copy(tx, image, copy.backup_storage)?;
                }
                if copies(tx, image)?.is_empty() { Ok(tx.delete::<Image>(image)?) } else { settle(tx, image) }
            }),
        ]
    }
}

fn find_files(tx: &Tx<'_>, run: &mut Recording<'_, ExpungeImage>) -> Result<(), Failure> {
    let image = require::<Image>(tx, "imageUuid", run.params.image_uuid)?;
    let asked = run.params.backup_storage_uuids.as_deref();
    let going = deleted(tx, &image, asked, "delete it first, then it can be expunged")?;
    let goes_whole = going.len() == copies(tx, image.uuid)?.len();
    if image.media_type == MediaType::Iso && goes_whole {
        let users = tx.vms_with_disc(image.uuid)?.len() as u64;
        refuse_if_used("image", &image.name, &[("VMs with it in a drive", users)])?;
    }
    for copy in going {
        let storage = require::<BackupStorage>(tx, "backupStorageUuids", copy.backup_storage_uuid)?;
        if copy.export_url.is_some() {
            let path = copy.install_path.clone();
            run.state.exports.push((storage.machine_uuid, EndExport { path }));
            // First the record: a machine that is away owes the end of what is recorded no more.
            save_reference(tx, ImageBackupStorageRef { export_url: None, ..copy })?;
        }
        run.state.copies.push(ImageCopy::find(tx, "backupStorageUuids", &image, &storage)?);
    }
    Ok(())
}
