//! The kernels beside plain sums of the same numbers. Whole decoders are compared in
//! `model`.

use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device as Cpu, Tensor};
use half::f16;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::trial::{Cut, Sequence, bytes, operand, words};
use super::*;

const HEADS: HeadShape = HeadShape { num_heads: 6, num_kv_heads: 2, head_dim: 24 };

fn device() -> Option<Arc<dyn Device>> {
    Some(Arc::new(Emulator::new(1 << 30)?))
}

fn random(rng: &mut ChaCha8Rng, count: usize) -> Vec<f32> {
    (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn floats(buffer: &Buffer) -> Vec<f32> {
    trial::floats(buffer).unwrap()
}

/// Random numbers in GGML's blocks, and what they stand for.
fn blocks(
    rng: &mut ChaCha8Rng,
    dtype: GgmlDType,
    rows: usize,
    columns: usize,
) -> (Vec<u8>, Vec<f32>) {
    let weights = Tensor::from_vec(random(rng, rows * columns), (rows, columns), &Cpu::Cpu);
    let quantized = QTensor::quantize(&weights.unwrap(), dtype).unwrap();
    let exact = quantized.dequantize(&Cpu::Cpu).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    (quantized.data().unwrap().into_owned(), exact)
}

/// A matrix of each format, and what its numbers are.
fn matrices(
    device: &Arc<dyn Device>,
    rng: &mut ChaCha8Rng,
    rows: usize,
    columns: usize,
) -> Vec<(Arc<Matrix>, Vec<f32>)> {
    let build = |numbers: Numbers<'_>| {
        let mut builder = MatrixBuilder::new(Operand::Half, columns);
        builder.add(&StoredMatrix { num_rows: rows, num_columns: columns, numbers }, |row| row);
        builder.build(device).unwrap().remove(0)
    };
    let plain = random(rng, rows * columns);
    let rounded = plain.iter().map(|&x| f16::from_f32(x).to_f32()).collect();
    let mut all = vec![(build(Numbers::Floats(&plain)), rounded)];
    for (format, dtype) in [
        (Format::Q8, GgmlDType::Q8_0),
        (Format::Q4K, GgmlDType::Q4K),
        (Format::Q6K, GgmlDType::Q6K),
    ] {
        if columns.is_multiple_of(dtype.block_size()) {
            let (bytes, exact) = blocks(rng, dtype, rows, columns);
            all.push((build(Numbers::Blocks(format, &bytes)), exact));
        }
    }
    all
}

fn gpu(device: &Arc<dyn Device>) -> Gpu {
    let formats = [Format::Plain, Format::Q8, Format::Q4K, Format::Q6K];
    Gpu::new(device, HEADS, Operand::Half, formats).unwrap()
}

/// Operands of rows whose norm changes nothing but their length, and the numbers they have.
fn operands(gpu: &Gpu, rows: &[f32], columns: usize) -> (Buffer, Vec<f32>) {
    let device = gpu.device();
    let count = rows.len() / columns;
    let norm =
        Norm { weights: Buffer::with(device, &bytes(vec![1.0; columns])).unwrap(), eps: 0.0 };
    let outputs = Buffer::zeroed(device, input_bytes(count, columns)).unwrap();
    let from = Buffer::with(device, &bytes(rows.iter().copied())).unwrap();
    gpu.rms_norm(&norm, (&from).into(), None, count, (&outputs).into()).unwrap();
    let normed = rows.chunks_exact(columns).flat_map(|row| {
        let mean = row.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>() / columns as f64;
        row.iter().map(move |&x| f16::from_f64(f64::from(x) / mean.sqrt()).to_f32())
    });
    (outputs, normed.collect())
}

fn products(gpu: &Gpu, matrix: &Matrix, inputs: &Buffer, rows: usize, tokens: usize) -> Vec<f32> {
    let outputs = Buffer::zeroed(gpu.device(), tokens * rows * 4).unwrap();
    let product = Product {
        matrix,
        inputs: inputs.into(),
        outputs: (&outputs).into(),
        num_tokens: tokens,
        finish: Finish::Store { stride: rows, column: 0 },
    };
    gpu.multiply(&product).unwrap();
    floats(&outputs)
}

#[test]
fn products_are_the_sums_of_their_numbers_however_many_tokens_there_are() {
    let Some(device) = device() else { return };
    let gpu = gpu(&device);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    // Rows that fill no tile; columns that fill no chunk; segments of no and many chunks.
    for (rows, columns) in [(40, 512), (258, 96), (20, 32)] {
        let many = 70;
        let tokens = random(&mut rng, many * columns);
        for (matrix, exact) in matrices(&device, &mut rng, rows, columns) {
            let (inputs, numbers) = operands(&gpu, &tokens, columns);
            let all = products(&gpu, &matrix, &inputs, rows, many);
            for (at, &product) in all.iter().enumerate() {
                let (token, row) = (at / rows, at % rows);
                let pairs = exact[row * columns..].iter().zip(&numbers[token * columns..]);
                let sum: f32 = pairs.take(columns).map(|(a, b)| a * b).sum();
                let tolerance = 2e-3 * (columns as f32).sqrt();
                assert!((product - sum).abs() < tolerance, "{matrix:?} {at}: {product} {sum}");
            }
            // Every kernel gives every token the same bits.
            for few in [1, 9, 25, 64] {
                let (inputs, _) = operands(&gpu, &tokens[..few * columns], columns);
                let some = products(&gpu, &matrix, &inputs, rows, few);
                assert!(some == all[..few * rows], "{few} tokens, {:?}", matrix.format());
            }
        }
    }
}

#[test]
fn many_segments_are_summed_alike_by_every_kernel() {
    let Some(device) = device() else { return };
    let gpu = gpu(&device);
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let (rows, columns, many) = (16 * 256, 192, 66);
    let (bytes, _) = blocks(&mut rng, GgmlDType::Q8_0, rows, columns);
    let mut builder = MatrixBuilder::new(Operand::Half, columns);
    let numbers = Numbers::Blocks(Format::Q8, &bytes);
    builder.add(&StoredMatrix { num_rows: rows, num_columns: columns, numbers }, |row| row);
    let matrix = builder.build(&device).unwrap().remove(0);
    let tokens = random(&mut rng, many * columns);
    let (inputs, _) = operands(&gpu, &tokens, columns);
    let all = products(&gpu, &matrix, &inputs, rows, many);
    let (inputs, _) = operands(&gpu, &tokens[..2 * columns], columns);
    assert!(products(&gpu, &matrix, &inputs, rows, 2) == all[..2 * rows]);
}

#[test]
fn rows_of_a_matrix_are_looked_up() {
    let Some(device) = device() else { return };
    let gpu = gpu(&device);
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let (rows, columns) = (40, 256);
    let tokens = [0, 39, 17, 8, 7];
    for (matrix, exact) in matrices(&device, &mut rng, rows, columns) {
        let ids = Buffer::with(&device, &words(tokens)).unwrap();
        let found = Buffer::zeroed(&device, tokens.len() * columns * 4).unwrap();
        gpu.embed(&matrix, (&ids).into(), tokens.len(), (&found).into()).unwrap();
        for (at, x) in floats(&found).into_iter().enumerate() {
            let wanted = exact[tokens[at / columns] as usize * columns + at % columns];
            assert!((x - wanted).abs() < 1e-4, "{:?} {at}: {x} {wanted}", matrix.format());
        }
    }
}

#[test]
fn gates_and_sums_are_finished_in_place() {
    let Some(device) = device() else { return };
    let gpu = gpu(&device);
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let (inner, columns, tokens) = (20, 64, 11);
    let (gates, gated) = (random(&mut rng, inner * columns), random(&mut rng, inner * columns));
    let stored = |floats| StoredMatrix {
        num_rows: inner,
        num_columns: columns,
        numbers: Numbers::Floats(floats),
    };
    let mut builder = MatrixBuilder::new(Operand::Half, columns);
    builder.add_gated(&stored(&gates), &stored(&gated));
    let matrix = builder.build(&device).unwrap().remove(0);
    let rows = random(&mut rng, tokens * columns);
    let (inputs, numbers) = operands(&gpu, &rows, columns);
    let outputs = Buffer::zeroed(&device, input_bytes(tokens, inner)).unwrap();
    let finish = Finish::Gate;
    gpu.multiply(&Product {
        matrix: &matrix,
        inputs: (&inputs).into(),
        outputs: (&outputs).into(),
        num_tokens: tokens,
        finish,
    })
    .unwrap();
    // What comes out are operands: an identity shows them, added to what is there.
    let identity: Vec<f32> =
        (0..inner * inner).map(|at| f32::from(u8::from(at / inner == at % inner))).collect();
    let mut builder = MatrixBuilder::new(Operand::Half, inner);
    let stored =
        StoredMatrix { num_rows: inner, num_columns: inner, numbers: Numbers::Floats(&identity) };
    builder.add(&stored, |row| inner - 1 - row);
    let reversed = builder.build(&device).unwrap().remove(0);
    let sums = Buffer::with(&device, &bytes(vec![3.0; tokens * inner])).unwrap();
    gpu.multiply(&Product {
        matrix: &reversed,
        inputs: (&outputs).into(),
        outputs: (&sums).into(),
        num_tokens: tokens,
        finish: Finish::Add { stride: inner },
    })
    .unwrap();
    let dot = |matrix: &[f32], row: usize, token: usize| -> f32 {
        let row = matrix[row * columns..][..columns].iter();
        row.zip(&numbers[token * columns..]).map(|(a, b)| f16::from_f32(*a).to_f32() * b).sum()
    };
    for (at, x) in floats(&sums).into_iter().enumerate() {
        let (token, row) = (at / inner, inner - 1 - at % inner);
        let (gate, up) = (dot(&gates, row, token), dot(&gated, row, token));
        let wanted = 3.0 + gate / (1.0 + (-gate).exp()) * up;
        assert!((x - wanted).abs() < 0.02 + 0.002 * wanted.abs(), "{at}: {x} {wanted}");
    }
}

#[test]
fn attention_is_its_definition_and_the_same_bits_whole_and_in_pieces() {
    let Some(device) = device() else { return };
    let gpu = gpu(&device);
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for (num_positions, first_new, window) in
        [(300, 280, usize::MAX), (300, 0, 140), (129, 128, usize::MAX), (7, 0, 3)]
    {
        let rows = random(&mut rng, num_positions * HEADS.width()).into_iter().map(|x| 3.0 * x);
        let sequence = Sequence {
            kv: KvShape { heads: HEADS, num_layers: 2, block_size: 64 },
            layer: 1,
            rows: rows.collect(),
            num_positions,
            first_new,
            blocks: vec![5, 1, 7, 0, 2],
            window,
        };
        let most = HEADS.tile_positions();
        let attend = |tile_positions, is_in_pieces| {
            sequence.attend(&gpu, Cut { tile_positions, is_in_pieces }).unwrap()
        };
        let (whole, width) = (attend(most, false), sequence.width());
        for position in first_new..num_positions {
            for column in 0..width {
                let found = operand(&whole, position, column, width);
                let expected = sequence.expected(position, column);
                let is_near = (found - expected).abs() < 2e-2;
                assert!(is_near, "{column} of {position}: {found} {expected}");
            }
        }
        for (tile_positions, is_in_pieces) in [(most, true), (1, true), (1, false), (2, false)] {
            let other = attend(tile_positions, is_in_pieces);
            assert!(other == whole, "{tile_positions} positions a tile, pieces: {is_in_pieces}");
        }
    }
}

#[test]
fn what_is_only_read_or_multiplied_leaves_a_trace_of_all_of_it() {
    let Some(device) = device() else { return };
    let gpu = gpu(&device);
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let many: Vec<u32> = (0..2 * Gpu::READ_BYTES / 4).map(|_| rng.random()).collect();
    let results = Buffer::zeroed(&device, 2 * Gpu::RESULT_BYTES).unwrap();
    gpu.read_memory(&Buffer::with(&device, &words(many.iter().copied())).unwrap(), 2, &results)
        .unwrap();
    let fold = |words: &[u32]| words.iter().fold(0, |fold, word| fold ^ word);
    let folds: Vec<u32> = floats(&results).into_iter().map(f32::to_bits).collect();
    for (read, folds) in many.chunks(Gpu::READ_BYTES / 4).zip(folds.chunks(256)) {
        assert_eq!(fold(read), fold(folds));
    }

    // Every operand is one: each of a thread's 64 sums is the 16 of a product, each round.
    let ones = words(vec![0x3c00_3c00; Gpu::OPERAND_BYTES / 4]);
    let ones = Buffer::with(&device, &ones).unwrap();
    for rounds in [0, 1, 3] {
        gpu.multiply_registers(&ones, 2, rounds, &results).unwrap();
        assert_eq!(floats(&results), vec![(64 * 16 * rounds) as f32; 512]);
    }
}

#[test]
fn a_device_is_tried_out_before_it_is_used() {
    let Some(device) = Emulator::new(1 << 30) else { return };
    let device = Arc::new(device);
    let place = GpuPlace::emulated(device.clone());
    assert_eq!(place.try_out(), Ok(Trial { has_same_bits: true }));
    // As a GPU whose wide products round otherwise would.
    device.blur_from(3 << 20);
    assert_eq!(place.try_out(), Ok(Trial { has_same_bits: false }));
    device.break_down();
    assert!(place.try_out().is_err());
}

/// The compiler that is used for real takes the kernels as they are, for GPUs old and new,
/// and leaves none out.
#[test]
fn kernels_compile_for_gpus_old_and_new() {
    let Some(library) = nvrtc::tests::library() else { return };
    let dir = tempfile::tempdir().unwrap();
    let compiler = nvrtc::Compiler::new(&library, dir.path());
    let mistral = HeadShape { num_heads: 32, num_kv_heads: 8, head_dim: 128 };
    for (architecture, heads, operand) in
        [(80, mistral, Operand::Half), (90, mistral, Operand::Bfloat), (120, HEADS, Operand::Half)]
    {
        let program = program::Program::new(heads, operand, &Format::ALL);
        let image = compiler.compile(&program, architecture).unwrap();
        assert!(image.starts_with(b"\x7fELF"), "sm_{architecture}");
        let text = String::from_utf8_lossy(&image);
        for kernel in &program.kernels {
            assert!(text.contains(&format!(".text.{kernel}")), "{kernel} for sm_{architecture}");
        }
    }
}
