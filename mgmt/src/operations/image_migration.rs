//! 4.5.12: an image moves to another backup storage.

use gantry_common::{
    agent::{DeleteImage as DeleteImageCommand, FetchImage, Peer},
    error::ErrorKind,
    id::{BackupStorageUuid, ImageUuid},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    image_copies::{ImageCopy, admit_image, admit_zone, forget_copy, format_of, peer_of, reference, save_reference},
    making::require,
};
use crate::{
    api::{Operation, job},
    cleanup::{Cleanup, clean_up, clean_up_some_time},
    failure::Failure,
    job::{JobOperation, Recording, Run, Step},
    operation,
    query::inventory_reply,
    resource::{BackupStorage, BackupStorageZoneRef, ConnectionStatus, Image, ImageBackupStorageRef, MediaStatus},
    settings::Values,
    store::{SqlValue, Tx},
};

/// The operations of this file.
pub fn operations() -> Vec<Operation> {
    vec![job::<BackupStorageMigrateImage>()]
}

operation! {
    /// Moves an image to another backup storage. Of what the other storage has in its images already, nothing travels.
    BackupStorageMigrateImage, "4.5.12", Put "/backup-storage/images/{imageUuid}/actions", Job -> Image; {
        /// The image.
        image_uuid: ImageUuid;
        /// The backup storage it is on.
        src_backup_storage_uuid: BackupStorageUuid;
        /// The backup storage it goes to.
        dst_backup_storage_uuid: BackupStorageUuid;
    }
}

/// How far the image is.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Moving {
    plan: Option<Plan>,
    /// Whether the record says that it is there. From then on nothing is undone.
    moved: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Plan {
    from: ImageCopy,
    to: ImageCopy,
    fetch: FetchImage,
}

impl Moving {
    fn plan(&self) -> Result<&Plan, Failure> {
        self.plan.as_ref().ok_or_else(|| Failure::new(ErrorKind::Internal, "the move was not planned"))
    }
}

impl JobOperation for BackupStorageMigrateImage {
    type State = Moving;

    fn locks(&self) -> Vec<String> {
        vec![self.image_uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("record the copy", plan).undo_record(|tx, run| match run.state.plan.clone() {
                Some(plan) if !run.state.moved => forget_copy(tx, run.params.image_uuid, plan.to.backup_storage),
                _ => Ok(()),
            }),
            Step::remote("bring it to the other backup storage", |run: Run<Self>| async move {
                let plan = run.state.plan()?;
                run.call_long(plan.to.machine, "fetch", plan.fetch.clone()).await?;
                Ok(run.state)
            })
            .undo_remote(|run: Run<Self>| async move {
                if let Some(plan) = run.state.plan.clone().filter(|_| !run.state.moved) {
                    let command = DeleteImageCommand { root: plan.to.root, path: plan.to.path };
                    clean_up(&run.node, plan.to.machine, Cleanup::Image(command)).await?;
                }
                Ok(run.state)
            })
            .cancellable(),
            Step::record("record that it is there", |tx, run: &mut Recording<'_, Self>| {
                let (image, plan) = (run.params.image_uuid, run.state.plan()?.clone());
                if let Some(copy) = reference(tx, image, plan.to.backup_storage)? {
                    save_reference(tx, ImageBackupStorageRef { status: MediaStatus::Ready, ..copy })?;
                }
                forget_copy(tx, image, plan.from.backup_storage)?;
                tx.touch::<Image>(image)?;
                run.state.moved = true;
                Ok(())
            }),
            Step::remote("delete it from the first one", |run: Run<Self>| async move {
                let from = run.state.plan()?.from.clone();
                let command = DeleteImageCommand { root: from.root, path: from.path };
                clean_up_some_time(&run.node, from.machine, Cleanup::Image(command)).await;
                Ok(run.state)
            }),
        ]
    }

    fn reply(&self, tx: &Tx<'_>, _state: &Moving) -> Result<Value, Failure> {
        inventory_reply::<Image>(tx, self.image_uuid)
    }
}

/// Whether an image of so many bytes can move from one storage to the other: the hosts that can use it there must be able
/// to here.
pub fn admit_migration(
    tx: &Tx<'_>,
    settings: &Values,
    from: &BackupStorage,
    to: &BackupStorage,
    bytes: u64,
) -> Result<(), Failure> {
    if from.uuid == to.uuid {
        return Err(Failure::argument("dstBackupStorageUuid", to.uuid, "the image is there: name another one"));
    }
    admit_image(settings, to, bytes)?;
    for link in tx.find::<BackupStorageZoneRef>(&[("backup_storage_uuid", from.uuid.to_sql())])? {
        admit_zone(tx, to, link.zone_uuid)?;
    }
    Ok(())
}

fn plan(tx: &Tx<'_>, run: &mut Recording<'_, BackupStorageMigrateImage>) -> Result<(), Failure> {
    let params = run.params;
    let image = require::<Image>(tx, "imageUuid", params.image_uuid)?;
    let from = require::<BackupStorage>(tx, "srcBackupStorageUuid", params.src_backup_storage_uuid)?;
    let to = require::<BackupStorage>(tx, "dstBackupStorageUuid", params.dst_backup_storage_uuid)?;
    let copy = ImageCopy::ready(tx, "srcBackupStorageUuid", &image, &from)?;
    let state_forbids = |details: String| Err(Failure::new(ErrorKind::StateForbids, details));
    if image.status != MediaStatus::Ready {
        return state_forbids(format!("image '{}' is {}: it must be Ready", image.name, image.status));
    }
    if from.status != ConnectionStatus::Connected {
        return state_forbids(format!("backup storage '{}' is {}: it must be Connected", from.name, from.status));
    }
    if reference(tx, image.uuid, from.uuid)?.is_some_and(|copy| copy.export_url.is_some()) {
        let details = format!(
            "image '{}' is exported from backup storage '{}': use DeleteExportedImageFromBackupStorage first",
            image.name, from.name
        );
        return Err(Failure::new(ErrorKind::ResourceInUse, details));
    }
    admit_migration(tx, &run.node.settings.now(), &from, &to, image.actual_size)?;
    let Some(target) = ImageCopy::plan(tx, &image, &to, MediaStatus::Downloading)? else {
        let details = format!("image '{}' is in backup storage '{}' already", image.name, to.name);
        return Err(Failure::new(ErrorKind::Duplicate, details));
    };
    let peer: Option<Peer> = peer_of(tx, copy.machine, target.machine)?;
    let fetch = FetchImage {
        image: image.uuid,
        peer,
        source_root: copy.root.clone(),
        source_path: copy.path.clone(),
        md5: image.md5_sum.clone().unwrap_or_default(),
        format: format_of(&image),
        root: target.root.clone(),
        path: target.path.clone(),
    };
    run.state.plan = Some(Plan { from: copy, to: target, fetch });
    Ok(())
}
