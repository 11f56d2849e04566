//! What a kernel does, how long it takes, and what that is beside the device's limits.

use std::fmt;

use serde_json::{Value, json};

use super::super::samples::Samples;

/// What any kernel has to do for its result: memory that is read or written once, and
/// products that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) bytes: usize,
    /// Of tensor cores.
    pub(super) multiply_adds: usize,
    pub(super) launches: usize,
}

/// What a device can do, measured.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    pub(super) bytes_per_s: f64,
    /// By the instruction that our kernels use.
    pub(super) multiply_adds_per_s: f64,
    /// A launch that does nothing, in a recording.
    pub(super) launch_s: f64,
}

/// What keeps a kernel from being faster, were it perfect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    Memory,
    Products,
    Launch,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Memory => "memory",
            Self::Products => "products",
            Self::Launch => "launch",
        })
    }
}

impl Limits {
    fn memory_s(&self, work: &Work) -> f64 {
        work.bytes as f64 / self.bytes_per_s
    }

    fn products_s(&self, work: &Work) -> f64 {
        work.multiply_adds as f64 / self.multiply_adds_per_s
    }

    /// Seconds that memory and products allow: launches may be saved.
    pub(super) fn least_s(&self, work: &Work) -> f64 {
        self.memory_s(work).max(self.products_s(work))
    }

    pub(super) fn bound(&self, work: &Work) -> Bound {
        let launch_s = work.launches as f64 * self.launch_s;
        match (self.memory_s(work), self.products_s(work)) {
            (memory, products) if launch_s > memory.max(products) => Bound::Launch,
            (memory, products) if memory < products => Bound::Products,
            _ => Bound::Memory,
        }
    }

    pub(super) fn report(&self) -> Value {
        json!({
            "bytes_per_s": self.bytes_per_s,
            "multiply_adds_per_s": self.multiply_adds_per_s,
            "launch_s": self.launch_s,
        })
    }
}

/// A kernel of a decoder's step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kernel {
    Heads,
    AttentionOutput,
    Gate,
    Down,
    Output,
    AttendPieces,
    AttendTiles,
    RmsNorm,
    StoreHeads,
}

impl Kernel {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Heads => "heads",
            Self::AttentionOutput => "attention_output",
            Self::Gate => "gate_up",
            Self::Down => "down",
            Self::Output => "output",
            Self::AttendPieces => "attend_pieces",
            Self::AttendTiles => "attend_tiles",
            Self::RmsNorm => "rms_norm",
            Self::StoreHeads => "store_heads",
        }
    }
}

/// One kernel at one size.
#[derive(Debug)]
pub(super) struct Figure {
    pub(super) kernel: Kernel,
    /// Rows of the step.
    pub(super) tokens: usize,
    /// That the last of them sees, where it attends.
    pub(super) positions: Option<usize>,
    pub(super) work: Work,
    /// Seconds.
    pub(super) samples: Samples,
}

impl Figure {
    pub(super) fn seconds(&self) -> f64 {
        self.samples.median()
    }

    pub(super) fn bytes_per_s(&self) -> f64 {
        self.work.bytes as f64 / self.seconds()
    }

    pub(super) fn multiply_adds_per_s(&self) -> f64 {
        self.work.multiply_adds as f64 / self.seconds()
    }

    pub(super) fn report(&self, limits: &Limits) -> Value {
        let Work { bytes, multiply_adds, launches } = self.work;
        json!({
            "kernel": self.kernel.name(),
            "tokens": self.tokens,
            "positions": self.positions,
            "bytes": bytes,
            "multiply_adds": multiply_adds,
            "launches": launches,
            "seconds": self.seconds(),
            "bytes_per_s": self.bytes_per_s(),
            "share_of_memory": self.bytes_per_s() / limits.bytes_per_s,
            "multiply_adds_per_s": self.multiply_adds_per_s(),
            "share_of_products": self.multiply_adds_per_s() / limits.multiply_adds_per_s,
            "bound": limits.bound(&self.work).to_string(),
            "samples": self.samples,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_limit_binds() {
        let limits = Limits { bytes_per_s: 1e9, multiply_adds_per_s: 1e12, launch_s: 1e-6 };
        let work = |bytes, multiply_adds| Work { bytes, multiply_adds, launches: 2 };
        let of = |work: Work| (limits.least_s(&work), limits.bound(&work));
        assert_eq!(of(work(10_000, 5_000_000)), (1e-5, Bound::Memory));
        assert_eq!(of(work(10_000, 20_000_000)), (2e-5, Bound::Products));
        assert_eq!(of(work(1_000, 1_500_000)), (1.5e-6, Bound::Launch));
    }
}
