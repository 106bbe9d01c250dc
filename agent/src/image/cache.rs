//! Bringing an image into a primary storage's cache.

use std::sync::Arc;

use gantry_common::agent::{AgentError, CacheImage, Call, DigestAlgorithm, ExpectedDigest, ImageFacts, ImageFormat};
use rustls::ClientConfig;

use super::{
    add::fetch_remote,
    digest::{Digests, require_well_formed},
    format::inspect,
    local, peer,
    record::{Record, facts},
    sink::{Arrived, Sink},
    source::open_regular,
};
use crate::storage::{PartFile, PathLocks, StorageRoot, blocking, remove_parts};

/// See [`super::Images::cache_image`].
pub(crate) async fn cache(
    peers: Arc<ClientConfig>,
    locks: PathLocks,
    call: Call,
    command: CacheImage,
) -> Result<ImageFacts, AgentError> {
    let digest = ExpectedDigest { algorithm: DigestAlgorithm::Md5, hex: command.md5.clone() };
    require_well_formed("md5", &digest)?;
    let (root, path) = (command.root.clone(), command.path.clone());
    let target = blocking(move || {
        let root = StorageRoot::parse("root", &root)?;
        root.require()?;
        root.below("path", &path)
    })
    .await?;
    let _alone = locks.exclusive(&call, target.as_path()).await?;

    let (asked, operation) = (command.clone(), call.operation);
    let sink = blocking(move || {
        if let Some(record) = Record::of(&target)? {
            remove_parts(&target)?;
            return same(record, &asked, target.as_path()).map(Err);
        }
        Ok(Ok(Sink::new(PartFile::create(&target, operation)?, Digests::for_expected(None))))
    })
    .await?;
    let sink = match sink {
        Ok(sink) => sink,
        Err(facts) => return Ok(facts),
    };

    let arrived = fetch(&peers, &command, sink, &call).await?;
    arrived.digests.verify(&command.source_path, &digest)?;
    let inspected =
        call.cancelled.run_until_cancelled(inspect(arrived.part.path(), &command.source_path, command.format));
    let size_bytes = inspected.await.ok_or(AgentError::Cancelled)??;
    let facts = facts(&arrived, size_bytes, command.format);
    let record = Record { image: command.image, source: command.source_path, digest: Some(digest), facts };
    record.commit(arrived, call.operation).await
}

async fn fetch(peers: &ClientConfig, command: &CacheImage, sink: Sink, call: &Call) -> Result<Arrived, AgentError> {
    match &command.peer {
        Some(peer) => {
            let remote = call.cancelled.run_until_cancelled(peer::remote(peers, peer, &command.source_path));
            let remote = remote.await.ok_or(AgentError::Cancelled)??;
            fetch_remote(&remote, sink, call).await
        }
        None => {
            let (root, path, call) = (command.source_root.clone(), command.source_path.clone(), call.clone());
            blocking(move || {
                let source = StorageRoot::parse("source_root", &root)?.below("source_path", &path)?;
                if Record::of(&source)?.is_none() {
                    return Err(AgentError::NotFound { what: "image".into(), name: path });
                }
                local::copy(&open_regular(source.as_path())?, sink, &call)
            })
            .await
        }
    }
}

/// The facts of the image that is in the cache already, provided it is the one that is asked for.
fn same(record: Record, asked: &CacheImage, path: &std::path::Path) -> Result<ImageFacts, AgentError> {
    let of = |image, md5: &str, format: ImageFormat| format!("image {image} ({}, MD5 {md5})", format.as_str());
    let facts = record.facts;
    if record.image == asked.image && facts.md5.eq_ignore_ascii_case(&asked.md5) && facts.format == asked.format {
        return Ok(facts);
    }
    let remedy = format!(
        "{} is there and {} is asked for; evict it first or use another path",
        of(record.image, &facts.md5, facts.format),
        of(asked.image, &asked.md5, asked.format)
    );
    Err(AgentError::invalid("path", path.display(), remedy))
}
