//! Grouped-query attention of a step's rows over the paged cache, softmax in f32.
//!
//! Key and value heads are never repeated: the query heads that share one are
//! stacked into the rows of a single product with it.

use candle_core::{Result, Tensor};
use candle_nn::ops::softmax_last_dim;

use super::kv_cache::LayerCache;
use super::plan::{SequencePlan, Tile};

/// Attends `(rows, num_heads, head_dim)` queries to the cached keys and values of
/// each row's own sequence; returns `(rows, num_heads * head_dim)`.
pub(super) fn attend(
    queries: &Tensor,
    cache: &LayerCache,
    sequences: &[SequencePlan],
) -> Result<Tensor> {
    let mut outputs = Vec::with_capacity(sequences.len());
    for sequence in sequences {
        let (keys, values) = cache.read(&sequence.blocks)?;
        for tile in &sequence.tiles {
            let queries = queries.narrow(0, tile.row, tile.num_rows)?;
            let keys = keys.narrow(0, tile.key, tile.num_keys)?;
            let values = values.narrow(0, tile.key, tile.num_keys)?;
            outputs.push(attend_tile(&queries, &keys, &values, tile)?);
        }
    }
    match outputs.as_slice() {
        [only] => Ok(only.clone()),
        many => Tensor::cat(many, 0),
    }
}

fn attend_tile(queries: &Tensor, keys: &Tensor, values: &Tensor, tile: &Tile) -> Result<Tensor> {
    let (rows, num_heads, head_dim) = queries.dims3()?;
    let (num_keys, num_kv_heads, _) = keys.dims3()?;
    let group = num_heads / num_kv_heads;

    let scale = 1.0 / (head_dim as f64).sqrt();
    let queries = (queries * scale)?
        .reshape((rows, num_kv_heads, group, head_dim))?
        .permute((1, 2, 0, 3))?
        .reshape((num_kv_heads, group * rows, head_dim))?;
    let scores = queries.matmul(&keys.permute((1, 2, 0))?)?;
    let scores = match &tile.mask {
        Some(mask) => scores
            .reshape((num_heads, rows, num_keys))?
            .broadcast_add(mask)?
            .reshape((num_kv_heads, group * rows, num_keys))?,
        None => scores,
    };
    softmax_last_dim(&scores)?
        .matmul(&values.transpose(0, 1)?)?
        .reshape((num_kv_heads, group, rows, head_dim))?
        .permute((2, 0, 1, 3))?
        .reshape((rows, num_heads * head_dim))
}
