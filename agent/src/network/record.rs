//! What was made on this host, as files. A record is written before the thing it names is made and removed after it is
//! gone, so an agent that was killed finds whatever it left behind.

use std::{
    fs,
    io::{ErrorKind, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use gantry_common::{
    agent::{AgentError, Bridge, GuestData, Network, Nic, VmSpec},
    id::VmUuid,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

const TEMPORARY_PREFIX: &str = ".";
const TEMPORARY_SUFFIX: &str = ".new";

/// A bridge that Gantry made. A bridge without such a record belongs to the host's administrator and is never removed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct BridgeRecord {
    /// The bridge.
    pub bridge: Bridge,
    /// Whether it was made to the end.
    pub settled: bool,
}

/// An L3 network as it was last asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct NetworkRecord {
    /// The network.
    pub network: Network,
}

/// A VM whose interfaces are served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct VmRecord {
    /// The VM.
    pub vm: VmUuid,
    /// Its interfaces.
    pub nics: Vec<Nic>,
    /// What it is told.
    pub guest_data: GuestData,
}

impl From<&VmSpec> for VmRecord {
    fn from(vm: &VmSpec) -> Self {
        Self { vm: vm.uuid, nics: vm.nics.clone(), guest_data: vm.guest_data.clone() }
    }
}

/// Who may read a file besides root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readers {
    Root,
    All,
}

impl Readers {
    fn file_mode(self) -> u32 {
        if self == Self::Root { 0o600 } else { 0o644 }
    }

    fn directory_mode(self) -> u32 {
        if self == Self::Root { 0o700 } else { 0o755 }
    }
}

/// Makes the directory that holds files for `readers`.
pub(super) fn make_directory(path: &Path, readers: Readers) -> Result<(), AgentError> {
    fs::create_dir_all(path)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(readers.directory_mode())))
        .map_err(|error| AgentError::file(path, error))
}

/// What a file is called while it is written. dnsmasq takes no notice of names that begin with a dot.
fn temporary(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    Some(path.with_file_name(format!("{TEMPORARY_PREFIX}{name}{TEMPORARY_SUFFIX}")))
}

/// Replaces a file in one step: a reader sees the old content or the new, never a part. Returns whether the content
/// changed. There is no fsync: these files do not outlive a reboot.
pub(super) fn write(path: &Path, content: &[u8], readers: Readers) -> Result<bool, AgentError> {
    if fs::read(path).is_ok_and(|old| old == content) {
        return Ok(false);
    }
    let (Some(directory), Some(temporary)) = (path.parent(), temporary(path)) else {
        return Err(AgentError::file(path, "not a file's path"));
    };
    if !directory.is_dir() {
        make_directory(directory, readers)?;
    }
    let written = (|| {
        let _ = fs::remove_file(&temporary);
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(readers.file_mode()).open(&temporary)?;
        file.set_permissions(fs::Permissions::from_mode(readers.file_mode()))?;
        file.write_all(content)?;
        fs::rename(&temporary, path)
    })();
    written.map(|()| true).map_err(|error| {
        let _ = fs::remove_file(&temporary);
        AgentError::file(path, error)
    })
}

/// Writes a record.
pub(super) fn store<T: Serialize>(path: &Path, record: &T) -> Result<(), AgentError> {
    let text = serde_json::to_vec_pretty(record).map_err(|error| AgentError::Internal { reason: error.to_string() })?;
    write(path, &text, Readers::Root).map(|_| ())
}

/// Reads a record; `None` when there is none.
pub(super) fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, AgentError> {
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| AgentError::file(path, error)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(AgentError::file(path, error)),
    }
}

fn paths_in(directory: &Path) -> Result<Vec<PathBuf>, AgentError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(AgentError::file(directory, error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| AgentError::file(directory, error))?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Whether a directory holds no record.
pub(super) fn is_empty(directory: &Path) -> Result<bool, AgentError> {
    Ok(paths_in(directory)?.is_empty())
}

/// Reads every record in a directory, in the order of their names.
pub(super) fn load_all<T: DeserializeOwned>(directory: &Path) -> Result<Vec<T>, AgentError> {
    // One that went away since the directory was read is no record any more.
    paths_in(directory)?.iter().filter_map(|path| load(path).transpose()).collect()
}

/// Removes a file, half-written or whole, or a directory with all in it; one that is not there is a success.
pub(super) fn remove(path: &Path) -> Result<(), AgentError> {
    if path.is_dir() {
        return gone(path, fs::remove_dir_all(path));
    }
    if let Some(temporary) = temporary(path) {
        gone(&temporary, fs::remove_file(&temporary))?;
    }
    gone(path, fs::remove_file(path))
}

/// Removes the files in a directory, and in those in it, that an agent was killed over writing.
pub(super) fn remove_half_written(directory: &Path) -> Result<(), AgentError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => return gone(directory, Err(error)),
    };
    for entry in entries {
        let entry = entry.map_err(|error| AgentError::file(directory, error))?;
        let (name, path) = (entry.file_name(), entry.path());
        if path.is_dir() {
            remove_half_written(&path)?;
        } else if name.to_str().is_some_and(|it| it.starts_with(TEMPORARY_PREFIX) && it.ends_with(TEMPORARY_SUFFIX)) {
            gone(&path, fs::remove_file(&path))?;
        }
    }
    Ok(())
}

fn gone(path: &Path, removed: std::io::Result<()>) -> Result<(), AgentError> {
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(AgentError::file(path, error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_an_unchanged_one_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("made/record.json");
        assert!(write(&path, b"one", Readers::Root).unwrap());
        assert!(!write(&path, b"one", Readers::Root).unwrap());
        assert!(write(&path, b"two", Readers::Root).unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_not_there_is_removed_and_loaded_without_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("none.json");
        remove(&path).unwrap();
        assert!(load::<VmRecord>(&path).unwrap().is_none());
        assert!(load_all::<VmRecord>(&path).unwrap().is_empty());
    }

    #[test]
    fn what_was_half_written_is_removed_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let whole = directory.path().join("vms/whole.json");
        write(&whole, b"{}", Readers::Root).unwrap();
        let half_written = temporary(&directory.path().join("vms/half.json")).unwrap();
        fs::write(&half_written, "{").unwrap();
        remove_half_written(directory.path()).unwrap();
        assert!(whole.exists() && !half_written.exists());

        let replaced = temporary(&whole).unwrap();
        fs::write(&replaced, "{").unwrap();
        remove(&whole).unwrap();
        assert!(!whole.exists() && !replaced.exists());
        remove_half_written(&directory.path().join("none")).unwrap();
    }

    #[test]
    fn a_damaged_record_is_an_error_that_names_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bad.json");
        fs::write(&path, "{").unwrap();
        assert!(load::<VmRecord>(&path).unwrap_err().to_string().contains("bad.json"));
    }
}
