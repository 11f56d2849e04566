//! Products of matrices with a step's rows, and lookups of single rows of matrices.

use super::GpuError;
use super::device::Shape;
use super::matrix::{Matrix, input_bytes};
use super::packing::CHUNK;
use super::parameters::{Embed, Linear};
use super::shape::{Gpu, View, word};

/// What becomes of a product.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Finish {
    /// It is stored as floats, `stride` of them a row, from `column` on.
    Store { stride: usize, column: usize },
    /// It is added to what is there.
    Add { stride: usize },
    /// `silu(gate) · gated` is stored as operands (Shazeer 2020, arXiv:2002.05202).
    Gate,
}

/// A matrix and the rows that it is multiplied with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Product<'a> {
    pub(crate) matrix: &'a Matrix,
    /// Operands of the rows.
    pub(crate) inputs: View<'a>,
    pub(crate) outputs: View<'a>,
    pub(crate) num_tokens: usize,
    pub(crate) finish: Finish,
}

/// Warps of a block.
const WARPS: usize = 8;
/// Tiles of rows and of tokens of a block that has many.
const WIDE_ROW_TILES: usize = 8;
const WIDE_TOKEN_TILES: usize = 16;
const WIDE_STAGES: usize = 3;
/// Bytes of a chunk of eight tokens.
const INPUT_TILE: usize = 8 * CHUNK * 2;

impl Gpu {
    /// Multiplies.
    ///
    /// # Errors
    /// The device fails.
    ///
    /// # Panics
    /// If the rows do not lie in their buffers.
    pub(crate) fn multiply(&self, product: &Product<'_>) -> Result<(), GpuError> {
        let Product { matrix, num_tokens, .. } = *product;
        let (num_rows, format) = (matrix.num_rows, matrix.format);
        let (finish, stride, column, output_bytes) = match product.finish {
            Finish::Store { stride, column } => (0, stride, column, num_tokens * stride * 4),
            Finish::Add { stride } => (1, stride, 0, num_tokens * stride * 4),
            Finish::Gate => {
                let chunks = (num_rows / 2).div_ceil(CHUNK);
                (2, chunks, 0, input_bytes(num_tokens, num_rows / 2))
            }
        };
        assert!(finish == 2 || column + num_rows <= stride, "a row's products lie in its row");
        let parameter = Linear {
            tiles: self.address(&matrix.tiles, matrix.tiles.num_bytes()),
            scales: self.address(&matrix.scales, matrix.scales.num_bytes()),
            inputs: self.address(product.inputs, input_bytes(num_tokens, matrix.num_columns)),
            outputs: self.address(product.outputs, output_bytes),
            num_rows: word(num_rows),
            num_chunks: word(matrix.num_chunks()),
            num_segments: word(matrix.num_segments()),
            num_tokens: word(num_tokens),
            stride: word(stride),
            column: word(column),
            finish,
            padding: 0,
        };
        let (name, shape) = geometry(matrix, num_tokens);
        // SAFETY: operands, products and matrix lie in their buffers.
        unsafe { self.launch(self.kernel_of(name, format), shape, &parameter) }
    }

    /// A row of the matrix for each token.
    ///
    /// # Errors
    /// The device fails.
    ///
    /// # Panics
    /// If tokens or rows do not lie in their buffers. Tokens beyond the matrix are the
    /// caller's bug, and not seen here.
    pub(crate) fn embed(
        &self,
        matrix: &Matrix,
        tokens: View<'_>,
        num_tokens: usize,
        rows: View<'_>,
    ) -> Result<(), GpuError> {
        let parameter = Embed {
            tiles: self.address(&matrix.tiles, matrix.tiles.num_bytes()),
            scales: self.address(&matrix.scales, matrix.scales.num_bytes()),
            tokens: self.address(tokens, num_tokens * 4),
            rows: self.address(rows, num_tokens * matrix.num_columns * 4),
            num_columns: word(matrix.num_columns),
            num_chunks: word(matrix.num_chunks()),
        };
        let shape = Shape { grid: [word(num_tokens), 1, 1], threads: 256, shared_bytes: 0 };
        // SAFETY: everything lies in its buffer, given that tokens are rows of the matrix.
        unsafe { self.launch(self.kernel_of("embed", matrix.format), shape, &parameter) }
    }
}

/// Blocks of a wide product below which most of a GPU would have nothing to do.
const FEW_BLOCKS: usize = 96;

/// Which kernel serves so many tokens, and how many threads of it.
fn geometry(matrix: &Matrix, num_tokens: usize) -> (&'static str, Shape) {
    let tile_bytes = matrix.format.tile_bytes();
    let token_tiles = num_tokens.div_ceil(8);
    let wide_blocks =
        matrix.num_tiles().div_ceil(WIDE_ROW_TILES) * token_tiles.div_ceil(WIDE_TOKEN_TILES);
    let (name, width) = match token_tiles {
        0 | 1 => ("narrow_1", 1),
        2 => ("narrow_2", 2),
        3 | 4 => ("narrow_4", 4),
        5..=8 => ("narrow_8", 8),
        _ if wide_blocks < FEW_BLOCKS => ("narrow_8", 8),
        _ => {
            let stage = WIDE_ROW_TILES * tile_bytes + WIDE_TOKEN_TILES * INPUT_TILE;
            let grid = [
                word(matrix.num_tiles().div_ceil(WIDE_ROW_TILES)),
                word(token_tiles.div_ceil(WIDE_TOKEN_TILES)),
                1,
            ];
            let shared_bytes = word(WIDE_STAGES * stage);
            return ("wide", Shape { grid, threads: word(WARPS * 32), shared_bytes });
        }
    };
    let groups = WARPS / matrix.num_segments();
    let grid = [word(matrix.num_tiles().div_ceil(groups)), word(token_tiles.div_ceil(width)), 1];
    // The rings of all warps, and then their sums.
    let rings = WARPS * matrix.format.stages() * tile_bytes;
    let shared_bytes = word(rings.max(WARPS * width * 4 * 32 * 4));
    (name, Shape { grid, threads: word(WARPS * 32), shared_bytes })
}
