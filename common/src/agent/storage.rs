//! Storage directories and volumes on a host.

use serde::{Deserialize, Serialize};

use crate::id::{ImageUuid, VmUuid, VolumeUuid};

/// Checks and reports a storage's directory.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenStorage {
    /// The storage's absolute path.
    pub root: String,
}

/// A file system's capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageCapacity {
    /// Bytes in all.
    pub total_bytes: u64,
    /// Bytes that can still be written.
    pub available_bytes: u64,
}

/// Makes a qcow2 volume.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CreateVolume {
    /// The volume.
    pub volume: VolumeUuid,
    /// The storage's absolute path.
    pub root: String,
    /// The volume's absolute path, below `root`.
    pub path: String,
    /// The virtual size. With a backing file, a smaller one is raised to the backing file's.
    pub size_bytes: u64,
    /// The absolute path, below `root`, of the image the volume starts from.
    pub backing_path: Option<String>,
}

/// Deletes a volume.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeleteVolume {
    /// The storage's absolute path.
    pub root: String,
    /// The volume's absolute path, below `root`.
    pub path: String,
}

/// Makes a volume larger.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ResizeVolume {
    /// The volume.
    pub volume: VolumeUuid,
    /// The storage's absolute path.
    pub root: String,
    /// The volume's absolute path, below `root`.
    pub path: String,
    /// The new virtual size, rounded up to whole sectors of 512 bytes.
    pub size_bytes: u64,
    /// The VM it is attached to, which may run here or not.
    pub vm: Option<VmUuid>,
}

/// Asks for a volume's size.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MeasureVolume {
    /// The storage's absolute path.
    pub root: String,
    /// The volume's absolute path, below `root`.
    pub path: String,
}

/// A volume's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSize {
    /// What the guest sees.
    pub size_bytes: u64,
    /// What the file takes on disk.
    pub actual_bytes: u64,
}

/// Looks at everything in a storage.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SurveyStorage {
    /// The storage's absolute path.
    pub root: String,
}

/// What a storage holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageSurvey {
    /// The file system's capacity.
    pub capacity: StorageCapacity,
    /// What the storage's own files and directories take of it, as `du` counts.
    pub used_bytes: u64,
    /// The images in its cache.
    pub cached_images: Vec<CachedImage>,
}

/// An image in a storage's cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachedImage {
    /// The image.
    pub image: ImageUuid,
    /// The file's absolute path.
    pub path: String,
    /// The file's length.
    pub actual_bytes: u64,
}
