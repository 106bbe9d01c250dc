//! Images in chunks: what two images have in common travels once.
//!
//! A chunk is 64 KiB at a multiple of 64 KiB, as a qcow2 image's clusters are, wherever in the file they stand. It is known
//! by its SHA-256 digest. Beside each image of a store lies the list of its chunks' digests; it can be made again from the
//! image at any time.

mod list;
mod plan;

pub(crate) use self::{
    list::{ChunkDigest, ChunkList, Chunker, digest_of},
    plan::{Plan, Segment, Source},
};

/// The length of every chunk but an image's last.
pub(crate) const CHUNK_BYTES: usize = 64 << 10;
