//! The node's own certificate authority: it names the node towards its hosts and the hosts towards the node.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use gantry_common::{certificate::CertificateFacts, id::HostUuid, role::Role};
use parking_lot::Mutex;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SerialNumber,
};
use rustls::{
    ClientConfig, RootCertStore, SignatureScheme,
    client::{ResolvesClientCert, Resumption},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
    version::TLS13,
};
use zeroize::Zeroizing;

const DAY: Duration = Duration::from_secs(24 * 3600);
const AUTHORITY_LIFE: Duration = Duration::from_secs(20 * 365 * 24 * 3600);
const CERTIFICATE_LIFE: Duration = Duration::from_secs(365 * 24 * 3600);

/// How far in the past a certificate starts, for hosts whose clock is behind.
const CLOCK_TOLERANCE: Duration = DAY;

/// Holds key and certificate together, so that there is never one without the other.
const AUTHORITY_FILE: &str = "authority.pem";

/// The certificate authority of one management node.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
    certificate: CertificateDer<'static>,
}

/// What a host needs to be one of this node's.
#[derive(Clone)]
pub struct HostIdentity {
    /// The host's certificate.
    pub certificate_pem: String,
    /// Its key.
    pub key_pem: Zeroizing<String>,
    /// The authority's certificate.
    pub ca_pem: String,
}

/// The authority could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// The authority's file could not be read or written.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// Others can read the authority's key.
    #[error("{} can be read by others (mode {mode:o}); run `chmod 600` on it", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The authority's file is damaged.
    #[error("{} is damaged: {reason}; restore it from a backup, or delete it and add every host again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A signing request cannot be used.
    #[error("the signing request is not usable: {0}")]
    Request(rcgen::Error),
    /// A certificate could not be made.
    #[error("a certificate could not be made: {0}")]
    Issue(#[from] rcgen::Error),
    /// TLS could not be set up.
    #[error("TLS could not be set up: {0}")]
    Tls(#[from] rustls::Error),
}

impl Authority {
    /// The authority in `directory`, which is made at the first start.
    pub fn open_or_create(directory: &Path) -> Result<Arc<Self>, PkiError> {
        let path = directory.join(AUTHORITY_FILE);
        let at = |path: &Path| {
            let path = path.to_owned();
            move |reason| PkiError::File { path, reason }
        };
        if !path.try_exists().map_err(at(&path))? {
            DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(at(directory))?;
            match write_new(&path, &new_authority()?) {
                // Somebody else was faster: theirs counts.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                written => written.map_err(at(&path))?,
            }
        }
        let mode = fs::metadata(&path).map_err(at(&path))?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(PkiError::Exposed { path, mode });
        }
        let pem = Zeroizing::new(fs::read_to_string(&path).map_err(at(&path))?);
        Self::from_pem(&pem).map(Arc::new).map_err(|reason| PkiError::Damaged { path, reason })
    }

    fn from_pem(pem: &str) -> Result<Self, String> {
        let key = KeyPair::from_pem(pem).map_err(|error| error.to_string())?;
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| error.to_string())?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&certificate).map_err(|error| error.to_string())?;
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err("the key is not that of the certificate".to_owned());
        }
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(|error| error.to_string())?;
        let begin = pem.find("-----BEGIN CERTIFICATE-----").ok_or("there is no certificate in it")?;
        Ok(Self { issuer, certificate_pem: pem[begin..].to_owned(), certificate })
    }

    /// The authority's certificate, which every host trusts.
    pub fn ca_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// A new key and certificate for `host`.
    pub fn issue_host(&self, host: HostUuid) -> Result<HostIdentity, PkiError> {
        let key = KeyPair::generate()?;
        let certificate = leaf(Role::Host(host), CERTIFICATE_LIFE)?.signed_by(&key, &self.issuer)?;
        Ok(HostIdentity {
            certificate_pem: certificate.pem(),
            key_pem: Zeroizing::new(key.serialize_pem()),
            ca_pem: self.certificate_pem.clone(),
        })
    }

    /// A certificate in PEM for `host` over the key of a signing request. Names and uses that the request asks for do
    /// not count.
    pub fn sign_request(&self, csr_pem: &str, host: HostUuid) -> Result<String, PkiError> {
        self.sign_request_for(csr_pem, host, CERTIFICATE_LIFE)
    }

    /// As [`Self::sign_request`], for a certificate that lasts `life`.
    pub fn sign_request_for(&self, csr_pem: &str, host: HostUuid, life: Duration) -> Result<String, PkiError> {
        let mut request = CertificateSigningRequestParams::from_pem(csr_pem).map_err(PkiError::Request)?;
        request.params = leaf(Role::Host(host), life)?;
        Ok(request.signed_by(&self.issuer)?.pem())
    }

    /// The TLS settings for dialling hosts. The node's own key is made here and never leaves memory; its certificate is
    /// renewed by itself as long as the settings are in use.
    pub fn client_config(self: &Arc<Self>) -> Result<Arc<ClientConfig>, PkiError> {
        let mut trusted = RootCertStore::empty();
        trusted.add(self.certificate.clone())?;
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(trusted)
            .with_client_cert_resolver(Arc::new(NodeCertificate::new(Arc::clone(self))?));
        config.alpn_protocols = vec![b"h2".to_vec()];
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }
}

/// The names and purposes of a certificate for `role`.
fn leaf(role: Role, life: Duration) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new([role.dns_name()])?;
    params.distinguished_name = common_name(&role.dns_name());
    params.not_before = (SystemTime::now() - CLOCK_TOLERANCE).into();
    params.not_after = (SystemTime::now() + life).into();
    params.serial_number = Some(SerialNumber::from_slice(&rand::random::<[u8; 16]>()));
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = match role {
        Role::Management => vec![ExtendedKeyUsagePurpose::ClientAuth],
        // A host reads images from other hosts, so it is a client too.
        Role::Host(_) => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
    };
    Ok(params)
}

/// Key and certificate of a new authority in one text.
fn new_authority() -> Result<Zeroizing<String>, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    // Distinct names let a host's certificate be told as another node's, instead of as forged.
    params.distinguished_name = common_name(&format!("Gantry authority {:016x}", rand::random::<u64>()));
    params.not_before = (SystemTime::now() - CLOCK_TOLERANCE).into();
    params.not_after = (SystemTime::now() + AUTHORITY_LIFE).into();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key)?;
    let key_pem = Zeroizing::new(key.serialize_pem());
    Ok(Zeroizing::new(format!("{}{}", *key_pem, certificate.pem())))
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// Writes a file that only its owner can read, whole or not at all, and only if it is not there yet.
fn write_new(path: &Path, content: &str) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(content.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    File::open(directory)?.sync_all()
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The node's certificate, made anew when little of its life is left.
struct NodeCertificate {
    authority: Arc<Authority>,
    current: Mutex<(Arc<CertifiedKey>, CertificateFacts)>,
}

impl std::fmt::Debug for NodeCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeCertificate").finish_non_exhaustive()
    }
}

impl NodeCertificate {
    fn new(authority: Arc<Authority>) -> Result<Self, PkiError> {
        let current = Mutex::new(Self::issue(&authority)?);
        Ok(Self { authority, current })
    }

    fn issue(authority: &Authority) -> Result<(Arc<CertifiedKey>, CertificateFacts), PkiError> {
        let key = KeyPair::generate()?;
        let certificate = leaf(Role::Management, CERTIFICATE_LIFE)?.signed_by(&key, &authority.issuer)?;
        let facts =
            CertificateFacts::from_der(certificate.der()).map_err(|error| rustls::Error::General(error.to_string()))?;
        let key =
            PrivateKeyDer::try_from(key.serialize_der()).map_err(|error| rustls::Error::General(error.to_string()))?;
        let certified = CertifiedKey::from_der(vec![certificate.der().clone()], key, &provider())?;
        Ok((Arc::new(certified), facts))
    }
}

impl ResolvesClientCert for NodeCertificate {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let mut current = self.current.lock();
        if current.1.renew_at() <= SystemTime::now() {
            match Self::issue(&self.authority) {
                Ok(renewed) => *current = renewed,
                Err(error) => tracing::error!("the node's own certificate could not be renewed: {error}"),
            }
        }
        Some(Arc::clone(&current.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(certificate_pem: &str) -> CertificateFacts {
        CertificateFacts::from_der(&CertificateDer::from_pem_slice(certificate_pem.as_bytes()).unwrap()).unwrap()
    }

    fn request(names: &[String]) -> String {
        let key = KeyPair::generate().unwrap();
        CertificateParams::new(names).unwrap().serialize_request(&key).unwrap().pem().unwrap()
    }

    #[test]
    fn an_authority_stays_the_same_over_restarts_and_its_key_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path().join("pki");
        let first = Authority::open_or_create(&directory).unwrap();
        let again = Authority::open_or_create(&directory).unwrap();
        assert_eq!(first.ca_pem(), again.ca_pem());
        assert!(!first.ca_pem().contains("PRIVATE"));
        let mode = fs::metadata(directory.join(AUTHORITY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn an_authority_that_others_can_read_or_that_is_damaged_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        Authority::open_or_create(directory.path()).unwrap();
        let path = directory.path().join(AUTHORITY_FILE);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let open = || Authority::open_or_create(directory.path()).err().unwrap();
        assert!(matches!(open(), PkiError::Exposed { mode: 0o640, .. }));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let whole = fs::read_to_string(&path).unwrap();
        let other = new_authority().unwrap();
        let foreign_key = format!(
            "{}{}",
            &other[..other.find("-----BEGIN CERT").unwrap()],
            &whole[whole.find("-----BEGIN CERT").unwrap()..]
        );
        for damaged in ["", &whole[..whole.len() / 2], &whole[whole.len() / 2..], &foreign_key] {
            fs::write(&path, damaged).unwrap();
            assert!(matches!(open(), PkiError::Damaged { .. }));
        }
    }

    #[test]
    fn a_host_gets_a_year_and_the_name_the_node_gives_it_whatever_it_asks_for() {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::open_or_create(directory.path()).unwrap();
        let host = HostUuid::random();
        let asked = request(&[Role::Management.dns_name(), Role::Host(HostUuid::random()).dns_name()]);
        for pem in [authority.issue_host(host).unwrap().certificate_pem, authority.sign_request(&asked, host).unwrap()]
        {
            let facts = facts(&pem);
            assert_eq!(facts.role, Role::Host(host));
            assert_eq!(facts.not_after.duration_since(facts.not_before).unwrap(), CERTIFICATE_LIFE + CLOCK_TOLERANCE);
        }
    }

    #[test]
    fn a_signing_request_that_is_none_or_was_changed_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::open_or_create(directory.path()).unwrap();
        let key = KeyPair::generate().unwrap();
        let request = CertificateParams::new(["a.gantry".to_owned()]).unwrap().serialize_request(&key).unwrap();
        let mut der = request.der().to_vec();
        let position = der.windows(8).position(|window| window == b"a.gantry").unwrap();
        der[position] = b'b';
        let changed = CertificateSigningRequestParams::from_der(&der.as_slice().into());
        assert_eq!(changed.err(), Some(rcgen::Error::InvalidCertificationRequestSignature));
        for text in ["", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"] {
            assert!(matches!(authority.sign_request(text, HostUuid::random()), Err(PkiError::Request(_))));
        }
    }
}
