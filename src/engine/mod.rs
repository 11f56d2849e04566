//! Continuous batching on one device: many sequences share each run of the model.
//!
//! Read [`Engine::step`] first: schedule → run → sample → commit. [`Engine`] is
//! single-threaded and moves only when stepped; [`EngineHandle`] gives it a thread.
//! Knows tokens, not transcripts: rendering and trimming are its callers' part.
//!
//! Invariant: a sequence's tokens depend on its own request alone, not on what else
//! is in the batch, in the cache, or was preempted: to the bit on our kernels, up to
//! float rounding on candle.

mod backlog;
mod banned;
mod block_log;
mod block_manager;
mod disk_tier;
mod generation;
mod governor;
mod handle;
mod host_tier;
mod intake;
mod label;
mod load;
mod lower_tiers;
mod model_runner;
mod options;
mod pacer;
mod prefix_cache;
mod request;
mod restoring;
mod rewind;
mod scheduler;
mod sequence;
mod stats;
mod stop;
mod stream;
mod text;
mod tiering;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

pub use block_manager::IntegrityError;
pub use governor::LengthRange;
pub use handle::EngineHandle;
pub use label::Scope;
pub use load::{LoadedModel, load_tokenizer};
pub use lower_tiers::discard_disk_cache;
pub use options::{DiskCacheKey, DiskCacheOptions, EngineOptions, KvCacheSize};
pub use request::{
    EngineError, FinishReason, GenerationEvent, GenerationRequest, GenerationSummary,
};
pub use sequence::SequenceId;
pub use stats::{DiskCacheStats, EngineStats, HostCacheStats, StepStats};
pub use stream::{Aborter, GenerationStream};
pub use text::TextFilter;

use crate::model::{Logits, Model, ModelError};
use crate::tokenizer::Tokenizer;
use block_manager::BlockManager;
use generation::Generation;
use intake::{Intake, Submission};
use lower_tiers::LowerTiers;
use model_runner::ModelRunner;
use pacer::Pacer;
use scheduler::{Schedule, ScheduledSequence, Scheduler, SchedulerLimits};
use sequence::Sequence;

/// Runs many sequences on one model.
///
/// Greedy and seeded replies are the same alone and in any batch, as the model's logits
/// are ([`Model::forward`]).
#[derive(Debug)]
pub struct Engine {
    intake: Arc<Intake>,
    scheduler: Scheduler,
    pacer: Pacer,
    runner: ModelRunner,
    generations: BTreeMap<SequenceId, Generation>,
    /// Where blocks go and come back from; some of the sequences wait there.
    tiers: LowerTiers,
    totals: stats::Totals,
    /// Why the device is of no more use.
    lost: Option<EngineError>,
}

impl Engine {
    /// An engine with its KV cache.
    ///
    /// # Errors
    /// [`EngineError::Options`] if the options cannot work with this model,
    /// [`EngineError::Model`] if memory does not suffice for the KV cache.
    pub fn new(
        model: Arc<Model>,
        tokenizer: Arc<Tokenizer>,
        options: &EngineOptions,
    ) -> Result<Self, EngineError> {
        let config = model.config();
        // Before the KV cache takes what is free.
        let allowed_tokens = options.context_tokens_of(&model)?;
        let (runner, num_blocks) = fitting_runner(&model, options)?;
        let context_tokens = allowed_tokens.min(num_blocks.saturating_mul(options.block_size));
        let intake = Intake::new(tokenizer, config.vocab_size, context_tokens, options.max_waiting);
        let limits = SchedulerLimits {
            max_batch_sequences: options.max_batch_sequences,
            max_batch_tokens: options.max_batch_tokens,
        };
        let (tiers, key) = LowerTiers::open(options, &runner)?;
        let blocks = BlockManager::new(num_blocks, options.block_size, key);
        Ok(Self {
            intake: Arc::new(intake),
            scheduler: Scheduler::new(limits, blocks),
            pacer: Pacer::new(options.max_step),
            runner,
            generations: BTreeMap::new(),
            tiers,
            totals: stats::Totals::default(),
            lost: None,
        })
    }

    /// Why nothing more can be computed, if that is so.
    fn lost(&self) -> Option<&EngineError> {
        self.lost.as_ref()
    }

    /// The most tokens one sequence can have, prompt and reply.
    pub fn context_tokens(&self) -> usize {
        self.intake.context_tokens()
    }

    /// Puts a request in the queue.
    ///
    /// # Errors
    /// `Busy` beyond the admission limit; `PromptTooLong` if the request can never
    /// fit; otherwise what is wrong with the request.
    pub fn submit(&mut self, request: GenerationRequest) -> Result<GenerationStream, EngineError> {
        let (submission, stream) = self.intake.accept(request)?;
        self.enqueue(submission);
        Ok(stream)
    }

    /// Ends a sequence now, with the text it has, and frees its blocks. Does nothing
    /// if it has ended.
    pub fn abort(&mut self, id: SequenceId) {
        self.finish(id, FinishReason::Aborted);
    }

    /// Gives every running sequence its next token or prefill chunk.
    ///
    /// Runs nothing when there is no sequence, and waits for a few milliseconds where all
    /// there are wait for the disk cache. It also copies blocks for the host and the disk
    /// cache. If the model fails, the sequences of the batch fail with its error, and the
    /// others go on; but where the device had no memory, less runs at once from then on, and
    /// nobody fails.
    pub fn step(&mut self) -> StepStats {
        let started_at = Instant::now();
        self.drop_cancelled();
        self.restore();
        let parked_foreground = self.has_parked_foreground();
        let schedule = self.scheduler.schedule(self.pacer.prompt_tokens(), parked_foreground);
        self.announce(&schedule);
        let preempted = schedule.preempted.iter().filter_map(|&id| self.scheduler.waiting(id));
        tiering::offer(&mut self.tiers, self.scheduler.blocks(), preempted);
        let run_at = Instant::now();
        let num_finished = match self.runner.run(&schedule.batch, &self.scheduler) {
            Ok(logits) => {
                let num_finished = self.commit(&schedule.batch, logits);
                self.pacer.observe(schedule.num_prompt_tokens(), run_at.elapsed());
                num_finished
            }
            Err(error) if error.is_out_of_memory() && self.shrink(&schedule.batch) => 0,
            Err(error) => self.fail_batch(&schedule.batch, error),
        };
        self.write_behind();
        debug_assert_eq!(self.check_integrity(), Ok(()));
        let stats = StepStats::new(&schedule, num_finished, started_at.elapsed());
        self.totals.add(&stats);
        stats
    }

    /// Whether there is no sequence, so that a step would run nothing. It may still copy
    /// blocks for the host and the disk cache.
    pub fn is_idle(&self) -> bool {
        self.generations.is_empty()
    }

    /// What the engine holds and has done.
    pub fn stats(&self) -> EngineStats {
        let blocks = self.scheduler.blocks();
        EngineStats {
            num_waiting: self.intake.num_waiting(),
            num_running: self.scheduler.num_running(),
            num_blocks: blocks.num_blocks(),
            num_available_blocks: blocks.num_available(),
            num_cached_blocks: blocks.num_cached(),
            totals: self.totals,
            host_cache: self.tiers.host_stats(),
            disk_cache: self.tiers.disk_stats(),
        }
    }

    /// Checks that block counts, queues, prefix cache and host cache agree.
    ///
    /// # Errors
    /// The first contradiction: a bug of ours.
    pub fn check_integrity(&self) -> Result<(), IntegrityError> {
        let num_queued = self.scheduler.num_waiting() + self.scheduler.num_running();
        let num_sequences = num_queued + self.num_restoring();
        if num_sequences != self.generations.len() {
            let num_generations = self.generations.len();
            let what = format!("{num_sequences} sequences for {num_generations} generations");
            return Err(IntegrityError(what));
        }
        for sequence in self.tiers.parked() {
            if !self.generations.contains_key(&sequence.id) {
                return Err(IntegrityError(format!("{:?} is restored for nobody", sequence.id)));
            }
            if !sequence.block_table.blocks().is_empty() || sequence.num_computed_tokens > 0 {
                let what = format!("{:?} is being restored but holds blocks", sequence.id);
                return Err(IntegrityError(what));
            }
        }
        self.tiers.check_integrity()?;
        self.scheduler.check_integrity()
    }

    fn num_restoring(&self) -> usize {
        self.tiers.parked().len()
    }

    fn enqueue(&mut self, submission: Submission) {
        self.drop_superseded(&submission.sequence);
        let Submission { sequence, generation } = submission;
        self.generations.insert(generation.id, generation);
        self.scheduler.push(sequence);
    }

    /// A prompt that is computed ahead takes the place of an older one of its owner.
    fn drop_superseded(&mut self, newer: &Sequence) {
        if !newer.id.is_background() || newer.cache_owner == 0 {
            return;
        }
        let parked = self.tiers.parked().filter(|sequence| sequence.id.is_background());
        let all = self.scheduler.background().chain(parked);
        let older = all.filter(|s| s.cache_owner == newer.cache_owner).map(|s| s.id);
        for id in older.collect::<Vec<_>>() {
            self.abort(id);
        }
    }

    /// Whether somebody who waits for blocks comes before the background.
    fn has_parked_foreground(&self) -> bool {
        self.tiers.parked().any(|sequence| !sequence.id.is_background())
    }

    fn drop_cancelled(&mut self) {
        let cancelled = self.generations.values().filter(|generation| generation.is_cancelled());
        for id in cancelled.map(|generation| generation.id).collect::<Vec<_>>() {
            self.abort(id);
        }
    }

    fn announce(&mut self, schedule: &Schedule) {
        for admitted in &schedule.admitted {
            if let Some(generation) = self.generations.get_mut(&admitted.id) {
                generation.start(admitted.num_cached_tokens);
            }
        }
    }

    /// Records what a step computed and samples where a sequence's last token was
    /// among it. Returns how many sequences finished.
    fn commit(&mut self, batch: &[ScheduledSequence], mut logits: Logits) -> usize {
        let num_before = self.generations.len();
        let mut tokens = self.sample(batch, &mut logits).into_iter();
        for item in batch {
            self.scheduler.commit(item.id, item.num_tokens);
            if item.samples {
                self.advance(item.id, tokens.next().expect("one token for each that samples"));
            } else if self.is_prefilled(item.id) {
                self.finish(item.id, FinishReason::Prefilled);
            }
        }
        num_before - self.generations.len()
    }

    /// Whether a sequence that asks for no token has nothing left to compute.
    fn is_prefilled(&self, id: SequenceId) -> bool {
        let sequence = self.scheduler.running(id);
        id.is_background() && sequence.is_some_and(|s| s.num_uncomputed_tokens() == 0)
    }

    /// The next token of each sequence that samples, in the order of the batch: on all
    /// threads, as a row of a large vocabulary costs as much as a layer or two.
    fn sample(&mut self, batch: &[ScheduledSequence], logits: &mut Logits) -> Vec<u32> {
        let sampling: Vec<_> = batch.iter().filter(|item| item.samples).map(|s| s.id).collect();
        let generations = &mut self.generations;
        let taken = sampling.iter().map(|id| generations.remove(id));
        let taken: Vec<_> = taken.map(|g| g.expect("every sequence has a generation")).collect();
        let work: Vec<_> = taken
            .into_iter()
            .zip(logits.rows_mut())
            .map(|(generation, row)| Mutex::new((generation, row, 0)))
            .collect();
        let scheduler = &self.scheduler;
        self.runner.share(work.len(), |index| {
            let mut work = work[index].lock().unwrap_or_else(PoisonError::into_inner);
            let (generation, row, token) = &mut *work;
            let sequence = scheduler.running(generation.id).expect("a scheduled sequence runs");
            *token = generation.sample(row, sequence);
        });
        let done =
            work.into_iter().map(|work| work.into_inner().unwrap_or_else(PoisonError::into_inner));
        done.map(|(generation, _, token)| {
            self.generations.insert(generation.id, generation);
            token
        })
        .collect()
    }

    fn advance(&mut self, id: SequenceId, token: u32) {
        let sequence = self.scheduler.running_mut(id).expect("a scheduled sequence runs");
        let generation = self.generations.get_mut(&id).expect("every sequence has a generation");
        if let Some(reason) = generation.advance(token, sequence) {
            self.finish(id, reason);
        }
    }

    fn finish(&mut self, id: SequenceId, reason: FinishReason) {
        let Some(generation) = self.generations.remove(&id) else { return };
        let parked = |tiers: &mut LowerTiers| Some(tiers.unpark(id)?.sequence);
        let sequence = self.scheduler.remove(id).or_else(|| parked(&mut self.tiers));
        let sequence = sequence.expect("every generation has a sequence");
        tiering::offer(&mut self.tiers, self.scheduler.blocks(), [&sequence]);
        generation.finish(&sequence, reason);
    }

    /// Lets less run at once, if that is possible.
    fn shrink(&mut self, batch: &[ScheduledSequence]) -> bool {
        let Some(limits) = self.scheduler.shrink(batch) else { return false };
        let SchedulerLimits { max_batch_sequences, max_batch_tokens } = limits;
        tracing::warn!(
            max_batch_sequences,
            max_batch_tokens,
            "the device is out of memory: less runs at once from now on; a smaller KV cache \
             leaves more room"
        );
        true
    }

    fn fail_batch(&mut self, batch: &[ScheduledSequence], error: ModelError) -> usize {
        let is_lost = error.is_device_lost();
        let error = EngineError::from(error);
        if is_lost {
            self.lost = Some(error.clone());
        }
        for item in batch {
            self.scheduler.remove(item.id);
            if let Some(generation) = self.generations.remove(&item.id) {
                generation.fail(error.clone());
            }
        }
        batch.len()
    }

    /// Ends every sequence: with its text if there is no error, else with the error.
    fn end_all(&mut self, error: Option<&EngineError>) {
        if error.is_some() {
            self.tiers.distrust_memory();
        }
        while let Some((&id, _)) = self.generations.first_key_value() {
            match error {
                None => self.abort(id),
                Some(error) => {
                    if let Some(generation) = self.generations.remove(&id) {
                        generation.fail(error.clone());
                    }
                }
            }
        }
    }
}

/// The least that a KV cache is cut down to, in tokens.
const MIN_CACHE_TOKENS: usize = 1024;

/// A runner with as much of the KV cache as memory gives: a size in bytes is a wish, and
/// half of it is better than no engine.
fn fitting_runner(
    model: &Arc<Model>,
    options: &EngineOptions,
) -> Result<(ModelRunner, usize), EngineError> {
    let mut num_blocks = options.num_blocks(model)?;
    let is_wish = !matches!(options.kv_cache, KvCacheSize::Blocks(_));
    loop {
        match ModelRunner::new(model.clone(), num_blocks, options) {
            Ok(runner) => return Ok((runner, num_blocks)),
            Err(error @ ModelError::KvCacheTooLarge { .. })
                if is_wish && num_blocks / 2 * options.block_size >= MIN_CACHE_TOKENS =>
            {
                num_blocks /= 2;
                let num_tokens = num_blocks * options.block_size;
                tracing::warn!(%error, num_tokens, "engine.kv_cache_halved");
            }
            Err(error) => return Err(error.into()),
        }
    }
}
