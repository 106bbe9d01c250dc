//! 3.3.6, 3.3.7: changing what is said of an image.

use gantry_common::id::ImageUuid;

use super::changing::{Change, SWITCHES, change, describe};
use crate::{
    api::Operation,
    change_state,
    failure::Failure,
    operation,
    resource::{GuestPlatform, Image, MediaType},
    store::Tx,
};

/// The operations of this file.
pub fn operations() -> Vec<Operation> {
    vec![change::<UpdateImage>(), change::<ChangeImageState>()]
}

operation! {
    /// Changes what is said of an image. VMs made from it keep what they were made with.
    UpdateImage, "3.3.7", Put "/images/{uuid}/actions", Job -> Image, body_keys &["updateImage", "params"]; {
        /// The image.
        uuid: ImageUuid;
        /// Its new name.
        name: Option<String>, max_length 255;
        /// Its new description.
        description: Option<String>, max_length 2048;
        /// The guest system, free text.
        guest_os_type: Option<String>, max_length 255;
        /// What it holds.
        media_type: Option<MediaType>, values MediaType::TEXTS;
        /// Its file's format, which stays what it is.
        format: Option<String>, values &["raw", "qcow2", "iso"];
        /// Whether it belongs to the system.
        system: Option<bool>;
        /// The family of guest systems.
        platform: Option<GuestPlatform>, values GuestPlatform::TEXTS;
    }
}

impl Change for UpdateImage {
    type Resource = Image;

    fn key(&self) -> ImageUuid {
        self.uuid
    }

    fn apply(&self, _tx: &Tx<'_>, image: &mut Image) -> Result<(), Failure> {
        if let Some(format) = self.format.as_ref().filter(|format| **format != image.format) {
            let remedy = format!("the file's format is {}: add an image in the other format", image.format);
            return Err(Failure::argument("format", format, remedy));
        }
        if let Some(wanted) = self.media_type {
            if (wanted == MediaType::Iso) != (image.media_type == MediaType::Iso) {
                let remedy =
                    format!("a disc's image cannot become a disk's, or the reverse: it is {}", image.media_type);
                return Err(Failure::argument("mediaType", wanted, remedy));
            }
            image.media_type = wanted;
        }
        image.platform = self.platform.unwrap_or(image.platform);
        if let Some(guest_os_type) = &self.guest_os_type {
            image.guest_os_type = Some(guest_os_type.clone());
        }
        image.system = self.system.unwrap_or(image.system);
        describe((&mut image.name, self.name.as_deref()), (&mut image.description, self.description.as_deref()))
    }
}

operation! {
    /// Enables or disables an image. No new VM is made from a disabled one.
    ChangeImageState, "3.3.6", Put "/images/{uuid}/actions", Job -> Image, body_keys &["changeImageState", "params"]; {
        /// The image.
        uuid: ImageUuid;
        /// What is to happen.
        state_event: String, values SWITCHES;
    }
}

change_state!(ChangeImageState of Image);
