//! Rotary position embedding on tensors: sines once per step.
//!
//! There is no table over positions: a step's rows have any positions, and their
//! sines cost far less than one layer.

use candle_core::{Device, Result, Tensor};
use candle_nn::rotary_emb;

use super::super::ModelConfig;
use super::super::rope::frequencies;

/// Rotary embedding of one model.
#[derive(Debug)]
pub(super) struct Rope {
    /// Radians per position of each pair, `head_dim / 2` of them.
    frequencies: Vec<f32>,
    interleaved: bool,
}

/// Cosines and sines for the rows of one step: each `(rows, 1, head_dim / 2)`, f32.
pub(super) struct Rotation {
    cos: Tensor,
    sin: Tensor,
    interleaved: bool,
}

impl Rope {
    pub(super) fn new(config: &ModelConfig) -> Self {
        Self {
            frequencies: frequencies(&config.rope, config.head_dim),
            interleaved: config.rope.interleaved,
        }
    }

    /// The rotation of rows that stand at `positions`.
    pub(super) fn at(&self, positions: &[usize], device: &Device) -> Result<Rotation> {
        let angles =
            || positions.iter().flat_map(|&p| self.frequencies.iter().map(move |f| p as f32 * f));
        let shape = (positions.len(), 1, self.frequencies.len());
        Ok(Rotation {
            cos: Tensor::from_vec(angles().map(f32::cos).collect(), shape, device)?,
            sin: Tensor::from_vec(angles().map(f32::sin).collect(), shape, device)?,
            interleaved: self.interleaved,
        })
    }
}

impl Rotation {
    /// Rotates `(rows, heads, head_dim)` heads, each row by its own position.
    pub(super) fn apply(&self, heads: &Tensor) -> Result<Tensor> {
        // Every row is a batch entry of one position, so that one call serves rows
        // of unrelated positions.
        let rows = heads.unsqueeze(2)?;
        let rotated = if self.interleaved {
            rotary_emb::rope_i(&rows, &self.cos, &self.sin)?
        } else {
            rotary_emb::rope(&rows, &self.cos, &self.sin)?
        };
        rotated.squeeze(2)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::RopeConfig;
    use super::*;

    #[test]
    fn both_layouts_rotate_the_same_pairs() {
        let config = ModelConfig::tiny();
        let dim = config.head_dim;
        let device = Device::Cpu;
        let halves: Vec<f32> = (0..dim).map(|i| (i as f32 * 0.7).sin()).collect();
        // Pair i of the interleaved layout is (2i, 2i + 1), of the other (i, i + dim / 2).
        let neighbours: Vec<f32> = (0..dim).map(|i| halves[i / 2 + (i % 2) * dim / 2]).collect();
        let rotate = |values: &[f32], interleaved| {
            let config = ModelConfig {
                rope: RopeConfig { interleaved, ..config.rope.clone() },
                ..config.clone()
            };
            let rotation = Rope::new(&config).at(&[0, 9], &device).unwrap();
            let rows = Tensor::from_vec(values.repeat(2), (2, 1, dim), &device).unwrap();
            rotation.apply(&rows).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        let (halves_out, neighbours_out) = (rotate(&halves, false), rotate(&neighbours, true));
        assert_eq!(halves_out[..dim], halves[..], "position 0 turns nothing");
        assert_ne!(halves_out[dim..], halves[..]);
        for i in 0..dim {
            assert_eq!(neighbours_out[dim + i], halves_out[dim + i / 2 + (i % 2) * dim / 2]);
        }
    }
}
