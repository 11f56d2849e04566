//! Whether a device computes what its kernels say: small products and an attention, beside
//! plain sums of the same numbers. A driver, a compiler or a GPU that does otherwise than
//! described is found here, before anybody reads what it writes.

use std::sync::Arc;

use half::f16;

use super::GpuError;
use super::attention::{Attention, PART, Pieces, Tile};
use super::device::{Buffer, Device};
use super::linear::{Finish, Product};
use super::matrix::{Matrix, MatrixBuilder, input_bytes};
use super::packing::{Format, Numbers, Operand, StoredMatrix};
use super::rows::{Norm, StoreHeads};
use super::shape::{Gpu, HeadShape, KvShape};

const HEADS: HeadShape = HeadShape { num_heads: 8, num_kv_heads: 2, head_dim: 64 };
const KV: KvShape = KvShape { heads: HEADS, num_layers: 1, block_size: 32 };

/// Columns of what is multiplied.
const COLUMNS: usize = 192;
/// Rows of a matrix that a wide product has enough blocks for, and tokens of it.
const ROWS: usize = 96 * 128;
const TOKENS: usize = 66;

/// Tries a device out.
///
/// # Errors
/// `Unavailable` if it computes something else, or whatever it fails with.
pub(super) fn run(device: &Arc<dyn Device>) -> Result<(), GpuError> {
    let gpu = Gpu::new(device, HEADS, Operand::Half, [Format::Plain, Format::Q8])?;
    for format in [Format::Plain, Format::Q8] {
        products(&gpu, format)?;
    }
    attention(&gpu)
}

fn wrong(device: &Gpu, what: &str, found: f32, expected: f32) -> GpuError {
    GpuError::Unavailable(format!(
        "{} computes otherwise than it should: {what} is {found}, and should be {expected}. Name \
         \"cpu\" in workers.on, and tell us which GPU and driver this is",
        device.device().name()
    ))
}

/// Not-a-number is near nothing.
fn is_near(found: f32, expected: f32, tolerance: f32) -> bool {
    (found - expected).abs() < tolerance
}

/// Numbers between −1 and 1, the same each time.
fn numbers(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    std::iter::repeat_with(next).take(count).collect()
}

fn bytes(floats: &[f32]) -> Vec<u8> {
    floats.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn words(words: impl IntoIterator<Item = u32>) -> Vec<u8> {
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

fn floats(buffer: &Buffer) -> Result<Vec<f32>, GpuError> {
    let mut bytes = vec![0; buffer.num_bytes()];
    buffer.download(0, &mut bytes)?;
    Ok(bytes.as_chunks().0.iter().map(|&x| f32::from_le_bytes(x)).collect())
}

/// A matrix, and what its numbers are.
fn matrix(device: &Arc<dyn Device>, format: Format) -> Result<(Arc<Matrix>, Vec<f32>), GpuError> {
    let exact: Vec<f32>;
    let blocks: Vec<u8>;
    let plain = numbers(1, ROWS * COLUMNS);
    let numbers = match format {
        Format::Q8 => {
            // Scale and bytes, as GGML has them.
            let scale = f16::from_f32(1.0 / 127.0);
            let quants: Vec<i8> = plain.iter().map(|x| (x * 127.0) as i8).collect();
            let block = |quants: &[i8]| {
                let bytes = quants.iter().map(|&quant| quant.to_le_bytes()[0]);
                scale.to_le_bytes().into_iter().chain(bytes).collect::<Vec<_>>()
            };
            blocks = quants.chunks_exact(32).flat_map(block).collect();
            exact = quants.iter().map(|&quant| f32::from(quant) * scale.to_f32()).collect();
            Numbers::Blocks(Format::Q8, &blocks)
        }
        _ => {
            exact = plain.iter().map(|&x| f16::from_f32(x).to_f32()).collect();
            Numbers::Floats(&plain)
        }
    };
    let mut builder = MatrixBuilder::new(Operand::Half, COLUMNS);
    builder.add(&StoredMatrix { num_rows: ROWS, num_columns: COLUMNS, numbers }, |row| row);
    Ok((builder.build(device)?.remove(0), exact))
}

/// Each kernel of products, by the numbers of tokens that it is for.
fn products(gpu: &Gpu, format: Format) -> Result<(), GpuError> {
    let device = gpu.device();
    let (matrix, exact) = matrix(device, format)?;
    let weights = Buffer::with(device, &bytes(&[1.0; COLUMNS]))?;
    let norm = Norm { weights, eps: 0.0 };
    let rows = numbers(2, TOKENS * COLUMNS);
    let from = Buffer::with(device, &bytes(&rows))?;
    for tokens in [1, 9, 17, 33, TOKENS] {
        let inputs = Buffer::zeroed(device, input_bytes(tokens, COLUMNS))?;
        gpu.rms_norm(&norm, (&from).into(), None, tokens, (&inputs).into())?;
        let outputs = Buffer::zeroed(device, tokens * ROWS * 4)?;
        gpu.multiply(&Product {
            matrix: &matrix,
            inputs: (&inputs).into(),
            outputs: (&outputs).into(),
            num_tokens: tokens,
            finish: Finish::Store { stride: ROWS, column: 0 },
        })?;
        let found = floats(&outputs)?;
        // Some of each tile of rows, of the first and the last token.
        for (token, row) in [0, tokens - 1]
            .iter()
            .flat_map(|&token| (0..ROWS).step_by(13).map(move |row| (token, row)))
        {
            let row_of = &rows[token * COLUMNS..(token + 1) * COLUMNS];
            let mean = row_of.iter().map(|x| x * x).sum::<f32>() / COLUMNS as f32;
            let pairs = row_of.iter().zip(&exact[row * COLUMNS..]);
            let expected = pairs.map(|(x, weight)| x / mean.sqrt() * weight).sum::<f32>();
            let found = found[token * ROWS + row];
            if !is_near(found, expected, 0.05) {
                let what = format!("a product of {tokens} tokens with {format:?} weights");
                return Err(wrong(gpu, &what, found, expected));
            }
        }
    }
    Ok(())
}

/// A sequence of two parts and a bit, in whole tiles and in pieces.
fn attention(gpu: &Gpu) -> Result<(), GpuError> {
    let device = gpu.device();
    let length = 2 * PART + 5;
    let width = HEADS.num_heads * HEADS.head_dim;
    let rows: Vec<f32> = numbers(3, length * HEADS.width()).iter().map(|x| 2.0 * x).collect();
    let heads = Buffer::with(device, &bytes(&rows))?;
    let blocks: Vec<u32> = (0..length.div_ceil(KV.block_size) as u32).rev().collect();
    let cache = Buffer::zeroed(device, blocks.len() * KV.block_bytes())?;
    let slots = (0..length).map(|position| {
        let (block, offset) = (position / KV.block_size, position % KV.block_size);
        blocks[block] * KV.block_size as u32 + offset as u32
    });
    let slots = Buffer::with(device, &words(slots))?;
    // Rotations that leave all as it is.
    let still: Vec<f32> =
        (0..length * HEADS.head_dim).map(|at| if at % 2 == 0 { 1.0 } else { 0.0 }).collect();
    let still = Buffer::with(device, &bytes(&still))?;
    let queries = Buffer::zeroed(device, length * HEADS.num_heads * HEADS.padded_head() * 2)?;
    gpu.store_heads(&StoreHeads {
        heads: (&heads).into(),
        rotations: (&still).into(),
        queries: (&queries).into(),
        slots: (&slots).into(),
        cache: &cache,
        kv: KV,
        layer: 0,
        num_rows: length,
    })?;
    let tables = Buffer::with(device, &words(blocks))?;
    let (mut tiles, mut pieces) = (Vec::new(), Vec::new());
    for first in (0..length).step_by(HEADS.tile_positions()) {
        let tile = Tile {
            row: first as u32,
            num_positions: HEADS.tile_positions().min(length - first) as u32,
            position: first as u32,
            table: 0,
            piece: pieces.len() as u32,
        };
        let number = (tiles.len() / Tile::NUM_WORDS) as u32;
        pieces.extend(std::iter::repeat_n(number, tile.num_parts(usize::MAX)));
        tiles.extend(tile.words());
    }
    let num_tiles = tiles.len() / Tile::NUM_WORDS;
    let tiles = Buffer::with(device, &words(tiles))?;
    let positions = HEADS.tile_positions();
    let partial = Buffer::zeroed(device, gpu.partial_bytes(pieces.len(), positions))?;
    let count = pieces.len();
    let of_tiles = Buffer::with(device, &words(pieces))?;
    let pieces = Pieces { tiles: (&of_tiles).into(), count, positions, partial: &partial };
    for is_cut in [false, true] {
        let outputs = Buffer::zeroed(device, input_bytes(length, width))?;
        let attention = Attention {
            queries: (&queries).into(),
            cache: &cache,
            kv: KV,
            layer: 0,
            tables: (&tables).into(),
            outputs: (&outputs).into(),
            num_rows: length,
            window: usize::MAX,
        };
        match is_cut {
            false => gpu.attend_tiles(&attention, (&tiles).into(), num_tiles)?,
            true => gpu.attend_pieces(&attention, (&tiles).into(), num_tiles, &pieces)?,
        }
        let mut operands = vec![0; outputs.num_bytes()];
        outputs.download(0, &mut operands)?;
        for position in (0..length).step_by(3) {
            for column in (0..width).step_by(5) {
                let found = operand(&operands, position, column, width);
                let expected = attended(&rows, position, column);
                if !is_near(found, expected, 0.02) {
                    let what = if is_cut { "an attention in pieces" } else { "an attention" };
                    return Err(wrong(gpu, what, found, expected));
                }
            }
        }
    }
    Ok(())
}

/// One column of what a position attends to, by the definition.
fn attended(rows: &[f32], position: usize, column: usize) -> f32 {
    let HeadShape { num_heads, num_kv_heads, head_dim } = HEADS;
    let (head, d) = (column / head_dim, column % head_dim);
    let of = |position: usize, head: usize| {
        let at = position * HEADS.width() + head * head_dim;
        &rows[at..at + head_dim]
    };
    let key_head = num_heads + head / (num_heads / num_kv_heads);
    let (mut total, mut sum) = (0.0, 0.0);
    for key in 0..=position {
        let pairs = of(position, head).iter().zip(of(key, key_head));
        let score: f32 = pairs.map(|(query, key)| query * key).sum();
        let weight = (score / (head_dim as f32).sqrt()).exp();
        total += weight;
        sum += weight * of(key, key_head + num_kv_heads)[d];
    }
    sum / total
}

/// An operand of a row, where products take it.
pub(super) fn operand(operands: &[u8], row: usize, k: usize, columns: usize) -> f32 {
    let tile = row / 8 * columns.div_ceil(64) + k / 64;
    let lane = row % 8 * 4 + k % 64 / 16;
    let at = (tile * 512 + (k % 16 / 8 * 32 + lane) * 8 + k % 8) * 2;
    f16::from_le_bytes([operands[at], operands[at + 1]]).to_f32()
}
