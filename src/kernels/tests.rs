//! Every kernel against plain arithmetic, on every instruction set that this machine
//! has, over random shapes and the edges of the blocks; and the room's invariant, bit
//! by bit.

use std::borrow::Cow;
use std::num::NonZeroUsize;

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::simd::{Kernel, LANES, Simd, exp};
use super::*;

const TYPES: [GgmlDType; 10] = [
    GgmlDType::F32,
    GgmlDType::F16,
    GgmlDType::BF16,
    GgmlDType::Q4_0,
    GgmlDType::Q4_1,
    GgmlDType::Q5_0,
    GgmlDType::Q8_0,
    GgmlDType::Q4K,
    GgmlDType::Q5K,
    GgmlDType::Q6K,
];

fn pool(num_threads: usize) -> ThreadPool {
    ThreadPool::new(NonZeroUsize::new(num_threads).unwrap())
}

fn random(rng: &mut ChaCha8Rng, count: usize, bound: f32) -> Vec<f32> {
    (0..count).map(|_| rng.random_range(-bound..bound)).collect()
}

/// Random weights as they are stored, and what they stand for.
fn stored(
    rng: &mut ChaCha8Rng,
    dtype: GgmlDType,
    rows: usize,
    columns: usize,
) -> (StoredRows<'static>, Vec<f32>) {
    let weights = Tensor::from_vec(random(rng, rows * columns, 1.0), (rows, columns), &Device::Cpu);
    let quantized = QTensor::quantize(&weights.unwrap(), dtype).unwrap();
    let exact =
        quantized.dequantize(&Device::Cpu).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    let bytes = Cow::Owned(quantized.data().unwrap().into_owned());
    (StoredRows { dtype, num_rows: rows, num_columns: columns, bytes }, exact)
}

/// Rows as activations, floats and blocks both.
fn activations(pool: &ThreadPool, isa: Isa, rows: &[Vec<f32>]) -> Activations {
    let columns = rows[0].len();
    let padded = columns.next_multiple_of(LANES);
    let flat: Vec<f32> = rows
        .iter()
        .flat_map(|row| row.iter().copied().chain(vec![0.0; padded - columns]))
        .collect();
    // A norm that changes nothing: each row already has a mean square of one.
    let mut inputs = Activations::default();
    inputs.resize(rows.len(), columns);
    let mut weight = vec![1.0; columns];
    weight.resize(padded, 0.0);
    rms_norm(
        Compute { pool, isa },
        &flat,
        padded,
        Norm { weight: &weight, eps: 0.0 },
        &mut inputs,
        true,
    );
    inputs
}

fn products(
    pool: &ThreadPool,
    isa: Isa,
    inputs: &Activations,
    matrix: &Matrix,
    start: &[f32],
    add: bool,
) -> Vec<f32> {
    let stride = start.len().next_multiple_of(LANES) + 32;
    let mut out = vec![0.0; inputs.num_rows() * stride];
    for row in out.chunks_exact_mut(stride) {
        row[16..16 + start.len()].copy_from_slice(start);
    }
    let product = [Product { matrix, column: 16 }];
    multiply(Compute { pool, isa }, inputs, &product, &mut out, stride, add);
    out.chunks_exact(stride)
        .flat_map(|row| {
            assert!(row[..16].iter().all(|&x| x == 0.0), "columns before stay as they were");
            row[16..16 + start.len()].to_vec()
        })
        .collect()
}

#[test]
fn products_agree_with_plain_sums_on_every_instruction_set() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let pool = pool(3);
    for dtype in TYPES {
        let block = dtype.block_size();
        for (num_rows, out, blocks) in [
            (1, 16, 1),
            (1, 33, 3),
            (2, 48, 2),
            (3, 5, 1),
            (5, 70, 1),
            (8, 40, 2),
            (13, 96, 3),
            (40, 17, 1),
        ] {
            let columns = if block == 1 { 7 + 24 * blocks } else { block * blocks };
            let (stored, exact) = stored(&mut rng, dtype, out, columns);
            let matrix = Matrix::pack(&pool, &stored, |row| row).unwrap();
            let rows: Vec<_> = (0..num_rows).map(|_| random(&mut rng, columns, 1.0)).collect();
            let start = random(&mut rng, out, 1.0);
            let mut same: Option<Vec<f32>> = None;
            for isa in Isa::all() {
                let inputs = activations(&pool, isa, &rows);
                let ours = products(&pool, isa, &inputs, &matrix, &start, true);
                for (row, ours) in ours.chunks_exact(out).enumerate() {
                    let x = input_row(&inputs, row, matrix.wants_blocks());
                    for (i, ours) in ours.iter().enumerate() {
                        let weights = &exact[i * columns..(i + 1) * columns];
                        let pairs = weights.iter().zip(&x);
                        let sum: f64 = pairs.map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
                        let expected = sum + f64::from(start[i]);
                        let difference = (f64::from(*ours) - expected).abs();
                        assert!(
                            difference <= 2e-5 * (columns as f64).sqrt(),
                            "{dtype:?} on {}: row {row}, output {i} is {ours}, not {expected}",
                            isa.name()
                        );
                    }
                }
                let same = same.get_or_insert_with(|| ours.clone());
                assert_eq!(bits(same), bits(&ours), "{dtype:?}: {} gives other bits", isa.name());
            }
        }
    }
}

/// What a row is multiplied as: floats, or what its blocks stand for.
fn input_row(inputs: &Activations, row: usize, blocks: bool) -> Vec<f32> {
    let columns = inputs.num_columns();
    if !blocks {
        return inputs.floats()[row * inputs.float_stride()..][..columns].to_vec();
    }
    let blocks = &inputs.blocks()[row * inputs.block_stride()..][..columns.div_ceil(32)];
    let values = blocks.iter().flat_map(|b| b.q.map(|q| f32::from(q) * b.scale));
    values.take(columns).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn a_row_is_the_same_bits_alone_in_any_batch_and_on_any_number_of_threads() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let pools = [pool(1), pool(2), pool(4)];
    let isa = Isa::best();
    for dtype in TYPES {
        let (stored, _) = stored(&mut rng, dtype, 80, 512);
        let matrix = Matrix::pack(&pools[0], &stored, |row| row).unwrap();
        let rows: Vec<_> = (0..23).map(|_| random(&mut rng, 512, 2.0)).collect();
        let start = vec![0.0; 80];
        let together: Vec<_> = pools
            .iter()
            .map(|pool| products(pool, isa, &activations(pool, isa, &rows), &matrix, &start, false))
            .collect();
        assert!(together.iter().all(|other| bits(other) == bits(&together[0])), "{dtype:?}");
        for (row, expected) in together[0].chunks_exact(80).enumerate() {
            let alone = activations(&pools[0], isa, &rows[row..=row]);
            let alone = products(&pools[0], isa, &alone, &matrix, &start, false);
            assert_eq!(bits(&alone), bits(expected), "{dtype:?}, row {row}");
        }
    }
}

#[test]
fn packed_rows_read_back_as_they_were_stored() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let pool = pool(2);
    for dtype in TYPES {
        let columns = if dtype.block_size() == 1 { 37 } else { dtype.block_size() * 3 };
        let (stored, exact) = stored(&mut rng, dtype, 21, columns);
        let matrix = Matrix::pack(&pool, &stored, |row| 20 - row).unwrap();
        let mut row = vec![0.0; columns];
        for index in 0..21 {
            matrix.unpack_row(index, &mut row);
            let expected = &exact[(20 - index) * columns..(21 - index) * columns];
            let pairs = row.iter().zip(expected);
            let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst <= 1e-6, "{dtype:?}: row {index} differs by {worst}");
        }
    }
}

#[test]
fn the_largest_weights_and_rows_do_not_overflow() {
    // Bytes of 0x80 are −128 in Q8_0; rows of one value are ±127 in every column.
    let block = [&half::f16::ONE.to_le_bytes()[..], &[0x80; 32]].concat();
    let stored = StoredRows {
        dtype: GgmlDType::Q8_0,
        num_rows: 16,
        num_columns: 64,
        bytes: Cow::Owned(block.repeat(32)),
    };
    let pool = pool(1);
    let matrix = Matrix::pack(&pool, &stored, |row| row).unwrap();
    for isa in Isa::all() {
        for sign in [1.0, -1.0] {
            let inputs = activations(&pool, isa, &[vec![sign; 64]]);
            let out = products(&pool, isa, &inputs, &matrix, &[0.0; 16], false);
            let worst = out.iter().map(|x| (x + sign * 128.0 * 64.0).abs()).fold(0.0, f32::max);
            assert!(worst < 0.01, "{}: {out:?}", isa.name());
        }
    }
}

#[test]
fn matrices_of_other_types_and_sizes_are_refused() {
    let pool = pool(1);
    let stored = |dtype, num_columns, len| StoredRows {
        dtype,
        num_rows: 2,
        num_columns,
        bytes: Cow::Owned(vec![0; len]),
    };
    let refuse = |rows| Matrix::pack(&pool, &rows, |row| row).unwrap_err().to_string();
    assert!(refuse(stored(GgmlDType::Q2K, 256, 168)).contains("no kernel for Q2K"));
    assert!(refuse(stored(GgmlDType::Q8_0, 32, 67)).contains("67 bytes are no 2 rows of 32"));
    assert!(refuse(stored(GgmlDType::Q8_0, 33, 68)).contains("no 2 rows of 33"));
}

struct ExpOf<'a>(&'a [f32], &'a mut [f32]);

impl Kernel for ExpOf<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for (x, out) in self.0.chunks_exact(LANES).zip(self.1.chunks_exact_mut(LANES)) {
            unsafe { S::store(out.as_mut_ptr(), exp::<S>(S::load(x.as_ptr()))) };
        }
    }
}

#[test]
fn the_exponential_is_exact_to_a_few_units_in_the_last_place() {
    let mut inputs: Vec<f32> = (-87_000..=88_000).map(|i| i as f32 / 1000.0).collect();
    inputs.extend([f32::NEG_INFINITY, -1e9, -88.0, -87.5, 0.0, -0.0, 1e-10]);
    inputs.resize(inputs.len().next_multiple_of(LANES), 0.0);
    for isa in Isa::all() {
        let mut out = vec![0.0; inputs.len()];
        isa.run(ExpOf(&inputs, &mut out));
        for (x, ours) in inputs.iter().zip(&out) {
            let exact = if *x < -87.0 { 0.0 } else { f64::from(*x).exp() };
            let error = (f64::from(*ours) - exact).abs();
            assert!(error <= 4e-7 * exact, "{}: exp({x}) is {ours}", isa.name());
        }
    }
}

#[test]
fn norms_and_gates_agree_with_plain_arithmetic() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let pool = pool(3);
    for columns in [8usize, 16, 72, 576, 4096] {
        let padded = columns.next_multiple_of(LANES);
        let num_rows = 5;
        let mut rows = random(&mut rng, num_rows * 2 * padded, 4.0);
        let weight: Vec<f32> = random(&mut rng, padded, 1.0)
            .iter()
            .enumerate()
            .map(|(i, w)| if i < columns { *w } else { 0.0 })
            .collect();
        rows.chunks_exact_mut(padded).for_each(|row| row[columns..].fill(0.0));
        let mut same: Option<(Vec<u32>, Vec<u32>)> = None;
        for isa in Isa::all() {
            let mut inputs = Activations::default();
            inputs.resize(num_rows, columns);
            let norm = Norm { weight: &weight, eps: 1e-5 };
            rms_norm(Compute { pool: &pool, isa }, &rows, 2 * padded, norm, &mut inputs, true);
            let normed = inputs.floats().to_vec();
            for row in 0..num_rows {
                let from = &rows[row * 2 * padded..][..columns];
                let square: f64 = from.iter().map(|x| f64::from(*x).powi(2)).sum();
                let scale = 1.0 / (square / columns as f64 + 1e-5).sqrt();
                for (i, x) in from.iter().enumerate() {
                    let exact = f64::from(*x) * scale * f64::from(weight[i]);
                    let ours = f64::from(normed[row * inputs.float_stride() + i]);
                    assert!((ours - exact).abs() < 1e-5, "norm: {ours}, not {exact}");
                }
                let blocks = input_row(&inputs, row, true);
                let floats = input_row(&inputs, row, false);
                for (blocks, floats) in blocks.chunks(32).zip(floats.chunks(32)) {
                    let largest = floats.iter().fold(0f32, |m, x| m.max(x.abs()));
                    let pairs = blocks.iter().zip(floats);
                    let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                    assert!(worst <= largest / 253.0, "eight bits lose {worst} of {largest}");
                }
            }
            swiglu(Compute { pool: &pool, isa }, &rows, 2 * padded, padded, &mut inputs, true);
            for row in 0..num_rows {
                let (gate, up) = rows[row * 2 * padded..][..2 * padded].split_at(padded);
                for i in 0..columns {
                    let gate = f64::from(gate[i]);
                    let exact = gate / (1.0 + (-gate).exp()) * f64::from(up[i]);
                    let ours = f64::from(inputs.floats()[row * inputs.float_stride() + i]);
                    assert!((ours - exact).abs() < 1e-5, "gate: {ours}, not {exact}");
                }
            }
            let both = (bits(&normed), bits(inputs.floats()));
            assert_eq!(same.get_or_insert_with(|| both.clone()), &both, "{}", isa.name());
        }
    }
}

/// A cache and rows for attention: heads of every row, random.
struct Scene {
    layout: KvLayout,
    heads: Heads,
    /// Queries, keys and values of each position of one sequence.
    rows: Vec<f32>,
    table: Vec<u32>,
}

impl Scene {
    fn new(head_dim: usize, group: usize, block_size: usize, window: usize, len: usize) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(len as u64);
        let num_kv_heads = 2;
        let pad = |n: usize| n.next_multiple_of(LANES);
        let keys = pad(num_kv_heads * group * head_dim);
        let values = keys + pad(num_kv_heads * head_dim);
        let stride = values + pad(num_kv_heads * head_dim);
        let num_blocks = len.div_ceil(block_size) as u32;
        Self {
            layout: KvLayout { num_layers: 2, num_kv_heads, head_dim, block_size },
            heads: Heads {
                num_heads: num_kv_heads * group,
                columns: Columns { stride, keys, values },
                window,
            },
            rows: random(&mut rng, len * stride, 2.0),
            // Out of order, with a block between that is nobody's.
            table: (0..num_blocks).rev().map(|block| 2 * block).collect(),
        }
    }

    fn len(&self) -> usize {
        self.rows.len() / self.heads.columns.stride
    }

    /// All rows in steps of the given lengths; what layer 1 attends to.
    fn attend(&self, pool: &ThreadPool, isa: Isa, steps: &[usize]) -> Vec<Vec<f32>> {
        let mut store = KvStore::new(self.layout, 2 * self.table.len()).unwrap();
        let width = self.heads.num_heads * self.layout.head_dim;
        let mut attended = Vec::new();
        let mut position = 0;
        for &num_rows in steps {
            let stride = self.heads.columns.stride;
            let mut rows = self.rows[position * stride..(position + num_rows) * stride].to_vec();
            let sequences = [SequenceRows { row: 0, num_rows, position, block_table: &self.table }];
            let mut attention = Attention::new(self.heads, self.layout, &sequences);
            let mut rotations = Rotations::default();
            let frequencies: Vec<f32> =
                (0..self.layout.head_dim / 2).map(|i| 0.5f32.powi(i as i32)).collect();
            rotations.at(position..position + num_rows, &frequencies);
            let compute = Compute { pool, isa };
            attention.store(compute, 1, &mut rows, &rotations, &mut store);
            let mut out = Activations::default();
            out.resize(num_rows, width);
            attention.attend(compute, 1, &rows, &store, &mut out, true);
            attended.extend((0..num_rows).map(|row| input_row(&out, row, false)));
            position += num_rows;
        }
        attended
    }

    /// The same by the textbook, in f64, from keys and values in half precision.
    fn exact(&self) -> Vec<Vec<f64>> {
        let (head_dim, stride) = (self.layout.head_dim, self.heads.columns.stride);
        let group = self.heads.num_heads / self.layout.num_kv_heads;
        let turned = |position: usize, column: usize| {
            let head = &self.rows[position * stride + column..][..head_dim];
            let half = head_dim / 2;
            let mut out = vec![0.0; head_dim];
            for i in 0..half {
                let angle = (position as f32 * 0.5f32.powi(i as i32)) as f64;
                let (a, b) = (f64::from(head[i]), f64::from(head[i + half]));
                out[i] = a * angle.cos() - b * angle.sin();
                out[i + half] = b * angle.cos() + a * angle.sin();
            }
            out
        };
        let rounded = |x: f64| f64::from(half::f16::from_f64(x).to_f32());
        let mut out = vec![Vec::new(); self.len()];
        for (position, out) in out.iter_mut().enumerate() {
            for head in 0..self.heads.num_heads {
                let kv = head / group;
                let query = turned(position, head * head_dim);
                let first = (position + 1).saturating_sub(self.heads.window);
                let scores: Vec<f64> = (first..=position)
                    .map(|p| {
                        let key = turned(p, self.heads.columns.keys + kv * head_dim);
                        let dot: f64 = query.iter().zip(key).map(|(q, k)| q * rounded(k)).sum();
                        dot / (head_dim as f64).sqrt()
                    })
                    .collect();
                let largest = scores.iter().copied().fold(f64::MIN, f64::max);
                let weights: Vec<f64> = scores.iter().map(|s| (s - largest).exp()).collect();
                let sum: f64 = weights.iter().sum();
                for d in 0..head_dim {
                    let value = |p: usize| {
                        rounded(f64::from(
                            self.rows[p * stride + self.heads.columns.values + kv * head_dim + d],
                        ))
                    };
                    let pairs = (first..=position).zip(&weights);
                    out.push(pairs.map(|(p, w)| w * value(p)).sum::<f64>() / sum);
                }
            }
        }
        out
    }
}

#[test]
fn attention_agrees_with_the_textbook() {
    let pool = pool(2);
    for (head_dim, group, block_size, window, len) in [
        (16, 2, 32, usize::MAX, 70),
        (64, 3, 32, usize::MAX, 300),
        (128, 4, 16, usize::MAX, 60),
        (64, 1, 4, usize::MAX, 40),
        (8, 2, 32, 7, 90),
        (32, 8, 64, 100, 530),
        (16, 1, 256, 300, 600),
    ] {
        let scene = Scene::new(head_dim, group, block_size, window, len);
        let exact = scene.exact();
        for isa in Isa::all() {
            for (row, (ours, exact)) in
                scene.attend(&pool, isa, &[len]).iter().zip(&exact).enumerate()
            {
                let pairs = ours.iter().zip(exact);
                let worst = pairs.map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
                // A key that rounds to the other side moves its score by 2⁻¹¹ of itself.
                assert!(worst < 5e-3, "{}: row {row} of {head_dim} differs by {worst}", isa.name());
            }
        }
    }
}

#[test]
fn attention_is_the_same_bits_however_a_sequence_is_cut() {
    let pools = [pool(1), pool(3)];
    for (head_dim, group, block_size, window, len) in
        [(64, 3, 32, usize::MAX, 540), (16, 2, 16, 100, 540), (32, 4, 4, 300, 540)]
    {
        let scene = Scene::new(head_dim, group, block_size, window, len);
        let whole = scene.attend(&pools[0], Isa::best(), &[len]);
        for pool in &pools {
            for isa in Isa::all() {
                for steps in [&[1; 540][..], &[539, 1], &[8, 9, 255, 256, 12], &[100, 3, 437]] {
                    let cut = scene.attend(pool, isa, steps);
                    for (row, (a, b)) in cut.iter().zip(&whole).enumerate() {
                        assert_eq!(
                            bits(a),
                            bits(b),
                            "{}: row {row} in {} steps",
                            isa.name(),
                            steps.len()
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn blocks_are_moved_byte_by_byte() {
    let layout = KvLayout { num_layers: 2, num_kv_heads: 2, head_dim: 8, block_size: 4 };
    let mut store = KvStore::new(layout, 3).unwrap();
    let bytes: Vec<u8> = (0..layout.block_bytes()).map(|i| (i * 7 % 251) as u8).collect();
    store.write_block(1, &bytes);
    let read = |store: &KvStore, block| {
        let mut out = vec![0; layout.block_bytes()];
        store.read_block(block, &mut out);
        out
    };
    assert_eq!(read(&store, 1), bytes);
    assert!(read(&store, 0).iter().chain(&read(&store, 2)).all(|&byte| byte == 0));
}
