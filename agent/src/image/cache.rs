//! Bringing an image into a primary storage's cache.

use std::sync::Arc;

use gantry_common::agent::{AgentError, CacheImage, Call, ImageFacts};
use rustls::ClientConfig;

use super::{
    add::fetch_remote,
    digest::Digests,
    expected::Expected,
    local, peer,
    record::Record,
    sink::{Arrived, Sink},
    source::open_regular,
};
use crate::storage::{PartFile, PathLocks, StoragePath, StorageRoot, blocking, remove_parts};

/// See [`super::Images::cache_image`].
pub(crate) async fn cache(
    peers: Arc<ClientConfig>,
    locks: PathLocks,
    call: Call,
    command: CacheImage,
) -> Result<ImageFacts, AgentError> {
    let expected = Expected::stored(command.image, &command.source_path, &command.md5, command.format)?;
    let target = StoragePath::prove_below_existing(command.root.clone(), command.path.clone()).await?;
    let _alone = locks.exclusive(&call, target.as_path()).await?;

    let (asked, operation) = (expected.clone(), call.operation);
    let sink = blocking(move || {
        if let Some(record) = Record::of(&target)? {
            remove_parts(&target)?;
            return asked.require_content(record, target.as_path(), "evict").map(Err);
        }
        Ok(Ok(Sink::new(PartFile::create(&target, operation)?, Digests::for_expected(None))))
    })
    .await?;
    let sink = match sink {
        Ok(sink) => sink,
        Err(facts) => return Ok(facts),
    };

    let arrived = fetch(&peers, &command, sink, &call).await?;
    expected.put_in_place(arrived, &call).await
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
