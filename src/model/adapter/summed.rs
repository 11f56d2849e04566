//! A base's weights with adapters added: one at a time in any order and type, or as a
//! source that a decoder is built from.

use std::num::NonZeroUsize;
use std::path::Path;

use super::super::rewrite::{Rewrite, Squares};
use super::super::weights::{Weight, WeightSource, row_of_neighbours};
use super::super::{ModelConfig, ModelError, WeightType};
use super::adaptation::Adaptation;
use super::delta::Delta;
use crate::kernels::{StoredRows, ThreadPool};

/// A base and what is added to it.
pub(in super::super) struct Summed<'a> {
    pub(in super::super) base: &'a mut dyn WeightSource,
    pub(in super::super) adaptation: &'a Adaptation,
    /// The base's, with the order of its rotated rows.
    pub(in super::super) config: &'a ModelConfig,
    pub(in super::super) pool: &'a ThreadPool,
}

/// A matrix as it is stored, and what is to be done to it.
pub(in super::super) struct SummedMatrix {
    weight: Weight,
    /// Whose updates they are, for whoever has to look.
    adapters: String,
    stored: StoredRows<'static>,
    delta: Option<Delta>,
    /// The width of the heads whose rows become neighbours.
    permuted: Option<usize>,
}

impl Summed<'_> {
    /// Reads a matrix of shape `(out, input)`, or a norm as one row; `neighbours` is
    /// whether rotated pairs shall be neighbours, which those of a base that has them so
    /// have to be.
    pub(in super::super) fn matrix(
        &mut self,
        weight: Weight,
        (out, input): (usize, usize),
        neighbours: bool,
    ) -> Result<SummedMatrix, ModelError> {
        let head_dim = self.config.head_dim;
        let neighbours = weight.is_rotated() && neighbours;
        let is_tied = weight == Weight::Output && self.base.has_tied_embeddings();
        let source = if is_tied { Weight::TokenEmbedding } else { weight };
        // What an adapter brings whole has Hugging Face's order.
        let (stored, permuted) = match self.adaptation.whole(weight)? {
            Some(whole) => (whole, neighbours),
            None => {
                let stored = self.base.matrix(source, out, input)?;
                (stored, neighbours && !self.config.rope.interleaved)
            }
        };
        let row_of = |row| if neighbours { row_of_neighbours(row, head_dim) } else { row };
        let delta = self.adaptation.delta(self.pool, weight, (out, input), &row_of)?;
        let adapters = self.adaptation.paths();
        Ok(SummedMatrix { weight, adapters, stored, delta, permuted: permuted.then_some(head_dim) })
    }
}

impl SummedMatrix {
    /// Hands over the sum's rows in a type whose blocks divide them; fails where an update
    /// is no number.
    pub(in super::super) fn rewrite(
        &self,
        pool: &ThreadPool,
        to: WeightType,
        write: &mut dyn FnMut(&[u8]) -> Result<(), ModelError>,
    ) -> Result<Squares, ModelError> {
        let row_of = |row| match self.permuted {
            Some(head_dim) => row_of_neighbours(row, head_dim),
            None => row,
        };
        let rewrite = Rewrite { pool, stored: &self.stored, row_of: &row_of, to };
        let squares = rewrite.run(self.delta.as_ref(), write)?;
        if squares.added.is_finite() {
            return Ok(squares);
        }
        let reason = format!("it adds to {} what is no number", self.weight.safetensors_name());
        Err(ModelError::adapter(Path::new(&self.adapters), reason))
    }
}

/// A base's weights with adapters added, as a decoder is built from them.
pub(in super::super) struct Adapted<'a> {
    base: &'a mut dyn WeightSource,
    adaptation: &'a Adaptation,
    config: &'a ModelConfig,
    /// The type that the decoder will convert matrices to.
    asked: Option<WeightType>,
    pool: ThreadPool,
}

impl<'a> Adapted<'a> {
    pub(in super::super) fn new(
        base: &'a mut dyn WeightSource,
        adaptation: &'a Adaptation,
        config: &'a ModelConfig,
        asked: Option<WeightType>,
        num_threads: NonZeroUsize,
    ) -> Self {
        Self { base, adaptation, config, asked, pool: ThreadPool::new(num_threads) }
    }
}

impl WeightSource for Adapted<'_> {
    fn has_tied_embeddings(&self) -> bool {
        self.base.has_tied_embeddings() && !self.adaptation.unties()
    }

    fn matrix(
        &mut self,
        weight: Weight,
        out: usize,
        input: usize,
    ) -> Result<StoredRows<'static>, ModelError> {
        let neighbours = self.config.rope.interleaved;
        let Self { base, adaptation, config, pool, .. } = self;
        let mut summed = Summed { base: &mut **base, adaptation, config, pool };
        let matrix = summed.matrix(weight, (out, input), neighbours)?;
        if matrix.delta.is_none() && matrix.permuted.is_none() {
            return Ok(matrix.stored);
        }
        // Where the decoder converts, it converts from the exact sum; where it does not,
        // the sum is rounded to the type that is stored.
        let to = match (self.asked, &matrix.delta) {
            (Some(_), Some(_)) => WeightType::F32,
            _ => matrix.stored.dtype,
        };
        let mut bytes = Vec::with_capacity(out * input / to.block_size() * to.type_size());
        matrix.rewrite(&self.pool, to, &mut |band| {
            bytes.extend_from_slice(band);
            Ok(())
        })?;
        Ok(StoredRows { dtype: to, num_rows: out, num_columns: input, bytes: bytes.into() })
    }
}
