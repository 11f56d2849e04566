//! What a block says, sealed before it is written: AES-256-GCM, a fresh nonce for each.
//!
//! Sealed are its tokens and its payload. What it is called, what it continues and whose it
//! is stays readable, so that it can be found and forgotten; its name is a sum under a key
//! that is derived here as well, so that nobody can try texts on it.
//!
//! Invariant: what comes out went in under the same label.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::rand::{SecureRandom as _, SystemRandom};

use super::StoredBlock;
use crate::engine::DiskCacheKey;
use crate::engine::label::BlockLabel;

/// Bytes of the key for names.
const NAMES_LEN: usize = 16;

#[derive(Debug)]
pub(super) struct Sealer(LessSafeKey);

impl Sealer {
    /// What seals in a directory, and the key for the names of its blocks: both are that
    /// directory's own, by the key that lies in it.
    pub(super) fn new(key: &DiskCacheKey, of_dir: [u8; NAMES_LEN]) -> (Self, [u8; NAMES_LEN]) {
        let secret = Salt::new(HKDF_SHA256, &of_dir).extract(key.as_bytes());
        let blocks = secret.expand(&[b"blocks"], &AES_256_GCM).map(UnboundKey::from);
        let mut names = [0; NAMES_LEN];
        let derived = secret.expand(&[b"names"], Names).and_then(|okm| okm.fill(&mut names));
        derived.expect("one key is asked for, as long as it is");
        (Self(LessSafeKey::new(blocks.expect("one key is asked for"))), names)
    }

    /// The payload as it is written: with the tokens behind it and their number, sealed; then
    /// the nonce.
    pub(super) fn seal(&self, label: &BlockLabel, payload: &[u8]) -> Vec<u8> {
        let num_tokens = u32::try_from(label.tokens.len()).expect("blocks are short");
        let numbers = label.tokens.iter().chain([&num_tokens]);
        let num_more = 4 * (label.tokens.len() + 1) + MAX_TAG_LEN + NONCE_LEN;
        let mut bytes = Vec::with_capacity(payload.len() + num_more);
        bytes.extend(payload);
        bytes.extend(numbers.flat_map(|number| number.to_le_bytes()));
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).expect("the system has randomness");
        self.0
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(bound(label)),
                &mut bytes,
            )
            .expect("a block is far shorter than what can be sealed");
        bytes.extend(nonce);
        bytes
    }

    /// The block as it went in, if it was sealed here under this label.
    pub(super) fn open(&self, block: StoredBlock) -> Option<StoredBlock> {
        let StoredBlock { mut label, payload: mut bytes } = block;
        let nonce = bytes.split_off(bytes.len().checked_sub(NONCE_LEN)?);
        let nonce = Nonce::try_assume_unique_for_key(&nonce).ok()?;
        let opened = self.0.open_in_place(nonce, Aad::from(bound(&label)), &mut bytes).ok()?;
        let num_bytes = opened.len();
        bytes.truncate(num_bytes);
        let num_tokens = u32::from_le_bytes(*bytes.last_chunk()?) as usize;
        let start = bytes.len().checked_sub(4 * (num_tokens + 1))?;
        let (tokens, _) = bytes[start..].as_chunks::<4>();
        label.tokens = tokens[..num_tokens].iter().map(|it| u32::from_le_bytes(*it)).collect();
        bytes.truncate(start);
        Some(StoredBlock { label, payload: bytes })
    }
}

/// What is not sealed of a label, but cannot be changed.
fn bound(label: &BlockLabel) -> Vec<u8> {
    let parent = label.parent.map_or([0; 16], |parent| parent.0);
    let mut bytes = [label.hash.0, parent].concat();
    bytes.push(u8::from(label.parent.is_some()));
    bytes.extend([label.salt, label.owner].iter().flat_map(|number| number.to_le_bytes()));
    bytes
}

/// What the key for names is to HKDF.
struct Names;

impl KeyType for Names {
    fn len(&self) -> usize {
        NAMES_LEN
    }
}
