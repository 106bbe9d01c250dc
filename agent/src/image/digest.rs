//! Digests of what arrives.

use gantry_common::agent::{AgentError, DigestAlgorithm, ExpectedDigest};
use md5::{Digest, Md5};
use sha2::Sha256;

/// The digests of a stream of bytes.
#[derive(Debug, Clone)]
pub(crate) struct Digests {
    md5: Md5,
    sha256: Option<Sha256>,
}

/// Digests in lower-case hex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hex {
    pub(crate) md5: String,
    pub(crate) sha256: Option<String>,
}

impl Digests {
    /// MD5, and whatever else `expected` needs.
    pub(crate) fn for_expected(expected: Option<&ExpectedDigest>) -> Self {
        let sha256 = expected.is_some_and(|expected| expected.algorithm == DigestAlgorithm::Sha256);
        Self { md5: Md5::new(), sha256: sha256.then(Sha256::new) }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(bytes);
        }
    }

    pub(crate) fn reset(&mut self) {
        self.md5.reset();
        if let Some(sha256) = &mut self.sha256 {
            sha256.reset();
        }
    }

    pub(crate) fn finish(self) -> Hex {
        Hex { md5: hex::encode(self.md5.finalize()), sha256: self.sha256.map(|sha256| hex::encode(sha256.finalize())) }
    }
}

impl Hex {
    /// Proves that `what` has the expected digest.
    pub(crate) fn verify(&self, what: &str, expected: &ExpectedDigest) -> Result<(), AgentError> {
        let (name, found) = match expected.algorithm {
            DigestAlgorithm::Md5 => ("MD5", Some(&self.md5)),
            DigestAlgorithm::Sha256 => ("SHA-256", self.sha256.as_ref()),
        };
        let found = found.map_or("", String::as_str);
        if found.eq_ignore_ascii_case(&expected.hex) {
            return Ok(());
        }
        let reason = format!("its {name} digest is {found} and {} is expected", expected.hex);
        Err(AgentError::Corrupt { what: what.into(), reason })
    }
}

/// Proves that a digest can be met at all, before anything is transferred.
pub(crate) fn require_well_formed(field: &str, expected: &ExpectedDigest) -> Result<(), AgentError> {
    let digits = match expected.algorithm {
        DigestAlgorithm::Md5 => 32,
        DigestAlgorithm::Sha256 => 64,
    };
    if expected.hex.len() == digits && expected.hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(());
    }
    Err(AgentError::invalid(field, expected.hex.escape_debug(), format!("use {digits} hexadecimal digits")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(algorithm: DigestAlgorithm, hex: &str) -> ExpectedDigest {
        ExpectedDigest { algorithm, hex: hex.into() }
    }

    #[test]
    fn digests_of_known_text_are_found_in_any_case_and_others_are_not() {
        let md5 = expected(DigestAlgorithm::Md5, "900150983CD24FB0D6963F7D28E17F72");
        let sha256 =
            expected(DigestAlgorithm::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let mut digests = Digests::for_expected(Some(&sha256));
        digests.update(b"something before a restart");
        digests.reset();
        digests.update(b"ab");
        digests.update(b"c");
        let hex = digests.finish();
        hex.verify("abc", &md5).unwrap();
        hex.verify("abc", &sha256).unwrap();
        let other = expected(DigestAlgorithm::Md5, "00000000000000000000000000000000");
        assert!(matches!(hex.verify("abc", &other).unwrap_err(), AgentError::Corrupt { .. }));
    }

    #[test]
    fn digests_of_the_wrong_length_or_alphabet_are_refused() {
        for hex in ["", "900150983cd24fb0d6963f7d28e17f7", "g00150983cd24fb0d6963f7d28e17f72"] {
            require_well_formed("digest", &expected(DigestAlgorithm::Md5, hex)).unwrap_err();
        }
        require_well_formed("digest", &expected(DigestAlgorithm::Sha256, &"a0".repeat(32))).unwrap();
    }
}
