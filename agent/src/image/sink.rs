//! Where the bytes of an image go: into its part file and through its digests, on a thread that may block.

use std::os::unix::fs::FileExt;

use bytes::Bytes;
use gantry_common::agent::AgentError;
use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    chunk::{ChunkList, Chunker},
    digest::{Digests, Hex},
};
use crate::storage::{PartFile, file_error};

/// How many received pieces may wait for the disk.
const QUEUE: usize = 16;

/// A part file and the digests of what was written to it.
#[derive(Debug)]
pub(crate) struct Sink {
    part: PartFile,
    digests: Digests,
    chunker: Option<Chunker>,
    length: u64,
}

/// An image that has arrived, not yet in its place.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) part: PartFile,
    pub(crate) length: u64,
    pub(crate) digests: Hex,
    /// Its chunks, where they were asked for.
    pub(crate) chunks: Option<ChunkList>,
}

impl Sink {
    pub(crate) fn new(part: PartFile, digests: Digests) -> Self {
        Self { part, digests, chunker: None, length: 0 }
    }

    /// Takes note of the image's chunks as well.
    pub(crate) fn in_chunks(self) -> Self {
        Self { chunker: Some(Chunker::default()), ..self }
    }

    /// The part file.
    pub(crate) fn part(&self) -> &PartFile {
        &self.part
    }

    /// Appends `bytes`. Zeroes become a hole: raw images are mostly zeroes.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), AgentError> {
        if bytes.iter().any(|byte| *byte != 0) {
            let written = self.part.file().write_all_at(bytes, self.length);
            written.map_err(|error| file_error(self.part.target().as_path(), bytes.len() as u64, &error))?;
        }
        self.count(bytes);
        Ok(())
    }

    /// Takes note of `bytes` that are in the file already.
    pub(crate) fn count(&mut self, bytes: &[u8]) {
        self.digests.update(bytes);
        if let Some(chunker) = &mut self.chunker {
            chunker.update(bytes);
        }
        self.length += bytes.len() as u64;
    }

    /// Forgets everything.
    fn restart(&mut self) -> Result<(), AgentError> {
        self.digests.reset();
        if let Some(chunker) = &mut self.chunker {
            *chunker = Chunker::default();
        }
        self.length = 0;
        self.set_length()
    }

    fn set_length(&self) -> Result<(), AgentError> {
        let set = self.part.file().set_len(self.length);
        set.map_err(|error| file_error(self.part.target().as_path(), self.length, &error))
    }

    pub(crate) fn finish(self) -> Result<Arrived, AgentError> {
        self.set_length()?;
        let chunks = self.chunker.map(Chunker::finish);
        Ok(Arrived { part: self.part, length: self.length, digests: self.digests.finish(), chunks })
    }
}

enum Order {
    Push(Bytes),
    Restart,
    Finish,
}

/// A [`Sink`] on a thread of its own.
#[derive(Debug)]
pub(crate) struct Writer {
    orders: mpsc::Sender<Order>,
    thread: JoinHandle<Result<Arrived, AgentError>>,
}

impl Writer {
    pub(crate) fn new(mut sink: Sink) -> Self {
        let (orders, mut received) = mpsc::channel(QUEUE);
        let thread = tokio::task::spawn_blocking(move || {
            loop {
                match received.blocking_recv() {
                    Some(Order::Push(bytes)) => sink.push(&bytes)?,
                    Some(Order::Restart) => sink.restart()?,
                    Some(Order::Finish) => return sink.finish(),
                    None => return Err(AgentError::Cancelled),
                }
            }
        });
        Self { orders, thread }
    }

    /// Appends `bytes`.
    pub(crate) async fn push(&mut self, bytes: Bytes) -> Result<(), AgentError> {
        self.send(Order::Push(bytes)).await
    }

    /// Forgets everything that was appended.
    pub(crate) async fn restart(&mut self) -> Result<(), AgentError> {
        self.send(Order::Restart).await
    }

    async fn send(&mut self, order: Order) -> Result<(), AgentError> {
        if self.orders.send(order).await.is_ok() {
            return Ok(());
        }
        match (&mut self.thread).await {
            Ok(Err(error)) => Err(error),
            other => Err(AgentError::Internal { reason: format!("an image's writer ended early: {other:?}") }),
        }
    }

    /// Everything is appended.
    pub(crate) async fn finish(mut self) -> Result<Arrived, AgentError> {
        self.send(Order::Finish).await?;
        self.thread.await.map_err(|error| AgentError::Internal { reason: error.to_string() })?
    }

    /// Removes what was appended, and returns when it is gone.
    pub(crate) async fn abandon(self) {
        drop(self.orders);
        // After a failed write the thread has been waited for already.
        if !self.thread.is_finished() {
            let _ = self.thread.await;
        }
    }
}
