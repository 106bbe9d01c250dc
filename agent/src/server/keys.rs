//! A host's certificate, its key and the authority it trusts, checked against each other.

use std::{sync::Arc, time::SystemTime};

use gantry_common::certificate::{CertificateFacts, InvalidCertificate};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::{ResolvesClientCert, Resumption},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
    server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::CertifiedKey,
    version::TLS13,
};

/// A host's certificate with its key, and the authority it trusts.
#[derive(Debug, Clone)]
pub struct Keys {
    certificate: Arc<CertifiedKey>,
    facts: CertificateFacts,
    trusted: Arc<RootCertStore>,
}

/// A certificate, key or authority that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A text is not PEM of the needed kind.
    #[error("the {what} is not valid PEM: {reason}")]
    Pem {
        /// Which text.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The certificate is none of Gantry's.
    #[error(transparent)]
    Certificate(#[from] InvalidCertificate),
    /// The key is not that of the certificate.
    #[error("the private key does not belong to the certificate")]
    Mismatch,
    /// There is no key.
    #[error("there is no private key")]
    NoKey,
    /// The certificate is not signed by the authority, or not valid now.
    #[error("the certificate is not accepted under the given authority: {0}")]
    Untrusted(rustls::Error),
    /// The authority cannot be used.
    #[error("the authority cannot be used: {0}")]
    Authority(VerifierBuilderError),
    /// TLS cannot be set up with them.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

impl Keys {
    /// Reads the three texts. It is not checked here that the certificate is valid now: an agent whose certificate has
    /// expired still starts, and says so to those who connect.
    pub fn new(certificate_pem: &str, key_pem: &str, ca_pem: &str) -> Result<Self, KeyError> {
        let chain = certificates("certificate", certificate_pem)?;
        let facts = CertificateFacts::from_der(&chain[0])?;
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes())
            .map_err(|error| KeyError::Pem { what: "private key", reason: error.to_string() })?;
        let certificate = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => KeyError::Mismatch,
            other => KeyError::Tls(other),
        })?;
        let mut trusted = RootCertStore::empty();
        for authority in certificates("authority", ca_pem)? {
            trusted.add(authority)?;
        }
        Ok(Self { certificate: Arc::new(certificate), facts, trusted: Arc::new(trusted) })
    }

    /// Whose certificate it is and how long it lasts.
    pub fn facts(&self) -> &CertificateFacts {
        &self.facts
    }

    /// The certificate with its key.
    pub fn certificate(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certificate)
    }

    /// Whether `certificate_pem` is this certificate.
    pub fn is_certificate(&self, certificate_pem: &str) -> bool {
        certificates("certificate", certificate_pem).is_ok_and(|chain| chain == self.certificate.cert)
    }

    /// Whether the certificate is signed by the trusted authority and valid now.
    pub fn check_trusted(&self) -> Result<(), KeyError> {
        let [certificate, intermediates @ ..] = self.certificate.cert.as_slice() else {
            return Err(KeyError::Untrusted(rustls::Error::NoCertificatesPresented));
        };
        let now =
            UnixTime::since_unix_epoch(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
        self.verifier()?.verify_client_cert(certificate, intermediates, now).map(drop).map_err(KeyError::Untrusted)
    }

    fn verifier(&self) -> Result<Arc<dyn ClientCertVerifier>, KeyError> {
        WebPkiClientVerifier::builder_with_provider(Arc::clone(&self.trusted), provider())
            .build()
            .map_err(KeyError::Authority)
    }

    /// TLS for the node and peers that connect: they must show a certificate of the same authority.
    pub fn server_config(&self) -> Result<ServerConfig, KeyError> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(self.verifier()?)
            .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(Arc::clone(&self.certificate))));
        // Every connection shows its certificate anew: a resumed one would outlive it.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    /// TLS towards agents of the same authority, with the certificate that `resolver` gives.
    pub fn client_config(&self, resolver: Arc<dyn ResolvesClientCert>) -> Result<ClientConfig, KeyError> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(Arc::clone(&self.trusted))
            .with_client_cert_resolver(resolver);
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

/// The certificates in a PEM text, at least one.
fn certificates(what: &'static str, pem: &str) -> Result<Vec<CertificateDer<'static>>, KeyError> {
    let unreadable = |reason: String| KeyError::Pem { what, reason };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| unreadable(error.to_string()))?;
    if chain.is_empty() { Err(unreadable("no certificate in it".to_owned())) } else { Ok(chain) }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
