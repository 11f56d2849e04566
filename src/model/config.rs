//! The shape of a decoder, as far as its arithmetic needs it. Reading it from a
//! file is `gguf`'s and `safetensors`' part.

use super::ModelError;
use super::weights::Weight;

/// Dimensions and constants of one decoder of the Llama family.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// `llama` or `mistral`; the arithmetic is the same, the label is for people.
    pub architecture: String,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the gated feed-forward layer.
    pub intermediate_size: usize,
    /// Number of decoder layers.
    pub num_layers: usize,
    /// Number of query heads.
    pub num_heads: usize,
    /// Number of key and value heads; divides `num_heads` (grouped-query attention).
    pub num_kv_heads: usize,
    /// Width of one head, even.
    pub head_dim: usize,
    /// Rows of the token embedding, and so logits per position.
    pub vocab_size: usize,
    /// Epsilon of every RMS norm.
    pub norm_eps: f64,
    /// Rotary position embedding.
    pub rope: RopeConfig,
    /// Positions the model was made for; `forward` refuses positions beyond.
    pub context_length: usize,
    /// How many positions, its own included, a position attends to; `None` is all.
    pub sliding_window: Option<usize>,
}

/// Rotary position embedding (Su et al. 2021, arXiv:2104.09864).
#[derive(Debug, Clone, PartialEq)]
pub struct RopeConfig {
    /// Base of the frequencies.
    pub theta: f64,
    /// How the frequencies were stretched for longer contexts.
    pub scaling: RopeScaling,
    /// Whether a head's rotated pairs are neighbours (GGUF, whose converter permutes
    /// the query and key rows) or half a head apart (safetensors).
    pub interleaved: bool,
}

/// Stretching of the rotary frequencies.
#[derive(Debug, Clone, PartialEq)]
pub enum RopeScaling {
    /// As trained.
    None,
    /// Every frequency divided by one factor.
    Linear(f64),
    /// Llama 3.1: long wavelengths divided by `factor`, short ones kept, a linear
    /// blend between (`rope_type: llama3` of Hugging Face configurations).
    Llama3 {
        /// Divisor of the low frequencies.
        factor: f64,
        /// Wavelengths above `original_context / low_freq_factor` are divided.
        low_freq_factor: f64,
        /// Wavelengths below `original_context / high_freq_factor` are kept.
        high_freq_factor: f64,
        /// Context length before stretching, in positions.
        original_context: usize,
    },
    /// One divisor a frequency, `head_dim / 2` of them (GGUF's `rope_freqs.weight`).
    Divisors(Vec<f32>),
}

impl ModelConfig {
    /// A decoder of 107,000 weights with every feature of the large ones (grouped
    /// queries, more than one layer), for tests and benches that need no download.
    /// Its vocabulary fits `Tokenizer::bytes()`: 256 bytes and two control tokens.
    pub fn tiny() -> Self {
        Self {
            architecture: "llama".into(),
            hidden_size: 64,
            intermediate_size: 128,
            num_layers: 2,
            num_heads: 4,
            num_kv_heads: 2,
            head_dim: 16,
            vocab_size: 258,
            norm_eps: 1e-5,
            rope: RopeConfig { theta: 10_000.0, scaling: RopeScaling::None, interleaved: false },
            context_length: 4096,
            sliding_window: None,
        }
    }

    /// Mistral-7B-v0.1: the shape that LimaRP-Mistral-7B runs on, for benches with
    /// random weights.
    pub fn mistral_7b() -> Self {
        Self {
            architecture: "mistral".into(),
            hidden_size: 4096,
            intermediate_size: 14336,
            num_layers: 32,
            num_heads: 32,
            num_kv_heads: 8,
            head_dim: 128,
            vocab_size: 32000,
            norm_eps: 1e-5,
            rope: RopeConfig { theta: 10_000.0, scaling: RopeScaling::None, interleaved: false },
            context_length: 32768,
            sliding_window: Some(4096),
        }
    }

    /// Number of weights, a tied embedding counted once.
    pub fn num_parameters(&self, tied_embeddings: bool) -> u64 {
        let shapes = self.weight_shapes(tied_embeddings);
        shapes.map(|(_, shape)| shape.iter().map(|&n| n as u64).product::<u64>()).sum()
    }

    /// Every weight of the decoder with its shape, matrices as `(out, in)`.
    pub(super) fn weight_shapes(
        &self,
        tied_embeddings: bool,
    ) -> impl Iterator<Item = (Weight, Vec<usize>)> {
        let (hidden, inner, vocab) = (self.hidden_size, self.intermediate_size, self.vocab_size);
        let queries = self.num_heads * self.head_dim;
        let keys = self.num_kv_heads * self.head_dim;
        let output = (!tied_embeddings).then(|| (Weight::Output, vec![vocab, hidden]));
        let layers = (0..self.num_layers).flat_map(move |layer| {
            [
                (Weight::AttentionNorm(layer), vec![hidden]),
                (Weight::Query(layer), vec![queries, hidden]),
                (Weight::Key(layer), vec![keys, hidden]),
                (Weight::Value(layer), vec![keys, hidden]),
                (Weight::AttentionOutput(layer), vec![hidden, queries]),
                (Weight::FeedForwardNorm(layer), vec![hidden]),
                (Weight::Gate(layer), vec![inner, hidden]),
                (Weight::Up(layer), vec![inner, hidden]),
                (Weight::Down(layer), vec![hidden, inner]),
            ]
        });
        [(Weight::TokenEmbedding, vec![vocab, hidden]), (Weight::OutputNorm, vec![hidden])]
            .into_iter()
            .chain(output)
            .chain(layers)
    }

    /// Checks that the numbers describe a decoder that can be computed.
    ///
    /// # Errors
    /// `ModelError::Config` with the first contradiction found.
    pub fn validate(&self) -> Result<(), ModelError> {
        let wrong = |reason: String| Err(ModelError::Config(reason));
        for (name, value) in [
            ("hidden size", self.hidden_size),
            ("feed-forward size", self.intermediate_size),
            ("number of layers", self.num_layers),
            ("number of heads", self.num_heads),
            ("number of key-value heads", self.num_kv_heads),
            ("head size", self.head_dim),
            ("vocabulary size", self.vocab_size),
            ("context length", self.context_length),
        ] {
            // The bound keeps every product below far from overflow.
            if value == 0 || value > 1 << 24 {
                return wrong(format!("{name} is {value}"));
            }
        }
        if !self.num_heads.is_multiple_of(self.num_kv_heads) {
            return wrong(format!(
                "{} query heads cannot share {} key-value heads evenly",
                self.num_heads, self.num_kv_heads
            ));
        }
        if !self.head_dim.is_multiple_of(2) {
            return wrong(format!(
                "head size {} is odd; rotary embedding needs pairs",
                self.head_dim
            ));
        }
        if self.sliding_window == Some(0) {
            return wrong("a sliding window of 0 positions attends to nothing".into());
        }
        if !(self.rope.theta.is_finite() && self.rope.theta > 0.0) {
            return wrong(format!("rotary base is {}", self.rope.theta));
        }
        if !(self.norm_eps.is_finite() && self.norm_eps >= 0.0) {
            return wrong(format!("norm epsilon is {}", self.norm_eps));
        }
        match &self.rope.scaling {
            RopeScaling::Divisors(divisors) if divisors.len() != self.head_dim / 2 => {
                wrong(format!("{} rotary divisors for a head of {}", divisors.len(), self.head_dim))
            }
            _ => Ok(()),
        }
    }
}
