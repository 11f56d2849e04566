//! Which KV blocks hold which tokens, so that a prompt pays only for what is new.
//!
//! Full blocks are found by a keyed chain hash over salt and tokens; a hit is
//! verified token by token, so a collision can cost time but never share text.
//! Knows no reference counts: [`super::block_manager`] says when a block is held.
//!
//! Invariant: the parent of every cached block is cached and was used no earlier
//! than its child, so the least recently used block is always a leaf.

use std::collections::{BTreeMap, HashMap};

use sha2::{Digest, Sha256};

use super::block_manager::BlockId;
use super::label::{BlockLabel, ChainHash, Scope};

#[derive(Debug)]
struct Entry {
    block: BlockId,
    /// `None` for the first block of a text.
    parent: Option<ChainHash>,
    salt: u64,
    owner: u64,
    tokens: Box<[u32]>,
    use_state: Use,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Held,
    /// Nobody holds it since this tick; it may be evicted.
    Idle(u64),
}

/// The outcome of [`PrefixCache::insert`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inserted {
    pub(super) hash: ChainHash,
    /// The block that holds these tokens from now on; an older one wins.
    pub(super) block: BlockId,
}

/// A block in memory and what it stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FiledBlock {
    pub(super) block: BlockId,
    pub(super) label: BlockLabel,
}

/// An index of full KV blocks by the tokens they stand for.
#[derive(Debug)]
pub(super) struct PrefixCache {
    key: [u8; 16],
    block_size: usize,
    entries: HashMap<ChainHash, Entry>,
    hashes: HashMap<BlockId, ChainHash>,
    /// Idle blocks by the tick of their last use, oldest first.
    idle: BTreeMap<u64, BlockId>,
    next_tick: u64,
}

impl PrefixCache {
    pub(super) fn new(block_size: usize, key: [u8; 16]) -> Self {
        Self {
            key,
            block_size,
            entries: HashMap::new(),
            hashes: HashMap::new(),
            idle: BTreeMap::new(),
            next_tick: 0,
        }
    }

    /// The names of all full blocks of a text, cached or not.
    pub(super) fn chain(&self, salt: u64, tokens: &[u32]) -> Vec<ChainHash> {
        self.names(salt, tokens).collect()
    }

    /// The same, each computed when it is asked for.
    fn names(&self, salt: u64, tokens: &[u32]) -> impl Iterator<Item = ChainHash> {
        let chunks = tokens.chunks_exact(self.block_size);
        chunks.scan(None, move |parent: &mut Option<ChainHash>, chunk| {
            *parent = Some(self.hash(*parent, salt, chunk));
            *parent
        })
    }

    /// A cached block by its name.
    pub(super) fn filed(&self, hash: ChainHash) -> Option<FiledBlock> {
        let Entry { block, parent, salt, owner, ref tokens, .. } = *self.entries.get(&hash)?;
        let label = BlockLabel { hash, parent, salt, owner, tokens: tokens.clone() };
        Some(FiledBlock { block, label })
    }

    /// The name of a cached block.
    pub(super) fn name(&self, block: BlockId) -> Option<ChainHash> {
        self.hashes.get(&block).copied()
    }

    /// Drops what a scope covers, and what continues it; returns these blocks. They
    /// are not cached any more, whether somebody holds them or not.
    pub(super) fn forget(&mut self, scope: Scope) -> Vec<BlockId> {
        let entries = self.entries.iter();
        let gone = scope.reach(entries.map(|(&hash, e)| (hash, e.parent, (e.salt, e.owner))));
        gone.into_iter().filter_map(|hash| self.remove(hash)).collect()
    }

    /// The blocks that hold the longest cached prefix of `tokens`, in order.
    pub(super) fn lookup(&self, salt: u64, tokens: &[u32]) -> Vec<(ChainHash, BlockId)> {
        self.lookup_named(self.names(salt, tokens), salt, tokens)
    }

    /// The same where the names of the text's blocks are known.
    pub(super) fn lookup_named(
        &self,
        names: impl IntoIterator<Item = ChainHash>,
        salt: u64,
        tokens: &[u32],
    ) -> Vec<(ChainHash, BlockId)> {
        let mut found = Vec::new();
        let mut parent = None;
        for (hash, chunk) in names.into_iter().zip(tokens.chunks_exact(self.block_size)) {
            let Some(entry) = self.entries.get(&hash) else { break };
            if entry.salt != salt || entry.parent != parent || *entry.tokens != *chunk {
                break;
            }
            found.push((hash, entry.block));
            parent = Some(hash);
        }
        found
    }

    /// Records that `block`, held by the caller, stands for `tokens` after `parent`.
    ///
    /// Where another block already does, that one is named and nothing changes.
    pub(super) fn insert(
        &mut self,
        parent: Option<ChainHash>,
        (salt, owner): (u64, u64),
        tokens: &[u32],
        block: BlockId,
    ) -> Inserted {
        debug_assert_eq!(tokens.len(), self.block_size, "only full blocks are cached");
        let hash = self.hash(parent, salt, tokens);
        if let Some(entry) = self.entries.get(&hash) {
            return Inserted { hash, block: entry.block };
        }
        let (tokens, use_state) = (tokens.into(), Use::Held);
        let entry = Entry { block, parent, salt, owner, tokens, use_state };
        self.entries.insert(hash, entry);
        self.hashes.insert(block, hash);
        Inserted { hash, block }
    }

    pub(super) fn contains(&self, block: BlockId) -> bool {
        self.hashes.contains_key(&block)
    }

    /// Protects a cached block from eviction.
    pub(super) fn mark_held(&mut self, block: BlockId) {
        let entry = self.entry_mut(block);
        if let Use::Idle(tick) = std::mem::replace(&mut entry.use_state, Use::Held) {
            self.idle.remove(&tick);
        }
    }

    /// Offers a cached block for eviction, as the most recently used one.
    pub(super) fn mark_idle(&mut self, block: BlockId) {
        let tick = self.next_tick;
        self.next_tick += 1;
        let entry = self.entry_mut(block);
        debug_assert_eq!(entry.use_state, Use::Held, "a block becomes idle once");
        entry.use_state = Use::Idle(tick);
        self.idle.insert(tick, block);
    }

    /// Forgets the least recently used idle block and gives it away.
    pub(super) fn evict(&mut self) -> Option<BlockId> {
        let (_, block) = self.idle.pop_first()?;
        let hash = self.hashes.remove(&block).expect("an idle block is cached");
        self.entries.remove(&hash);
        Some(block)
    }

    pub(super) fn num_idle(&self) -> usize {
        self.idle.len()
    }

    /// Cached blocks, held or idle.
    pub(super) fn num_blocks(&self) -> usize {
        self.entries.len()
    }

    /// Cached blocks that may be evicted.
    pub(super) fn idle_blocks(&self) -> impl Iterator<Item = BlockId> {
        self.idle.values().copied()
    }

    /// Checks that the maps agree and that no child outlives or outranks its parent.
    pub(super) fn check_integrity(&self) -> Result<(), String> {
        if self.entries.len() != self.hashes.len() {
            return Err(format!("{} entries but {} hashes", self.entries.len(), self.hashes.len()));
        }
        let num_idle = self.entries.values().filter(|e| e.use_state != Use::Held).count();
        if num_idle != self.idle.len() {
            return Err(format!("{num_idle} idle entries but {} in the queue", self.idle.len()));
        }
        for (hash, entry) in &self.entries {
            self.check_entry(hash, entry)?;
        }
        Ok(())
    }

    fn check_entry(&self, hash: &ChainHash, entry: &Entry) -> Result<(), String> {
        let block = entry.block;
        if self.hashes.get(&block) != Some(hash) {
            return Err(format!("block {block} is not listed under its hash"));
        }
        if self.hash(entry.parent, entry.salt, &entry.tokens) != *hash {
            return Err(format!("block {block} is filed under a hash of other tokens"));
        }
        if let Use::Idle(tick) = entry.use_state
            && self.idle.get(&tick) != Some(&block)
        {
            return Err(format!("idle block {block} is not in the eviction queue"));
        }
        let Some(parent_hash) = entry.parent else { return Ok(()) };
        let Some(parent) = self.entries.get(&parent_hash) else {
            return Err(format!("block {block} has lost its parent"));
        };
        match (parent.use_state, entry.use_state) {
            (Use::Held, _) => Ok(()),
            (Use::Idle(parent), Use::Idle(child)) if parent > child => Ok(()),
            _ => Err(format!("block {block} would outlive its parent {}", parent.block)),
        }
    }

    fn remove(&mut self, hash: ChainHash) -> Option<BlockId> {
        let entry = self.entries.remove(&hash)?;
        self.hashes.remove(&entry.block);
        if let Use::Idle(tick) = entry.use_state {
            self.idle.remove(&tick);
        }
        Some(entry.block)
    }

    fn entry_mut(&mut self, block: BlockId) -> &mut Entry {
        let hash = self.hashes.get(&block).expect("the caller asked whether it is cached");
        self.entries.get_mut(hash).expect("both maps hold the same blocks")
    }

    fn hash(&self, parent: Option<ChainHash>, salt: u64, tokens: &[u32]) -> ChainHash {
        let mut hasher = Sha256::new();
        hasher.update(self.key);
        match parent {
            Some(ChainHash(bytes)) => {
                hasher.update([1]);
                hasher.update(bytes);
            }
            None => hasher.update([0]),
        }
        hasher.update(salt.to_le_bytes());
        for token in tokens {
            hasher.update(token.to_le_bytes());
        }
        let digest = hasher.finalize();
        ChainHash(digest[..16].try_into().expect("a SHA-256 digest has 32 bytes"))
    }
}
