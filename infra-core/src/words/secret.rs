//! Secrets: in memory they never print, at rest they are sealed.

use std::fmt;
use std::sync::Arc;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
pub use secrecy::ExposeSecret;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::entropy::Entropy;

/// A secret text: `Debug` and `Display` print nothing of it, memory is wiped on drop.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(SecretString::from(text))
    }

    /// The secret itself; the name makes every use visible in review.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// A secret at rest: XChaCha20-Poly1305 under the master key, bound to the place where it stands.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Which master key sealed it (a digest's first bytes, never the key).
    pub kek: String,
    /// 24 random bytes, hex.
    pub nonce: String,
    /// Cipher text and tag, hex.
    pub box_: String,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[sealed under {}]", self.kek)
    }
}

/// Why a sealed secret could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// Another master key sealed it.
    #[error("sealed under master key {sealed_under}, but the key at hand is {at_hand}")]
    OtherKey {
        /// The key that is needed.
        sealed_under: String,
        /// The key that is here.
        at_hand: String,
    },
    /// The text was changed, or stands in another place than it was sealed for.
    #[error("sealed secret does not open at {place}: altered, or moved from another record")]
    Altered {
        /// Where it stood.
        place: String,
    },
    /// A master key must be 32 bytes as 64 hex digits.
    #[error("master key must be 64 hex digits")]
    MalformedKey,
}

/// The key under which all secrets of a store are sealed. It lives outside the store.
///
/// While one key replaces another, the new one [opens what the older ones sealed](Self::opening_also), and seals alone.
#[derive(Clone)]
pub struct MasterKey {
    bytes: Arc<Zeroizing<[u8; 32]>>,
    older: Arc<[MasterKey]>,
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[master key {}]", self.id())
    }
}

impl MasterKey {
    /// Takes 32 bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self { bytes: Arc::new(Zeroizing::new(bytes)), older: Arc::new([]) }
    }

    /// The same key, which also opens what these have sealed: for as long as anything is sealed under them. Itself among
    /// them counts for nothing.
    #[must_use]
    pub fn opening_also(self, older: impl IntoIterator<Item = Self>) -> Self {
        let id = self.id();
        let older = older.into_iter().filter(|key| key.id() != id).collect();
        Self { older, ..self }
    }

    /// Names of the older keys that it opens, too.
    #[must_use]
    pub fn older_ids(&self) -> Vec<String> {
        self.older.iter().map(Self::id).collect()
    }

    /// Draws a new key.
    #[must_use]
    pub fn draw(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; 32];
        entropy.fill(&mut bytes);
        Self::new(bytes)
    }

    /// Reads 64 hex digits, surrounding white space allowed.
    ///
    /// # Errors
    /// [`SealError::MalformedKey`].
    pub fn from_hex(text: &str) -> Result<Self, SealError> {
        let bytes = Zeroizing::new(unhex(text.trim()).ok_or(SealError::MalformedKey)?);
        let bytes: [u8; 32] = bytes.as_slice().try_into().map_err(|_| SealError::MalformedKey)?;
        Ok(Self::new(bytes))
    }

    /// The key as 64 hex digits, for the file it is kept in.
    #[must_use]
    pub fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex(self.bytes.as_slice()))
    }

    /// A name for this key that says nothing about it: the first bytes of its digest.
    #[must_use]
    pub fn id(&self) -> String {
        hex(&Sha256::digest(self.bytes.as_slice())[..6])
    }

    /// Seals a secret for one place; `place` is authenticated, so the row cannot be moved to another owner.
    #[must_use]
    pub fn seal(&self, place: &str, secret: &str, entropy: &dyn Entropy) -> Sealed {
        let mut nonce = [0_u8; 24];
        entropy.fill(&mut nonce);
        let payload = Payload { msg: secret.as_bytes(), aad: place.as_bytes() };
        let sealed = self
            .cipher()
            .encrypt(&XNonce::from(nonce), payload)
            .expect("a secret is far below the cipher's limit of 256 GiB");
        Sealed { kek: self.id(), nonce: hex(&nonce), box_: hex(&sealed) }
    }

    /// Opens what [`Self::seal`] sealed for the same place, under this key or an older one that it opens.
    ///
    /// # Errors
    /// [`SealError::OtherKey`] or [`SealError::Altered`].
    pub fn open(&self, place: &str, sealed: &Sealed) -> Result<Secret, SealError> {
        if sealed.kek != self.id() {
            if let Some(older) = self.older.iter().find(|key| key.id() == sealed.kek) {
                return older.open(place, sealed);
            }
            return Err(SealError::OtherKey { sealed_under: sealed.kek.clone(), at_hand: self.id() });
        }
        let altered = || SealError::Altered { place: place.to_owned() };
        let nonce: [u8; 24] = unhex(&sealed.nonce).and_then(|n| n.try_into().ok()).ok_or_else(altered)?;
        let text = unhex(&sealed.box_).ok_or_else(altered)?;
        let payload = Payload { msg: &text, aad: place.as_bytes() };
        let plain = self.cipher().decrypt(&XNonce::from(nonce), payload).map_err(|_| altered())?;
        String::from_utf8(plain).map(Secret::new).map_err(|_| altered())
    }

    /// A digest that only whoever has this key can make: tells two secrets apart without letting anybody try.
    #[must_use]
    pub fn tag(&self, text: &str) -> String {
        // The key has a fixed length and nobody is shown a tag to lengthen it: the plain form is enough.
        let digest =
            Sha256::new().chain_update(self.bytes.as_slice()).chain_update(text.as_bytes()).finalize();
        hex(&digest)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.bytes.as_slice().try_into().expect("a master key has 32 bytes"))
    }
}

/// SHA-256 as hex: how bearer tokens and idempotent bodies are kept.
#[must_use]
pub fn digest(text: &[u8]) -> String {
    hex(&Sha256::digest(text))
}

/// Compares two digests in constant time.
#[must_use]
pub fn same_digest(a: &str, b: &str) -> bool {
    use subtle::ConstantTimeEq;
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

/// Lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::entropy::SystemEntropy;

    #[test]
    fn a_sealed_secret_opens_only_in_its_place_and_under_its_key() {
        let key = MasterKey::draw(&SystemEntropy);
        let sealed = key.seal("tenant-a/aws/default", "hunter2", &SystemEntropy);
        assert_eq!(
            key.open("tenant-a/aws/default", &sealed).map(|s| s.expose().to_owned()),
            Ok("hunter2".into())
        );
        assert!(matches!(key.open("tenant-b/aws/default", &sealed), Err(SealError::Altered { .. })));
        let other = MasterKey::draw(&SystemEntropy);
        assert!(matches!(other.open("tenant-a/aws/default", &sealed), Err(SealError::OtherKey { .. })));
        let both = other.clone().opening_also([key.clone(), other.clone()]);
        assert_eq!((both.id(), both.older_ids()), (other.id(), vec![key.id()]));
        assert_eq!(both.open("tenant-a/aws/default", &sealed).expect("an older key").expose(), "hunter2");
        assert!(matches!(both.open("tenant-b/aws/default", &sealed), Err(SealError::Altered { .. })));
        let again = both.seal("tenant-a/aws/default", "hunter2", &SystemEntropy);
        assert!(matches!(key.open("tenant-a/aws/default", &again), Err(SealError::OtherKey { .. })));
        assert!(!format!("{key:?} {sealed:?} {:?}", Secret::new("hunter2".into())).contains("hunter2"));
    }
}
