//! Self-attention, with DeBERTa's distances where a model has them.

use candle_core::{D, Result, Tensor};
use candle_nn::{Linear, Module as _, VarBuilder, ops::softmax_last_dim};

use super::config_json::{Family, Shape};
use super::encoder::linear;
use super::relative::{Distances, LayerDistances, Pairs};

/// One layer's attention, up to where heads come together.
pub(super) struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    distances: Option<LayerDistances>,
    heads: usize,
    /// What scores are divided by.
    scale: f64,
}

impl Attention {
    pub(super) fn load(
        vb: &VarBuilder,
        family: Family,
        shape: &Shape,
        distances: Option<&Distances>,
    ) -> Result<Self> {
        let suffix = if family == Family::Deberta { "_proj" } else { "" };
        let projection = |name: &str| {
            linear(vb.pp(format!("{name}{suffix}")), shape.hidden_size, shape.hidden_size)
        };
        let (query, key) = (projection("query")?, projection("key")?);
        let summands = match family {
            Family::Deberta => {
                1 + ["c2p", "p2c"].into_iter().filter(|kind| shape.attends(kind)).count()
            }
            Family::Bert | Family::Roberta => 1,
        };
        let distances = distances.map(|it| LayerDistances::load(it, vb, (&query, &key), shape));
        Ok(Self {
            value: projection("value")?,
            query,
            key,
            distances: distances.transpose()?,
            heads: shape.num_attention_heads,
            scale: ((shape.head_size() * summands) as f64).sqrt(),
        })
    }

    /// What each token takes from the others: `mask` is added to the scores.
    pub(super) fn forward(
        &self,
        tokens: &Tensor,
        mask: &Tensor,
        pairs: Option<&Pairs>,
    ) -> Result<Tensor> {
        let (sequences, length, size) = tokens.dims3()?;
        let by_head = |projection: &Linear| {
            let all = projection.forward(tokens)?;
            all.reshape((sequences, length, self.heads, ()))?.transpose(1, 2)?.contiguous()
        };
        let (query, key, value) =
            (by_head(&self.query)?, by_head(&self.key)?, by_head(&self.value)?);
        let mut scores = query.matmul(&key.t()?)?;
        if let (Some(distances), Some(pairs)) = (&self.distances, pairs) {
            scores = distances.add_to(scores, (&query, &key), pairs)?;
        }
        let scores = (scores / self.scale)?.broadcast_add(mask)?;
        let taken = softmax_last_dim(&scores)?.matmul(&value)?;
        taken.transpose(1, 2)?.flatten_from(D::Minus2)?.reshape((sequences, length, size))
    }
}
