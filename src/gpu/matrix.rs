//! Matrices in a device's memory.

use std::sync::Arc;

use super::GpuError;
use super::device::{Buffer, Device};
use super::packing::{CHUNK, Format, Operand, Packed, StoredMatrix, TILE_ROWS, pack};

/// A matrix in tiles.
#[derive(Debug)]
pub(crate) struct Matrix {
    pub(super) format: Format,
    pub(super) num_rows: usize,
    pub(super) num_columns: usize,
    pub(super) tiles: Buffer,
    pub(super) scales: Buffer,
}

impl Matrix {
    /// A matrix with anything in it, for who measures products: `fill` gives memory of so
    /// many bytes, which hold operands, and numbers in blocks alike.
    ///
    /// # Errors
    /// As `fill`.
    ///
    /// # Panics
    /// If rows of so many columns are not whole blocks.
    pub(crate) fn filled(
        format: Format,
        num_rows: usize,
        num_columns: usize,
        fill: impl Fn(usize) -> Result<Buffer, GpuError>,
    ) -> Result<Self, GpuError> {
        assert!(num_columns.is_multiple_of(format.block_columns()), "rows are whole blocks");
        let (tiles, chunks) = (num_rows.div_ceil(TILE_ROWS), num_columns.div_ceil(CHUNK));
        let scales = fill(tiles * (chunks / 4) * format.scale_bytes())?;
        let tiles = fill(tiles * chunks * format.tile_bytes())?;
        Ok(Self { format, num_rows, num_columns, tiles, scales })
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    pub(crate) fn num_rows(&self) -> usize {
        self.num_rows
    }

    pub(crate) fn num_bytes(&self) -> usize {
        self.tiles.num_bytes() + self.scales.num_bytes()
    }

    pub(super) fn num_chunks(&self) -> usize {
        self.num_columns.div_ceil(CHUNK)
    }

    pub(super) fn num_tiles(&self) -> usize {
        self.num_rows.div_ceil(TILE_ROWS)
    }

    /// In how many segments its sums are taken: by its shape alone, so that enough warps
    /// have something to do for a single token.
    pub(super) fn num_segments(&self) -> usize {
        match self.num_tiles() {
            1024.. => 1,
            512.. => 2,
            256.. => 4,
            _ => 8,
        }
    }
}

/// Bytes of operands of `num_rows` rows of `num_columns`, as products take them.
pub(crate) fn input_bytes(num_rows: usize, num_columns: usize) -> usize {
    num_rows.next_multiple_of(8) * num_columns.next_multiple_of(CHUNK) * 2
}

/// Puts matrices together, one below the other, and then on the device.
#[derive(Debug)]
pub(crate) struct MatrixBuilder {
    operand: Operand,
    parts: Vec<(Format, usize, Packed)>,
    num_columns: usize,
}

impl MatrixBuilder {
    pub(crate) fn new(operand: Operand, num_columns: usize) -> Self {
        Self { operand, parts: Vec::new(), num_columns }
    }

    /// Adds rows: row `i` of them is `row_of(i)` of the stored ones.
    ///
    /// # Panics
    /// If they have other columns than the rows before.
    pub(crate) fn add(
        &mut self,
        stored: &StoredMatrix<'_>,
        row_of: impl Fn(usize) -> usize + Sync,
    ) {
        assert_eq!(stored.num_columns, self.num_columns, "rows of one matrix");
        let rows = stored.num_rows;
        let (format, packed) = pack(stored, self.operand, rows, |row| Some(row_of(row)));
        self.push(format, rows, packed);
    }

    /// Adds gates, and what they gate: eight rows of the ones, then of the others.
    ///
    /// # Panics
    /// As [`MatrixBuilder::add`], and if the two differ in shape or format.
    pub(crate) fn add_gated(&mut self, gates: &StoredMatrix<'_>, gated: &StoredMatrix<'_>) {
        assert_eq!(gates.num_columns, self.num_columns, "rows of one matrix");
        assert_eq!(
            (gates.num_rows, gates.num_columns),
            (gated.num_rows, gated.num_columns),
            "each gate has what it gates"
        );
        let rows = gates.num_rows.next_multiple_of(8) * 2;
        let place = |row: usize| (row % 16 / 8, row / 16 * 8 + row % 8);
        let of = |which| {
            move |row| {
                let (part, from) = place(row);
                (part == which && from < gates.num_rows).then_some(from)
            }
        };
        let (format, mut packed) = pack(gates, self.operand, rows, of(0));
        let (other, second) = pack(gated, self.operand, rows, of(1));
        assert_eq!(format, other, "gates and what they gate have one format");
        let join = |first: &mut Vec<u8>, second: Vec<u8>| {
            first.iter_mut().zip(second).for_each(|(first, second)| *first |= second);
        };
        join(&mut packed.tiles, second.tiles);
        join(&mut packed.scales, second.scales);
        self.push(format, gates.num_rows * 2, packed);
    }

    /// Rows of the same format go into one matrix, where they fill its tiles.
    fn push(&mut self, format: Format, num_rows: usize, packed: Packed) {
        match self.parts.last_mut() {
            Some((last, rows, parts)) if *last == format && rows.is_multiple_of(TILE_ROWS) => {
                *rows += num_rows;
                parts.tiles.extend(packed.tiles);
                parts.scales.extend(packed.scales);
            }
            _ => self.parts.push((format, num_rows, packed)),
        }
    }

    /// The matrices, each as far as one format reaches.
    ///
    /// # Errors
    /// The device's memory does not suffice.
    pub(crate) fn build(self, device: &Arc<dyn Device>) -> Result<Vec<Arc<Matrix>>, GpuError> {
        let num_columns = self.num_columns;
        let build = |(format, num_rows, packed): (Format, usize, Packed)| {
            let tiles = Buffer::with(device, &packed.tiles)?;
            let scales = Buffer::with(device, &packed.scales)?;
            Ok(Arc::new(Matrix { format, num_rows, num_columns, tiles, scales }))
        };
        self.parts.into_iter().map(build).collect()
    }
}
