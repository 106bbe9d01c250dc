//! Storage directories on this host and the qcow2 volumes in them.
//!
//! A file appears at its path only when it is whole: it is made under a `.part` name beside it, flushed, and renamed.
//! What a killed agent leaves behind is therefore a `.part` file, which the next attempt or the deletion removes.

mod blocking;
mod directory;
mod locks;
mod part;
mod path;
mod qemu_img;
mod space;
mod volume;

#[cfg(test)]
pub(crate) mod tests;

use gantry_common::agent::{
    AgentError, Call, CreateVolume, DeleteVolume, MeasureVolume, OpenStorage, ResizeVolume, StorageCapacity, VolumeSize,
};

pub use self::locks::PathLocks;
pub(crate) use self::{
    blocking::blocking,
    part::{PartFile, delete_with_parts, open_parts, remove_if_there, remove_parts},
    path::{CHUNKS_SUFFIX, PART_SUFFIX, RECORD_SUFFIX, StoragePath, StorageRoot, is_system_path},
    qemu_img::{QemuImg, ran_out_of_space},
    space::{capacity, file_error, no_space, require_bytes},
    volume::{asked_bytes, backing_format, measure as measure_volume, smaller_than_it_is},
};
use crate::vm::nvram_path;

/// The storages of this host.
#[derive(Debug, Clone)]
pub struct Storages {
    locks: PathLocks,
}

impl Storages {
    /// Storages whose files are guarded by `locks`, which must be the ones the images are guarded by: an image must not be
    /// evicted while a volume is made on it.
    pub fn new(locks: PathLocks) -> Self {
        Self { locks }
    }

    /// Makes the storage's directory if need be, proves that it can be written, and reports its capacity.
    pub async fn open_storage(&self, _call: &Call, command: OpenStorage) -> Result<StorageCapacity, AgentError> {
        blocking(move || directory::open(&StorageRoot::parse("root", &command.root)?)).await
    }

    /// Makes a qcow2 volume, empty or on a backing file. One that is there already and fits is left as it is.
    pub async fn create_volume(&self, call: &Call, command: CreateVolume) -> Result<VolumeSize, AgentError> {
        // A task of its own: a caller that goes away must not end qemu-img in the middle of a file.
        let task = tokio::spawn(volume::create(self.locks.clone(), call.clone(), command));
        task.await.map_err(|error| AgentError::Internal { reason: error.to_string() })?
    }

    /// Deletes a volume, its temporary files and the directories that are empty then. A volume that is not there is a
    /// success.
    pub async fn delete_volume(&self, call: &Call, command: DeleteVolume) -> Result<(), AgentError> {
        let path = StoragePath::prove(command.root, command.path).await?;
        let guard = self.locks.exclusive(call, path.as_path()).await?;
        blocking(move || {
            let _guard = guard;
            // The firmware's variables of the system on a root volume go with it.
            remove_if_there(&nvram_path(&path.as_path().to_string_lossy()))?;
            delete_with_parts(&path)
        })
        .await
    }

    /// Makes a volume larger that no VM has open. One that has the size is left as it is.
    pub async fn resize_volume(&self, call: &Call, command: ResizeVolume) -> Result<(), AgentError> {
        let task = tokio::spawn(volume::resize(self.locks.clone(), call.clone(), command));
        task.await.map_err(|error| AgentError::Internal { reason: error.to_string() })?
    }

    /// How large a volume is. Works while a VM has it open.
    pub async fn measure_volume(&self, _call: &Call, command: MeasureVolume) -> Result<VolumeSize, AgentError> {
        let path = StoragePath::prove(command.root, command.path).await?;
        volume::measure(&path).await
    }
}
