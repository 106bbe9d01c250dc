//! The digests of an image's chunks, and the file beside the image that holds them.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    os::unix::fs::FileExt,
    path::Path,
    sync::LazyLock,
};

use gantry_common::{
    agent::{AgentError, Call},
    id::OperationId,
};
use sha2::{Digest, Sha256};

use super::CHUNK_BYTES;
use crate::{
    image::record::{self, Record},
    storage::{CHUNKS_SUFFIX, StoragePath},
};

/// Begins the file; the image's MD5 digest in hex follows, then the chunks' digests.
const MAGIC: &[u8] = b"gantry chunks 1\n";
const MD5_HEX_BYTES: usize = 32;
const HEADER_BYTES: usize = MAGIC.len() + MD5_HEX_BYTES;

/// A chunk's SHA-256 digest.
pub(crate) type ChunkDigest = [u8; 32];

/// The digest of a chunk.
pub(crate) fn digest_of(bytes: &[u8]) -> ChunkDigest {
    Sha256::digest(bytes).into()
}

/// The digest of a whole chunk of zeroes: it is in no file and never travels.
pub(crate) static ZEROES: LazyLock<ChunkDigest> = LazyLock::new(|| digest_of(&[0; CHUNK_BYTES]));

/// The digests of an image's chunks, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ChunkList(pub(crate) Vec<ChunkDigest>);

impl ChunkList {
    /// The list that was sent as one text of digests, of an image with this length.
    pub(crate) fn from_bytes(bytes: &[u8], image_bytes: u64) -> Option<Self> {
        let (digests, rest) = bytes.as_chunks();
        let fits = rest.is_empty() && digests.len() as u64 == image_bytes.div_ceil(CHUNK_BYTES as u64);
        fits.then(|| Self(digests.to_vec()))
    }

    /// Measures what `file` holds from its beginning to its end.
    pub(crate) fn measure(file: &File, call: &Call) -> Result<Self, AgentError> {
        Self::measure_in_parts(file, call, usize::MAX, |_| Ok(()))
    }

    /// The same, and hands over the digests of so many chunks at a time as soon as they are known.
    pub(crate) fn measure_in_parts(
        file: &File,
        call: &Call,
        at_once: usize,
        hand_over: impl Fn(&[ChunkDigest]) -> Result<(), AgentError>,
    ) -> Result<Self, AgentError> {
        let failed = |error: io::Error| AgentError::Internal { reason: format!("reading an image: {error}") };
        let mut chunk = vec![0; CHUNK_BYTES];
        let (mut list, mut handed_over) = (Vec::new(), 0);
        loop {
            if call.cancelled.is_cancelled() {
                return Err(AgentError::Cancelled);
            }
            let length = read_full(file, &mut chunk, (list.len() * CHUNK_BYTES) as u64).map_err(failed)?;
            let bytes = chunk.get(..length).filter(|bytes| !bytes.is_empty());
            list.extend(bytes.map(digest_of));
            if bytes.is_none() || list.len() - handed_over == at_once {
                hand_over(list.get(handed_over..).unwrap_or_default())?;
                handed_over = list.len();
            }
            if bytes.is_none() {
                return Ok(Self(list));
            }
        }
    }

    /// The list beside an image of a store, if it is there and is that of the image as its record says it is.
    pub(crate) fn read(image: &Path, record: &Record) -> Option<Self> {
        let bytes = fs::read(beside(image)).ok()?;
        let (header, digests) = bytes.split_at_checked(HEADER_BYTES)?;
        let fits = header.strip_prefix(MAGIC)? == record.facts.md5.as_bytes();
        fits.then(|| Self::from_bytes(digests, record.facts.actual_bytes)).flatten()
    }

    /// The list of an image of a store: what is beside it, else it is measured and put there.
    pub(crate) fn of(target: &StoragePath, file: &File, record: &Record, call: &Call) -> Result<Self, AgentError> {
        if let Some(list) = Self::read(target.as_path(), record) {
            return Ok(list);
        }
        let list = Self::measure(file, call)?;
        list.write(target, &record.facts.md5, call.operation)?;
        Ok(list)
    }

    /// Puts the list beside an image.
    pub(crate) fn write(&self, target: &StoragePath, md5: &str, operation: OperationId) -> Result<(), AgentError> {
        let bytes = [MAGIC, md5.as_bytes(), self.0.as_flattened()].concat();
        record::write_beside(target, CHUNKS_SUFFIX, operation, &bytes)
    }
}

/// Where the list of the image at `path` is.
fn beside(path: &Path) -> std::path::PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(CHUNKS_SUFFIX);
    name.into()
}

/// Reads until `bytes` is full or the file ends.
pub(crate) fn read_full(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut length = 0;
    while let Some(rest) = bytes.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + length as u64) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// The chunks of a stream of bytes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chunker {
    current: Sha256,
    filled_bytes: usize,
    list: Vec<ChunkDigest>,
}

impl Chunker {
    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK_BYTES - self.filled_bytes));
            self.current.update(now);
            self.filled_bytes += now.len();
            if self.filled_bytes == CHUNK_BYTES {
                self.list.push(self.current.finalize_reset().into());
                self.filled_bytes = 0;
            }
            bytes = later;
        }
    }

    pub(crate) fn finish(mut self) -> ChunkList {
        if self.filled_bytes > 0 {
            self.list.push(self.current.finalize().into());
        }
        ChunkList(self.list)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_chunks_do_not_depend_on_how_the_bytes_arrive(
            length in 0usize..300_000, pieces in proptest::collection::vec(1usize..100_000, 1..8)
        ) {
            let content: Vec<u8> = (0..length).map(|index| (index / 7) as u8).collect();
            let (mut chunker, mut rest) = (Chunker::default(), &content[..]);
            for piece in pieces.iter().cycle() {
                let (now, later) = rest.split_at(rest.len().min(*piece));
                chunker.update(now);
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            let expected: Vec<_> = content.chunks(CHUNK_BYTES).map(digest_of).collect();
            let list = chunker.finish();
            prop_assert_eq!(&list.0, &expected);
            prop_assert_eq!(ChunkList::from_bytes(list.0.as_flattened(), length as u64), Some(list));
        }
    }

    #[test]
    fn a_list_of_another_length_is_none() {
        let digests = [0; 64];
        assert!(ChunkList::from_bytes(&digests, CHUNK_BYTES as u64 + 1).is_some());
        assert_eq!(ChunkList::from_bytes(&digests, CHUNK_BYTES as u64), None);
        assert_eq!(ChunkList::from_bytes(&digests[1..], CHUNK_BYTES as u64 + 1), None);
    }
}
