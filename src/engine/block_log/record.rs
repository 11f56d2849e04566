//! One record of the log as bytes: a fixed part, token ids, payload.
//!
//! Fixed part, little endian: magic (4), kind (1), whether there is a parent (1),
//! two zeros, number of tokens (4), payload length (4), chain hash (16), parent's
//! hash (16), salt (8), owner (8), payload checksum (4), head checksum (4).
//!
//! Invariant: what [`Head::decode`] returns passed a checksum over everything but
//! the payload, and [`Head::accepts`] answers for the payload.

use crate::engine::label::{BlockLabel, ChainHash, Scope};

/// Bytes of the fixed part; the shortest record has no more.
pub(super) const FIXED_LEN: usize = 72;
pub(super) const MAGIC: [u8; 4] = *b"\xd7KVr";
/// Where the head's checksum stands; what precedes it is what it covers, with the tokens.
const CHECKSUM_AT: usize = FIXED_LEN - 4;
/// No block has more tokens: a bound on what a damaged number can ask for.
const MAX_TOKENS: usize = 1 << 16;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    Block(BlockLabel),
    /// Everything before this that the scope covers is gone.
    Forget(Scope),
    /// What stood here was overwritten.
    Void,
}

/// A record without its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) record: Record,
    payload_len: u32,
    payload_checksum: u32,
}

impl Head {
    pub(super) fn block(label: BlockLabel, payload: &[u8]) -> Self {
        let payload_len = u32::try_from(payload.len()).expect("a block is smaller than 4 GiB");
        let payload_checksum = payload_checksum(label.hash, payload);
        Self { record: Record::Block(label), payload_len, payload_checksum }
    }

    pub(super) fn forget(scope: Scope) -> Self {
        Self { record: Record::Forget(scope), payload_len: 0, payload_checksum: 0 }
    }

    /// A void of `len` bytes, itself included; there is none below [`FIXED_LEN`].
    pub(super) fn void(len: u64) -> Option<Self> {
        let payload_len = len.checked_sub(FIXED_LEN as u64)?;
        let payload_len = u32::try_from(payload_len).ok()?;
        Some(Self { record: Record::Void, payload_len, payload_checksum: 0 })
    }

    /// Bytes before the payload.
    pub(super) fn head_len(&self) -> usize {
        FIXED_LEN + 4 * self.tokens().len()
    }

    /// Bytes of the whole record.
    pub(super) fn record_len(&self) -> u64 {
        self.head_len() as u64 + u64::from(self.payload_len)
    }

    /// Whether `payload` is what was written.
    pub(super) fn accepts(&self, payload: &[u8]) -> bool {
        let Record::Block(label) = &self.record else { return false };
        payload.len() == self.payload_len as usize
            && payload_checksum(label.hash, payload) == self.payload_checksum
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.head_len());
        let num_tokens = u32::try_from(self.tokens().len()).expect("blocks are short");
        let (kind, label, salt, owner) = match &self.record {
            Record::Block(label) => (1, Some(label), label.salt, label.owner),
            Record::Forget(Scope::Owner(owner)) => (2, None, 0, *owner),
            Record::Forget(Scope::Salt(salt)) => (3, None, *salt, 0),
            Record::Void => (4, None, 0, 0),
        };
        let parent = label.and_then(|label| label.parent);
        bytes.extend(MAGIC);
        bytes.extend([kind, u8::from(parent.is_some()), 0, 0]);
        bytes.extend(num_tokens.to_le_bytes());
        bytes.extend(self.payload_len.to_le_bytes());
        bytes.extend(label.map_or([0; 16], |label| label.hash.0));
        bytes.extend(parent.map_or([0; 16], |parent| parent.0));
        bytes.extend(salt.to_le_bytes());
        bytes.extend(owner.to_le_bytes());
        bytes.extend(self.payload_checksum.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(self.tokens().iter().flat_map(|token| token.to_le_bytes()));
        let checksum = head_checksum(&bytes).to_le_bytes();
        bytes[CHECKSUM_AT..FIXED_LEN].copy_from_slice(&checksum);
        bytes
    }

    /// The head that `bytes` begin with; `None` if they begin with none that is whole.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..head_len(bytes)?)?;
        let mut fields = Fields(bytes);
        let magic: [u8; 4] = fields.take();
        let [kind, has_parent, ..]: [u8; 4] = fields.take();
        let _num_tokens: [u8; 4] = fields.take();
        let payload_len = u32::from_le_bytes(fields.take());
        let hash = ChainHash(fields.take());
        let parent = ChainHash(fields.take());
        let salt = u64::from_le_bytes(fields.take());
        let owner = u64::from_le_bytes(fields.take());
        let payload_checksum = u32::from_le_bytes(fields.take());
        if magic != MAGIC || u32::from_le_bytes(fields.take()) != head_checksum(bytes) {
            return None;
        }
        let record = match kind {
            1 => {
                let parent = (has_parent == 1).then_some(parent);
                Record::Block(BlockLabel { hash, parent, salt, owner, tokens: fields.rest() })
            }
            2 => Record::Forget(Scope::Owner(owner)),
            3 => Record::Forget(Scope::Salt(salt)),
            4 => Record::Void,
            _ => return None,
        };
        Some(Self { record, payload_len, payload_checksum })
    }

    fn tokens(&self) -> &[u32] {
        match &self.record {
            Record::Block(label) => &label.tokens,
            Record::Forget(_) | Record::Void => &[],
        }
    }
}

/// How long the head is that `bytes` begin with, as far as an unchecked number tells.
pub(super) fn head_len(bytes: &[u8]) -> Option<usize> {
    let fixed = bytes.get(..FIXED_LEN)?;
    let mut fields = Fields(&fixed[8..]);
    let num_tokens = u32::from_le_bytes(fields.take()) as usize;
    (num_tokens <= MAX_TOKENS).then_some(FIXED_LEN + 4 * num_tokens)
}

fn head_checksum(head: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&head[..CHECKSUM_AT]);
    hasher.update(&head[FIXED_LEN..]);
    hasher.finalize()
}

/// Covers the name too, so that a payload never passes for another block's.
fn payload_checksum(hash: ChainHash, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&hash.0);
    hasher.update(payload);
    hasher.finalize()
}

/// Reads fields one after the other; the caller has checked the length.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.0.split_first_chunk().expect("the length was checked");
        self.0 = rest;
        *field
    }

    fn rest(&self) -> Box<[u32]> {
        let (tokens, _) = self.0.as_chunks::<4>();
        tokens.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect()
    }
}
