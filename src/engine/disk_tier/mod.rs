//! The last tier: blocks of idle conversations go to the disk and come back.
//!
//! The engine's side. What is to be written is only named until there is room to copy it.
//!
//! Invariant: nothing here waits for the disk, except [`DiskTier::wait`] and the drop.

mod desk;
mod worker;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::oneshot;

use super::backlog::{Backlog, COPY_BYTES};
use super::block_log::{BlockLog, Catalogue, StoredBlock};
use super::label::{ChainHash, Scope};
use super::sequence::SequenceId;
use super::{DiskCacheStats, EngineError};
use desk::{Desk, Restore};
use worker::Worker;

pub(super) use desk::Restored;

/// What is to be forgotten, and who waits for that.
#[derive(Debug)]
pub(super) struct Forgotten {
    pub(super) scope: Scope,
    /// Told when it is gone from the disk as well.
    pub(super) done: oneshot::Sender<Result<(), EngineError>>,
}

impl Forgotten {
    /// Tells what came of it; whoever asked need not have waited.
    pub(super) fn answer(self, outcome: Result<(), EngineError>) {
        let _ = self.done.send(outcome);
    }
}

/// What memory has of a block.
#[derive(Debug)]
pub(super) enum Found {
    Here(Arc<StoredBlock>),
    /// It is on its way from the KV cache.
    Later,
    Gone,
}

#[derive(Debug)]
pub(super) struct DiskTier {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
    catalogue: Catalogue,
    block_bytes: usize,
    /// What the disk lacks; underway until it is written, or never will be.
    backlog: Backlog,
    num_restored: u64,
}

impl DiskTier {
    /// Starts the disk's thread on a log of blocks of `block_bytes`. No more than
    /// `max_pending` blocks wait to be copied.
    pub(super) fn start(
        log: BlockLog,
        block_bytes: usize,
        max_pending: usize,
    ) -> Result<Self, EngineError> {
        let catalogue = log.catalogue();
        let desk = Arc::new(Desk::default());
        let worker = Worker::new(log, Arc::clone(&desk), block_bytes);
        let thread = thread::Builder::new()
            .name("kv-disk".into())
            .spawn(|| worker.run())
            .map_err(|error| EngineError::Spawn(Arc::new(error)))?;
        Ok(Self {
            desk,
            thread: Some(thread),
            catalogue,
            block_bytes,
            backlog: Backlog::new(max_pending),
            num_restored: 0,
        })
    }

    /// Calls `bell`, from the disk's thread, whenever something came of its work.
    pub(super) fn set_bell(&self, bell: impl Fn() + Send + 'static) {
        self.desk.set_bell(bell);
    }

    /// A chain that lies in memory and was just used: what the disk lacks of it is to
    /// be written.
    pub(super) fn offer(&mut self, chain: Vec<ChainHash>) {
        let lacking = chain.iter().filter(|&&hash| !self.catalogue.contains(hash));
        lacking.for_each(|&hash| self.backlog.push(hash));
        if !chain.is_empty() {
            self.desk.touch(chain);
        }
    }

    /// Has blocks copied by `copy` as far as there is room, and hands them over.
    pub(super) fn write_behind(&mut self, copy: impl Fn(ChainHash) -> Found) {
        self.note_settled();
        let mut left = COPY_BYTES.max(self.block_bytes);
        while left >= self.block_bytes && self.can_copy() {
            let Some(hash) = self.backlog.pop() else { return };
            match copy(hash) {
                Found::Here(block) => {
                    left -= self.block_bytes;
                    self.desk.write(block);
                }
                Found::Later => return self.backlog.put_back(hash),
                Found::Gone => self.backlog.skip(hash),
            }
        }
    }

    /// Whether a block could be copied now.
    pub(super) fn can_copy(&self) -> bool {
        self.has_pending() && self.desk.has_room_to_write(self.block_bytes)
    }

    /// Whether blocks wait to be copied.
    pub(super) fn has_pending(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Whether the disk holds this block, or did a moment ago.
    pub(super) fn contains(&self, hash: ChainHash) -> bool {
        self.catalogue.contains(hash)
    }

    /// Has blocks read for a sequence.
    pub(super) fn send_for(&self, id: SequenceId, chain: &[ChainHash]) {
        self.desk.restore(Restore { id, chain: chain.iter().copied().collect() });
    }

    /// Lets the rest of a sequence's blocks be.
    pub(super) fn cancel(&self, id: SequenceId) {
        self.desk.cancel(id);
    }

    /// Counts blocks that were read and are of use.
    pub(super) fn note_restored(&mut self, num_blocks: usize) {
        self.num_restored += num_blocks as u64;
    }

    /// Blocks that were read since it was last asked.
    pub(super) fn take_restored(&mut self) -> VecDeque<Restored> {
        self.desk.take_answers()
    }

    /// Whether there is anything to take.
    pub(super) fn has_news(&self) -> bool {
        self.desk.has_answers()
    }

    /// What is wrong if the disk's thread broke down, so that nothing more will come.
    pub(super) fn failure(&self) -> Option<EngineError> {
        self.desk.is_abandoned().then(desk::broken_down)
    }

    /// Waits until something came from the disk, or the time is over.
    pub(super) fn wait(&self, limit: Duration) {
        self.desk.wait(limit);
    }

    /// Forgets on the disk what was forgotten in memory.
    pub(super) fn forget(&mut self, forgotten: Forgotten) {
        self.desk.forget(forgotten);
        self.note_settled();
    }

    /// What waited and does not any more can be offered again.
    fn note_settled(&mut self) {
        for hash in self.desk.take_settled() {
            self.backlog.settle(hash);
        }
    }

    /// Nothing that waits in memory is to be written any more.
    pub(super) fn drop_pending(&mut self) {
        self.backlog.clear();
    }

    pub(super) fn stats(&self) -> DiskCacheStats {
        let counts = self.desk.counts();
        DiskCacheStats {
            num_blocks: counts.num_blocks,
            num_bytes: counts.num_bytes,
            num_pending: self.backlog.num_underway(),
            num_written: counts.num_written,
            num_restored: self.num_restored,
            num_skipped: self.backlog.num_skipped(),
            num_read_errors: counts.num_read_errors,
            num_write_errors: counts.num_write_errors,
        }
    }
}

#[cfg(test)]
impl DiskTier {
    /// Lets the disk's thread do nothing but forget.
    pub(super) fn pause(&self, is_paused: bool) {
        self.desk.pause(is_paused);
    }

    /// Sequences whose blocks are yet to be read.
    pub(super) fn num_restores(&self) -> usize {
        self.desk.num_restores()
    }

    /// As if the disk's thread had broken down.
    pub(super) fn break_down(&self) {
        self.desk.abandon();
    }
}

impl Drop for DiskTier {
    /// Waits until what was handed over is written.
    fn drop(&mut self) {
        self.desk.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the disk cache had panicked");
        }
    }
}
