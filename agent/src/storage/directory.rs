//! A storage's directory: made, proven writable, measured.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use gantry_common::agent::{AgentError, StorageCapacity};
use nix::{
    fcntl::OFlag,
    unistd::{Uid, User},
};

use super::{
    part::{make_directories, remove_if_there},
    path::StorageRoot,
    space::{capacity, file_error},
};

/// One name, so that the file of a killed probe is taken up by the next one.
const PROBE: &str = ".gantry-probe";
/// The users QEMU runs as, on Debian's and on Red Hat's distributions.
const QEMU_USERS: &[&str] = &["libvirt-qemu", "qemu"];

/// Makes the directory if need be, proves that it can be written and that QEMU can reach it, and measures it.
pub(crate) fn open(root: &StorageRoot) -> Result<StorageCapacity, AgentError> {
    if let Some(user) = QEMU_USERS.iter().find_map(|name| User::from_name(name).ok().flatten()) {
        // Before anything is made: what is made can be passed through.
        let existing = root.as_path().ancestors().find(|directory| directory.is_dir()).unwrap_or(root.as_path());
        require_passable(root, existing, &user.name, user.uid)?;
    }
    make_directories(root.as_path()).map_err(|error| file_error(root.as_path(), 1, &error))?;
    // Only now is it known where the root's symbolic links lead.
    let root = StorageRoot::existing(&root.as_path().to_string_lossy())?;
    probe(root.as_path()).map_err(|error| file_error(root.as_path(), 1, &error))?;
    capacity(root.as_path())
}

fn require_passable(root: &StorageRoot, existing: &Path, user_name: &str, user: Uid) -> Result<(), AgentError> {
    let Some(directory) = impassable(existing, user)? else {
        return Ok(());
    };
    let directory = directory.display();
    let remedy = format!(
        "QEMU's user {user_name} cannot pass through {directory}; run `chmod o+x {directory}` or use another path"
    );
    Err(AgentError::invalid("root", root.as_path().display(), remedy))
}

fn probe(root: &Path) -> io::Result<()> {
    let path = root.join(PROBE);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(&path)?;
    // Removed before the outcome is looked at: a full disk must not keep the probe.
    let written = file.write_all(b"gantry").and_then(|()| file.sync_all());
    let removed = remove_if_there(&path).map_err(io::Error::other);
    written.and(removed)?;
    File::open(root)?.sync_all()
}

/// The first directory on the way to `path` that the user certainly cannot pass through. Access for a group may hold for
/// the user, by membership or by an access list, and counts as passable.
fn impassable(path: &Path, user: Uid) -> Result<Option<PathBuf>, AgentError> {
    let real = fs::canonicalize(path).map_err(|error| AgentError::file(path, error))?;
    let mut directories: Vec<_> = real.ancestors().collect();
    directories.reverse();
    for directory in directories {
        let metadata = fs::metadata(directory).map_err(|error| AgentError::file(directory, error))?;
        let passable =
            metadata.mode() & 0o011 != 0 || (metadata.uid() == user.as_raw() && metadata.mode() & 0o100 != 0);
        if !passable {
            return Ok(Some(directory.to_owned()));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn a_directory_only_its_owner_may_enter_is_reported_as_impassable_for_others() {
        let private = tempfile::tempdir().unwrap();
        let inner = private.path().join("inner");
        fs::create_dir(&inner).unwrap();
        fs::set_permissions(private.path(), Permissions::from_mode(0o700)).unwrap();
        let owner = Uid::from_raw(fs::metadata(private.path()).unwrap().uid());
        assert_eq!(impassable(&inner, Uid::from_raw(64055)).unwrap(), Some(private.path().canonicalize().unwrap()));
        assert_eq!(impassable(&inner, owner).unwrap(), None);
        let root = StorageRoot::parse("root", inner.to_str().unwrap()).unwrap();
        let error = require_passable(&root, &inner, "libvirt-qemu", Uid::from_raw(64055)).unwrap_err().to_string();
        assert!(error.contains(&format!("chmod o+x {}`", private.path().canonicalize().unwrap().display())), "{error}");
        fs::set_permissions(private.path(), Permissions::from_mode(0o711)).unwrap();
        assert_eq!(impassable(&inner, Uid::from_raw(64055)).unwrap(), None);
    }

    #[test]
    fn opening_makes_the_directory_and_leaves_no_probe_in_it() {
        let parent = tempfile::tempdir().unwrap();
        fs::set_permissions(parent.path(), Permissions::from_mode(0o755)).unwrap();
        let path = parent.path().join("deep/storage");
        let root = StorageRoot::parse("root", path.to_str().unwrap()).unwrap();
        let first = open(&root).unwrap();
        assert!(first.total_bytes >= first.available_bytes && first.available_bytes > 0);
        fs::write(path.join(PROBE), "left by a killed agent").unwrap();
        open(&root).unwrap();
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o755);
    }

    #[test]
    fn a_file_in_the_place_of_the_directory_is_named() {
        let parent = tempfile::tempdir().unwrap();
        fs::set_permissions(parent.path(), Permissions::from_mode(0o755)).unwrap();
        let path = parent.path().join("storage");
        fs::write(&path, "a file").unwrap();
        let root = StorageRoot::parse("root", path.to_str().unwrap()).unwrap();
        assert!(
            matches!(open(&root).unwrap_err(), AgentError::File { path: named, .. } if named == path.to_str().unwrap())
        );
    }
}
