//! How much room a file system has, and what it says when there is none.

use std::{
    io::{self, ErrorKind},
    path::Path,
};

use gantry_common::agent::{AgentError, StorageCapacity};
use nix::sys::statvfs::statvfs;

/// The capacity of the file system `path` is on. What is reserved for root does not count as available.
pub(crate) fn capacity(path: &Path) -> Result<StorageCapacity, AgentError> {
    let vfs = statvfs(path).map_err(|errno| AgentError::file(path, io::Error::from(errno)))?;
    // The counts are 64 bits wide on every platform libvirt's hosts have; the block size is a word.
    let block_bytes = vfs.fragment_size();
    Ok(StorageCapacity {
        total_bytes: vfs.blocks().saturating_mul(block_bytes),
        available_bytes: vfs.blocks_available().saturating_mul(block_bytes),
    })
}

/// The bytes that can still be written where `path` is.
pub(crate) fn available_bytes(path: &Path) -> Result<u64, AgentError> {
    capacity(path).map(|capacity| capacity.available_bytes)
}

/// Refuses what does not fit before anything is written.
pub(crate) fn require_bytes(path: &Path, needed_bytes: u64) -> Result<(), AgentError> {
    let available_bytes = available_bytes(path)?;
    if available_bytes < needed_bytes {
        return Err(AgentError::NoSpace { path: path.display().to_string(), needed_bytes, available_bytes });
    }
    Ok(())
}

/// The error for a failed write of `needed_bytes` to `path`: `NoSpace` where the disk or a quota is full.
pub(crate) fn file_error(path: &Path, needed_bytes: u64, error: &io::Error) -> AgentError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => no_space(path, needed_bytes),
        _ => AgentError::file(path, error),
    }
}

/// The error for a file system that turned out to be full.
pub(crate) fn no_space(path: &Path, needed_bytes: u64) -> AgentError {
    let directory = path.parent().unwrap_or(path);
    let available_bytes = available_bytes(directory).unwrap_or(0);
    AgentError::NoSpace { path: path.display().to_string(), needed_bytes, available_bytes }
}
