//! Copies of images on this host.
//!
//! A copy is never a hard link, not even on one file system: libvirt gives the files a VM stands on to QEMU's user
//! (`dynamic_ownership`), and that would reach into the image store.

use std::{fs::File, os::unix::fs::FileExt};

use gantry_common::agent::{AgentError, Call};
use rustix::fs::ioctl_ficlone;

use super::sink::{Arrived, Sink};
use crate::storage::{file_error, require_bytes};

const CHUNK_BYTES: usize = 1 << 20;

/// Copies `source` into `sink`. Where the file system can, the copy shares its blocks with the source.
pub(crate) fn copy(source: &File, mut sink: Sink, call: &Call) -> Result<Arrived, AgentError> {
    let path = sink.part().target().as_path().to_owned();
    let total_bytes = source.metadata().map_err(|error| AgentError::file(&path, error))?.len();
    // Impossible between file systems and on those without shared blocks, in more than one way.
    let shared = ioctl_ficlone(sink.part().file(), source).is_ok();
    if !shared {
        require_bytes(sink.part().target().root(), total_bytes)?;
    }
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut done_bytes = 0;
    loop {
        if call.cancelled.is_cancelled() {
            return Err(AgentError::Cancelled);
        }
        let from = if shared { sink.part().file() } else { source };
        let length = from.read_at(&mut chunk, done_bytes).map_err(|error| file_error(&path, 1, &error))?;
        let Some(bytes) = chunk.get(..length).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        if shared {
            sink.count(bytes);
        } else {
            sink.push(bytes)?;
        }
        done_bytes += length as u64;
        call.report(done_bytes, Some(total_bytes));
    }
    if done_bytes == total_bytes {
        return sink.finish();
    }
    let reason =
        format!("it had {total_bytes} bytes at first and {done_bytes} in the end; repeat when nobody writes to it");
    Err(AgentError::Corrupt { what: "the source file".into(), reason })
}
