//! Which VMs have something attached on this host that their domain does not take with it: networks, firmware
//! variables. One empty file per VM, written before anything is attached and removed after everything is detached, so
//! that an agent that was killed in between finds what is left to do.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use gantry_common::{agent::AgentError, id::VmUuid};

/// Where libvirt keeps the UEFI variables of a domain that does not name a place for them.
const LIBVIRT_NVRAM: &str = "/var/lib/libvirt/qemu/nvram";

/// The files of one host's VMs. They are in a directory that a restart of the host empties, as it ends what is
/// attached.
#[derive(Debug)]
pub struct Attachments {
    directory: PathBuf,
}

impl Attachments {
    /// The files in `directory`, which need not be there yet.
    pub fn in_directory(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Remembers that things are about to be attached for `vm`.
    pub fn remember(&self, vm: VmUuid) -> Result<(), AgentError> {
        let path = self.path(vm);
        fs::create_dir_all(&self.directory)
            .and_then(|()| fs::OpenOptions::new().create(true).append(true).open(&path))
            .map(drop)
            .map_err(|error| AgentError::file(path, error))
    }

    /// Whether something may be attached for `vm`.
    pub fn has(&self, vm: VmUuid) -> bool {
        self.path(vm).exists()
    }

    /// The VMs that something may be attached for.
    pub fn all(&self) -> io::Result<Vec<VmUuid>> {
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let vm = |entry: io::Result<fs::DirEntry>| entry.map(|entry| entry.file_name().to_str()?.parse().ok());
        entries.filter_map(|entry| vm(entry).transpose()).collect()
    }

    /// Removes what libvirt left of the ended domain and forgets the VM. The networks have to be detached before.
    pub fn forget(&self, vm: VmUuid) -> Result<(), AgentError> {
        remove(&Path::new(LIBVIRT_NVRAM).join(format!("{vm}_VARS.fd")))?;
        remove(&self.path(vm))
    }

    fn path(&self, vm: VmUuid) -> PathBuf {
        self.directory.join(vm.to_string())
    }
}

fn remove(path: &Path) -> Result<(), AgentError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(AgentError::file(path, error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_found_until_it_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let attachments = Attachments::in_directory(directory.path().join("vms"));
        assert_eq!(attachments.all().unwrap(), []);
        let vm = VmUuid::random();
        attachments.remember(vm).unwrap();
        attachments.remember(vm).unwrap();
        fs::write(directory.path().join("vms/README"), "not a VM").unwrap();
        assert_eq!(attachments.all().unwrap(), [vm]);
        attachments.forget(vm).unwrap();
        attachments.forget(vm).unwrap();
        assert!(!attachments.has(vm));
        assert_eq!(attachments.all().unwrap(), []);
    }
}
