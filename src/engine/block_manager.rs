//! Accounts for KV blocks: who holds which, what is free, what is cached.
//!
//! Plain numbers; the tensors that the block ids index live in the model room.
//!
//! Invariant, checked by [`BlockManager::check_integrity`]: every block is either
//! held (its count equals the tables that list it), idle in the prefix cache, or
//! on the free list, and never two of these.

use super::label::{ChainHash, Scope};
use super::prefix_cache::{FiledBlock, PrefixCache};

/// The index of a KV block.
pub(super) type BlockId = u32;

/// The blocks that hold one sequence's keys and values, in order of position.
///
/// Comes from [`BlockManager::attach_prefix`] and goes back through
/// [`BlockManager::release`]; dropping it otherwise leaks its blocks.
#[derive(Debug, Default)]
pub(super) struct BlockTable {
    salt: u64,
    owner: u64,
    blocks: Vec<BlockId>,
    /// How many leading blocks are filed in the prefix cache.
    num_registered: usize,
    /// The chain hash of the last registered block.
    last_hash: Option<ChainHash>,
}

impl BlockTable {
    pub(super) fn blocks(&self) -> &[BlockId] {
        &self.blocks
    }

    /// Leading blocks that others may hold too, and that nobody may write.
    pub(super) fn num_registered(&self) -> usize {
        self.num_registered
    }
}

/// What a broken invariant looks like; always a bug of this room.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the KV block accounting is broken: {0}")]
pub struct IntegrityError(pub(super) String);

#[derive(Debug)]
pub(super) struct BlockManager {
    block_size: usize,
    /// Tables that list each block.
    ref_counts: Vec<u32>,
    /// Blocks that hold nothing of use.
    free: Vec<BlockId>,
    cache: PrefixCache,
}

impl BlockManager {
    /// `num_blocks` empty blocks of `block_size` tokens; `cache_key` keys the hashes.
    pub(super) fn new(num_blocks: usize, block_size: usize, cache_key: [u8; 16]) -> Self {
        let num_ids = BlockId::try_from(num_blocks).expect("options are validated");
        Self {
            block_size,
            ref_counts: vec![0; num_blocks],
            free: (0..num_ids).rev().collect(),
            cache: PrefixCache::new(block_size, cache_key),
        }
    }

    pub(super) fn num_blocks(&self) -> usize {
        self.ref_counts.len()
    }

    /// Blocks that can be given out: free ones, and cached ones that nobody holds.
    pub(super) fn num_available(&self) -> usize {
        self.free.len() + self.cache.num_idle()
    }

    /// Blocks filed in the prefix cache, held or idle.
    pub(super) fn num_cached(&self) -> usize {
        self.cache.num_blocks()
    }

    /// Tokens per block.
    pub(super) fn block_size(&self) -> usize {
        self.block_size
    }

    pub(super) fn num_blocks_for(&self, num_tokens: usize) -> usize {
        num_tokens.div_ceil(self.block_size)
    }

    /// A table that holds the longest cached prefix of `tokens`, and how many
    /// tokens that is. What the table files later is filed for `owner`.
    pub(super) fn attach_prefix(
        &mut self,
        salt: u64,
        owner: u64,
        tokens: &[u32],
    ) -> (BlockTable, usize) {
        let found = self.cache.lookup(salt, tokens);
        let table = self.hold_found(found, salt, owner);
        let num_cached_tokens = table.blocks.len() * self.block_size;
        (table, num_cached_tokens)
    }

    /// The same for a text whose chain is known.
    pub(super) fn attach_chain(
        &mut self,
        chain: &[ChainHash],
        salt: u64,
        owner: u64,
        tokens: &[u32],
    ) -> BlockTable {
        let found = self.cache.lookup_named(chain.iter().copied(), salt, tokens);
        self.hold_found(found, salt, owner)
    }

    fn hold_found(
        &mut self,
        found: Vec<(ChainHash, BlockId)>,
        salt: u64,
        owner: u64,
    ) -> BlockTable {
        for &(_, block) in &found {
            self.hold_cached(block);
        }
        BlockTable {
            salt,
            owner,
            num_registered: found.len(),
            last_hash: found.last().map(|&(hash, _)| hash),
            blocks: found.into_iter().map(|(_, block)| block).collect(),
        }
    }

    /// Adds blocks until the table covers `num_tokens`, evicting cached blocks
    /// where it must. Returns false and changes nothing if there are too few.
    #[must_use]
    pub(super) fn grow(&mut self, table: &mut BlockTable, num_tokens: usize) -> bool {
        let num_new = self.num_blocks_for(num_tokens).saturating_sub(table.blocks.len());
        if num_new > self.num_available() {
            return false;
        }
        for _ in 0..num_new {
            let block = self.free.pop().or_else(|| self.cache.evict());
            let block = block.expect("enough blocks are available");
            self.ref_counts[block as usize] = 1;
            table.blocks.push(block);
        }
        true
    }

    /// Files every full block of `tokens` in the prefix cache.
    ///
    /// `tokens` are the sequence's tokens from the first on, as far as their keys
    /// and values are computed and will never be written again. Where another
    /// sequence filed the same text first, the table takes over that block.
    pub(super) fn register(&mut self, table: &mut BlockTable, tokens: &[u32]) {
        let unregistered = tokens.chunks_exact(self.block_size).enumerate();
        for (index, chunk) in unregistered.skip(table.num_registered) {
            let own = table.blocks[index];
            let scope = (table.salt, table.owner);
            let filed = self.cache.insert(table.last_hash, scope, chunk, own);
            if filed.block != own {
                self.hold_cached(filed.block);
                self.release_block(own);
                table.blocks[index] = filed.block;
            }
            table.num_registered = index + 1;
            table.last_hash = Some(filed.hash);
        }
    }

    /// Takes back a table's blocks. The last go first, so that the start of a text,
    /// which more sequences can share, is evicted last.
    pub(super) fn release(&mut self, table: BlockTable) {
        for &block in table.blocks.iter().rev() {
            self.release_block(block);
        }
    }

    /// The names of the blocks that hold the longest cached prefix of a text.
    pub(super) fn cached_chain(&self, salt: u64, tokens: &[u32]) -> Vec<ChainHash> {
        self.cache.lookup(salt, tokens).into_iter().map(|(hash, _)| hash).collect()
    }

    /// The names of all full blocks of a text, and how many of these are cached, which
    /// counts as a use of them.
    pub(super) fn use_chain(&mut self, salt: u64, tokens: &[u32]) -> (Vec<ChainHash>, usize) {
        let chain = self.cache.chain(salt, tokens);
        let table = self.attach_chain(&chain, salt, 0, tokens);
        let num_cached = table.blocks.len();
        self.release(table);
        (chain, num_cached)
    }

    /// A cached block by its name.
    pub(super) fn filed(&self, hash: ChainHash) -> Option<FiledBlock> {
        self.cache.filed(hash)
    }

    /// Drops what a scope covers, and what continues it, from the prefix cache. Idle
    /// blocks are free at once, held ones when they are released: `held`, all tables
    /// that exist, keep them for themselves.
    pub(super) fn forget<'a>(
        &mut self,
        scope: Scope,
        held: impl IntoIterator<Item = &'a mut BlockTable>,
    ) {
        for block in self.cache.forget(scope) {
            if self.ref_counts[block as usize] == 0 {
                self.free.push(block);
            }
        }
        for table in held {
            let registered = &table.blocks[..table.num_registered];
            let names = registered.iter().map_while(|&block| self.cache.name(block));
            let names: Vec<_> = names.collect();
            table.num_registered = names.len();
            table.last_hash = names.last().copied();
        }
    }

    /// Checks every invariant against `held`, all tables that exist.
    pub(super) fn check_integrity<'a>(
        &self,
        held: impl IntoIterator<Item = &'a BlockTable>,
    ) -> Result<(), IntegrityError> {
        let mut places = vec![0u32; self.num_blocks()];
        for table in held {
            table.blocks.iter().for_each(|&block| places[block as usize] += 1);
        }
        if let Some(block) = (0..places.len()).find(|&b| places[b] != self.ref_counts[b]) {
            let (count, holders) = (self.ref_counts[block], places[block]);
            return broken(format!("block {block} counts {count} holders but has {holders}"));
        }
        for block in self.free.iter().copied().chain(self.cache.idle_blocks()) {
            if places[block as usize] > 0 {
                return broken(format!("block {block} is both available and held, or twice free"));
            }
            places[block as usize] = 1;
        }
        if let Some(block) = self.free.iter().find(|&&block| self.cache.contains(block)) {
            return broken(format!("block {block} is both free and cached"));
        }
        if let Some(block) = places.iter().position(|&n| n == 0) {
            return broken(format!("block {block} is lost"));
        }
        self.cache.check_integrity().map_err(IntegrityError)
    }

    /// One more holder for a cached block.
    fn hold_cached(&mut self, block: BlockId) {
        self.ref_counts[block as usize] += 1;
        self.cache.mark_held(block);
    }

    fn release_block(&mut self, block: BlockId) {
        let count = &mut self.ref_counts[block as usize];
        *count = count.checked_sub(1).expect("only held blocks are released");
        if *count > 0 {
            return;
        }
        if self.cache.contains(block) {
            self.cache.mark_idle(block);
        } else {
            self.free.push(block);
        }
    }
}

fn broken(what: String) -> Result<(), IntegrityError> {
    Err(IntegrityError(what))
}
