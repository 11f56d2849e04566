//! Which weights a decoder has, in the order they are used: the same list whatever
//! computes with them.

use super::weights::Weight;
use super::{ModelConfig, ModelError};

/// All weights of a decoder, norms as `N` and matrices as `M`.
#[derive(Debug)]
pub(super) struct DecoderWeights<N, M> {
    pub(super) embedding: M,
    pub(super) layers: Vec<LayerWeights<N, M>>,
    pub(super) output_norm: N,
    /// The embedding itself where these are tied.
    pub(super) output: M,
}

/// The weights of one layer.
#[derive(Debug)]
pub(super) struct LayerWeights<N, M> {
    pub(super) attention_norm: N,
    pub(super) query: M,
    pub(super) key: M,
    pub(super) value: M,
    pub(super) attention_output: M,
    pub(super) feed_forward_norm: N,
    pub(super) gate: M,
    pub(super) up: M,
    pub(super) down: M,
}

/// Brings weights from where they come from to where they are used.
pub(super) trait WeightLoader {
    /// A norm, ready to be used.
    type Norm;
    /// A matrix, ready to be multiplied and looked up; cheap to clone.
    type Matrix: Clone;

    fn config(&self) -> &ModelConfig;

    fn has_tied_embeddings(&self) -> bool;

    /// A norm of the hidden size.
    fn norm(&mut self, weight: Weight) -> Result<Self::Norm, ModelError>;

    /// A matrix of shape `(out, input)`.
    fn matrix(
        &mut self,
        weight: Weight,
        out: usize,
        input: usize,
    ) -> Result<Self::Matrix, ModelError>;

    /// A projection to heads that are rotated.
    fn rotated(
        &mut self,
        weight: Weight,
        out: usize,
        input: usize,
    ) -> Result<Self::Matrix, ModelError> {
        self.matrix(weight, out, input)
    }
}

impl<N, M: Clone> DecoderWeights<N, M> {
    pub(super) fn load(
        loader: &mut impl WeightLoader<Norm = N, Matrix = M>,
    ) -> Result<Self, ModelError> {
        let (vocab, hidden) = (loader.config().vocab_size, loader.config().hidden_size);
        let embedding = loader.matrix(Weight::TokenEmbedding, vocab, hidden)?;
        let layers = (0..loader.config().num_layers)
            .map(|index| LayerWeights::load(loader, index))
            .collect::<Result<_, _>>()?;
        let output_norm = loader.norm(Weight::OutputNorm)?;
        let output = match loader.has_tied_embeddings() {
            true => embedding.clone(),
            false => loader.matrix(Weight::Output, vocab, hidden)?,
        };
        Ok(Self { embedding, layers, output_norm, output })
    }
}

impl<N, M: Clone> LayerWeights<N, M> {
    fn load(
        loader: &mut impl WeightLoader<Norm = N, Matrix = M>,
        index: usize,
    ) -> Result<Self, ModelError> {
        let config = loader.config();
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let queries = config.num_heads * config.head_dim;
        let keys = config.num_kv_heads * config.head_dim;
        Ok(Self {
            attention_norm: loader.norm(Weight::AttentionNorm(index))?,
            query: loader.rotated(Weight::Query(index), queries, hidden)?,
            key: loader.rotated(Weight::Key(index), keys, hidden)?,
            value: loader.matrix(Weight::Value(index), keys, hidden)?,
            attention_output: loader.matrix(Weight::AttentionOutput(index), hidden, queries)?,
            feed_forward_norm: loader.norm(Weight::FeedForwardNorm(index))?,
            gate: loader.matrix(Weight::Gate(index), inner, hidden)?,
            up: loader.matrix(Weight::Up(index), inner, hidden)?,
            down: loader.matrix(Weight::Down(index), hidden, inner)?,
        })
    }

    /// All matrices.
    pub(super) fn matrices(&self) -> [&M; 7] {
        let Self { query, key, value, attention_output, gate, up, down, .. } = self;
        [query, key, value, attention_output, gate, up, down]
    }
}
