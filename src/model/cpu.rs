//! The decoder on our kernels: RMS norms before attention and a gated feed-forward,
//! residuals around both (Touvron et al. 2023, arXiv:2302.13971; Jiang et al. 2023,
//! arXiv:2310.06825).
//!
//! Products run once over all rows of a step; only attention looks at sequences. The
//! last layer computes no more rows than are asked for.

use std::num::NonZeroUsize;
use std::sync::Arc;

use super::decoder_weights::{DecoderWeights, LayerWeights, WeightLoader};
use super::rope::frequencies;
use super::weights::{Weight, WeightSource, convert, row_of_halves};
use super::{BatchSequence, LogitRows, Logits, ModelConfig, ModelError, WeightType};
use crate::kernels::{
    Activations, Attention, Columns, Compute, Heads, Isa, KvStore, LANES, MAX_HEAD, Matrix, Norm,
    Product, Rotations, SequenceRows, ThreadPool, multiply, rms_norm, swiglu,
};

/// A decoder in this machine's memory.
#[derive(Debug)]
pub(super) struct CpuDecoder {
    config: ModelConfig,
    weights: DecoderWeights<Vec<f32>, Arc<Matrix>>,
    frequencies: Vec<f32>,
    shape: Shape,
    pool: ThreadPool,
    isa: Isa,
}

/// One layer of a decoder, by its number.
struct Layer<'a> {
    decoder: &'a CpuDecoder,
    weights: &'a LayerWeights<Vec<f32>, Arc<Matrix>>,
    index: usize,
}

/// What a step writes to, kept from step to step.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    /// The residual stream.
    stream: Vec<f32>,
    /// Queries, keys and values of all rows.
    heads: Vec<f32>,
    /// Gates and what they gate.
    gates: Vec<f32>,
    normed: Activations,
    attended: Activations,
    gated: Activations,
    rotations: Rotations,
    logits: Vec<f32>,
}

/// Where the parts of a row of [`Buffers::heads`] and [`Buffers::gates`] lie.
#[derive(Debug, Clone, Copy)]
struct Shape {
    stream: usize,
    heads: Columns,
    up: usize,
}

impl Shape {
    fn of(config: &ModelConfig) -> Self {
        let pad = |n: usize| n.next_multiple_of(LANES);
        let keys = pad(config.num_heads * config.head_dim);
        let values = keys + pad(config.num_kv_heads * config.head_dim);
        let stride = values + pad(config.num_kv_heads * config.head_dim);
        Self {
            stream: pad(config.hidden_size),
            heads: Columns { stride, keys, values },
            up: pad(config.intermediate_size),
        }
    }
}

impl CpuDecoder {
    pub(super) fn build(
        config: &ModelConfig,
        source: &mut dyn WeightSource,
        weight_type: Option<WeightType>,
        num_threads: NonZeroUsize,
    ) -> Result<Self, ModelError> {
        if config.head_dim > MAX_HEAD {
            let wide = format!("heads of {} are wider than {MAX_HEAD}", config.head_dim);
            return Err(ModelError::Config(wide));
        }
        let pool = ThreadPool::new(num_threads);
        let weights =
            DecoderWeights::load(&mut Loader { config, source, weight_type, pool: &pool })?;
        Ok(Self {
            config: config.clone(),
            weights,
            frequencies: frequencies(&config.rope, config.head_dim),
            shape: Shape::of(config),
            pool,
            isa: Isa::best(),
        })
    }

    /// Bytes of all matrices.
    pub(super) fn num_bytes(&self) -> usize {
        let DecoderWeights { embedding, layers, output, .. } = &self.weights;
        let outer =
            if Arc::ptr_eq(embedding, output) { vec![embedding] } else { vec![embedding, output] };
        let inner = layers.iter().flat_map(LayerWeights::matrices);
        inner.chain(outer).map(|matrix| matrix.num_bytes()).sum()
    }

    fn layers(&self) -> impl Iterator<Item = Layer<'_>> {
        let layers = self.weights.layers.iter().enumerate();
        layers.map(|(index, weights)| Layer { decoder: self, weights, index })
    }

    /// The instructions it computes with.
    pub(super) fn instructions(&self) -> &'static str {
        self.isa.name()
    }

    pub(super) fn pool(&self) -> &ThreadPool {
        &self.pool
    }

    fn compute(&self) -> Compute<'_> {
        Compute { pool: &self.pool, isa: self.isa }
    }

    /// Runs a checked batch.
    pub(super) fn forward(
        &self,
        batch: &[BatchSequence<'_>],
        kv: &mut KvStore,
        buffers: &mut Buffers,
    ) -> Logits {
        let step = Step::new(batch);
        self.embed(batch, &step, buffers);
        let heads = Heads {
            num_heads: self.config.num_heads,
            columns: self.shape.heads,
            window: self.config.sliding_window.unwrap_or(usize::MAX),
        };
        let layout = *kv.layout();
        let mut attention = Attention::new(heads, layout, &step.sequences);
        let positions = step.positions();
        buffers.rotations.at(positions, &self.frequencies);
        let num_rows = step.num_rows;
        for layer in self.layers() {
            layer.project(num_rows, buffers);
            let Buffers { heads: rows, rotations, .. } = buffers;
            attention.store(self.compute(), layer.index, rows, rotations, kv);
            if layer.index + 1 < self.config.num_layers {
                layer.finish(num_rows, &mut attention, kv, buffers);
            }
        }
        self.last(&step, heads, kv, buffers)
    }

    /// Token embeddings of all rows.
    fn embed(&self, batch: &[BatchSequence<'_>], step: &Step<'_>, buffers: &mut Buffers) {
        grow(&mut buffers.stream, step.num_rows * self.shape.stream);
        let tokens = batch.iter().flat_map(|sequence| sequence.tokens);
        for (&token, row) in tokens.zip(buffers.stream.chunks_exact_mut(self.shape.stream)) {
            let (values, padding) = row.split_at_mut(self.config.hidden_size);
            self.weights.embedding.unpack_row(token as usize, values);
            padding.fill(0.0);
        }
    }

    /// The last layer from its attention on, and the logits, for the rows that want them.
    fn last(&self, step: &Step<'_>, heads: Heads, kv: &KvStore, buffers: &mut Buffers) -> Logits {
        let vocab = self.config.vocab_size;
        let wanted = step.wanted();
        let num_rows: usize = wanted.iter().map(|w| w.num_rows).sum();
        if num_rows == 0 {
            return Logits::new(Vec::new(), vocab);
        }
        let mut to = 0;
        let mut sequences = Vec::with_capacity(wanted.len());
        for sequence in &wanted {
            let rows = sequence.row..sequence.row + sequence.num_rows;
            let move_rows = |values: &mut [f32], stride: usize| {
                values.copy_within(rows.start * stride..rows.end * stride, to * stride);
            };
            move_rows(&mut buffers.stream, self.shape.stream);
            move_rows(&mut buffers.heads, self.shape.heads.stride);
            sequences.push(SequenceRows { row: to, ..*sequence });
            to += sequence.num_rows;
        }
        let mut attention = Attention::new(heads, *kv.layout(), &sequences);
        let layer = self.layers().last().expect("a decoder has layers");
        layer.finish(num_rows, &mut attention, kv, buffers);
        let DecoderWeights { output_norm, output, .. } = &self.weights;
        self.norm(output_norm, num_rows, output.wants_blocks(), buffers);
        let stride = vocab.next_multiple_of(LANES);
        grow(&mut buffers.logits, num_rows * stride);
        let product = [Product { matrix: output, column: 0 }];
        multiply(self.compute(), &buffers.normed, &product, &mut buffers.logits, stride, false);
        let rows = buffers.logits.chunks_exact(stride).take(num_rows);
        Logits::new(rows.flat_map(|row| &row[..vocab]).copied().collect(), vocab)
    }

    fn norm(&self, weight: &[f32], num_rows: usize, quantize: bool, buffers: &mut Buffers) {
        let Buffers { stream, normed, .. } = buffers;
        normed.resize(num_rows, self.config.hidden_size);
        let norm = Norm { weight, eps: self.config.norm_eps as f32 };
        rms_norm(self.compute(), stream, self.shape.stream, norm, normed, quantize);
    }
}

impl Layer<'_> {
    /// Queries, keys and values of all rows.
    fn project(&self, num_rows: usize, buffers: &mut Buffers) {
        let Self { decoder, weights, .. } = self;
        let quantize =
            [&weights.query, &weights.key, &weights.value].iter().any(|m| m.wants_blocks());
        decoder.norm(&weights.attention_norm, num_rows, quantize, buffers);
        let shape = decoder.shape;
        grow(&mut buffers.heads, num_rows * shape.heads.stride);
        let products = [
            Product { matrix: &weights.query, column: 0 },
            Product { matrix: &weights.key, column: shape.heads.keys },
            Product { matrix: &weights.value, column: shape.heads.values },
        ];
        let Buffers { normed, heads, .. } = buffers;
        multiply(decoder.compute(), normed, &products, heads, shape.heads.stride, false);
    }

    /// Attention, once keys and values are stored, and the feed-forward.
    fn finish(
        &self,
        num_rows: usize,
        attention: &mut Attention<'_>,
        kv: &KvStore,
        buffers: &mut Buffers,
    ) {
        let Self { decoder, weights, index } = self;
        let config = &decoder.config;
        let (compute, shape) = (decoder.compute(), decoder.shape);
        {
            let Buffers { heads, attended, stream, .. } = buffers;
            attended.resize(num_rows, config.num_heads * config.head_dim);
            let quantize = weights.attention_output.wants_blocks();
            attention.attend(compute, *index, heads, kv, attended, quantize);
            let product = [Product { matrix: &weights.attention_output, column: 0 }];
            multiply(compute, attended, &product, stream, shape.stream, true);
        }
        let quantize = weights.gate.wants_blocks() || weights.up.wants_blocks();
        decoder.norm(&weights.feed_forward_norm, num_rows, quantize, buffers);
        let stride = 2 * shape.up;
        grow(&mut buffers.gates, num_rows * stride);
        let Buffers { normed, gates, gated, stream, .. } = buffers;
        let products = [
            Product { matrix: &weights.gate, column: 0 },
            Product { matrix: &weights.up, column: shape.up },
        ];
        multiply(compute, normed, &products, gates, stride, false);
        gated.resize(num_rows, config.intermediate_size);
        swiglu(compute, gates, stride, shape.up, gated, weights.down.wants_blocks());
        let product = [Product { matrix: &weights.down, column: 0 }];
        multiply(compute, gated, &product, stream, shape.stream, true);
    }
}

/// A batch as rows.
struct Step<'a> {
    sequences: Vec<SequenceRows<'a>>,
    logits: Vec<LogitRows>,
    num_rows: usize,
}

impl<'a> Step<'a> {
    fn new(batch: &[BatchSequence<'a>]) -> Self {
        let mut step = Self { sequences: Vec::new(), logits: Vec::new(), num_rows: 0 };
        for sequence in batch {
            let BatchSequence { tokens, position, block_table, logits } = *sequence;
            let (row, num_rows) = (step.num_rows, tokens.len());
            step.sequences.push(SequenceRows { row, num_rows, position, block_table });
            step.logits.push(logits);
            step.num_rows += num_rows;
        }
        step
    }

    /// Position of each row.
    fn positions(&self) -> impl Iterator<Item = usize> {
        self.sequences.iter().flat_map(|s| s.position..s.position + s.num_rows)
    }

    /// The rows that get logits.
    fn wanted(&self) -> Vec<SequenceRows<'a>> {
        let wanted = self.sequences.iter().zip(&self.logits).filter_map(|(sequence, logits)| {
            let skipped = match logits {
                LogitRows::None => return None,
                LogitRows::Last => sequence.num_rows - 1,
                LogitRows::All => 0,
            };
            Some(SequenceRows {
                row: sequence.row + skipped,
                num_rows: sequence.num_rows - skipped,
                position: sequence.position + skipped,
                ..*sequence
            })
        });
        wanted.collect()
    }
}

/// Brings weights from where they come from into tiles.
struct Loader<'a> {
    config: &'a ModelConfig,
    source: &'a mut dyn WeightSource,
    weight_type: Option<WeightType>,
    pool: &'a ThreadPool,
}

impl WeightLoader for Loader<'_> {
    /// Padded as rows are.
    type Norm = Vec<f32>;
    type Matrix = Arc<Matrix>;

    fn config(&self) -> &ModelConfig {
        self.config
    }

    fn has_tied_embeddings(&self) -> bool {
        self.source.has_tied_embeddings()
    }

    fn norm(&mut self, weight: Weight) -> Result<Vec<f32>, ModelError> {
        let mut weight = self.source.vector(weight, self.config.hidden_size)?;
        weight.resize(self.config.hidden_size.next_multiple_of(LANES), 0.0);
        Ok(weight)
    }

    fn matrix(
        &mut self,
        weight: Weight,
        out: usize,
        input: usize,
    ) -> Result<Arc<Matrix>, ModelError> {
        self.permuted(weight, out, input, |row| row)
    }

    /// The kernels want a head's pairs half a head apart.
    fn rotated(
        &mut self,
        weight: Weight,
        out: usize,
        input: usize,
    ) -> Result<Arc<Matrix>, ModelError> {
        if !self.config.rope.interleaved {
            return self.matrix(weight, out, input);
        }
        let head_dim = self.config.head_dim;
        self.permuted(weight, out, input, move |row| row_of_halves(row, head_dim))
    }
}

impl Loader<'_> {
    fn permuted(
        &mut self,
        weight: Weight,
        out: usize,
        input: usize,
        row_of: impl Fn(usize) -> usize + Sync,
    ) -> Result<Arc<Matrix>, ModelError> {
        let stored = self.source.matrix(weight, out, input)?;
        let stored = convert(stored, self.weight_type, |dtype, _| Matrix::supports(dtype))?;
        Matrix::pack(self.pool, &stored, row_of)
            .map(Arc::new)
            .map_err(|error| ModelError::Config(format!("{weight:?}: {error}")))
    }
}

fn grow(values: &mut Vec<f32>, len: usize) {
    if values.len() < len {
        values.resize(len, 0.0);
    }
}
