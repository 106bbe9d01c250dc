//! What both programs read from a certificate: whose it is and how long it lasts.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::role::Role;

/// The part of a certificate's life that is left when it is renewed: a third.
const RENEWAL_FRACTION: u32 = 3;

/// What a certificate says. It is not checked here who signed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The holder.
    pub role: Role,
    /// When it starts to be valid.
    pub not_before: SystemTime,
    /// When it ceases to be valid.
    pub not_after: SystemTime,
}

/// The certificate cannot be one of Gantry's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCertificate {
    /// It is not X.509.
    #[error("the certificate is not valid X.509: {0}")]
    Malformed(String),
    /// Its subject alternative names are not exactly one role.
    #[error("the certificate names '{0}'; one DNS name such as management.gantry is needed")]
    NoRole(String),
}

impl CertificateFacts {
    /// Reads a certificate in DER.
    pub fn from_der(der: &[u8]) -> Result<Self, InvalidCertificate> {
        let malformed = |reason: &dyn std::fmt::Display| InvalidCertificate::Malformed(reason.to_string());
        let (_, certificate) = X509Certificate::from_der(der).map_err(|error| malformed(&error))?;
        let names = certificate.subject_alternative_name().map_err(|error| malformed(&error))?;
        let names = names.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
        // A certificate with a second name is none of Gantry's: no guess is made which of them counts.
        let role = match names {
            [GeneralName::DNSName(name)] => Role::from_dns_name(name),
            _ => None,
        };
        Ok(Self {
            role: role.ok_or_else(|| InvalidCertificate::NoRole(format!("{names:?}")))?,
            not_before: system_time(certificate.validity().not_before.timestamp()),
            not_after: system_time(certificate.validity().not_after.timestamp()),
        })
    }

    /// The moment from which it is to be renewed: when less than a third of its life is left.
    pub fn renew_at(&self) -> SystemTime {
        let life = self.not_after.duration_since(self.not_before).unwrap_or_default();
        self.not_after - life / RENEWAL_FRACTION
    }
}

fn system_time(unix_seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(unix_seconds).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;
    use crate::id::HostUuid;

    fn certificate(names: &[String]) -> Vec<u8> {
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2026, 1, 31);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn a_certificate_tells_its_role_and_when_to_renew() {
        let role = Role::Host(HostUuid::random());
        let facts = CertificateFacts::from_der(&certificate(&[role.dns_name()])).unwrap();
        assert_eq!(facts.role, role);
        let day = Duration::from_secs(24 * 3600);
        assert_eq!(facts.not_after.duration_since(facts.not_before).unwrap(), 30 * day);
        assert_eq!(facts.renew_at().duration_since(facts.not_before).unwrap(), 20 * day);
    }

    #[test]
    fn a_certificate_with_no_or_two_names_has_no_role() {
        let two = [Role::Management.dns_name(), Role::Host(HostUuid::random()).dns_name()];
        for names in [&two[..], &["example.org".to_owned()], &["127.0.0.1".to_owned()], &[]] {
            let error = CertificateFacts::from_der(&certificate(names)).unwrap_err();
            assert!(matches!(error, InvalidCertificate::NoRole(_)), "{error}");
        }
        assert!(matches!(CertificateFacts::from_der(b"x").unwrap_err(), InvalidCertificate::Malformed(_)));
    }
}
