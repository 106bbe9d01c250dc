//! Where each chunk of an image that is wanted comes from.

use std::{collections::HashMap, fs::File, iter};

use gantry_common::agent::{AgentError, Call};

use super::{
    CHUNK_BYTES, ChunkDigest, ChunkList, digest_of,
    list::{ZEROES, read_full},
};

/// How many chunks are read from files here at once.
const CHUNKS_AT_ONCE: usize = 16;

/// Files here, and which chunk of which is wanted. It takes about a hundred bytes of memory for each 64 KiB of the image.
#[derive(Debug)]
pub(crate) struct Plan {
    wanted: ChunkList,
    image_bytes: u64,
    found: HashMap<ChunkDigest, Option<Place>>,
    files: Vec<File>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    file: u32,
    chunk: u32,
}

/// Where chunks come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// They are zeroes.
    Zeroes,
    /// Files here have them.
    Here,
    /// Only the peer has them.
    Peer,
}

/// Chunks in a row that come from the same source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) source: Source,
    first: usize,
    end: usize,
    image_bytes: u64,
}

impl Segment {
    /// The first byte in the image.
    pub(crate) fn first_byte(&self) -> u64 {
        (self.first * CHUNK_BYTES) as u64
    }

    /// The first byte behind it.
    pub(crate) fn end_byte(&self) -> u64 {
        ((self.end * CHUNK_BYTES) as u64).min(self.image_bytes)
    }

    /// How long it is.
    pub(crate) fn bytes(&self) -> u64 {
        self.end_byte() - self.first_byte()
    }
}

impl Plan {
    /// A plan by which everything but zeroes comes from the peer.
    pub(crate) fn new(wanted: ChunkList, image_bytes: u64) -> Self {
        let found = wanted.0.iter().filter(|digest| **digest != *ZEROES).map(|digest| (*digest, None)).collect();
        Self { wanted, image_bytes, found, files: Vec::new() }
    }

    /// Takes from `file`, whose chunks are those of `list`, whatever is wanted and not found yet.
    pub(crate) fn offer(&mut self, file: File, list: &ChunkList) {
        let (Ok(number), mut taken) = (u32::try_from(self.files.len()), false) else { return };
        for (chunk, digest) in (0..).zip(&list.0) {
            if let Some(place @ None) = self.found.get_mut(digest) {
                *place = Some(Place { file: number, chunk });
                taken = true;
            }
        }
        if taken {
            self.files.push(file);
        }
    }

    /// Takes the same from a file whose chunks are not known.
    pub(crate) fn offer_unmeasured(&mut self, file: File, call: &Call) -> Result<(), AgentError> {
        let list = ChunkList::measure(&file, call)?;
        self.offer(file, &list);
        Ok(())
    }

    /// The length of the image.
    pub(crate) fn image_bytes(&self) -> u64 {
        self.image_bytes
    }

    fn source(&self, digest: &ChunkDigest) -> Source {
        match self.found.get(digest) {
            None => Source::Zeroes,
            Some(Some(_)) => Source::Here,
            Some(None) => Source::Peer,
        }
    }

    /// The image's chunks from its beginning to its end.
    pub(crate) fn segments(&self) -> impl Iterator<Item = Segment> {
        let mut first = 0;
        iter::from_fn(move || {
            let rest = self.wanted.0.get(first..)?;
            let source = self.source(rest.first()?);
            let longest = if source == Source::Here { CHUNKS_AT_ONCE } else { usize::MAX };
            let count = rest.iter().take(longest).take_while(|digest| self.source(digest) == source).count();
            let segment = Segment { source, first, end: first + count, image_bytes: self.image_bytes };
            first = segment.end;
            Some(segment)
        })
    }

    /// The bytes of a segment from files here; nothing where a file does not hold any more what it should.
    pub(crate) fn read(&self, segment: Segment) -> Option<Vec<u8>> {
        let digests = self.wanted.0.get(segment.first..segment.end)?;
        let mut bytes = vec![0; usize::try_from(segment.bytes()).ok()?];
        for (piece, digest) in bytes.chunks_mut(CHUNK_BYTES).zip(digests) {
            let place = self.found.get(digest).copied().flatten()?;
            let file = self.files.get(place.file as usize)?;
            let length = read_full(file, piece, u64::from(place.chunk) * CHUNK_BYTES as u64).ok()?;
            if length != piece.len() || digest_of(piece) != *digest {
                return None;
            }
        }
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use gantry_common::id::OperationId;

    use super::*;

    /// An image whose chunks are filled with these bytes; the last one is short.
    fn image(chunks: &[u8]) -> Vec<u8> {
        let mut content: Vec<u8> = chunks.iter().flat_map(|byte| vec![*byte; CHUNK_BYTES]).collect();
        content.truncate(content.len() - 1000);
        content
    }

    fn file(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file
    }

    fn plan(content: &[u8], here: &[&[u8]]) -> Plan {
        let list = ChunkList(content.chunks(CHUNK_BYTES).map(digest_of).collect());
        let mut plan = Plan::new(list, content.len() as u64);
        for content in here {
            plan.offer_unmeasured(file(content), &Call::detached(OperationId::random())).unwrap();
        }
        plan
    }

    fn shape(plan: &Plan) -> Vec<(Source, u64, u64)> {
        plan.segments().map(|segment| (segment.source, segment.first_byte(), segment.bytes())).collect()
    }

    const CHUNK: u64 = CHUNK_BYTES as u64;

    #[test]
    fn what_files_here_hold_is_found_wherever_it_stands_in_them() {
        let content = image(&[1, 0, 0, 2, 3, 4]);
        let plan = plan(&content, &[&image(&[9, 3, 2, 9]), &image(&[1, 9])]);
        assert_eq!(
            shape(&plan),
            [
                (Source::Here, 0, CHUNK),
                (Source::Zeroes, CHUNK, 2 * CHUNK),
                (Source::Here, 3 * CHUNK, 2 * CHUNK),
                (Source::Peer, 5 * CHUNK, CHUNK - 1000),
            ]
        );
        for segment in plan.segments().filter(|segment| segment.source == Source::Here) {
            let range = segment.first_byte() as usize..segment.end_byte() as usize;
            assert_eq!(plan.read(segment).unwrap(), content[range]);
        }
    }

    #[test]
    fn an_empty_image_has_no_segments_and_an_equal_one_needs_no_peer() {
        assert_eq!(shape(&plan(&[], &[])), []);
        let content = image(&[1, 2, 3]);
        assert_eq!(shape(&plan(&content, &[&content])), [(Source::Here, 0, 3 * CHUNK - 1000)]);
    }

    #[test]
    fn a_file_that_was_changed_behind_the_list_is_not_used() {
        let content = image(&[1, 2]);
        let list = ChunkList(content.chunks(CHUNK_BYTES).map(digest_of).collect());
        let mut plan = Plan::new(list.clone(), content.len() as u64);
        plan.offer(file(&image(&[1, 3])), &list);
        assert_eq!(plan.read(plan.segments().next().unwrap()), None);
    }
}
