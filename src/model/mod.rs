//! Decoders of the Llama family (Llama 2 and 3, Mistral, SmolLM2): weights from GGUF
//! or safetensors, a paged KV cache, and one forward pass over a batch of sequences,
//! on our own kernels, for CPUs and for GPUs, or on candle.
//!
//! It does not schedule, own KV blocks, sample or know text: callers pass token
//! ids, positions and block tables. Invariant: a sequence's logits depend on its
//! own tokens alone, however they were cut into chunks, batched with others, or
//! scattered over blocks (up to float rounding).

mod adapter;
mod batch;
mod candle;
mod config;
mod cpu;
mod decoder_weights;
mod error;
mod file;
mod fingerprint;
mod gguf;
mod gpu;
mod kinds;
mod kv_cache;
mod loader;
mod merge;
mod random;
mod rewrite;
mod rope;
mod safetensors;
mod weights;
mod write;

#[cfg(test)]
mod tests;

pub use adapter::{Adapter, AdapterInfo, AdapterOptions};
pub use batch::{BatchSequence, LogitRows, Logits};
pub use config::{ModelConfig, RopeConfig, RopeScaling};
pub use error::ModelError;
pub use file::{ModelFile, ModelInfo, TokenizerSource, inspect};
pub use kv_cache::{ComingBlock, KvCache};
pub use loader::{Backend, LoadOptions, Model, SlidingWindow};
pub use merge::{Merge, MergeOptions, MergeReport, ModuleReport, ScaledAdapter, Spread, is_gguf};
pub use write::MergeType;

/// The type in which a matrix is stored (`F32`, `Q8_0`, `Q4K`, …), as candle names it.
pub use candle_core::quantized::GgmlDType as WeightType;

/// A value of a GGUF's metadata.
pub use candle_core::quantized::gguf_file::Value as MetadataValue;
