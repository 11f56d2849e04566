//! What a KV block is called, what it stands for, and whose blocks are to be forgotten.

use std::collections::{HashMap, HashSet};

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
pub enum Scope {
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

    /// Of these blocks, given as name, parent, and salt with owner: those that are meant,
    /// and those that continue them, which say what was said before. What goes only
    /// because of its parent stands before it.
    pub(super) fn reach(
        self,
        blocks: impl IntoIterator<Item = (ChainHash, Option<ChainHash>, (u64, u64))>,
    ) -> Vec<ChainHash> {
        let mut children: HashMap<ChainHash, Vec<ChainHash>> = HashMap::new();
        let mut reached = Vec::new();
        for (hash, parent, (salt, owner)) in blocks {
            if let Some(parent) = parent {
                children.entry(parent).or_default().push(hash);
            }
            if self.covers(salt, owner) {
                reached.push(hash);
            }
        }
        let mut known: HashSet<_> = reached.iter().copied().collect();
        let mut next = 0;
        while let Some(hash) = reached.get(next) {
            let children = children.remove(hash).into_iter().flatten();
            reached.extend(children.filter(|&child| known.insert(child)));
            next += 1;
        }
        reached.reverse();
        reached
    }
}
