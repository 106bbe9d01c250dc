//! The end of a host's membership: what makes it a host of its management node is deleted, and the agent ends.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use gantry_common::agent::AgentError;
use nix::sys::signal::{Signal, raise};
use tokio::process::Command;

use crate::config::Config;

/// The agent's service.
const UNIT: &str = "gantry-agent.service";

/// Long enough for the reply to leave before the agent does.
const FAREWELL: Duration = Duration::from_millis(500);

/// What is deleted when the host's membership ends.
#[derive(Debug, Clone)]
pub struct Membership {
    files: Vec<PathBuf>,
}

impl Membership {
    /// The membership that a configuration file describes.
    pub fn new(config_path: &Path, config: &Config) -> Self {
        let tls = ["key.pending.pem", "key.pem", "cert.pem", "ca.pem"].map(|name| config.tls_dir.join(name));
        // The configuration first: it says whose host this is. Directories go when nothing else is in them.
        let mut files = vec![config_path.to_owned()];
        files.extend(tls);
        files.push(config.tls_dir.clone());
        files.extend(config_path.parent().map(Path::to_owned));
        Self { files }
    }

    /// Deletes it. What is gone already is a success.
    ///
    /// # Errors
    /// [`AgentError::File`] names what could not be deleted.
    pub fn delete(&self) -> Result<(), AgentError> {
        for path in &self.files {
            let deleted = if path.is_dir() { std::fs::remove_dir(path) } else { std::fs::remove_file(path) };
            match deleted {
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => {}
                other => other.map_err(|error| AgentError::file(path, error))?,
            }
        }
        Ok(())
    }
}

/// Ends the agent, soon, and keeps systemd from starting it again.
pub fn leave() {
    tokio::spawn(async {
        tokio::time::sleep(FAREWELL).await;
        // Set by systemd for what it runs (systemd.exec(5)).
        let stopped = std::env::var_os("INVOCATION_ID").is_some()
            && Command::new("systemctl")
                .args(["disable", "--now", "--no-block", "--quiet", UNIT])
                .status()
                .await
                .is_ok_and(|status| status.success());
        if !stopped && let Err(error) = raise(Signal::SIGTERM) {
            tracing::error!("the agent cannot end itself: {error}");
        }
    });
}

#[cfg(test)]
mod tests {
    use gantry_common::id::{HostUuid, NodeUuid};

    use super::*;

    #[test]
    fn the_membership_goes_twice_and_what_else_is_there_stays() {
        let dir = tempfile::tempdir().unwrap();
        let config_path = dir.path().join("agent.toml");
        let config = Config { tls_dir: dir.path().join("tls"), ..Config::new(HostUuid::random(), NodeUuid::random()) };
        std::fs::create_dir(&config.tls_dir).unwrap();
        for path in [&config_path, &config.tls_dir.join("key.pem"), &dir.path().join("mgmt.toml")] {
            std::fs::write(path, "x").unwrap();
        }
        let membership = Membership::new(&config_path, &config);
        for _ in 0..2 {
            membership.delete().unwrap();
        }
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["mgmt.toml"]);
    }
}
