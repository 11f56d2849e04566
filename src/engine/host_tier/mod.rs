//! The tier between the KV cache and the disk: copies of blocks of idle conversations in
//! this machine's memory.
//!
//! On a GPU, whose memory is small beside the machine's, this is what most conversations
//! come back from. The copies are plain, as in the KV cache.

mod cache;

use std::collections::VecDeque;
use std::sync::Arc;

use super::HostCacheStats;
use super::backlog::{Backlog, COPY_BYTES};
use super::block_log::StoredBlock;
use super::label::{BlockLabel, ChainHash, Scope};
use crate::model::ComingBlock;
use cache::HostCache;

/// A copy of a block out of the KV cache, which may still be on its way.
#[derive(Debug)]
pub(super) struct BlockCopy {
    pub(super) label: BlockLabel,
    pub(super) payload: ComingBlock,
}

impl BlockCopy {
    /// The block, waited for; `None` if the device fails, which the next step will tell.
    pub(super) fn wait(self) -> Option<Arc<StoredBlock>> {
        let Self { label, payload } = self;
        payload.wait().ok().map(|payload| Arc::new(StoredBlock { label, payload }))
    }
}

/// No more than this goes back into the KV cache in one step, or one block: some tens of
/// milliseconds, also over a bus.
const RESTORE_BYTES: usize = 256 << 20;

#[derive(Debug)]
pub(super) struct HostTier {
    cache: HostCache,
    block_bytes: usize,
    max_blocks: usize,
    backlog: Backlog,
    /// On their way here, in the order of the backlog.
    coming: VecDeque<BlockCopy>,
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
            coming: VecDeque::new(),
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

    /// Keeps what has come, and has more sent for by `copy`, which knows nothing of a block
    /// that is gone from the KV cache. Waits for one that is on its way where `may_wait`.
    pub(super) fn write_behind(
        &mut self,
        may_wait: bool,
        copy: impl Fn(ChainHash) -> Option<BlockCopy>,
    ) {
        self.take_arrived(may_wait);
        let mut left = COPY_BYTES.max(self.block_bytes);
        left = left.saturating_sub(self.coming.len() * self.block_bytes);
        while left >= self.block_bytes
            && let Some(hash) = self.backlog.pop()
        {
            if self.cache.contains(hash) {
                self.backlog.settle(hash);
                continue;
            }
            match copy(hash) {
                Some(copy) => {
                    self.coming.push_back(copy);
                    left -= self.block_bytes;
                }
                None => self.backlog.skip(hash),
            }
        }
        self.take_arrived(false);
    }

    /// Keeps what has come, parents first.
    fn take_arrived(&mut self, mut may_wait: bool) {
        while let Some(BlockCopy { label, payload }) = self.coming.pop_front() {
            let hash = label.hash;
            let payload = match may_wait {
                true => payload.wait(),
                false => match payload.take() {
                    Ok(payload) => payload,
                    Err(payload) => {
                        self.coming.push_front(BlockCopy { label, payload });
                        return;
                    }
                },
            };
            may_wait = false;
            // A device that fails is the next step's to tell.
            let block = payload.ok().map(|payload| StoredBlock { label, payload });
            if block.is_some_and(|block| self.keep(block)) {
                self.backlog.settle(hash);
            } else {
                self.backlog.skip(hash);
            }
        }
    }

    /// Lets what is on its way be.
    fn drop_coming(&mut self) {
        for BlockCopy { label, .. } in self.coming.drain(..) {
            self.backlog.skip(label.hash);
        }
    }

    /// Keeps a copy of a block that lies in the KV cache under the same label. False if there
    /// is no use or no room for it.
    pub(super) fn keep(&mut self, block: StoredBlock) -> bool {
        let is_new = self.cache.insert(block);
        self.num_written += u64::from(is_new);
        is_new
    }

    /// Whether blocks wait to be copied, or are on their way.
    pub(super) fn has_pending(&self) -> bool {
        !self.backlog.is_empty() || !self.coming.is_empty()
    }

    /// Whether a block will be here soon, or else never.
    pub(super) fn awaits(&self, hash: ChainHash) -> bool {
        self.backlog.is_underway(hash)
    }

    /// Nothing that waits is to be copied any more.
    pub(super) fn drop_pending(&mut self) {
        self.drop_coming();
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

    /// Drops what a scope covers, and what continues it. What is on its way may be of that.
    pub(super) fn forget(&mut self, scope: Scope) {
        self.drop_coming();
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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::mpsc::Sender;

    use super::*;
    use crate::gpu::{Arrival, GpuError};

    const BLOCK_BYTES: usize = COPY_BYTES / 4;

    fn hash(n: u8) -> ChainHash {
        ChainHash([n; 16])
    }

    /// A text of so many blocks, each owned by the owner of its number.
    fn label(n: u8) -> BlockLabel {
        let parent = n.checked_sub(1).map(hash);
        BlockLabel { hash: hash(n), parent, salt: 0, owner: n.into(), tokens: Box::default() }
    }

    /// A device that sends blocks when it is told to.
    #[derive(Default)]
    struct Far(RefCell<VecDeque<Sender<Arrival>>>);

    impl Far {
        fn copy(&self, hash: ChainHash) -> Option<BlockCopy> {
            let (to, payload) = ComingBlock::on_its_way();
            self.0.borrow_mut().push_back(to);
            Some(BlockCopy { label: label(hash.0[0]), payload })
        }

        fn num_asked(&self) -> usize {
            self.0.borrow().len()
        }

        /// Answers the request at that place among those that are left.
        fn answer(&self, at: usize, arrival: Arrival) {
            let _ = self.0.borrow_mut().remove(at).unwrap().send(arrival);
        }
    }

    fn tier(num_blocks: u8) -> HostTier {
        let mut tier = HostTier::new(1 << 30, BLOCK_BYTES, 100).unwrap();
        tier.offer(&(0..num_blocks).map(hash).collect::<Vec<_>>());
        tier
    }

    fn block() -> Arrival {
        Ok(vec![7; BLOCK_BYTES])
    }

    #[test]
    fn blocks_are_kept_in_their_order_whenever_they_come() {
        let (mut tier, far) = (tier(6), Far::default());
        tier.write_behind(false, |hash| far.copy(hash));
        assert_eq!(far.num_asked(), 4, "no more is on its way at once");
        far.answer(1, block());
        tier.write_behind(false, |hash| far.copy(hash));
        assert_eq!((tier.stats().num_blocks, far.num_asked()), (0, 3));
        far.answer(0, block());
        tier.write_behind(false, |hash| far.copy(hash));
        assert_eq!((tier.stats().num_blocks, far.num_asked()), (2, 4));
        assert!(tier.contains(hash(1)) && tier.awaits(hash(2)) && !tier.awaits(hash(1)));
        assert!(tier.has_pending());
        // Where nobody computes, one may be waited for.
        far.answer(0, block());
        tier.write_behind(true, |_| None);
        assert_eq!(tier.stats().num_blocks, 3);
        (0..3).for_each(|_| far.answer(0, block()));
        tier.write_behind(false, |_| None);
        assert_eq!((tier.stats().num_blocks, tier.stats().num_pending), (6, 0));
        assert!(!tier.has_pending());
        tier.check_integrity().unwrap();
    }

    #[test]
    fn what_does_not_come_is_skipped_with_what_continues_it() {
        let (mut tier, far) = (tier(3), Far::default());
        tier.write_behind(false, |hash| far.copy(hash));
        far.answer(0, block());
        far.answer(0, Err(GpuError::Failed("on purpose".into())));
        far.answer(0, block());
        tier.write_behind(false, |_| None);
        assert_eq!((tier.stats().num_blocks, tier.stats().num_skipped), (1, 2));
        assert!(!tier.has_pending());
    }

    #[test]
    fn what_is_forgotten_on_its_way_does_not_arrive() {
        let (mut tier, far) = (tier(3), Far::default());
        tier.write_behind(false, |hash| far.copy(hash));
        far.answer(0, block());
        tier.write_behind(false, |_| None);
        tier.forget(Scope::Owner(2));
        far.answer(0, block());
        far.answer(0, block());
        tier.write_behind(true, |_| None);
        assert!(!tier.contains(hash(1)) && !tier.contains(hash(2)));
        assert!(!tier.awaits(hash(2)), "it may be offered again");
        tier.check_integrity().unwrap();
    }
}
