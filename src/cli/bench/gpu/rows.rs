//! Attention, and what happens to rows between products.

use super::figure::{Figure, Kernel, Work};
use super::measured::Measured;
use crate::gpu::{
    Attention, Buffer, GpuError, KvShape, Norm, Pieces, StoreHeads, Tile, input_bytes,
};

/// Positions of a block of the cache.
const BLOCK_SIZE: usize = 32;
/// Every position is seen.
const WINDOW: usize = usize::MAX;

impl Measured<'_> {
    /// Rows that each follow `depth - 1` positions of their own.
    pub(super) fn attend_pieces(&self, streams: usize, depth: usize) -> Result<Figure, GpuError> {
        let gpu = &self.gpu;
        let cache = self.cache(streams, depth, streams)?;
        let last = Tile { num_positions: 1, position: depth as u32 - 1, ..Tile::default() };
        let parts = last.num_parts(WINDOW);
        let tiles = (0..streams).map(|row| Tile {
            row: row as u32,
            table: (row * depth.div_ceil(BLOCK_SIZE)) as u32,
            piece: (row * parts) as u32,
            ..last
        });
        let tiles = self.words(tiles.flat_map(Tile::words))?;
        let of_tiles = self.words((0..streams * parts).map(|piece| (piece / parts) as u32))?;
        let partial = Buffer::zeroed(gpu.device(), gpu.partial_bytes(streams * parts, 1))?;
        let pieces = Pieces {
            tiles: (&of_tiles).into(),
            count: streams * parts,
            positions: 1,
            partial: &partial,
        };
        let seen = streams * depth;
        let work = self.attention_work(streams, seen, seen, 2);
        self.figure((Kernel::AttendPieces, streams, Some(depth)), work, cache.copies(), |copy| {
            gpu.attend_pieces(&cache.attention(copy), (&tiles).into(), streams, &pieces)
        })
    }

    /// A prompt's rows, each of which follows those before it.
    pub(super) fn attend_tiles(&self, tokens: usize) -> Result<Figure, GpuError> {
        let gpu = &self.gpu;
        let cache = self.cache(1, tokens, tokens)?;
        let step = gpu.heads().tile_positions();
        let tiles = (0..tokens).step_by(step).map(|row| Tile {
            row: row as u32,
            num_positions: step.min(tokens - row) as u32,
            position: row as u32,
            ..Tile::default()
        });
        let count = tiles.clone().count();
        let tiles = self.words(tiles.flat_map(Tile::words))?;
        let seen = tokens * (tokens + 1) / 2;
        let work = self.attention_work(tokens, tokens, seen, 1);
        self.figure((Kernel::AttendTiles, tokens, Some(tokens)), work, cache.copies(), |copy| {
            gpu.attend_tiles(&cache.attention(copy), (&tiles).into(), count)
        })
    }

    /// Of rows that see `seen` positions in all, of the `kept` ones.
    fn attention_work(&self, rows: usize, kept: usize, seen: usize, launches: usize) -> Work {
        let heads = self.gpu.heads();
        let width = heads.num_heads * heads.head_dim;
        let bytes = kept * self.position_bytes() + rows * width * 2 * 2;
        Work { bytes, multiply_adds: seen * width * 2, launches }
    }

    /// Of a position's keys and values of a layer.
    fn position_bytes(&self) -> usize {
        let heads = self.gpu.heads();
        heads.num_kv_heads * (heads.padded_head() + heads.head_dim) * 2
    }

    /// Sequences of a length, layer after layer of keys and values, and room for rows.
    fn cache(&self, sequences: usize, length: usize, rows: usize) -> Result<Cache, GpuError> {
        let heads = self.gpu.heads();
        let num_blocks = sequences * length.div_ceil(BLOCK_SIZE);
        let num_layers = self.num_copies(num_blocks * BLOCK_SIZE * self.position_bytes());
        let kv = KvShape { heads, num_layers, block_size: BLOCK_SIZE };
        Ok(Cache {
            kv,
            blocks: self.noise(num_blocks * kv.block_bytes())?,
            tables: self.words(0..num_blocks as u32)?,
            queries: self.noise(rows * heads.num_heads * heads.padded_head() * 2)?,
            outputs: self.noise(input_bytes(rows, heads.num_heads * heads.head_dim))?,
            rows,
        })
    }

    /// Rows that the cache has, as they have just been written in a step.
    pub(super) fn rms_norm(&self, tokens: usize) -> Result<Figure, GpuError> {
        let hidden = self.config.hidden_size;
        let norm = Norm { weights: self.noise(hidden * 4)?, eps: self.config.norm_eps as f32 };
        let rows = self.noise(tokens * hidden * 4)?;
        let outputs = self.noise(input_bytes(tokens, hidden))?;
        let bytes = hidden * 4 + tokens * hidden * (4 + 2);
        let work = Work { bytes, multiply_adds: 0, launches: 1 };
        self.figure((Kernel::RmsNorm, tokens, None), work, 1, |_| {
            self.gpu.rms_norm(&norm, (&rows).into(), None, tokens, (&outputs).into())
        })
    }

    pub(super) fn store_heads(&self, tokens: usize) -> Result<Figure, GpuError> {
        let heads = self.gpu.heads();
        let cache = self.cache(1, tokens, tokens)?;
        let rows = self.noise(tokens * heads.width() * 4)?;
        let rotations = self.noise(tokens * heads.head_dim * 4)?;
        let slots = self.words(0..tokens as u32)?;
        let queries = heads.num_heads * heads.head_dim * 2;
        let read = (heads.width() + heads.head_dim) * 4;
        let bytes = tokens * (read + queries + self.position_bytes());
        let work = Work { bytes, multiply_adds: 0, launches: 1 };
        self.figure((Kernel::StoreHeads, tokens, None), work, cache.copies(), |copy| {
            self.gpu.store_heads(&StoreHeads {
                heads: (&rows).into(),
                rotations: (&rotations).into(),
                queries: (&cache.queries).into(),
                slots: (&slots).into(),
                cache: &cache.blocks,
                kv: cache.kv,
                layer: copy,
                num_rows: tokens,
            })
        })
    }
}

/// Keys and values, of which each layer is a copy, and what attends to them.
struct Cache {
    kv: KvShape,
    blocks: Buffer,
    tables: Buffer,
    queries: Buffer,
    outputs: Buffer,
    rows: usize,
}

impl Cache {
    fn copies(&self) -> usize {
        self.kv.num_layers
    }

    fn attention(&self, layer: usize) -> Attention<'_> {
        Attention {
            queries: (&self.queries).into(),
            cache: &self.blocks,
            kv: self.kv,
            layer,
            tables: (&self.tables).into(),
            outputs: (&self.outputs).into(),
            num_rows: self.rows,
            window: WINDOW,
        }
    }
}
