//! What adapters add to one matrix: a product of two thin matrices, of all of them at
//! once, rows at a time.

use std::ops::Range;

use super::super::{ModelError, WeightType};
use super::fit::Update;
use super::tensors::AdapterTensors;
use crate::kernels::{
    Activations, Compute, LANES, Matrix, Product, StoredRows, ThreadPool, multiply,
};

/// `left · rightᵀ`, where both have as many columns as all updates have ranks.
#[derive(Debug)]
pub(in super::super) struct Delta {
    rank: usize,
    num_columns: usize,
    /// A row for each output, scaled.
    left: Vec<f32>,
    /// A row for each input.
    right: Matrix,
}

/// Rows of a [`Delta`], reused from band to band.
#[derive(Debug, Default)]
pub(in super::super) struct DeltaRows {
    left: Activations,
    values: Vec<f32>,
    stride: usize,
    num_columns: usize,
}

impl DeltaRows {
    /// Row `index` of those that were computed last.
    pub(in super::super) fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.stride..][..self.num_columns]
    }
}

impl Delta {
    /// The sum of updates of an `(out, input)` matrix, each with a factor beside its own
    /// scale; output `i` is the updates' row `row_of(i)`.
    pub(super) fn read(
        pool: &ThreadPool,
        updates: &[(&AdapterTensors, &Update, f64)],
        (out, input): (usize, usize),
        row_of: &dyn Fn(usize) -> usize,
    ) -> Result<Self, ModelError> {
        let rank = updates.iter().map(|(_, update, _)| update.rank).sum();
        let mut left = vec![0.0; out * rank];
        let mut right = vec![0.0f32; input * rank];
        let mut first = 0;
        for &(tensors, update, factor) in updates {
            let (down, up) = (tensors.floats(&update.down)?, tensors.floats(&update.up)?);
            let (down, up) = (Thin::columns(&down), Thin::rows(&up, update.rank));
            let (to_left, to_right) = if update.is_embedding { (down, up) } else { (up, down) };
            let scale = (update.scale * factor) as f32;
            for (index, row) in left.chunks_exact_mut(rank).enumerate() {
                let row = &mut row[first..first + update.rank];
                to_left.copy(row_of(index), out, row);
                row.iter_mut().for_each(|value| *value *= scale);
            }
            for (index, row) in right.chunks_exact_mut(rank).enumerate() {
                to_right.copy(index, input, &mut row[first..first + update.rank]);
            }
            first += update.rank;
        }
        let bytes: Vec<u8> = right.into_iter().flat_map(f32::to_le_bytes).collect();
        let dtype = WeightType::F32;
        let right = StoredRows { dtype, num_rows: input, num_columns: rank, bytes: bytes.into() };
        let right = Matrix::pack(pool, &right, |row| row)
            .map_err(|error| ModelError::Config(format!("an adapter: {error}")))?;
        Ok(Self { rank, num_columns: input, left, right })
    }

    /// Computes some rows of the sum.
    pub(in super::super) fn rows(
        &self,
        compute: Compute<'_>,
        range: Range<usize>,
        rows: &mut DeltaRows,
    ) {
        let left = &self.left[range.start * self.rank..range.end * self.rank];
        rows.left.set_floats(self.rank, left);
        rows.num_columns = self.num_columns;
        rows.stride = self.num_columns.next_multiple_of(LANES);
        rows.values.resize(range.len() * rows.stride, 0.0);
        let product = [Product { matrix: &self.right, column: 0 }];
        multiply(compute, &rows.left, &product, &mut rows.values, rows.stride, false);
    }
}

/// A thin matrix, of which vectors as long as the rank are wanted.
#[derive(Clone, Copy)]
enum Thin<'a> {
    Rows(&'a [f32], usize),
    Columns(&'a [f32]),
}

impl<'a> Thin<'a> {
    fn rows(values: &'a [f32], rank: usize) -> Self {
        Self::Rows(values, rank)
    }

    fn columns(values: &'a [f32]) -> Self {
        Self::Columns(values)
    }

    /// Vector `index` of `count`.
    fn copy(self, index: usize, count: usize, to: &mut [f32]) {
        match self {
            Self::Rows(values, rank) => to.copy_from_slice(&values[index * rank..][..rank]),
            Self::Columns(values) => {
                let column = values[index..].iter().step_by(count);
                to.iter_mut().zip(column).for_each(|(to, value)| *to = *value);
            }
        }
    }
}
