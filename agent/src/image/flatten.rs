//! A self-contained copy of a volume: what an image is made from.

use gantry_common::agent::{AgentError, Call, FlattenVolume, VolumeSize};

use super::evict::is_open_in_qemu;
use crate::storage::{
    PartFile, PathLocks, QemuImg, StorageRoot, blocking, measure_volume, no_space, ran_out_of_space, remove_parts,
    require_bytes,
};

/// See [`super::Images::flatten_volume`].
pub(crate) async fn flatten(locks: PathLocks, call: Call, command: FlattenVolume) -> Result<VolumeSize, AgentError> {
    let (source, target) = blocking(move || {
        let root = StorageRoot::existing(&command.root)?;
        Ok((root.below("source_path", &command.source_path)?, root.below("path", &command.path)?))
    })
    .await?;
    if source == target {
        return Err(AgentError::invalid("path", target.as_path().display(), "it is the volume itself"));
    }
    let _alone = locks.exclusive(&call, target.as_path()).await?;
    // Against the volume's deletion.
    let _shared = locks.shared(&call, source.as_path()).await?;
    match measure_volume(&target).await {
        Err(AgentError::NotFound { .. }) => {}
        found => {
            // It is in its place only when it is whole.
            blocking(move || remove_parts(&target)).await?;
            return found;
        }
    }
    measure_volume(&source).await?;
    let path = source.as_path().to_owned();
    blocking(move || match is_open_in_qemu(&path).map_err(|error| AgentError::file(&path, error))? {
        true => Err(AgentError::InUse { what: path.display().to_string(), user: "a running VM".into() }),
        false => Ok(()),
    })
    .await?;
    let needed_bytes = QemuImg::flat_bytes(source.as_path()).await?;
    let operation = call.operation;
    let part = blocking(move || {
        require_bytes(target.root(), needed_bytes)?;
        PartFile::create(&target, operation)
    })
    .await?;
    let converting = QemuImg::convert(source.as_path(), part.path(), |percent| {
        call.report((percent / 100.0 * needed_bytes as f64) as u64, Some(needed_bytes));
    });
    let converted = call.cancelled.run_until_cancelled(converting).await.ok_or(AgentError::Cancelled)?;
    converted.map_err(|error| {
        if ran_out_of_space(&error) { no_space(part.target().as_path(), needed_bytes) } else { error }
    })?;
    let size = QemuImg::info(part.path(), "qcow2").await?;
    blocking(move || part.commit()).await?;
    Ok(size.into())
}
