//! Key pairs made here, for machines whose owner named no key of their own.

use ssh_key::private::Ed25519Keypair;
use ssh_key::{LineEnding, PrivateKey};
use zeroize::Zeroizing;

use super::entropy::Entropy;
use super::secret::Secret;

/// An Ed25519 key pair in OpenSSH's formats.
#[derive(Debug, Clone)]
pub struct SshKeyPair {
    /// One line for `authorized_keys`.
    pub public: String,
    /// The private half, as a file for `ssh -i`.
    pub private: Secret,
}

impl SshKeyPair {
    /// Draws a new pair. `comment` stands in both halves: it should say what the pair is for.
    #[must_use]
    pub fn draw(entropy: &dyn Entropy, comment: &str) -> Self {
        let mut seed = Zeroizing::new([0_u8; 32]);
        entropy.fill(&mut *seed);
        let mut key = PrivateKey::from(Ed25519Keypair::from_seed(&seed));
        key.set_comment(comment);
        let public = key.public_key().to_openssh().expect("a key of 32 bytes encodes");
        let private = key.to_openssh(LineEnding::LF).expect("a key of 32 bytes encodes");
        Self { public, private: Secret::new(String::clone(&private)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::entropy::SystemEntropy;

    #[test]
    fn both_halves_belong_together_and_no_two_pairs_are_alike() {
        let (one, other) =
            (SshKeyPair::draw(&SystemEntropy, "rsv_1"), SshKeyPair::draw(&SystemEntropy, "rsv_1"));
        assert_ne!(one.public, other.public);
        let read = PrivateKey::from_openssh(one.private.expose()).expect("OpenSSH's own format");
        assert_eq!(read.public_key().to_openssh().expect("it encodes"), one.public);
        assert!(one.public.starts_with("ssh-ed25519 ") && one.public.ends_with(" rsv_1"), "{}", one.public);
        assert!(!format!("{one:?}").contains("PRIVATE"));
    }
}
