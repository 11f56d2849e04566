//! The tier between the KV cache and the disk: copies of blocks of idle conversations in
//! this machine's memory.
//!
//! On a GPU, whose memory is small beside the machine's, this is what most conversations
//! come back from. The copies are plain, as in the KV cache.

mod cache;

use std::sync::Arc;

use super::HostCacheStats;
use super::backlog::{Backlog, COPY_BYTES};
use super::block_log::StoredBlock;
use super::label::{ChainHash, Scope};
use cache::HostCache;

/// No more than this goes back into the KV cache in one step, or one block: some tens of
/// milliseconds, also over a bus.
const RESTORE_BYTES: usize = 256 << 20;

#[derive(Debug)]
pub(super) struct HostTier {
    cache: HostCache,
    block_bytes: usize,
    max_blocks: usize,
    backlog: Backlog,
    num_written: u64,
    num_restored: u64,
    /// Bytes that may go back into the KV cache in one step.
    pub(super) restore_bytes: usize,
}

impl HostTier {
    /// Room for blocks of `block_bytes`; `None` where it would not hold two. No more than
    /// `max_pending` wait to be copied.
    pub(super) fn new(capacity_bytes: u64, block_bytes: usize, max_pending: usize) -> Option<Self> {
        let max_blocks = capacity_bytes / block_bytes.max(1) as u64;
        (max_blocks >= 2).then(|| Self {
            cache: HostCache::new(capacity_bytes),
            block_bytes,
            max_blocks: usize::try_from(max_blocks).unwrap_or(usize::MAX),
            backlog: Backlog::new(max_pending),
            num_written: 0,
            num_restored: 0,
            restore_bytes: RESTORE_BYTES.max(block_bytes),
        })
    }

    /// Blocks for which there is room, of one text or of several.
    pub(super) fn max_blocks(&self) -> usize {
        self.max_blocks
    }

    /// A chain that lies in the KV cache and was just used: what is lacking of it here is to
    /// be copied, as far as it could stay.
    pub(super) fn offer(&mut self, chain: &[ChainHash]) {
        self.cache.touch(chain);
        let lacking = chain.iter().take(self.max_blocks);
        for &hash in lacking.filter(|&&hash| !self.cache.contains(hash)) {
            self.backlog.push(hash);
        }
    }

    /// Has some blocks copied by `copy`, which knows nothing of a block that is gone from the
    /// KV cache.
    pub(super) fn write_behind(&mut self, copy: impl Fn(ChainHash) -> Option<StoredBlock>) {
        let mut left = COPY_BYTES.max(self.block_bytes);
        while left >= self.block_bytes
            && let Some(hash) = self.backlog.pop()
        {
            if self.cache.contains(hash) {
                self.backlog.settle(hash);
                continue;
            }
            let block = copy(hash);
            left -= block.as_ref().map_or(0, |_| self.block_bytes);
            if block.is_some_and(|block| self.keep(block)) {
                self.backlog.settle(hash);
            } else {
                self.backlog.skip(hash);
            }
        }
    }

    /// Keeps a copy of a block that lies in the KV cache under the same label. False if there
    /// is no use or no room for it.
    pub(super) fn keep(&mut self, block: StoredBlock) -> bool {
        let is_new = self.cache.insert(block);
        self.num_written += u64::from(is_new);
        is_new
    }

    /// Whether blocks wait to be copied.
    pub(super) fn has_pending(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Nothing that waits is to be copied any more.
    pub(super) fn drop_pending(&mut self) {
        self.backlog.clear();
    }

    pub(super) fn contains(&self, hash: ChainHash) -> bool {
        self.cache.contains(hash)
    }

    pub(super) fn get(&self, hash: ChainHash) -> Option<Arc<StoredBlock>> {
        self.cache.get(hash).cloned()
    }

    /// The blocks at the beginning of a chain, as far as they are here.
    pub(super) fn leading(&self, chain: &[ChainHash]) -> Vec<Arc<StoredBlock>> {
        chain.iter().map_while(|&hash| self.get(hash)).collect()
    }

    /// Notes that a chain is about to be used.
    pub(super) fn touch(&mut self, chain: &[ChainHash]) {
        self.cache.touch(chain);
    }

    /// Counts blocks that went back into the KV cache.
    pub(super) fn note_restored(&mut self, num_blocks: usize) {
        self.num_restored += num_blocks as u64;
    }

    /// Drops what a scope covers, and what continues it.
    pub(super) fn forget(&mut self, scope: Scope) {
        self.cache.forget(scope);
    }

    /// Checks that the counts agree.
    pub(super) fn check_integrity(&self) -> Result<(), String> {
        self.cache.check_integrity()
    }

    pub(super) fn stats(&self) -> HostCacheStats {
        HostCacheStats {
            num_blocks: self.cache.num_blocks(),
            num_bytes: self.cache.num_bytes(),
            num_pending: self.backlog.num_underway(),
            num_written: self.num_written,
            num_restored: self.num_restored,
            num_skipped: self.backlog.num_skipped(),
        }
    }
}
