//! What a tier is to copy out of the KV cache: names, until there is room for the bytes.

use std::collections::{HashSet, VecDeque};

use super::label::ChainHash;

/// No more than this is copied for a tier in one step, or one block.
pub(super) const COPY_BYTES: usize = 16 << 20;

/// Blocks to be copied, parents first; some may be gone from memory when it is their turn.
#[derive(Debug)]
pub(super) struct Backlog {
    pending: VecDeque<ChainHash>,
    max_pending: usize,
    /// Blocks that are pending, or were taken and are not settled yet.
    underway: HashSet<ChainHash>,
    num_skipped: u64,
}

impl Backlog {
    /// No more than `max_pending` blocks wait to be copied.
    pub(super) fn new(max_pending: usize) -> Self {
        Self { pending: VecDeque::new(), max_pending, underway: HashSet::new(), num_skipped: 0 }
    }

    /// Names a block that is to be copied, unless it is underway; where too many wait, it
    /// is let go.
    pub(super) fn push(&mut self, hash: ChainHash) {
        if self.underway.contains(&hash) {
            return;
        }
        if self.pending.len() >= self.max_pending {
            self.num_skipped += 1;
            return;
        }
        self.underway.insert(hash);
        self.pending.push_back(hash);
    }

    /// The next block to be copied; underway until it is settled or skipped.
    pub(super) fn pop(&mut self) -> Option<ChainHash> {
        self.pending.pop_front()
    }

    /// A block that was taken waits again, as the first.
    pub(super) fn put_back(&mut self, hash: ChainHash) {
        self.pending.push_front(hash);
    }

    /// Whether a block waits, or was taken and is not settled yet.
    pub(super) fn is_underway(&self, hash: ChainHash) -> bool {
        self.underway.contains(&hash)
    }

    /// What came of a block is known: it can be named again.
    pub(super) fn settle(&mut self, hash: ChainHash) {
        self.underway.remove(&hash);
    }

    /// A block could not be copied.
    pub(super) fn skip(&mut self, hash: ChainHash) {
        self.settle(hash);
        self.num_skipped += 1;
    }

    /// Nothing that waits is to be copied any more.
    pub(super) fn clear(&mut self) {
        for hash in self.pending.drain(..) {
            self.underway.remove(&hash);
        }
    }

    /// Whether no block waits.
    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    pub(super) fn num_underway(&self) -> usize {
        self.underway.len()
    }

    /// Blocks that were let go.
    pub(super) fn num_skipped(&self) -> u64 {
        self.num_skipped
    }
}
