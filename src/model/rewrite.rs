//! A matrix written anew: its rows in another order, with an adapter's sum added, in
//! another type. A band of rows at a time, so that never more of it than that stands in
//! memory as floats.

use std::sync::{Mutex, PoisonError};

use candle_core::quantized::QTensor;
use candle_core::{Device, Tensor};

use super::adapter::{Delta, DeltaRows};
use super::weights::quantized;
use super::{ModelError, WeightType};
use crate::kernels::{Compute, Isa, StoredRows, ThreadPool};

/// Weights of one band, and of what one thread takes of it at a time.
const BAND: usize = 1 << 22;
const UNIT: usize = 1 << 17;

/// A matrix to be written anew.
pub(super) struct Rewrite<'a> {
    pub(super) pool: &'a ThreadPool,
    pub(super) stored: &'a StoredRows<'a>,
    /// The stored row that comes at a row's place.
    pub(super) row_of: &'a (dyn Fn(usize) -> usize + Sync),
    /// The type to write; its blocks divide a row.
    pub(super) to: WeightType,
}

/// Sums of squares: of the weights as they were, and of what was added.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Squares {
    pub(super) weights: f64,
    pub(super) added: f64,
}

/// What one unit made.
type Made = Option<Result<(Vec<u8>, Squares), ModelError>>;

impl Rewrite<'_> {
    /// Hands over the new rows' bytes, in order.
    pub(super) fn run(
        &self,
        delta: Option<&Delta>,
        write: &mut dyn FnMut(&[u8]) -> Result<(), ModelError>,
    ) -> Result<Squares, ModelError> {
        let StoredRows { num_rows, num_columns, .. } = *self.stored;
        let rows_of = |weights: usize| (weights / num_columns).max(1);
        let compute = Compute { pool: self.pool, isa: Isa::best() };
        let mut added = DeltaRows::default();
        let mut squares = Squares::default();
        for first in (0..num_rows).step_by(rows_of(BAND)) {
            let last = (first + rows_of(BAND)).min(num_rows);
            if let Some(delta) = delta {
                delta.rows(compute, first..last, &mut added);
            }
            let step = rows_of(UNIT);
            let num_units = (last - first).div_ceil(step);
            let made: Vec<Mutex<Made>> = (0..num_units).map(|_| Mutex::default()).collect();
            self.pool.run(num_units, |unit| {
                let start = first + unit * step;
                let rows = start..(start + step).min(last);
                let added = delta.map(|_| (&added, start - first));
                let result = self.unit(rows, added);
                *made[unit].lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
            });
            for unit in made {
                let unit = unit.into_inner().unwrap_or_else(PoisonError::into_inner);
                let (bytes, of_unit) = unit.expect("every unit is run")?;
                squares.weights += of_unit.weights;
                squares.added += of_unit.added;
                write(&bytes)?;
            }
        }
        Ok(squares)
    }

    fn unit(
        &self,
        rows: std::ops::Range<usize>,
        added: Option<(&DeltaRows, usize)>,
    ) -> Result<(Vec<u8>, Squares), ModelError> {
        let StoredRows { dtype, num_columns, ref bytes, .. } = *self.stored;
        let row_bytes = num_columns / dtype.block_size() * dtype.type_size();
        let num_rows = rows.len();
        let mut stored = Vec::with_capacity(num_rows * row_bytes);
        for row in rows {
            stored.extend_from_slice(&bytes[(self.row_of)(row) * row_bytes..][..row_bytes]);
        }
        if added.is_none() && self.to == dtype {
            return Ok((stored, Squares::default()));
        }
        let stored = StoredRows { dtype, num_rows, num_columns, bytes: stored.into() };
        let floats = quantized(&stored)?.dequantize(&Device::Cpu)?.flatten_all()?;
        let mut floats: Vec<f32> = floats.to_vec1()?;
        let mut squares = Squares::default();
        if let Some((added, first)) = added {
            for (index, row) in floats.chunks_exact_mut(num_columns).enumerate() {
                for (weight, &more) in row.iter_mut().zip(added.row(first + index)) {
                    squares.weights += f64::from(*weight).powi(2);
                    squares.added += f64::from(more).powi(2);
                    *weight += more;
                }
            }
        }
        let floats = Tensor::from_vec(floats, (num_rows, num_columns), &Device::Cpu)?;
        let converted = QTensor::quantize(&floats, self.to)?;
        Ok((converted.data()?.into_owned(), squares))
    }
}
