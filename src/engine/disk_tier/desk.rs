//! Where the engine leaves work for the disk's thread, and finds what came of it.
//!
//! Invariant: the lock is never held while anything is read, written or copied, so
//! the engine's thread never waits for the disk. What lies here is bounded: writes in
//! bytes, restores by the sequences that may wait, answers in bytes.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Forgotten;
use crate::engine::EngineError;
use crate::engine::block_log::StoredBlock;
use crate::engine::label::{ChainHash, Scope};
use crate::engine::sequence::SequenceId;

/// Blocks that wait to be written take no more memory than this, or are one.
const MAX_WRITE_BYTES: usize = 64 << 20;
/// Blocks that were read and wait for the engine: no more are read until it took them.
const MAX_ANSWER_BYTES: usize = 32 << 20;
/// Chains whose use is to be noted; the oldest are let go.
const MAX_USES: usize = 64;

/// What the disk's thread is to do next.
pub(super) enum Job {
    Forget(Scope),
    Touch(Vec<ChainHash>),
    Restore(Restore),
    Write(Arc<StoredBlock>),
}

/// Blocks that a sequence waits for.
#[derive(Debug)]
pub(super) struct Restore {
    pub(super) id: SequenceId,
    /// What is left to read, in order.
    pub(super) chain: VecDeque<ChainHash>,
}

/// Some of the blocks that a sequence waits for.
#[derive(Debug)]
pub(in crate::engine) struct Restored {
    pub(in crate::engine) id: SequenceId,
    pub(in crate::engine) blocks: Vec<StoredBlock>,
    /// Whether no more will come.
    pub(in crate::engine) is_last: bool,
}

/// What the disk's thread counts.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) num_blocks: usize,
    pub(super) num_bytes: u64,
    pub(super) num_written: u64,
    pub(super) num_read_errors: u64,
    pub(super) num_write_errors: u64,
}

#[derive(Default)]
pub(super) struct Desk {
    state: Mutex<State>,
    changed: Condvar,
}

type Bell = Box<dyn Fn() + Send>;

#[derive(Default)]
struct State {
    forgets: VecDeque<Forgotten>,
    /// Who waits for what is being forgotten.
    forgetting: Option<Forgotten>,
    uses: VecDeque<Vec<ChainHash>>,
    restores: VecDeque<Restore>,
    /// Whose blocks are being read.
    reading: Option<SequenceId>,
    writes: VecDeque<Arc<StoredBlock>>,
    /// Of blocks that wait or are being written.
    write_bytes: usize,
    /// Blocks that are written, or never will be.
    settled: Vec<ChainHash>,
    answers: VecDeque<Restored>,
    answer_bytes: usize,
    counts: Counts,
    /// Wakes the engine's thread.
    bell: Option<Bell>,
    /// The engine is gone: what is to be written is written, and that is all.
    is_closed: bool,
    /// The disk's thread is gone.
    is_abandoned: bool,
    #[cfg(test)]
    is_paused: bool,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

/// The engine's side. None of these waits, but the one that says so.
impl Desk {
    pub(super) fn set_bell(&self, bell: impl Fn() + Send + 'static) {
        self.lock().bell = Some(Box::new(bell));
    }

    pub(super) fn has_room_to_write(&self, num_bytes: usize) -> bool {
        let queued = self.lock().write_bytes;
        queued == 0 || queued + num_bytes <= MAX_WRITE_BYTES
    }

    pub(super) fn write(&self, block: Arc<StoredBlock>) {
        let mut state = self.lock();
        state.write_bytes += block.payload.len();
        state.writes.push_back(block);
        self.changed.notify_all();
    }

    /// Names blocks that are written, or never will be, each once.
    pub(super) fn take_settled(&self) -> Vec<ChainHash> {
        std::mem::take(&mut self.lock().settled)
    }

    pub(super) fn touch(&self, chain: Vec<ChainHash>) {
        let mut state = self.lock();
        if state.uses.len() == MAX_USES {
            state.uses.pop_front();
        }
        state.uses.push_back(chain);
        self.changed.notify_all();
    }

    /// Those who came first are served first, the background after all others.
    pub(super) fn restore(&self, restore: Restore) {
        let mut state = self.lock();
        let place = state.restores.partition_point(|waiting| waiting.id < restore.id);
        state.restores.insert(place, restore);
        self.changed.notify_all();
    }

    /// Nothing more is wanted for this sequence.
    pub(super) fn cancel(&self, id: SequenceId) {
        let mut state = self.lock();
        state.restores.retain(|restore| restore.id != id);
        state.answers.retain(|answer| answer.id != id);
        state.answer_bytes = state.answers.iter().map(num_bytes).sum();
        state.reading = state.reading.filter(|&reading| reading != id);
        self.changed.notify_all();
    }

    pub(super) fn take_answers(&self) -> VecDeque<Restored> {
        let mut state = self.lock();
        state.answer_bytes = 0;
        self.changed.notify_all();
        std::mem::take(&mut state.answers)
    }

    pub(super) fn has_answers(&self) -> bool {
        let state = self.lock();
        !state.answers.is_empty() || state.is_abandoned
    }

    /// Forgets before anything else is done; what waits to be written goes at once.
    pub(super) fn forget(&self, forgotten: Forgotten) {
        let mut state = self.lock();
        let (gone, kept) = std::mem::take(&mut state.writes)
            .into_iter()
            .partition(|b| forgotten.scope.covers(b.label.salt, b.label.owner));
        let gone: VecDeque<Arc<StoredBlock>> = gone;
        state.writes = kept;
        state.write_bytes -= gone.iter().map(|block| block.payload.len()).sum::<usize>();
        state.settled.extend(gone.iter().map(|block| block.label.hash));
        if state.is_abandoned {
            forgotten.answer(Err(broken_down()));
            return;
        }
        state.forgets.push_back(forgotten);
        self.changed.notify_all();
    }

    /// Waits until something comes from the disk, or the time is over.
    pub(super) fn wait(&self, limit: Duration) {
        let state = self.lock();
        if state.answers.is_empty() && state.settled.is_empty() && !state.is_abandoned {
            // Whatever woke it, the caller looks for itself.
            drop(self.changed.wait_timeout(state, limit));
        }
    }

    pub(super) fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// Whether the disk's thread is gone.
    pub(super) fn is_abandoned(&self) -> bool {
        self.lock().is_abandoned
    }

    /// Lets the disk's thread end once everything is written.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.restores.clear();
        #[cfg(test)]
        {
            state.is_paused = false;
        }
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The disk's side.
impl Desk {
    /// The next thing to do, when there is one; `None` when there never will be.
    pub(super) fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.next() {
                return Some(job);
            }
            if state.is_closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What was read for a sequence; `rest` is read later.
    pub(super) fn answer(&self, answer: Restored, rest: Restore) {
        let mut state = self.lock();
        if state.reading.take() != Some(answer.id) || state.is_closed {
            return;
        }
        if !answer.is_last {
            let place = state.restores.partition_point(|waiting| waiting.id < rest.id);
            state.restores.insert(place, rest);
        }
        state.answer_bytes += num_bytes(&answer);
        state.answers.push_back(answer);
    }

    /// What came of forgetting.
    pub(super) fn answer_forget(&self, outcome: Result<(), EngineError>) {
        if let Some(forgotten) = self.lock().forgetting.take() {
            forgotten.answer(outcome);
        }
    }

    /// A block was written or given up.
    pub(super) fn settle(&self, hash: ChainHash, num_bytes: usize) {
        let mut state = self.lock();
        state.write_bytes -= num_bytes;
        state.settled.push(hash);
    }

    /// What a job changed; before anybody can see what came of it.
    pub(super) fn count(&self, counts: Counts) {
        self.lock().counts = counts;
    }

    /// Tells the engine that a job is done.
    pub(super) fn announce(&self) {
        self.ring(&self.lock());
    }

    /// The disk's thread ends, and nobody shall wait for it.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.is_abandoned = true;
        let State { forgetting, forgets, .. } = &mut *state;
        for forgotten in forgetting.take().into_iter().chain(forgets.drain(..)) {
            forgotten.answer(Err(broken_down()));
        }
        self.ring(&state);
    }

    fn ring(&self, state: &State) {
        self.changed.notify_all();
        if let Some(bell) = &state.bell {
            bell();
        }
    }
}

impl State {
    /// Forgetting first, then those who wait for blocks, then the rest.
    fn next(&mut self) -> Option<Job> {
        if let Some(forgotten) = self.forgets.pop_front() {
            let scope = forgotten.scope;
            self.forgetting = Some(forgotten);
            return Some(Job::Forget(scope));
        }
        #[cfg(test)]
        if self.is_paused {
            return None;
        }
        if let Some(chain) = self.uses.pop_front() {
            return Some(Job::Touch(chain));
        }
        if self.answer_bytes < MAX_ANSWER_BYTES
            && let Some(restore) = self.restores.pop_front()
        {
            self.reading = Some(restore.id);
            return Some(Job::Restore(restore));
        }
        self.writes.pop_front().map(Job::Write)
    }
}

/// What whoever wants something forgotten is told from then on.
pub(super) fn broken_down() -> EngineError {
    EngineError::DiskCache("its thread broke down, so nothing on the disk is forgotten".into())
}

fn num_bytes(answer: &Restored) -> usize {
    answer.blocks.iter().map(|block| block.payload.len()).sum()
}

#[cfg(test)]
impl Desk {
    /// Lets the disk's thread do nothing but forget.
    pub(super) fn pause(&self, is_paused: bool) {
        self.lock().is_paused = is_paused;
        self.changed.notify_all();
    }

    /// Sequences whose blocks are yet to be read.
    pub(super) fn num_restores(&self) -> usize {
        self.lock().restores.len()
    }
}
