//! How the engine uses the tiers below the KV cache: what it brings back before a
//! sequence runs, what it leaves there afterwards, and what all of them forget.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::block_log::StoredBlock;
use super::block_manager::BlockManager;
use super::disk_tier::{Forgotten, Restored};
use super::host_tier::{BlockCopy, HostTier};
use super::label::Scope;
use super::lower_tiers::{LowerTiers, NoDisk};
use super::restoring::Restoring;
use super::sequence::{Sequence, SequenceId};
use super::{Engine, EngineError};

/// How long a step may wait where everybody waits for the disk.
const PATIENCE: Duration = Duration::from_millis(5);
/// How long an engine that ends goes on copying blocks.
const LAST_WRITES: Duration = Duration::from_secs(5);

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
        let parked = self.tiers.parked().filter(|sequence| sequence.is_in(scope));
        for id in parked.map(|sequence| sequence.id).collect::<Vec<_>>() {
            self.end_restoring(id, true);
        }
        self.tiers.forget(forgotten);
    }

    /// Files what came back, and sends for what those who run next will need.
    pub(super) fn restore(&mut self) {
        if !self.tiers.exist() {
            return;
        }
        if self.scheduler.is_empty() && self.num_restoring() > 0 && self.tiers.is_quiet() {
            self.tiers.wait(PATIENCE);
        }
        self.file_from_disk();
        self.park_unprepared();
        let mut left = self.tiers.host.as_ref().map_or(0, |host| host.restore_bytes);
        for id in self.tiers.unserved() {
            self.serve(id, &mut left);
        }
    }

    /// Copies some of the blocks that are to be kept below.
    pub(super) fn write_behind(&mut self) {
        let Self { tiers, scheduler, runner, .. } = self;
        tiers.write_behind(scheduler.is_empty(), |hash| {
            let filed = scheduler.blocks().filed(hash)?;
            // A device that fails is the next step's to tell.
            let payload = runner.send_for_block(filed.block).ok()?;
            Some(BlockCopy { label: filed.label, payload })
        });
    }

    /// Whether a step would do nothing until something comes from outside.
    pub(super) fn is_resting(&self) -> bool {
        self.scheduler.is_empty() && self.tiers.is_quiet()
    }

    /// Copies what is left to be kept on the disk, for a while.
    pub(super) fn write_the_last(&mut self) {
        let deadline = Instant::now() + LAST_WRITES;
        // Host memory ends with the engine.
        self.tiers.host.iter_mut().for_each(HostTier::drop_pending);
        while let Ok(disk) = &self.tiers.disk
            && disk.has_pending()
            && disk.failure().is_none()
            && Instant::now() < deadline
        {
            if !disk.can_copy() {
                disk.wait(PATIENCE);
            }
            self.write_behind();
        }
    }

    /// Parks those of the next sequences whose text goes on below.
    fn park_unprepared(&mut self) {
        let parked_foreground = self.has_parked_foreground();
        for mut sequence in self.scheduler.take_unprepared(parked_foreground) {
            sequence.is_prepared = true;
            let blocks = self.scheduler.blocks_mut();
            let (chain, num_cached) =
                blocks.use_chain(sequence.cache_salt, sequence.shareable_tokens());
            let num_places = blocks.num_available().saturating_sub(num_cached);
            let num_further = self.tiers.num_further(&chain, num_cached).min(num_places);
            if num_further == 0 || sequence.is_forgotten {
                self.scheduler.push(sequence);
            } else {
                let wanted = num_cached..num_cached + num_further;
                self.tiers.park(Restoring::new(sequence, chain, wanted));
            }
        }
    }

    /// Files what host memory has for a sequence, `left` bytes at most; where that is all,
    /// the disk is asked for the rest, or the sequence runs.
    fn serve(&mut self, id: SequenceId, left: &mut usize) {
        let LowerTiers { host, restoring, .. } = &mut self.tiers;
        let Some(restoring) = restoring.get_mut(&id) else { return };
        let mut has_more = false;
        if let Some(host) = host {
            let found = host.leading(restoring.missing());
            let (blocks, block_bytes) = (self.scheduler.blocks_mut(), self.runner.block_bytes());
            let num_now = found.len().min(*left / block_bytes);
            let found_now = found[..num_now].iter().map(Arc::as_ref);
            let num_filed = restoring.file(blocks, &mut self.runner, found_now);
            host.note_restored(num_filed);
            *left -= num_now * block_bytes;
            if num_filed < num_now {
                return self.end_restoring(id, false);
            }
            has_more = num_now < found.len();
        }
        if !has_more && !self.tiers.ask_disk(id) {
            self.end_restoring(id, false);
        }
    }

    /// Files what was read from the disk.
    fn file_from_disk(&mut self) {
        let Ok(disk) = &mut self.tiers.disk else { return };
        let failure = disk.failure();
        for answer in disk.take_restored() {
            self.file(answer);
        }
        if let Some(error) = failure {
            self.give_up_disk(error);
        }
    }

    /// Files some blocks of a sequence that waits for them; host memory keeps copies.
    fn file(&mut self, answer: Restored) {
        let LowerTiers { host, disk: Ok(disk), restoring } = &mut self.tiers else { return };
        // Whoever has ended meanwhile needs none.
        let Some(restoring) = restoring.get_mut(&answer.id) else { return };
        let Restored { id, blocks: read, is_last } = answer;
        let num_read = read.len();
        let num_filed = restoring.file(self.scheduler.blocks_mut(), &mut self.runner, &read);
        disk.note_restored(num_filed);
        for StoredBlock { mut label, payload } in read.into_iter().take(num_filed) {
            let filed = self.scheduler.blocks().filed(label.hash);
            let (Some(host), Some(filed)) = (host.as_mut(), filed) else { break };
            // Another may have had it written than whose it is in the KV cache now.
            label.owner = filed.label.owner;
            if label == filed.label {
                host.keep(StoredBlock { label, payload });
            }
        }
        if is_last || num_filed < num_read {
            self.end_restoring(id, false);
        }
    }

    /// Lets a sequence run with the blocks that it has.
    fn end_restoring(&mut self, id: SequenceId, is_forgotten: bool) {
        let Some(mut restoring) = self.tiers.unpark(id) else { return };
        restoring.sequence.is_forgotten |= is_forgotten;
        if let Some(generation) = self.generations.get_mut(&id) {
            let block_size = self.scheduler.blocks().block_size();
            let blocks = restoring.restored();
            generation.note_restored(blocks.start * block_size..blocks.end * block_size);
        }
        self.scheduler.push(restoring.sequence);
    }

    /// Goes on without the disk.
    fn give_up_disk(&mut self, error: EngineError) {
        tracing::error!("the disk cache broke down: the engine goes on without it");
        self.tiers.disk = Err(NoDisk::Failed(error));
        let parked = self.tiers.restoring.values().filter(|restoring| restoring.awaits_disk);
        for id in parked.map(|restoring| restoring.sequence.id).collect::<Vec<_>>() {
            self.end_restoring(id, false);
        }
    }
}

/// Names the blocks of sequences that ended or lost them, to be kept below.
pub(super) fn offer<'a>(
    tiers: &mut LowerTiers,
    blocks: &BlockManager,
    sequences: impl IntoIterator<Item = &'a Sequence>,
) {
    if !tiers.exist() {
        return;
    }
    for sequence in sequences.into_iter().filter(|sequence| !sequence.is_forgotten) {
        tiers.offer(blocks.cached_chain(sequence.cache_salt, sequence.shareable_tokens()));
    }
}

impl Drop for Engine {
    /// Leaves the disk in order: what it lacks is written, for a few seconds.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.write_the_last();
        }
    }
}
