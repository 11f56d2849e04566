//! One chunk of keys for some rows: scores, softmax, weighted values, and how the
//! results of chunks are joined.
//!
//! A state or a partial result is `[largest score, sum of weights, …, values]`, the values
//! from lane 16 on.

use super::super::kv_store::KvLayout;
use super::super::simd::{Kernel, LANES, Simd, exp};

const LARGEST: usize = 0;
const SUM: usize = 1;

/// What nothing was joined to yet.
pub(super) fn clear(state: &mut [f32]) {
    state.fill(0.0);
    state[LARGEST] = f32::NEG_INFINITY;
}

/// Joins a chunk's result to what came before.
pub(super) struct Join<'a> {
    pub(super) state: &'a mut [f32],
    pub(super) partial: &'a [f32],
}

impl Kernel for Join<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { state, partial } = self;
        let (old, new) = (state[LARGEST], partial[LARGEST]);
        if new == f32::NEG_INFINITY {
            return;
        }
        unsafe {
            let largest = if old > new { old } else { new };
            let weight = |score: f32| exp::<S>(S::splat(score - largest));
            let (keep, take) = (weight(old), weight(new));
            state[SUM] = state[SUM] * S::reduce_max(keep) + partial[SUM] * S::reduce_max(take);
            state[LARGEST] = largest;
            for i in (LANES..state.len()).step_by(LANES) {
                let (to, from) = (state.as_mut_ptr().add(i), S::load(partial.as_ptr().add(i)));
                S::store(to, S::mul_add(S::load(to), keep, S::mul(from, take)));
            }
        }
    }
}

/// Divides by the sum.
pub(super) struct Finish<'a> {
    pub(super) state: &'a [f32],
    pub(super) out: &'a mut [f32],
}

impl Kernel for Finish<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let inverse = 1.0 / self.state[SUM];
        for (out, value) in self.out.iter_mut().zip(&self.state[LANES..]) {
            *out = value * inverse;
        }
    }
}

/// One chunk of keys for the rows of a unit.
pub(super) struct Chunk<'a> {
    pub(super) layout: KvLayout,
    pub(super) group: usize,
    pub(super) window: usize,
    /// Blocks of the chunk's positions up to `end`.
    pub(super) blocks: &'a [u32],
    /// Keys and values of the head in block 0.
    pub(super) keys: *const u16,
    pub(super) values: *const u16,
    pub(super) block_len: usize,
    /// Positions.
    pub(super) start: usize,
    pub(super) end: usize,
    /// Of the first row.
    pub(super) position: usize,
    pub(super) num_rows: usize,
    /// The first row's first head of the group; heads of a row follow each other.
    pub(super) queries: *const f32,
    pub(super) stride: usize,
    /// Scores of a row.
    pub(super) slots: usize,
    /// Of all rows, one after the other.
    pub(super) scores: *mut f32,
    /// A result for each row, [`Chunk::partial_len`] apart.
    pub(super) partials: *mut f32,
    pub(super) partial_len: usize,
}

impl Kernel for Chunk<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let mut row = 0;
        unsafe {
            while row < self.num_rows {
                let left = self.num_rows - row;
                let num_rows = if S::MAX_ROWS >= 6 && left >= 6 {
                    self.rows::<S, 6>(row);
                    6
                } else if S::MAX_ROWS >= 4 && left >= 4 {
                    self.rows::<S, 4>(row);
                    4
                } else if S::MAX_ROWS >= 3 && left >= 3 {
                    self.rows::<S, 3>(row);
                    3
                } else if left >= 2 {
                    self.rows::<S, 2>(row);
                    2
                } else {
                    self.rows::<S, 1>(row);
                    1
                };
                row += num_rows;
            }
        }
    }
}

impl Chunk<'_> {
    #[inline(always)]
    unsafe fn rows<S: Simd, const R: usize>(&self, row: usize) {
        let queries = std::array::from_fn(|r| {
            let (position, head) = ((row + r) / self.group, (row + r) % self.group);
            unsafe { self.queries.add(position * self.stride + head * self.layout.head_dim) }
        });
        let scores = unsafe { self.scores.add(row * self.slots) };
        let partials = unsafe { self.partials.add(row * self.partial_len) };
        unsafe {
            self.score::<S, R>(queries, scores);
            for r in 0..R {
                let partial = partials.add(r * self.partial_len);
                let position = self.position + (row + r) / self.group;
                self.softmax::<S>(position, scores.add(r * self.slots), partial);
            }
            self.weigh::<S, R>(scores, partials.add(LANES));
        }
    }

    /// Products of `R` queries with all keys.
    #[inline(always)]
    unsafe fn score<S: Simd, const R: usize>(&self, queries: [*const f32; R], scores: *mut f32) {
        let stride = self.layout.key_stride();
        for (index, &block) in self.blocks.iter().enumerate() {
            let keys = unsafe { self.keys.add(block as usize * self.block_len) };
            let scores = unsafe { scores.add(index * stride) };
            let mut lane = 0;
            while lane < stride {
                let (keys, scores) = unsafe { (keys.add(lane), scores.add(lane)) };
                if S::MAX_TILES >= 2 && lane + 2 * LANES <= stride {
                    unsafe { self.score_lanes::<S, R, 2>(&queries, keys, scores) };
                    lane += 2 * LANES;
                } else {
                    unsafe { self.score_lanes::<S, R, 1>(&queries, keys, scores) };
                    lane += LANES;
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn score_lanes<S: Simd, const R: usize, const T: usize>(
        &self,
        queries: &[*const f32; R],
        keys: *const u16,
        scores: *mut f32,
    ) {
        unsafe {
            let mut sums = [[S::splat(0.0); T]; R];
            for d in 0..self.layout.head_dim {
                let mut key = [S::splat(0.0); T];
                for t in 0..T {
                    key[t] = S::load_f16(keys.add(d * self.layout.key_stride() + t * LANES));
                }
                for r in 0..R {
                    let query = S::splat(*queries[r].add(d));
                    for t in 0..T {
                        sums[r][t] = S::mul_add(key[t], query, sums[r][t]);
                    }
                }
            }
            for r in 0..R {
                for t in 0..T {
                    S::store(scores.add(r * self.slots + t * LANES), sums[r][t]);
                }
            }
        }
    }

    /// Hides what a row at `position` does not see, and turns its scores into weights.
    #[inline(always)]
    unsafe fn softmax<S: Simd>(&self, position: usize, scores: *mut f32, partial: *mut f32) {
        let (size, stride) = (self.layout.block_size, self.layout.key_stride());
        let num_slots = self.blocks.len() * stride;
        let slot = |position: usize| {
            let offset = position - self.start;
            offset / size * stride + offset % size
        };
        let scores_of_row = unsafe { std::slice::from_raw_parts_mut(scores, num_slots) };
        let first = (position + 1).saturating_sub(self.window).max(self.start);
        let end = (position + 1).min(self.end);
        if first >= end {
            scores_of_row.fill(0.0);
            unsafe {
                *partial.add(LARGEST) = f32::NEG_INFINITY;
                *partial.add(SUM) = 0.0;
            }
            return;
        }
        scores_of_row[..slot(first)].fill(f32::NEG_INFINITY);
        scores_of_row[slot(end - 1) + 1..].fill(f32::NEG_INFINITY);
        if size < stride {
            scores_of_row.chunks_exact_mut(stride).for_each(|b| b[size..].fill(f32::NEG_INFINITY));
        }
        unsafe {
            let mut largest = S::splat(f32::NEG_INFINITY);
            for i in (0..num_slots).step_by(LANES) {
                largest = S::max(largest, S::load(scores.add(i)));
            }
            let largest = S::reduce_max(largest);
            let mut sum = S::splat(0.0);
            for i in (0..num_slots).step_by(LANES) {
                let weight = exp::<S>(S::sub(S::load(scores.add(i)), S::splat(largest)));
                S::store(scores.add(i), weight);
                sum = S::add(sum, weight);
            }
            *partial.add(LARGEST) = largest;
            *partial.add(SUM) = S::reduce_add(sum);
        }
    }

    /// Sums of values by the weights of `R` rows.
    #[inline(always)]
    unsafe fn weigh<S: Simd, const R: usize>(&self, weights: *const f32, out: *mut f32) {
        let width = self.layout.value_stride();
        let mut column = 0;
        while column < width {
            unsafe {
                let (values, out) = (self.values.add(column), out.add(column));
                if S::MAX_TILES >= 2 && column + 4 * LANES <= width {
                    self.weigh_columns::<S, R, 4>(weights, values, out);
                    column += 4 * LANES;
                } else if column + 2 * LANES <= width {
                    self.weigh_columns::<S, R, 2>(weights, values, out);
                    column += 2 * LANES;
                } else {
                    self.weigh_columns::<S, R, 1>(weights, values, out);
                    column += LANES;
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn weigh_columns<S: Simd, const R: usize, const C: usize>(
        &self,
        weights: *const f32,
        values: *const u16,
        out: *mut f32,
    ) {
        let (size, stride) = (self.layout.block_size, self.layout.key_stride());
        unsafe {
            let mut sums = [[S::splat(0.0); C]; R];
            for (index, &block) in self.blocks.iter().enumerate() {
                let values = values.add(block as usize * self.block_len);
                let weights = weights.add(index * stride);
                let num_keys = size.min(self.end - self.start - index * size);
                for key in 0..num_keys {
                    let mut value = [S::splat(0.0); C];
                    for c in 0..C {
                        let at = key * self.layout.value_stride() + c * LANES;
                        value[c] = S::load_f16(values.add(at));
                    }
                    for r in 0..R {
                        let weight = S::splat(*weights.add(r * self.slots + key));
                        for c in 0..C {
                            sums[r][c] = S::mul_add(value[c], weight, sums[r][c]);
                        }
                    }
                }
            }
            for r in 0..R {
                for c in 0..C {
                    S::store(out.add(r * self.partial_len + c * LANES), sums[r][c]);
                }
            }
        }
    }
}
