//! What this host lets another one fetch for a while: a volume that moves, and the image it stands on.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::ErrorKind,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use gantry_common::{
    agent::{AgentError, Call, OfferFile, OfferedFile},
    id::HostUuid,
};
use parking_lot::Mutex;

use super::{digest::Digests, evict::is_open_in_qemu, qcow2::Header, record::Record, source::open_regular};
use crate::{
    storage::{PathLocks, StoragePath, blocking},
    vm::nvram_path,
};

const CHUNK_BYTES: usize = 1 << 20;

/// The files on offer, by path. They are in memory only: an agent that restarts is asked for its offer again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Offers(Arc<Mutex<HashMap<PathBuf, Offer>>>);

#[derive(Debug, Clone)]
struct Offer {
    to: HostUuid,
    md5: String,
    version: Version,
}

/// What tells a file from the one that it becomes when somebody writes to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    inode: u64,
    length_bytes: u64,
    modified: (i64, i64),
}

impl Version {
    fn of(file: &File) -> std::io::Result<Self> {
        let metadata = file.metadata()?;
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        Ok(Self { inode: metadata.ino(), length_bytes: metadata.len(), modified })
    }
}

/// An offered file, open.
pub(crate) struct Opened {
    pub(crate) file: File,
    pub(crate) length_bytes: u64,
    pub(crate) md5: String,
}

impl Offers {
    /// The file at `path`, if it is offered to `host` and is still what was offered.
    pub(crate) fn open(&self, path: &Path, host: HostUuid) -> Option<Opened> {
        let offer = self.0.lock().get(path).filter(|offer| offer.to == host)?.clone();
        let file = open_regular(path).ok()?;
        let unchanged = Version::of(&file).is_ok_and(|version| version == offer.version);
        unchanged.then_some(Opened { file, length_bytes: offer.version.length_bytes, md5: offer.md5 })
    }

    fn put(&self, path: PathBuf, offer: Offer) {
        let mut offers = self.0.lock();
        offers.retain(|path, _| path.exists());
        offers.insert(path, offer);
    }
}

/// See [`super::Images::offer_file`].
pub(crate) async fn offer(
    offers: Offers,
    locks: PathLocks,
    call: Call,
    command: OfferFile,
) -> Result<OfferedFile, AgentError> {
    let path = StoragePath::prove_below_existing(command.root, command.path).await?;
    let guard = locks.shared(&call, path.as_path()).await?;
    blocking(move || {
        let _guard = guard;
        look(&offers, &path, command.to, &call)
    })
    .await
}

fn look(offers: &Offers, path: &StoragePath, to: HostUuid, call: &Call) -> Result<OfferedFile, AgentError> {
    let shown = || path.as_path().display().to_string();
    let is_image = fs::exists(path.beside(crate::storage::RECORD_SUFFIX)).unwrap_or(false);
    if is_image && let Some(record) = Record::of(path)? {
        let file = open_regular(path.as_path())?;
        let version = Version::of(&file).map_err(|error| AgentError::file(path.as_path(), error))?;
        offers.put(path.as_path().to_owned(), Offer { to, md5: record.facts.md5.clone(), version });
        let md5 = record.facts.md5.clone();
        return Ok(OfferedFile { md5, nvram_md5: None, backing_path: None, image: Some(record.facts) });
    }
    let file = open_volume(path.as_path())?;
    if is_open_in_qemu(path.as_path()).map_err(|error| AgentError::file(path.as_path(), error))? {
        return Err(AgentError::InUse { what: shown(), user: "a running VM".into() });
    }
    let header = Header::read(&file)
        .map_err(|error| AgentError::Corrupt { what: shown(), reason: error.to_string() })?
        .ok_or_else(|| AgentError::Corrupt { what: shown(), reason: "it is no qcow2 volume".into() })?;
    let md5 = offer_measured(offers, path.as_path(), &file, to, call)?;
    let nvram = nvram_path(&shown());
    let nvram_md5 = match open_regular(&nvram) {
        Ok(file) => Some(offer_measured(offers, &nvram, &file, to, call)?),
        Err(_) if !nvram.exists() => None,
        Err(error) => return Err(error),
    };
    let backing_path = header.backing.map(|backing| backing.display().to_string());
    Ok(OfferedFile { md5, nvram_md5, backing_path, image: None })
}

fn open_volume(path: &Path) -> Result<File, AgentError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(AgentError::NotFound { what: "volume".into(), name: path.display().to_string() })
        }
        _ => open_regular(path),
    }
}

/// Offers a file of which no digest is known yet. Nobody may write to it meanwhile.
fn offer_measured(offers: &Offers, path: &Path, file: &File, to: HostUuid, call: &Call) -> Result<String, AgentError> {
    let failed = |error| AgentError::file(path, error);
    let before = Version::of(file).map_err(failed)?;
    let mut digests = Digests::for_expected(None);
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut done_bytes = 0;
    loop {
        if call.cancelled.is_cancelled() {
            return Err(AgentError::Cancelled);
        }
        let length = file.read_at(&mut chunk, done_bytes).map_err(failed)?;
        let Some(bytes) = chunk.get(..length).filter(|bytes| !bytes.is_empty()) else { break };
        digests.update(bytes);
        done_bytes += length as u64;
        call.report(done_bytes, Some(before.length_bytes));
    }
    let after = Version::of(file).map_err(failed)?;
    if done_bytes != before.length_bytes || after != before {
        let reason = "it changed while it was read; repeat when nobody writes to it".into();
        return Err(AgentError::Corrupt { what: path.display().to_string(), reason });
    }
    let md5 = digests.finish().md5;
    offers.put(path.to_owned(), Offer { to, md5: md5.clone(), version: before });
    Ok(md5)
}
