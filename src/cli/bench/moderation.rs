//! `dramatis bench moderation`: what checking costs, a text at once and a reply that grows,
//! against a list of curses alone.
//!
//! Both read the same texts in turn on one core. The list of curses sees no disguises but
//! leetspeak and knows one theme, so the ratio is the price of all the rest.

use std::hint::black_box;
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use super::super::output::line;
use super::at_least_one;
use super::samples::Samples;
use super::table::{row, table};
use crate::moderation::{Checker, Door, Policy, Reading, SceneFacts, Verdict};

/// Roleplay that meets no rule.
const STORY: &str = include_str!("../../moderation/innocent.txt");

/// How much a growing reply has grown when it is looked at again, in bytes.
const STEP: usize = 24;

/// What checking texts costs
#[derive(Debug, Args)]
pub struct ModerationArgs {
    /// The rules: family, teen, mature or strict
    #[arg(long, default_value = "family")]
    policy: String,
    /// How long each text is, in bytes, about
    #[arg(long, default_value = "1024", value_parser = at_least_one)]
    bytes: usize,
    /// How many texts are read in a round
    #[arg(long, default_value = "200", value_parser = at_least_one)]
    texts: usize,
    /// How often both are measured, in turn
    #[arg(long, default_value = "11", value_parser = at_least_one)]
    rounds: usize,
    /// As JSON, with every sample
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ModerationArgs) -> anyhow::Result<()> {
    let policy = Policy::preset(&args.policy).with_context(|| {
        format!("there are no rules “{}”; write one of {}", args.policy, Policy::PRESETS.join(", "))
    })?;
    let checker = Checker::new(&policy)?;
    let curses = censor::Censor::Standard;
    let texts = texts(args.bytes, args.texts);
    let facts = SceneFacts::default();
    let check = |text: &str| checker.check(Door::Reply, text, facts).verdict > Verdict::Allow;
    let met = texts.iter().filter(|text| check(text)).count();
    anyhow::ensure!(met == 0, "the rules meet something in {met} of the texts, which are innocent");
    let num_bytes: usize = texts.iter().map(String::len).sum();
    let num_looks: usize = texts.iter().map(|text| text.len().div_ceil(STEP)).sum();
    let (mut ours, mut plain, mut growing) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        ours.push(seconds(|| texts.iter().filter(|text| check(text)).count()));
        plain.push(seconds(|| texts.iter().filter(|text| curses.check(text)).count()));
        growing.push(seconds(|| texts.iter().map(|text| grow(&checker, text)).sum::<usize>()));
    }
    let each = |seconds: &[f64], count: usize| -> Vec<f64> {
        seconds.iter().map(|all| all * 1e6 / count as f64).collect()
    };
    let speed = |seconds: &[f64]| -> Vec<f64> {
        seconds.iter().map(|all| num_bytes as f64 / 1e6 / all).collect()
    };
    let figures = [
        ("checking a text, µs", "check_us", each(&ours, texts.len())),
        ("checking, MB/s a core", "check_mb_s", speed(&ours)),
        ("a list of curses alone, MB/s", "curses_mb_s", speed(&plain)),
        (
            "times as fast",
            "ratio",
            plain.iter().zip(&ours).map(|(plain, ours)| plain / ours).collect(),
        ),
        ("a look at a growing reply, µs", "look_us", each(&growing, num_looks)),
    ];
    if args.json {
        let figures = figures.iter().map(|(_, key, samples)| ((*key).to_owned(), json!(samples)));
        let mut all: serde_json::Map<_, _> = figures.collect();
        all.insert("policy".into(), json!(args.policy));
        all.insert("bytes".into(), json!(num_bytes / texts.len()));
        line(serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    let heading =
        format!("{} texts of {} bytes, “{}”", texts.len(), num_bytes / texts.len(), args.policy);
    let mut rows = table([&heading, "median", "min", "max"]);
    for (name, _, samples) in figures {
        rows.add_row(row(name, &Samples::new(samples).expect("there is one round at least")));
    }
    line(rows);
    Ok(())
}

fn seconds<T>(work: impl FnOnce() -> T) -> f64 {
    let began = Instant::now();
    black_box(work());
    began.elapsed().as_secs_f64()
}

/// Shows a text as a reply that grows; says how much of it was shown in the end.
fn grow(checker: &Checker, text: &str) -> usize {
    let mut reading = Reading::default();
    let mut end = 0;
    let mut shown = 0;
    while end < text.len() {
        end = text.ceil_char_boundary(end + STEP).min(text.len());
        shown = checker.showable(&text[..end], SceneFacts::default(), &mut reading);
    }
    shown
}

/// Different texts of about that length.
fn texts(bytes: usize, count: usize) -> Vec<String> {
    let lines: Vec<&str> = STORY.lines().filter(|line| !line.trim().is_empty()).collect();
    let mut next = 0;
    let mut text = || {
        let mut text = String::new();
        while text.len() < bytes {
            text.push_str(lines[next % lines.len()]);
            text.push(' ');
            // A step that no list of lines is a multiple of: no two texts are alike soon.
            next += 7;
        }
        next += 1;
        text
    };
    (0..count).map(|_| text()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_differ_and_a_growing_one_is_shown_but_for_its_end() {
        let texts = texts(300, 20);
        assert!(texts.iter().all(|text| (300..700).contains(&text.len())));
        assert!(texts.windows(2).all(|pair| pair[0] != pair[1]));
        let checker = Checker::new(&Policy::preset("family").expect("shipped")).expect("rules");
        let shown = grow(&checker, &texts[0]);
        assert!(shown > 200 && shown <= texts[0].len(), "{shown} of {}", texts[0].len());
    }
}
