//! The decoder on the emulated GPU beside the one on the CPU, and the invariant of the
//! room on it: to the bit, however a sequence is cut, batched and scattered.

use std::borrow::Cow;
use std::sync::Arc;

use candle_core::Device as CandleDevice;
use candle_core::quantized::QTensor;

use super::super::random::RandomWeights;
use super::super::weights::{Weight, WeightSource, quantized};
use super::super::*;
use super::weights::kept_type;
use crate::gpu::{Emulator, GpuPlace, Operand};
use crate::kernels::StoredRows;

/// Absolute tolerance on logits of magnitude about 1: operands of eleven significant bits,
/// or of eight.
const TOLERANCE: f32 = 1e-2;
const BFLOAT_TOLERANCE: f32 = 8e-2;

const BLOCK_SIZE: usize = 32;

/// Bytes of an emulated device.
const MEMORY: usize = 1 << 28;

fn tokens(count: usize) -> Vec<u32> {
    (0..count as u32).map(|i| (i * 37 + i * i % 11 + 5) % 258).collect()
}

/// A model on the emulated device; `None` where there is none.
fn model(config: &ModelConfig, weight_type: Option<WeightType>) -> Option<(Model, Arc<Emulator>)> {
    let device = Arc::new(Emulator::new(MEMORY)?);
    let backend = Backend::Gpu(GpuPlace::emulated(device.clone()));
    let options = LoadOptions { backend, weight_type, ..LoadOptions::default() };
    Some((Model::random(config, 42, &options).unwrap(), device))
}

/// Random weights, rounded as a GPU keeps them.
struct Rounded(RandomWeights, Option<WeightType>);

impl WeightSource for Rounded {
    fn has_tied_embeddings(&self) -> bool {
        self.0.has_tied_embeddings()
    }

    fn vector(&mut self, weight: Weight, len: usize) -> Result<Vec<f32>, ModelError> {
        self.0.vector(weight, len)
    }

    fn matrix(
        &mut self,
        weight: Weight,
        out: usize,
        input: usize,
    ) -> Result<StoredRows<'static>, ModelError> {
        let stored = self.0.matrix(weight, out, input)?;
        let Some(asked) = self.1 else { return Ok(stored) };
        let operand = if asked == WeightType::BF16 { Operand::Bfloat } else { Operand::Half };
        let dtype = kept_type(asked, input, operand);
        let floats = quantized(&stored)?.dequantize(&CandleDevice::Cpu)?;
        let rounded = QTensor::quantize(&floats, dtype)?.dequantize(&CandleDevice::Cpu)?;
        let floats: Vec<f32> = rounded.flatten_all()?.to_vec1()?;
        let bytes = floats.into_iter().flat_map(f32::to_le_bytes).collect();
        Ok(StoredRows { bytes: Cow::Owned(bytes), ..stored })
    }
}

/// The same weights, computed with in f32.
fn reference(config: &ModelConfig, weight_type: Option<WeightType>) -> Model {
    let backend = Backend::reference();
    let options = LoadOptions { backend, ..LoadOptions::default() };
    let mut source = Rounded(RandomWeights::new(42), weight_type);
    Model::build(config.clone(), &mut source, &options, String::new()).unwrap()
}

fn rows(logits: &Logits) -> Vec<Vec<f32>> {
    logits.rows().map(<[f32]>::to_vec).collect()
}

fn difference(left: &[Vec<f32>], right: &[Vec<f32>]) -> f32 {
    assert_eq!(left.len(), right.len());
    let pairs = left.iter().flatten().zip(right.iter().flatten());
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn is_same(left: &[Vec<f32>], right: &[Vec<f32>]) -> bool {
    let bits = |rows: &[Vec<f32>]| rows.concat().iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    bits(left) == bits(right)
}

/// Logits of every position, in steps of the given lengths.
fn chunked(model: &Model, tokens: &[u32], chunks: &[usize], table: &[u32]) -> Vec<Vec<f32>> {
    let mut kv = model.kv_cache(16, BLOCK_SIZE).unwrap();
    let (mut position, mut logits) = (0, Vec::new());
    for &len in chunks {
        let tokens = &tokens[position..position + len];
        let sequence =
            BatchSequence { tokens, position, block_table: table, logits: LogitRows::All };
        logits.extend(rows(&model.forward(&[sequence], &mut kv).unwrap()));
        position += len;
    }
    assert_eq!(position, tokens.len());
    logits
}

/// A decoder of the shapes that are awkward: groups of three, heads that fill no chunk, a
/// window that begins within a part.
fn awkward() -> ModelConfig {
    ModelConfig {
        hidden_size: 96,
        intermediate_size: 72,
        num_heads: 6,
        num_kv_heads: 2,
        head_dim: 24,
        sliding_window: Some(150),
        ..ModelConfig::tiny()
    }
}

#[test]
fn logits_are_those_of_the_reference() {
    let types = [
        (None, TOLERANCE),
        (Some(WeightType::Q8_0), TOLERANCE),
        (Some(WeightType::BF16), BFLOAT_TOLERANCE),
    ];
    for config in [ModelConfig::tiny(), awkward()] {
        for (weight_type, tolerance) in types {
            let Some((ours, _)) = model(&config, weight_type) else { return };
            let (text, table) = (tokens(200), [7, 2, 9, 3, 0, 12, 5]);
            let expected =
                chunked(&reference(&config, weight_type), &text, &[200], &[0, 1, 2, 3, 4, 5, 6]);
            let found = chunked(&ours, &text, &[140, 59, 1], &table);
            let difference = difference(&expected, &found);
            assert!(difference < tolerance, "{weight_type:?}: {difference}");
            // Something was computed: rows of flat logits would be near each other, too.
            let spread = |row: &[f32]| {
                row.iter().copied().fold(f32::MIN, f32::max)
                    - row.iter().copied().fold(0.0, f32::min)
            };
            assert!(found.iter().all(|row| spread(row) > 30.0 * tolerance));
        }
    }
}

#[test]
fn k_quants_are_those_of_the_reference() {
    let config = ModelConfig { hidden_size: 256, num_layers: 1, ..ModelConfig::tiny() };
    for weight_type in [WeightType::Q4K, WeightType::Q6K] {
        let Some((ours, _)) = model(&config, Some(weight_type)) else { return };
        let text = tokens(9);
        let expected = chunked(&reference(&config, Some(weight_type)), &text, &[9], &[0]);
        let found = chunked(&ours, &text, &[5, 1, 1, 1, 1], &[3]);
        let difference = difference(&expected, &found);
        assert!(difference < TOLERANCE, "{weight_type:?}: {difference}");
    }
}

#[test]
fn chunks_blocks_and_the_order_of_threads_change_no_bit() {
    for config in [ModelConfig::tiny(), awkward()] {
        let Some((model, device)) = model(&config, Some(WeightType::Q8_0)) else { return };
        let text = tokens(170);
        let whole = chunked(&model, &text, &[170], &[0, 1, 2, 3, 4, 5]);
        let shuffled = [13, 2, 9, 3, 15, 0];
        for chunks in [&[1; 170][..], &[3, 70, 1, 1, 95], &[128, 42]] {
            assert!(is_same(&chunked(&model, &text, chunks, &shuffled), &whole), "{chunks:?}");
        }
        device.set_backwards(true);
        let backwards = chunked(&model, &text, &[60, 1, 109], &shuffled);
        assert!(is_same(&backwards, &whole), "threads depend on their order");
    }
}

#[test]
fn a_batch_equals_its_sequences_alone_and_steps_that_decode_are_replayed() {
    let Some((model, device)) = model(&awkward(), None) else { return };
    let texts: Vec<_> = (0..11).map(|i| tokens(40 + 13 * i)).collect();
    let alone: Vec<_> = texts
        .iter()
        .map(|text| {
            chunked(&model, text, &[text.len()], &[0, 1, 2, 3, 4, 5]).split_off(text.len() - 3)
        })
        .collect();
    let mut kv = model.kv_cache(6 * texts.len(), BLOCK_SIZE).unwrap();
    let tables: Vec<Vec<u32>> =
        (0..texts.len() as u32).map(|i| (0..6).map(|j| j * 11 + (i + j) % 11).collect()).collect();
    let mut step = |from_end: usize, new: usize, logits| {
        let batch: Vec<_> = texts
            .iter()
            .zip(&tables)
            .map(|(text, table)| {
                let end = text.len() - from_end;
                let start = if new == 0 { 0 } else { end - new };
                let tokens = &text[start..end];
                BatchSequence { tokens, position: start, block_table: table, logits }
            })
            .collect();
        rows(&model.forward(&batch, &mut kv).unwrap())
    };
    assert!(step(3, 0, LogitRows::None).is_empty());
    let (launches, replays) = device.counts();
    assert_eq!(replays, 0);
    for from_end in [2, 1, 0] {
        let logits = step(from_end, 1, LogitRows::Last);
        let wanted: Vec<_> = alone.iter().map(|rows| rows[2 - from_end].clone()).collect();
        assert!(is_same(&logits, &wanted), "{from_end} from the end");
    }
    // Steps of one size are recorded once, and nothing is launched beside them.
    assert_eq!(device.counts(), (launches, 3));
}

#[test]
fn a_block_that_was_read_is_put_back_elsewhere() {
    let Some((model, _)) = model(&awkward(), None) else { return };
    let text = tokens(65);
    let step = |kv: &mut KvCache, from: usize, table: &[u32]| {
        let tokens = &text[from..];
        let logits = LogitRows::Last;
        let sequence = BatchSequence { tokens, position: from, block_table: table, logits };
        rows(&model.forward(&[sequence], kv).unwrap())
    };
    let mut kv = model.kv_cache(3, BLOCK_SIZE).unwrap();
    let expected = step(&mut kv, 0, &[0, 1, 2]);
    let mut other = model.kv_cache(5, BLOCK_SIZE).unwrap();
    let mut bytes = vec![0; kv.block_bytes()];
    for (from, to) in [(0, 4), (1, 1)] {
        kv.read_block(from, &mut bytes).unwrap();
        other.write_block(to, &bytes).unwrap();
    }
    assert!(is_same(&step(&mut other, 64, &[4, 1, 0]), &expected));
}

#[test]
fn what_memory_does_not_hold_is_told_and_the_rest_goes_on() {
    let Some((model, _)) = model(&ModelConfig::tiny(), None) else { return };
    let error = model.kv_cache(1 << 20, BLOCK_SIZE).unwrap_err();
    assert!(matches!(error, ModelError::KvCacheTooLarge { .. }), "{error}");
    assert!(matches!(model.kv_cache(4, 16), Err(ModelError::Config(_))));
    // Of blocks there are nearly as many as memory holds: a long step has no room then.
    let num_blocks = (MEMORY - (3 << 19)) / model.kv_block_bytes(BLOCK_SIZE);
    let mut kv = model.kv_cache(num_blocks, BLOCK_SIZE).unwrap();
    let (text, table) = (tokens(600), (0..19).collect::<Vec<_>>());
    let mut forward = |len: usize| {
        let logits = LogitRows::Last;
        let tokens = &text[..len];
        model
            .forward(&[BatchSequence { tokens, position: 0, block_table: &table, logits }], &mut kv)
    };
    let error = forward(600).unwrap_err();
    assert!(error.is_out_of_memory(), "{error}");
    assert_eq!(forward(100).unwrap().num_rows(), 1);
}
