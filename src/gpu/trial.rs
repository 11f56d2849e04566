//! Whether a device computes what its kernels say: small products and an attention, beside
//! plain sums of the same numbers. A driver, a compiler or a GPU that does otherwise than
//! described is found here, before anybody reads what it writes.

use std::sync::Arc;

use half::f16;

mod sequence;

#[cfg(test)]
pub(super) use sequence::operand;
pub(super) use sequence::{Cut, Sequence};

use super::GpuError;
use super::attention::PART;
use super::device::{Buffer, Device};
use super::linear::{Finish, Product};
use super::matrix::{Matrix, MatrixBuilder, input_bytes};
use super::packing::{Format, Numbers, Operand, StoredMatrix};
use super::rows::Norm;
use super::shape::{Gpu, HeadShape, KvShape};

const HEADS: HeadShape = HeadShape { num_heads: 8, num_kv_heads: 2, head_dim: 64 };
const KV: KvShape = KvShape { heads: HEADS, num_layers: 1, block_size: 32 };

/// Columns of what is multiplied.
const COLUMNS: usize = 192;
/// Rows of a matrix that a wide product has enough blocks for.
const ROWS: usize = 96 * 128;
/// Numbers of tokens that each kernel of products is for, and the last of them.
const TOKENS: [usize; 5] = [1, 9, 17, 33, MOST_TOKENS];
const MOST_TOKENS: usize = 66;

/// What a device that computes what it should was found to be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trial {
    /// Whether a token gets the same bits from every kernel that is for it: alone and among
    /// others, with its context read whole and in pieces. Otherwise the same seed may give
    /// another reply when others are written beside it.
    pub has_same_bits: bool,
}

/// Tries a device out.
///
/// # Errors
/// `Unavailable` if it computes something else, or whatever it fails with.
pub(super) fn run(device: &Arc<dyn Device>) -> Result<Trial, GpuError> {
    let gpu = Gpu::new(device, HEADS, Operand::Half, [Format::Plain, Format::Q8])?;
    let mut has_same_bits = true;
    for format in [Format::Plain, Format::Q8] {
        has_same_bits &= products(&gpu, format)?;
    }
    has_same_bits &= attention(&gpu)?;
    Ok(Trial { has_same_bits })
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

pub(super) fn bytes(floats: impl IntoIterator<Item = f32>) -> Vec<u8> {
    floats.into_iter().flat_map(f32::to_le_bytes).collect()
}

pub(super) fn words(words: impl IntoIterator<Item = u32>) -> Vec<u8> {
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

/// All that a buffer holds.
pub(super) fn floats(buffer: &Buffer) -> Result<Vec<f32>, GpuError> {
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

/// Each kernel of products; whether all give the same bits.
fn products(gpu: &Gpu, format: Format) -> Result<bool, GpuError> {
    let device = gpu.device();
    let (matrix, exact) = matrix(device, format)?;
    let norm = Norm { weights: Buffer::with(device, &bytes([1.0; COLUMNS]))?, eps: 0.0 };
    let rows = numbers(2, MOST_TOKENS * COLUMNS);
    let from = Buffer::with(device, &bytes(rows.iter().copied()))?;
    let (mut last, mut has_same_bits) = (Vec::new(), true);
    for tokens in TOKENS {
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
        has_same_bits &= found.starts_with(&last);
        last = found;
    }
    Ok(has_same_bits)
}

/// A sequence of two parts and a bit, in whole tiles and in pieces; whether all give the
/// same bits.
fn attention(gpu: &Gpu) -> Result<bool, GpuError> {
    let num_positions = 2 * PART + 5;
    let rows = numbers(3, num_positions * HEADS.width()).iter().map(|x| 2.0 * x).collect();
    let blocks = (0..num_positions.div_ceil(KV.block_size) as u32).rev().collect();
    let window = usize::MAX;
    let sequence = Sequence { kv: KV, layer: 0, rows, num_positions, first_new: 0, blocks, window };
    let width = sequence.width();
    let (mut whole, mut has_same_bits) = (None, true);
    // As prompts are read, near and far behind what is cached, and as replies are written.
    let most = HEADS.tile_positions();
    for (tile_positions, is_in_pieces) in [(most, false), (most, true), (1, true)] {
        let operands = sequence.attend(gpu, Cut { tile_positions, is_in_pieces })?;
        for position in (0..num_positions).step_by(3) {
            for column in (0..width).step_by(5) {
                let found = sequence::operand(&operands, position, column, width);
                let expected = sequence.expected(position, column);
                if !is_near(found, expected, 0.02) {
                    let what = if is_in_pieces { "an attention in pieces" } else { "an attention" };
                    return Err(wrong(gpu, what, found, expected));
                }
            }
        }
        has_same_bits &= *whole.get_or_insert_with(|| operands.clone()) == operands;
    }
    Ok(has_same_bits)
}
