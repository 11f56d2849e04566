//! The invariant of the room, on random weights: however a sequence is cut, batched
//! and scattered, its logits stay the same, to the bit on our kernels. Candle's decoder
//! is the reference for them.

use super::*;

/// Absolute tolerance on logits of magnitude about 1, between two backends: sums in
/// another order, and keys and values in half precision.
const TOLERANCE: f32 = 5e-3;

const TEXT: [u32; 40] = [
    7, 99, 12, 250, 3, 3, 3, 81, 64, 17, 5, 200, 201, 202, 9, 33, 150, 4, 77, 78, 79, 80, 2, 1, 0,
    257, 31, 32, 33, 34, 120, 7, 99, 12, 11, 10, 60, 61, 62, 63,
];

fn model(config: &ModelConfig) -> Model {
    Model::random(config, 42, &LoadOptions::default()).unwrap()
}

fn rows(logits: &Logits) -> Vec<Vec<f32>> {
    logits.rows().map(<[f32]>::to_vec).collect()
}

/// The largest difference between two sets of rows.
fn difference(left: &[Vec<f32>], right: &[Vec<f32>]) -> f32 {
    assert_eq!(left.len(), right.len());
    let pairs = left.iter().flatten().zip(right.iter().flatten());
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn assert_same(left: &[Vec<f32>], right: &[Vec<f32>]) {
    let bits = |rows: &[Vec<f32>]| rows.concat().iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert!(bits(left) == bits(right), "rows differ by {}", difference(left, right));
}

/// Logits of every position, in one step, over blocks in order.
fn whole(model: &Model, tokens: &[u32]) -> Vec<Vec<f32>> {
    let mut kv = model.kv_cache(16, 4).unwrap();
    let table: Vec<u32> = (0..16).collect();
    let sequence =
        BatchSequence { tokens, position: 0, block_table: &table, logits: LogitRows::All };
    rows(&model.forward(&[sequence], &mut kv).unwrap())
}

/// Logits of every position, in steps of the given lengths.
fn chunked(model: &Model, tokens: &[u32], chunks: &[usize], table: &[u32]) -> Vec<Vec<f32>> {
    let mut kv = model.kv_cache(16, 4).unwrap();
    let (mut position, mut logits) = (0, Vec::new());
    for &len in chunks {
        let tokens = &tokens[position..position + len];
        let sequence =
            BatchSequence { tokens, position, block_table: table, logits: LogitRows::All };
        logits.extend(rows(&model.forward(&[sequence], &mut kv).unwrap()));
        position += len;
    }
    logits
}

fn windowed() -> ModelConfig {
    ModelConfig { sliding_window: Some(7), ..ModelConfig::tiny() }
}

#[test]
fn chunks_and_shuffled_blocks_equal_the_whole() {
    for config in [ModelConfig::tiny(), windowed()] {
        let model = model(&config);
        let expected = whole(&model, &TEXT);
        assert_eq!(expected.len(), TEXT.len());
        let in_order: Vec<u32> = (0..10).collect();
        let shuffled = [13, 2, 9, 3, 15, 0, 7, 8, 1, 11];
        for chunks in [&[1; 40][..], &[39, 1], &[5, 1, 1, 17, 16], &[4, 8, 28]] {
            assert_same(&chunked(&model, &TEXT, chunks, &in_order), &expected);
            assert_same(&chunked(&model, &TEXT, chunks, &shuffled), &expected);
        }
    }
}

#[test]
fn a_batch_equals_its_sequences_alone() {
    for config in [ModelConfig::tiny(), windowed()] {
        let model = model(&config);
        let mut kv = model.kv_cache(32, 4).unwrap();
        let (a, b, c) = (&TEXT[..21], &TEXT[15..40], &TEXT[3..12]);
        let tables =
            [[4, 1, 19, 2, 8, 22, 30], [0, 3, 5, 7, 9, 11, 13], [6, 10, 12, 14, 16, 18, 20]];
        let sequence = |tokens, position, table: usize, logits| BatchSequence {
            tokens,
            position,
            block_table: &tables[table],
            logits,
        };
        // A first step brings two sequences to different positions …
        let nothing = model
            .forward(
                &[
                    sequence(&a[..20], 0, 0, LogitRows::None),
                    sequence(&b[..6], 0, 1, LogitRows::None),
                ],
                &mut kv,
            )
            .unwrap();
        assert_eq!(nothing.num_rows(), 0);
        // … a second decodes one, goes on with the other, and starts a third.
        let logits = model
            .forward(
                &[
                    sequence(&a[20..], 20, 0, LogitRows::Last),
                    sequence(&b[6..], 6, 1, LogitRows::All),
                    sequence(c, 0, 2, LogitRows::Last),
                ],
                &mut kv,
            )
            .unwrap();
        let expected = [
            whole(&model, a).split_off(20),
            whole(&model, b).split_off(6),
            whole(&model, c).split_off(8),
        ];
        assert_same(&rows(&logits), &expected.concat());
    }
}

#[test]
fn long_chunks_are_tiled_without_a_seam() {
    let tokens: Vec<u32> = (0..300).map(|i| i * i % 258).collect();
    for window in [None, Some(40), Some(200)] {
        let model = model(&ModelConfig { sliding_window: window, ..ModelConfig::tiny() });
        let table: Vec<u32> = (0..10).rev().collect();
        let run = |chunks: &[usize]| {
            let mut kv = model.kv_cache(10, 32).unwrap();
            let (mut position, mut logits) = (0, Vec::new());
            for &len in chunks {
                let tokens = &tokens[position..position + len];
                let sequence =
                    BatchSequence { tokens, position, block_table: &table, logits: LogitRows::All };
                logits.extend(rows(&model.forward(&[sequence], &mut kv).unwrap()));
                position += len;
            }
            logits
        };
        assert_same(&run(&[300]), &run(&[100, 100, 100]));
    }
}

#[test]
fn a_window_forgets_what_lies_before_it() {
    let near = [10, 20, 30, 40, 50, 60, 70];
    let with_past = |past: u32| [[past; 20].as_slice(), &near].concat();
    let last = |model: &Model, text: &[u32]| whole(model, text).split_off(text.len() - 1);
    // Two layers of window 4 see at most 6 positions back.
    let narrow = model(&ModelConfig { sliding_window: Some(4), ..ModelConfig::tiny() });
    assert_same(&last(&narrow, &with_past(1)), &last(&narrow, &with_past(2)));
    let full = model(&ModelConfig::tiny());
    let (one, two) = (last(&full, &with_past(1)), last(&full, &with_past(2)));
    assert!(difference(&one, &two) > 0.01);
}

#[test]
fn random_weights_follow_their_seed() {
    let logits = |seed| {
        let model = Model::random(&ModelConfig::tiny(), seed, &LoadOptions::default()).unwrap();
        (whole(&model, &TEXT[..3]), model.fingerprint().to_owned())
    };
    assert_eq!(logits(1), logits(1));
    let ((a, x), (b, y)) = (logits(1), logits(2));
    assert!(a != b && x != y);
}

#[test]
fn malformed_batches_are_refused_with_the_reason() {
    let model = model(&ModelConfig::tiny());
    let mut kv = model.kv_cache(4, 4).unwrap();
    let mut refuse = |tokens: &[u32], position, block_table: &[u32]| {
        let sequence = BatchSequence { tokens, position, block_table, logits: LogitRows::Last };
        model.forward(&[sequence], &mut kv).unwrap_err().to_string()
    };
    assert!(refuse(&[], 0, &[0]).contains("no tokens"));
    assert!(refuse(&[258], 0, &[0]).contains("token 258 is outside the vocabulary of 258"));
    assert!(refuse(&[1; 5], 0, &[0]).contains("1 blocks of 4 do not cover 5 positions"));
    assert!(refuse(&[1], 0, &[4]).contains("block 4 does not exist"));
    assert!(refuse(&[1], 4096, &[0]).contains("beyond the context of 4096"));
    assert!(model.forward(&[], &mut kv).is_err());
    let sequence = |tokens, block_table| BatchSequence {
        tokens,
        position: 0,
        block_table,
        logits: LogitRows::Last,
    };
    let twice = model.forward(&[sequence(&[1], &[2]), sequence(&[1], &[2])], &mut kv);
    assert!(twice.unwrap_err().to_string().contains("block 2 would be written twice"));
    let twice = model.forward(&[sequence(&[1; 5], &[3, 3])], &mut kv);
    assert!(twice.unwrap_err().to_string().contains("block 3 would be written twice"));
}

#[test]
fn a_cache_beyond_all_memory_is_refused() {
    let model = model(&ModelConfig::tiny());
    let error = model.kv_cache(u32::MAX as usize, 256).unwrap_err().to_string();
    assert!(error.contains("MiB, which this device does not give"), "{error}");
}

#[test]
fn a_model_and_its_cache_move_between_threads() {
    fn sendable<T: Send + Sync>() {}
    sendable::<Model>();
    sendable::<KvCache>();
}

#[test]
fn converted_weights_keep_the_model() {
    let exact = whole(&model(&ModelConfig::tiny()), &TEXT);
    let options = LoadOptions { weight_type: Some(WeightType::Q8_0), ..LoadOptions::default() };
    let quantized = Model::random(&ModelConfig::tiny(), 42, &options).unwrap();
    let logits = whole(&quantized, &TEXT);
    let loss = difference(&logits, &exact);
    assert!(loss > 1e-4 && loss < 0.2, "8 bits lose {loss}");
    // Quantised products, too, do not depend on how many rows they serve.
    let table: Vec<u32> = (0..10).collect();
    assert_same(&chunked(&quantized, &TEXT, &[1; 40], &table), &logits);
}

/// The same model on our kernels and on candle.
fn both(config: &ModelConfig, weight_type: WeightType) -> (Model, Model) {
    let ours = LoadOptions { weight_type: Some(weight_type), ..LoadOptions::default() };
    let reference = LoadOptions { backend: Backend::reference(), ..ours.clone() };
    let load = |options| Model::random(config, 42, options).unwrap();
    (load(&ours), load(&reference))
}

#[test]
fn our_kernels_agree_with_candle() {
    let wide = ModelConfig { hidden_size: 256, intermediate_size: 512, ..ModelConfig::tiny() };
    for config in [ModelConfig::tiny(), windowed(), ModelConfig { head_dim: 24, ..windowed() }] {
        let (ours, reference) = both(&config, WeightType::F32);
        let loss = difference(&whole(&ours, &TEXT), &whole(&reference, &TEXT));
        assert!(loss < TOLERANCE, "f32: {loss}");
    }
    let tiny = ModelConfig::tiny();
    for (config, weight_type) in [
        (&tiny, WeightType::Q8_0),
        (&tiny, WeightType::Q4_0),
        (&tiny, WeightType::Q4_1),
        (&tiny, WeightType::Q5_0),
        (&wide, WeightType::Q4K),
        (&wide, WeightType::Q5K),
        (&wide, WeightType::Q6K),
    ] {
        let (ours, reference) = both(config, weight_type);
        let loss = difference(&whole(&ours, &TEXT), &whole(&reference, &TEXT));
        // Both round rows to eight bits, each in its own way, and random weights make the
        // most of it; what a product may lose is tested in its own room.
        assert!(loss < 0.2, "{weight_type:?}: {loss}");
    }
    // Types without a product of their own on our side become Q8_0.
    let eight_bits = whole(&both(&wide, WeightType::Q8_0).0, &TEXT);
    for weight_type in [WeightType::Q2K, WeightType::Q3K, WeightType::Q5_1] {
        assert_same(&whole(&both(&wide, weight_type).0, &TEXT), &eight_bits);
    }
}

#[test]
fn blocks_that_are_moved_hold_what_they_held() {
    let (ours, reference) = both(&ModelConfig::tiny(), WeightType::F32);
    for model in [ours, reference] {
        let expected = whole(&model, &TEXT);
        let run = |kv: &mut KvCache, tokens, position, table: &[u32]| {
            let sequence =
                BatchSequence { tokens, position, block_table: table, logits: LogitRows::All };
            rows(&model.forward(&[sequence], kv).unwrap())
        };
        let mut kv = model.kv_cache(24, 4).unwrap();
        run(&mut kv, &TEXT[..20], 0, &[0, 1, 2, 3, 4]);
        let mut bytes = vec![0; kv.block_bytes()];
        let mut other = model.kv_cache(24, 4).unwrap();
        for block in 0..5 {
            kv.read_block(block, &mut bytes).unwrap();
            other.write_block(block + 7, &bytes).unwrap();
        }
        let table = [7, 8, 9, 10, 11, 1, 2, 3, 4, 5];
        let rest = run(&mut other, &TEXT[20..], 20, &table);
        assert!(difference(&rest, &expected[20..]) < 1e-5);
    }
}

#[test]
fn configurations_that_cannot_be_computed_are_refused() {
    let refuse = |change: &dyn Fn(&mut ModelConfig)| {
        let mut config = ModelConfig::tiny();
        change(&mut config);
        config.validate().unwrap_err().to_string()
    };
    assert!(refuse(&|c| c.num_layers = 0).contains("number of layers is 0"));
    assert!(refuse(&|c| c.num_kv_heads = 3).contains("cannot share 3"));
    assert!(refuse(&|c| c.head_dim = 15).contains("head size 15 is odd"));
    assert!(refuse(&|c| c.rope.theta = f64::NAN).contains("rotary base is NaN"));
    let divisors = RopeScaling::Divisors(vec![1.0; 7]);
    assert!(refuse(&|c| c.rope.scaling = divisors.clone()).contains("7 rotary divisors"));
    assert!(model(&ModelConfig::tiny()).kv_cache(0, 16).is_err());
}
