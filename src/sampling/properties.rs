//! Laws that hold for any logits and any settings.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::{
    Dry, DynamicTemperature, Mirostat, Sampler, SamplerParams, SamplerStage, Vocabulary, Xtc, mask,
};

fn sampler(params: &SamplerParams, seed: u64) -> Sampler {
    let vocabulary = Vocabulary::new(["a", "b", "\n", "c:", "\"d"]);
    Sampler::new(params, seed, &Arc::new(vocabulary)).expect("valid parameters")
}

fn logits() -> impl Strategy<Value = Vec<f32>> {
    let logit = prop_oneof![
        8 => -30f32..30.0,
        2 => (-3i8..3).prop_map(f32::from),
        1 => Just(f32::NEG_INFINITY),
        1 => Just(f32::NAN),
        1 => prop_oneof![Just(f32::INFINITY), Just(f32::MAX), Just(f32::MIN)],
    ];
    prop::collection::vec(logit, 1..300)
}

fn history() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(0u32..8, 0..80)
}

prop_compose! {
    fn truncation()(
        top_k in 0usize..20,
        top_p in 0f32..=1.0,
        top_a in 0f32..=1.0,
        min_p in 0f32..=1.0,
        tfs in 0f32..=1.0,
        typical_p in 0f32..=1.0,
        threshold in 0f32..=1.0,
        probability in 0f32..=1.0,
    ) -> SamplerParams {
        let xtc = Xtc { threshold, probability };
        SamplerParams { top_k, top_p, top_a, min_p, tfs, typical_p, xtc, ..SamplerParams::default() }
    }
}

prop_compose! {
    fn params()(
        truncation in truncation(),
        temperature in 0f32..=10.0,
        dynatemp in prop::option::of((0f32..1.0, 1f32..10.0, 0f32..10.0)),
        mirostat in prop::option::of((0f32..20.0, 0f32..=1.0)),
        repetition_penalty in 0.5f32..5.0,
        repetition_penalty_slope in 0f32..10.0,
        repetition_penalty_range in 0usize..100,
        frequency_penalty in -2f32..2.0,
        presence_penalty in -2f32..2.0,
        (multiplier, base, allowed_length) in (0f32..100.0, 1f32..10.0, 1usize..4),
        logit_bias in prop::collection::btree_map(0u32..400, -100f32..100.0, 0..4),
        order in Just(SamplerStage::DEFAULT_ORDER.to_vec()).prop_shuffle(),
    ) -> SamplerParams {
        SamplerParams {
            temperature,
            dynatemp: dynatemp.map(|(min, max, exponent)| DynamicTemperature { min, max, exponent }),
            mirostat: mirostat.map(|(tau, eta)| Mirostat { tau, eta }),
            repetition_penalty,
            repetition_penalty_slope,
            repetition_penalty_range,
            frequency_penalty,
            presence_penalty,
            dry: Dry { multiplier, base, allowed_length, ..Dry::default() },
            logit_bias,
            order,
            ..truncation
        }
    }
}

/// Ids that are neither masked nor NaN.
fn possible(logits: &[f32]) -> BTreeSet<u32> {
    (0..).zip(logits).filter(|&(_, &logit)| logit > -1e31).map(|(id, _)| id).collect()
}

proptest! {
    #[test]
    fn something_is_always_left_and_nothing_masked_comes_back(
        params in params(), mut logits in logits(), history in history(), coin in 0f64..1.0,
        masked in prop::collection::vec(0u32..400, 0..50), seed: u64,
    ) {
        mask(&mut logits, &masked);
        let possible = possible(&logits);
        let mut sampler = sampler(&params, seed);
        let left = sampler.distribution(&logits, &history, coin);
        prop_assert_eq!(left.is_empty(), possible.is_empty());
        prop_assert!(left.iter().all(|(id, _)| possible.contains(id)));
        let distinct: BTreeSet<_> = left.iter().map(|(id, _)| id).collect();
        prop_assert_eq!(distinct.len(), left.len());
        if !left.is_empty() {
            let sum: f64 = left.iter().map(|(_, probability)| probability).sum();
            prop_assert!((sum - 1.0).abs() < 1e-9, "probabilities sum to {}", sum);
        }
        for _ in 0..4 {
            let token = sampler.sample(&logits, &history);
            prop_assert!(possible.is_empty() || possible.contains(&token));
        }
    }

    #[test]
    fn stages_that_are_off_change_nothing(
        logits in logits(), history in history(),
        order in Just(SamplerStage::DEFAULT_ORDER.to_vec()).prop_shuffle(),
    ) {
        let off = SamplerParams {
            order,
            xtc: Xtc { threshold: 0.6, probability: 1.0 },
            repetition_penalty: 2.0,
            repetition_penalty_range: 0,
            ..SamplerParams::default()
        };
        let nothing = SamplerParams { order: Vec::new(), ..SamplerParams::default() };
        prop_assert_eq!(
            sampler(&off, 0).distribution(&logits, &history, 0.0),
            sampler(&nothing, 0).distribution(&logits, &history, 0.0)
        );
    }

    #[test]
    fn truncation_keeps_the_ratios_of_what_it_keeps(
        params in truncation(), logits in logits(), coin in 0f64..1.0,
    ) {
        let whole = sampler(&SamplerParams::default(), 0).distribution(&logits, &[], 0.0);
        let left = sampler(&params, 0).distribution(&logits, &[], coin);
        let share: f64 =
            whole.iter().filter(|(id, _)| left.iter().any(|(kept, _)| kept == id)).map(|w| w.1).sum();
        for (id, probability) in left {
            let before = whole.iter().find(|(other, _)| *other == id).expect("nothing new").1;
            // Where all that is left had next to no weight, ratios are lost to rounding.
            if share > 1e-200 {
                prop_assert!((probability * share - before).abs() <= 1e-9 * before);
            }
        }
    }

    #[test]
    fn stages_run_in_their_order(
        logits in logits(), history in history(), coin in 0f64..1.0,
        params in params(),
    ) {
        // Run one stage at a time, each fed with what the one before it left.
        let params = SamplerParams { mirostat: None, logit_bias: [].into(), ..params };
        let at_once = sampler(&params, 0).distribution(&logits, &history, coin);
        let mut row = logits.clone();
        for &stage in &params.order {
            let mut one = sampler(&params, 0);
            one.run_only(stage);
            let left = one.kept_logits(&row, &history, coin);
            row.fill(f32::NEG_INFINITY);
            for (id, logit) in left {
                row[id as usize] = logit;
            }
        }
        let one_by_one = sampler(&SamplerParams::default(), 0).distribution(&row, &[], 0.0);
        // Equal logits may come in another order after a stage that rounds.
        let by_id = |mut left: Vec<(u32, f64)>| {
            left.sort_by_key(|&(id, _)| id);
            left
        };
        let (at_once, one_by_one) = (by_id(at_once), by_id(one_by_one));
        prop_assert_eq!(at_once.len(), one_by_one.len());
        for (a, b) in at_once.iter().zip(&one_by_one) {
            prop_assert_eq!(a.0, b.0);
            prop_assert!((a.1 - b.1).abs() < 1e-9);
        }
    }

    #[test]
    fn parameters_survive_json_and_have_a_line(params in params()) {
        prop_assert_eq!(params.validate(), Ok(()));
        let json = serde_json::to_string(&params).unwrap();
        prop_assert_eq!(&serde_json::from_str::<SamplerParams>(&json).unwrap(), &params);
        prop_assert!(!params.to_string().contains('\n'));
    }

    #[test]
    fn going_back_gives_the_same_tokens_again(
        params in params(), logits in logits(), history in history(), seed: u64,
    ) {
        let mut sampler = sampler(&params, seed);
        sampler.sample(&logits, &history);
        let (state, mut clone) = (sampler.state(), sampler.clone());
        let next: Vec<_> = (0..3).map(|_| sampler.sample(&logits, &history)).collect();
        sampler.restore(state);
        prop_assert_eq!(sampler.state(), state);
        let again: Vec<_> = (0..3).map(|_| sampler.sample(&logits, &history)).collect();
        prop_assert_eq!(&next, &again);
        let cloned: Vec<_> = (0..3).map(|_| clone.sample(&logits, &history)).collect();
        prop_assert_eq!(next, cloned);
    }
}

#[test]
fn greedy_takes_the_likeliest_and_of_equals_the_lowest_id() {
    let params = SamplerParams { temperature: 0.0, ..SamplerParams::default() };
    let mut sampler = sampler(&params, 7);
    assert_eq!(sampler.sample(&[0.0, f32::NAN, 3.0, 1.0, 3.0], &[]), 2);
    assert_eq!(sampler.sample(&[-5.0; 9], &[]), 0);
    assert_eq!(sampler.sample(&[f32::NEG_INFINITY, -1e4, -1e4], &[]), 1);
    assert_eq!(sampler.sample(&[1.0, f32::INFINITY, f32::INFINITY], &[]), 1);
}

#[test]
fn with_every_token_masked_the_lowest_that_is_not_banned_is_given() {
    let row = [f32::NEG_INFINITY, f32::NAN, f32::MIN, f32::NEG_INFINITY];
    let mut params = SamplerParams::preset("limarp").expect("a preset");
    assert_eq!(sampler(&params, 1).sample(&row, &[1, 2]), 0);
    params.banned_tokens = [0, 1].into();
    assert_eq!(sampler(&params, 1).sample(&row, &[1, 2]), 2);
    assert_eq!(sampler(&params, 1).sample(&[1.0, 1.0], &[]), 0);
    assert_eq!(sampler(&params, 1).sample(&[], &[]), 0);
}

#[test]
fn a_step_takes_one_draw_and_one_coin_whatever_the_logits() {
    for (name, num_words) in [("neutral", 2), ("limarp", 2), ("creative", 4)] {
        let params = SamplerParams::preset(name).expect("a preset");
        for row in [&[0.0; 5][..], &[f32::NEG_INFINITY; 5], &[f32::NAN, 9.0]] {
            let mut left = sampler(&params, 3);
            let mut right = sampler(&params, 3);
            left.sample(row, &[0, 1]);
            right.sample(&[1.0, 2.0, 3.0], &[]);
            assert_eq!(left.state(), right.state(), "{name}");
            assert_eq!(left.state().word_pos(), num_words, "{name}");
        }
    }
}

#[test]
fn draws_follow_the_distribution() {
    let row: Vec<f32> = (0..12).map(|i| 2.0 - 0.35 * i as f32).collect();
    let params = SamplerParams { temperature: 0.9, ..SamplerParams::default() };
    let mut sampler = sampler(&params, 20_240_611);
    let expected = sampler.distribution(&row, &[], 0.0);
    let num_draws = 20_000;
    let mut counts = [0u32; 12];
    for _ in 0..num_draws {
        counts[sampler.sample(&row, &[]) as usize] += 1;
    }
    let statistic: f64 = expected
        .iter()
        .map(|&(id, probability)| {
            let expected = probability * f64::from(num_draws);
            (f64::from(counts[id as usize]) - expected).powi(2) / expected
        })
        .sum();
    // The 99.9 % point of chi-squared with 11 degrees of freedom.
    assert!(statistic < 31.26, "chi-squared is {statistic}");
    // A distribution as near as temperature 0.95 must be told apart.
    let wrong: f64 = {
        let mut other = self::sampler(&SamplerParams { temperature: 0.95, ..params }, 0);
        let expected = other.distribution(&row, &[], 0.0);
        let terms = expected.iter().map(|&(id, probability)| {
            let expected = probability * f64::from(num_draws);
            (f64::from(counts[id as usize]) - expected).powi(2) / expected
        });
        terms.sum()
    };
    assert!(wrong > 31.26, "the test is too weak: {wrong}");
}

#[test]
fn xtc_strikes_as_often_as_its_probability_says() {
    let xtc = Xtc { threshold: 0.3, probability: 0.25 };
    let mut sampler = sampler(&SamplerParams { xtc, ..SamplerParams::default() }, 5);
    // Two equal tokens: without XTC each half the time, with it always the second.
    let second = (0..20_000).filter(|_| sampler.sample(&[1.0, 1.0], &[]) == 1).count() as f64;
    let expected = 0.25 + 0.75 / 2.0;
    // Four standard deviations.
    assert!((second / 20_000.0 - expected).abs() < 4.0 * (0.625 * 0.375 / 20_000f64).sqrt());
}
