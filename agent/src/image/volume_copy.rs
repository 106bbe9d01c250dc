//! Copying a volume that another storage offers, of this host or of a peer, by the way images come.

use std::{fs::File, path::Path, sync::Arc};

use gantry_common::agent::{AgentError, Call, CopyVolume, DigestAlgorithm, ExpectedDigest, Peer, VolumeSize};
use rustls::ClientConfig;

use super::{
    add::fetch_remote,
    digest::{Digests, require_well_formed},
    local, peer,
    qcow2::Header,
    sink::{Arrived, Sink},
    source::open_regular,
};
use crate::{
    storage::{
        PartFile, PathLocks, QemuImg, StoragePath, StorageRoot, backing_format, blocking, measure_volume,
        remove_if_there,
    },
    vm::nvram_path,
};

/// See [`super::Images::copy_volume`].
pub(crate) async fn copy(
    peers: Arc<ClientConfig>,
    locks: PathLocks,
    call: Call,
    command: CopyVolume,
) -> Result<VolumeSize, AgentError> {
    let expected = digest(&command.md5);
    require_well_formed("md5", &expected)?;
    let asked = command.clone();
    let (target, nvram, backing) = blocking(move || {
        let root = StorageRoot::existing(&asked.root)?;
        let target = root.below("path", &asked.path)?;
        let nvram = root.below("path", &nvram_path(&asked.path).to_string_lossy())?;
        let backing = asked.backing_path.map(|path| root.below("backing_path", &path)).transpose()?;
        Ok((target, nvram, backing))
    })
    .await?;
    let _alone = locks.exclusive(&call, target.as_path()).await?;
    // Against the image's eviction, until the copy is seen to stand on it.
    let _shared = match &backing {
        Some(path) => Some(locks.shared(&call, path.as_path()).await?),
        None => None,
    };
    match measure_volume(&target).await {
        Err(AgentError::NotFound { .. }) => {}
        // It is in its place only when it is whole.
        found => return found,
    }
    let arrived = fetch(&peers, &command, &command.source_path, target, &call).await?;
    arrived.digests.verify(&command.source_path, &expected)?;
    let size = put_on(&arrived.part, backing).await?;
    // The variables after the volume, whose leftovers their name would pass for, and into their place before it.
    let variables = match &command.nvram_md5 {
        Some(md5) => {
            let source = nvram_path(&command.source_path).to_string_lossy().into_owned();
            let arrived = fetch(&peers, &command, &source, nvram.clone(), &call).await?;
            arrived.digests.verify(&source, &digest(md5))?;
            Some(arrived.part)
        }
        None => None,
    };
    blocking(move || {
        variables.map_or(Ok(()), PartFile::commit)?;
        arrived.part.commit().inspect_err(|_| {
            // The first error is the one to tell; what cannot be removed now goes with the volume's deletion.
            let _ = remove_if_there(nvram.as_path());
        })
    })
    .await?;
    Ok(size)
}

fn digest(md5: &str) -> ExpectedDigest {
    ExpectedDigest { algorithm: DigestAlgorithm::Md5, hex: md5.to_owned() }
}

async fn fetch(
    peers: &ClientConfig,
    command: &CopyVolume,
    source_path: &str,
    target: StoragePath,
    call: &Call,
) -> Result<Arrived, AgentError> {
    let operation = call.operation;
    let part = blocking(move || PartFile::create(&target, operation)).await?;
    let sink = Sink::new(part, Digests::for_expected(None));
    match &command.peer {
        Some(peer) => from_peer(peers, peer, source_path, sink, call).await,
        None => {
            let (root, path, call) = (command.source_root.clone(), source_path.to_owned(), call.clone());
            blocking(move || {
                let source = StorageRoot::parse("source_root", &root)?.below("source_path", &path)?;
                local::copy(&open_regular(source.as_path())?, sink, &call)
            })
            .await
        }
    }
}

async fn from_peer(
    peers: &ClientConfig,
    peer: &Peer,
    source_path: &str,
    sink: Sink,
    call: &Call,
) -> Result<Arrived, AgentError> {
    let remote = call.cancelled.run_until_cancelled(peer::remote(peers, peer, source_path));
    let remote = remote.await.ok_or(AgentError::Cancelled)??;
    fetch_remote(&remote, sink, call).await
}

/// Has the copy stand on what it is to stand on here, and measures it.
async fn put_on(part: &PartFile, backing: Option<StoragePath>) -> Result<VolumeSize, AgentError> {
    let path = part.path().to_owned();
    let found = blocking(move || backing_of(&path)).await?;
    match (found, &backing) {
        (None, None) => {}
        (Some(found), Some(wanted)) if Path::new(&found) == wanted.as_path() => {}
        (Some(_), Some(wanted)) => {
            let image = wanted.as_path().to_owned();
            let format = blocking(move || backing_format(&image)).await?;
            QemuImg::rebase(part.path(), wanted.as_path(), format).await?;
        }
        (found, wanted) => {
            let on = |path: Option<String>| path.unwrap_or_else(|| "no backing file".into());
            let wanted = wanted.as_ref().map(|path| path.as_path().display().to_string());
            let reason = format!("it stands on {} and should stand on {}", on(found), on(wanted));
            return Err(AgentError::Corrupt { what: part.target().as_path().display().to_string(), reason });
        }
    }
    QemuImg::info(part.path(), "qcow2").await.map(VolumeSize::from)
}

fn backing_of(path: &Path) -> Result<Option<String>, AgentError> {
    let failed = |error: std::io::Error| AgentError::file(path, error);
    let header = Header::read(&File::open(path).map_err(failed)?).map_err(failed)?;
    let header = header.ok_or_else(|| AgentError::file(path, "is no qcow2 volume"))?;
    Ok(header.backing.map(|backing| backing.display().to_string()))
}
