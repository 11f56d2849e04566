//! `dramatis bench lore`: what a large lorebook costs before each reply, against looking
//! for every key by itself.
//!
//! Both look for the same keys in the same turns, in turn, and must find the same
//! entries, so that the ratio is of equal work.

use std::hint::black_box;
use std::time::Instant;

use clap::Args;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use super::super::output::line;
use super::at_least_one;
use super::samples::Samples;
use super::table::table;
use crate::domain::{LoreEntry, Lorebook};
use crate::lore::{
    Lore, LoreInputs, LoreMessage, LoreScope, LoreSettings, LoreSource, TimedEffects,
};

/// Of what words and keys are made.
const SYLLABLES: [&str; 24] = [
    "ka", "lo", "mir", "ten", "vas", "el", "dor", "un", "shi", "ra", "bel", "gor", "in", "tha",
    "quel", "os", "fen", "ur", "ley", "mac", "zi", "hol", "ap", "wen",
];

/// What a large lorebook costs before each reply
#[derive(Debug, Args)]
pub struct LoreArgs {
    /// Entries of the book, three keys each
    #[arg(long, default_value = "2000", value_parser = at_least_one)]
    entries: usize,
    /// Turns that are scanned, of about a hundred words each
    #[arg(long, default_value = "100", value_parser = at_least_one)]
    turns: usize,
    /// How often both are measured, in turn
    #[arg(long, default_value = "11", value_parser = at_least_one)]
    rounds: usize,
    /// As JSON, with every sample
    #[arg(long)]
    json: bool,
}

/// A book and the turns that it is asked with.
struct Work {
    lore: Lore,
    /// The entries with lower-cased keys, for the plain loop.
    plain: Vec<Vec<String>>,
    turns: Vec<String>,
}

pub(super) fn run(args: &LoreArgs) -> anyhow::Result<()> {
    let work = Work::new(args.entries, args.turns);
    let half = Work::new(args.entries, args.turns.div_ceil(2));
    let (found, looked) = (work.activate(), work.look_for_each());
    anyhow::ensure!(found == looked, "the two do not find the same: {found} and {looked}");
    let (mut ours, mut plain, mut halves) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        ours.push(ms(|| work.activate()));
        plain.push(ms(|| work.look_for_each()));
        halves.push(ms(|| half.activate()));
    }
    let ratios: Vec<f64> = plain.iter().zip(&ours).map(|(plain, ours)| plain / ours).collect();
    let growth: Vec<f64> = ours.iter().zip(&halves).map(|(whole, half)| whole / half).collect();
    let figures = [
        ("activation, ms", "ours_ms", ours),
        ("a loop over the keys, ms", "plain_ms", plain),
        ("times faster", "ratio", ratios),
        ("with twice the turns, times longer", "growth", growth),
    ];
    if args.json {
        let entries = figures.iter().map(|(_, key, samples)| ((*key).to_owned(), json!(samples)));
        let mut all: serde_json::Map<_, _> = entries.collect();
        all.insert("entries".into(), args.entries.into());
        all.insert("turns".into(), args.turns.into());
        all.insert("told".into(), found.into());
        line(serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    let mut rows =
        table([&format!("{} entries, {} turns", args.entries, args.turns), "median", "min", "max"]);
    for (name, _, samples) in figures {
        let samples = Samples::new(samples).expect("there is one round at least");
        let shown = |value: f64| format!("{value:.2}");
        rows.add_row([
            name.to_owned(),
            shown(samples.median()),
            shown(samples.min()),
            shown(samples.max()),
        ]);
    }
    line(rows);
    line(format_args!("{found} entries are called"));
    Ok(())
}

fn ms<T>(work: impl FnOnce() -> T) -> f64 {
    let began = Instant::now();
    black_box(work());
    began.elapsed().as_secs_f64() * 1e3
}

impl Work {
    /// The same book and turns each time.
    fn new(num_entries: usize, num_turns: usize) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut word = || {
            let count = rng.random_range(2..=4);
            let parts = (0..count).map(|_| *SYLLABLES.choose(&mut rng).expect("there are some"));
            parts.collect::<String>()
        };
        let entries: Vec<LoreEntry> = (0..num_entries)
            .map(|uid| LoreEntry {
                uid: uid.to_string(),
                // A number makes most keys rare, as names are.
                keys: vec![format!("{} {}", word(), uid % 97), word() + "eth", word() + "ion"],
                content: format!("{} is told of {uid}.", word()),
                ..LoreEntry::default()
            })
            .collect();
        let mut words = |turn: usize| {
            let mut words: Vec<String> = (0..100).map(|_| word()).collect();
            // Every other turn speaks of an entry; the rest of the book stays silent.
            if turn.is_multiple_of(2) {
                words[50].clone_from(&entries[turn * 37 % num_entries].keys[0]);
            }
            words.join(" ")
        };
        let turns = (0..num_turns).map(&mut words).collect();
        let plain =
            entries.iter().map(|entry| entry.keys.iter().map(|it| it.to_lowercase()).collect());
        let plain = plain.collect();
        let book = Lorebook { entries, ..Lorebook::default() };
        let source = LoreSource { scope: LoreScope::Guild, id: "bench".into(), book };
        Self { lore: Lore::new(vec![source]), plain, turns }
    }

    /// How many entries are called, by the lore room.
    fn activate(&self) -> usize {
        let messages: Vec<_> =
            self.turns.iter().map(|text| LoreMessage { speaker: "Ann", text }).collect();
        let settings = LoreSettings {
            scan_depth: self.turns.len(),
            recursive: false,
            match_whole_words: false,
            ..LoreSettings::default()
        };
        let activation = self.lore.activate(&LoreInputs {
            messages: &messages,
            num_turns: self.turns.len(),
            num_replies: self.turns.len() / 2,
            settings: &settings,
            context_tokens: usize::MAX / 200,
            character: "Mira",
            tags: &[],
            trigger: "normal",
            extras: &[],
            greeting: None,
            user_icon: None,
            is_context_full: false,
            count_tokens: &|text| text.len() / 4,
            expand: &|text| text.to_owned(),
            seed: 0,
            effects: &TimedEffects::default(),
        });
        activation.fired.len()
    }

    /// The same by looking for every key by itself, in lower-cased text.
    fn look_for_each(&self) -> usize {
        let text = self.turns.iter().map(|text| format!("Ann: {text}")).collect::<Vec<_>>();
        let text = text.join("\n").to_lowercase();
        let called = |keys: &&Vec<String>| keys.iter().any(|key| text.contains(key.as_str()));
        self.plain.iter().filter(called).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_find_the_same_and_something() {
        let work = Work::new(300, 20);
        let found = work.activate();
        assert_eq!(found, work.look_for_each());
        assert!((1..300).contains(&found), "{found}");
    }
}
