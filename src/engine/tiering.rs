//! How the engine uses the tier below memory: what it brings back before a sequence
//! runs, what it leaves there afterwards, and what both forget.
//!
//! Invariant: a block that comes back is filed like one that was computed, under the
//! same checks, so the rest of the engine does not know the difference.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::block_log::{BlockLog, BlockLogError, StoredBlock};
use super::block_manager::BlockManager;
use super::disk_tier::{DiskTier, Forgotten, Restored, Restoring};
use super::label::{BlockLabel, ChainHash, Scope};
use super::model_runner::ModelRunner;
use super::sequence::{Sequence, SequenceId};
use super::{DiskCacheOptions, Engine, EngineError};

/// How long a step may wait where everybody waits for the disk.
const PATIENCE: Duration = Duration::from_millis(5);
/// How long an engine that ends goes on copying blocks.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// Why an engine has no tier below memory.
#[derive(Debug)]
pub(super) enum NoTier {
    /// There is none by its options, and nothing in its directory.
    Off,
    /// It could not be opened, or broke down. Whatever lies in its directory stays there,
    /// and cannot be forgotten.
    Failed(EngineError),
}

/// Opens the tier, and tells which key the prefix cache must have. Without it the
/// engine works all the same: whatever is wrong is said in the log.
pub(super) fn open(
    options: Option<&DiskCacheOptions>,
    runner: &ModelRunner,
    new_key: [u8; 16],
) -> Result<(Result<DiskTier, NoTier>, [u8; 16]), EngineError> {
    let Some(DiskCacheOptions { dir, capacity_bytes, key }) = options else {
        return Ok((Err(NoTier::Off), new_key));
    };
    let opened = if 2 * runner.block_bytes() as u64 > *capacity_bytes {
        tracing::warn!(capacity_bytes, "the disk cache is off: it would not hold two blocks");
        // What it held when it was larger would stay, and nobody would forget it.
        BlockLog::clear(dir).map(|()| None)
    } else {
        let identity = runner.kv_identity();
        BlockLog::open(dir, *capacity_bytes, &identity, new_key, key.as_ref()).map(Some)
    };
    match opened {
        Ok(Some(log)) => {
            let (num_blocks, num_bytes) = (log.num_blocks(), log.num_bytes());
            tracing::info!(num_blocks, num_bytes, "the disk cache is open");
            let key = log.key();
            let tier = DiskTier::start(log, runner.block_bytes(), runner.num_blocks())?;
            Ok((Ok(tier), key))
        }
        Ok(None) => Ok((Err(NoTier::Off), new_key)),
        Err(error) => {
            if matches!(error, BlockLogError::Locked(_)) {
                tracing::warn!(%error, "this engine runs without a disk cache");
            } else {
                let dir = dir.display();
                tracing::error!(%error, %dir, "this engine runs without a disk cache");
            }
            Ok((Err(NoTier::Failed(error.into())), new_key))
        }
    }
}

/// Deletes what an engine left in the directory of its disk cache, for whoever wants
/// none any more. Does nothing where there is none.
///
/// # Errors
/// `DiskCache` if an engine uses it now, or the system refuses.
pub fn discard_disk_cache(dir: &Path) -> Result<(), EngineError> {
    Ok(BlockLog::clear(dir)?)
}

impl Engine {
    /// Drops what is cached under a salt from memory, and from the disk. What runs
    /// under it goes on, and is not kept.
    ///
    /// The receiver hears when nothing is left of it on the disk.
    pub fn forget_salt(&mut self, salt: u64) -> oneshot::Receiver<Result<(), EngineError>> {
        self.forget_with_receipt(Scope::Salt(salt))
    }

    /// The same for what was cached for an owner, and what continues it, for whomever;
    /// 0, which is nobody, has nothing.
    pub fn forget_owner(&mut self, owner: u64) -> oneshot::Receiver<Result<(), EngineError>> {
        self.forget_with_receipt(Scope::Owner(owner))
    }

    fn forget_with_receipt(&mut self, scope: Scope) -> oneshot::Receiver<Result<(), EngineError>> {
        let (done, receipt) = oneshot::channel();
        self.forget(Forgotten { scope, done });
        receipt
    }

    pub(super) fn forget(&mut self, forgotten: Forgotten) {
        let scope = forgotten.scope;
        self.scheduler.forget(scope);
        let parked = self.tier.iter().flat_map(DiskTier::restoring);
        let ids = parked.filter(|sequence| sequence.is_in(scope)).map(|sequence| sequence.id);
        for id in ids.collect::<Vec<_>>() {
            self.end_restoring(id, true);
        }
        match &mut self.tier {
            Ok(tier) => tier.forget(forgotten),
            Err(NoTier::Off) => forgotten.answer(Ok(())),
            Err(NoTier::Failed(error)) => forgotten.answer(Err(error.clone())),
        }
    }

    /// Files what came back, and sends for what those who run next will need.
    pub(super) fn restore(&mut self) {
        if self.scheduler.is_empty()
            && let Ok(tier) = &self.tier
            && tier.restoring().len() > 0
        {
            tier.wait(PATIENCE);
        }
        let Ok(tier) = &mut self.tier else { return };
        let failure = tier.failure();
        for answer in tier.take_restored() {
            self.file(answer);
        }
        if let Some(error) = failure {
            self.give_up_tier(error);
        }
        self.send_for_blocks();
    }

    /// Copies some of the blocks that are to be kept below.
    pub(super) fn write_behind(&mut self) {
        let Self { tier: Ok(tier), scheduler, runner, .. } = self else { return };
        tier.write_behind(|hash| {
            let filed = scheduler.blocks().filed(hash)?;
            // A device that fails is the next step's to tell.
            let payload = runner.read_block(filed.block).ok()?;
            Some(StoredBlock { label: filed.label, payload })
        });
    }

    /// Whether a step would do nothing until something comes from outside.
    pub(super) fn is_resting(&self) -> bool {
        let is_quiet = |tier: &DiskTier| !tier.has_news() && !tier.can_copy();
        self.scheduler.is_empty() && self.tier.iter().all(is_quiet)
    }

    /// Copies what is left to be kept below, for a while.
    pub(super) fn write_the_last(&mut self) {
        let deadline = Instant::now() + LAST_WRITES;
        while let Ok(tier) = &self.tier
            && tier.has_pending()
            && tier.failure().is_none()
            && Instant::now() < deadline
        {
            if !tier.can_copy() {
                tier.wait(PATIENCE);
            }
            self.write_behind();
        }
    }

    /// Parks those of the next sequences whose text goes on in the tier below.
    fn send_for_blocks(&mut self) {
        let parked_foreground = self.has_parked_foreground();
        let Ok(tier) = &mut self.tier else { return };
        for mut sequence in self.scheduler.take_unprepared(parked_foreground) {
            sequence.is_prepared = true;
            let blocks = self.scheduler.blocks_mut();
            let (chain, num_cached) =
                blocks.use_chain(sequence.cache_salt, sequence.shareable_tokens());
            let num_places = blocks.num_available().saturating_sub(num_cached);
            let num_further = tier.num_further(&chain, num_cached).min(num_places);
            if num_further == 0 || sequence.is_forgotten {
                self.scheduler.push(sequence);
            } else {
                tier.park(sequence, chain, num_cached..num_cached + num_further);
            }
        }
    }

    /// Files some blocks of a sequence that waits for them.
    fn file(&mut self, answer: Restored) {
        let Ok(tier) = &mut self.tier else { return };
        // Whoever has ended meanwhile needs none.
        let Some(restoring) = tier.restoring_mut(answer.id) else { return };
        let blocks = self.scheduler.blocks_mut();
        let num_blocks = answer.blocks.len();
        let num_filed = file_blocks(blocks, &mut self.runner, restoring, answer.blocks);
        restoring.num_restored += num_filed;
        if answer.is_last || num_filed < num_blocks {
            self.end_restoring(answer.id, false);
        }
    }

    /// Lets a sequence run with the blocks that it has.
    fn end_restoring(&mut self, id: SequenceId, is_forgotten: bool) {
        let Some(mut restoring) = self.tier.iter_mut().find_map(|tier| tier.unpark(id)) else {
            return;
        };
        restoring.sequence.is_forgotten |= is_forgotten;
        if let Some(generation) = self.generations.get_mut(&id) {
            let block_size = self.scheduler.blocks().block_size();
            let end = restoring.first + restoring.num_restored;
            generation.note_restored(restoring.first * block_size..end * block_size);
        }
        self.scheduler.push(restoring.sequence);
    }

    /// Goes on without the tier.
    fn give_up_tier(&mut self, error: EngineError) {
        tracing::error!("the disk cache broke down: the engine goes on without it");
        let ids = self.tier.iter().flat_map(|tier| tier.restoring().map(|sequence| sequence.id));
        for id in ids.collect::<Vec<_>>() {
            self.end_restoring(id, false);
        }
        self.tier = Err(NoTier::Failed(error));
    }
}

/// Names the blocks of sequences that ended or lost them, to be kept below.
pub(super) fn offer<'a>(
    tier: &mut Result<DiskTier, NoTier>,
    blocks: &BlockManager,
    sequences: impl IntoIterator<Item = &'a Sequence>,
) {
    let Ok(tier) = tier else { return };
    for sequence in sequences.into_iter().filter(|sequence| !sequence.is_forgotten) {
        tier.offer(blocks.cached_chain(sequence.cache_salt, sequence.shareable_tokens()));
    }
}

/// Puts the next blocks that were read for a sequence into KV blocks and files them;
/// returns how many of them are in memory now. Evicts what the sequence would evict if
/// it computed them.
fn file_blocks(
    blocks: &mut BlockManager,
    runner: &mut ModelRunner,
    restoring: &Restoring,
    stored: Vec<StoredBlock>,
) -> usize {
    let Restoring { sequence, chain, first, num_restored } = restoring;
    let (block_size, tokens) = (blocks.block_size(), sequence.shareable_tokens());
    // Held meanwhile, so that no block evicts its own ancestor.
    let mut table = blocks.attach_chain(chain, sequence.cache_salt, sequence.cache_owner, tokens);
    let mut num_filed = 0;
    for (index, block) in (first + num_restored..).zip(stored) {
        if index >= table.blocks().len() {
            let end = (index + 1) * block_size;
            let is_next = index == table.blocks().len() && index < chain.len();
            if !is_next || !is_meant(&block, chain, index, sequence, block_size) {
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
    num_filed
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

impl Drop for Engine {
    /// Leaves the tier below in order: what it lacks is written, for a few seconds.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.write_the_last();
        }
    }
}
