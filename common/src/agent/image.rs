//! Images in an image store and in a primary storage's cache.

use serde::{Deserialize, Serialize};

use crate::id::{HostUuid, ImageUuid};

/// The format of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageFormat {
    /// QEMU copy-on-write 2.
    Qcow2,
    /// Plain bytes.
    Raw,
    /// An ISO 9660 disc.
    Iso,
}

impl ImageFormat {
    /// The format as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Qcow2 => "qcow2",
            Self::Raw => "raw",
            Self::Iso => "iso",
        }
    }
}

/// An algorithm and the digest expected of a download, in lower-case hex.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectedDigest {
    /// The algorithm.
    pub algorithm: DigestAlgorithm,
    /// The digest in lower-case hex.
    pub hex: String,
}

/// The digests a download can be checked against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DigestAlgorithm {
    /// MD5, which the API reports for every image.
    Md5,
    /// SHA-256.
    Sha256,
}

/// Brings an image into this host's image store.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AddImage {
    /// The image.
    pub image: ImageUuid,
    /// `http://`, `https://` or `file://`; a file is one on this host.
    pub url: String,
    /// The format it must have. A raw image is kept as it is.
    pub format: ImageFormat,
    /// The digest it must have.
    pub digest: Option<ExpectedDigest>,
    /// The image store's absolute path.
    pub root: String,
    /// Where it goes: an absolute path below `root`. It appears there only when it is whole and checked.
    pub path: String,
}

/// What an image is, once it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageFacts {
    /// What a guest would see.
    pub size_bytes: u64,
    /// The file's length.
    pub actual_bytes: u64,
    /// The MD5 digest of the file, in lower-case hex.
    pub md5: String,
    /// The format found.
    pub format: ImageFormat,
}

/// Deletes an image from this host's image store.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeleteImage {
    /// The image store's absolute path.
    pub root: String,
    /// The image's absolute path, below `root`.
    pub path: String,
}

/// Where another host's agent answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// The host, whose certificate the peer must show.
    pub host: HostUuid,
    /// Its address or name.
    pub address: String,
    /// Its agent's port.
    pub port: u16,
}

/// Brings an image into a primary storage's image cache.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CacheImage {
    /// The image.
    pub image: ImageUuid,
    /// The host of the image store; `None` where that is this host.
    pub peer: Option<Peer>,
    /// The image store's absolute path.
    pub source_root: String,
    /// The image's absolute path on the image store's host.
    pub source_path: String,
    /// The MD5 digest it must have.
    pub md5: String,
    /// Its format.
    pub format: ImageFormat,
    /// The primary storage's absolute path.
    pub root: String,
    /// Where it goes: an absolute path below `root`. It appears there only when it is whole and checked.
    pub path: String,
}

/// Deletes an image from a primary storage's image cache. Refused with `InUse` while a volume stands on it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EvictImage {
    /// The primary storage's absolute path.
    pub root: String,
    /// The cached image's absolute path, below `root`.
    pub path: String,
}
