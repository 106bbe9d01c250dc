//! Looking through a storage: what its files take, and which images are in its cache.

use std::{
    collections::HashSet,
    fs::{self, Metadata},
    io::{self, ErrorKind},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use gantry_common::agent::{AgentError, CachedImage, StorageSurvey};

use super::{STORE_MARKER, record};
use crate::storage::{StorageRoot, capacity};

/// The unit of `st_blocks`, whatever the file system's own.
const BLOCK_BYTES: u64 = 512;

/// Looks through everything below `root` that is on its file system. What comes or goes meanwhile may count or not.
pub(crate) fn survey(root: &StorageRoot) -> Result<StorageSurvey, AgentError> {
    let top = fs::metadata(root.as_path()).map_err(|error| AgentError::file(root.as_path(), error))?;
    let mut walk = Walk { device: top.dev(), linked: HashSet::new(), used_bytes: 0, cached_images: Vec::new() };
    walk.count(&top);
    let mut directories = vec![root.as_path().to_owned()];
    while let Some(directory) = directories.pop() {
        directories.extend(walk.visit(&directory)?);
    }
    walk.cached_images.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(StorageSurvey {
        capacity: capacity(root.as_path())?,
        used_bytes: walk.used_bytes,
        cached_images: walk.cached_images,
    })
}

struct Walk {
    device: u64,
    /// Files with several names that were seen already.
    linked: HashSet<u64>,
    used_bytes: u64,
    cached_images: Vec<CachedImage>,
}

impl Walk {
    fn count(&mut self, metadata: &Metadata) {
        if metadata.is_dir() || metadata.nlink() < 2 || self.linked.insert(metadata.ino()) {
            self.used_bytes += metadata.blocks() * BLOCK_BYTES;
        }
    }

    /// Counts what is in a directory; answers the directories in it.
    fn visit(&mut self, directory: &Path) -> Result<Vec<PathBuf>, AgentError> {
        let failed = |path: &Path, error: io::Error| AgentError::file(path, error);
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(directory, error)),
        };
        let is_store = fs::exists(directory.join(STORE_MARKER)).unwrap_or(false);
        let mut inside = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| failed(directory, error))?;
            let path = entry.path();
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(&path, error)),
            };
            if metadata.dev() != self.device {
                continue;
            }
            self.count(&metadata);
            if metadata.is_dir() {
                inside.push(path);
            } else if metadata.is_file() && !is_store {
                self.note_image(&path, &metadata)?;
            }
        }
        Ok(inside)
    }

    /// A file with a record of an image beside it is an image.
    fn note_image(&mut self, path: &Path, metadata: &Metadata) -> Result<(), AgentError> {
        let beside = record::beside(path);
        if let (Some(text), true) = (path.to_str(), beside.exists())
            && let Some(record) = record::read(&beside)?
        {
            let path = text.to_owned();
            self.cached_images.push(CachedImage { image: record.image, path, actual_bytes: metadata.len() });
        }
        Ok(())
    }
}
