//! Bringing an image into the image store from another storage: another store's image, or a volume that is offered.

use std::{fs::File, sync::Arc};

use gantry_common::{
    agent::{AgentError, Call, FetchImage, FetchedImage},
    id::OperationId,
};
use rustls::ClientConfig;

use super::{
    delta::{self, Traffic},
    digest::Digests,
    expected::Expected,
    local,
    record::{Record, mark_store},
    sink::{Arrived, Sink},
    source::open_regular,
};
use crate::storage::{PartFile, PathLocks, StoragePath, StorageRoot, blocking, open_parts, remove_parts};

/// What is at the target when the work begins.
enum Found {
    /// The image itself.
    Image(FetchedImage),
    /// Nothing; a place was made, and killed attempts may have left something to go on from.
    Nothing(Box<Sink>, Vec<File>),
}

/// See [`super::Images::fetch_image`].
pub(crate) async fn fetch(
    peers: Arc<ClientConfig>,
    locks: PathLocks,
    call: Call,
    command: FetchImage,
) -> Result<FetchedImage, AgentError> {
    let expected = Expected::stored(command.image, &command.source_path, &command.md5, command.format)?;
    let target = StoragePath::prove_below_existing(command.root.clone(), command.path.clone()).await?;
    let _alone = locks.exclusive(&call, target.as_path()).await?;
    let (asked, operation) = (expected.clone(), call.operation);
    let (sink, leftovers) = match blocking(move || begin(&target, &asked, operation)).await? {
        Found::Image(fetched) => return Ok(fetched),
        Found::Nothing(sink, leftovers) => (*sink, leftovers),
    };
    let (arrived, traffic) = bring(&peers, &command, sink, leftovers, &call).await?;
    let facts = expected.put_in_place(arrived, &call).await?;
    let Traffic { received_bytes, reused_bytes } = traffic;
    tracing::info!(image = %command.image, received_bytes, reused_bytes, "an image was fetched");
    Ok(FetchedImage { facts, received_bytes, reused_bytes })
}

fn begin(target: &StoragePath, asked: &Expected, operation: OperationId) -> Result<Found, AgentError> {
    if let Some(record) = Record::of(target)? {
        remove_parts(target)?;
        let facts = asked.require_content(record, target.as_path(), "delete")?;
        let reused_bytes = facts.actual_bytes;
        return Ok(Found::Image(FetchedImage { facts, received_bytes: 0, reused_bytes }));
    }
    mark_store(target.root())?;
    // Opened before they are removed: what is in them need not travel again.
    let leftovers = open_parts(target)?;
    let part = PartFile::create(target, operation)?;
    Ok(Found::Nothing(Box::new(Sink::new(part, Digests::for_expected(None)).in_chunks()), leftovers))
}

async fn bring(
    peers: &ClientConfig,
    command: &FetchImage,
    sink: Sink,
    leftovers: Vec<File>,
    call: &Call,
) -> Result<(Arrived, Traffic), AgentError> {
    let Some(peer) = &command.peer else {
        let (root, path, call) = (command.source_root.clone(), command.source_path.clone(), call.clone());
        let arrived = blocking(move || {
            let source = StorageRoot::parse("source_root", &root)?.below("source_path", &path)?;
            local::copy(&open_regular(source.as_path())?, sink, &call)
        });
        let arrived = arrived.await?;
        let traffic = Traffic { received_bytes: 0, reused_bytes: arrived.length };
        return Ok((arrived, traffic));
    };
    delta::fetch(peers, peer, command, sink, leftovers, call).await
}
