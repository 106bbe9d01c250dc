//! The agent's configuration, `/etc/gantry/agent.toml`.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use gantry_common::{
    agent::{DEFAULT_EXPORT_PORT, DEFAULT_PORT},
    id::{HostUuid, NodeUuid},
    join::TokenId,
};
use serde::{Deserialize, Serialize};

/// Where the configuration is unless `--config` says otherwise.
pub const DEFAULT_PATH: &str = "/etc/gantry/agent.toml";

/// The agent's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// This host.
    pub host_uuid: HostUuid,
    /// The management node it belongs to.
    pub node_uuid: NodeUuid,
    /// Where the agent listens.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// The directory with `ca.pem`, `cert.pem` and `key.pem`.
    #[serde(default = "default_tls_dir")]
    pub tls_dir: PathBuf,
    /// Whether guests may be emulated where the processor has no hardware virtualisation.
    #[serde(default)]
    pub allow_emulation: bool,
    /// What outlives a restart of the agent but not of the host.
    #[serde(default = "default_run_dir")]
    pub run_dir: PathBuf,
    /// Where the guests' serial lines are recorded, under `serial/`.
    #[serde(default = "default_log_dir")]
    pub log_dir: PathBuf,
    /// Where exported images are served over HTTP; on the port after the agent's where it is left out.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub export_listen: Option<SocketAddr>,
    /// Where it is noted which images are exported.
    #[serde(default = "default_export_dir")]
    pub export_dir: PathBuf,
    /// The token with which the host joined, if it did so by `gantry-agent join`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub joined_with: Option<TokenId>,
}

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {reason}; add the host on the management node, or run `gantry-agent join`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// The file is not valid.
    #[error("{}: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Which field, and what is wrong with it.
        reason: String,
    },
}

impl Config {
    /// A configuration with the usual values.
    pub fn new(host_uuid: HostUuid, node_uuid: NodeUuid) -> Self {
        Self {
            host_uuid,
            node_uuid,
            listen: default_listen(),
            tls_dir: default_tls_dir(),
            allow_emulation: false,
            run_dir: default_run_dir(),
            log_dir: default_log_dir(),
            export_listen: None,
            export_dir: default_export_dir(),
            joined_with: None,
        }
    }

    /// Where exported images are served.
    pub fn export_address(&self) -> SocketAddr {
        self.export_listen.unwrap_or_else(|| (self.listen.ip(), DEFAULT_EXPORT_PORT).into())
    }

    /// Reads and checks the file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text =
            fs::read_to_string(path).map_err(|reason| ConfigError::Unreadable { path: path.to_owned(), reason })?;
        Self::parse(&text).map_err(|reason| ConfigError::Invalid { path: path.to_owned(), reason })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        for (field, listen) in [("listen", Some(config.listen)), ("export_listen", config.export_listen)] {
            if let Some(listen) = listen.filter(|listen| listen.port() == 0) {
                return Err(format!("{field} '{listen}' is not usable: the port must be from 1 to 65535"));
            }
        }
        let paths = [
            ("tls_dir", &config.tls_dir),
            ("run_dir", &config.run_dir),
            ("log_dir", &config.log_dir),
            ("export_dir", &config.export_dir),
        ];
        for (field, path) in paths {
            if !path.is_absolute() {
                return Err(format!("{field} '{}' is not usable: it must be an absolute path", path.display()));
            }
        }
        Ok(config)
    }
}

fn default_listen() -> SocketAddr {
    (Ipv4Addr::UNSPECIFIED, DEFAULT_PORT).into()
}

fn default_tls_dir() -> PathBuf {
    "/etc/gantry/tls".into()
}

fn default_run_dir() -> PathBuf {
    "/run/gantry".into()
}

fn default_export_dir() -> PathBuf {
    "/var/lib/gantry/exports".into()
}

fn default_log_dir() -> PathBuf {
    "/var/log/gantry".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUIDS: &str =
        "host_uuid = \"8aef7e3a53b34eedaa05027a919156d9\"\nnode_uuid = \"8aef7e3a53b34eedaa05027a919156d8\"\n";

    #[test]
    fn the_two_uuids_are_enough() {
        let config = Config::parse(UUIDS).unwrap();
        assert_eq!(config, Config::new(config.host_uuid, config.node_uuid));
        assert_eq!(config.listen.to_string(), "0.0.0.0:7272");
        assert!(!config.allow_emulation);
    }

    #[test]
    fn what_is_written_is_read() {
        let config = Config {
            listen: "[::1]:1".parse().unwrap(),
            allow_emulation: true,
            joined_with: Some([1; 16].into()),
            ..Config::new(HostUuid::random(), NodeUuid::random())
        };
        assert_eq!(Config::parse(&toml::to_string(&config).unwrap()), Ok(config));
    }

    #[test]
    fn errors_name_the_field() {
        for (text, field) in [
            ("", "host_uuid"),
            ("host_uuid = \"8aef\"", "host_uuid"),
            (&format!("{UUIDS}listen = \"7272\""), "listen"),
            (&format!("{UUIDS}listen = \"0.0.0.0:0\""), "listen"),
            (&format!("{UUIDS}export_listen = \"0.0.0.0:0\""), "export_listen"),
            (&format!("{UUIDS}export_dir = \"exports\""), "export_dir"),
            (&format!("{UUIDS}tls_dir = \"tls\""), "tls_dir"),
            (&format!("{UUIDS}run_dir = \"run\""), "run_dir"),
            (&format!("{UUIDS}log_dir = \"log\""), "log_dir"),
            (&format!("{UUIDS}allow_emulation = 1"), "allow_emulation"),
            (&format!("{UUIDS}emulate = true"), "emulate"),
        ] {
            let error = Config::parse(text).unwrap_err();
            assert!(error.contains(field), "{field}: {error}");
        }
        let missing = Config::load(Path::new("/nonexistent/agent.toml")).unwrap_err();
        assert!(missing.to_string().contains("/nonexistent/agent.toml"));
    }
}
