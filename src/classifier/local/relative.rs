//! DeBERTa's distances: attention sees beside what tokens are how far apart they stand.

use candle_core::{Device, Result, Tensor};
use candle_nn::{Linear, Module as _, VarBuilder};

use super::config_json::Shape;
use super::encoder::{layer_norm, linear};

/// What all layers share.
pub(super) struct Distances {
    /// For each distance what it is to the layers, `2 * span` rows.
    embeddings: Tensor,
    span: i64,
    buckets: Option<i64>,
    max_distance: i64,
}

/// For each pair of the tokens of a batch the row of their distance.
pub(super) struct Pairs {
    /// By query, then key.
    by_query: Tensor,
    /// By key, then query.
    by_key: Tensor,
}

/// What the distances are to one layer's heads: `1 × heads × 2 span × width`.
pub(super) struct LayerDistances {
    keys: Option<Tensor>,
    queries: Option<Tensor>,
}

impl Distances {
    /// `None` where a model has none.
    pub(super) fn load(vb: &VarBuilder, shape: &Shape) -> Result<Option<Self>> {
        if !shape.relative_attention {
            return Ok(None);
        }
        let (span, buckets) = (shape.relative_span(), shape.buckets());
        let rows = 2 * span as usize;
        let embeddings = vb.get((rows, shape.hidden_size), "rel_embeddings.weight")?;
        let embeddings = match shape.norms_distances() {
            true => layer_norm(vb.pp("LayerNorm"), shape)?.forward(&embeddings)?,
            false => embeddings,
        };
        Ok(Some(Self { embeddings, span, buckets, max_distance: shape.max_distance() }))
    }

    /// The rows of all pairs of `length` tokens, for so many sequences and heads.
    pub(super) fn pairs(&self, length: usize, sequences: usize, heads: usize) -> Result<Pairs> {
        let shape = (sequences, heads, length, length);
        let places = || 0..length as i64;
        let by_query = places().flat_map(|query| places().map(move |key| (query, key)));
        let rows: Vec<u32> = by_query.map(|(query, key)| self.row(query - key)).collect();
        let rows = Tensor::from_vec(rows, (1, 1, length, length), &Device::Cpu)?;
        Ok(Pairs {
            by_query: rows.expand(shape)?.contiguous()?,
            by_key: rows.transpose(2, 3)?.expand(shape)?.contiguous()?,
        })
    }

    fn row(&self, distance: i64) -> u32 {
        let group = match self.buckets {
            Some(buckets) => bucket(distance, buckets, self.max_distance),
            None => distance,
        };
        (group + self.span).clamp(0, 2 * self.span - 1) as u32
    }
}

/// The group of a distance: near ones have their own, farther ones share, the more the
/// farther. In the precision of the library that trained with it.
fn bucket(distance: i64, buckets: i64, max_distance: i64) -> i64 {
    let middle = buckets / 2;
    if distance.abs() <= middle {
        return distance;
    }
    let farthest = ((max_distance - 1) as f32 / middle as f32).ln();
    let share = (distance.abs() as f32 / middle as f32).ln() / farthest;
    // No farther than the rows go, whatever the settings are.
    let group = (share * (middle - 1) as f32).ceil().min(buckets as f32) as i64 + middle;
    group * distance.signum()
}

impl LayerDistances {
    /// What they are to the layer with these projections of queries and keys.
    pub(super) fn load(
        distances: &Distances,
        vb: &VarBuilder,
        (query, key): (&Linear, &Linear),
        shape: &Shape,
    ) -> Result<Self> {
        let (heads, width) = (shape.num_attention_heads, shape.head_size());
        let projected = |kind: &str, name: &str, shared: &Linear| -> Result<Option<Tensor>> {
            if !shape.attends(kind) {
                return Ok(None);
            }
            let rows = match shape.share_att_key {
                true => shared.forward(&distances.embeddings)?,
                false => {
                    let own = linear(vb.pp(name), shape.hidden_size, shape.hidden_size)?;
                    own.forward(&distances.embeddings)?
                }
            };
            let rows = rows.reshape((1, (), heads, width))?.transpose(1, 2)?;
            Ok(Some(rows.contiguous()?))
        };
        Ok(Self {
            keys: projected("c2p", "pos_key_proj", key)?,
            queries: projected("p2c", "pos_query_proj", query)?,
        })
    }

    /// What is added to the scores of each query with each key.
    pub(super) fn add_to(
        &self,
        scores: Tensor,
        (queries, keys): (&Tensor, &Tensor),
        pairs: &Pairs,
    ) -> Result<Tensor> {
        let mut scores = scores;
        if let Some(distances) = &self.keys {
            let all = queries.broadcast_matmul(&distances.t()?)?;
            scores = (scores + all.gather(&pairs.by_query, 3)?)?;
        }
        if let Some(distances) = &self.queries {
            let all = keys.broadcast_matmul(&distances.t()?)?;
            scores = (scores + all.gather(&pairs.by_key, 3)?.transpose(2, 3)?)?;
        }
        Ok(scores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_distances_have_a_group_each_and_far_ones_share() {
        // By transformers' make_log_bucket_position, of 256 groups for 512 places.
        for (distance, group) in [
            (0, 0),
            (127, 127),
            (-128, -128),
            (129, 129),
            (130, 130),
            (140, 137),
            (-200, -169),
            (300, 207),
            (511, 255),
        ] {
            assert_eq!(bucket(distance, 256, 512), group, "{distance}");
        }
    }
}
