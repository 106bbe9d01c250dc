//! What the node is started with: from `/etc/gantry/mgmt.toml`, the environment (`GANTRY_…`) and the command line, the later over
//! the earlier. What can change while it runs is in [`crate::settings`].

use std::{net::SocketAddr, path::PathBuf};

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::api::Limits;

/// Where the configuration file is unless told otherwise.
pub const DEFAULT_FILE: &str = "/etc/gantry/mgmt.toml";

/// What a file or the environment may set.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overrides {
    /// See [`Config::data`].
    pub data: Option<PathBuf>,
    /// See [`Config::listen`].
    pub listen: Option<SocketAddr>,
    /// See [`Config::agent_binary`].
    pub agent_binary: Option<PathBuf>,
    /// See [`Config::allow_emulation`].
    pub allow_emulation: Option<bool>,
}

/// What the node was started with.
#[derive(Debug, Clone)]
pub struct Config {
    /// The directory of the database, the CA and the keys.
    pub data: PathBuf,
    /// Where the API is served.
    pub listen: SocketAddr,
    /// The agent program that is brought to hosts; it stands beside this program unless told otherwise.
    pub agent_binary: PathBuf,
    /// Whether hosts without hardware virtualisation are taken; their guests are emulated, and slow.
    pub allow_emulation: bool,
    /// What clients may take of the node.
    pub limits: Limits,
}

impl Overrides {
    /// Reads a configuration file. One that does not exist sets nothing, unless it was asked for by name.
    pub fn from_file(path: &std::path::Path, asked_for: bool) -> anyhow::Result<Self> {
        match std::fs::read_to_string(path) {
            Ok(text) => toml::from_str(&text).with_context(|| format!("{} cannot be used", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !asked_for => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
        }
    }

    /// Reads the environment.
    pub fn from_environment() -> anyhow::Result<Self> {
        fn read<T: std::str::FromStr>(name: &str) -> anyhow::Result<Option<T>>
        where
            T::Err: std::fmt::Display,
        {
            match std::env::var(name) {
                Ok(value) => match value.parse() {
                    Ok(parsed) => Ok(Some(parsed)),
                    Err(error) => bail!("the environment's {name}='{value}' cannot be used: {error}"),
                },
                Err(_) => Ok(None),
            }
        }
        Ok(Self {
            data: read("GANTRY_DATA")?,
            listen: read("GANTRY_LISTEN")?,
            agent_binary: read("GANTRY_AGENT_BINARY")?,
            allow_emulation: read("GANTRY_ALLOW_EMULATION")?,
        })
    }

    /// These settings, and the other ones where these say nothing.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            data: self.data.or(other.data),
            listen: self.listen.or(other.listen),
            agent_binary: self.agent_binary.or(other.agent_binary),
            allow_emulation: self.allow_emulation.or(other.allow_emulation),
        }
    }

    /// What is in force, with defaults for what nobody set.
    pub fn finish(self) -> Config {
        let beside = || {
            std::env::current_exe()
                .ok()
                .and_then(|program| Some(program.parent()?.join("gantry-agent")))
                .unwrap_or_else(|| PathBuf::from("/usr/local/bin/gantry-agent"))
        };
        Config {
            data: self.data.unwrap_or_else(|| PathBuf::from("/var/lib/gantry")),
            listen: self.listen.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 8080))),
            agent_binary: self.agent_binary.unwrap_or_else(beside),
            allow_emulation: self.allow_emulation.unwrap_or(false),
            limits: Limits::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_goes_over_the_environment_and_the_file() {
        let listen = |port| Some(SocketAddr::from(([127, 0, 0, 1], port)));
        let file = Overrides { listen: listen(1), allow_emulation: Some(true), ..Overrides::default() };
        let line = Overrides { listen: listen(2), ..Overrides::default() };
        let config = line.or(file).finish();
        assert_eq!((config.listen.port(), config.allow_emulation), (2, true));
    }
}
