//! `dramatis bench repetition`: how often replies say what their character said before,
//! and how often they speak for somebody else.
//!
//! The model plays long scenes with itself, twice for each preset: as it writes, and as the
//! service checks it, which writes a reply once more where it counts as said before. The
//! checked scenes run apart from the first on, as what was said shapes what is said.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::super::Session;
use super::super::output::{line, note};
use super::super::progress::Counted;
use super::chosen::ModelArgs;
use super::loaded::Loaded;
use super::play::{Played, Players, Rules, Written};
use super::plot::{self, Chart, Point, Series};
use super::scenes::SCENES;
use super::table::{number, percent, table};
use super::{MOST, at_least_one, whole};
use crate::config::RepetitionConfig;
use crate::prose::Repetition;
use crate::sampling::SamplerParams;

/// Turns of which the chart shows the mean.
const SMOOTHED: usize = 6;

/// Measure how often replies say what was said before, or speak for others
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct RepetitionArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Scenes that the model plays with itself
    #[arg(long, value_name = "N", default_value = "6", value_parser = scenes)]
    scenes: usize,
    /// Replies in each
    #[arg(long, value_name = "N", default_value = "24", value_parser = at_least_one)]
    turns: usize,
    /// People in each scene
    #[arg(long, value_name = "N", default_value = "2", value_parser = whole::<2, 8>)]
    people: usize,
    /// The most tokens of a reply
    #[arg(long, value_name = "N", default_value = "120", value_parser = whole::<2, MOST>)]
    reply_tokens: usize,
    /// The sampling presets, of those that ship
    #[arg(
        long,
        value_name = "NAME,…",
        value_delimiter = ',',
        default_value = "limarp,neutral,creative"
    )]
    presets: Vec<String>,
    /// Draw the overlap over the turns as a chart (SVG)
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  dramatis bench repetition --plot repetition.svg
  dramatis bench repetition --people 5 --presets limarp
  dramatis bench repetition --set generation.repetition.overlap=0.2

A reply counts as said before as generation.repetition says: by the share of its 4-grams of
words that stand in one of the character's last replies, or by the longest run in common.
“for others” are replies that hold a line of another participant, which as checked must be
none; “cut off” is what was written of such lines, in percent of all tokens.";

fn scenes(text: &str) -> Result<usize, String> {
    const ALL: usize = SCENES.len();
    whole::<1, ALL>(text).map_err(|wrong| format!("{wrong}: {ALL} scenes come along"))
}

/// Scenes played in one way.
#[derive(Debug, Serialize)]
struct Figure {
    preset: String,
    /// Whether replies are checked, and written once more.
    checked: bool,
    replies: usize,
    /// The share of first tries that count as said before.
    first: f64,
    /// The share of replies that stand and count.
    standing: f64,
    /// The mean overlap of what stands.
    overlap: f64,
    /// The longest run of words of any reply that stands.
    longest_run: usize,
    /// Replies that hold another's line.
    for_others: usize,
    /// Tokens of others' lines that were cut off, of all tokens.
    for_others_tokens: f64,
    /// The mean overlap of what stands, by turn.
    by_turn: Vec<f64>,
}

pub(super) fn run(session: &Session, args: &RepetitionArgs) -> anyhow::Result<()> {
    if let Some(path) = &args.plot {
        plot::check(path)?;
    }
    let presets = presets(&args.presets)?;
    let limits = session.config.generation.repetition;
    ensure!(limits.replies > 0, "generation.repetition.replies is 0: nothing is compared");
    let loaded = Loaded::load(session, &args.model)?;
    let progress = Counted::new(presets.len() * 2 * args.turns, "turns in all scenes");
    let mut figures = Vec::new();
    for (name, sampler) in &presets {
        for checked in [false, true] {
            let plain = Rules::plain(args.reply_tokens, sampler.clone());
            let rules = Rules { repetition: limits, checked, ..plain };
            figures.push(play(&loaded, args, name, &rules, &progress)?);
        }
    }
    drop(progress);
    if let Some(path) = &args.plot {
        chart(&loaded.subject.model, &figures).write(path)?;
        note(format_args!("the chart is in {}", path.display()));
    }
    if args.json {
        let RepetitionConfig { replies, overlap, run } = limits;
        let results = json!({
            "scenes": args.scenes,
            "turns": args.turns,
            "people": args.people,
            "counts": { "replies": replies, "overlap": overlap, "run": run },
            "figures": figures,
        });
        line(serde_json::to_string_pretty(&loaded.subject.report("repetition", results))?);
    } else {
        line(loaded.subject.heading());
        show(&figures);
    }
    Ok(())
}

fn presets(names: &[String]) -> anyhow::Result<Vec<(String, SamplerParams)>> {
    let known = SamplerParams::PRESETS.join(", ");
    let preset = |name: &String| {
        let sampler = SamplerParams::preset(name.trim());
        let sampler = sampler
            .with_context(|| format!("there is no preset “{name}”; those that ship: {known}"));
        Ok((name.trim().to_owned(), sampler?))
    };
    names.iter().map(preset).collect()
}

fn play(
    loaded: &Loaded,
    args: &RepetitionArgs,
    preset: &str,
    rules: &Rules,
    progress: &Counted,
) -> anyhow::Result<Figure> {
    let mut scenes: Vec<_> = (0..args.scenes)
        .map(|index| match args.people {
            2 => Played::new(&SCENES[index]),
            people => Played::party(index, people),
        })
        .collect();
    let mut players = Players::new(loaded, &scenes, rules)?;
    let mut turns = Vec::new();
    for round in 0..args.turns {
        turns.push(players.round(&mut scenes, round, rules)?);
        progress.advance();
    }
    Ok(figure(preset, rules, &turns))
}

fn figure(preset: &str, rules: &Rules, turns: &[Vec<Written>]) -> Figure {
    let counts = |of: Repetition| rules.repetition.counts(of.overlap, of.longest_run);
    let all = || turns.iter().flatten();
    let share = |holds: &dyn Fn(&Written) -> bool| {
        all().filter(|written| holds(written)).count() as f64 / all().count().max(1) as f64
    };
    let mean = |of: &[Written]| {
        of.iter().map(|written| written.standing.overlap).sum::<f64>() / of.len().max(1) as f64
    };
    let by_turn: Vec<_> = turns.iter().map(|turn| mean(turn)).collect();
    let num_tokens: usize = all().map(|written| written.num_tokens).sum();
    let cut: usize = all().map(|written| written.others_tokens).sum();
    Figure {
        preset: preset.to_owned(),
        checked: rules.checked,
        replies: all().count(),
        first: share(&|written| counts(written.first)),
        standing: share(&|written| counts(written.standing)),
        overlap: by_turn.iter().sum::<f64>() / by_turn.len().max(1) as f64,
        longest_run: all().map(|written| written.standing.longest_run).max().unwrap_or(0),
        for_others: all().filter(|written| written.holds_other).count(),
        for_others_tokens: cut as f64 / num_tokens.max(1) as f64,
        by_turn,
    }
}

fn show(figures: &[Figure]) {
    let mut rows = table([
        "preset, way",
        "replies",
        "said before, first",
        "as it stands",
        "mean overlap",
        "longest run",
        "for others",
        "cut off",
    ]);
    for figure in figures {
        rows.add_row([
            named(figure),
            figure.replies.to_string(),
            percent(figure.first),
            percent(figure.standing),
            number(figure.overlap),
            format!("{} words", figure.longest_run),
            figure.for_others.to_string(),
            percent(figure.for_others_tokens),
        ]);
    }
    line(rows);
}

fn named(figure: &Figure) -> String {
    let way = if figure.checked { "checked" } else { "as written" };
    format!("{}, {way}", figure.preset)
}

/// The overlap over the turns, each point the mean of a few of them.
fn chart(model: &str, figures: &[Figure]) -> Chart {
    let series = figures.iter().map(|figure| {
        let width = SMOOTHED.min(figure.by_turn.len()).max(1);
        let smoothed = figure.by_turn.windows(width);
        let points = (width..).zip(smoothed).map(|(turn, window)| {
            Point::at(turn, 1e2 * window.iter().sum::<f64>() / window.len() as f64)
        });
        Series { name: named(figure), points: points.collect() }
    });
    Chart {
        title: format!("Words said before: {model}"),
        x_label: "turn of the scene",
        y_label: "4-grams of a character's last replies, %",
        x_names: Vec::new(),
        series: series.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::FinishReason;

    fn written(first: f64, standing: f64) -> Written {
        let repetition = |overlap| Repetition { overlap, longest_run: 5 };
        Written {
            text: "Yes.".into(),
            finish_reason: FinishReason::Eos,
            prompt: vec![1],
            token_ids: vec![2; 10],
            first: repetition(first),
            standing: repetition(standing),
            num_tokens: 10,
            others_tokens: 1,
            holds_other: false,
        }
    }

    #[test]
    fn first_tries_and_what_stands_are_counted_apart() {
        let repetition = RepetitionConfig { replies: 8, overlap: 0.3, run: 12 };
        let rules = Rules { repetition, ..Rules::plain(100, SamplerParams::default()) };
        let turns = [
            vec![written(0.5, 0.1), written(0.1, 0.1)],
            vec![written(0.4, 0.4), written(0.0, 0.0)],
        ];
        let figure = figure("limarp", &rules, &turns);
        assert_eq!((figure.first, figure.standing), (0.5, 0.25));
        assert_eq!((figure.for_others, figure.for_others_tokens), (0, 0.1));
        assert_eq!(figure.by_turn, [0.1, 0.2]);
        let chart = chart("small", &[figure]);
        assert_eq!(chart.series[0].name, "limarp, as written");
        assert!(presets(&["calm".into()]).unwrap_err().to_string().contains("creative"));
    }
}
