//! The model as callers hold it: weights on a device, ready to run batches.

use std::path::Path;

use candle_core::{Device, Tensor};
use sha2::{Digest, Sha256};

use super::batch::{BatchPlan, BatchSequence};
use super::decoder::Decoder;
use super::file::{Format, ModelFile};
use super::fingerprint;
use super::kv_cache::KvCache;
use super::random::RandomWeights;
use super::weights::WeightSource;
use super::{ModelConfig, ModelError, WeightType};

/// How to load a model.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// Where weights and KV caches live.
    pub device: Device,
    /// Convert the matrices to this type while loading. `None`: as stored in a GGUF,
    /// f32 from safetensors. On a CPU whose build lacks kernels for a stored type, f32
    /// trades memory for a prefill many times as fast.
    pub weight_type: Option<WeightType>,
    /// The attention window.
    pub sliding_window: SlidingWindow,
}

impl Default for LoadOptions {
    /// On the CPU, as the file states.
    fn default() -> Self {
        Self { device: Device::Cpu, weight_type: None, sliding_window: SlidingWindow::AsStated }
    }
}

/// Which attention window to apply. GGUF conversions of Mistral-7B-v0.1 forget its
/// window of 4,096.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SlidingWindow {
    /// The file's own, if it states one.
    #[default]
    AsStated,
    /// None: every earlier position is attended to.
    Off,
    /// This many positions, the row's own included.
    Positions(usize),
}

/// Immutable weights with their configuration. One model serves any number of KV
/// caches; share it behind an `Arc`.
#[derive(Debug)]
pub struct Model {
    config: ModelConfig,
    decoder: Decoder,
    device: Device,
    fingerprint: String,
}

impl Model {
    /// Loads a `.gguf`, a `.safetensors` with `config.json` beside it, or a directory
    /// that holds `config.json` and `*.safetensors`.
    ///
    /// # Errors
    /// As [`ModelFile::open`], and `Tensor` if memory or the device fails.
    pub fn load(path: &Path, options: &LoadOptions) -> Result<Self, ModelError> {
        Self::from_file(&ModelFile::open(path)?, options)
    }

    /// Loads the weights of an opened file.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn from_file(file: &ModelFile, options: &LoadOptions) -> Result<Self, ModelError> {
        let mut config = file.config().clone();
        match options.sliding_window {
            SlidingWindow::AsStated => {}
            SlidingWindow::Off => config.sliding_window = None,
            SlidingWindow::Positions(window) => config.sliding_window = Some(window),
        }
        config.validate()?;
        // Options that change the logits make another model.
        let mut hasher = Sha256::new();
        hasher.update(file.fingerprint()?);
        hasher.update(format!("|window={:?}", config.sliding_window));
        hasher.update(format!("|weights={:?}", options.weight_type));
        let (mut gguf, mut safetensors);
        let source: &mut dyn WeightSource = match &file.format {
            Format::Gguf(file) => {
                gguf = file.weights(options.weight_type, &options.device);
                &mut gguf
            }
            Format::Safetensors(files) => {
                safetensors = files.weights(options.weight_type, &options.device);
                &mut safetensors
            }
        };
        Self::build(config, source, &options.device, fingerprint::finish(hasher))
    }

    /// Random weights of the given shape, the same for the same seed, with a separate
    /// output matrix; matrices are f32 unless another type is asked for.
    ///
    /// # Errors
    /// `Config` if the configuration describes no decoder.
    pub fn random(
        config: &ModelConfig,
        seed: u64,
        weight_type: Option<WeightType>,
    ) -> Result<Self, ModelError> {
        config.validate()?;
        let mut hasher = Sha256::new();
        hasher.update(format!("random|{seed}|{weight_type:?}|{config:?}"));
        let mut source = RandomWeights::new(seed, weight_type, &Device::Cpu);
        Self::build(config.clone(), &mut source, &Device::Cpu, fingerprint::finish(hasher))
    }

    fn build(
        config: ModelConfig,
        source: &mut dyn WeightSource,
        device: &Device,
        fingerprint: String,
    ) -> Result<Self, ModelError> {
        let decoder = Decoder::build(&config, source)?;
        Ok(Self { config, decoder, device: device.clone(), fingerprint })
    }

    /// The decoder's shape, with the window in force.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Where the weights are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// A stable hash of the weights and of the options that change the logits, 64
    /// hexadecimal digits; see [`ModelFile::fingerprint`].
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// A KV cache of `num_blocks` blocks of `block_size` positions each, zeroed;
    /// [`ModelConfig::kv_block_bytes`] tells its size.
    ///
    /// # Errors
    /// `Config` if a number is 0, `Tensor` if memory does not suffice.
    pub fn kv_cache(&self, num_blocks: usize, block_size: usize) -> Result<KvCache, ModelError> {
        KvCache::new(&self.config, num_blocks, block_size, &self.device)
    }

    /// Runs one step: stores keys and values of every new token in its sequence's
    /// blocks, and returns logits `(rows, vocab_size)`, f32, one row for each token
    /// selected by [`BatchSequence::logits`], in batch order.
    ///
    /// No block may be written by two sequences of a batch, and `kv` must be a cache
    /// of this model.
    ///
    /// # Errors
    /// `Batch` if the batch is malformed (nothing is stored then), `Tensor` if the
    /// device fails (the new positions are undefined then).
    pub fn forward(
        &self,
        batch: &[BatchSequence<'_>],
        kv: &mut KvCache,
    ) -> Result<Tensor, ModelError> {
        let plan = BatchPlan::new(batch, &self.config, kv, &self.device)?;
        Ok(self.decoder.forward(&plan, kv, &self.device)?)
    }
}
