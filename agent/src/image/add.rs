//! Adding an image to the image store.

use gantry_common::agent::{AddImage, AgentError, Call, ImageFacts};

use super::{
    digest::{Digests, require_well_formed},
    download::{Remote, download},
    format::inspect,
    local,
    record::{Record, facts, mark_store},
    sink::{Arrived, Sink, Writer},
    source::{Source, open_public_file},
};
use crate::storage::{PartFile, PathLocks, StorageRoot, blocking, remove_parts};

/// See [`super::Images::add_image`].
pub(crate) async fn add(
    http: reqwest::Client,
    locks: PathLocks,
    call: Call,
    command: AddImage,
) -> Result<ImageFacts, AgentError> {
    let source = Source::parse(&command.url)?;
    if let Some(digest) = &command.digest {
        require_well_formed("digest", digest)?;
    }
    let (root, path) = (command.root.clone(), command.path.clone());
    let target = blocking(move || {
        let root = StorageRoot::parse("root", &root)?;
        root.require()?;
        root.below("path", &path)
    })
    .await?;
    let _alone = locks.exclusive(&call, target.as_path()).await?;

    let (asked, name) = (command.clone(), source.public());
    let (operation, digest) = (call.operation, command.digest.clone());
    let sink = blocking(move || {
        if let Some(record) = Record::of(&target)? {
            remove_parts(&target)?;
            return same(record, &asked, &name, target.as_path()).map(Err);
        }
        mark_store(target.root())?;
        Ok(Ok(Sink::new(PartFile::create(&target, operation)?, Digests::for_expected(digest.as_ref())).in_chunks()))
    })
    .await?;
    let sink = match sink {
        Ok(sink) => sink,
        Err(facts) => return Ok(facts),
    };

    let arrived = fetch(http, &source, sink, &call).await?;
    let name = source.public();
    if let Some(digest) = &command.digest {
        arrived.digests.verify(&name, digest)?;
    }
    let inspected = call.cancelled.run_until_cancelled(inspect(arrived.part.path(), &name, command.format));
    let size_bytes = inspected.await.ok_or(AgentError::Cancelled)??;
    let facts = facts(&arrived, size_bytes, command.format);
    let record = Record { image: command.image, source: name, digest: command.digest, facts };
    record.commit(arrived, call.operation).await
}

async fn fetch(http: reqwest::Client, source: &Source, sink: Sink, call: &Call) -> Result<Arrived, AgentError> {
    match source {
        Source::Web(url) => {
            let remote = Remote { client: http, url: url.clone(), name: source.public() };
            fetch_remote(&remote, sink, call).await
        }
        Source::File(path) => {
            let (path, call) = (path.clone(), call.clone());
            blocking(move || local::copy(&open_public_file(&path)?, sink, &call)).await
        }
    }
}

/// Downloads `remote` into `sink`. When this returns an error, what had arrived is gone.
pub(crate) async fn fetch_remote(remote: &Remote, sink: Sink, call: &Call) -> Result<Arrived, AgentError> {
    let target = sink.part().target().clone();
    let mut writer = Writer::new(sink);
    let downloaded = call.cancelled.run_until_cancelled(download(remote, &target, &mut writer, call)).await;
    match downloaded {
        Some(Ok(())) => writer.finish().await,
        Some(Err(error)) => {
            writer.abandon().await;
            Err(error)
        }
        None => {
            writer.abandon().await;
            Err(AgentError::Cancelled)
        }
    }
}

/// The facts of the image that is there already, provided it is the one that is asked for.
fn same(record: Record, asked: &AddImage, source: &str, path: &std::path::Path) -> Result<ImageFacts, AgentError> {
    let fits = record.image == asked.image
        && record.source == source
        && record.facts.format == asked.format
        && record.digest == asked.digest;
    if fits {
        return Ok(record.facts);
    }
    let remedy = format!(
        "image {} from {} is there and image {} from {source} is asked for; delete it first or use another path",
        record.image, record.source, asked.image
    );
    Err(AgentError::invalid("path", path.display(), remedy))
}
