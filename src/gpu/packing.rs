//! Matrices from the order in which files have them to the order in which a warp wants them
//! (`kernels/layout.cuh`, `kernels/weights.cuh`): tiles of 16 rows and 64 columns.
//!
//! A lane 4g + t has rows g and g + 8, and of them columns 16t to 16t + 15, four each step.

use std::num::NonZeroUsize;
use std::thread::{available_parallelism, scope};

use half::{bf16, f16};

/// Rows of a tile.
pub(super) const TILE_ROWS: usize = 16;
/// Columns of a tile.
pub(super) const CHUNK: usize = 64;
/// Columns that share what their scales are multiples of.
const SUPER: usize = 256;

/// Which 16-bit floats the tensor cores multiply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operand {
    /// IEEE's half precision.
    Half,
    /// The upper half of a single.
    Bfloat,
}

impl Operand {
    fn bits(self, x: f32) -> u16 {
        match self {
            Self::Half => f16::from_f32(x.clamp(-65504.0, 65504.0)).to_bits(),
            Self::Bfloat => bf16::from_f32(x).to_bits(),
        }
    }
}

/// How a matrix is kept on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    /// As operands.
    Plain,
    /// GGML's Q8_0.
    Q8,
    /// GGML's Q4_K.
    Q4K,
    /// GGML's Q6_K.
    Q6K,
}

impl Format {
    pub(super) const ALL: [Self; 4] = [Self::Plain, Self::Q8, Self::Q4K, Self::Q6K];

    /// Its name in the kernels' sources.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "Plain",
            Self::Q8 => "Q8_0",
            Self::Q4K => "Q4_K",
            Self::Q6K => "Q6_K",
        }
    }

    pub(super) fn define(self) -> &'static str {
        match self {
            Self::Plain => "WITH_PLAIN",
            Self::Q8 => "WITH_Q8_0",
            Self::Q4K => "WITH_Q4_K",
            Self::Q6K => "WITH_Q6_K",
        }
    }

    /// Columns of a block: rows have whole ones.
    pub(crate) fn block_columns(self) -> usize {
        match self {
            Self::Plain => 1,
            Self::Q8 => 32,
            Self::Q4K | Self::Q6K => SUPER,
        }
    }

    /// Bytes of a tile.
    pub(super) fn tile_bytes(self) -> usize {
        match self {
            Self::Plain => 2048,
            Self::Q8 => 1024 + 64,
            Self::Q4K => 512 + 64,
            Self::Q6K => 512 + 256 + 64,
        }
    }

    /// Bytes of the scales of 16 rows and 256 columns.
    pub(super) fn scale_bytes(self) -> usize {
        match self {
            Self::Plain | Self::Q8 => 0,
            Self::Q4K => 64,
            Self::Q6K => 32,
        }
    }

    /// Tiles on their way to each warp of a narrow product: enough for the memory's latency,
    /// and few enough for two blocks on a multiprocessor of 100 KiB.
    pub(super) fn stages(self) -> usize {
        match self {
            Self::Plain => 3,
            Self::Q8 => 5,
            Self::Q4K => 8,
            Self::Q6K => 6,
        }
    }
}

/// A matrix as it is stored: floats, or GGML's blocks, row after row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoredMatrix<'a> {
    pub(crate) num_rows: usize,
    pub(crate) num_columns: usize,
    pub(crate) numbers: Numbers<'a>,
}

/// The numbers of a stored matrix.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Numbers<'a> {
    Floats(&'a [f32]),
    /// Bits of operands, little-endian.
    Operands(&'a [u8]),
    Blocks(Format, &'a [u8]),
}

/// A matrix in tiles.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Packed {
    pub(super) tiles: Vec<u8>,
    pub(super) scales: Vec<u8>,
}

/// Puts rows in tiles: row `i` of them is `row_of(i)` of the stored matrix, or none.
///
/// # Panics
/// If the bytes are not the matrix's.
pub(super) fn pack(
    stored: &StoredMatrix<'_>,
    operand: Operand,
    num_rows: usize,
    row_of: impl Fn(usize) -> Option<usize> + Sync,
) -> (Format, Packed) {
    let format = match stored.numbers {
        Numbers::Floats(_) | Numbers::Operands(_) => Format::Plain,
        Numbers::Blocks(format, _) => format,
    };
    let num_chunks = stored.num_columns.div_ceil(CHUNK);
    let num_tiles = num_rows.div_ceil(TILE_ROWS);
    let tile_len = num_chunks * format.tile_bytes();
    let scale_len = num_chunks / 4 * format.scale_bytes();
    let mut packed =
        Packed { tiles: vec![0; num_tiles * tile_len], scales: vec![0; num_tiles * scale_len] };
    let num_threads = available_parallelism().map_or(1, NonZeroUsize::get);
    let share = num_tiles.div_ceil(num_threads).max(1);
    let mut scales = packed.scales.as_mut_slice();
    scope(|scope| {
        for (index, tiles) in packed.tiles.chunks_mut(share * tile_len).enumerate() {
            let len = (tiles.len() / tile_len) * scale_len;
            let (own, rest) = std::mem::take(&mut scales).split_at_mut(len);
            scales = rest;
            let row_of = &row_of;
            scope.spawn(move || {
                for (number, tile) in tiles.chunks_exact_mut(tile_len).enumerate() {
                    let first = (index * share + number) * TILE_ROWS;
                    let scales = &mut own[number * scale_len..(number + 1) * scale_len];
                    for row in first..num_rows.min(first + TILE_ROWS) {
                        let Some(from) = row_of(row) else { continue };
                        pack_row(stored, operand, from, row - first, tile, scales);
                    }
                }
            });
        }
    });
    (format, packed)
}

/// Puts one row in its place of a row of tiles.
fn pack_row(
    stored: &StoredMatrix<'_>,
    operand: Operand,
    from: usize,
    row: usize,
    tiles: &mut [u8],
    scales: &mut [u8],
) {
    let columns = stored.num_columns;
    match stored.numbers {
        Numbers::Floats(floats) => {
            let floats = &floats[from * columns..(from + 1) * columns];
            for (k, &x) in floats.iter().enumerate() {
                put_operand(tiles, row, k, operand.bits(x).to_le_bytes());
            }
        }
        Numbers::Operands(bytes) => {
            let bytes = &bytes[from * columns * 2..(from + 1) * columns * 2];
            for (k, &bits) in bytes.as_chunks::<2>().0.iter().enumerate() {
                put_operand(tiles, row, k, bits);
            }
        }
        Numbers::Blocks(Format::Plain, _) => unreachable!("floats are no blocks"),
        Numbers::Blocks(Format::Q8, bytes) => {
            let blocks = bytes.as_chunks::<34>().0;
            let per_row = columns / 32;
            for (block, bytes) in blocks[from * per_row..(from + 1) * per_row].iter().enumerate() {
                let tile = tile_mut(tiles, Format::Q8, block / 2);
                let at = 1024 + (block % 2 * 16 + row) * 2;
                tile[at..at + 2].copy_from_slice(&bytes[..2]);
                for (i, &byte) in bytes[2..].iter().enumerate() {
                    let k = block % 2 * 32 + i;
                    let (lane, word) = (lane_of(row, k), k % 8 / 4 * 2 + row / 8);
                    tile[((k % 16 / 8 * 32 + lane) * 4 + word) * 4 + k % 4] = byte ^ 128;
                }
            }
        }
        Numbers::Blocks(Format::Q4K, bytes) => {
            let (blocks, per_row) = (bytes.as_chunks::<144>().0, columns / SUPER);
            for (block, bytes) in blocks[from * per_row..(from + 1) * per_row].iter().enumerate() {
                let at = block * Format::Q4K.scale_bytes() + row * 4;
                scales[at..at + 4].copy_from_slice(&bytes[..4]);
                for part in 0..8 {
                    let tile = tile_mut(tiles, Format::Q4K, block * 4 + part / 2);
                    let (scale, offset) = q4_k_scale(&bytes[4..16], part);
                    let at = 512 + (part % 2 * 16 + row) * 2;
                    tile[at..at + 2].copy_from_slice(&[scale, offset]);
                    for i in 0..32 {
                        let byte = bytes[16 + part / 2 * 32 + i];
                        put_nibble(tile, row, part % 2 * 32 + i, byte >> (part % 2 * 4) & 15);
                    }
                }
            }
        }
        Numbers::Blocks(Format::Q6K, bytes) => {
            let (blocks, per_row) = (bytes.as_chunks::<210>().0, columns / SUPER);
            for (block, bytes) in blocks[from * per_row..(from + 1) * per_row].iter().enumerate() {
                let at = block * Format::Q6K.scale_bytes() + row * 2;
                scales[at..at + 2].copy_from_slice(&bytes[208..]);
                for k in 0..SUPER {
                    let six = q6_k_number(bytes, k);
                    let (tile, k) =
                        (tile_mut(tiles, Format::Q6K, block * 4 + k / CHUNK), k % CHUNK);
                    put_nibble(tile, row, k, six & 15);
                    let step = k % 16 / 4;
                    let (at, shift) = high_place(row, k);
                    let word = &mut tile[512 + (lane_of(row, k) * 2 + step / 2) * 4 + at];
                    *word |= (six >> 4) << shift;
                }
                for sixteenth in 0..16 {
                    let tile = tile_mut(tiles, Format::Q6K, block * 4 + sixteenth / 4);
                    tile[768 + sixteenth % 4 * 16 + row] = bytes[192 + sixteenth];
                }
            }
        }
    }
}

fn tile_mut(tiles: &mut [u8], format: Format, chunk: usize) -> &mut [u8] {
    &mut tiles[chunk * format.tile_bytes()..(chunk + 1) * format.tile_bytes()]
}

/// Whose lane a row's column of a tile is.
fn lane_of(row: usize, k: usize) -> usize {
    row % 8 * 4 + k / 16
}

fn put_operand(tiles: &mut [u8], row: usize, k: usize, bits: [u8; 2]) {
    let (tile, k) = (tile_mut(tiles, Format::Plain, k / CHUNK), k % CHUNK);
    let word = k % 4 / 2 * 2 + row / 8;
    let at = (((k % 16 / 4 * 32 + lane_of(row, k)) * 4 + word) * 2 + k % 2) * 2;
    tile[at..at + 2].copy_from_slice(&bits);
}

/// Four bits into a word of eight, of which each pair has one in each half.
fn put_nibble(tile: &mut [u8], row: usize, k: usize, nibble: u8) {
    let pair = k % 4 / 2 * 2 + row / 8;
    let bit = 4 * pair + k % 2 * 16;
    tile[(lane_of(row, k) * 4 + k % 16 / 4) * 4 + bit / 8] |= nibble << (bit % 8);
}

/// Byte and bit of a word of sixteen pairs of bits, eight a step.
fn high_place(row: usize, k: usize) -> (usize, usize) {
    let (step, pair) = (k % 16 / 4, k % 4 / 2 * 2 + row / 8);
    let bit = step % 2 * 8 + 2 * pair + k % 2 * 16;
    (bit / 8, bit % 8)
}

/// Scale and offset of one of eight parts, six bits each in twelve bytes (GGML's
/// `get_scale_min_k4`).
fn q4_k_scale(bytes: &[u8], part: usize) -> (u8, u8) {
    if part < 4 {
        return (bytes[part] & 63, bytes[part + 4] & 63);
    }
    let low = bytes[part + 4];
    (low & 15 | bytes[part - 4] >> 6 << 4, low >> 4 | bytes[part] >> 6 << 4)
}

/// A number of a Q6_K block, 32 too high: four bits in the first 128 bytes, two in the
/// next 64 (GGML's `dequantize_row_q6_K`).
fn q6_k_number(bytes: &[u8; 210], k: usize) -> u8 {
    let (half, quarter, i) = (k / 128, k % 128 / 32, k % 32);
    let low = bytes[half * 64 + quarter % 2 * 32 + i] >> (quarter / 2 * 4) & 15;
    let high = bytes[128 + half * 32 + i] >> (quarter * 2) & 3;
    low | high << 4
}
