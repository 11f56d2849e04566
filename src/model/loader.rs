//! The model as callers hold it: weights on a device, ready to run batches.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::Path;
use std::thread::available_parallelism;

use candle_core::{Device, DeviceLocation};
use sha2::{Digest, Sha256};

use super::adapter::{Adaptation, Adapted, AdapterOptions};
use super::batch::{self, BatchSequence, Logits};
use super::candle::{CandleDecoder, LayerCache};
use super::cpu::CpuDecoder;
use super::file::ModelFile;
use super::fingerprint;
use super::gpu::GpuDecoder;
use super::kv_cache::{KvCache, KvMemory, candle_block_bytes, check_shape};
use super::random::RandomWeights;
use super::weights::WeightSource;
use super::{ModelConfig, ModelError, WeightType};
use crate::gpu::GpuPlace;
use crate::kernels::{KvLayout, KvStore};

/// How to load a model.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// What computes, and where.
    pub backend: Backend,
    /// Convert the matrices to this type while loading; `None` is as stored. Types
    /// without a product of their own become `Q8_0`.
    pub weight_type: Option<WeightType>,
    /// The attention window.
    pub sliding_window: SlidingWindow,
    /// Adapters whose sum is added to the weights as they are read. Where a matrix stays
    /// in the type it is stored in, the result is rounded to that type.
    pub adapters: Vec<AdapterOptions>,
}

impl Default for LoadOptions {
    /// On the CPU, as the file states.
    fn default() -> Self {
        Self {
            backend: Backend::default(),
            weight_type: None,
            sliding_window: SlidingWindow::AsStated,
            adapters: Vec::new(),
        }
    }
}

/// What computes a model, and where.
#[derive(Debug, Clone)]
pub enum Backend {
    /// Our kernels, on this many threads of the CPU, the caller's among them.
    Cpu {
        /// Threads.
        num_threads: NonZeroUsize,
    },
    /// Our kernels for NVIDIA's GPUs.
    Gpu(GpuPlace),
    /// Candle's tensors, on Apple's GPUs; on the CPU, the reference.
    Candle(Device),
}

impl Backend {
    /// What the others are compared with: candle's tensors on the CPU.
    pub fn reference() -> Self {
        Self::Candle(Device::Cpu)
    }

    /// Candle on the Metal device of that number.
    ///
    /// # Errors
    /// [`ModelError::Tensor`]: this build has no Metal, or the system has no such device.
    pub fn metal(index: usize) -> Result<Self, ModelError> {
        Ok(Self::Candle(Device::new_metal(index)?))
    }

    /// Threads of the CPU that are its own while it loads.
    fn num_threads(&self) -> NonZeroUsize {
        match self {
            Self::Cpu { num_threads } => *num_threads,
            Self::Gpu(_) | Self::Candle(_) => available_parallelism().unwrap_or(NonZeroUsize::MIN),
        }
    }
}

impl fmt::Display for Backend {
    /// As people name devices: `cpu`, `cuda:0`, `metal:0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu { .. } => f.write_str("cpu"),
            Self::Gpu(place) => write!(f, "{place}"),
            Self::Candle(device) => match device.location() {
                DeviceLocation::Cpu => f.write_str("candle"),
                DeviceLocation::Cuda { gpu_id } => write!(f, "cuda:{gpu_id}"),
                DeviceLocation::Metal { gpu_id } => write!(f, "metal:{gpu_id}"),
            },
        }
    }
}

impl Default for Backend {
    /// The CPU, with a thread for each processor.
    fn default() -> Self {
        Self::Cpu { num_threads: available_parallelism().unwrap_or(NonZeroUsize::MIN) }
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
    fingerprint: String,
}

#[derive(Debug)]
enum Decoder {
    Cpu(CpuDecoder),
    Gpu(GpuDecoder),
    Candle(CandleDecoder),
}

impl Model {
    /// Loads a `.gguf`, a `.safetensors` with `config.json` beside it, or a directory
    /// that holds `config.json` and `*.safetensors`.
    ///
    /// # Errors
    /// As [`ModelFile::open`], `Adapter` if one of the adapters does not fit, and `Tensor`
    /// if memory or the device fails.
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
        let mut source = file.source();
        if options.adapters.is_empty() {
            return Self::build(config, &mut *source, options, fingerprint::finish(hasher));
        }
        let tied = source.has_tied_embeddings();
        let adaptation = Adaptation::open(&options.adapters, &config, tied)?;
        adaptation.hash(&mut hasher)?;
        let num_threads = options.backend.num_threads();
        let shape = config.clone();
        let mut source =
            Adapted::new(&mut *source, &adaptation, &shape, options.weight_type, num_threads);
        Self::build(config, &mut source, options, fingerprint::finish(hasher))
    }

    /// Random weights of the given shape, the same for the same seed, with a separate
    /// output matrix; matrices are f32 unless another type is asked for. The window is
    /// the configuration's.
    ///
    /// # Errors
    /// `Config` if the configuration describes no decoder.
    pub fn random(
        config: &ModelConfig,
        seed: u64,
        options: &LoadOptions,
    ) -> Result<Self, ModelError> {
        config.validate()?;
        let mut hasher = Sha256::new();
        hasher.update(format!("random|{seed}|{:?}|{config:?}", options.weight_type));
        let mut source = RandomWeights::new(seed);
        Self::build(config.clone(), &mut source, options, fingerprint::finish(hasher))
    }

    pub(super) fn build(
        config: ModelConfig,
        source: &mut dyn WeightSource,
        options: &LoadOptions,
        fingerprint: String,
    ) -> Result<Self, ModelError> {
        let weight_type = options.weight_type;
        let decoder = match &options.backend {
            Backend::Cpu { num_threads } => {
                Decoder::Cpu(CpuDecoder::build(&config, source, weight_type, *num_threads)?)
            }
            Backend::Gpu(place) => {
                let device = place.open()?;
                Decoder::Gpu(GpuDecoder::build(&config, source, weight_type, &device)?)
            }
            Backend::Candle(device) => {
                Decoder::Candle(CandleDecoder::build(&config, source, weight_type, device)?)
            }
        };
        Ok(Self { config, decoder, fingerprint })
    }

    /// The decoder's shape, with the window in force.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// A stable hash of the weights and of the options that change the logits, 64
    /// hexadecimal digits; see [`ModelFile::fingerprint`].
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// What computes it, for people.
    pub fn backend_name(&self) -> String {
        match &self.decoder {
            Decoder::Cpu(decoder) => format!("CPU, {}", decoder.instructions()),
            Decoder::Gpu(decoder) => format!("GPU, {}", decoder.device_name()),
            Decoder::Candle(decoder) => format!("candle, {:?}", decoder.device().location()),
        }
    }

    /// Bytes that the matrices take, where they are ours.
    pub fn weight_bytes(&self) -> Option<usize> {
        match &self.decoder {
            Decoder::Cpu(decoder) => Some(decoder.num_bytes()),
            Decoder::Gpu(decoder) => Some(decoder.num_bytes()),
            Decoder::Candle(_) => None,
        }
    }

    /// Bytes that are free for keys and values where it computes, if that is a GPU that
    /// tells: a part stays for its steps.
    ///
    /// # Errors
    /// `Gpu` if the device fails.
    pub fn free_bytes(&self) -> Result<Option<u64>, ModelError> {
        match &self.decoder {
            Decoder::Gpu(decoder) => Ok(Some(decoder.free_bytes()?)),
            Decoder::Cpu(_) | Decoder::Candle(_) => Ok(None),
        }
    }

    /// Bytes of one KV block of `block_size` positions, over all layers.
    pub fn kv_block_bytes(&self, block_size: usize) -> usize {
        match &self.decoder {
            Decoder::Cpu(_) => self.kv_layout(block_size).block_bytes(),
            Decoder::Gpu(decoder) => decoder.block_bytes(block_size),
            Decoder::Candle(_) => candle_block_bytes(&self.config, block_size),
        }
    }

    fn kv_layout(&self, block_size: usize) -> KvLayout {
        KvLayout {
            num_layers: self.config.num_layers,
            num_kv_heads: self.config.num_kv_heads,
            head_dim: self.config.head_dim,
            block_size,
        }
    }

    /// A KV cache of `num_blocks` blocks of `block_size` positions each, zeroed;
    /// [`Model::kv_block_bytes`] tells its size.
    ///
    /// # Errors
    /// `Config` if there are no blocks or `block_size` is no power of two up to 256;
    /// `KvCacheTooLarge` if memory, or a device's, does not suffice.
    pub fn kv_cache(&self, num_blocks: usize, block_size: usize) -> Result<KvCache, ModelError> {
        check_shape(num_blocks, block_size)?;
        let too_large = || ModelError::KvCacheTooLarge {
            num_bytes: num_blocks.saturating_mul(self.kv_block_bytes(block_size)),
        };
        let memory = match &self.decoder {
            Decoder::Cpu(_) => {
                let store = KvStore::new(self.kv_layout(block_size), num_blocks);
                KvMemory::Kernels(store.ok_or_else(too_large)?, Box::default())
            }
            Decoder::Gpu(decoder) => match decoder.cache(num_blocks, block_size) {
                Ok(cache) => KvMemory::Gpu(Box::new(cache)),
                Err(error) if error.is_out_of_memory() => return Err(too_large()),
                Err(error) => return Err(error),
            },
            Decoder::Candle(decoder) => {
                let device = decoder.device();
                let layers = LayerCache::layers(&self.config, num_blocks, block_size, device);
                // Nothing else can go wrong with tensors of zeros.
                KvMemory::Candle(layers.map_err(|_| too_large())?)
            }
        };
        Ok(KvCache { memory, num_blocks, block_size, block_bytes: self.kv_block_bytes(block_size) })
    }

    /// Makes room in a GPU's memory for steps of so many tokens and sequences; elsewhere, and
    /// for larger ones, there is made room when they come.
    ///
    /// # Errors
    /// `Gpu` if its memory does not suffice.
    pub fn prepare(
        &self,
        kv: &mut KvCache,
        max_tokens: usize,
        max_sequences: usize,
    ) -> Result<(), ModelError> {
        match (&self.decoder, &mut kv.memory) {
            (Decoder::Gpu(decoder), KvMemory::Gpu(cache)) => {
                decoder.prepare(cache, max_tokens, max_sequences)
            }
            _ => Ok(()),
        }
    }

    /// Calls `unit` once with every number below `num_units`, shared among the threads
    /// that compute, which would be idle beside the caller's.
    pub fn share(&self, num_units: usize, unit: impl Fn(usize) + Sync) {
        match &self.decoder {
            Decoder::Cpu(decoder) => decoder.pool().run(num_units, unit),
            Decoder::Gpu(decoder) => decoder.pool().run(num_units, unit),
            Decoder::Candle(_) => (0..num_units).for_each(unit),
        }
    }

    /// Runs one step: stores keys and values of every new token in its sequence's
    /// blocks, and returns a row of logits for each token selected by
    /// [`BatchSequence::logits`], in batch order.
    ///
    /// On our kernels, a row's logits are the same bits whatever else is in the batch,
    /// however its sequence was cut into steps, and on any number of threads.
    ///
    /// `kv` must be a cache of this model.
    ///
    /// # Errors
    /// `Batch` if the batch is malformed, or a block would be written by two sequences
    /// or twice by one (nothing is stored then), `Tensor` if the
    /// device fails (the new positions are undefined then).
    pub fn forward(
        &self,
        batch: &[BatchSequence<'_>],
        kv: &mut KvCache,
    ) -> Result<Logits, ModelError> {
        batch::check(batch, &self.config, kv.num_blocks, kv.block_size)?;
        match (&self.decoder, &mut kv.memory) {
            (Decoder::Cpu(decoder), KvMemory::Kernels(store, buffers)) => {
                Ok(decoder.forward(batch, store, buffers))
            }
            (Decoder::Gpu(decoder), KvMemory::Gpu(cache)) => decoder.forward(batch, cache),
            (Decoder::Candle(decoder), KvMemory::Candle(layers)) => {
                decoder.forward(batch, kv.block_size, layers)
            }
            _ => Err(ModelError::Batch("the KV cache belongs to another model".into())),
        }
    }
}
