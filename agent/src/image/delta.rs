//! Fetching a file from a peer so that only the chunks travel that are not here.

use std::{fs::File, sync::Arc};

use bytes::Bytes;
use gantry_common::agent::{AgentError, Call, FetchImage, Peer};
use reqwest::{
    Response, StatusCode, Url,
    header::{ACCEPT_ENCODING, CONTENT_RANGE, ETAG, HeaderMap, RANGE},
};
use rustls::ClientConfig;

use super::{
    chunk::{CHUNK_BYTES, ChunkList, Plan, Segment, Source},
    download::{Failure, Patience, Remote, content_range, reason},
    peer, serve,
    sink::{Arrived, Sink, Writer},
    store,
};
use crate::storage::{StoragePath, StorageRoot, blocking, require_bytes};

static ZEROES: [u8; CHUNK_BYTES] = [0; CHUNK_BYTES];

/// What came over the network and what did not have to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) received_bytes: u64,
    pub(crate) reused_bytes: u64,
}

/// Brings the file that `command` names from `peer` into `sink`. Of `leftovers` and of the store's images is taken what they
/// have of it.
pub(crate) async fn fetch(
    peers: &ClientConfig,
    peer: &Peer,
    command: &FetchImage,
    sink: Sink,
    leftovers: Vec<File>,
    call: &Call,
) -> Result<(Arrived, Traffic), AgentError> {
    let remote = call.cancelled.run_until_cancelled(peer::remote(peers, peer, &command.source_path));
    let remote = remote.await.ok_or(AgentError::Cancelled)??;
    let target = sink.part().target().clone();
    let mut writer = Writer::new(sink);
    let worked = call.cancelled.run_until_cancelled(async {
        let (wanted, image_bytes) = list(&remote, &command.md5).await?;
        let root = command.root.clone();
        let (measuring, plan) = (call.clone(), Plan::new(wanted, image_bytes));
        let plan = blocking(move || look_here(plan, &root, &target, leftovers, &measuring)).await?;
        let mut transfer = Transfer { remote: &remote, md5: &command.md5, writer: &mut writer, call, done_bytes: 0 };
        transfer.carry_out(Arc::new(plan)).await
    });
    let failure = match worked.await {
        Some(Ok(traffic)) => return Ok((writer.finish().await?, traffic)),
        Some(Err(error)) => error,
        None => AgentError::Cancelled,
    };
    writer.abandon().await;
    Err(failure)
}

/// The digests of the chunks of the peer's file, and its length.
async fn list(remote: &Remote, md5: &str) -> Result<(ChunkList, u64), AgentError> {
    let mut patience = Patience::default();
    loop {
        match ask_for_list(remote, md5).await {
            Ok(list) => return Ok(list),
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::Passing(reason)) => patience.wait(&remote.name, 0, reason).await?,
        }
    }
}

async fn ask_for_list(remote: &Remote, md5: &str) -> Result<(ChunkList, u64), Failure> {
    let mut url: Url = remote.url.clone();
    url.set_path(serve::CHUNKS_PATH);
    let response = remote.client.get(url).header(ACCEPT_ENCODING, "identity").send().await;
    let response = response.map_err(|error| remote.failure(error))?;
    if response.status() != StatusCode::OK {
        return Err(remote.unexpected(response).await);
    }
    require_same(remote, response.headers(), md5)?;
    let length = response.headers().get(serve::LENGTH_HEADER).and_then(|length| length.to_str().ok()?.parse().ok());
    let Some(length) = length else {
        return Err(remote.refused("it does not tell the file's length; is its agent older than this one?".into()));
    };
    let bytes = response.bytes().await.map_err(|error| Failure::Passing(reason(error)))?;
    ChunkList::from_bytes(&bytes, length).map(|list| (list, length)).ok_or_else(|| {
        Failure::Passing(format!("the list of a file of {length} bytes came with {} bytes", bytes.len()))
    })
}

/// Proves by its tag that the peer's file is the one that is wanted.
fn require_same(remote: &Remote, headers: &HeaderMap, md5: &str) -> Result<(), Failure> {
    let tag = headers.get(ETAG).and_then(|tag| tag.to_str().ok()).unwrap_or_default();
    if tag.trim_matches('"').eq_ignore_ascii_case(md5) {
        return Ok(());
    }
    Err(remote.refused(format!("its file is {tag} and the one with MD5 {md5} is wanted")))
}

/// Finds what is here of the image, and proves that the rest has room.
fn look_here(
    mut plan: Plan,
    root: &str,
    target: &StoragePath,
    leftovers: Vec<File>,
    call: &Call,
) -> Result<Plan, AgentError> {
    for file in leftovers {
        plan.offer_unmeasured(file, call)?;
    }
    for image in store::images(&StorageRoot::parse("root", root)?)? {
        if let Some((file, list)) = image.open_in_chunks(call)? {
            plan.offer(file, &list);
        }
    }
    let needed_bytes = plan.segments().filter(|segment| segment.source != Source::Zeroes).map(|s| s.bytes()).sum();
    require_bytes(target.root(), needed_bytes)?;
    Ok(plan)
}

struct Transfer<'a> {
    remote: &'a Remote,
    md5: &'a str,
    writer: &'a mut Writer,
    call: &'a Call,
    done_bytes: u64,
}

impl Transfer<'_> {
    async fn carry_out(&mut self, plan: Arc<Plan>) -> Result<Traffic, AgentError> {
        let mut traffic = Traffic::default();
        let total_bytes = plan.image_bytes();
        for segment in plan.segments() {
            let mut source = segment.source;
            if source == Source::Here {
                let reading = Arc::clone(&plan);
                match blocking(move || Ok(reading.read(segment))).await? {
                    Some(bytes) => {
                        traffic.reused_bytes += segment.bytes();
                        self.push(bytes.into(), total_bytes).await?;
                    }
                    // A file that changed behind its list: what it should hold comes from the peer.
                    None => source = Source::Peer,
                }
            }
            if source == Source::Zeroes {
                // Zeroes come in whole chunks only.
                while self.done_bytes < segment.end_byte() {
                    self.push(Bytes::from_static(&ZEROES), total_bytes).await?;
                }
            }
            if source == Source::Peer {
                self.fetch(segment, total_bytes).await?;
                traffic.received_bytes += segment.bytes();
            }
        }
        Ok(traffic)
    }

    async fn push(&mut self, bytes: Bytes, total_bytes: u64) -> Result<(), AgentError> {
        self.done_bytes += bytes.len() as u64;
        self.writer.push(bytes).await?;
        self.call.report(self.done_bytes, Some(total_bytes));
        Ok(())
    }

    /// Fetches a segment. Goes on where a dropped connection left off.
    async fn fetch(&mut self, segment: Segment, total_bytes: u64) -> Result<(), AgentError> {
        let mut patience = Patience::default();
        while self.done_bytes < segment.end_byte() {
            match self.attempt(segment, total_bytes).await {
                Ok(()) => {}
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Passing(reason)) => patience.wait(&self.remote.name, self.done_bytes, reason).await?,
            }
        }
        Ok(())
    }

    async fn attempt(&mut self, segment: Segment, total_bytes: u64) -> Result<(), Failure> {
        let range = format!("bytes={}-{}", self.done_bytes, segment.end_byte() - 1);
        let request = self.remote.client.get(self.remote.url.clone()).header(ACCEPT_ENCODING, "identity");
        let response = request.header(RANGE, range).send().await.map_err(|error| self.remote.failure(error))?;
        let mut response = self.accept(response).await?;
        while let Some(bytes) = response.chunk().await.map_err(|error| Failure::Passing(reason(error)))? {
            if bytes.len() as u64 > segment.end_byte() - self.done_bytes {
                return Err(self.remote.refused("the peer sent more than was asked for".into()));
            }
            self.push(bytes, total_bytes).await?;
        }
        if self.done_bytes < segment.end_byte() {
            return Err(Failure::Passing(format!("the connection ended at byte {}", self.done_bytes)));
        }
        Ok(())
    }

    /// The answer, if it is the part that was asked for, of the file that is wanted.
    async fn accept(&self, response: Response) -> Result<Response, Failure> {
        if response.status() != StatusCode::PARTIAL_CONTENT {
            return Err(self.remote.unexpected(response).await);
        }
        require_same(self.remote, response.headers(), self.md5)?;
        let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
        match range.and_then(content_range) {
            Some((first, _)) if first == self.done_bytes => Ok(response),
            _ => Err(self.remote.refused("the peer sent another part than was asked for".into())),
        }
    }
}
