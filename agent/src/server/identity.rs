//! Who this agent is towards others, and how it gets its next certificate while it runs.

use std::sync::Arc;

use gantry_common::{
    agent::{AgentError, CertificateRequest, InstallCertificate},
    id::HostUuid,
    role::Role,
};
use parking_lot::Mutex;
use rcgen::{CertificateParams, KeyPair};
use rustls::{ClientConfig, ServerConfig, SignatureScheme, client::ResolvesClientCert, sign::CertifiedKey};
use zeroize::Zeroizing;

use super::{
    keys::{KeyError, Keys},
    tls_files::{Stamp, TlsFileError, TlsFiles},
};

/// This host's certificate and key, which may be replaced at any time.
pub struct Identity {
    host: HostUuid,
    state: Mutex<State>,
}

struct State {
    keys: Keys,
    server: Arc<ServerConfig>,
    store: Store,
}

/// Where certificate and key live.
enum Store {
    /// In files, which somebody else may replace too.
    Files { files: TlsFiles, stamp: Stamp },
    /// Only here: a simulated host's.
    Memory { pending_key: Option<Zeroizing<String>> },
}

/// The identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The TLS files are not usable.
    #[error("{0}; add the host again on the management node, or run `gantry-agent join` with a new token")]
    Files(#[from] TlsFileError),
    /// The certificate, key or authority are not usable.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The certificate is another host's.
    #[error("the certificate is for {found}, but this host is {host}; add the host again on the management node")]
    OtherHost {
        /// This host.
        host: HostUuid,
        /// Whose the certificate is.
        found: Role,
    },
}

impl Identity {
    /// The identity of `host` in `files`.
    pub fn from_files(host: HostUuid, files: TlsFiles) -> Result<Self, IdentityError> {
        let stamp = files.stamp();
        let keys = files.load()?;
        Self::new(host, keys, Store::Files { files, stamp })
    }

    /// An identity without files, for a simulated host.
    pub fn in_memory(
        host: HostUuid,
        certificate_pem: &str,
        key_pem: &str,
        ca_pem: &str,
    ) -> Result<Self, IdentityError> {
        let keys = Keys::new(certificate_pem, key_pem, ca_pem)?;
        Self::new(host, keys, Store::Memory { pending_key: None })
    }

    fn new(host: HostUuid, keys: Keys, store: Store) -> Result<Self, IdentityError> {
        check_owner(host, &keys)?;
        let server = Arc::new(keys.server_config()?);
        Ok(Self { host, state: Mutex::new(State { keys, server, store }) })
    }

    /// The host.
    pub fn host(&self) -> HostUuid {
        self.host
    }

    /// The certificate and key as they are now.
    pub fn keys(&self) -> Keys {
        let mut state = self.state.lock();
        state.reload_if_replaced(self.host);
        state.keys.clone()
    }

    /// TLS for the next connection. Files that were replaced are read anew; where they cannot be used, the former
    /// identity stays.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        let mut state = self.state.lock();
        state.reload_if_replaced(self.host);
        Arc::clone(&state.server)
    }

    /// TLS towards peers' agents, which must show the certificate of the host they are dialled as. It shows the
    /// certificate this host has at the time.
    pub fn client_config(self: &Arc<Self>) -> Result<ClientConfig, KeyError> {
        self.keys().client_config(Arc::new(CurrentCertificate(Arc::clone(self))))
    }

    /// A signing request for the next certificate. Its key stays here, and is the same until it has its certificate.
    pub fn request_certificate(&self) -> Result<CertificateRequest, AgentError> {
        let mut state = self.state.lock();
        let csr_pem = match &mut state.store {
            Store::Files { files, .. } => pending_request(files).map_err(file_error)?,
            Store::Memory { pending_key } => {
                let key = match pending_key {
                    Some(pem) => KeyPair::from_pem(pem).map_err(|error| key_error(&error))?,
                    None => KeyPair::generate().map_err(|error| key_error(&error))?,
                };
                *pending_key = Some(Zeroizing::new(key.serialize_pem()));
                signing_request(&key).map_err(|error| key_error(&error))?
            }
        };
        Ok(CertificateRequest { csr_pem })
    }

    /// Takes the certificate that answers the last request. The same certificate again changes nothing.
    pub fn install_certificate(&self, new: &InstallCertificate) -> Result<(), AgentError> {
        let mut state = self.state.lock();
        if state.keys.is_certificate(&new.certificate_pem) {
            return Ok(());
        }
        let refuse = |reason: String| AgentError::invalid("certificate_pem", "(a certificate)", reason);
        let pending = match &state.store {
            Store::Files { files, .. } => files.read_pending_key().map_err(file_error)?,
            Store::Memory { pending_key } => pending_key.clone(),
        };
        let pending = pending.ok_or_else(|| refuse("ask for a signing request first".to_owned()))?;
        let keys = Keys::new(&new.certificate_pem, &pending, &new.ca_pem).map_err(|error| refuse(error.to_string()))?;
        check_owner(self.host, &keys).map_err(|error| refuse(error.to_string()))?;
        keys.check_trusted().map_err(|error| refuse(error.to_string()))?;
        let server = Arc::new(keys.server_config().map_err(|error| refuse(error.to_string()))?);
        match &mut state.store {
            Store::Files { files, stamp } => {
                files.install(&new.certificate_pem, &new.ca_pem).map_err(file_error)?;
                *stamp = files.stamp();
            }
            Store::Memory { pending_key } => *pending_key = None,
        }
        state.keys = keys;
        state.server = server;
        Ok(())
    }
}

/// Shows the certificate as it is when a connection is made.
struct CurrentCertificate(Arc<Identity>);

impl std::fmt::Debug for CurrentCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("CurrentCertificate").field(&self.0.host).finish()
    }
}

impl ResolvesClientCert for CurrentCertificate {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.keys().certificate())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl State {
    fn reload_if_replaced(&mut self, host: HostUuid) {
        let Store::Files { files, stamp } = &mut self.store else { return };
        let found = files.stamp();
        if *stamp == found {
            return;
        }
        let loaded = files.load().map_err(IdentityError::from).and_then(|keys| {
            check_owner(host, &keys)?;
            let server = Arc::new(keys.server_config()?);
            Ok((keys, server))
        });
        match loaded {
            Ok((keys, server)) => {
                tracing::info!("the TLS files were replaced; new connections use them");
                *stamp = files.stamp();
                self.keys = keys;
                self.server = server;
            }
            Err(error) => {
                // The stamp stays as it was, so that the next connection looks again.
                tracing::warn!("the TLS files were replaced, but the former ones stay in use: {error}");
            }
        }
    }
}

/// A signing request over the pending key in `files`, which is made if there is none.
pub fn pending_request(files: &TlsFiles) -> Result<String, TlsFileError> {
    let content =
        |error: rcgen::Error| files.content_error(KeyError::Pem { what: "pending key", reason: error.to_string() });
    let key = match files.read_pending_key()? {
        Some(pem) => KeyPair::from_pem(&pem).map_err(content)?,
        None => {
            let key = KeyPair::generate().map_err(content)?;
            files.write_pending_key(&Zeroizing::new(key.serialize_pem()))?;
            key
        }
    };
    signing_request(&key).map_err(content)
}

/// The names in a certificate are the node's to give, so the request has none.
fn signing_request(key: &KeyPair) -> Result<String, rcgen::Error> {
    CertificateParams::default().serialize_request(key)?.pem()
}

fn check_owner(host: HostUuid, keys: &Keys) -> Result<(), IdentityError> {
    let found = keys.facts().role;
    if found == Role::Host(host) { Ok(()) } else { Err(IdentityError::OtherHost { host, found }) }
}

fn file_error(error: TlsFileError) -> AgentError {
    match error {
        TlsFileError::Io { path, reason } => AgentError::file(path, reason),
        TlsFileError::Content { directory, reason } => AgentError::file(directory, reason),
    }
}

fn key_error(error: &rcgen::Error) -> AgentError {
    AgentError::Internal { reason: format!("a key could not be made: {error}") }
}
