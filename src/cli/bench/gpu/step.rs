//! Whole steps of a decoder, put together from its kernels.

use serde_json::{Map, Value, json};

use super::Sizes;
use super::figure::{Figure, Kernel, Limits};

/// What a step takes, by its kernels alone.
#[derive(Debug)]
pub(super) struct Step {
    name: &'static str,
    tokens: usize,
    positions: usize,
    /// Each kernel with what all its launches of the step take.
    parts: Vec<(Kernel, f64)>,
    /// What the limits allow.
    least_s: f64,
}

impl Step {
    /// All steps whose kernels were measured.
    pub(super) fn all(
        figures: &[Figure],
        limits: &Limits,
        num_layers: usize,
        sizes: &Sizes,
    ) -> Vec<Self> {
        let step = |name, attend, tokens, positions, outputs| {
            let all = |kernel, times: usize, tokens| (kernel, times * num_layers, tokens, None);
            let kernels = [
                all(Kernel::RmsNorm, 2, tokens),
                all(Kernel::Heads, 1, tokens),
                all(Kernel::StoreHeads, 1, tokens),
                (attend, num_layers, tokens, Some(positions)),
                all(Kernel::AttentionOutput, 1, tokens),
                all(Kernel::Gate, 1, tokens),
                all(Kernel::Down, 1, tokens),
                (Kernel::Output, 1, outputs, None),
            ];
            let mut step = Self { name, tokens, positions, parts: Vec::new(), least_s: 0.0 };
            for (kernel, times, tokens, positions) in kernels {
                let figure = figures.iter().find(|figure| {
                    (figure.kernel, figure.tokens, figure.positions) == (kernel, tokens, positions)
                })?;
                step.parts.push((kernel, times as f64 * figure.seconds()));
                step.least_s += times as f64 * limits.least_s(&figure.work);
            }
            Some(step)
        };
        let decodes = sizes.depths.iter().flat_map(|&depth| {
            let step = |&rows| step("decode", Kernel::AttendPieces, rows, depth, rows);
            sizes.streams.iter().filter_map(step).collect::<Vec<_>>()
        });
        let prefill = |&tokens| step("prefill", Kernel::AttendTiles, tokens, tokens, 1);
        decodes.chain(sizes.prompts.iter().filter_map(prefill)).collect()
    }

    pub(super) fn title(&self) -> String {
        match self.name {
            "decode" => format!("decode, {} at {}", self.tokens, self.positions),
            name => format!("{name} of {}", self.tokens),
        }
    }

    pub(super) fn seconds(&self) -> f64 {
        self.parts.iter().map(|(_, seconds)| seconds).sum()
    }

    pub(super) fn tokens_per_s(&self) -> f64 {
        self.tokens as f64 / self.seconds()
    }

    pub(super) fn most_tokens_per_s(&self) -> f64 {
        self.tokens as f64 / self.least_s
    }

    /// The share of attention, and of what is neither that nor a product with weights.
    pub(super) fn shares(&self) -> [f64; 2] {
        let of = |kernels: [Kernel; 2]| {
            let parts = self.parts.iter().filter(|(kernel, _)| kernels.contains(kernel));
            parts.map(|(_, seconds)| seconds).sum::<f64>() / self.seconds()
        };
        [of([Kernel::AttendPieces, Kernel::AttendTiles]), of([Kernel::RmsNorm, Kernel::StoreHeads])]
    }

    pub(super) fn report(&self) -> Value {
        let parts = self.parts.iter().map(|(kernel, s)| (kernel.name().to_owned(), json!(s)));
        json!({
            "step": self.name,
            "tokens": self.tokens,
            "positions": self.positions,
            "seconds": self.seconds(),
            "least_s": self.least_s,
            "tokens_per_s": self.tokens_per_s(),
            "most_tokens_per_s": self.most_tokens_per_s(),
            "kernels_s": Value::Object(parts.collect::<Map<_, _>>()),
        })
    }
}
