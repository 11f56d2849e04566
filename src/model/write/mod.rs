//! Models written to disk, a tensor at a time: GGUF files and directories of
//! safetensors. Nothing stands under its own name before it is whole.

pub(super) mod beside;
mod gguf;
mod metadata;
mod place;
mod safetensors;
mod types;

use super::weights::Weight;
use super::{ModelError, WeightType};

pub use types::MergeType;

pub(super) use gguf::GgufWriter;
pub(super) use metadata::{Made, from_config, from_gguf};
pub(super) use place::Place;
pub(super) use safetensors::SafetensorsWriter;

/// A tensor that will be written.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    /// Which weight; `None` for the rotary divisors.
    pub(super) weight: Option<Weight>,
    pub(super) name: String,
    /// As `(out, in)`, or a norm's length.
    pub(super) shape: Vec<usize>,
    pub(super) dtype: WeightType,
}

impl Planned {
    pub(super) fn num_bytes(&self) -> u64 {
        let count: usize = self.shape.iter().product();
        (count / self.dtype.block_size() * self.dtype.type_size()) as u64
    }

    /// Rows and columns; a norm is one row.
    pub(super) fn matrix_shape(&self) -> (usize, usize) {
        match self.shape.as_slice() {
            [columns] => (1, *columns),
            [rows, columns] => (*rows, *columns),
            _ => unreachable!("weights have one or two dimensions"),
        }
    }
}

/// Where the bytes of planned tensors go, in the order of the plan.
pub(super) trait TensorWriter {
    /// The next bytes of the tensor at hand.
    fn write(&mut self, bytes: &[u8]) -> Result<(), ModelError>;

    /// The tensor at hand is whole.
    fn end_tensor(&mut self) -> Result<(), ModelError>;

    /// All tensors are written.
    fn finish(self: Box<Self>) -> Result<(), ModelError>;
}
