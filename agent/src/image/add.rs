//! Adding an image to the image store.

use gantry_common::agent::{AddImage, AgentError, Call, ImageFacts};

use super::{
    digest::{Digests, require_well_formed},
    download::{Remote, download},
    expected::Expected,
    local,
    record::{Record, mark_store},
    sink::{Arrived, Sink, Writer},
    source::{Source, open_public_file},
};
use crate::storage::{PartFile, PathLocks, StoragePath, blocking, remove_parts};

/// See [`super::Images::add_image`].
pub(crate) async fn add(
    http: reqwest::Client,
    locks: PathLocks,
    call: Call,
    command: AddImage,
) -> Result<ImageFacts, AgentError> {
    let source = Source::parse(&command.url)?;
    let AddImage { image, root, path, format, digest, .. } = command;
    if let Some(digest) = &digest {
        require_well_formed("digest", digest)?;
    }
    let expected = Expected { image, source: source.public(), digest, format };
    let target = StoragePath::prove_below_existing(root, path).await?;
    let _alone = locks.exclusive(&call, target.as_path()).await?;

    let (asked, operation) = (expected.clone(), call.operation);
    let sink = blocking(move || {
        if let Some(record) = Record::of(&target)? {
            remove_parts(&target)?;
            return asked.require_same(record, target.as_path()).map(Err);
        }
        mark_store(target.root())?;
        let digests = Digests::for_expected(asked.digest.as_ref());
        Ok(Ok(Sink::new(PartFile::create(&target, operation)?, digests).in_chunks()))
    })
    .await?;
    let sink = match sink {
        Ok(sink) => sink,
        Err(facts) => return Ok(facts),
    };

    let arrived = fetch(http, &source, sink, &call).await?;
    expected.put_in_place(arrived, &call).await
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
