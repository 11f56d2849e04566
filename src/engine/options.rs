//! How large an engine is and how it divides its steps.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::EngineError;
use crate::model::Model;

/// Room for keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KvCacheSize {
    /// This many KV blocks.
    Blocks(usize),
    /// As many blocks as fit in this many bytes.
    Bytes(u64),
    /// As many as fit in what the device has free once the model is there; of a device that
    /// does not tell, and of this machine's memory, half a GiB.
    Free,
}

/// Where KV blocks of idle conversations go, and come back from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskCacheOptions {
    /// The directory, for this engine alone; made where there is none. A second engine
    /// runs without, and can forget nothing that lies there.
    pub dir: PathBuf,
    /// The most that the files in it take. Below two KV blocks there are none: what lies
    /// there is deleted.
    pub capacity_bytes: u64,
    /// What the blocks are sealed with, since they say as much as the conversations do;
    /// `None` leaves them in the clear. With another one than before the cache begins anew.
    pub key: Option<DiskCacheKey>,
}

/// A key for the files of a disk cache: 32 secret bytes, which are never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct DiskCacheKey([u8; 32]);

impl DiskCacheKey {
    /// A key of these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for DiskCacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DiskCacheKey")
    }
}

/// Options of an [`super::Engine`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineOptions {
    /// Room for the keys and values of all sequences and of the prefix cache; taken at
    /// the start.
    pub kv_cache: KvCacheSize,
    /// Tokens per KV block. Prompts share whole blocks.
    pub block_size: usize,
    /// The most tokens of one sequence, prompt and reply; `None` is the model's own
    /// context. Never more than all KV blocks hold.
    pub context_tokens: Option<usize>,
    /// Sequences that run at once.
    pub max_batch_sequences: usize,
    /// Tokens of one step: one for each decoding sequence, the rest for prefill. Bounds
    /// how long a long prompt holds up the others.
    pub max_batch_tokens: usize,
    /// About how long a step may take, where prompts are cut for it; `None` sets no
    /// bound. A step cannot be interrupted, so an abort is heard this much later.
    pub max_step: Option<Duration>,
    /// Requests that may wait; more are refused as [`EngineError::Busy`].
    pub max_waiting: usize,
    /// Keys the hashes of the prefix cache; choose it at random. A disk cache keeps the
    /// first it was given, and that one counts.
    pub cache_key: [u8; 16],
    /// The tier below the KV cache, in bytes of this machine's memory, taken as blocks go
    /// there; 0 is none, and so is what would not hold two KV blocks.
    pub host_cache_bytes: u64,
    /// The tier below memory; `None` is none.
    pub disk_cache: Option<DiskCacheOptions>,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            kv_cache: KvCacheSize::Bytes(512 << 20),
            block_size: 32,
            context_tokens: None,
            max_batch_sequences: 8,
            max_batch_tokens: 512,
            max_step: None,
            max_waiting: 64,
            cache_key: [0; 16],
            host_cache_bytes: 0,
            disk_cache: None,
        }
    }
}

/// The KV cache where nobody tells what is free.
const UNTOLD_BYTES: u64 = 512 << 20;

impl EngineOptions {
    /// The most tokens of one sequence of a model, prompt and reply: what the options and
    /// the model allow, and all KV blocks hold.
    ///
    /// # Errors
    /// As [`EngineOptions::num_blocks`].
    pub fn context_tokens_of(&self, model: &Model) -> Result<usize, EngineError> {
        let held = self.num_blocks(model)?.saturating_mul(self.block_size);
        let allowed = self.context_tokens.unwrap_or(usize::MAX);
        Ok(allowed.min(model.config().context_length).min(held))
    }

    /// How many KV blocks these options give a model.
    ///
    /// # Errors
    /// [`EngineError::Options`] with the first number that cannot work; `Model` if the device
    /// fails.
    pub fn num_blocks(&self, model: &Model) -> Result<usize, EngineError> {
        let wrong = |reason: String| Err(EngineError::Options(reason));
        for (name, value) in [
            ("block_size", self.block_size),
            ("max_batch_sequences", self.max_batch_sequences),
            ("max_waiting", self.max_waiting),
            ("context_tokens", self.context_tokens.unwrap_or(1)),
        ] {
            if value == 0 {
                return wrong(format!("{name} is 0; give at least 1"));
            }
        }
        if self.max_batch_tokens < self.max_batch_sequences {
            return wrong(format!(
                "max_batch_tokens is {} but must be at least max_batch_sequences, {}: every \
                 sequence takes one token a step",
                self.max_batch_tokens, self.max_batch_sequences
            ));
        }
        let block_bytes = model.kv_block_bytes(self.block_size) as u64;
        let fitting = |bytes: u64| usize::try_from(bytes / block_bytes).unwrap_or(usize::MAX);
        let num_blocks = match self.kv_cache {
            KvCacheSize::Blocks(num_blocks) => num_blocks,
            KvCacheSize::Bytes(bytes) => fitting(bytes),
            KvCacheSize::Free => fitting(model.free_bytes()?.unwrap_or(UNTOLD_BYTES)),
        };
        if u32::try_from(num_blocks).is_err() {
            return wrong(format!("the KV cache has {num_blocks} blocks; ids end at {}", u32::MAX));
        }
        if num_blocks.saturating_mul(self.block_size) < 2 {
            return wrong(format!(
                "the KV cache holds {num_blocks} blocks of {} tokens; one block of this model \
                 takes {block_bytes} bytes",
                self.block_size
            ));
        }
        Ok(num_blocks)
    }
}
