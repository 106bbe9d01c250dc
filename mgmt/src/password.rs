//! How accounts' passwords are kept. Clients never send a password but its digest, the lower-case hex SHA-512; what is
//! stored is an Argon2 hash of that.

use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use sha2::{Digest, Sha512};

use crate::secret::Secret;

/// The digest of a password, as clients send it.
pub fn digest(plain: &str) -> Secret {
    Secret::new(hex::encode(Sha512::digest(plain)))
}

/// What is stored of a password. Takes tens of milliseconds of a CPU.
pub fn hash(digest: &Secret) -> anyhow::Result<String> {
    let hash = Argon2::default().hash_password(digest.expose().as_bytes());
    Ok(hash.map_err(|error| anyhow::anyhow!("a password cannot be hashed: {error}"))?.to_string())
}

/// Whether a digest is that of the stored password. Takes tens of milliseconds of a CPU.
pub fn fits(stored: &str, digest: &Secret) -> bool {
    Argon2::default().verify_password(digest.expose().to_lowercase().as_bytes(), stored).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_passwords_own_digest_fits() {
        let stored = hash(&digest("correct horse")).unwrap();
        assert!(fits(&stored, &digest("correct horse")));
        assert!(fits(&stored, &Secret::new(digest("correct horse").expose().to_uppercase())));
        assert!(!fits(&stored, &digest("battery staple")));
        assert!(!fits("", &digest("correct horse")));
    }

    #[test]
    fn a_hash_made_by_another_program_fits() {
        let stored =
            "$argon2id$v=19$m=19456,t=2,p=1$dyXvU9mwc2LUAZobnh6Qbw$EYnTvS6da2ZijyMPF1902QLhARQLVGZPRawT+gYO31M";
        assert!(fits(stored, &digest("correct horse")));
    }
}
