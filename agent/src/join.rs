//! `gantry-agent join`: makes a host that was installed from an image one of a management node's.
//!
//! The configuration is written before the certificate, and the key lasts until then: whatever is interrupted, the same
//! call with the same token goes on from there.

use std::{fs, io, net::IpAddr, os::unix::fs::DirBuilderExt, path::PathBuf, time::Duration};

use gantry_common::{
    join::{Applicant, InvalidToken, JOIN_PATH, JoinReply, JoinRequest, JoinToken, ProofMismatch},
    role::Role,
};
use reqwest::{Client, Url};
use serde::Deserialize;

use crate::{
    config::{Config, ConfigError},
    host::local_facts,
    server::{
        identity::{Identity, pending_request},
        keys::{KeyError, Keys},
        tls_files::{TlsFileError, TlsFiles, write_secret},
    },
};

/// How long the node may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The longest answer that is read. A reply has a few kilobytes.
const MAX_REPLY_BYTES: usize = 1 << 20;

/// How to join.
#[derive(Debug, Clone)]
pub struct Joining {
    /// The one-time token.
    pub token: JoinToken,
    /// The management node's base URL, such as `http://10.0.0.1:8080`.
    pub server: Url,
    /// The address the node shall dial, if not the one this host's request comes from.
    pub address: Option<IpAddr>,
    /// The file the configuration goes to.
    pub config_path: PathBuf,
    /// The configuration's other values. Its uuids are replaced by those the node gives.
    pub template: Config,
}

/// Why the host did not join.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The token cannot be read.
    #[error(transparent)]
    Token(#[from] InvalidToken),
    /// The host belongs to a node already.
    #[error(
        "this host already belongs to management node {} as host {} ({}); to have it join anew, delete it there, then \
         delete that file and {}",
        config.node_uuid, config.host_uuid, path.display(), config.tls_dir.display()
    )]
    Joined {
        /// The configuration's file.
        path: PathBuf,
        /// The configuration.
        config: Box<Config>,
    },
    /// The configuration that is there cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The TLS files cannot be written or used.
    #[error(transparent)]
    Files(#[from] TlsFileError),
    /// A directory cannot be made.
    #[error("{}: {reason}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// The node could not be asked.
    #[error("{url} could not be asked: {reason}; check --server, and that the management node is up")]
    Unreachable {
        /// The URL.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// The node refused.
    #[error("{url} refused: {reason}")]
    Refused {
        /// The URL.
        url: String,
        /// Why.
        reason: String,
    },
    /// The answer is not from who made the token.
    #[error("the answer of {url} is not trusted: {reason}")]
    Reply {
        /// The URL.
        url: String,
        /// What is wrong.
        reason: ProofMismatch,
    },
    /// The certificate in the answer cannot be used.
    #[error("the certificate that {url} gave is not usable: {reason}; check this host's clock")]
    Certificate {
        /// The URL.
        url: String,
        /// What is wrong.
        reason: Box<KeyError>,
    },
}

impl Joining {
    /// Joins; answers the configuration that was written. A host that has joined by the same token stays as it is.
    pub async fn join(self, client: &Client) -> Result<Config, JoinError> {
        if let Some(config) = self.already_joined()? {
            return Ok(config);
        }
        let files = TlsFiles::new(&self.template.tls_dir);
        for directory in [self.config_path.parent(), Some(self.template.tls_dir.as_path())].into_iter().flatten() {
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
            made.map_err(|reason| JoinError::Directory { path: directory.to_owned(), reason })?;
        }
        let url = self.url();
        let request = JoinRequest::new(&self.token, self.applicant(pending_request(&files)?));
        let reply = ask(client, &url, &request).await?;
        reply
            .verify(self.token.secret(), &request)
            .map_err(|reason| JoinError::Reply { url: url.to_string(), reason })?;
        let membership = reply.membership;
        let config = Config {
            host_uuid: membership.host_uuid,
            node_uuid: membership.node_uuid,
            joined_with: Some(self.token.id()),
            ..self.template
        };
        check(&files, &config, &membership.certificate_pem, &membership.ca_pem)?
            .map_err(|reason| JoinError::Certificate { url: url.to_string(), reason: Box::new(reason) })?;
        // Only strings, numbers and paths that were UTF-8: it can be written as TOML.
        let text = toml::to_string(&config)
            .map_err(|error| ConfigError::Invalid { path: self.config_path.clone(), reason: error.to_string() })?;
        write_secret(&self.config_path, text.as_bytes())?;
        files.install(&membership.certificate_pem, &membership.ca_pem)?;
        Ok(config)
    }

    /// The configuration of a host that has joined by the same token; `None` if there is still something to do.
    fn already_joined(&self) -> Result<Option<Config>, JoinError> {
        let config = match Config::load(&self.config_path) {
            Err(ConfigError::Unreadable { reason, .. }) if reason.kind() == io::ErrorKind::NotFound => return Ok(None),
            loaded => loaded?,
        };
        if config.joined_with != Some(self.token.id()) {
            return Err(JoinError::Joined { path: self.config_path.clone(), config: Box::new(config) });
        }
        let identity = Identity::from_files(config.host_uuid, TlsFiles::new(&config.tls_dir));
        Ok(identity.is_ok().then_some(config))
    }

    fn url(&self) -> Url {
        let mut url = self.server.clone();
        url.set_path(&format!("{}{JOIN_PATH}", self.server.path().trim_end_matches('/')));
        url
    }

    fn applicant(&self, csr_pem: String) -> Applicant {
        let facts = local_facts();
        Applicant {
            csr_pem,
            hostname: facts.hostname,
            address: self.address,
            port: self.template.listen.port(),
            agent_version: facts.agent_version,
            operating_system: facts.operating_system,
        }
    }
}

/// Whether the certificate fits the pending key and is valid for the host.
fn check(
    files: &TlsFiles,
    config: &Config,
    certificate_pem: &str,
    ca_pem: &str,
) -> Result<Result<(), KeyError>, TlsFileError> {
    let Some(key) = files.read_pending_key()? else { return Ok(Err(KeyError::NoKey)) };
    Ok(Keys::new(certificate_pem, &key, ca_pem).and_then(|keys| {
        keys.check_trusted()?;
        if keys.facts().role == Role::Host(config.host_uuid) { Ok(()) } else { Err(KeyError::Mismatch) }
    }))
}

async fn ask(client: &Client, url: &Url, request: &JoinRequest) -> Result<JoinReply, JoinError> {
    let unreachable = |reason: String| JoinError::Unreachable { url: url.to_string(), reason };
    let asked = client.post(url.clone()).json(request).timeout(TIMEOUT).send().await;
    let mut response = asked.map_err(|error| unreachable(text(&error)))?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(text(&error)))? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_REPLY_BYTES {
            return Err(unreachable(format!("its answer has more than {MAX_REPLY_BYTES} bytes")));
        }
    }
    if status.is_success() {
        return serde_json::from_slice(&body)
            .map_err(|error| unreachable(format!("it does not answer a join: {error}")));
    }
    let reason = match serde_json::from_slice::<Refusal>(&body) {
        Ok(refusal) => refusal.error.details,
        Err(_) => format!("{status}"),
    };
    Err(JoinError::Refused { url: url.to_string(), reason })
}

#[derive(Deserialize)]
struct Refusal {
    error: gantry_common::error::ErrorCode,
}

/// An error with what led to it: reqwest's own text names only the URL.
fn text(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        let separator = if text.is_empty() { "" } else { ": " };
        text = format!("{text}{separator}{error}");
        source = error.source();
    }
    if text.is_empty() { error.to_string() } else { text }
}
