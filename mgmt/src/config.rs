//! The node's settings: from `/etc/gantry/mgmt.toml`, the environment (`GANTRY_…`) and the command line, the later over
//! the earlier.

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
    /// See [`Config::cpu_overcommit`].
    pub cpu_overcommit: Option<f64>,
    /// See [`Config::memory_overcommit`].
    pub memory_overcommit: Option<f64>,
    /// See [`Config::storage_overcommit`].
    pub storage_overcommit: Option<f64>,
    /// See [`Config::host_reserved_memory_bytes`].
    pub host_reserved_memory_bytes: Option<u64>,
    /// See [`Config::stop_grace_seconds`].
    pub stop_grace_seconds: Option<u32>,
}

/// The settings in force.
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
    /// How many virtual processors may be promised for each processor of a host.
    pub cpu_overcommit: f64,
    /// How much memory may be promised for each byte a host has above its reserve.
    pub memory_overcommit: f64,
    /// How much disk may be promised for each byte of a primary storage.
    pub storage_overcommit: f64,
    /// Memory of each host that no VM gets.
    pub host_reserved_memory_bytes: u64,
    /// How long a guest has to shut down before it is stopped by force.
    pub stop_grace_seconds: u32,
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
            cpu_overcommit: read("GANTRY_CPU_OVERCOMMIT")?,
            memory_overcommit: read("GANTRY_MEMORY_OVERCOMMIT")?,
            storage_overcommit: read("GANTRY_STORAGE_OVERCOMMIT")?,
            host_reserved_memory_bytes: read("GANTRY_HOST_RESERVED_MEMORY_BYTES")?,
            stop_grace_seconds: read("GANTRY_STOP_GRACE_SECONDS")?,
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
            cpu_overcommit: self.cpu_overcommit.or(other.cpu_overcommit),
            memory_overcommit: self.memory_overcommit.or(other.memory_overcommit),
            storage_overcommit: self.storage_overcommit.or(other.storage_overcommit),
            host_reserved_memory_bytes: self.host_reserved_memory_bytes.or(other.host_reserved_memory_bytes),
            stop_grace_seconds: self.stop_grace_seconds.or(other.stop_grace_seconds),
        }
    }

    /// The settings in force, with defaults for what nobody set.
    pub fn finish(self) -> anyhow::Result<Config> {
        let beside = || {
            std::env::current_exe()
                .ok()
                .and_then(|program| Some(program.parent()?.join("gantry-agent")))
                .unwrap_or_else(|| PathBuf::from("/usr/local/bin/gantry-agent"))
        };
        let config = Config {
            data: self.data.unwrap_or_else(|| PathBuf::from("/var/lib/gantry")),
            listen: self.listen.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 8080))),
            agent_binary: self.agent_binary.unwrap_or_else(beside),
            allow_emulation: self.allow_emulation.unwrap_or(false),
            cpu_overcommit: self.cpu_overcommit.unwrap_or(10.0),
            memory_overcommit: self.memory_overcommit.unwrap_or(1.0),
            storage_overcommit: self.storage_overcommit.unwrap_or(1.0),
            host_reserved_memory_bytes: self.host_reserved_memory_bytes.unwrap_or(1 << 30),
            stop_grace_seconds: self.stop_grace_seconds.unwrap_or(60),
            limits: Limits::default(),
        };
        for (name, ratio) in [
            ("cpu_overcommit", config.cpu_overcommit),
            ("memory_overcommit", config.memory_overcommit),
            ("storage_overcommit", config.storage_overcommit),
        ] {
            if !ratio.is_finite() || !(0.01..=1000.0).contains(&ratio) {
                bail!("{name} {ratio} cannot be used: it must lie between 0.01 and 1000");
            }
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_goes_over_the_environment_and_the_file() {
        let file = Overrides { cpu_overcommit: Some(2.0), stop_grace_seconds: Some(5), ..Overrides::default() };
        let line = Overrides { cpu_overcommit: Some(3.0), ..Overrides::default() };
        let config = line.or(file).finish().unwrap();
        assert_eq!((config.cpu_overcommit, config.stop_grace_seconds), (3.0, 5));
    }

    #[test]
    fn a_senseless_ratio_is_refused_by_name() {
        let wrong = Overrides { memory_overcommit: Some(0.0), ..Overrides::default() };
        assert!(wrong.finish().unwrap_err().to_string().contains("memory_overcommit 0"));
    }
}
