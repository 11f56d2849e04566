//! Attention of one sequence, by its definition and by the kernels.

use half::f16;

use super::{bytes, words};
use crate::gpu::GpuError;
use crate::gpu::attention::{Attention, Pieces, Tile};
use crate::gpu::device::Buffer;
use crate::gpu::matrix::input_bytes;
use crate::gpu::rows::StoreHeads;
use crate::gpu::shape::{Gpu, KvShape};

/// New rows of a sequence behind cached ones, in a cache whose blocks lie anywhere.
pub(in crate::gpu) struct Sequence {
    pub(in crate::gpu) kv: KvShape,
    pub(in crate::gpu) layer: usize,
    /// Queries, keys and values of all positions.
    pub(in crate::gpu) rows: Vec<f32>,
    pub(in crate::gpu) num_positions: usize,
    pub(in crate::gpu) first_new: usize,
    pub(in crate::gpu) blocks: Vec<u32>,
    /// How many positions a row sees.
    pub(in crate::gpu) window: usize,
}

/// How new rows are cut into tiles, and tiles into pieces or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gpu) struct Cut {
    pub(in crate::gpu) tile_positions: usize,
    pub(in crate::gpu) is_in_pieces: bool,
}

impl Sequence {
    /// Columns of what a row attends to.
    pub(in crate::gpu) fn width(&self) -> usize {
        self.kv.heads.num_heads * self.kv.heads.head_dim
    }

    /// One column of what a position attends to, by the definition; rotations leave all as
    /// it is.
    pub(in crate::gpu) fn expected(&self, position: usize, column: usize) -> f32 {
        let heads = self.kv.heads;
        let (head, d) = (column / heads.head_dim, column % heads.head_dim);
        let of = |position: usize, head: usize| {
            let at = position * heads.width() + head * heads.head_dim;
            &self.rows[at..at + heads.head_dim]
        };
        let key_head = heads.num_heads + head / (heads.num_heads / heads.num_kv_heads);
        let (mut total, mut sum) = (0.0, 0.0);
        for key in (position + 1).saturating_sub(self.window)..=position {
            let pairs = of(position, head).iter().zip(of(key, key_head));
            let score: f32 = pairs.map(|(query, key)| query * key).sum();
            let weight = (score / (heads.head_dim as f32).sqrt()).exp();
            total += weight;
            sum += weight * of(key, key_head + heads.num_kv_heads)[d];
        }
        sum / total
    }

    /// What each row attends to by the kernels, as operands.
    ///
    /// # Errors
    /// The device's.
    pub(in crate::gpu) fn attend(&self, gpu: &Gpu, cut: Cut) -> Result<Vec<u8>, GpuError> {
        let (device, kv, length) = (gpu.device(), self.kv, self.num_positions);
        let buffer = |bytes: &[u8]| Buffer::with(device, bytes);
        let num_blocks = self.blocks.iter().max().map_or(0, |&last| last as usize + 1);
        let cache = Buffer::zeroed(device, num_blocks * kv.block_bytes())?;
        let slots = (0..length).map(|position| {
            let (block, offset) = (position / kv.block_size, position % kv.block_size);
            self.blocks[block] * kv.block_size as u32 + offset as u32
        });
        let still = (0..length * kv.heads.head_dim).map(|at| f32::from(u8::from(at % 2 == 0)));
        let num_queries = length * kv.heads.num_heads * kv.heads.padded_head();
        let queries = Buffer::zeroed(device, num_queries * size_of::<f16>())?;
        gpu.store_heads(&StoreHeads {
            heads: (&buffer(&bytes(self.rows.iter().copied()))?).into(),
            rotations: (&buffer(&bytes(still))?).into(),
            queries: (&queries).into(),
            slots: (&buffer(&words(slots))?).into(),
            cache: &cache,
            kv,
            layer: self.layer,
            num_rows: length,
        })?;
        let (mut tiles, mut of_tiles) = (Vec::new(), Vec::new());
        for first in (self.first_new..length).step_by(cut.tile_positions) {
            let tile = Tile {
                row: first as u32,
                num_positions: cut.tile_positions.min(length - first) as u32,
                position: first as u32,
                table: 0,
                piece: of_tiles.len() as u32,
            };
            let number = tiles.len() as u32;
            of_tiles.extend(std::iter::repeat_n(number, tile.num_parts(self.window)));
            tiles.push(tile);
        }
        let (num_tiles, num_pieces) = (tiles.len(), of_tiles.len());
        let tiles = buffer(&words(tiles.into_iter().flat_map(Tile::words)))?;
        let tables = buffer(&words(self.blocks.iter().copied()))?;
        let outputs = Buffer::zeroed(device, input_bytes(length, self.width()))?;
        let attention = Attention {
            queries: (&queries).into(),
            cache: &cache,
            kv,
            layer: self.layer,
            tables: (&tables).into(),
            outputs: (&outputs).into(),
            num_rows: length,
            window: self.window,
        };
        if cut.is_in_pieces {
            let positions = cut.tile_positions;
            let partial = Buffer::zeroed(device, gpu.partial_bytes(num_pieces, positions))?;
            let of_tiles = buffer(&words(of_tiles))?;
            let tiles_of = (&of_tiles).into();
            let pieces =
                Pieces { tiles: tiles_of, count: num_pieces, positions, partial: &partial };
            gpu.attend_pieces(&attention, (&tiles).into(), num_tiles, &pieces)?;
        } else {
            gpu.attend_tiles(&attention, (&tiles).into(), num_tiles)?;
        }
        let mut operands = vec![0; outputs.num_bytes()];
        outputs.download(0, &mut operands)?;
        Ok(operands)
    }
}

/// An operand of a row, where products take it.
pub(in crate::gpu) fn operand(operands: &[u8], row: usize, k: usize, columns: usize) -> f32 {
    let tile = row / 8 * columns.div_ceil(64) + k / 64;
    let lane = row % 8 * 4 + k % 64 / 16;
    let at = (tile * 512 + (k % 16 / 8 * 32 + lane) * 8 + k % 8) * 2;
    f16::from_le_bytes([operands[at], operands[at + 1]]).to_f32()
}
