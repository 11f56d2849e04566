//! The disk's thread: does what lies on the desk with the log, one job at a time.
//!
//! Invariant: when it ends, by a panic too, the engine is told.

use std::sync::Arc;

use super::desk::{Counts, Desk, Job, Restore, Restored};
use crate::engine::EngineError;
use crate::engine::block_log::{BlockLog, StoredBlock};
use crate::engine::label::Scope;

/// About so much is read at once.
const READ_BYTES: usize = 16 << 20;

pub(super) struct Worker {
    log: BlockLog,
    desk: Arc<Desk>,
    block_bytes: usize,
    num_written: u64,
    num_write_errors: u64,
}

impl Worker {
    pub(super) fn new(log: BlockLog, desk: Arc<Desk>, block_bytes: usize) -> Self {
        let worker = Self { log, desk, block_bytes, num_written: 0, num_write_errors: 0 };
        worker.count();
        worker
    }

    /// Works until the engine is gone and everything is written.
    pub(super) fn run(mut self) {
        let _end = End(self.desk.clone());
        while let Some(job) = self.desk.next() {
            match job {
                // Nobody waits for that: the engine may sleep on.
                Job::Touch(chain) => {
                    self.log.touch(&chain);
                    continue;
                }
                Job::Forget(scope) => self.forget(scope),
                Job::Restore(restore) => self.restore(restore),
                Job::Write(block) => self.write(&block),
            }
            self.desk.announce();
        }
    }

    fn forget(&mut self, scope: Scope) {
        let outcome = self.log.forget(scope);
        if let Err(error) = &outcome {
            tracing::error!(%error, "the disk cache could not forget");
        }
        self.count();
        self.desk.answer_forget(outcome.map_err(EngineError::from));
    }

    fn restore(&mut self, mut rest: Restore) {
        let num_blocks = (READ_BYTES / self.block_bytes.max(1)).clamp(1, rest.chain.len().max(1));
        let chain: Vec<_> = rest.chain.drain(..num_blocks.min(rest.chain.len())).collect();
        let blocks = self.log.read(&chain);
        let is_last = rest.chain.is_empty() || blocks.len() < chain.len();
        self.count();
        self.desk.answer(Restored { id: rest.id, blocks, is_last }, rest);
    }

    fn write(&mut self, block: &StoredBlock) {
        let (hash, num_bytes) = (block.label.hash, block.payload.len());
        // Its parent was forgotten while it waited, or refused: it would be of no use,
        // and nobody could tell any more what it continues.
        let is_orphan = block.label.parent.is_some_and(|parent| !self.log.contains(parent));
        let written = if is_orphan {
            Ok(false)
        } else {
            self.log.append(block.label.clone(), &block.payload)
        };
        match written {
            Ok(is_new) => self.num_written += u64::from(is_new),
            Err(error) => {
                // A full disk refuses every block: it is said once, and counted.
                if self.num_write_errors == 0 {
                    tracing::warn!(%error, "the disk cache could not store a block");
                }
                self.num_write_errors += 1;
            }
        }
        self.count();
        self.desk.settle(hash, num_bytes);
    }

    fn count(&self) {
        self.desk.count(Counts {
            num_blocks: self.log.num_blocks(),
            num_bytes: self.log.num_bytes(),
            num_written: self.num_written,
            num_read_errors: self.log.num_read_errors(),
            num_write_errors: self.num_write_errors,
        });
    }
}

/// Tells the engine when the thread ends.
struct End(Arc<Desk>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
