//! qcow2 volumes.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read},
    path::Path,
};

use gantry_common::{
    agent::{AgentError, Call, CreateVolume, ResizeVolume, VolumeSize},
    id::OperationId,
};

use super::{
    blocking::blocking,
    locks::PathLocks,
    part::{PartFile, remove_parts},
    path::{StoragePath, StorageRoot},
    qemu_img::{QemuImg, ran_out_of_space},
    space::{no_space, require_bytes},
};

/// The largest qcow2 with 64 KiB clusters: its first table may take 32 MiB.
/// Source: `QCOW_MAX_L1_SIZE` in QEMU's `block/qcow2.h`.
const MAX_SIZE_BYTES: u64 = 2 << 50;
const SECTOR_BYTES: u64 = 512;
const QCOW2_MAGIC: &[u8] = b"QFI\xfb";
/// An empty qcow2 takes four clusters of 64 KiB and its first table, 8 bytes for every 512 MiB.
const EMPTY_QCOW2_BYTES: u64 = 256 << 10;
const BYTES_PER_TABLE_ENTRY: u64 = 512 << 20;

/// What a volume stands on.
struct Backing {
    path: StoragePath,
    format: &'static str,
    virtual_bytes: u64,
}

/// See [`super::Storages::create_volume`].
pub(crate) async fn create(locks: PathLocks, call: Call, command: CreateVolume) -> Result<VolumeSize, AgentError> {
    let asked_bytes = asked_bytes(command.size_bytes, command.backing_path.is_some())?;
    let (target, backing) = blocking(move || {
        let root = StorageRoot::existing(&command.root)?;
        let target = root.below("path", &command.path)?;
        let backing = command.backing_path.map(|path| root.below("backing_path", &path)).transpose()?;
        if backing.as_ref() == Some(&target) {
            let remedy = "a volume cannot stand on itself; name the image's path";
            return Err(AgentError::invalid("backing_path", target.as_path().display(), remedy));
        }
        Ok((target, backing))
    })
    .await?;

    let _alone = locks.exclusive(&call, target.as_path()).await?;
    // Shared with every volume that is made on the same image, against the image's eviction.
    let _shared = match &backing {
        Some(path) => Some(locks.shared(&call, path.as_path()).await?),
        None => None,
    };
    let backing = match backing {
        Some(path) => Some(measure_backing(path).await?),
        None => None,
    };
    let size_bytes = asked_bytes.max(backing.as_ref().map_or(0, |backing| backing.virtual_bytes));
    match existing(&target, size_bytes, backing.as_ref()).await? {
        Some(size) => Ok(size),
        None => make(target, size_bytes, backing.as_ref(), call.operation).await,
    }
}

/// See [`super::Storages::resize_volume`].
pub(crate) async fn resize(locks: PathLocks, call: Call, command: ResizeVolume) -> Result<(), AgentError> {
    let wanted_bytes = asked_bytes(command.size_bytes, false)?;
    let path = StoragePath::prove(command.root, command.path).await?;
    let _alone = locks.exclusive(&call, path.as_path()).await?;
    let now_bytes = measure(&path).await?.size_bytes;
    if wanted_bytes < now_bytes {
        return Err(smaller_than_it_is(command.size_bytes, now_bytes));
    }
    if wanted_bytes == now_bytes {
        return Ok(());
    }
    let needed_bytes = wanted_bytes / BYTES_PER_TABLE_ENTRY * 8;
    QemuImg::resize(path.as_path(), wanted_bytes)
        .await
        .map_err(|error| if ran_out_of_space(&error) { no_space(path.as_path(), needed_bytes) } else { error })
}

/// Volumes only grow: what would be cut off may be a file system's.
pub(crate) fn smaller_than_it_is(asked_bytes: u64, now_bytes: u64) -> AgentError {
    AgentError::invalid(
        "size_bytes",
        asked_bytes,
        format!("the volume has {now_bytes} bytes and cannot become smaller"),
    )
}

/// The size and the space on disk of the volume at `path`.
pub(crate) async fn measure(path: &StoragePath) -> Result<VolumeSize, AgentError> {
    let file = path.clone();
    if !blocking(move || is_there(file.as_path())).await? {
        return Err(AgentError::NotFound { what: "volume".into(), name: path.as_path().display().to_string() });
    }
    QemuImg::info(path.as_path(), "qcow2").await.map(VolumeSize::from)
}

impl From<QemuImg> for VolumeSize {
    fn from(info: QemuImg) -> Self {
        Self { size_bytes: info.virtual_bytes, actual_bytes: info.actual_bytes }
    }
}

/// The size that a volume gets which is asked for with `size_bytes`: whole sectors.
pub(crate) fn asked_bytes(size_bytes: u64, has_backing: bool) -> Result<u64, AgentError> {
    if size_bytes > MAX_SIZE_BYTES {
        return Err(AgentError::invalid("size_bytes", size_bytes, format!("use at most {MAX_SIZE_BYTES} (2 PiB)")));
    }
    if size_bytes == 0 && !has_backing {
        return Err(AgentError::invalid("size_bytes", size_bytes, "a volume without a backing file needs a size"));
    }
    Ok(size_bytes.next_multiple_of(SECTOR_BYTES))
}

async fn measure_backing(path: StoragePath) -> Result<Backing, AgentError> {
    let file = path.clone();
    let format = blocking(move || backing_format(file.as_path())).await?;
    let info = QemuImg::info(path.as_path(), format).await?;
    Ok(Backing { path, format, virtual_bytes: info.virtual_bytes })
}

/// The format of a backing file. Its first bytes can be believed: no guest writes to a backing file, and a raw image that
/// starts like another format is refused when it is added.
pub(crate) fn backing_format(path: &Path) -> Result<&'static str, AgentError> {
    let mut magic = [0; QCOW2_MAGIC.len()];
    match File::open(path).and_then(|mut file| file.read_exact(&mut magic)) {
        Ok(()) if magic == QCOW2_MAGIC => Ok("qcow2"),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(AgentError::NotFound { what: "backing file".into(), name: path.display().to_string() })
        }
        Err(error) if error.kind() != ErrorKind::UnexpectedEof => Err(AgentError::file(path, error)),
        _ => Ok("raw"),
    }
}

fn is_there(path: &Path) -> Result<bool, AgentError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(true),
        Ok(_) => Err(AgentError::file(path, "is not a regular file; move it away")),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(AgentError::file(path, error)),
    }
}

/// The volume that is at `target` already, provided it is the one that is asked for.
async fn existing(
    target: &StoragePath,
    size_bytes: u64,
    backing: Option<&Backing>,
) -> Result<Option<VolumeSize>, AgentError> {
    let path = target.clone();
    let found = blocking(move || {
        let found = is_there(path.as_path())?;
        if found {
            remove_parts(&path)?;
        }
        Ok(found)
    })
    .await?;
    if !found {
        return Ok(None);
    }
    let info = QemuImg::info(target.as_path(), "qcow2").await?;
    let wanted = backing.map(|backing| backing.path.as_path());
    if info.virtual_bytes == size_bytes && info.backing.as_deref().map(Path::new) == wanted {
        return Ok(Some(info.into()));
    }
    let on = |backing: Option<&Path>| backing.map_or("no backing file".to_owned(), |path| path.display().to_string());
    let remedy = format!(
        "a volume of {} bytes on {} is there and one of {size_bytes} bytes on {} is asked for; delete it first or use another path",
        info.virtual_bytes,
        on(info.backing.as_deref().map(Path::new)),
        on(wanted),
    );
    Err(AgentError::invalid("path", target.as_path().display(), remedy))
}

async fn make(
    target: StoragePath,
    size_bytes: u64,
    backing: Option<&Backing>,
    operation: OperationId,
) -> Result<VolumeSize, AgentError> {
    let needed_bytes = EMPTY_QCOW2_BYTES + size_bytes / BYTES_PER_TABLE_ENTRY * 8;
    let part = blocking(move || {
        require_bytes(target.root(), needed_bytes)?;
        PartFile::create(&target, operation)
    })
    .await?;
    let backing = backing.map(|backing| (backing.path.as_path(), backing.format));
    QemuImg::create(part.path(), size_bytes, backing).await.map_err(|error| {
        if ran_out_of_space(&error) { no_space(part.target().as_path(), needed_bytes) } else { error }
    })?;
    let size = QemuImg::info(part.path(), "qcow2").await?;
    blocking(move || part.commit()).await?;
    Ok(size.into())
}
