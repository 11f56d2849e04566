//! Who may ask: whoever shows the key.

use axum::http::{HeaderMap, header};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::refusal::Refusal;

/// The key, as its digest.
pub(super) struct Key([u8; 32]);

impl Key {
    pub(super) fn new(key: &SecretString) -> Self {
        Self(digest(key.expose_secret().as_bytes()))
    }

    /// Whether a request shows it, as `Authorization: Bearer …`. Digests are compared, in
    /// constant time: how long it takes tells nothing of the key, nor of its length.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(shown) = headers.get(header::AUTHORIZATION) else {
            return Err(Refusal::unauthorized(
                "no key was shown: send `Authorization: Bearer KEY`",
            ));
        };
        let shown = bearer(shown.as_bytes());
        let same = digest(shown.unwrap_or_default()).ct_eq(&self.0);
        match shown.is_some() && bool::from(same) {
            true => Ok(()),
            false => Err(Refusal::unauthorized("the key that was shown is not this server's")),
        }
    }
}

/// What stands after the scheme, whose case does not count (RFC 9110, 11.1).
fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, key) = header.split_at_checked("bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| key.trim_ascii())
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_opens() {
        let key = Key::new(&SecretString::from("a-key-that-is-long"));
        let check = |shown: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(shown) = shown {
                headers.insert(header::AUTHORIZATION, shown.parse().unwrap());
            }
            key.check(&headers).is_ok()
        };
        assert!(check(Some("Bearer a-key-that-is-long")));
        assert!(check(Some("bearer  a-key-that-is-long ")));
        for wrong in [
            None,
            Some(""),
            Some("Bearer"),
            Some("Bearer "),
            Some("a-key-that-is-long"),
            Some("Basic a-key-that-is-long"),
            Some("Bearer a-key-that-is-lon"),
            Some("Bearer a-key-that-is-longer"),
        ] {
            assert!(!check(wrong), "{wrong:?}");
        }
    }
}
