//! The decoder as candle's tensors compute it: on any of its devices, and on the CPU as
//! the reference that our kernels are compared with.

mod attention;
mod decoder;
mod kv_cache;
mod plan;
mod rope;

use candle_core::Device;

use super::weights::WeightSource;
use super::{BatchSequence, Logits, ModelConfig, ModelError, WeightType};
use decoder::Decoder;
use plan::BatchPlan;

pub(super) use kv_cache::LayerCache;

/// A decoder on a device.
#[derive(Debug)]
pub(super) struct CandleDecoder {
    config: ModelConfig,
    decoder: Decoder,
    device: Device,
}

impl CandleDecoder {
    pub(super) fn build(
        config: &ModelConfig,
        source: &mut dyn WeightSource,
        weight_type: Option<WeightType>,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let decoder = Decoder::build(config, source, weight_type, device)?;
        Ok(Self { config: config.clone(), decoder, device: device.clone() })
    }

    pub(super) fn device(&self) -> &Device {
        &self.device
    }

    /// Runs a checked batch.
    pub(super) fn forward(
        &self,
        batch: &[BatchSequence<'_>],
        block_size: usize,
        kv: &[LayerCache],
    ) -> Result<Logits, ModelError> {
        let plan = BatchPlan::new(batch, &self.config, block_size, &self.device)?;
        let logits = self.decoder.forward(&plan, kv, &self.device)?;
        Ok(Logits::new(logits.flatten_all()?.to_vec1()?, self.config.vocab_size))
    }
}
