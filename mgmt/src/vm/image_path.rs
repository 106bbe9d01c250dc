//! Where images stand on hosts.

use crate::resource::{Image, PrimaryStorage};

/// Where an image stands in a primary storage's cache.
pub fn cached_path(storage: &PrimaryStorage, image: &Image) -> String {
    format!("{}/imagecache/template/{uuid}/{uuid}.{}", storage.url, image.format, uuid = image.uuid)
}
