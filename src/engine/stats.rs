//! Numbers of one step and of an engine's life.

use std::time::Duration;

use super::scheduler::Schedule;

/// What one step did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StepStats {
    /// Sequences in the batch.
    pub num_batch_sequences: usize,
    /// Sequences that sampled a token.
    pub num_sampled_tokens: usize,
    /// Tokens that ran through the model.
    pub num_batch_tokens: usize,
    /// Sequences that left the queue.
    pub num_admitted: usize,
    /// Tokens that those found in the prefix cache.
    pub num_cached_tokens: usize,
    /// Sequences that lost their blocks and went back to the queue.
    pub num_preempted: usize,
    /// Sequences that ended.
    pub num_finished: usize,
    /// How long it took.
    pub duration: Duration,
}

impl StepStats {
    pub(super) fn new(schedule: &Schedule, num_finished: usize, duration: Duration) -> Self {
        let batch = &schedule.batch;
        Self {
            num_batch_sequences: batch.len(),
            num_sampled_tokens: batch.iter().filter(|item| item.samples).count(),
            num_batch_tokens: batch.iter().map(|item| item.num_tokens).sum(),
            num_admitted: schedule.admitted.len(),
            num_cached_tokens: schedule.admitted.iter().map(|a| a.num_cached_tokens).sum(),
            num_preempted: schedule.preempted.len(),
            num_finished,
            duration,
        }
    }
}

/// What an engine holds now, and what it has done since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EngineStats {
    /// Requests that have not started.
    pub num_waiting: usize,
    /// Sequences that run.
    pub num_running: usize,
    /// All KV blocks.
    pub num_blocks: usize,
    /// KV blocks that nobody holds, cached ones included.
    pub num_available_blocks: usize,
    /// KV blocks in the prefix cache.
    pub num_cached_blocks: usize,
    /// Sums over all steps.
    pub totals: Totals,
    /// The tier below the KV cache; `None` where there is none.
    pub host_cache: Option<HostCacheStats>,
    /// The tier below memory; `None` where there is none.
    pub disk_cache: Option<DiskCacheStats>,
}

impl std::iter::Sum for EngineStats {
    /// Several engines as one.
    fn sum<I: Iterator<Item = Self>>(engines: I) -> Self {
        engines.fold(Self::default(), |sum, one| Self {
            num_waiting: sum.num_waiting + one.num_waiting,
            num_running: sum.num_running + one.num_running,
            num_blocks: sum.num_blocks + one.num_blocks,
            num_available_blocks: sum.num_available_blocks + one.num_available_blocks,
            num_cached_blocks: sum.num_cached_blocks + one.num_cached_blocks,
            totals: sum.totals.plus(&one.totals),
            host_cache: match (sum.host_cache, one.host_cache) {
                (Some(a), Some(b)) => Some(a.plus(&b)),
                (a, b) => a.or(b),
            },
            disk_cache: match (sum.disk_cache, one.disk_cache) {
                (Some(a), Some(b)) => Some(a.plus(&b)),
                (a, b) => a.or(b),
            },
        })
    }
}

/// What host memory holds below the KV cache, and has done since the engine started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HostCacheStats {
    /// Blocks in host memory.
    pub num_blocks: usize,
    /// Bytes of their keys and values.
    pub num_bytes: u64,
    /// Blocks that are yet to be copied.
    pub num_pending: usize,
    /// Blocks that were copied, from the KV cache or when the disk was read.
    pub num_written: u64,
    /// Blocks that were brought back.
    pub num_restored: u64,
    /// Blocks that were not copied: too many waited, the KV cache lost them before, or
    /// nothing could go for them.
    pub num_skipped: u64,
}

impl HostCacheStats {
    fn plus(self, other: &Self) -> Self {
        Self {
            num_blocks: self.num_blocks + other.num_blocks,
            num_bytes: self.num_bytes + other.num_bytes,
            num_pending: self.num_pending + other.num_pending,
            num_written: self.num_written + other.num_written,
            num_restored: self.num_restored + other.num_restored,
            num_skipped: self.num_skipped + other.num_skipped,
        }
    }
}

/// What the tier below memory holds and has done since the engine started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskCacheStats {
    /// Blocks on the disk.
    pub num_blocks: usize,
    /// Bytes of its files.
    pub num_bytes: u64,
    /// Blocks that are yet to be written.
    pub num_pending: usize,
    /// Blocks that were written.
    pub num_written: u64,
    /// Blocks that were brought back.
    pub num_restored: u64,
    /// Blocks that were not written: too many waited, or memory lost them before.
    pub num_skipped: u64,
    /// Blocks that could not be read as they were written.
    pub num_read_errors: u64,
    /// Blocks that the disk refused.
    pub num_write_errors: u64,
}

impl DiskCacheStats {
    fn plus(self, other: &Self) -> Self {
        Self {
            num_blocks: self.num_blocks + other.num_blocks,
            num_bytes: self.num_bytes + other.num_bytes,
            num_pending: self.num_pending + other.num_pending,
            num_written: self.num_written + other.num_written,
            num_restored: self.num_restored + other.num_restored,
            num_skipped: self.num_skipped + other.num_skipped,
            num_read_errors: self.num_read_errors + other.num_read_errors,
            num_write_errors: self.num_write_errors + other.num_write_errors,
        }
    }
}

/// Sums over all steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Steps that ran the model.
    pub num_steps: u64,
    /// Tokens that ran through the model.
    pub num_batch_tokens: u64,
    /// Tokens that were sampled.
    pub num_sampled_tokens: u64,
    /// Tokens that were found in the prefix cache.
    pub num_cached_tokens: u64,
    /// Sequences that left the queue; one that was preempted does so again.
    pub num_admitted: u64,
    /// Sequences that lost their blocks.
    pub num_preempted: u64,
    /// Sequences that ended in a step.
    pub num_finished: u64,
    /// Time in steps that ran the model.
    pub busy: Duration,
}

impl Totals {
    fn plus(self, other: &Self) -> Self {
        Self {
            num_steps: self.num_steps + other.num_steps,
            num_batch_tokens: self.num_batch_tokens + other.num_batch_tokens,
            num_sampled_tokens: self.num_sampled_tokens + other.num_sampled_tokens,
            num_cached_tokens: self.num_cached_tokens + other.num_cached_tokens,
            num_admitted: self.num_admitted + other.num_admitted,
            num_preempted: self.num_preempted + other.num_preempted,
            num_finished: self.num_finished + other.num_finished,
            busy: self.busy + other.busy,
        }
    }

    pub(super) fn add(&mut self, step: &StepStats) {
        if step.num_batch_tokens == 0 {
            return;
        }
        self.num_steps += 1;
        self.num_batch_tokens += step.num_batch_tokens as u64;
        self.num_sampled_tokens += step.num_sampled_tokens as u64;
        self.num_cached_tokens += step.num_cached_tokens as u64;
        self.num_admitted += step.num_admitted as u64;
        self.num_preempted += step.num_preempted as u64;
        self.num_finished += step.num_finished as u64;
        self.busy += step.duration;
    }
}
