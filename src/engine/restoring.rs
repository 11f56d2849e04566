//! A sequence whose blocks come back from below, and how they are filed.
//!
//! Invariant: a block that comes back is filed like one that was computed, under the
//! same checks, so the rest of the engine does not know the difference.

use std::ops::Range;

use super::block_log::StoredBlock;
use super::block_manager::BlockManager;
use super::label::{BlockLabel, ChainHash};
use super::model_runner::ModelRunner;
use super::sequence::Sequence;

/// A sequence that waits for blocks. It holds no KV block meanwhile.
#[derive(Debug)]
pub(super) struct Restoring {
    pub(super) sequence: Sequence,
    /// The names of all its blocks.
    chain: Vec<ChainHash>,
    /// The first block that was below, and the first that is not to come back.
    wanted: Range<usize>,
    /// Those that are back.
    num_restored: usize,
    /// Whether the disk reads some for it now.
    pub(super) awaits_disk: bool,
}

impl Restoring {
    /// Of a sequence's blocks, named by `chain`, those `wanted` are to come back.
    pub(super) fn new(sequence: Sequence, chain: Vec<ChainHash>, wanted: Range<usize>) -> Self {
        Self { sequence, chain, wanted, num_restored: 0, awaits_disk: false }
    }

    /// The names of all its blocks.
    pub(super) fn chain(&self) -> &[ChainHash] {
        &self.chain
    }

    /// The blocks that are back.
    pub(super) fn restored(&self) -> Range<usize> {
        self.wanted.start..self.wanted.start + self.num_restored
    }

    /// The names of those that are yet to come.
    pub(super) fn missing(&self) -> &[ChainHash] {
        &self.chain[self.restored().end..self.wanted.end]
    }

    /// Puts the next blocks of the sequence into KV blocks and files them; returns how many
    /// of them are in the cache now. Evicts what the sequence would evict if it computed
    /// them.
    pub(super) fn file<'a>(
        &mut self,
        blocks: &mut BlockManager,
        runner: &mut ModelRunner,
        stored: impl IntoIterator<Item = &'a StoredBlock>,
    ) -> usize {
        let Self { sequence, chain, .. } = self;
        let (block_size, tokens) = (blocks.block_size(), sequence.shareable_tokens());
        // Held meanwhile, so that no block evicts its own ancestor.
        let mut table =
            blocks.attach_chain(chain, sequence.cache_salt, sequence.cache_owner, tokens);
        let mut num_filed = 0;
        for (index, block) in (self.wanted.start + self.num_restored..).zip(stored) {
            if index >= table.blocks().len() {
                let end = (index + 1) * block_size;
                let is_next = index == table.blocks().len() && index < chain.len();
                if !is_next || !is_meant(block, chain, index, sequence, block_size) {
                    break;
                }
                if block.payload.len() != runner.block_bytes() || !blocks.grow(&mut table, end) {
                    break;
                }
                if runner.write_block(table.blocks()[index], &block.payload).is_err() {
                    break;
                }
                blocks.register(&mut table, &tokens[..end]);
            }
            num_filed += 1;
        }
        blocks.release(table);
        self.num_restored += num_filed;
        num_filed
    }
}

/// Whether a stored block stands for that block of a sequence, token by token.
fn is_meant(
    block: &StoredBlock,
    chain: &[ChainHash],
    index: usize,
    sequence: &Sequence,
    block_size: usize,
) -> bool {
    let BlockLabel { hash, parent, salt, owner: _, tokens } = &block.label;
    *hash == chain[index]
        && *parent == index.checked_sub(1).map(|before| chain[before])
        && *salt == sequence.cache_salt
        && **tokens == sequence.tokens[index * block_size..(index + 1) * block_size]
}
