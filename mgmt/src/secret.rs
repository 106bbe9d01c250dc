//! A text that must not be seen: passwords and private keys.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// A text that must not be seen. It is wiped from memory when dropped, `Debug` shows nothing of it, and it has neither
/// `Display` nor `Serialize`: whoever writes it out says so with [`Secret::expose`] or [`Secret::for_storage`].
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// A form that can be serialized, for the one place that stores it.
    pub fn for_storage(&self) -> StoredSecret<'_> {
        StoredSecret(self)
    }

    /// Whether both are the same, in a time that does not tell where they differ.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// A secret that is serialized as what it is.
pub struct StoredSecret<'a>(&'a Secret);

impl Serialize for StoredSecret<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_a_secret() {
        let secret = Secret::new("correct horse");
        assert_eq!(format!("{secret:?} {:#?}", Some(&secret)), "Secret Some(\n    Secret,\n)");
    }

    #[test]
    fn a_secret_is_read_back_from_storage_as_it_was() {
        let secret = Secret::new("pässwörd \"quoted\"");
        let stored = serde_json::to_string(&secret.for_storage()).unwrap();
        assert!(serde_json::from_str::<Secret>(&stored).unwrap().matches(&secret));
        assert!(!Secret::new("pässwörd").matches(&secret));
    }
}
