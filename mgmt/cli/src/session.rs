//! Sessions that are kept from one call to the next, in a file that only its owner can read.

use std::{collections::BTreeMap, io::Write, path::PathBuf};

use anyhow::Context;

use crate::credentials::{Credentials, private, user_directory};

/// The sessions of this user, by account and node.
#[derive(Debug)]
pub struct SessionFile {
    path: Option<PathBuf>,
    key: String,
}

impl SessionFile {
    /// Where the session of this account on this node is kept: in the file that `GANTRY_SESSIONS` names, else in the
    /// user's directory for such things. Without a home directory it is not kept.
    pub fn of(credentials: &Credentials) -> Self {
        let named = std::env::var_os("GANTRY_SESSIONS").map(PathBuf::from);
        let usual = || Some(user_directory("XDG_STATE_HOME", ".local/state")?.join("gantry/sessions.json"));
        Self { path: named.or_else(usual), key: format!("{} at {}", credentials.account, credentials.url) }
    }

    /// The session, if there is one.
    pub fn read(&self) -> Option<String> {
        self.all().remove(&self.key)
    }

    /// Keeps a session, or forgets it.
    pub fn write(&self, session: Option<&str>) -> anyhow::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let mut all = self.all();
        match session {
            Some(session) => drop(all.insert(self.key.clone(), session.to_owned())),
            None if all.remove(&self.key).is_none() => return Ok(()),
            None => {}
        }
        let directory = path.parent().context("the file of sessions has no directory")?;
        std::fs::create_dir_all(directory).with_context(|| format!("{} cannot be made", directory.display()))?;
        // Readable by its owner alone from the start, and whole at any time.
        let mut file = tempfile::NamedTempFile::new_in(directory)
            .with_context(|| format!("{} cannot be written", directory.display()))?;
        file.write_all(&serde_json::to_vec(&all)?)?;
        file.persist(path)?;
        Ok(())
    }

    /// A file that others could have read or written is as good as none.
    fn all(&self) -> BTreeMap<String, String> {
        let path = self.path.as_deref().filter(|path| private(path).is_ok());
        let text = path.and_then(|path| std::fs::read(path).ok());
        text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }
}
