//! 3.3: images.

use gantry_common::{
    agent::{
        AddImage as AddImageCommand, DeleteImage as DeleteImageCommand, DigestAlgorithm, ExpectedDigest, ImageFacts,
        ImageFormat,
    },
    error::ErrorKind,
    id::{BackupStorageUuid, ImageUuid},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    image_copies::{ImageCopy, admit_image, set_copies},
    making::{make, put_tags, readable_name, require},
};
use crate::{
    api::{Operation, job, query},
    cleanup::{Cleanup, clean_up},
    clock::Timestamp,
    failure::Failure,
    job::{JobOperation, Part, Recording, Run, Step},
    operation,
    resource::{AdminState, BackupStorage, GuestPlatform, Image, ImageBackupStorageRef, MediaStatus, MediaType},
    store::{SqlValue, Tx},
};

/// The operations of this chapter.
pub fn operations() -> Vec<Operation> {
    vec![job::<AddImage>(), query::<QueryImage>(Image::declaration)]
}

operation! {
    /// Adds an image from a URL to backup storages.
    AddImage, "3.3.1", Post "/images", Job -> Image; {
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// Where it is: http, https, or a file on the backup storage's machine.
        url: String, max_length 1024;
        /// What it holds.
        media_type: Option<String>, values &["RootVolumeTemplate", "ISO", "DataVolumeTemplate"];
        /// The guest system, free text.
        guest_os_type: Option<String>, max_length 255;
        /// Whether it belongs to the system.
        system: Option<bool>;
        /// Its format.
        format: String, values &["qcow2", "raw", "iso"];
        /// The family of guest systems.
        platform: Option<GuestPlatform>, values GuestPlatform::TEXTS;
        /// The backup storages it goes to.
        backup_storage_uuids: Vec<BackupStorageUuid>, nonempty true;
        /// Its kind.
        kind as "type": Option<String>;
        /// The id it gets.
        resource_uuid: Option<ImageUuid>;
    }
}

/// Where each copy goes.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Adding {
    image: Option<ImageUuid>,
    copies: Vec<ImageCopy>,
    facts: Option<ImageFacts>,
}

impl AddImage {
    fn format(&self) -> Result<ImageFormat, Failure> {
        match self.format.as_str() {
            "qcow2" => Ok(ImageFormat::Qcow2),
            "raw" => Ok(ImageFormat::Raw),
            "iso" => Ok(ImageFormat::Iso),
            other => Err(Failure::argument("format", other, "allowed are qcow2, raw, iso")),
        }
    }

    fn media_type(&self) -> Result<MediaType, Failure> {
        let iso = self.format == "iso";
        match (self.media_type.as_deref(), iso) {
            (Some("ISO"), true) | (None, true) => Ok(MediaType::Iso),
            (Some("RootVolumeTemplate") | None, false) => Ok(MediaType::RootVolumeTemplate),
            (Some("DataVolumeTemplate"), false) => Ok(MediaType::DataVolumeTemplate),
            (Some(other), _) => Err(Failure::argument(
                "mediaType",
                other,
                format!("format {} goes with another one: ISO goes with iso alone", self.format),
            )),
        }
    }

    /// The digest that a tag `md5::…` or `sha256::…` asks for.
    fn digest(&self) -> Option<ExpectedDigest> {
        self.system_tags.iter().find_map(|tag| {
            let (algorithm, hex) = match tag.split_once("::")? {
                ("md5", hex) => (DigestAlgorithm::Md5, hex),
                ("sha256", hex) => (DigestAlgorithm::Sha256, hex),
                _ => return None,
            };
            Some(ExpectedDigest { algorithm, hex: hex.to_ascii_lowercase() })
        })
    }
}

/// The URL without user and password.
fn without_credentials(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            format!("{scheme}://{host}{path}")
        }
        None => url.to_owned(),
    }
}

impl JobOperation for AddImage {
    type State = Adding;

    fn locks(&self) -> Vec<String> {
        self.resource_uuid.iter().map(ToString::to_string).collect()
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("record the image", record_image).undo_record(forget_image),
            Step::remote("download the image", download)
                .undo_remote(|run: Run<Self>| async move {
                    for copy in run.state.copies.clone() {
                        let command = DeleteImageCommand { root: copy.root, path: copy.path };
                        clean_up(&run.node, copy.machine, Cleanup::Image(command)).await?;
                    }
                    Ok(run.state)
                })
                .cancellable(),
            Step::record("record what it is", |tx, run| {
                let (Some(uuid), Some(facts)) = (run.state.image, run.state.facts.clone()) else {
                    return Err(Failure::new(ErrorKind::Internal, "the image was not measured"));
                };
                let now = Timestamp::now();
                let mut image = require::<Image>(tx, "uuid", uuid)?;
                image.status = MediaStatus::Ready;
                image.size = facts.size_bytes;
                image.actual_size = facts.actual_bytes;
                image.md5_sum = Some(facts.md5);
                image.last_op_date = now;
                tx.save(&image)?;
                set_copies(tx, uuid, MediaStatus::Ready)
            }),
        ]
    }

    fn reply(&self, tx: &Tx<'_>, state: &Adding) -> Result<Value, Failure> {
        super::making::made::<Image>(tx, state.image)
    }
}

fn record_image(tx: &Tx<'_>, run: &mut Recording<'_, AddImage>) -> Result<(), Failure> {
    let params = run.params;
    let scheme = params.url.split_once("://").map(|(scheme, _)| scheme);
    if !matches!(scheme, Some("http" | "https" | "file")) {
        return Err(Failure::argument("url", without_credentials(&params.url), "an http, https or file URL is needed"));
    }
    let uuid = params.resource_uuid.unwrap_or_else(ImageUuid::random);
    let now = Timestamp::now();
    let format = params.format()?;
    let image = Image {
        uuid,
        name: readable_name(&params.name)?,
        description: params.description.clone(),
        state: AdminState::Enabled,
        status: MediaStatus::Downloading,
        size: 0,
        actual_size: 0,
        md5_sum: None,
        url: without_credentials(&params.url),
        media_type: params.media_type()?,
        guest_os_type: params.guest_os_type.clone(),
        kind: "zstack".to_owned(),
        platform: params.platform.unwrap_or(GuestPlatform::Linux),
        format: format.as_str().to_owned(),
        system: params.system.unwrap_or(false),
        create_date: now,
        last_op_date: now,
        export_url: None,
        export_md5_sum: None,
    };
    make(tx, &image)?;
    put_tags::<Image>(tx, uuid, &params.system_tags, &params.user_tags)?;
    for backup_storage in &params.backup_storage_uuids {
        let storage = require::<BackupStorage>(tx, "backupStorageUuids", *backup_storage)?;
        admit_image(&run.node.settings.now(), &storage, 0)?;
        run.state.copies.extend(ImageCopy::plan(tx, &image, &storage, MediaStatus::Downloading)?);
    }
    run.state.image = Some(uuid);
    Ok(())
}

fn forget_image(tx: &Tx<'_>, run: &mut Recording<'_, AddImage>) -> Result<(), Failure> {
    let Some(uuid) = run.state.image else { return Ok(()) };
    tx.delete_where::<ImageBackupStorageRef>(&[("image_uuid", uuid.to_sql())])?;
    Ok(tx.delete::<Image>(uuid)?)
}

async fn download(mut run: Run<AddImage>) -> Result<Adding, Failure> {
    let Some(image) = run.state.image else {
        return Err(Failure::new(ErrorKind::Internal, "the image was not recorded"));
    };
    let copies = run.state.copies.clone();
    let of = copies.len();
    for (index, copy) in copies.into_iter().enumerate() {
        let command = AddImageCommand {
            image,
            url: run.params.url.clone(),
            format: run.params.format()?,
            digest: run.params.digest(),
            root: copy.root,
            path: copy.path,
        };
        let (label, part) = (copy.backup_storage.to_string(), Part { index, of });
        let facts = run.call_part(copy.machine, &label, command, part).await.map_err(|failure| match failure.kind {
            ErrorKind::HostCommand => Failure { kind: ErrorKind::ImageDownload, ..failure },
            _ => failure,
        })?;
        run.state.facts = Some(facts);
    }
    Ok(run.state)
}

operation! {
    /// Queries images.
    QueryImage, "3.3.4", Get "/images" | "/images/{uuid}", Sync -> [Image]; {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_do_not_stay_in_a_url() {
        assert_eq!(without_credentials("https://me:secret@host/a@b.qcow2"), "https://host/a@b.qcow2");
        assert_eq!(without_credentials("file:///a/b"), "file:///a/b");
    }
}
