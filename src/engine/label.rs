//! What a KV block is called, what it stands for, and whose blocks are to be forgotten.

/// Names a block by everything that precedes it: SHA-256 over key, parent hash,
/// salt and tokens, cut to 128 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct ChainHash(pub(super) [u8; 16]);

/// What a block stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BlockLabel {
    /// Its name.
    pub(super) hash: ChainHash,
    /// The block before it; `None` for the first of a text.
    pub(super) parent: Option<ChainHash>,
    /// Who may share it.
    pub(super) salt: u64,
    /// With whose text it must go; 0 is nobody's.
    pub(super) owner: u64,
    /// Its own tokens, without those of its ancestors.
    pub(super) tokens: Box<[u32]>,
}

/// Whose blocks are to be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Those written for this owner.
    Owner(u64),
    /// Those under this salt.
    Salt(u64),
}

impl Scope {
    /// Whether a block of this salt and owner is meant.
    pub(super) fn covers(self, salt: u64, owner: u64) -> bool {
        match self {
            Self::Owner(forgotten) => forgotten == owner && owner != 0,
            Self::Salt(forgotten) => forgotten == salt,
        }
    }
}
