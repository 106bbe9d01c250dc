//! Taking an image out of a primary storage's cache.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use gantry_common::agent::AgentError;
use nix::{
    fcntl::{FcntlArg, fcntl},
    libc,
};

use super::{qcow2::Header, record::delete_image, source::open_regular};
use crate::storage::{StoragePath, StorageRoot};

/// Deletes the image at `target` unless a volume below `root` stands on it or QEMU has it open.
pub(crate) fn evict(root: &StorageRoot, target: &StoragePath) -> Result<(), AgentError> {
    if target.as_path().exists() {
        let what = || target.as_path().display().to_string();
        if let Some(volume) = standing_on(root.as_path(), target.as_path())? {
            return Err(AgentError::InUse { what: what(), user: format!("volume {}", volume.display()) });
        }
        if is_open_in_qemu(target.as_path()).map_err(|error| AgentError::file(target.as_path(), error))? {
            return Err(AgentError::InUse { what: what(), user: "a running VM".into() });
        }
    }
    delete_image(target)
}

/// The first qcow2 file below `root` whose backing file is `image`.
fn standing_on(root: &Path, image: &Path) -> Result<Option<PathBuf>, AgentError> {
    let real_image = fs::canonicalize(image).map_err(|error| AgentError::file(image, error))?;
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(AgentError::file(directory, error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| AgentError::file(&directory, error))?;
            let path = entry.path();
            let kind = entry.file_type().map_err(|error| AgentError::file(&path, error))?;
            if kind.is_dir() {
                directories.push(path);
            } else if kind.is_file()
                && backing_of(&path)?.is_some_and(|backing| names(&path, &backing, image, &real_image))
            {
                return Ok(Some(path));
            }
        }
    }
    Ok(None)
}

/// What the file stands on, if it is a qcow2 image that stands on something.
///
/// # Errors
/// A damaged qcow2 is an error: what it stands on cannot be told.
fn backing_of(path: &Path) -> Result<Option<PathBuf>, AgentError> {
    let file = match open_regular(path) {
        Ok(file) => file,
        // A volume that is deleted meanwhile.
        Err(_) if !path.exists() => return Ok(None),
        Err(error) => return Err(error),
    };
    match Header::read(&file) {
        Ok(header) => Ok(header.and_then(|header| header.backing)),
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            let reason = format!("{error}, so what it stands on cannot be told; delete the volume or repair it");
            Err(AgentError::Corrupt { what: path.display().to_string(), reason })
        }
        Err(error) => Err(AgentError::file(path, error)),
    }
}

/// Whether `backing`, as the volume at `volume` writes it, is the image.
fn names(volume: &Path, backing: &Path, image: &Path, real_image: &Path) -> bool {
    // A relative name is relative to the volume; `join` keeps an absolute one.
    let resolved = volume.parent().unwrap_or(volume).join(backing);
    resolved == image
        || fs::canonicalize(&resolved).is_ok_and(|real| real == real_image)
        // Forms such as `json:{…}` hold the path somewhere.
        || backing.to_string_lossy().contains(&*image.to_string_lossy())
}

/// QEMU keeps shared locks on every image it has open, read-only ones and discs included. The lock is asked about and never
/// taken: a QEMU that opens the image at this moment would not get its own and fail (fcntl(2), F_OFD_GETLK).
pub(crate) fn is_open_in_qemu(image: &Path) -> io::Result<bool> {
    let file = File::open(image)?;
    let mut lock = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(&file, FcntlArg::F_OFD_GETLK(&mut lock))?;
    Ok(lock.l_type != libc::F_UNLCK as libc::c_short)
}
