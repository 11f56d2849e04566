//! Attention of a step's rows over the cache.

use super::GpuError;
use super::device::{Buffer, Shape};
use super::matrix::input_bytes;
use super::packing::CHUNK;
use super::parameters::Attend;
use super::shape::{Gpu, KvShape, View, word};

/// Positions whose softmax is computed together.
pub(crate) const PART: usize = 128;

/// Consecutive new rows of one sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tile {
    /// Its first row of the step.
    pub(crate) row: u32,
    /// How many, at most [`HeadShape::tile_positions`](super::HeadShape::tile_positions);
    /// 0 is no tile.
    pub(crate) num_positions: u32,
    /// The first row's position.
    pub(crate) position: u32,
    /// Where its sequence's blocks begin among the tables.
    pub(crate) table: u32,
    /// The first of its pieces, if it is cut into such.
    pub(crate) piece: u32,
}

impl Tile {
    /// As kernels read it.
    pub(crate) fn words(self) -> [u32; Self::NUM_WORDS] {
        [self.row, self.num_positions, self.position, self.table, self.piece]
    }

    pub(crate) const NUM_WORDS: usize = 5;

    /// Parts that its rows see: as many as it has pieces, if it is cut.
    pub(crate) fn num_parts(self, window: usize) -> usize {
        let (first, count) = (self.position as usize, self.num_positions as usize);
        (first + count - 1) / PART - (first + 1).saturating_sub(window) / PART + 1
    }
}

/// Tiles that are cut into pieces, one a part.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pieces<'a> {
    /// Words: the tile of each piece, or [`NOWHERE`](super::NOWHERE).
    pub(crate) tiles: View<'a>,
    pub(crate) count: usize,
    /// The most positions of a tile.
    pub(crate) positions: usize,
    /// Where pieces leave what they have, of [`Gpu::partial_bytes`].
    pub(crate) partial: &'a Buffer,
}

/// Queries, and what they attend to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attention<'a> {
    /// As [`Gpu::store_heads`] gives them.
    pub(crate) queries: View<'a>,
    pub(crate) cache: &'a Buffer,
    pub(crate) kv: KvShape,
    pub(crate) layer: usize,
    /// Numbers of blocks, in runs of one sequence each.
    pub(crate) tables: View<'a>,
    /// Gets operands of `num_heads · head_dim` columns a row.
    pub(crate) outputs: View<'a>,
    /// Rows of the step.
    pub(crate) num_rows: usize,
    /// How many positions, its own included, a row sees.
    pub(crate) window: usize,
}

/// Warps of a block.
const WARPS: usize = 4;

impl Gpu {
    /// Attends rows of tiles, all parts of each by one warp.
    ///
    /// # Errors
    /// The device fails.
    ///
    /// # Panics
    /// If anything does not lie in its buffer. Tiles of rows or blocks that are not there
    /// are the caller's bug, and not seen here.
    pub(crate) fn attend_tiles(
        &self,
        attention: &Attention<'_>,
        tiles: View<'_>,
        num_tiles: usize,
    ) -> Result<(), GpuError> {
        let parameter = self.attend(attention, tiles, num_tiles);
        let items = num_tiles * self.heads().num_kv_heads;
        let shape = Shape {
            grid: [word(items.div_ceil(WARPS)), 1, 1],
            threads: word(WARPS * 32),
            shared_bytes: 0,
        };
        // SAFETY: all lies in its buffer, given that the tiles are right.
        unsafe { self.launch(self.kernel("attend_tiles"), shape, &parameter) }
    }

    /// Attends rows of tiles that are cut: each piece by another warp, which leaves what it
    /// has to be joined.
    ///
    /// # Errors
    /// As [`Gpu::attend_tiles`].
    ///
    /// # Panics
    /// As [`Gpu::attend_tiles`].
    pub(crate) fn attend_pieces(
        &self,
        attention: &Attention<'_>,
        tiles: View<'_>,
        num_tiles: usize,
        pieces: &Pieces<'_>,
    ) -> Result<(), GpuError> {
        let heads = self.heads();
        let rows = pieces.positions * heads.group();
        let num_rows = pieces.count * heads.num_kv_heads * rows;
        let states = num_rows * 2 * 4;
        let parameter = Attend {
            pieces: self.address(pieces.tiles, pieces.count * 4),
            num_pieces: word(pieces.count),
            piece_rows: word(rows),
            states: self.address(pieces.partial, states),
            sums: self.address(View::at(pieces.partial, states), num_rows * heads.head_dim * 4),
            ..self.attend(attention, tiles, num_tiles)
        };
        let items = pieces.count * heads.num_kv_heads;
        let threads = word(WARPS * 32);
        let shape = Shape { grid: [word(items.div_ceil(WARPS)), 1, 1], threads, shared_bytes: 0 };
        // SAFETY: all lies in its buffer, given that the tiles are right.
        unsafe { self.launch(self.kernel("attend_pieces"), shape, &parameter) }?;
        let grid = [word(num_tiles * pieces.positions), word(heads.num_heads), 1];
        let shape = Shape { grid, threads, shared_bytes: 0 };
        // SAFETY: as above.
        unsafe { self.launch(self.kernel("join_pieces"), shape, &parameter) }
    }

    /// Bytes for what so many pieces leave, of tiles of at most so many positions.
    pub(crate) fn partial_bytes(&self, num_pieces: usize, positions: usize) -> usize {
        let heads = self.heads();
        num_pieces * positions * heads.num_heads * (heads.head_dim + 2) * 4
    }

    fn attend(&self, attention: &Attention<'_>, tiles: View<'_>, num_tiles: usize) -> Attend {
        let (heads, rows) = (self.heads(), attention.num_rows);
        assert_eq!(heads, attention.kv.heads, "a cache of such heads");
        let width = heads.num_heads * heads.head_dim;
        Attend {
            queries: self
                .address(attention.queries, rows * heads.num_heads * heads.padded_head() * 2),
            cache: self.address(attention.cache, attention.cache.num_bytes()),
            tables: self.address(attention.tables, 0),
            tiles: self.address(tiles, num_tiles * Tile::NUM_WORDS * 4),
            outputs: self.address(attention.outputs, input_bytes(rows, width)),
            pieces: 0,
            sums: 0,
            states: 0,
            block_bytes: attention.kv.block_bytes() as u64,
            layer_at: attention.kv.layer_at(attention.layer) as u64,
            num_tiles: word(num_tiles),
            num_pieces: 0,
            piece_rows: 0,
            num_kv_heads: word(heads.num_kv_heads),
            block_size: word(attention.kv.block_size),
            window: u32::try_from(attention.window).unwrap_or(u32::MAX),
            num_chunks: word(width.div_ceil(CHUNK)),
            padding: 0,
        }
    }
}
