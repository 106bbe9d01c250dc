//! How a host that was installed from an image joins: `gantry-agent join --token T --server URL`.
//!
//! The token carries a secret that both sides know and that never travels. Each side proves it by an HMAC-SHA256 over
//! all it says, so that nobody between them can change a word, even where the connection is plain HTTP.

use std::{fmt, net::IpAddr, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::id::{HostUuid, NodeUuid};

/// The path on the management node, below its base URL, that takes a [`JoinRequest`] by POST.
pub const JOIN_PATH: &str = "/gantry/v1/join";

const VERSION: u8 = 1;
const ID_BYTES: usize = 16;
const SECRET_BYTES: usize = 32;

/// What the two sides know together. It is wiped from memory when dropped and never printed.
#[derive(Clone)]
pub struct JoinSecret(Zeroizing<[u8; SECRET_BYTES]>);

impl JoinSecret {
    /// A secret of these bytes.
    pub fn new(bytes: [u8; SECRET_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for the node's token store.
    pub fn expose(&self) -> &[u8; SECRET_BYTES] {
        &self.0
    }
}

impl fmt::Debug for JoinSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinSecret(…)")
    }
}

/// Names a token without its secret. On the wire 32 hex characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenId(String);

impl From<[u8; ID_BYTES]> for TokenId {
    fn from(bytes: [u8; ID_BYTES]) -> Self {
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A one-time token.
#[derive(Debug, Clone)]
pub struct JoinToken {
    id: [u8; ID_BYTES],
    secret: JoinSecret,
}

/// The text is not a join token. It is not repeated here: it may be one with a typing error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the join token is not readable; copy it whole from the management node")]
pub struct InvalidToken;

impl JoinToken {
    /// A token of these parts, which must be random.
    pub fn new(id: [u8; ID_BYTES], secret: JoinSecret) -> Self {
        Self { id, secret }
    }

    /// The public name.
    pub fn id(&self) -> TokenId {
        self.id.into()
    }

    /// The secret.
    pub fn secret(&self) -> &JoinSecret {
        &self.secret
    }

    /// The text an operator hands to the host. It contains the secret.
    pub fn reveal(&self) -> String {
        let mut bytes = Zeroizing::new(Vec::with_capacity(1 + ID_BYTES + SECRET_BYTES));
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.id);
        bytes.extend_from_slice(self.secret.expose());
        URL_SAFE_NO_PAD.encode(&*bytes)
    }
}

impl FromStr for JoinToken {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text.trim()).map_err(|_| InvalidToken)?);
        let (&[VERSION], rest) = bytes.split_first_chunk().ok_or(InvalidToken)? else { return Err(InvalidToken) };
        let (id, secret) = rest.split_first_chunk().ok_or(InvalidToken)?;
        let secret: [u8; SECRET_BYTES] = secret.try_into().map_err(|_| InvalidToken)?;
        Ok(Self { id: *id, secret: JoinSecret::new(secret) })
    }
}

/// Proof of the secret over what it comes with, in base64url.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Proof(String);

/// The proof does not fit: another secret, or something was changed on the way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the proof of the join token does not fit: the token is another one, or the message was changed on its way")]
pub struct ProofMismatch;

/// Feeds the secret's HMAC field by field. Each field carries its length, so that no two messages have the same bytes.
struct Prover(Hmac<Sha256>);

impl Prover {
    fn new(secret: &JoinSecret, purpose: &str) -> Self {
        // HMAC pads a key with zeros to one block. Padded here, the key has the length that cannot be refused.
        let block = {
            let mut block = [0u8; 64];
            block[..SECRET_BYTES].copy_from_slice(secret.expose());
            Zeroizing::new(block)
        };
        Self(Hmac::new((&*block).into())).field(purpose)
    }

    fn field(mut self, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        self.0.update(&(value.len() as u64).to_be_bytes());
        self.0.update(value);
        self
    }

    fn prove(self) -> Proof {
        Proof(URL_SAFE_NO_PAD.encode(self.0.finalize().into_bytes()))
    }

    /// Compares in constant time.
    fn check(self, proof: &Proof) -> Result<(), ProofMismatch> {
        let bytes = URL_SAFE_NO_PAD.decode(&proof.0).map_err(|_| ProofMismatch)?;
        self.0.verify_slice(&bytes).map_err(|_| ProofMismatch)
    }
}

/// What a host says of itself when it joins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applicant {
    /// The signing request for the host's certificate. Its key is the host's; a repeat carries the same.
    pub csr_pem: String,
    /// The host's name.
    pub hostname: String,
    /// The address the node shall dial. Without it, the one that the request comes from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub address: Option<IpAddr>,
    /// The port the agent listens on.
    pub port: u16,
    /// The agent's version.
    pub agent_version: String,
    /// The operating system, such as `Debian GNU/Linux 12 (bookworm)`.
    pub operating_system: String,
}

/// The body of the host's POST to [`JOIN_PATH`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// The token.
    pub token_id: TokenId,
    /// The host.
    #[serde(flatten)]
    pub applicant: Applicant,
    /// Proof of the token's secret over all of the above.
    pub mac: Proof,
}

impl JoinRequest {
    /// A request by the holder of `token`.
    pub fn new(token: &JoinToken, applicant: Applicant) -> Self {
        let token_id = token.id();
        let mac = Self::prover(token.secret(), &token_id, &applicant).prove();
        Self { token_id, applicant, mac }
    }

    /// Whether the sender knows the secret and nothing was changed.
    pub fn verify(&self, secret: &JoinSecret) -> Result<(), ProofMismatch> {
        Self::prover(secret, &self.token_id, &self.applicant).check(&self.mac)
    }

    fn prover(secret: &JoinSecret, token_id: &TokenId, applicant: &Applicant) -> Prover {
        Prover::new(secret, "gantry join request 1")
            .field(&token_id.0)
            .field(&applicant.csr_pem)
            .field(&applicant.hostname)
            .field(applicant.address.map(|address| address.to_string()).unwrap_or_default())
            .field(applicant.port.to_be_bytes())
            .field(&applicant.agent_version)
            .field(&applicant.operating_system)
    }
}

/// What the node gives a host that may join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The host's id from now on.
    pub host_uuid: HostUuid,
    /// The node.
    pub node_uuid: NodeUuid,
    /// The host's certificate in PEM.
    pub certificate_pem: String,
    /// The certificate of the node's authority in PEM.
    pub ca_pem: String,
}

/// The node's answer to a [`JoinRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinReply {
    /// What the host gets.
    #[serde(flatten)]
    pub membership: Membership,
    /// Proof of the secret over all of the above and the request's proof.
    pub mac: Proof,
}

impl JoinReply {
    /// The answer to `request`, which must have been verified.
    pub fn new(secret: &JoinSecret, request: &JoinRequest, membership: Membership) -> Self {
        let mac = Self::prover(secret, request, &membership).prove();
        Self { membership, mac }
    }

    /// Whether the answer is to `request` and from who made the token.
    pub fn verify(&self, secret: &JoinSecret, request: &JoinRequest) -> Result<(), ProofMismatch> {
        Self::prover(secret, request, &self.membership).check(&self.mac)
    }

    fn prover(secret: &JoinSecret, request: &JoinRequest, membership: &Membership) -> Prover {
        Prover::new(secret, "gantry join reply 1")
            .field(&request.mac.0)
            .field(membership.host_uuid.to_string())
            .field(membership.node_uuid.to_string())
            .field(&membership.certificate_pem)
            .field(&membership.ca_pem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> JoinToken {
        JoinToken::new([7; ID_BYTES], JoinSecret::new([9; SECRET_BYTES]))
    }

    fn applicant() -> Applicant {
        Applicant {
            csr_pem: "csr".to_owned(),
            hostname: "kvm1".to_owned(),
            address: Some([10, 0, 0, 1].into()),
            port: 7272,
            agent_version: "0.1.0".to_owned(),
            operating_system: "Debian".to_owned(),
        }
    }

    fn membership() -> Membership {
        Membership {
            host_uuid: HostUuid::random(),
            node_uuid: NodeUuid::random(),
            certificate_pem: "certificate".to_owned(),
            ca_pem: "ca".to_owned(),
        }
    }

    #[test]
    fn a_token_is_read_as_it_is_revealed() {
        let read: JoinToken = token().reveal().parse().unwrap();
        assert_eq!(read.id(), token().id());
        assert_eq!(read.secret().expose(), token().secret().expose());
    }

    #[test]
    fn a_token_does_not_show_its_secret_in_debug_output() {
        assert!(!format!("{:?}", token()).contains("9, 9"));
    }

    #[test]
    fn shortened_lengthened_and_foreign_tokens_are_refused() {
        let text = token().reveal();
        let other_version = format!("Ag{}", &text[2..]);
        for text in ["", "token", &text[..text.len() - 4], &format!("{text}AAAA"), &other_version] {
            assert_eq!(text.parse::<JoinToken>().unwrap_err(), InvalidToken, "{text}");
        }
    }

    #[test]
    fn a_request_survives_the_wire() {
        let request = JoinRequest::new(&token(), applicant());
        let read: JoinRequest = serde_json::from_str(&serde_json::to_string(&request).unwrap()).unwrap();
        assert_eq!(read.verify(token().secret()), Ok(()));
    }

    #[test]
    fn every_field_of_a_request_is_proved() {
        let changes: [fn(&mut JoinRequest); 8] = [
            |r| r.token_id = [8; ID_BYTES].into(),
            |r| r.applicant.csr_pem.push('x'),
            |r| r.applicant.hostname.push('x'),
            |r| r.applicant.address = None,
            |r| r.applicant.port = 1,
            |r| r.applicant.agent_version.push('x'),
            |r| r.applicant.operating_system.push('x'),
            |r| r.mac.0.push('A'),
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let mut request = JoinRequest::new(&token(), applicant());
            change(&mut request);
            assert_eq!(request.verify(token().secret()), Err(ProofMismatch), "change {index}");
        }
        let other = JoinSecret::new([1; SECRET_BYTES]);
        assert_eq!(JoinRequest::new(&token(), applicant()).verify(&other), Err(ProofMismatch));
    }

    #[test]
    fn text_moved_between_two_fields_is_noticed() {
        let mut request = JoinRequest::new(&token(), applicant());
        request.applicant.csr_pem = "cs".to_owned();
        request.applicant.hostname = "rkvm1".to_owned();
        assert_eq!(request.verify(token().secret()), Err(ProofMismatch));
    }

    #[test]
    fn every_field_of_a_reply_is_proved_and_it_answers_one_request() {
        let request = JoinRequest::new(&token(), applicant());
        let reply = JoinReply::new(token().secret(), &request, membership());
        assert_eq!(reply.verify(token().secret(), &request), Ok(()));
        let changes: [fn(&mut JoinReply); 4] = [
            |r| r.membership.host_uuid = HostUuid::random(),
            |r| r.membership.node_uuid = NodeUuid::random(),
            |r| r.membership.certificate_pem.push('x'),
            |r| r.membership.ca_pem.push('x'),
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let mut changed = reply.clone();
            change(&mut changed);
            assert_eq!(changed.verify(token().secret(), &request), Err(ProofMismatch), "change {index}");
        }
        let other = JoinRequest::new(&token(), Applicant { port: 1, ..applicant() });
        assert_eq!(reply.verify(token().secret(), &other), Err(ProofMismatch));
    }
}
