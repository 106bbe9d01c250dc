//! Bringing an image into the image store from another storage: another store's image, or a volume that is offered.

use std::{fs::File, sync::Arc};

use gantry_common::agent::{AgentError, Call, DigestAlgorithm, ExpectedDigest, FetchImage, FetchedImage};
use rustls::ClientConfig;

use super::{
    delta::{self, Traffic},
    digest::{Digests, require_well_formed},
    format::inspect,
    local,
    record::{Record, facts, mark_store},
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
    let (sink, leftovers) = match blocking(move || begin(&target, &asked, operation)).await? {
        Found::Image(fetched) => return Ok(fetched),
        Found::Nothing(sink, leftovers) => (*sink, leftovers),
    };
    let (arrived, traffic) = bring(&peers, &command, sink, leftovers, &call).await?;
    arrived.digests.verify(&command.source_path, &digest)?;
    let inspected =
        call.cancelled.run_until_cancelled(inspect(arrived.part.path(), &command.source_path, command.format));
    let size_bytes = inspected.await.ok_or(AgentError::Cancelled)??;
    let facts = facts(&arrived, size_bytes, command.format);
    let record = Record { image: command.image, source: command.source_path, digest: Some(digest), facts };
    let facts = record.commit(arrived, call.operation).await?;
    let Traffic { received_bytes, reused_bytes } = traffic;
    tracing::info!(image = %command.image, received_bytes, reused_bytes, "an image was fetched");
    Ok(FetchedImage { facts, received_bytes, reused_bytes })
}

fn begin(
    target: &StoragePath,
    asked: &FetchImage,
    operation: gantry_common::id::OperationId,
) -> Result<Found, AgentError> {
    if let Some(record) = Record::of(target)? {
        remove_parts(target)?;
        return same(record, asked, target).map(Found::Image);
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

/// The image that is there already, provided it is the one that is asked for.
fn same(record: Record, asked: &FetchImage, target: &StoragePath) -> Result<FetchedImage, AgentError> {
    let facts = record.facts;
    if record.image == asked.image && facts.md5.eq_ignore_ascii_case(&asked.md5) && facts.format == asked.format {
        let reused_bytes = facts.actual_bytes;
        return Ok(FetchedImage { facts, received_bytes: 0, reused_bytes });
    }
    let remedy = format!(
        "image {} (MD5 {}) is there and image {} (MD5 {}) is asked for; delete it first or use another path",
        record.image, facts.md5, asked.image, asked.md5
    );
    Err(AgentError::invalid("path", target.as_path().display(), remedy))
}
