//! Queues to one step's batch: who runs, how many tokens each, who must wait.
//!
//! No tensor, no tokenizer, no clock; tested with plain integers.
//!
//! Invariant: first come, first served, among those who are here. Whoever waits for the
//! disk cache is not, and is overtaken meanwhile; it comes back to its old place. The
//! oldest sequence is never preempted while a younger one runs, and nobody is admitted
//! before the head of the waiting queue, so every sequence that fits alone is finished
//! in the end. The background comes after all others, and only while there are none.

use std::collections::BTreeMap;

use super::block_manager::{BlockManager, BlockTable, IntegrityError};
use super::label::Scope;
use super::sequence::{Sequence, SequenceId};

/// The limits of one step.
#[derive(Debug, Clone, Copy)]
pub(super) struct SchedulerLimits {
    /// Sequences that run at once.
    pub(super) max_batch_sequences: usize,
    /// Tokens of one step, decodes and prefill together.
    pub(super) max_batch_tokens: usize,
}

/// One sequence's share of a step: its next `num_tokens` uncomputed tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ScheduledSequence {
    pub(super) id: SequenceId,
    pub(super) num_tokens: usize,
    /// Whether a token is sampled after these: they are the last it has.
    pub(super) samples: bool,
}

/// What [`Scheduler::schedule`] decided.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Schedule {
    pub(super) batch: Vec<ScheduledSequence>,
    /// Sequences that left the waiting queue in this step.
    pub(super) admitted: Vec<Admitted>,
    /// Sequences that lost their blocks and went back to the queue.
    pub(super) preempted: Vec<SequenceId>,
}

impl Schedule {
    /// Tokens of the batch that are no sequence's newest alone.
    pub(super) fn num_prompt_tokens(&self) -> usize {
        let prompts = self.batch.iter().filter(|item| item.num_tokens > 1 || !item.samples);
        prompts.map(|item| item.num_tokens).sum()
    }
}

/// A sequence that starts, or starts again, to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Admitted {
    pub(super) id: SequenceId,
    /// Tokens found in the prefix cache.
    pub(super) num_cached_tokens: usize,
}

/// Owns the sequences and the block accounting.
///
/// Both queues are ordered by arrival, so a preempted sequence takes its old place.
#[derive(Debug)]
pub(super) struct Scheduler {
    limits: SchedulerLimits,
    blocks: BlockManager,
    waiting: BTreeMap<SequenceId, Sequence>,
    running: BTreeMap<SequenceId, Sequence>,
}

impl Scheduler {
    pub(super) fn new(limits: SchedulerLimits, blocks: BlockManager) -> Self {
        Self { limits, blocks, waiting: BTreeMap::new(), running: BTreeMap::new() }
    }

    /// Puts a new sequence at the end of the queue.
    pub(super) fn push(&mut self, sequence: Sequence) {
        self.waiting.insert(sequence.id, sequence);
    }

    /// Takes a sequence out, wherever it stands, and frees its blocks.
    pub(super) fn remove(&mut self, id: SequenceId) -> Option<Sequence> {
        let mut sequence = self.running.remove(&id).or_else(|| self.waiting.remove(&id))?;
        self.blocks.release(std::mem::take(&mut sequence.block_table));
        Some(sequence)
    }

    /// Takes those out of the queue who may run next and have not been prepared for it;
    /// [`Scheduler::push`] puts them back in their places. One more than may run, so
    /// that the next is ready when somebody ends.
    /// The background is not prepared while there is anybody else.
    pub(super) fn take_unprepared(&mut self, parked_foreground: bool) -> Vec<Sequence> {
        let has_foreground = parked_foreground || self.has_foreground();
        let num_next = self.limits.max_batch_sequences.saturating_sub(self.running.len()) + 1;
        let may_run = |id: SequenceId| !has_foreground || !id.is_background();
        let next = self.waiting.values().take(num_next);
        let unprepared = next.filter(|sequence| !sequence.is_prepared && may_run(sequence.id));
        let ids: Vec<_> = unprepared.map(|sequence| sequence.id).collect();
        ids.iter().filter_map(|id| self.waiting.remove(id)).collect()
    }

    /// Drops what a scope covers from the prefix cache, and lets nobody there file more.
    pub(super) fn forget(&mut self, scope: Scope) {
        for sequence in self.waiting.values_mut().chain(self.running.values_mut()) {
            sequence.is_forgotten |= sequence.is_in(scope);
        }
        let tables = self.running.values_mut().map(|sequence| &mut sequence.block_table);
        self.blocks.forget(scope, tables);
    }

    /// Chooses the next batch: a token for every decoding sequence, then prefill
    /// chunks, oldest sequence first, up to `max_batch_tokens` together and
    /// `max_prompt_tokens` of them.
    ///
    /// The background gets nothing while there is anybody else, or, as
    /// `parked_foreground` tells, somebody who will be pushed soon.
    pub(super) fn schedule(
        &mut self,
        max_prompt_tokens: usize,
        parked_foreground: bool,
    ) -> Schedule {
        let mut schedule = Schedule::default();
        let has_foreground = parked_foreground || self.has_foreground();
        if has_foreground {
            self.yield_background(&mut schedule.preempted);
        }
        self.schedule_decodes(&mut schedule);
        let num_tokens: usize = schedule.batch.iter().map(|s| s.num_tokens).sum();
        let mut budget = self.limits.max_batch_tokens.saturating_sub(num_tokens);
        budget = budget.min(max_prompt_tokens);
        for sequence in self.running.values().filter(|s| !s.is_decoding()) {
            schedule_prefill(sequence, &mut budget, &mut schedule);
        }
        self.admit(&mut budget, has_foreground, &mut schedule);
        schedule
    }

    /// Records that `num_tokens` more tokens of a running sequence are computed,
    /// and offers the blocks they filled to others.
    pub(super) fn commit(&mut self, id: SequenceId, num_tokens: usize) {
        let sequence = self.running.get_mut(&id).expect("only running sequences are in a batch");
        sequence.num_computed_tokens += num_tokens;
        if sequence.is_forgotten {
            return;
        }
        let mut table = std::mem::take(&mut sequence.block_table);
        self.blocks.register(&mut table, sequence.final_tokens());
        sequence.block_table = table;
    }

    /// Lets less run at once from now on, since the device had no memory for a batch: half
    /// its tokens where they are many, else half its sequences; whoever must wait loses its
    /// blocks. `None` where it was the least already.
    pub(super) fn shrink(&mut self, batch: &[ScheduledSequence]) -> Option<SchedulerLimits> {
        let num_tokens: usize = batch.iter().map(|item| item.num_tokens).sum();
        if num_tokens > 2 * batch.len() || batch.len() == 1 && num_tokens > 1 {
            self.limits.max_batch_tokens = num_tokens / 2;
        } else if batch.len() > 1 {
            self.limits.max_batch_sequences = batch.len() / 2;
            while self.running.len() > self.limits.max_batch_sequences {
                self.preempt_youngest();
            }
        } else {
            return None;
        }
        Some(self.limits)
    }

    pub(super) fn waiting(&self, id: SequenceId) -> Option<&Sequence> {
        self.waiting.get(&id)
    }

    pub(super) fn running(&self, id: SequenceId) -> Option<&Sequence> {
        self.running.get(&id)
    }

    pub(super) fn running_mut(&mut self, id: SequenceId) -> Option<&mut Sequence> {
        self.running.get_mut(&id)
    }

    /// Those in the background, wherever they stand.
    pub(super) fn background(&self) -> impl Iterator<Item = &Sequence> {
        let all = self.waiting.values().chain(self.running.values());
        all.filter(|sequence| sequence.id.is_background())
    }

    pub(super) fn num_waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn num_running(&self) -> usize {
        self.running.len()
    }

    /// Whether nobody waits or runs.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    pub(super) fn blocks_mut(&mut self) -> &mut BlockManager {
        &mut self.blocks
    }

    pub(super) fn blocks(&self) -> &BlockManager {
        &self.blocks
    }

    /// Checks the block accounting and that only running sequences hold blocks.
    pub(super) fn check_integrity(&self) -> Result<(), IntegrityError> {
        if let Some(id) = self.running.keys().find(|id| self.waiting.contains_key(id)) {
            return Err(IntegrityError(format!("{id:?} both waits and runs")));
        }
        for sequence in self.waiting.values() {
            if !sequence.block_table.blocks().is_empty() || sequence.num_computed_tokens > 0 {
                return Err(IntegrityError(format!("{:?} waits but holds blocks", sequence.id)));
            }
        }
        for sequence in self.running.values() {
            let table = &sequence.block_table;
            let num_computed = sequence.num_computed_tokens;
            if table.blocks().len() < self.blocks.num_blocks_for(num_computed) {
                return Err(IntegrityError(format!("{:?} lacks blocks", sequence.id)));
            }
            if table.num_registered() * self.blocks.block_size() > num_computed {
                return Err(IntegrityError(format!("{:?} will write a shared block", sequence.id)));
            }
        }
        self.blocks.check_integrity(self.running.values().map(|sequence| &sequence.block_table))
    }

    /// Whether anybody but the background wants the device.
    fn has_foreground(&self) -> bool {
        let firsts = [self.waiting.first_key_value(), self.running.first_key_value()];
        firsts.into_iter().flatten().any(|(id, _)| !id.is_background())
    }

    /// Sends the background back to the queue. What it computed stays in the cache.
    fn yield_background(&mut self, preempted: &mut Vec<SequenceId>) {
        while self.running.last_key_value().is_some_and(|(id, _)| id.is_background()) {
            preempted.push(self.preempt_youngest());
        }
    }

    fn schedule_decodes(&mut self, schedule: &mut Schedule) {
        let decoding = self.running.values().filter(|s| s.is_decoding());
        let ids: Vec<SequenceId> = decoding.map(|s| s.id).collect();
        for id in ids {
            if self.reserve_next(id, &mut schedule.preempted) {
                schedule.batch.push(ScheduledSequence { id, num_tokens: 1, samples: true });
            }
        }
    }

    /// Makes sure that a running sequence has a block for its last token, taking
    /// blocks from the youngest sequences. False if it was itself preempted.
    ///
    /// A victim is never in the batch yet: decodes are scheduled oldest first and
    /// prefill chunks after all decodes.
    fn reserve_next(&mut self, id: SequenceId, preempted: &mut Vec<SequenceId>) -> bool {
        while let Some(sequence) = self.running.get_mut(&id) {
            if self.blocks.grow(&mut sequence.block_table, sequence.tokens.len()) {
                return true;
            }
            preempted.push(self.preempt_youngest());
        }
        false
    }

    fn preempt_youngest(&mut self) -> SequenceId {
        let (id, mut sequence) = self.running.pop_last().expect("someone runs");
        self.blocks.release(std::mem::take(&mut sequence.block_table));
        sequence.num_computed_tokens = 0;
        sequence.num_preemptions += 1;
        sequence.is_prepared = false;
        self.waiting.insert(id, sequence);
        id
    }

    fn admit(&mut self, budget: &mut usize, has_foreground: bool, schedule: &mut Schedule) {
        while *budget > 0 && self.running.len() < self.limits.max_batch_sequences {
            let Some(entry) = self.waiting.first_entry() else { return };
            if entry.key().is_background() && has_foreground {
                return;
            }
            let headroom = self.running.len();
            let Some((table, num_cached_tokens)) = attach(&mut self.blocks, entry.get(), headroom)
            else {
                return;
            };
            let (id, mut sequence) = entry.remove_entry();
            sequence.block_table = table;
            sequence.num_computed_tokens = num_cached_tokens;
            schedule.admitted.push(Admitted { id, num_cached_tokens });
            schedule_prefill(&sequence, budget, schedule);
            self.running.insert(id, sequence);
        }
    }
}

/// Blocks for all of a waiting sequence's tokens, as many as possible from the
/// prefix cache, or `None` if there are too few.
///
/// `headroom` blocks stay available, one for each running sequence to grow into, so that a
/// newcomer does not force a preemption at once.
fn attach(
    blocks: &mut BlockManager,
    sequence: &Sequence,
    headroom: usize,
) -> Option<(BlockTable, usize)> {
    let num_tokens = sequence.tokens.len();
    let (mut table, num_cached_tokens) = blocks.attach_prefix(
        sequence.cache_salt,
        sequence.cache_owner,
        sequence.shareable_tokens(),
    );
    let num_new = blocks.num_blocks_for(num_tokens) - table.blocks().len();
    if num_new + headroom <= blocks.num_available() && blocks.grow(&mut table, num_tokens) {
        return Some((table, num_cached_tokens));
    }
    blocks.release(table);
    None
}

fn schedule_prefill(sequence: &Sequence, budget: &mut usize, schedule: &mut Schedule) {
    let num_uncomputed = sequence.num_uncomputed_tokens();
    let num_tokens = num_uncomputed.min(*budget);
    if num_tokens > 0 {
        *budget -= num_tokens;
        let samples = num_tokens == num_uncomputed && !sequence.id.is_background();
        schedule.batch.push(ScheduledSequence { id: sequence.id, num_tokens, samples });
    }
}
