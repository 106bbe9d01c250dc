//! Files that appear whole or not at all.

use std::{
    ffi::OsStr,
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, ErrorKind},
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use gantry_common::{agent::AgentError, id::OperationId};
use nix::fcntl::OFlag;

use super::{
    path::{PART_SUFFIX, StoragePath},
    space::file_error,
};

/// QEMU, which runs as a user of its own, must be able to pass through the directories.
const DIRECTORY_MODE: u32 = 0o755;
/// libvirt gives a volume or image to QEMU's user when a VM needs it; nobody else may read a guest's data.
const FILE_MODE: u32 = 0o600;
/// How often a directory may vanish, because a neighbour was deleted, between making it and using it.
const DIRECTORY_ATTEMPTS: usize = 1000;

/// A file being made beside the path it is meant for. Dropped before [`PartFile::commit`], it is gone, and so are the
/// directories that were made for it.
#[derive(Debug)]
pub(crate) struct PartFile {
    target: StoragePath,
    path: PathBuf,
    file: File,
    committed: bool,
}

impl PartFile {
    /// Makes an empty file for `target`, with its directories. Whatever earlier attempts left behind is removed: the caller
    /// holds the lock on `target`.
    pub(crate) fn create(target: &StoragePath, operation: OperationId) -> Result<Self, AgentError> {
        remove_parts(target)?;
        let path = target.beside(&format!(".{operation}{PART_SUFFIX}"));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(FILE_MODE);
        let mut attempt = 1;
        let file = loop {
            let opened = make_directories(target.parent()).and_then(|()| options.open(&path));
            match opened {
                Ok(file) => break file,
                Err(error) if error.kind() == ErrorKind::NotFound && attempt < DIRECTORY_ATTEMPTS => attempt += 1,
                Err(error) => {
                    remove_empty_directories(target);
                    return Err(file_error(&path, 1, &error));
                }
            }
        };
        Ok(Self { target: target.clone(), path, file, committed: false })
    }

    /// Where the file is now.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where it will be.
    pub(crate) fn target(&self) -> &StoragePath {
        &self.target
    }

    /// The open file.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Makes the file read-only, for everyone.
    pub(crate) fn seal(&self) -> Result<(), AgentError> {
        self.file.set_permissions(Permissions::from_mode(0o400)).map_err(|error| AgentError::file(&self.path, error))
    }

    /// Flushes the file and puts it in its place. After this returns, a power cut does not take it away.
    pub(crate) fn commit(mut self) -> Result<(), AgentError> {
        let target = self.target.as_path();
        self.file.sync_all().map_err(|error| file_error(target, 1, &error))?;
        fs::rename(&self.path, target).map_err(|error| file_error(target, 1, &error))?;
        self.committed = true;
        sync_directories(&self.target)
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.committed {
            if let Err(error) = fs::remove_file(&self.path) {
                tracing::warn!(path = %self.path.display(), %error, "cannot remove an unfinished file");
            }
            remove_empty_directories(&self.target);
        }
    }
}

/// Deletes the file at `target`, the agent's files beside it, and the directories up to the root that are empty then.
pub(crate) fn delete_with_parts(target: &StoragePath) -> Result<(), AgentError> {
    remove_if_there(target.as_path())?;
    remove_parts(target)?;
    remove_empty_directories(target);
    sync_directories(target)
}

/// Removes the unfinished files of earlier attempts at `target`.
pub(crate) fn remove_parts(target: &StoragePath) -> Result<(), AgentError> {
    parts(target)?.iter().try_for_each(|part| remove_if_there(part))
}

/// Opens the unfinished files of earlier attempts at `target`, which hold what these had got before they were killed.
pub(crate) fn open_parts(target: &StoragePath) -> Result<Vec<File>, AgentError> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(OFlag::O_NOFOLLOW.bits());
    // One that cannot be opened is no help.
    Ok(parts(target)?.iter().filter_map(|part| options.open(part).ok()).collect())
}

fn parts(target: &StoragePath) -> Result<Vec<PathBuf>, AgentError> {
    let directory = target.parent();
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(AgentError::file(directory, error)),
    };
    let name = target.as_path().file_name().unwrap_or_default();
    let mut parts = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| AgentError::file(directory, error))?;
        if is_part_of(&entry.file_name(), name) {
            parts.push(entry.path());
        }
    }
    Ok(parts)
}

fn is_part_of(candidate: &OsStr, name: &OsStr) -> bool {
    candidate
        .as_bytes()
        .strip_prefix(name.as_bytes())
        .is_some_and(|rest| rest.starts_with(b".") && rest.ends_with(PART_SUFFIX.as_bytes()))
}

/// Removes a file; one that is not there is a success. A symbolic link is removed, not followed.
pub(crate) fn remove_if_there(path: &Path) -> Result<(), AgentError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(AgentError::file(path, error)),
        _ => Ok(()),
    }
}

/// Flushes the directories from `target`'s up to the root, as far as they exist.
pub(crate) fn sync_directories(target: &StoragePath) -> Result<(), AgentError> {
    for directory in target.parent().ancestors().take_while(|directory| directory.starts_with(target.root())) {
        match File::open(directory).and_then(|directory| directory.sync_all()) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(AgentError::file(directory, error)),
            _ => (),
        }
    }
    Ok(())
}

/// Makes `path` and the directories above it that are missing.
pub(crate) fn make_directories(path: &Path) -> io::Result<()> {
    let missing: Vec<_> = path.ancestors().take_while(|directory| !directory.exists()).collect();
    for directory in missing.into_iter().rev() {
        match DirBuilder::new().mode(DIRECTORY_MODE).create(directory) {
            // The umask may have taken bits away.
            Ok(()) => fs::set_permissions(directory, Permissions::from_mode(DIRECTORY_MODE))?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => (),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn remove_empty_directories(target: &StoragePath) {
    for directory in target.parent().ancestors().take_while(|directory| *directory != target.root()) {
        match fs::remove_dir(directory) {
            Err(error) if error.kind() != ErrorKind::NotFound => return,
            _ => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, thread};

    use super::*;
    use crate::storage::StorageRoot;

    fn below(root: &Path, name: &str) -> StoragePath {
        StorageRoot::parse("root", root.to_str().unwrap())
            .unwrap()
            .below("path", root.join(name).to_str().unwrap())
            .unwrap()
    }

    #[test]
    fn a_dropped_part_leaves_nothing_and_a_committed_one_is_whole() {
        let root = tempfile::tempdir().unwrap();
        let target = below(root.path(), "a/b/file");
        drop(PartFile::create(&target, OperationId::random()).unwrap());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);

        let part = PartFile::create(&target, OperationId::random()).unwrap();
        part.file().write_all(b"content").unwrap();
        assert!(!target.as_path().exists());
        part.commit().unwrap();
        assert_eq!(fs::read(target.as_path()).unwrap(), b"content");
        assert_eq!(fs::read_dir(target.parent()).unwrap().count(), 1);
        assert_eq!(fs::metadata(target.as_path()).unwrap().permissions().mode() & 0o777, FILE_MODE);
    }

    #[test]
    fn deletion_takes_parts_and_empty_directories_and_nothing_of_a_neighbour() {
        let root = tempfile::tempdir().unwrap();
        let target = below(root.path(), "acct/vol/v.qcow2");
        fs::create_dir_all(target.parent()).unwrap();
        for name in ["v.qcow2", "v.qcow2.0a.part", "v.qcow2.0a.json.part"] {
            fs::write(target.parent().join(name), "x").unwrap();
        }
        fs::write(root.path().join("acct/v.qcow2x.part"), "neighbour").unwrap();
        delete_with_parts(&target).unwrap();
        assert!(!target.parent().exists());
        assert!(root.path().join("acct/v.qcow2x.part").exists());

        fs::remove_file(root.path().join("acct/v.qcow2x.part")).unwrap();
        delete_with_parts(&target).unwrap();
        assert!(!root.path().join("acct").exists() && root.path().exists());
    }

    #[test]
    fn parts_of_similar_names_are_not_taken_for_ones_own() {
        for (candidate, expected) in [
            ("v.qcow2.1.part", true),
            ("v.qcow2.part", true),
            ("v.qcow2", false),
            ("v.qcow2x.1.part", false),
            ("v.qcow2.json", false),
        ] {
            assert_eq!(is_part_of(OsStr::new(candidate), OsStr::new("v.qcow2")), expected, "{candidate}");
        }
    }

    #[test]
    fn neighbours_that_come_and_go_do_not_disturb_each_other() {
        let root = tempfile::tempdir().unwrap();
        thread::scope(|scope| {
            for worker in 0..4 {
                let root = root.path();
                scope.spawn(move || {
                    for _ in 0..200 {
                        let target = below(root, &format!("acct/vol-{worker}/file"));
                        PartFile::create(&target, OperationId::random()).unwrap().commit().unwrap();
                        delete_with_parts(&target).unwrap();
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
