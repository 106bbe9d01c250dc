//! Exported images: served over plain HTTP to whoever knows their address, which nobody can guess.
//!
//! That an image is exported is noted in a file, so that it stays so when the agent or the host restarts. The port is
//! opened when there is something to serve for the first time, and stays open until the agent ends.

mod listener;

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, ErrorKind, Write},
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use gantry_common::agent::{AgentError, ExportImage, ExportedImage};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use uuid::Uuid;

use self::listener::Listener;
use super::serve::find_stored;
use crate::storage::{PART_SUFFIX, RECORD_SUFFIX, StorageRoot, blocking, file_error, remove_if_there};

/// Begins the path of every exported image's URL.
const URL_PREFIX: &str = "/exports";
/// How long an agent that finds its port taken when it starts waits before it tries again.
const PORT_PAUSE: Duration = Duration::from_secs(5);

/// The exported images of this host.
#[derive(Debug, Clone)]
pub struct Exports(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    notes: Notes,
    listen: SocketAddr,
    /// Held while an export begins or ends.
    listener: Mutex<Option<Listener>>,
}

impl Exports {
    /// Exports that are noted in `directory` and served at `listen`.
    pub fn new(directory: PathBuf, listen: SocketAddr) -> Self {
        Self(Arc::new(Shared { notes: Notes { directory }, listen, listener: Mutex::default() }))
    }

    /// Serves again what an earlier agent served.
    pub fn resume(&self) {
        let exports = self.clone();
        tokio::spawn(async move {
            while let Err(error) = exports.serve_if_needed().await {
                tracing::warn!("exported images cannot be served yet: {error}");
                tokio::time::sleep(PORT_PAUSE).await;
            }
        });
    }

    async fn serve_if_needed(&self) -> Result<(), AgentError> {
        let mut listener = self.0.listener.lock().await;
        let notes = self.0.notes.clone();
        if blocking(move || notes.all()).await?.is_empty() {
            return Ok(());
        }
        self.serve(&mut listener).await.map(drop)
    }

    async fn serve(&self, listener: &mut Option<Listener>) -> Result<u16, AgentError> {
        if let Some(listener) = listener {
            return Ok(listener.port());
        }
        let started = Listener::start(self.0.listen, self.0.notes.clone()).await.map_err(|error| {
            let remedy =
                format!("it cannot be listened on ({error}): free the port or set export_listen in agent.toml");
            AgentError::invalid("export_listen", self.0.listen, remedy)
        })?;
        Ok(listener.insert(started).port())
    }

    /// Has an image of an image store served. The same image is always served at the same place.
    ///
    /// # Errors
    /// There is no such image, or the port is taken.
    pub async fn export(&self, command: ExportImage) -> Result<ExportedImage, AgentError> {
        let mut listener = self.0.listener.lock().await;
        let asked = command.clone();
        let target = blocking(move || {
            let target = StorageRoot::parse("root", &asked.root)?.below("path", &asked.path)?;
            find_stored(&asked.path).map(|_| target)
        })
        .await?;
        let port = self.serve(&mut listener).await?;
        let notes = self.0.notes.clone();
        let token = blocking(move || match notes.find(&command.path)? {
            Some(token) => Ok(token),
            None => notes.add(&command.path),
        })
        .await?;
        let name = target.as_path().file_name().unwrap_or_default().to_string_lossy();
        Ok(ExportedImage { port, url_path: format!("{URL_PREFIX}/{token}/{name}") })
    }

    /// Has an image served no more. One that is not exported is a success.
    pub async fn end(&self, path: &str) -> Result<(), AgentError> {
        let _listener = self.0.listener.lock().await;
        let (notes, path) = (self.0.notes.clone(), path.to_owned());
        blocking(move || match notes.find(&path)? {
            Some(token) => notes.remove(&token),
            None => Ok(()),
        })
        .await
    }

    /// Has nothing served any more.
    pub async fn end_all(&self) -> Result<(), AgentError> {
        let mut listener = self.0.listener.lock().await;
        let notes = self.0.notes.clone();
        blocking(move || notes.all()?.iter().try_for_each(|(token, _)| notes.remove(token))).await?;
        listener.take();
        Ok(())
    }
}

/// Which images are exported: a file for each, by the name that its URL has.
#[derive(Debug, Clone)]
struct Notes {
    directory: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
struct Note {
    /// The image.
    path: String,
}

impl Notes {
    fn of(&self, token: &str) -> PathBuf {
        self.directory.join(format!("{token}{RECORD_SUFFIX}"))
    }

    /// The image with this name in its URL.
    fn get(&self, token: &str) -> Result<Option<String>, AgentError> {
        if !is_token(token) {
            return Ok(None);
        }
        let path = self.of(token);
        match fs::read(&path) {
            Ok(json) => match serde_json::from_slice::<Note>(&json) {
                Ok(note) => Ok(Some(note.path)),
                Err(error) => Err(AgentError::file(&path, error)),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(AgentError::file(&path, error)),
        }
    }

    fn all(&self) -> Result<Vec<(String, String)>, AgentError> {
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(AgentError::file(&self.directory, error)),
        };
        let mut all = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| AgentError::file(&self.directory, error))?;
            let name = entry.file_name();
            let token = name.to_str().and_then(|name| name.strip_suffix(RECORD_SUFFIX));
            if let Some(token) = token
                && let Some(path) = self.get(token)?
            {
                all.push((token.to_owned(), path));
            }
        }
        Ok(all)
    }

    fn find(&self, path: &str) -> Result<Option<String>, AgentError> {
        Ok(self.all()?.into_iter().find(|(_, noted)| noted == path).map(|(token, _)| token))
    }

    fn add(&self, path: &str) -> Result<String, AgentError> {
        let token = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let json = serde_json::to_vec(&Note { path: path.to_owned() })
            .map_err(|error| AgentError::Internal { reason: error.to_string() })?;
        let (note, part) = (self.of(&token), self.of(&format!("{token}{PART_SUFFIX}")));
        let write = || -> io::Result<()> {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
            file.write_all(&json)?;
            file.sync_all()?;
            fs::rename(&part, &note)?;
            sync(&self.directory)
        };
        write().map(|()| token).map_err(|error| {
            // The first error is the one to tell.
            let _ = fs::remove_file(&part);
            file_error(&note, json.len() as u64, &error)
        })
    }

    fn remove(&self, token: &str) -> Result<(), AgentError> {
        remove_if_there(&self.of(token))?;
        sync(&self.directory).map_err(|error| AgentError::file(&self.directory, error))
    }
}

fn sync(directory: &Path) -> io::Result<()> {
    fs::File::open(directory)?.sync_all()
}

/// Whether a text can be the name of an export; nothing else may become a part of a path.
fn is_token(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
