//! What is in an image store: its images, and what killed attempts have left beside them.
//!
//! An image lies in a directory of its own, `<root>/images/<image>/`. Nothing else in the store is looked at: a person may
//! keep files there too.

use std::{
    fs::{self, File},
    io::ErrorKind,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use gantry_common::{
    agent::{
        AgentError, Call, ImageFacts, ImageStoreSurvey, LabelImage, MeasureImage, ReclaimSpace, ReclaimedSpace,
        SurveyedImage,
    },
    id::ImageUuid,
};

use super::{
    chunk::ChunkList,
    format::inspect,
    record::{self, Record, delete_image},
    source::open_regular,
};
use crate::storage::{
    CHUNKS_SUFFIX, PART_SUFFIX, PathLocks, RECORD_SUFFIX, StoragePath, StorageRoot, blocking, remove_if_there,
};

/// Where a store keeps its images.
const IMAGES: &str = "images";
/// The unit of `st_blocks`, whatever the file system's own.
const BLOCK_BYTES: u64 = 512;

/// An image of a store.
pub(crate) struct StoredImage {
    target: StoragePath,
    record: Record,
}

impl StoredImage {
    /// The image with its chunks; nothing where it is gone by now.
    pub(crate) fn open_in_chunks(&self, call: &Call) -> Result<Option<(File, ChunkList)>, AgentError> {
        let Ok(file) = open_regular(self.target.as_path()) else { return Ok(None) };
        let list = ChunkList::of(&self.target, &file, &self.record, call)?;
        Ok(Some((file, list)))
    }
}

/// The images of a store that are whole.
pub(crate) fn images(root: &StorageRoot) -> Result<Vec<StoredImage>, AgentError> {
    let mut images = Vec::new();
    for path in files(root)? {
        let Some(target) = image_target(root, &path) else { continue };
        // What is no image of Gantry's, or not whole, is nobody's source.
        if let Ok(Some(record)) = Record::of(&target) {
            images.push(StoredImage { target, record });
        }
    }
    Ok(images)
}

/// See [`super::Images::survey_image_store`].
pub(crate) fn survey(root: &StorageRoot) -> Result<ImageStoreSurvey, AgentError> {
    let mut images = Vec::new();
    for path in files(root)? {
        // An image that does not fit its record is one still: it takes its space.
        let (Some(target), Some(path)) = (image_target(root, &path), path.to_str()) else { continue };
        if let Some(Record { image, facts, label, .. }) = record::read(&target.beside(RECORD_SUFFIX))? {
            let is_whole = Record::of(&target).is_ok_and(|record| record.is_some());
            images.push(SurveyedImage { path: path.to_owned(), image, facts: is_whole.then_some(facts), label });
        }
    }
    Ok(ImageStoreSurvey { images })
}

/// See [`super::Images::label_image`].
pub(crate) async fn label(locks: PathLocks, call: Call, command: LabelImage) -> Result<(), AgentError> {
    let LabelImage { root, path, label } = command;
    let target = StoragePath::prove_below_existing(root, path).await?;
    // Against the image's deletion.
    let _shared = locks.shared(&call, target.as_path()).await?;
    blocking(move || {
        let found = Record::of(&target)?;
        let name = || target.as_path().display().to_string();
        let record = found.ok_or_else(|| AgentError::NotFound { what: "image".into(), name: name() })?;
        Record { label: Some(label), ..record }.write(&target, call.operation)
    })
    .await
}

/// See [`super::Images::measure_image`].
pub(crate) async fn measure(command: MeasureImage) -> Result<ImageFacts, AgentError> {
    let (record, path) = blocking(move || {
        let target = StorageRoot::parse("root", &command.root)?.below("path", &command.path)?;
        let found = Record::of(&target)?;
        let record = found.ok_or(AgentError::NotFound { what: "image".into(), name: command.path })?;
        Ok((record, target.as_path().to_owned()))
    })
    .await?;
    let size_bytes = inspect(&path, &path.display().to_string(), record.facts.format).await?;
    Ok(ImageFacts { size_bytes, ..record.facts })
}

/// See [`super::Images::reclaim_space`].
pub(crate) async fn reclaim(locks: PathLocks, call: Call, command: ReclaimSpace) -> Result<ReclaimedSpace, AgentError> {
    let asked = command.clone();
    let (root, orphans, leftovers) = blocking(move || {
        let root = StorageRoot::existing(&asked.root)?;
        let orphans = asked.orphans.iter().map(|path| root.below("orphans", path)).collect::<Result<Vec<_>, _>>()?;
        let leftovers = leftovers(&root)?;
        Ok((root, orphans, leftovers))
    })
    .await?;
    let mut reclaimed = ReclaimedSpace::default();
    for target in orphans {
        let _alone = locks.exclusive(&call, target.as_path()).await?;
        let freed = blocking(move || {
            let before = taken_beside(&target)?;
            delete_image(&target)?;
            Ok(before)
        });
        reclaimed.add(freed.await?);
    }
    for target in leftovers {
        // A command that is at work on the image holds this; what it makes is no leftover.
        let Some(alone) = locks.try_exclusive(target.as_path()) else { continue };
        let root = root.clone();
        let freed = blocking(move || {
            let _alone = alone;
            remove_leftovers(&root, &target)
        });
        reclaimed.add(freed.await?);
    }
    Ok(reclaimed)
}

trait Add {
    fn add(&mut self, other: ReclaimedSpace);
}

impl Add for ReclaimedSpace {
    fn add(&mut self, other: ReclaimedSpace) {
        self.files += other.files;
        self.bytes += other.bytes;
    }
}

/// The files in the images' directories.
fn files(root: &StorageRoot) -> Result<Vec<PathBuf>, AgentError> {
    let mut files = Vec::new();
    for directory in entries(&root.as_path().join(IMAGES))? {
        let name = directory.file_name().unwrap_or_default().to_string_lossy();
        let is_directory = fs::symlink_metadata(&directory).is_ok_and(|metadata| metadata.is_dir());
        if is_directory && name.parse::<ImageUuid>().is_ok() {
            files.extend(entries(&directory)?);
        }
    }
    files.sort();
    Ok(files)
}

/// What is in a directory; nothing where there is none.
fn entries(directory: &Path) -> Result<Vec<PathBuf>, AgentError> {
    let failed = |error: std::io::Error| AgentError::file(directory, error);
    match fs::read_dir(directory) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path()).map_err(failed)).collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failed(error)),
    }
}

/// The path as that of an image; none where it is one of the agent's own files, or a link.
fn image_target(root: &StorageRoot, path: &Path) -> Option<StoragePath> {
    root.below("path", path.to_str()?).ok()
}

/// The images of which attempts have left something: parts, or what lies beside an image without the image.
fn leftovers(root: &StorageRoot) -> Result<Vec<StoragePath>, AgentError> {
    let mut targets: Vec<StoragePath> = Vec::new();
    for path in files(root)? {
        let Some(text) = path.to_str() else { continue };
        let image = match text.strip_suffix(PART_SUFFIX) {
            Some(part) => image_of_part(part),
            None => [RECORD_SUFFIX, CHUNKS_SUFFIX].iter().find_map(|suffix| text.strip_suffix(suffix)),
        };
        let Some(target) = image.and_then(|image| image_target(root, Path::new(image))) else { continue };
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    Ok(targets)
}

/// The image that the part `<image>.<operation>` or `<image>.<operation>.json` is of.
fn image_of_part(part: &str) -> Option<&str> {
    let part = [RECORD_SUFFIX, CHUNKS_SUFFIX].iter().find_map(|suffix| part.strip_suffix(suffix)).unwrap_or(part);
    let (image, operation) = part.rsplit_once('.')?;
    operation.parse::<gantry_common::id::OperationId>().is_ok().then_some(image)
}

/// Removes the parts of an image, and where there is no image, what else is the agent's of it.
fn remove_leftovers(root: &StorageRoot, target: &StoragePath) -> Result<ReclaimedSpace, AgentError> {
    let image_is_there = fs::symlink_metadata(target.as_path()).is_ok();
    let mut freed = ReclaimedSpace::default();
    for path in entries(target.parent())? {
        let text = path.to_string_lossy();
        let part_of = text.strip_suffix(PART_SUFFIX).and_then(image_of_part).map(Path::new);
        let is_part = part_of == Some(target.as_path());
        let is_beside = path == target.beside(RECORD_SUFFIX) || path == target.beside(CHUNKS_SUFFIX);
        if is_part || (is_beside && !image_is_there) {
            freed.add(taken(&path)?);
            remove_if_there(&path)?;
        }
    }
    if !image_is_there && target.parent() != root.as_path() {
        // It stays where something else is in it.
        let _ = fs::remove_dir(target.parent());
    }
    Ok(freed)
}

/// What an image and the agent's files of it take.
fn taken_beside(target: &StoragePath) -> Result<ReclaimedSpace, AgentError> {
    let mut sum = ReclaimedSpace::default();
    for path in [target.as_path().to_owned(), target.beside(RECORD_SUFFIX), target.beside(CHUNKS_SUFFIX)] {
        sum.add(taken(&path)?);
    }
    Ok(sum)
}

fn taken(path: &Path) -> Result<ReclaimedSpace, AgentError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(ReclaimedSpace { files: 1, bytes: metadata.blocks() * BLOCK_BYTES }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(ReclaimedSpace::default()),
        Err(error) => Err(AgentError::file(path, error)),
    }
}
