//! The record beside an image: what it is, and where it came from.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use gantry_common::{
    agent::{AgentError, ExpectedDigest, ImageFacts},
    id::{ImageUuid, OperationId},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::sink::Arrived;
use crate::storage::{
    CHUNKS_SUFFIX, PART_SUFFIX, RECORD_SUFFIX, StoragePath, blocking, delete_with_parts, file_error, remove_if_there,
};

/// What is known of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) image: ImageUuid,
    /// Where it came from, without secrets.
    pub(crate) source: String,
    /// The digest it was checked against.
    pub(crate) digest: Option<ExpectedDigest>,
    pub(crate) facts: ImageFacts,
    /// What the node knows of it, in its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) label: Option<Value>,
}

impl Record {
    /// The record of the image at `target`; `None` where there is no image.
    ///
    /// # Errors
    /// `InvalidArgument` for a file without a record, `Corrupt` for one that does not fit its record.
    pub(crate) fn of(target: &StoragePath) -> Result<Option<Self>, AgentError> {
        let path = target.as_path();
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(AgentError::file(path, error)),
        };
        let Some(record) = read(&target.beside(RECORD_SUFFIX))? else {
            let remedy = "a file that Gantry did not put there is in the way; move it away or use another path";
            return Err(AgentError::invalid("path", path.display(), remedy));
        };
        let expected = record.facts.actual_bytes;
        if metadata.is_file() && metadata.len() == expected {
            return Ok(Some(record));
        }
        let reason = format!(
            "it has {} bytes and its record says {expected}; delete the image and add it again",
            metadata.len()
        );
        Err(AgentError::Corrupt { what: path.display().to_string(), reason })
    }

    /// Puts an image that has arrived in its place, with this record and the list of its chunks.
    pub(crate) async fn commit(self, arrived: Arrived, operation: OperationId) -> Result<ImageFacts, AgentError> {
        let Arrived { part, chunks, .. } = arrived;
        blocking(move || {
            let target = part.target().clone();
            let listed = match &chunks {
                Some(chunks) => chunks.write(&target, &self.facts.md5, operation),
                None => Ok(()),
            };
            let sealed = listed.and_then(|()| part.seal()).and_then(|()| self.write(&target, operation));
            let committed = sealed.and_then(|()| part.commit());
            match committed {
                Ok(()) => Ok(self.facts),
                Err(error) => {
                    // The first error is the one to tell; what cannot be removed now, the next attempt removes.
                    let _ = delete_image(&target);
                    Err(error)
                }
            }
        })
        .await
    }

    /// Writes it beside the image, in place of the one that is there.
    pub(crate) fn write(&self, target: &StoragePath, operation: OperationId) -> Result<(), AgentError> {
        let json =
            serde_json::to_vec_pretty(self).map_err(|error| AgentError::Internal { reason: error.to_string() })?;
        write_beside(target, RECORD_SUFFIX, operation, &json)
    }
}

/// Puts a file of the agent's own beside an image: there is a whole one or none.
pub(crate) fn write_beside(
    target: &StoragePath,
    suffix: &str,
    operation: OperationId,
    bytes: &[u8],
) -> Result<(), AgentError> {
    let path = target.beside(suffix);
    let part = target.beside(&format!(".{operation}{suffix}{PART_SUFFIX}"));
    let mut options = OpenOptions::new();
    let written = options.write(true).create(true).truncate(true).mode(0o600).open(&part).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, &path)
    });
    written.map_err(|error| {
        // A later attempt removes what cannot be removed now.
        let _ = fs::remove_file(&part);
        file_error(&path, bytes.len() as u64, &error)
    })
}

/// The record in the file at `path`, if there is one.
pub(crate) fn read(path: &Path) -> Result<Option<Record>, AgentError> {
    match fs::read(path) {
        Ok(json) => serde_json::from_slice(&json)
            .map(Some)
            .map_err(|error| AgentError::Corrupt { what: path.display().to_string(), reason: error.to_string() }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(AgentError::file(path, error)),
    }
}

/// Where the record of the image at `path` is.
pub(crate) fn beside(path: &Path) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(RECORD_SUFFIX);
    name.into()
}

/// Deletes an image, its record, what attempts have left of it, and the directories that are empty then. The image goes
/// first: a record alone means nothing.
pub(crate) fn delete_image(target: &StoragePath) -> Result<(), AgentError> {
    remove_if_there(target.as_path())?;
    remove_if_there(&target.beside(RECORD_SUFFIX))?;
    remove_if_there(&target.beside(CHUNKS_SUFFIX))?;
    delete_with_parts(target)
}

/// Marks `root` as an image store.
pub(crate) fn mark_store(root: &Path) -> Result<(), AgentError> {
    let marker = root.join(super::STORE_MARKER);
    match OpenOptions::new().write(true).create_new(true).mode(0o644).open(&marker) {
        Ok(_) => File::open(root).and_then(|root| root.sync_all()).map_err(|error| AgentError::file(root, error)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(file_error(&marker, 1, &error)),
    }
}
