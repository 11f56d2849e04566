//! Who shares cached prompts with whom: numbers for the engine, from a request's words.
//!
//! Invariant: two requests have the same salt only if key, `user` and `cache_salt` are
//! all the same, and the same words give the same number after a restart, as blocks on
//! the disk bear it. Without the key nobody can find words that give another's number.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// Makes the engine's numbers.
pub(super) struct Salts {
    /// Of the key alone, so that another key means another cache.
    root: [u8; 32],
}

impl Salts {
    pub(super) fn new(key: Option<&SecretString>) -> Self {
        let key = key.map(|key| key.expose_secret().as_bytes()).unwrap_or_default();
        Self { root: hash(&[b"dramatis worker", key]) }
    }

    /// `GenerationRequest::cache_salt` of a request.
    pub(super) fn salt(&self, user: Option<&str>, cache_salt: Option<&str>) -> u64 {
        self.number(&[b"salt", &word(user), &word(cache_salt)])
    }

    /// `GenerationRequest::cache_owner` of a request; 0, which is nobody, without one.
    pub(super) fn owner(&self, owner: Option<&str>) -> u64 {
        owner.map_or(0, |owner| self.number(&[b"owner", owner.as_bytes()]))
    }

    fn number(&self, words: &[&[u8]]) -> u64 {
        let digest = hash(&[&[self.root.as_slice()], words].concat());
        let bytes = digest.first_chunk().expect("a digest has 32 bytes");
        // 0 is nobody.
        u64::from_le_bytes(*bytes).max(1)
    }
}

/// A word that is absent differs from the empty one.
fn word(word: Option<&str>) -> Vec<u8> {
    word.map_or_else(Vec::new, |word| [b"=", word.as_bytes()].concat())
}

/// Of all parts, their borders included.
fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn whoever_differs_in_a_word_differs() {
        let keys = [None, Some("a-key-that-is-long"), Some("another-that-is-long")];
        let words = [None, Some(""), Some("a"), Some("ab"), Some("b")];
        let mut numbers = BTreeSet::new();
        for key in keys {
            let salts = Salts::new(key.map(SecretString::from).as_ref());
            for user in words {
                numbers.extend(words.map(|word| salts.salt(user, word)));
            }
            numbers.extend(words.iter().flatten().map(|owner| salts.owner(Some(owner))));
            assert_eq!(salts.owner(None), 0);
        }
        assert_eq!(numbers.len(), 3 * (5 * 5 + 4));
    }

    #[test]
    fn numbers_are_the_same_after_a_restart() {
        let key = SecretString::from("a-key-that-is-long");
        let salt = || Salts::new(Some(&key)).salt(Some("ann"), None);
        assert_eq!(salt(), salt());
        // Blocks on disks bear these.
        assert_eq!(salt(), 0xa554048c3fa08a9e);
    }
}
