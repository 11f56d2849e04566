//! Grouped-query attention of a step's rows over the paged cache (Ainslie et al. 2023,
//! arXiv:2305.13245), in chunks of keys whose softmax is joined as in Dao et al. 2022
//! (arXiv:2205.14135).
//!
//! Invariant: chunks begin at multiples of [`CHUNK`] positions, each is computed alone,
//! and they are joined in order, so a row's result depends on its position and its
//! sequence alone: not on how the prompt was cut, nor on who else is in the batch.

mod chunk;
mod store_head;

use std::cell::RefCell;
use std::ops::Range;

use super::activations::{Activations, ActivationsWriter};
use super::kv_store::{KvLayout, KvStore};
use super::rows::{RotateHalf, Rotations, each_row};
use super::shared_mut::SharedMut;
use super::simd::{Isa, LANES};
use super::threads::Compute;
use chunk::{Chunk, Finish, Join, clear};
use store_head::StoreHead;

/// Keys whose softmax is computed together.
const CHUNK: usize = 256;
/// Query rows (positions times heads of a group) of one unit: as many as reuse a
/// chunk's keys well while their scores stay in the nearest caches.
const TILE_ROWS: usize = 48;
/// Sequences with at most this many new rows are split by chunks instead.
const FEW_ROWS: usize = 8;

/// The widest head there may be.
pub(crate) const MAX_HEAD: usize = 256;

/// New rows of one sequence in a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SequenceRows<'a> {
    /// Its first row of the step, and how many it has.
    pub(crate) row: usize,
    pub(crate) num_rows: usize,
    /// Position of the first.
    pub(crate) position: usize,
    /// Blocks of its positions, in order.
    pub(crate) block_table: &'a [u32],
}

/// The shape of attention.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heads {
    pub(crate) num_heads: usize,
    /// Where they lie.
    pub(crate) columns: Columns,
    /// How many positions, its own included, a row sees.
    pub(crate) window: usize,
}

/// Where queries, keys and values lie in a step's rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Columns {
    /// From one row to the next.
    pub(crate) stride: usize,
    pub(crate) keys: usize,
    pub(crate) values: usize,
}

/// One step's attention: who attends to what, worked out once for all layers.
#[derive(Debug)]
pub(crate) struct Attention<'a> {
    heads: Heads,
    layout: KvLayout,
    sequences: &'a [SequenceRows<'a>],
    units: Vec<Unit>,
    /// For each row, where its partial results begin, if its sequence is split.
    partials: Vec<Option<Partials>>,
    num_partials: usize,
    scratch: Vec<f32>,
}

/// Work of one thread: some rows of a sequence and some chunks, for one key-value head.
#[derive(Debug, Clone)]
struct Unit {
    sequence: usize,
    kv_head: usize,
    /// Rows, counted within the sequence.
    rows: Range<usize>,
    chunks: Range<usize>,
    /// Where the partial results of a split sequence go.
    partial: Option<usize>,
}

/// Where a row's partial results are: `heads × chunks` of them, in this order.
#[derive(Debug, Clone, Copy)]
struct Partials {
    first: usize,
    num_chunks: usize,
}

impl<'a> Attention<'a> {
    /// # Panics
    /// If a block table does not cover its rows.
    pub(crate) fn new(heads: Heads, layout: KvLayout, sequences: &'a [SequenceRows<'a>]) -> Self {
        assert!(layout.head_dim <= MAX_HEAD, "heads are not wider than a state");
        let num_rows = sequences.iter().map(|s| s.row + s.num_rows).max().unwrap_or_default();
        let mut attention = Self {
            heads,
            layout,
            sequences,
            units: Vec::new(),
            partials: vec![None; num_rows],
            num_partials: 0,
            scratch: Vec::new(),
        };
        for (index, sequence) in sequences.iter().enumerate() {
            let end = sequence.position + sequence.num_rows;
            assert!(sequence.block_table.len() * layout.block_size >= end, "blocks cover the rows");
            if sequence.num_rows <= FEW_ROWS {
                attention.split(index, sequence);
            } else {
                attention.tile(index, sequence);
            }
        }
        attention.scratch = vec![0.0; attention.num_partials * attention.partial_len()];
        attention
    }

    fn group(&self) -> usize {
        self.heads.num_heads / self.layout.num_kv_heads
    }

    /// Chunks that rows at these positions see.
    fn chunks(&self, positions: Range<usize>) -> Range<usize> {
        let first = (positions.start + 1).saturating_sub(self.heads.window);
        first / CHUNK..positions.end.div_ceil(CHUNK)
    }

    /// A unit for each chunk: few rows over many keys.
    fn split(&mut self, index: usize, sequence: &SequenceRows<'_>) {
        let positions = sequence.position..sequence.position + sequence.num_rows;
        let chunks = self.chunks(positions);
        let first = self.num_partials;
        let per_row = self.heads.num_heads * chunks.len();
        for row in 0..sequence.num_rows {
            let first = first + row * per_row;
            self.partials[sequence.row + row] = Some(Partials { first, num_chunks: chunks.len() });
        }
        self.num_partials += sequence.num_rows * per_row;
        for (offset, chunk) in chunks.enumerate() {
            for kv_head in 0..self.layout.num_kv_heads {
                let rows = 0..sequence.num_rows;
                let partial = Some(first + offset);
                self.units.push(Unit {
                    sequence: index,
                    kv_head,
                    rows,
                    chunks: chunk..chunk + 1,
                    partial,
                });
            }
        }
    }

    /// A unit for some rows and all their chunks; the last rows, which see most, first.
    fn tile(&mut self, index: usize, sequence: &SequenceRows<'_>) {
        let tile = (TILE_ROWS / self.group()).max(1);
        for start in (0..sequence.num_rows).step_by(tile).rev() {
            let rows = start..sequence.num_rows.min(start + tile);
            let chunks = self.chunks(sequence.position + rows.start..sequence.position + rows.end);
            for kv_head in 0..self.layout.num_kv_heads {
                let (rows, chunks) = (rows.clone(), chunks.clone());
                self.units.push(Unit { sequence: index, kv_head, rows, chunks, partial: None });
            }
        }
    }

    /// Floats of a partial result: the largest score, the sum, padding, the values.
    fn partial_len(&self) -> usize {
        LANES + self.layout.value_stride()
    }

    /// Turns queries and keys of all rows to their positions, scales queries, and stores
    /// keys and values of a layer in their blocks.
    ///
    /// No block may belong to two sequences where both write.
    ///
    /// # Panics
    /// If the rows or the blocks do not exist.
    pub(crate) fn store(
        &self,
        Compute { pool, isa }: Compute<'_>,
        layer: usize,
        rows: &mut [f32],
        rotations: &Rotations,
        store: &mut KvStore,
    ) {
        let (layout, columns) = (self.layout, self.heads.columns);
        assert_eq!(*store.layout(), layout, "the store that was planned for");
        let (num_heads, num_kv_heads, head_dim) =
            (self.heads.num_heads, layout.num_kv_heads, layout.head_dim);
        assert!(
            num_heads * head_dim <= columns.keys
                && columns.keys + num_kv_heads * head_dim <= columns.values
        );
        assert!(columns.values + num_kv_heads * head_dim <= columns.stride);
        assert!(self.partials.len() * columns.stride <= rows.len());
        let (block_len, num_blocks) = (store.block_len(), store.num_blocks());
        let halves = SharedMut::new(store.halves_mut());
        let shared = SharedMut::new(rows);
        let scale = 1.0 / (head_dim as f32).sqrt();
        let slots: Vec<(usize, usize)> = self.slots().collect();
        each_row(pool, slots.len(), columns.stride, |row| {
            // SAFETY: each row is one unit's.
            let values = unsafe { shared.part(row * columns.stride, columns.stride) };
            let (cos, sin) = rotations.row(row);
            for (start, num, scale) in [(0, num_heads, scale), (columns.keys, num_kv_heads, 1.0)] {
                for head in values[start..start + num * head_dim].chunks_exact_mut(head_dim) {
                    isa.run(RotateHalf { head, cos, sin, scale });
                }
            }
            let (block, offset) = slots[row];
            assert!(block < num_blocks, "the block exists");
            for head in 0..num_kv_heads {
                let from = |column: usize| &values[column + head * head_dim..][..head_dim];
                let key = block * block_len + layout.keys_at(layer, head) + offset;
                let value = block * block_len
                    + layout.values_at(layer, head)
                    + offset * layout.value_stride();
                isa.run(StoreHead {
                    key: from(columns.keys),
                    value: from(columns.values),
                    // Of the span of keys, only this slot's are written.
                    keys: halves.pointer(key, (head_dim - 1) * layout.key_stride() + 1),
                    key_stride: layout.key_stride(),
                    // SAFETY: a slot is one row's.
                    values: unsafe { halves.part(value, head_dim) },
                });
            }
        });
    }

    /// Block and offset of each row of the step.
    fn slots(&self) -> impl Iterator<Item = (usize, usize)> {
        let size = self.layout.block_size;
        self.sequences.iter().flat_map(move |sequence| {
            (sequence.position..sequence.position + sequence.num_rows).map(move |position| {
                (sequence.block_table[position / size] as usize, position % size)
            })
        })
    }

    /// Attends all rows' queries to a layer's keys and values; `out` gets
    /// `(rows, num_heads · head_dim)`, quantised if `quantize`.
    ///
    /// # Panics
    /// If the rows or the blocks do not exist.
    pub(crate) fn attend(
        &mut self,
        Compute { pool, isa }: Compute<'_>,
        layer: usize,
        rows: &[f32],
        store: &KvStore,
        out: &mut Activations,
        quantize: bool,
    ) {
        let num_rows = self.partials.len();
        let stride = self.heads.columns.stride;
        let width = self.heads.num_heads * self.layout.head_dim;
        assert_eq!(*store.layout(), self.layout, "the store that was planned for");
        assert!(width <= stride && num_rows * stride <= rows.len());
        assert_eq!((out.num_rows(), out.num_columns()), (num_rows, width));
        let mut scratch = std::mem::take(&mut self.scratch);
        let writer = out.writer();
        {
            let partials = SharedMut::new(&mut scratch);
            let call = Call { attention: self, layer, rows, stride, store, out: &writer, partials };
            pool.run(self.units.len(), |index| call.run(isa, &self.units[index]));
        }
        each_row(pool, num_rows, width * 4, |row| {
            if let Some(partials) = self.partials[row] {
                self.join(isa, row, partials, &scratch, &writer);
            }
            if quantize {
                // SAFETY: each row is one unit's.
                unsafe { writer.quantize(isa, row, 0, width) };
            }
        });
        self.scratch = scratch;
    }

    /// Joins the chunks of one row, in order.
    fn join(
        &self,
        isa: Isa,
        row: usize,
        partials: Partials,
        scratch: &[f32],
        out: &ActivationsWriter<'_>,
    ) {
        let (len, head_dim) = (self.partial_len(), self.layout.head_dim);
        let mut state = [0.0; LANES + MAX_HEAD];
        for head in 0..self.heads.num_heads {
            let state = &mut state[..len];
            clear(state);
            let first = partials.first + head * partials.num_chunks;
            for partial in
                scratch[first * len..(first + partials.num_chunks) * len].chunks_exact(len)
            {
                isa.run(Join { state, partial });
            }
            // SAFETY: each row is one unit's.
            let out = unsafe { out.floats(row, head * head_dim, head_dim) };
            isa.run(Finish { state, out });
        }
    }
}

/// What all units of a call share.
struct Call<'a> {
    attention: &'a Attention<'a>,
    layer: usize,
    rows: &'a [f32],
    stride: usize,
    store: &'a KvStore,
    out: &'a ActivationsWriter<'a>,
    partials: SharedMut<'a, f32>,
}

thread_local! {
    /// Scores and states of a unit.
    static BUFFERS: RefCell<(Vec<f32>, Vec<f32>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

impl Call<'_> {
    fn run(&self, isa: Isa, unit: &Unit) {
        let attention = self.attention;
        let (layout, group) = (attention.layout, attention.group());
        let sequence = &attention.sequences[unit.sequence];
        let num_rows = unit.rows.len() * group;
        let slots = CHUNK / layout.block_size.min(CHUNK) * layout.key_stride();
        let len = attention.partial_len();
        BUFFERS.with_borrow_mut(|(scores, states)| {
            if scores.len() < num_rows * slots {
                scores.resize(num_rows * slots, 0.0);
            }
            // A partial result for each row, and its state behind.
            if states.len() < 2 * num_rows * len {
                states.resize(2 * num_rows * len, 0.0);
            }
            let (partials, states) = states.split_at_mut(num_rows * len);
            states.chunks_exact_mut(len).take(num_rows).for_each(clear);
            for chunk in unit.chunks.clone() {
                self.chunk(isa, unit, chunk, slots, scores, partials);
                match unit.partial {
                    Some(first) => self.keep(unit, first, partials),
                    None => {
                        let pairs = states.chunks_exact_mut(len).zip(partials.chunks_exact(len));
                        pairs
                            .take(num_rows)
                            .for_each(|(state, partial)| isa.run(Join { state, partial }));
                    }
                }
            }
            if unit.partial.is_none() {
                for (index, state) in states.chunks_exact(len).take(num_rows).enumerate() {
                    let row = sequence.row + unit.rows.start + index / group;
                    let head = unit.kv_head * group + index % group;
                    // SAFETY: a head of a row is one unit's.
                    let out =
                        unsafe { self.out.floats(row, head * layout.head_dim, layout.head_dim) };
                    isa.run(Finish { state, out });
                }
            }
        });
    }

    /// One chunk's softmax and values, for all rows of a unit.
    fn chunk(
        &self,
        isa: Isa,
        unit: &Unit,
        chunk: usize,
        slots: usize,
        scores: &mut [f32],
        partials: &mut [f32],
    ) {
        let attention = self.attention;
        let (layout, group) = (attention.layout, attention.group());
        let sequence = &attention.sequences[unit.sequence];
        let start = chunk * CHUNK;
        // No row of the unit sees more than this.
        let end = (start + CHUNK).min(sequence.position + unit.rows.end);
        let blocks =
            &sequence.block_table[start / layout.block_size..end.div_ceil(layout.block_size)];
        assert!(
            blocks.iter().all(|&block| (block as usize) < self.store.num_blocks()),
            "the blocks exist"
        );
        let num_rows = unit.rows.len() * group;
        assert!(num_rows * slots <= scores.len(), "room for the scores");
        assert!(num_rows * attention.partial_len() <= partials.len(), "room for the results");
        let first = sequence.row + unit.rows.start;
        let head = unit.kv_head * group * layout.head_dim;
        isa.run(Chunk {
            layout,
            group,
            window: attention.heads.window,
            blocks,
            keys: self.store.halves()[layout.keys_at(self.layer, unit.kv_head)..].as_ptr(),
            values: self.store.halves()[layout.values_at(self.layer, unit.kv_head)..].as_ptr(),
            block_len: self.store.block_len(),
            start,
            end,
            position: sequence.position + unit.rows.start,
            num_rows,
            queries: self.rows[first * self.stride + head..].as_ptr(),
            stride: self.stride,
            slots,
            scores: scores.as_mut_ptr(),
            partials: partials.as_mut_ptr(),
            partial_len: attention.partial_len(),
        });
    }

    /// Puts a chunk's results where [`Attention::join`] finds them.
    fn keep(&self, unit: &Unit, first: usize, partials: &[f32]) {
        let attention = self.attention;
        let (len, group) = (attention.partial_len(), attention.group());
        let sequence = &attention.sequences[unit.sequence];
        for (index, partial) in partials.chunks_exact(len).take(unit.rows.len() * group).enumerate()
        {
            let row = attention.partials[sequence.row + index / group].expect("a split sequence");
            let head = unit.kv_head * group + index % group;
            let offset = first - attention.partials[sequence.row].expect("a split sequence").first;
            let at = row.first + head * row.num_chunks + offset;
            // SAFETY: a row's result of a head and a chunk is one unit's.
            unsafe { self.partials.part(at * len, len) }.copy_from_slice(partial);
        }
    }
}
