//! What lies beside each image in its store: what people know of it. From this, a node that takes the store over knows its
//! images again.

use std::sync::Arc;

use gantry_common::{
    agent::{ImageFormat, LabelImage, SurveyImageStore, SurveyedImage},
    id::OperationId,
};
use serde::{Deserialize, Serialize};

use crate::{
    failure::Failure,
    node::Node,
    resource::{BackupStorage, GuestPlatform, Image, ImageBackupStorageRef, MediaType},
    store::{SqlValue, Tx},
    tags::{self, Giver},
};

/// What people know of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageLabel {
    /// Its name.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Where it came from, without credentials.
    pub url: String,
    /// What it holds.
    pub media_type: MediaType,
    /// The guest system, free text.
    pub guest_os_type: Option<String>,
    /// The family of guest systems.
    pub platform: GuestPlatform,
    /// Whether it belongs to the system.
    pub system: bool,
    /// Those of its system tags that a caller can give it.
    pub system_tags: Vec<String>,
}

impl ImageLabel {
    /// That of an image of the inventory.
    pub fn of(tx: &Tx<'_>, image: Image) -> Result<Self, Failure> {
        let mut system_tags = tx.system_tags(&image.uuid.to_string())?;
        system_tags.retain(|tag| can_be_given(tag));
        let Image { name, description, url, media_type, guest_os_type, platform, system, .. } = image;
        Ok(Self { name, description, url, media_type, guest_os_type, platform, system, system_tags })
    }

    /// That beside an image in a store; of one without, what can be told from its file.
    pub fn beside(found: &SurveyedImage, format: ImageFormat) -> Self {
        let label = found.label.clone().and_then(|label| serde_json::from_value::<Self>(label).ok());
        let mut label = label.unwrap_or_else(|| Self {
            name: format!("image-{}", found.image),
            description: None,
            url: format!("file://{}", found.path),
            media_type: if format == ImageFormat::Iso { MediaType::Iso } else { MediaType::RootVolumeTemplate },
            guest_os_type: None,
            platform: GuestPlatform::Linux,
            system: false,
            system_tags: Vec::new(),
        });
        // Another version may know more of them.
        label.system_tags.retain(|tag| can_be_given(tag));
        label
    }
}

fn can_be_given(tag: &str) -> bool {
    tags::kind_of("Image", tag).is_ok_and(|known| known.giver == Giver::Anyone)
}

/// Puts labels beside the images of a store that have none, or another one than the inventory says by now.
pub async fn put_labels(node: &Arc<Node>, storage: &BackupStorage) -> Result<(), Failure> {
    let root = storage.url.clone();
    let survey = node.call(storage.machine_uuid, OperationId::random(), SurveyImageStore { root }).await?;
    let known = storage.clone();
    for command in node.store.read(move |tx| outdated(tx, &known, survey.images)).await? {
        node.call(storage.machine_uuid, OperationId::random(), command).await?;
    }
    Ok(())
}

fn outdated(tx: &Tx<'_>, storage: &BackupStorage, found: Vec<SurveyedImage>) -> Result<Vec<LabelImage>, Failure> {
    let mut outdated = Vec::new();
    for copy in tx.find::<ImageBackupStorageRef>(&[("backup_storage_uuid", storage.uuid.to_sql())])? {
        let there = found.iter().find(|there| there.path == copy.install_path && there.facts.is_some());
        let (Some(there), Some(image)) = (there, tx.get::<Image>(copy.image_uuid)?) else { continue };
        let label = serde_json::to_value(ImageLabel::of(tx, image)?).map_err(unwritable)?;
        if there.label.as_ref() != Some(&label) {
            outdated.push(LabelImage { root: storage.url.clone(), path: copy.install_path, label });
        }
    }
    Ok(outdated)
}

fn unwritable(error: serde_json::Error) -> Failure {
    let details = format!("what is known of an image cannot be written: {error}");
    Failure::new(gantry_common::error::ErrorKind::Internal, details)
}
