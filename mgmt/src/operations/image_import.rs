//! Taking over the images that lie in a store already.

use gantry_common::agent::SurveyedImage;

use super::making::{make, put_tags};
use crate::{
    clock::Timestamp,
    failure::Failure,
    image_label::ImageLabel,
    notification::Notice,
    resource::{AdminState, BackupStorage, Image, ImageBackupStorageRef, MediaStatus, NotificationType},
    settings::Values,
    store::Tx,
};

/// Takes the images that were found in a storage into the inventory; one that is in it already gets another copy. The
/// operator is told of those that cannot be taken.
pub fn import(tx: &Tx<'_>, settings: &Values, storage: &BackupStorage, found: &[SurveyedImage]) -> Result<(), Failure> {
    for image in found {
        if let Some(reason) = import_one(tx, storage, image)? {
            left_out(storage, image, reason).record(tx, settings)?;
        }
    }
    Ok(())
}

/// Answers why an image cannot be taken, if it cannot.
fn import_one(tx: &Tx<'_>, storage: &BackupStorage, found: &SurveyedImage) -> Result<Option<&'static str>, Failure> {
    let Some(facts) = &found.facts else {
        return Ok(Some("its file is not what the record beside it says"));
    };
    let now = Timestamp::now();
    match tx.get::<Image>(found.image)? {
        Some(known) if known.md5_sum.as_ref() != Some(&facts.md5) => {
            return Ok(Some("the inventory has an image of the same id with another content"));
        }
        Some(_) => {}
        None => {
            let label = ImageLabel::beside(found, facts.format);
            make(
                tx,
                &Image {
                    uuid: found.image,
                    name: label.name,
                    description: label.description,
                    state: AdminState::Enabled,
                    status: MediaStatus::Ready,
                    size: facts.size_bytes,
                    actual_size: facts.actual_bytes,
                    md5_sum: Some(facts.md5.clone()),
                    url: label.url,
                    media_type: label.media_type,
                    guest_os_type: label.guest_os_type,
                    kind: "zstack".to_owned(),
                    platform: label.platform,
                    format: facts.format.as_str().to_owned(),
                    system: label.system,
                    create_date: now,
                    last_op_date: now,
                    export_url: None,
                    export_md5_sum: None,
                },
            )?;
            put_tags::<Image>(tx, found.image, &label.system_tags, &[])?;
        }
    }
    let is_first = tx.link(&ImageBackupStorageRef {
        image_uuid: found.image,
        backup_storage_uuid: storage.uuid,
        install_path: found.path.clone(),
        status: MediaStatus::Ready,
        create_date: now,
        last_op_date: now,
        export_url: None,
    })?;
    Ok((!is_first).then_some("the storage has another file of the same image"))
}

fn left_out(storage: &BackupStorage, image: &SurveyedImage, reason: &'static str) -> Notice {
    let arguments = [image.path.clone(), storage.name.clone(), reason.to_owned()];
    Notice::new(NotificationType::Warning, "the image %s of backup storage '%s' was not imported: %s", arguments)
        .about::<BackupStorage>(storage.uuid)
}
