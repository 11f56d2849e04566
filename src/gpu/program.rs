//! Which kernels there are to compile, and for what.

use sha2::{Digest as _, Sha256};

use super::packing::{Format, Operand};
use super::shape::HeadShape;

/// All kernels, in the order in which they need each other.
const SOURCE: &str = concat!(
    include_str!("kernels/layout.cuh"),
    include_str!("kernels/weights.cuh"),
    include_str!("kernels/linear.cuh"),
    include_str!("kernels/rows.cuh"),
    include_str!("kernels/attention.cuh"),
    include_str!("kernels/limits.cuh"),
);

/// What they ask of NVIDIA's hardware.
const PRELUDE: &str = include_str!("kernels/prelude.cuh");

/// Sources of kernels with the names that are wanted of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    /// One translation unit of CUDA C++, which includes nothing.
    pub(super) source: String,
    /// Macros and their values, defined before its first line.
    pub(super) defines: Vec<(&'static str, String)>,
    /// Its kernels, `extern "C"`; each takes one struct by value.
    pub(super) kernels: Vec<String>,
}

/// Kernels that do not depend on the weights' format, in the order of their numbers.
pub(super) const COMMON: [&str; 8] = [
    "rms_norm",
    "rotations",
    "store_heads",
    "attend_tiles",
    "attend_pieces",
    "join_pieces",
    "read_memory",
    "multiply_registers",
];

/// Kernels of each format.
pub(super) const OF_FORMAT: [&str; 6] =
    ["narrow_1", "narrow_2", "narrow_4", "narrow_8", "wide", "embed"];

impl Program {
    /// The kernels for heads, operands and matrices of these kinds.
    pub(super) fn new(heads: HeadShape, operand: Operand, formats: &[Format]) -> Self {
        let mut defines = vec![
            ("BFLOATS", u32::from(operand == Operand::Bfloat).to_string()),
            ("HEAD_DIM", heads.head_dim.to_string()),
            ("GROUP", heads.group().to_string()),
        ];
        defines.extend(formats.iter().map(|format| (format.define(), "1".to_owned())));
        let of_formats = formats.iter().flat_map(|format| {
            OF_FORMAT.iter().map(move |kernel| format!("{kernel}_{}", format.name()))
        });
        let kernels = COMMON.iter().map(|&name| name.to_owned()).chain(of_formats).collect();
        Self { source: format!("{PRELUDE}{SOURCE}"), defines, kernels }
    }

    /// A short sum of all that it is compiled from.
    pub(super) fn digest(&self) -> String {
        let sum = Sha256::digest(format!("{:?} {}", self.defines, self.source));
        sum.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The same on other hardware.
    #[cfg(test)]
    pub(super) fn source_on(prelude: &str) -> String {
        format!("{prelude}{SOURCE}}}\n")
    }
}
