//! The node's side of `gantry-agent join`. Tokens are kept elsewhere; this decides on one request.

use gantry_common::{
    id::{HostUuid, NodeUuid},
    join::{JoinReply, JoinRequest, JoinSecret, JoinToken, Membership, ProofMismatch},
};
use rcgen::{CertificateSigningRequestParams, PublicKeyData};
use sha2::{Digest, Sha256};

use super::pki::{Authority, PkiError};

/// A host name has at most this many characters (RFC 1035).
const MAX_HOSTNAME: usize = 253;

/// Why a request to join is refused.
#[derive(Debug, thiserror::Error)]
pub enum JoinRefusal {
    /// The sender does not know the token's secret.
    #[error(transparent)]
    Proof(#[from] ProofMismatch),
    /// A field cannot be used.
    #[error("{field} '{value}' is not usable: {remedy}")]
    Field {
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
        /// What would be accepted.
        remedy: &'static str,
    },
    /// The signing request cannot be used, or a certificate not be made.
    #[error(transparent)]
    Certificate(#[from] PkiError),
}

/// The digest of a host's public key. A token belongs to the key that used it first: a repeat of the request with that
/// key is answered again, one with another key is refused.
pub type KeyDigest = [u8; 32];

/// A new random token.
pub fn new_token() -> JoinToken {
    JoinToken::new(rand::random(), JoinSecret::new(rand::random()))
}

/// Checks a request; answers the digest of the host's key.
pub fn verify(request: &JoinRequest, secret: &JoinSecret) -> Result<KeyDigest, JoinRefusal> {
    request.verify(secret)?;
    let applicant = &request.applicant;
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if applicant.hostname.is_empty()
        || applicant.hostname.len() > MAX_HOSTNAME
        || !applicant.hostname.chars().all(valid)
    {
        let value = applicant.hostname.chars().take(MAX_HOSTNAME).collect();
        return Err(JoinRefusal::Field {
            field: "hostname",
            value,
            remedy: "set the host's name to letters, digits, '-' and '.'",
        });
    }
    if applicant.port == 0 {
        return Err(JoinRefusal::Field { field: "port", value: "0".to_owned(), remedy: "use a port from 1 to 65535" });
    }
    if let Some(address) = applicant.address
        && (address.is_unspecified() || address.is_multicast())
    {
        let remedy = "use an address of the host that the management node can dial";
        return Err(JoinRefusal::Field { field: "address", value: address.to_string(), remedy });
    }
    let csr = CertificateSigningRequestParams::from_pem(&applicant.csr_pem).map_err(PkiError::Request)?;
    Ok(Sha256::digest(csr.public_key.subject_public_key_info()).into())
}

/// The answer to a verified request of what is now `host`.
pub fn accept(
    authority: &Authority,
    node: NodeUuid,
    host: HostUuid,
    secret: &JoinSecret,
    request: &JoinRequest,
) -> Result<JoinReply, JoinRefusal> {
    let membership = Membership {
        host_uuid: host,
        node_uuid: node,
        certificate_pem: authority.sign_request(&request.applicant.csr_pem, host)?,
        ca_pem: authority.ca_pem().to_owned(),
    };
    Ok(JoinReply::new(secret, request, membership))
}

#[cfg(test)]
mod tests {
    use gantry_common::join::Applicant;
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn applicant(key: &KeyPair) -> Applicant {
        Applicant {
            csr_pem: CertificateParams::default().serialize_request(key).unwrap().pem().unwrap(),
            hostname: "kvm1.example.org".to_owned(),
            address: None,
            port: 7272,
            agent_version: "0.1.0".to_owned(),
            operating_system: "Debian".to_owned(),
        }
    }

    #[test]
    fn a_request_is_accepted_and_a_repeat_has_the_same_key() {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::open_or_create(directory.path()).unwrap();
        let token = new_token();
        let key = KeyPair::generate().unwrap();
        let request = JoinRequest::new(&token, applicant(&key));
        let first = verify(&request, token.secret()).unwrap();
        assert_eq!(verify(&JoinRequest::new(&token, applicant(&key)), token.secret()).unwrap(), first);
        let other = KeyPair::generate().unwrap();
        assert_ne!(verify(&JoinRequest::new(&token, applicant(&other)), token.secret()).unwrap(), first);

        let (node, host) = (NodeUuid::random(), HostUuid::random());
        let reply = accept(&authority, node, host, token.secret(), &request).unwrap();
        assert_eq!(reply.verify(token.secret(), &request), Ok(()));
        assert_eq!((reply.membership.node_uuid, reply.membership.host_uuid), (node, host));
    }

    #[test]
    fn a_wrong_secret_and_unusable_fields_are_refused() {
        let token = new_token();
        let key = KeyPair::generate().unwrap();
        let good = applicant(&key);
        let wrong = verify(&JoinRequest::new(&token, good.clone()), new_token().secret());
        assert!(matches!(wrong, Err(JoinRefusal::Proof(_))));
        for (field, applicant) in [
            ("hostname", Applicant { hostname: String::new(), ..good.clone() }),
            ("hostname", Applicant { hostname: "a;b".to_owned(), ..good.clone() }),
            ("hostname", Applicant { hostname: "a".repeat(254), ..good.clone() }),
            ("port", Applicant { port: 0, ..good.clone() }),
            ("address", Applicant { address: Some([0, 0, 0, 0].into()), ..good.clone() }),
        ] {
            match verify(&JoinRequest::new(&token, applicant), token.secret()) {
                Err(JoinRefusal::Field { field: named, .. }) => assert_eq!(named, field),
                other => panic!("{field}: {other:?}"),
            }
        }
        let no_csr = JoinRequest::new(&token, Applicant { csr_pem: "x".to_owned(), ..good });
        assert!(matches!(verify(&no_csr, token.secret()), Err(JoinRefusal::Certificate(PkiError::Request(_)))));
    }
}
