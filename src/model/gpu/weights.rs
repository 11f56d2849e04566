//! A decoder's weights on their way to a GPU: which format each matrix is kept in, and
//! which of them lie in one.

use std::borrow::Cow;
use std::sync::Arc;

use candle_core::Device as CandleDevice;
use candle_core::quantized::QTensor;

use super::super::weights::{Weight, WeightSource, quantized, row_of_halves};
use super::super::{ModelConfig, ModelError, WeightType};
use super::norm;
use crate::gpu::{Device, Format, Matrix, MatrixBuilder, Norm, Numbers, Operand, StoredMatrix};
use crate::kernels::StoredRows;

#[derive(Debug)]
pub(super) struct Weights {
    pub(super) embedding: Arc<Matrix>,
    pub(super) layers: Vec<LayerWeights>,
    pub(super) output_norm: Norm,
    /// The embedding itself where these are tied.
    pub(super) output: Arc<Matrix>,
}

#[derive(Debug)]
pub(super) struct LayerWeights {
    pub(super) attention_norm: Norm,
    /// Queries, keys and values, with the column at which each matrix's products go.
    pub(super) heads: Vec<(Arc<Matrix>, usize)>,
    pub(super) attention_output: Arc<Matrix>,
    pub(super) feed_forward_norm: Norm,
    /// Gates and what they gate.
    pub(super) gate: Arc<Matrix>,
    pub(super) down: Arc<Matrix>,
}

impl Weights {
    /// Loads them in the order of `DecoderWeights`, and tells what is multiplied: bfloats
    /// where the weights are such, else halves.
    pub(super) fn load(
        config: &ModelConfig,
        source: &mut dyn WeightSource,
        weight_type: Option<WeightType>,
        device: &Arc<dyn Device>,
    ) -> Result<(Self, Operand), ModelError> {
        let (vocab, hidden) = (config.vocab_size, config.hidden_size);
        let stored = source.matrix(Weight::TokenEmbedding, vocab, hidden)?;
        let operand = match weight_type.unwrap_or(stored.dtype) {
            WeightType::BF16 => Operand::Bfloat,
            _ => Operand::Half,
        };
        let mut loader = Loader { config, source, weight_type, device, operand };
        let embedding = loader.keep(stored)?;
        let embedding = loader.single(&embedding)?;
        let layers = (0..config.num_layers)
            .map(|index| LayerWeights::load(&mut loader, index))
            .collect::<Result<_, _>>()?;
        let output_norm = loader.norm(Weight::OutputNorm)?;
        let output = match loader.source.has_tied_embeddings() {
            true => Arc::clone(&embedding),
            false => {
                let output = loader.matrix(Weight::Output, vocab, hidden)?;
                loader.single(&output)?
            }
        };
        Ok((Self { embedding, layers, output_norm, output }, operand))
    }

    fn matrices(&self) -> impl Iterator<Item = &Matrix> {
        let layers = self.layers.iter().flat_map(|layer| {
            let heads = layer.heads.iter().map(|(matrix, _)| matrix);
            heads.chain([&layer.attention_output, &layer.gate, &layer.down])
        });
        let tied = Arc::ptr_eq(&self.embedding, &self.output);
        let outer = std::iter::once(&self.embedding).chain((!tied).then_some(&self.output));
        layers.chain(outer).map(|matrix| &**matrix)
    }

    pub(super) fn formats(&self) -> impl Iterator<Item = Format> {
        self.matrices().map(Matrix::format)
    }

    pub(super) fn num_bytes(&self) -> usize {
        self.matrices().map(Matrix::num_bytes).sum()
    }
}

impl LayerWeights {
    fn load(loader: &mut Loader<'_>, index: usize) -> Result<Self, ModelError> {
        let config = loader.config;
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let queries = config.num_heads * config.head_dim;
        let keys = config.num_kv_heads * config.head_dim;
        let attention_norm = loader.norm(Weight::AttentionNorm(index))?;
        let mut heads = MatrixBuilder::new(loader.operand, hidden);
        for (weight, rows) in [
            (Weight::Query(index), queries),
            (Weight::Key(index), keys),
            (Weight::Value(index), keys),
        ] {
            let kept = loader.matrix(weight, rows, hidden)?;
            let (head_dim, turns) =
                (config.head_dim, config.rope.interleaved && weight.is_rotated());
            heads.add(&kept.stored(), |row| if turns { row_of_halves(row, head_dim) } else { row });
        }
        let mut column = 0;
        let heads = heads.build(loader.device)?.into_iter().map(|matrix| {
            let at = column;
            column += matrix.num_rows();
            (matrix, at)
        });
        let heads = heads.collect();
        let attention_output = loader.matrix(Weight::AttentionOutput(index), hidden, queries)?;
        let attention_output = loader.single(&attention_output)?;
        let feed_forward_norm = loader.norm(Weight::FeedForwardNorm(index))?;
        let gate = loader.matrix(Weight::Gate(index), inner, hidden)?;
        let up = loader.matrix(Weight::Up(index), inner, hidden)?;
        // One kernel takes both: they are kept alike.
        let (gate, up) = match gate.format() == up.format() {
            true => (gate, up),
            false => (gate.plain()?, up.plain()?),
        };
        let mut gated = MatrixBuilder::new(loader.operand, hidden);
        gated.add_gated(&gate.stored(), &up.stored());
        let gate = gated.build(loader.device)?.remove(0);
        let down = loader.matrix(Weight::Down(index), hidden, inner)?;
        let down = loader.single(&down)?;
        Ok(Self { attention_norm, heads, attention_output, feed_forward_norm, gate, down })
    }
}

/// A matrix in the type that the GPU keeps it in.
struct Kept {
    rows: StoredRows<'static>,
    floats: Option<Vec<f32>>,
}

impl Kept {
    fn format(&self) -> Format {
        match (&self.floats, self.rows.dtype) {
            (None, WeightType::Q8_0) => Format::Q8,
            (None, WeightType::Q4K) => Format::Q4K,
            (None, WeightType::Q6K) => Format::Q6K,
            _ => Format::Plain,
        }
    }

    fn stored(&self) -> StoredMatrix<'_> {
        let numbers = match (&self.floats, self.format()) {
            (Some(floats), _) => Numbers::Floats(floats),
            (None, Format::Plain) => Numbers::Operands(&self.rows.bytes),
            (None, format) => Numbers::Blocks(format, &self.rows.bytes),
        };
        let StoredRows { num_rows, num_columns, .. } = self.rows;
        StoredMatrix { num_rows, num_columns, numbers }
    }

    /// The same, unpacked.
    fn plain(self) -> Result<Self, ModelError> {
        Ok(Self { floats: Some(floats(&self.rows)?), rows: self.rows })
    }
}

fn floats(rows: &StoredRows<'_>) -> Result<Vec<f32>, ModelError> {
    Ok(quantized(rows)?.dequantize(&CandleDevice::Cpu)?.flatten_all()?.to_vec1()?)
}

struct Loader<'a> {
    config: &'a ModelConfig,
    source: &'a mut dyn WeightSource,
    weight_type: Option<WeightType>,
    device: &'a Arc<dyn Device>,
    operand: Operand,
}

impl Loader<'_> {
    fn norm(&mut self, weight: Weight) -> Result<Norm, ModelError> {
        let weights = self.source.vector(weight, self.config.hidden_size)?;
        Ok(norm(self.device, &weights, self.config.norm_eps)?)
    }

    fn matrix(&mut self, weight: Weight, out: usize, input: usize) -> Result<Kept, ModelError> {
        let stored = self.source.matrix(weight, out, input)?;
        self.keep(stored)
    }

    /// Brings it to the type that it is kept in: the one asked for, or else the one it is
    /// stored in, where there are kernels for it.
    fn keep(&self, rows: StoredRows<'static>) -> Result<Kept, ModelError> {
        let wanted =
            kept_type(self.weight_type.unwrap_or(rows.dtype), rows.num_columns, self.operand);
        if rows.dtype == wanted {
            return Ok(Kept { rows, floats: None });
        }
        match wanted {
            WeightType::F16 | WeightType::BF16 => Ok(Kept { floats: Some(floats(&rows)?), rows }),
            _ => {
                let unpacked = quantized(&rows)?.dequantize(&CandleDevice::Cpu)?;
                let converted = QTensor::quantize(&unpacked, wanted)?;
                let bytes = Cow::Owned(converted.data()?.into_owned());
                Ok(Kept { rows: StoredRows { dtype: wanted, bytes, ..rows }, floats: None })
            }
        }
    }

    fn single(&self, kept: &Kept) -> Result<Arc<Matrix>, ModelError> {
        let stored = kept.stored();
        let mut builder = MatrixBuilder::new(self.operand, stored.num_columns);
        builder.add(&stored, |row| row);
        Ok(builder.build(self.device)?.remove(0))
    }
}

/// The type that a matrix is kept in: floats as operands; of the others those that have
/// kernels, and else bytes; operands where rows do not divide into blocks.
pub(super) fn kept_type(wanted: WeightType, num_columns: usize, operand: Operand) -> WeightType {
    let plain = match operand {
        Operand::Half => WeightType::F16,
        Operand::Bfloat => WeightType::BF16,
    };
    let fits = |dtype: WeightType| num_columns.is_multiple_of(dtype.block_size());
    match wanted {
        WeightType::F32 | WeightType::F16 | WeightType::BF16 => plain,
        // Kernels unpack to halves.
        _ if operand == Operand::Bfloat => plain,
        WeightType::Q8_0 | WeightType::Q4K | WeightType::Q6K if fits(wanted) => wanted,
        _ if fits(WeightType::Q8_0) => WeightType::Q8_0,
        _ => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_are_kept_in_types_that_have_kernels() {
        use WeightType::{BF16, F16, F32, Q4_0, Q4K, Q5K, Q6K, Q8_0};
        for (wanted, columns, kept) in [
            (Q4K, 4096, Q4K),
            (Q6K, 4096, Q6K),
            (Q8_0, 576, Q8_0),
            (Q4_0, 576, Q8_0),
            (Q5K, 4096, Q8_0),
            (Q4K, 576, Q8_0),
            (Q8_0, 40, F16),
            (F32, 576, F16),
            (BF16, 576, F16),
        ] {
            assert_eq!(kept_type(wanted, columns, Operand::Half), kept, "{wanted:?} {columns}");
            assert_eq!(kept_type(wanted, columns, Operand::Bfloat), BF16);
        }
    }
}
