//! The agent's program, as it is sent to hosts.

use std::{
    fs::File,
    io::{self, Read as _, Write},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use gantry_common::host_check::Sha256Digest;
use sha2::{Digest as _, Sha256};
use tokio::{sync::mpsc, task::spawn_blocking};

use super::error::OnboardingError;

/// Programs are sent in pieces of this size; a few of them wait at a time, so memory stays small.
const PIECE_BYTES: usize = 64 * 1024;
const PIECES_WAITING: usize = 4;

/// The agent's program: where it is, and what it is. Open it once and use it for many hosts.
#[derive(Debug, Clone)]
pub struct AgentProgram {
    path: PathBuf,
    digest: Sha256Digest,
    size_bytes: u64,
}

impl AgentProgram {
    /// Reads the file through for its digest.
    ///
    /// # Errors
    /// [`OnboardingError::AgentProgram`] if it cannot be read.
    pub async fn open(path: &Path) -> Result<Self, OnboardingError> {
        let path = path.to_owned();
        let file = path.clone();
        let (digest, size_bytes) = spawn_blocking(move || digest(&file))
            .await
            .map_err(io::Error::other)
            .flatten()
            .map_err(|error| unreadable(&path, &error))?;
        Ok(Self { path, digest, size_bytes })
    }

    /// Its SHA-256.
    pub fn digest(&self) -> &Sha256Digest {
        &self.digest
    }

    /// Its size.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    pub(super) fn unreadable(&self, error: &io::Error) -> OnboardingError {
        unreadable(&self.path, error)
    }

    /// Its contents, compressed by gzip as they are read. A receiver that is dropped ends the reading.
    pub(super) fn compressed(&self) -> mpsc::Receiver<io::Result<Bytes>> {
        let (sender, receiver) = mpsc::channel(PIECES_WAITING);
        let path = self.path.clone();
        spawn_blocking(move || {
            let pieces = Pieces { sender: sender.clone(), piece: Vec::with_capacity(PIECE_BYTES) };
            if let Err(error) = compress(&path, pieces) {
                // A receiver that is gone is the one error nobody is left to hear of.
                let _ = sender.blocking_send(Err(error));
            }
        });
        receiver
    }
}

fn unreadable(path: &Path, error: &io::Error) -> OnboardingError {
    OnboardingError::AgentProgram { path: path.to_owned(), reason: error.to_string() }
}

fn digest(path: &Path) -> io::Result<(Sha256Digest, u64)> {
    let (mut hash, mut size_bytes) = (Sha256::new(), 0);
    in_pieces(path, |piece| {
        hash.update(piece);
        size_bytes += piece.len() as u64;
        Ok(())
    })?;
    Ok((Sha256Digest::from(<[u8; 32]>::from(hash.finalize())), size_bytes))
}

fn compress(path: &Path, pieces: Pieces) -> io::Result<()> {
    let mut encoder = GzEncoder::new(pieces, Compression::fast());
    in_pieces(path, |piece| encoder.write_all(piece))?;
    encoder.finish()?.flush()
}

fn in_pieces(path: &Path, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            count => take(&buffer[..count])?,
        }
    }
}

struct Pieces {
    sender: mpsc::Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE_BYTES));
        self.sender.blocking_send(Ok(piece.into())).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

#[cfg(test)]
mod tests {
    use flate2::read::GzDecoder;

    use super::*;

    #[tokio::test]
    async fn a_program_arrives_as_it_was_sent() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent");
        let content: Vec<u8> =
            (0..1_000_000u32).flat_map(|number| (number.wrapping_mul(2_654_435_761)).to_le_bytes()).collect();
        std::fs::write(&path, &content).unwrap();
        let program = AgentProgram::open(&path).await.unwrap();
        assert_eq!(program.size_bytes(), 4_000_000);

        let mut sent = Vec::new();
        let mut pieces = program.compressed();
        while let Some(piece) = pieces.recv().await {
            sent.extend_from_slice(&piece.unwrap());
        }
        let mut arrived = Vec::new();
        GzDecoder::new(sent.as_slice()).read_to_end(&mut arrived).unwrap();
        assert!(arrived == content);
        let expected = Sha256Digest::from(<[u8; 32]>::from(Sha256::digest(&content)));
        assert_eq!(*program.digest(), expected);
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let error = AgentProgram::open(Path::new("/nowhere/gantry-agent")).await.unwrap_err().to_string();
        assert!(error.contains("/nowhere/gantry-agent") && error.contains("No such file"), "{error}");
    }
}
