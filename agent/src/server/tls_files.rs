//! The host's certificate, key and trusted authority on disk.
//!
//! Every file appears whole or not at all. A renewal replaces two files, and a crash may come between them; so the next
//! key waits in `key.pending.pem` until its certificate is in place, and whoever reads the files next finishes the step.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::keys::{KeyError, Keys};

/// The directory with the TLS files, such as `/etc/gantry/tls`.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    directory: PathBuf,
}

/// The TLS files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsFileError {
    /// A file could not be read or written.
    #[error("{}: {reason}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// The files' content does not fit.
    #[error("{}: {reason}", directory.display())]
    Content {
        /// The directory.
        directory: PathBuf,
        /// What is wrong.
        reason: KeyError,
    },
}

/// Identifies one version of the files.
pub type Stamp = [Option<(u64, i64, i64)>; 3];

impl TlsFiles {
    /// The files in `directory`.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    fn ca(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    fn certificate(&self) -> PathBuf {
        self.directory.join("cert.pem")
    }

    fn key(&self) -> PathBuf {
        self.directory.join("key.pem")
    }

    fn pending_key(&self) -> PathBuf {
        self.directory.join("key.pending.pem")
    }

    /// What changes when somebody replaces a file.
    pub fn stamp(&self) -> Stamp {
        [self.ca(), self.certificate(), self.key()].map(|path| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.ino(), metadata.mtime(), metadata.mtime_nsec()))
        })
    }

    /// Reads the files, and finishes a renewal that was interrupted.
    pub fn load(&self) -> Result<Keys, TlsFileError> {
        let certificate_pem = read(&self.certificate())?;
        let ca_pem = read(&self.ca())?;
        // A joining host has only the pending key until its first certificate is there.
        let current = read_if_there(&self.key())?;
        let loaded = match current {
            Some(key_pem) => Keys::new(&certificate_pem, &key_pem, &ca_pem),
            None => Err(KeyError::NoKey),
        };
        if let Err(KeyError::NoKey | KeyError::Mismatch) = loaded
            && let Some(pending) = read_if_there(&self.pending_key())?
            && let Ok(keys) = Keys::new(&certificate_pem, &pending, &ca_pem)
        {
            self.adopt_pending_key()?;
            return Ok(keys);
        }
        loaded.map_err(|reason| self.content_error(reason))
    }

    /// What is wrong with the files' content.
    pub fn content_error(&self, reason: KeyError) -> TlsFileError {
        TlsFileError::Content { directory: self.directory.clone(), reason }
    }

    /// The key that waits for its certificate.
    pub fn read_pending_key(&self) -> Result<Option<Zeroizing<String>>, TlsFileError> {
        read_if_there(&self.pending_key())
    }

    /// Keeps a key until its certificate comes.
    pub fn write_pending_key(&self, key_pem: &str) -> Result<(), TlsFileError> {
        write_secret(&self.pending_key(), key_pem.as_bytes())
    }

    /// Puts a certificate that fits the pending key in place, and then that key.
    pub fn install(&self, certificate_pem: &str, ca_pem: &str) -> Result<(), TlsFileError> {
        write_secret(&self.ca(), ca_pem.as_bytes())?;
        write_secret(&self.certificate(), certificate_pem.as_bytes())?;
        self.adopt_pending_key()
    }

    fn adopt_pending_key(&self) -> Result<(), TlsFileError> {
        let io = |path: PathBuf| move |reason| TlsFileError::Io { path, reason };
        fs::rename(self.pending_key(), self.key()).map_err(io(self.pending_key()))?;
        sync_directory(&self.directory).map_err(io(self.directory.clone()))
    }
}

fn read(path: &Path) -> Result<String, TlsFileError> {
    fs::read_to_string(path).map_err(|reason| TlsFileError::Io { path: path.to_owned(), reason })
}

fn read_if_there(path: &Path) -> Result<Option<Zeroizing<String>>, TlsFileError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(reason) => Err(TlsFileError::Io { path: path.to_owned(), reason }),
    }
}

/// Replaces a file by one that only its owner can read. After a crash the file is the old or the new one.
pub fn write_secret(path: &Path, content: &[u8]) -> Result<(), TlsFileError> {
    let write = || {
        let directory = path.parent().unwrap_or(Path::new("/"));
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        sync_directory(directory)
    };
    write().map_err(|reason| TlsFileError::Io { path: path.to_owned(), reason })
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
