//! `[engine]`: what the inference engine may take.

use std::num::NonZeroUsize;

use serde::Deserialize;

use super::error::require;
use super::{Auto, Invalid};

/// What the inference engine may take.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineConfig {
    /// Memory for attention keys and values, in MiB. Whoever knows the device chooses.
    pub kv_cache_mib: Auto<u64>,
    /// Memory of this machine for keys and values of idle conversations, in MiB; 0 is none.
    /// Whoever knows the device chooses.
    pub host_cache_mib: Auto<u64>,
    /// Disk for keys and values of idle conversations, in MiB; 0 is none.
    pub disk_cache_mib: u64,
    /// Tokens in one KV block.
    pub block_size: usize,
    /// Sequences decoded together in one step at most.
    pub max_batch_sequences: Auto<usize>,
    /// Tokens computed in one step at most.
    pub max_batch_tokens: Auto<usize>,
    /// About how long a step may take, in milliseconds.
    pub max_step_ms: u64,
    /// Requests that may wait for a place.
    pub max_waiting: usize,
    /// Threads that compute; see [`EngineConfig::num_threads`].
    pub threads: Auto<usize>,
}

impl EngineConfig {
    /// Bytes of disk for keys and values of idle conversations, if any.
    pub fn disk_cache_bytes(&self) -> Option<u64> {
        (self.disk_cache_mib > 0).then_some(self.disk_cache_mib << 20)
    }

    /// How many threads compute on this machine.
    pub fn num_threads(&self) -> NonZeroUsize {
        let asked = self.threads.set().and_then(|&threads| NonZeroUsize::new(threads));
        asked.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN)
    }

    pub(super) fn validate(&self) -> Result<(), Invalid> {
        if let Auto::Set(mib) = self.kv_cache_mib {
            require(
                (16..=1 << 24).contains(&mib),
                "engine.kv_cache_mib",
                mib,
                "\"auto\", or a number of MiB from 16 up",
            )?;
        }
        if let Auto::Set(mib) = self.host_cache_mib {
            require(
                mib == 0 || (64..=1 << 24).contains(&mib),
                "engine.host_cache_mib",
                mib,
                "\"auto\", 0, or a number of MiB from 64 to 16777216",
            )?;
        }
        require(
            self.disk_cache_mib == 0 || (64..=1 << 24).contains(&self.disk_cache_mib),
            "engine.disk_cache_mib",
            self.disk_cache_mib,
            "0, or a number of MiB from 64 up",
        )?;
        require(
            (8..=256).contains(&self.block_size) && self.block_size.is_power_of_two(),
            "engine.block_size",
            self.block_size,
            "a power of two from 8 to 256",
        )?;
        if let Auto::Set(sequences) = self.max_batch_sequences {
            require(
                (1..=1024).contains(&sequences),
                "engine.max_batch_sequences",
                sequences,
                "\"auto\", or a number from 1 to 1024",
            )?;
        }
        if let Auto::Set(tokens) = self.max_batch_tokens {
            require(
                tokens >= self.max_batch_sequences.set().copied().unwrap_or(1),
                "engine.max_batch_tokens",
                tokens,
                "\"auto\", or at least engine.max_batch_sequences, so that every sequence can \
                 move in each step",
            )?;
        }
        require(
            (10..=60_000).contains(&self.max_step_ms),
            "engine.max_step_ms",
            self.max_step_ms,
            "a number of milliseconds from 10 to 60000",
        )?;
        require(self.max_waiting >= 1, "engine.max_waiting", self.max_waiting, "at least 1")?;
        match self.threads {
            Auto::Set(threads) => require(
                (1..=1024).contains(&threads),
                "engine.threads",
                threads,
                "\"auto\" or a number from 1 to 1024",
            ),
            Auto::Auto => Ok(()),
        }
    }
}
