//! `dramatis bench sampling`: what choosing a token costs, for samplers that people use.
//!
//! Rows of logits are made, not computed: the token at rank r has the logit −s · ln r and
//! some noise, which is how probabilities in real rows fall (Zipf), and ranks are shuffled
//! anew in each row. One thread; an engine shares the rows of a step among its threads.

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use serde_json::{Map, json};

use super::super::output::line;
use super::samples::Samples;
use super::table::{row, table};
use super::{at_least_one, whole};
use crate::sampling::{Mirostat, Sampler, SamplerParams, Vocabulary};

/// How steeply logits fall with the logarithm of their rank: the likeliest token has about a
/// third of the mass, and the likeliest hundred nine tenths.
const STEEPNESS: f32 = 1.4;
/// What noise adds to a logit at most.
const NOISE: f32 = 0.5;
/// Rows that are made.
const NUM_ROWS: usize = 64;
/// Ids that the history is made of, so that it repeats itself.
const NUM_SEEN: u32 = 400;

/// What choosing a token costs
#[derive(Debug, Args)]
pub struct SamplingArgs {
    /// How many tokens the vocabulary has
    #[arg(long, value_name = "N", default_value = "32000", value_parser = whole::<2, 1_000_000>)]
    vocabulary: usize,
    /// Rows of logits to choose from, instead of made ones: 32-bit floats, little-endian
    #[arg(long, value_name = "FILE")]
    logits: Option<PathBuf>,
    /// How many tokens stand before, which penalties look at
    #[arg(long, value_name = "N", default_value = "2048", value_parser = at_least_one)]
    history: usize,
    /// How many tokens are chosen in a round
    #[arg(long, default_value = "64", value_parser = at_least_one)]
    tokens: usize,
    /// How often each sampler is measured, in turn
    #[arg(long, default_value = "11", value_parser = at_least_one)]
    rounds: usize,
    /// As JSON, with every sample
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &SamplingArgs) -> anyhow::Result<()> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let rows = match &args.logits {
        Some(file) => read(file, args.vocabulary)?,
        None => (0..NUM_ROWS).map(|_| logits(args.vocabulary, &mut rng)).collect(),
    };
    let seen = NUM_SEEN.min(args.vocabulary as u32);
    let history: Vec<_> = (0..args.history).map(|_| rng.next_u32() % seen).collect();
    let words = (0..args.vocabulary).map(|id| if id % 50 == 0 { "\n" } else { " word" });
    let vocabulary = Arc::new(Vocabulary::new(words));
    let mut samplers = Vec::new();
    for (name, params) in settings() {
        let sampler = Sampler::new(&params, 0, &vocabulary)?;
        samplers.push((name, params, sampler, Vec::new()));
    }
    for _ in 0..args.rounds {
        for (_, _, sampler, samples) in &mut samplers {
            let began = Instant::now();
            for row in rows.iter().cycle().take(args.tokens) {
                black_box(sampler.sample(row, &history));
            }
            samples.push(began.elapsed().as_secs_f64() * 1e6 / args.tokens as f64);
        }
    }
    if args.json {
        let samplers =
            samplers.iter().map(|(name, _, _, samples)| ((*name).to_owned(), json!(samples)));
        let all = json!({
            "bench": "sampling",
            "version": env!("CARGO_PKG_VERSION"),
            "vocabulary": args.vocabulary,
            "history": args.history,
            "token_us": samplers.collect::<Map<_, _>>(),
        });
        line(serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    let heading = format!("a token of {}, µs", args.vocabulary);
    let mut rows = table([&heading, "median", "min", "max"]);
    for (name, params, _, samples) in samplers {
        let name = match params.to_string() {
            said if said == name => said,
            said => format!("{name}: {said}"),
        };
        rows.add_row(row(&name, &Samples::new(samples).expect("there is one round at least")));
    }
    line(rows);
    Ok(())
}

/// The presets, and samplers that people set by hand.
fn settings() -> Vec<(&'static str, SamplerParams)> {
    let neutral = SamplerParams::default();
    let presets = SamplerParams::PRESETS
        .map(|name| (name, SamplerParams::preset(name).expect("PRESETS names it")));
    let others = [
        ("greedy", SamplerParams { temperature: 0.0, ..neutral.clone() }),
        ("top-k", SamplerParams { top_k: 40, top_p: 0.9, temperature: 0.8, ..neutral.clone() }),
        ("top-p", SamplerParams { top_p: 0.9, ..neutral.clone() }),
        (
            "min-p",
            SamplerParams {
                min_p: 0.05,
                repetition_penalty: 1.1,
                repetition_penalty_range: 512,
                ..neutral.clone()
            },
        ),
        ("typical", SamplerParams { typical_p: 0.9, ..neutral.clone() }),
        ("mirostat", SamplerParams { mirostat: Some(Mirostat { tau: 5.0, eta: 0.1 }), ..neutral }),
    ];
    presets.into_iter().chain(others).collect()
}

/// The rows of a file.
fn read(file: &Path, vocabulary: usize) -> anyhow::Result<Vec<Vec<f32>>> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let (floats, rest) = bytes.as_chunks();
    let (rows, cut) = (floats.chunks_exact(vocabulary), floats.len() % vocabulary + rest.len());
    anyhow::ensure!(
        cut == 0 && rows.len() > 0,
        "{} has {} bytes, which are no rows of {vocabulary} floats of 4 bytes: check --vocabulary",
        file.display(),
        bytes.len()
    );
    Ok(rows.map(|row| row.iter().map(|&x| f32::from_le_bytes(x)).collect()).collect())
}

/// A row, its ranks shuffled (Fisher and Yates).
fn logits(vocabulary: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let noise = |bits: u32| NOISE * (bits as f32 / u32::MAX as f32 - 0.5);
    let ranks = 1..=vocabulary;
    let mut logits: Vec<_> =
        ranks.map(|rank| -STEEPNESS * (rank as f32).ln() + noise(rng.next_u32())).collect();
    for last in (1..vocabulary).rev() {
        logits.swap(last, rng.next_u32() as usize % (last + 1));
    }
    logits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_as_many_likely_tokens_as_it_says() {
        let mut row = logits(32_000, &mut ChaCha8Rng::seed_from_u64(1));
        assert!(row[..100].iter().any(|&logit| logit < -10.0), "it is shuffled");
        row.sort_unstable_by(|a, b| b.total_cmp(a));
        let weights: Vec<_> = row.iter().map(|logit| f64::from(*logit).exp()).collect();
        let mass: f64 = weights.iter().sum();
        assert!((0.25..0.45).contains(&(weights[0] / mass)), "{}", weights[0] / mass);
        let hundred = weights[..100].iter().sum::<f64>() / mass;
        assert!((0.85..0.95).contains(&hundred), "{hundred}");
    }
}
