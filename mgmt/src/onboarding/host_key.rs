//! A host's SSH key, as it is pinned.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use russh::keys::{Algorithm, HashAlg, PublicKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// RSA keys have one name, whatever hash the server signs with.
const RSA: &str = "ssh-rsa";

/// A host's SSH key by its algorithm and SHA-256 fingerprint, written `ssh-ed25519 SHA256:…` as `ssh-keygen -l` writes it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HostKey {
    algorithm: String,
    fingerprint: [u8; 32],
}

/// The text is no host key's fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a host key: it is written such as 'ssh-ed25519 SHA256:' with 43 characters of base64")]
pub struct InvalidHostKey(pub String);

impl HostKey {
    /// The key's algorithm; it is the same for all signature schemes of RSA.
    pub fn algorithm(&self) -> &str {
        &self.algorithm
    }

    /// Whether a signature scheme uses a key of this algorithm.
    pub(super) fn is_of(&self, scheme: &Algorithm) -> bool {
        match scheme {
            Algorithm::Rsa { .. } => self.algorithm == RSA,
            other => self.algorithm == other.as_str(),
        }
    }

    pub(super) fn of(key: &PublicKey) -> Self {
        let fingerprint = key.fingerprint(HashAlg::Sha256);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(&fingerprint.as_bytes()[..32]);
        let algorithm = match key.algorithm() {
            Algorithm::Rsa { .. } => RSA.to_owned(),
            other => other.as_str().to_owned(),
        };
        Self { algorithm, fingerprint: bytes }
    }
}

impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} SHA256:{}", self.algorithm, STANDARD_NO_PAD.encode(self.fingerprint))
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for HostKey {
    type Err = InvalidHostKey;

    fn from_str(text: &str) -> Result<Self, InvalidHostKey> {
        let invalid = || InvalidHostKey(text.to_owned());
        let (algorithm, fingerprint) = text.split_once(" SHA256:").ok_or_else(invalid)?;
        let fingerprint = STANDARD_NO_PAD.decode(fingerprint).map_err(|_| invalid())?;
        let known = !algorithm.is_empty() && algorithm.bytes().all(|byte| byte.is_ascii_graphic());
        if !known {
            return Err(invalid());
        }
        Ok(Self { algorithm: algorithm.to_owned(), fingerprint: fingerprint.try_into().map_err(|_| invalid())? })
    }
}

impl Serialize for HostKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HostKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // `ssh-keygen -l` said so of this key.
    const LINE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPTaOAtdIqzD9fIvP2OrWmikleF+7+9A7sHvB4CzO0EV";

    #[test]
    fn a_host_key_is_written_as_it_is_read() {
        let key = HostKey::of(&LINE.parse::<PublicKey>().unwrap());
        assert_eq!(key.algorithm(), "ssh-ed25519");
        assert_eq!(key.to_string().parse::<HostKey>().unwrap(), key);
        assert_eq!(key.to_string(), "ssh-ed25519 SHA256:rV7KxcoOreCo1LXQahHYlMqAvI6yrDecH2u1SGLo7SY");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "ssh-ed25519", "ssh-ed25519 SHA256:", "ssh-ed25519 SHA256:abc", " SHA256:abc", "MD5:00"] {
            assert!(text.parse::<HostKey>().is_err(), "{text}");
        }
    }
}
