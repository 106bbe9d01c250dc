//! The renewal of a host's certificate over the connection it has.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use gantry_common::{
    agent::{InstallCertificate, RequestCertificate},
    certificate::{CertificateFacts, InvalidCertificate},
    id::{HostUuid, OperationId},
};
use rustls::pki_types::{CertificateDer, pem, pem::PemObject};

use super::{
    link::{CallError, Link},
    pki::{Authority, PkiError},
};

#[derive(Debug, thiserror::Error)]
enum RenewalError {
    #[error(transparent)]
    Host(#[from] CallError),
    #[error(transparent)]
    Sign(#[from] PkiError),
    #[error(transparent)]
    Read(#[from] pem::Error),
    #[error(transparent)]
    Certificate(#[from] InvalidCertificate),
}

/// How long it is until the certificate is to be renewed; nothing when that time has come.
pub fn due_in(certificate: &CertificateFacts) -> Duration {
    certificate.renew_at().duration_since(SystemTime::now()).unwrap_or_default()
}

/// Gives the host a new certificate; answers what it says, or why that failed.
pub async fn renew(authority: Arc<Authority>, link: Link, host: HostUuid) -> Result<CertificateFacts, String> {
    match try_renew(&authority, &link, host).await {
        Ok(certificate) => {
            tracing::info!(%host, "the host's certificate was renewed");
            Ok(certificate)
        }
        Err(error) => {
            let until: chrono::DateTime<chrono::Utc> = link.certificate().not_after.into();
            tracing::warn!(%host, "the host's certificate, valid until {until}, could not be renewed: {error}");
            Err(error.to_string())
        }
    }
}

async fn try_renew(authority: &Authority, link: &Link, host: HostUuid) -> Result<CertificateFacts, RenewalError> {
    let request = link.call(OperationId::random(), &RequestCertificate {}).await?;
    let certificate_pem = authority.sign_request(&request.csr_pem, host)?;
    let certificate = CertificateFacts::from_der(&CertificateDer::from_pem_slice(certificate_pem.as_bytes())?)?;
    let install = InstallCertificate { certificate_pem, ca_pem: authority.ca_pem().to_owned() };
    link.call(OperationId::random(), &install).await?;
    Ok(certificate)
}
