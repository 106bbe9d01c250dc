//! What an image store does with its images: takes them from other hosts, gives them out, tidies up.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ImageFacts, ImageFormat, Peer};
use crate::id::ImageUuid;

/// Brings a file of a storage, here or on a peer, into this host's image store: another store's image, or a volume that is
/// offered. Of what comes from a peer, only the pieces travel that no image of this store has.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FetchImage {
    /// The image.
    pub image: ImageUuid,
    /// The host that has the file; `None` where that is this host.
    pub peer: Option<Peer>,
    /// The absolute path of the storage it is on.
    pub source_root: String,
    /// The file's absolute path there.
    pub source_path: String,
    /// The MD5 digest it must have.
    pub md5: String,
    /// Its format.
    pub format: ImageFormat,
    /// The image store's absolute path.
    pub root: String,
    /// Where it goes: an absolute path below `root`. It appears there only when it is whole and checked.
    pub path: String,
}

/// An image that was fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchedImage {
    /// What it is.
    pub facts: ImageFacts,
    /// The bytes of it that came from the peer, each counted once however often the connection broke.
    pub received_bytes: u64,
    /// The bytes of it that were here already.
    pub reused_bytes: u64,
}

/// Measures an image of this host's image store.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MeasureImage {
    /// The image store's absolute path.
    pub root: String,
    /// The image's absolute path, below `root`.
    pub path: String,
}

/// Has an image of this host's image store served over HTTP to whoever knows its address.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExportImage {
    /// The image store's absolute path.
    pub root: String,
    /// The image's absolute path, below `root`.
    pub path: String,
}

/// Where an exported image is served. The same image is always served at the same place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportedImage {
    /// The TCP port.
    pub port: u16,
    /// The path of the URL, which nobody can guess.
    pub url_path: String,
}

/// Has an image served no more. One that is not exported is a success.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EndExport {
    /// The image's absolute path.
    pub path: String,
}

/// Asks which images are in this host's image store.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SurveyImageStore {
    /// The image store's absolute path.
    pub root: String,
}

/// The images in an image store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageStoreSurvey {
    /// The images, by their paths.
    pub images: Vec<SurveyedImage>,
}

/// An image in an image store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SurveyedImage {
    /// Its absolute path.
    pub path: String,
    /// The image.
    pub image: ImageUuid,
    /// What it is; `None` where the file is not what its record says.
    pub facts: Option<ImageFacts>,
    /// What [`LabelImage`] put down of it.
    pub label: Option<Value>,
}

/// Puts down beside an image of this host's image store what the node knows of it, for whoever takes the store over.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LabelImage {
    /// The image store's absolute path.
    pub root: String,
    /// The image's absolute path, below `root`.
    pub path: String,
    /// What is known, in the node's own words: the agent keeps it and does not read it.
    pub label: Value,
}

/// Removes from this host's image store what nothing needs: the named images, and what was left by attempts that were
/// killed. What a command is at work on stays.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReclaimSpace {
    /// The image store's absolute path.
    pub root: String,
    /// The absolute paths, below `root`, of the images that are nobody's.
    pub orphans: Vec<String>,
}

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReclaimedSpace {
    /// The files.
    pub files: u64,
    /// The bytes that they took on disk.
    pub bytes: u64,
}
