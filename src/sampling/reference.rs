//! Every processor against values that `tests/fixtures/sampling_reference.py`
//! computed: numpy, `f64`, each definition written down anew from its source.
//!
//! Which candidates are left, and in which order, must be equal; log
//! probabilities agree within `TOLERANCE`, as logits are held in `f32`.

use std::sync::Arc;

use serde::Deserialize;

use super::candidates::Candidates;
use super::{Sampler, SamplerParams, Vocabulary, mirostat, sampler};

/// Half a step of `f32` at a logit of 40 is 2e-6; a temperature of 0.05 makes
/// that 4e-5.
const TOLERANCE: f64 = 5e-5;

#[derive(Deserialize)]
struct Document {
    cases: Vec<Case>,
    large: Vec<Large>,
    mirostat: Vec<MirostatRun>,
    replies: Vec<Reply>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    logits: Vec<Option<f32>>,
    history: Vec<u32>,
    coin: f64,
    vocabulary: Vec<String>,
    params: SamplerParams,
    ids: Vec<u32>,
    logp: Vec<f64>,
}

#[derive(Deserialize)]
struct Large {
    n: u64,
    scale: f64,
    seed: u64,
    params: SamplerParams,
    kept: usize,
    id_sum: u64,
    ids: Vec<u32>,
    logp: Vec<f64>,
}

#[derive(Deserialize)]
struct MirostatRun {
    n: u64,
    scale: f64,
    seed: u64,
    params: SamplerParams,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    token: u32,
    mu: f64,
}

#[derive(Deserialize)]
struct Reply {
    preset: String,
    seed: u64,
    tokens: Vec<u32>,
}

fn document() -> Document {
    serde_json::from_str(include_str!("../../tests/fixtures/sampling.json"))
        .expect("the fixture is valid")
}

/// The script's `hashed_logits`.
fn hashed_logits(n: u64, scale: f64, seed: u64) -> Vec<f32> {
    let fraction = |i: u64| f64::from((i * 2_654_435_761 + seed * 40_503) as u32) / 2f64.powi(32);
    (0..n).map(fraction).map(|v| (scale * v * v * v * v) as f32).collect()
}

fn sampler(params: &SamplerParams, seed: u64, vocabulary: Vocabulary) -> Sampler {
    Sampler::new(params, seed, &Arc::new(vocabulary)).expect("the fixture's parameters are valid")
}

fn assert_close(name: &str, left: &[(u32, f64)], ids: &[u32], logp: &[f64]) {
    let left_ids: Vec<u32> = left.iter().map(|&(id, _)| id).collect();
    assert_eq!(left_ids, ids, "{name}");
    for (&(id, probability), &logp) in left.iter().zip(logp) {
        // ln 0 is written as −1000.
        let error = (probability.ln().max(-1000.0) - logp).abs();
        assert!(error <= TOLERANCE, "{name}: token {id}: ln {probability} is not {logp}");
    }
}

#[test]
fn every_stage_gives_the_reference_distribution() {
    let cases = document().cases;
    assert!(cases.len() > 250);
    for case in cases {
        let logits: Vec<f32> =
            case.logits.iter().map(|logit| logit.unwrap_or(f32::NEG_INFINITY)).collect();
        let mut sampler = sampler(&case.params, 0, Vocabulary::new(&case.vocabulary));
        let left = sampler.distribution(&logits, &case.history, case.coin);
        assert_close(&case.name, &left, &case.ids, &case.logp);
    }
}

#[test]
fn sorting_only_a_head_gives_what_sorting_all_gives() {
    for case in document().large {
        let name = format!("{} × {}: {}", case.n, case.scale, case.params);
        let mut sampler = sampler(&case.params, 0, Vocabulary::default());
        let left = sampler.distribution(&hashed_logits(case.n, case.scale, case.seed), &[], 0.0);
        assert_eq!(left.len(), case.kept, "{name}");
        assert_eq!(left.iter().map(|&(id, _)| u64::from(id)).sum::<u64>(), case.id_sum, "{name}");
        let head = &left[..left.len().min(8)];
        assert_close(&name, head, &case.ids, &case.logp);
    }
}

#[test]
fn mirostat_follows_the_reference_step_by_step() {
    for run in document().mirostat {
        let settings = run.params.mirostat.expect("a run of mirostat");
        let mut whole = sampler(&run.params, run.seed, Vocabulary::default());
        let mut candidates = Candidates::default();
        let mut mu = mirostat::initial_mu(&settings);
        let mut rng = sampler::Uniform::new(run.seed);
        for (at, step) in run.steps.iter().enumerate() {
            let logits = hashed_logits(run.n, run.scale, run.seed + at as u64);
            candidates.load(&logits);
            candidates.scale(|logit| logit / run.params.temperature);
            let token = mirostat::draw(&mut candidates, &settings, &mut mu, rng.next());
            assert_eq!(token, Some(step.token), "{}, step {at}", run.params);
            assert!((mu - step.mu).abs() < 1e-4, "{}, step {at}: {mu}", run.params);
            assert_eq!(whole.sample(&logits, &[]), step.token, "{}, step {at}", run.params);
        }
    }
}

#[test]
fn a_seed_gives_the_reference_reply() {
    let words = |id| if id % 9 == 0 { format!("t{id}\n") } else { format!("t{id}") };
    for reply in document().replies {
        let params = SamplerParams::preset(&reply.preset).expect("a preset");
        let vocabulary = Vocabulary::new((0..60).map(words));
        let mut sampler = sampler(&params, reply.seed, vocabulary);
        let mut history: Vec<u32> = (0..20).chain(0..20).collect();
        for step in 0..reply.tokens.len() as u64 {
            let logits = hashed_logits(60, 7.0, step % 3);
            history.push(sampler.sample(&logits, &history));
        }
        assert_eq!(history[40..], reply.tokens, "{} {}", reply.preset, reply.seed);
    }
}
