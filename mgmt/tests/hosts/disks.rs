//! The volumes that a double keeps in memory, and the VMs it says they are plugged into.

use std::collections::{BTreeMap, BTreeSet};

use gantry_common::{
    agent::{AgentError, AttachDisk, CreateVolume, DetachDisk, ResizeVolume, VolumeSize},
    id::{VmUuid, VolumeUuid},
};

#[derive(Default)]
pub struct Disks {
    /// The files, with their sizes.
    pub files: BTreeMap<String, u64>,
    pub plugged: BTreeSet<(VmUuid, VolumeUuid)>,
    /// What every attachment, every detachment and every growth comes to, where it is to fail.
    pub fails: Option<AgentError>,
    /// Whether what fails has been done nevertheless.
    pub fails_afterwards: bool,
}

impl Disks {
    pub fn create(&mut self, command: CreateVolume) -> Result<VolumeSize, AgentError> {
        self.files.insert(command.path.clone(), command.size_bytes);
        self.measure(&command.path)
    }

    pub fn measure(&self, path: &str) -> Result<VolumeSize, AgentError> {
        let missing = || AgentError::NotFound { what: "volume".to_owned(), name: path.to_owned() };
        let size_bytes = *self.files.get(path).ok_or_else(missing)?;
        Ok(VolumeSize { size_bytes, actual_bytes: 1 << 16 })
    }

    pub fn resize(&mut self, command: ResizeVolume) -> Result<VolumeSize, AgentError> {
        self.act(|disks| {
            disks.files.insert(command.path.clone(), command.size_bytes);
        })?;
        self.measure(&command.path)
    }

    pub fn attach(&mut self, command: AttachDisk) -> Result<(), AgentError> {
        self.measure(&command.disk.path)?;
        self.act(|disks| {
            disks.plugged.insert((command.vm, command.disk.volume));
        })
    }

    pub fn detach(&mut self, command: DetachDisk) -> Result<(), AgentError> {
        self.act(|disks| {
            disks.plugged.remove(&(command.vm, command.volume));
        })
    }

    /// Each failure is for one command: what undoes it gets through.
    fn act(&mut self, act: impl FnOnce(&mut Self)) -> Result<(), AgentError> {
        match self.fails.take() {
            None => act(self),
            Some(error) => {
                if self.fails_afterwards {
                    act(self);
                }
                return Err(error);
            }
        }
        Ok(())
    }
}
