//! The key that seals secret texts while they wait in the store.

use std::{io::Write, os::unix::fs::OpenOptionsExt, path::Path};

use anyhow::{Context, anyhow};
use base64::{Engine, engine::general_purpose::STANDARD};
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use serde_json::{Value, json};

/// Seals secrets that have to survive a restart.
pub struct Seal {
    key: LessSafeKey,
    marks: hmac::Key,
}

const KEY_LEN: usize = 32;

/// The one field of what stands for a sealed text in a document.
const SEALED: &str = "$sealed";

impl Seal {
    /// Reads the key file, or makes one that only the program's user can read.
    pub fn open_or_create(path: &Path) -> anyhow::Result<Self> {
        let key = match std::fs::read(path) {
            Ok(key) => key,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let mut key = vec![0; KEY_LEN];
                SystemRandom::new().fill(&mut key).map_err(|_| anyhow!("the system gives no random bytes"))?;
                let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
                file.write_all(&key)?;
                file.sync_all()?;
                key
            }
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
        };
        // A key of its own for each purpose.
        let master = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let marks = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&master, b"marks").as_ref());
        let key = UnboundKey::new(&CHACHA20_POLY1305, &key)
            .map_err(|_| anyhow!("{} does not hold a key of {KEY_LEN} bytes", path.display()))?;
        Ok(Self { key: LessSafeKey::new(key), marks })
    }

    /// A mark that is the same for the same bytes, and that nobody can make without the key.
    pub fn mark(&self, bytes: &[u8]) -> String {
        STANDARD.encode(hmac::sign(&self.marks, bytes))
    }

    /// The text sealed.
    pub fn seal(&self, text: &str) -> anyhow::Result<String> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| anyhow!("the system gives no random bytes"))?;
        let mut sealed = text.as_bytes().to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed)
            .map_err(|_| anyhow!("a secret could not be sealed"))?;
        Ok(STANDARD.encode([&nonce[..], &sealed].concat()))
    }

    /// The text as a part of a document that is stored and later shown: [`Self::open_within`] brings it to light again.
    pub fn seal_within(&self, text: &str) -> anyhow::Result<Value> {
        Ok(json!({ SEALED: self.seal(text)? }))
    }

    /// Puts every text in the document that was sealed by [`Self::seal_within`] back into its place.
    pub fn open_within(&self, document: &mut Value) -> anyhow::Result<()> {
        match document {
            Value::Object(fields) => match fields.get(SEALED).and_then(Value::as_str).filter(|_| fields.len() == 1) {
                Some(sealed) => *document = Value::String(self.open(sealed)?),
                None => fields.values_mut().try_for_each(|value| self.open_within(value))?,
            },
            Value::Array(items) => items.iter_mut().try_for_each(|item| self.open_within(item))?,
            _ => {}
        }
        Ok(())
    }

    /// The text of what was sealed.
    pub fn open(&self, sealed: &str) -> anyhow::Result<String> {
        let foreign = || anyhow!("a stored secret was not sealed with this node's key");
        let bytes = STANDARD.decode(sealed).map_err(|_| foreign())?;
        let (nonce, body) = bytes.split_at_checked(NONCE_LEN).ok_or_else(foreign)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| foreign())?;
        let mut body = body.to_vec();
        let plain = self.key.open_in_place(nonce, Aad::empty(), &mut body).map_err(|_| foreign())?;
        String::from_utf8(plain.to_vec()).map_err(|_| foreign())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_text_opens_only_with_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let seal = Seal::open_or_create(&dir.path().join("a")).unwrap();
        let sealed = seal.seal("hunter2").unwrap();
        assert!(!sealed.contains("hunter2"));
        assert_eq!(Seal::open_or_create(&dir.path().join("a")).unwrap().open(&sealed).unwrap(), "hunter2");
        assert!(Seal::open_or_create(&dir.path().join("b")).unwrap().open(&sealed).is_err());
    }

    #[test]
    fn a_text_that_is_sealed_within_a_document_comes_back_into_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let seal = Seal::open_or_create(&dir.path().join("a")).unwrap();
        let mut stored = json!({ "a": [1, { "token": seal.seal_within("hunter2").unwrap() }], "b": null });
        assert!(!stored.to_string().contains("hunter2"));
        seal.open_within(&mut stored).unwrap();
        assert_eq!(stored, json!({ "a": [1, { "token": "hunter2" }], "b": null }));
        assert!(seal.open_within(&mut json!({ "$sealed": "forged" })).is_err());
    }

    #[test]
    fn a_mark_is_the_same_for_the_same_bytes_and_key_alone() {
        let dir = tempfile::tempdir().unwrap();
        let seal = |name: &str| Seal::open_or_create(&dir.path().join(name)).unwrap();
        assert_eq!(seal("a").mark(b"x"), seal("a").mark(b"x"));
        assert_ne!(seal("a").mark(b"x"), seal("a").mark(b"y"));
        assert_ne!(seal("a").mark(b"x"), seal("b").mark(b"x"));
    }
}
