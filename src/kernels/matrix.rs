//! A matrix packed for multiplication, and products of rows with several matrices at
//! once.

use std::borrow::Cow;

use candle_core::quantized::GgmlDType;

use super::activations::{Activations, Block};
use super::memory::filled;
use super::shared_mut::SharedMut;
use super::simd::{Isa, Kernel, LANES, Simd};
use super::threads::{Compute, ThreadPool};
use super::tiles::{Bf16, F16, F32, Format, PREFETCH_ROWS, Q4_0, Q4_1, Q4K, Q5_0, Q5K, Q6K, Q8_0};

/// Why a matrix cannot be packed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MatrixError {
    /// No kernel multiplies this type.
    #[error("there is no kernel for {0:?} weights")]
    Type(GgmlDType),
    /// The bytes are not that many rows and columns.
    #[error("{num_bytes} bytes are no {num_rows} rows of {num_columns} {dtype:?} weights")]
    Size {
        /// The type.
        dtype: GgmlDType,
        /// Rows asked for.
        num_rows: usize,
        /// Columns asked for.
        num_columns: usize,
        /// Bytes given.
        num_bytes: usize,
    },
}

/// A matrix as it is stored: `num_rows` rows of `num_columns` weights.
#[derive(Debug, Clone)]
pub(crate) struct StoredRows<'a> {
    pub(crate) dtype: GgmlDType,
    pub(crate) num_rows: usize,
    pub(crate) num_columns: usize,
    pub(crate) bytes: Cow<'a, [u8]>,
}

/// A packed matrix: row `i` of it gives output `i`.
#[derive(Debug)]
pub(crate) struct Matrix {
    num_rows: usize,
    num_columns: usize,
    tiles: Tiles,
}

/// Tiles of sixteen rows. Two row tiles take turns, so that a pair of them, which is
/// what a kernel reads, lies in one run of memory.
#[derive(Debug)]
enum Tiles {
    F32(Vec<<F32 as Format>::Tile>),
    F16(Vec<<F16 as Format>::Tile>),
    Bf16(Vec<<Bf16 as Format>::Tile>),
    Q4_0(Vec<<Q4_0 as Format>::Tile>),
    Q4_1(Vec<<Q4_1 as Format>::Tile>),
    Q5_0(Vec<<Q5_0 as Format>::Tile>),
    Q8_0(Vec<<Q8_0 as Format>::Tile>),
    Q4K(Vec<<Q4K as Format>::Tile>),
    Q5K(Vec<<Q5K as Format>::Tile>),
    Q6K(Vec<<Q6K as Format>::Tile>),
}

/// Does the same for whichever type the tiles have.
macro_rules! with_tiles {
    ($tiles:expr, $format:ident, $name:ident => $do:expr) => {
        match $tiles {
            Tiles::F32($name) => {
                type $format = F32;
                $do
            }
            Tiles::F16($name) => {
                type $format = F16;
                $do
            }
            Tiles::Bf16($name) => {
                type $format = Bf16;
                $do
            }
            Tiles::Q4_0($name) => {
                type $format = Q4_0;
                $do
            }
            Tiles::Q4_1($name) => {
                type $format = Q4_1;
                $do
            }
            Tiles::Q5_0($name) => {
                type $format = Q5_0;
                $do
            }
            Tiles::Q8_0($name) => {
                type $format = Q8_0;
                $do
            }
            Tiles::Q4K($name) => {
                type $format = Q4K;
                $do
            }
            Tiles::Q5K($name) => {
                type $format = Q5K;
                $do
            }
            Tiles::Q6K($name) => {
                type $format = Q6K;
                $do
            }
        }
    };
}

impl Matrix {
    /// Whether weights of this type are multiplied as they are stored.
    pub(crate) fn supports(dtype: GgmlDType) -> bool {
        use GgmlDType as T;
        matches!(
            dtype,
            T::F32
                | T::F16
                | T::BF16
                | T::Q4_0
                | T::Q4_1
                | T::Q5_0
                | T::Q8_0
                | T::Q4K
                | T::Q5K
                | T::Q6K
        )
    }

    /// Packs a matrix; output `i` is stored row `row_of(i)`.
    ///
    /// # Errors
    /// [`MatrixError`] if the type has no kernel or the bytes are of another size.
    pub(crate) fn pack(
        pool: &ThreadPool,
        stored: &StoredRows<'_>,
        row_of: impl Fn(usize) -> usize + Sync,
    ) -> Result<Self, MatrixError> {
        let StoredRows { dtype, num_rows, num_columns, ref bytes } = *stored;
        let row_bytes = num_columns / dtype.block_size() * dtype.type_size();
        if !num_columns.is_multiple_of(dtype.block_size()) || bytes.len() != num_rows * row_bytes {
            let num_bytes = bytes.len();
            return Err(MatrixError::Size { dtype, num_rows, num_columns, num_bytes });
        }
        let row = |index: usize| {
            let start = row_of(index) * row_bytes;
            &bytes[start..start + row_bytes]
        };
        macro_rules! pack {
            ($format:ident) => {
                Tiles::$format(pack_tiles::<$format>(pool, num_rows, num_columns, &row))
            };
        }
        let tiles = match dtype {
            GgmlDType::F32 => pack!(F32),
            GgmlDType::F16 => pack!(F16),
            GgmlDType::BF16 => pack!(Bf16),
            GgmlDType::Q4_0 => pack!(Q4_0),
            GgmlDType::Q4_1 => pack!(Q4_1),
            GgmlDType::Q5_0 => pack!(Q5_0),
            GgmlDType::Q8_0 => pack!(Q8_0),
            GgmlDType::Q4K => pack!(Q4K),
            GgmlDType::Q5K => pack!(Q5K),
            GgmlDType::Q6K => pack!(Q6K),
            other => return Err(MatrixError::Type(other)),
        };
        Ok(Self { num_rows, num_columns, tiles })
    }

    /// Bytes of memory.
    pub(crate) fn num_bytes(&self) -> usize {
        with_tiles!(&self.tiles, F, tiles => tiles.len() * size_of::<<F as Format>::Tile>())
    }

    /// Whether it multiplies quantised activations, not floats.
    pub(crate) fn wants_blocks(&self) -> bool {
        !matches!(self.tiles, Tiles::F32(_) | Tiles::F16(_) | Tiles::Bf16(_))
    }

    /// Row `index` as floats.
    pub(crate) fn unpack_row(&self, index: usize, out: &mut [f32]) {
        assert!(index < self.num_rows && out.len() == self.num_columns, "a row of this matrix");
        with_tiles!(&self.tiles, F, tiles => {
            let depth = self.num_columns.div_ceil(F::COLUMNS);
            let tiles = tiles[first_tile(index / LANES, depth)..].iter().step_by(PAIR);
            for (tile, out) in tiles.zip(out.chunks_mut(F::COLUMNS)) {
                F::unpack(tile, index % LANES, out);
            }
        });
    }

    /// Row tiles.
    fn num_tiles(&self) -> usize {
        self.num_rows.div_ceil(LANES)
    }
}

/// Row tiles that take turns.
const PAIR: usize = 2;

/// Where a row tile begins; its next step lies [`PAIR`] tiles on.
fn first_tile(row_tile: usize, depth: usize) -> usize {
    row_tile / PAIR * PAIR * depth + row_tile % PAIR
}

fn pack_tiles<'a, F: Format>(
    pool: &ThreadPool,
    num_rows: usize,
    num_columns: usize,
    row: &(impl Fn(usize) -> &'a [u8] + Sync),
) -> Vec<F::Tile> {
    let depth = num_columns.div_ceil(F::COLUMNS);
    let num_pairs = num_rows.div_ceil(PAIR * LANES);
    let mut tiles = filled(F::zero(), num_pairs * PAIR * depth);
    let shared = SharedMut::new(&mut tiles);
    pool.run(num_pairs, |pair| {
        // SAFETY: each unit has its own tiles.
        let tiles = unsafe { shared.part(pair * PAIR * depth, PAIR * depth) };
        let first = pair * PAIR * LANES;
        for index in first..num_rows.min(first + PAIR * LANES) {
            let (row_tile, lane) = (index / LANES % PAIR, index % LANES);
            let stored = row(index).chunks(F::STORED_BYTES);
            for (tile, stored) in tiles[row_tile..].iter_mut().step_by(PAIR).zip(stored) {
                F::pack(tile, lane, stored);
            }
        }
    });
    tiles
}

/// A matrix and the column at which its outputs begin.
pub(crate) struct Product<'a> {
    pub(crate) matrix: &'a Matrix,
    pub(crate) column: usize,
}

/// Multiplies all rows of `inputs` with each matrix: output `i` of a matrix goes to
/// column `column + i` of the row in `out`, whose rows are `stride` apart, and is added
/// to what is there if `add`. Columns up to the next multiple of 16 are written too.
///
/// # Panics
/// If shapes do not fit: columns of matrices and inputs differ, outputs overlap or lie
/// outside `out`.
pub(crate) fn multiply(
    Compute { pool, isa }: Compute<'_>,
    inputs: &Activations,
    products: &[Product<'_>],
    out: &mut [f32],
    stride: usize,
    add: bool,
) {
    let num_rows = inputs.num_rows();
    let mut taken = 0;
    for Product { matrix, column } in products {
        assert_eq!(matrix.num_columns, inputs.num_columns(), "columns of a product");
        assert!(*column >= taken, "products lie one after the other");
        taken = column + matrix.num_rows.next_multiple_of(LANES);
    }
    assert!(taken <= stride && num_rows * stride <= out.len(), "products lie in the output");

    let num_tiles: usize = products.iter().map(|p| p.matrix.num_tiles()).sum();
    let chunk = chunk_tiles(num_rows, num_tiles, pool.num_threads());
    let units = |p: &Product<'_>| p.matrix.num_tiles().div_ceil(chunk);
    let out = SharedMut::new(out);
    pool.run(products.iter().map(units).sum(), |mut unit| {
        let owner = products.iter().find(|product| {
            let mine = unit < units(product);
            unit -= if mine { 0 } else { units(product) };
            mine
        });
        let product = owner.expect("every unit belongs to a product");
        let first = unit * chunk;
        let last = (first + chunk).min(product.matrix.num_tiles());
        let target = Target { out, stride, column: product.column, num_rows, add };
        with_tiles!(&product.matrix.tiles, F, tiles => {
            let depth = product.matrix.num_columns.div_ceil(F::COLUMNS);
            multiply_tiles::<F>(isa, tiles, depth, first..last, F::rows(inputs), target);
        });
    });
}

/// Tiles of one unit of work: few enough that all threads end together, many enough
/// that memory is read in long runs.
fn chunk_tiles(num_rows: usize, num_tiles: usize, num_threads: usize) -> usize {
    if num_rows > 16 {
        return 4;
    }
    (num_tiles / (num_threads * 8)).clamp(2, 16) & !1
}

/// The inputs that a format multiplies.
trait Inputs: Format {
    fn rows(inputs: &Activations) -> (&[Self::Input], usize);
}

macro_rules! inputs {
    ($($name:ident)+: $input:ty, $slice:ident, $stride:ident) => {
        $(impl Inputs for $name {
            fn rows(inputs: &Activations) -> (&[$input], usize) {
                (inputs.$slice(), inputs.$stride())
            }
        })+
    };
}

inputs!(F32 F16 Bf16: f32, floats, float_stride);
inputs!(Q4_0 Q4_1 Q5_0 Q8_0 Q4K Q5K Q6K: Block, blocks, block_stride);

#[derive(Clone, Copy)]
struct Target<'a> {
    out: SharedMut<'a, f32>,
    stride: usize,
    column: usize,
    num_rows: usize,
    add: bool,
}

fn multiply_tiles<F: Format>(
    isa: Isa,
    tiles: &[F::Tile],
    depth: usize,
    range: std::ops::Range<usize>,
    (rows, row_stride): (&[F::Input], usize),
    target: Target<'_>,
) {
    let (max_rows, max_tiles) = isa.max_block();
    assert!(range.end.next_multiple_of(PAIR) * depth <= tiles.len());
    assert!(target.num_rows * row_stride <= rows.len() && depth * F::INPUTS <= row_stride);
    let mut tile = range.start;
    while tile < range.end {
        // A block's tiles are of one pair.
        let num_tiles = max_tiles.min(range.end - tile).min(PAIR - tile % PAIR);
        let mut row = 0;
        while row < target.num_rows {
            let num_rows = block_rows(row, target.num_rows, max_rows);
            let column = target.column + tile * LANES;
            let start = row * target.stride + column;
            let len = (num_rows - 1) * target.stride + num_tiles * LANES;
            let block = RowBlock::<F> {
                tiles: &tiles[first_tile(tile, depth)..],
                depth,
                rows: &rows[row * row_stride..(row + num_rows) * row_stride],
                row_stride,
                // Only this unit writes these columns of the part.
                out: target.out.pointer(start, len),
                out_stride: target.stride,
                add: target.add,
            };
            block.run(isa, num_rows, num_tiles);
            row += num_rows;
        }
        tile += num_tiles;
    }
}

/// How many rows go together from `row` on: as many as fit, but no single one left over
/// where two even blocks do as well. Where memory is what takes the time, the first are
/// so few that they prefetch for all.
fn block_rows(row: usize, num_rows: usize, max_rows: usize) -> usize {
    const FEW_ROWS: usize = 32;
    let num_left = num_rows - row;
    if row == 0 && num_rows <= FEW_ROWS && num_rows > PREFETCH_ROWS {
        return PREFETCH_ROWS.min(max_rows);
    }
    let num_rows = match num_left {
        7 | 8 => 4,
        n => n.min(6),
    };
    match num_rows.min(max_rows) {
        5 => 4,
        n => n,
    }
}

/// Up to six rows times up to two tiles.
struct RowBlock<'a, F: Format> {
    tiles: &'a [F::Tile],
    depth: usize,
    rows: &'a [F::Input],
    row_stride: usize,
    out: *mut f32,
    out_stride: usize,
    add: bool,
}

impl<F: Format> RowBlock<'_, F> {
    fn run(self, isa: Isa, num_rows: usize, num_tiles: usize) {
        match (num_rows, num_tiles) {
            (1, 1) => isa.run(Sized::<F, 1, 1>(self)),
            (1, 2) => isa.run(Sized::<F, 1, 2>(self)),
            (2, 1) => isa.run(Sized::<F, 2, 1>(self)),
            (2, 2) => isa.run(Sized::<F, 2, 2>(self)),
            (3, 1) => isa.run(Sized::<F, 3, 1>(self)),
            (3, 2) => isa.run(Sized::<F, 3, 2>(self)),
            (4, 1) => isa.run(Sized::<F, 4, 1>(self)),
            (4, 2) => isa.run(Sized::<F, 4, 2>(self)),
            (6, 1) => isa.run(Sized::<F, 6, 1>(self)),
            (6, 2) => isa.run(Sized::<F, 6, 2>(self)),
            other => unreachable!("no kernel for a block of {other:?}"),
        }
    }
}

/// A block whose size the compiler knows, so that its sums stay in registers.
struct Sized<'a, F: Format, const R: usize, const T: usize>(RowBlock<'a, F>);

impl<F: Format, const R: usize, const T: usize> Kernel for Sized<'_, F, R, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let RowBlock { tiles, depth, rows, row_stride, out, out_stride, add } = self.0;
        unsafe {
            let mut sums = [[S::splat(0.0); T]; R];
            for step in 0..depth {
                let tiles = tiles.as_ptr().add(step * PAIR);
                let rows = rows.as_ptr().add(step * F::INPUTS);
                F::add_products::<S, R, T>(tiles, rows, row_stride, &mut sums);
            }
            for (r, sums) in sums.iter().enumerate() {
                for (t, &sum) in sums.iter().enumerate() {
                    let to = out.add(r * out_stride + t * LANES);
                    S::store(to, if add { S::add(S::load(to), sum) } else { sum });
                }
            }
        }
    }
}
