//! Frequencies of the rotary position embedding, once per model.

use super::config::{RopeConfig, RopeScaling};

/// Radians per position of each pair, `head_dim / 2` of them; f32, as the reference
/// implementations have them, so that long positions agree with them.
pub(super) fn frequencies(rope: &RopeConfig, head_dim: usize) -> Vec<f32> {
    let base = (0..head_dim)
        .step_by(2)
        .map(|i| 1.0 / (rope.theta as f32).powf(i as f32 / head_dim as f32));
    match &rope.scaling {
        RopeScaling::None => base.collect(),
        RopeScaling::Linear(factor) => base.map(|f| f / *factor as f32).collect(),
        RopeScaling::Divisors(divisors) => base.zip(divisors).map(|(f, d)| f / d).collect(),
        RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } => {
            let stretch = |frequency: f32| {
                let frequency = f64::from(frequency);
                let turns = *original_context as f64 * frequency / std::f64::consts::TAU;
                let keep = (turns - low_freq_factor) / (high_freq_factor - low_freq_factor);
                let keep = keep.clamp(0.0, 1.0);
                ((1.0 - keep) * frequency / factor + keep * frequency) as f32
            };
            base.map(stretch).collect()
        }
    }
}

/// What the unscaled frequencies are divided by, where that differs from one to the
/// other: as GGUF files keep it.
pub(super) fn divisors(rope: &RopeConfig, head_dim: usize) -> Option<Vec<f32>> {
    match &rope.scaling {
        RopeScaling::None | RopeScaling::Linear(_) => None,
        RopeScaling::Divisors(divisors) => Some(divisors.clone()),
        RopeScaling::Llama3 { .. } => {
            let plain = RopeConfig { scaling: RopeScaling::None, ..rope.clone() };
            let (plain, scaled) = (frequencies(&plain, head_dim), frequencies(rope, head_dim));
            Some(plain.iter().zip(&scaled).map(|(plain, scaled)| plain / scaled).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rope(scaling: RopeScaling) -> RopeConfig {
        RopeConfig { theta: 500_000.0, scaling, interleaved: false }
    }

    /// Against transformers' `ROPE_INIT_FUNCTIONS["llama3"]` for Llama 3.2 1B's
    /// parameters (head size 64).
    #[test]
    fn llama3_scaling_matches_the_reference() {
        let scaling = RopeScaling::Llama3 {
            factor: 32.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_context: 8192,
        };
        let ours = frequencies(&rope(scaling), 64);
        for (index, reference) in LLAMA3_REFERENCE {
            let relative = (ours[index] - reference).abs() / reference;
            assert!(relative < 1e-5, "frequency {index}: {} against {reference}", ours[index]);
        }
    }

    const LLAMA3_REFERENCE: [(usize, f32); 7] = [
        (0, 1.0),
        (5, 0.128_687_38),
        (14, 3.211_446e-3),
        (15, 1.290_548e-3),
        (17, 9.708_286e-5),
        (18, 1.946_163_9e-5),
        (31, 9.418_306_5e-8),
    ];
}
