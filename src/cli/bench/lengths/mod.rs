//! `dramatis bench lengths`: how long replies are for each length that is asked for.
//!
//! The table of LimaRP's model card, for any model: each of the ten tags and none, at the
//! start of a scene and deep into one, as the model does it by itself and as the service
//! keeps it. What is written goes to a file as it comes, so that a run that was broken off
//! goes on where it was.

mod cells;
mod figures;
mod record;

use std::path::PathBuf;

use anyhow::ensure;
use clap::Args;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::super::Session;
use super::super::output::{line, note};
use super::super::progress::Counted;
use super::chosen::ModelArgs;
use super::loaded::Loaded;
use super::play::{Played, Players, Rules};
use super::plot;
use super::rows::Rows;
use super::scenes::SCENES;
use super::{MOST, any_number, at_least_one, whole};
use crate::config::profiles_file;
use crate::sampling::SamplerParams;
use cells::{Cell, Limits, Place};
use figures::Figure;
use record::{Line, Record};

/// Measure how long replies are for each length that is asked for
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct LengthsArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Replies for each length, place and way
    #[arg(long, value_name = "N", default_value = "12", value_parser = at_least_one)]
    replies: usize,
    /// Lines that are played before those deep in a scene
    #[arg(long, value_name = "N", default_value = "8", value_parser = at_least_one)]
    depth: usize,
    /// The most tokens of a reply, where its length allows more
    #[arg(long, value_name = "N", default_value = "1536", value_parser = most)]
    reply_tokens: usize,
    /// The sampling preset that ships
    #[arg(long, value_name = "NAME", default_value = "limarp")]
    preset: String,
    /// Of how many replies for each length, place and way the likelihood is computed
    #[arg(long, value_name = "N", default_value = "2", value_parser = any_number)]
    likelihoods: usize,
    /// Write to this file as it comes, and go on from what is there
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Keep the ranges that the model shows as its profile's, for the service to use
    #[arg(long)]
    save: bool,
    /// Draw the table as a chart (SVG)
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  dramatis bench lengths
  dramatis bench lengths --replies 40 --plot lengths.svg
  dramatis bench lengths --model ./limarp.gguf --record limarp.jsonl --save

“free” is the model by itself, “kept” as the service keeps it. A reply is within its range
if generation.lengths, or the model's profile, says so. With --save, the range from the
tenth to the ninetieth of a hundred free replies becomes the profile's, for each length, under
the name that --model or model.name says.";

fn most(text: &str) -> Result<usize, String> {
    whole::<16, MOST>(text)
}

pub(super) fn run(session: &Session, args: &LengthsArgs) -> anyhow::Result<()> {
    if let Some(path) = &args.plot {
        plot::check(path)?;
    }
    let sampler = SamplerParams::preset(&args.preset);
    let names = SamplerParams::PRESETS.join(", ");
    ensure!(sampler.is_some(), "there is no preset “{}”; those that ship: {names}", args.preset);
    let sampler = sampler.expect("checked above");
    let loaded = Loaded::load(session, &args.model)?;
    let chosen = args.model.session(session);
    let limits = Limits::of(&chosen.config, args.reply_tokens);
    let key = json!({
        "fingerprint": loaded.model.fingerprint(),
        "weights": loaded.subject.weights,
        "preset": args.preset,
        "depth": args.depth,
        "limits": limits.shown(),
    });
    let path = args.record.clone().unwrap_or_else(|| {
        // Other settings, another file: none is ever in the way of another.
        let print = Sha256::digest(key.to_string());
        let print: String = print[..6].iter().map(|byte| format!("{byte:02x}")).collect();
        chosen.config.data_dir.join("bench").join(format!("lengths-{print}.jsonl"))
    });
    let mut record = Record::open(&path, &key)?;
    let written = write(&loaded, args, &limits, &sampler, &mut record)?;
    let figures = figures::all(&written, &limits);
    if let Some(path) = &args.plot {
        figures::chart(&loaded.subject.model, &figures).write(path)?;
        note(format_args!("the chart is in {}", path.display()));
    }
    if args.json {
        let results = json!({
            "preset": args.preset,
            "replies": args.replies,
            "depth": args.depth,
            "lengths": figures,
        });
        line(serde_json::to_string_pretty(&loaded.subject.report("lengths", results))?);
    } else {
        line(loaded.subject.heading());
        figures::show(&figures);
        note(format_args!("what was written is in {}", path.display()));
    }
    if args.save {
        save(&chosen, &figures)?;
    }
    Ok(())
}

/// Every reply that is asked for, from the record or written now.
fn write(
    loaded: &Loaded,
    args: &LengthsArgs,
    limits: &Limits,
    sampler: &SamplerParams,
    record: &mut Record,
) -> anyhow::Result<Vec<Line>> {
    let cells = Cell::all();
    let missing = |record: &Record| -> usize {
        cells.iter().map(|cell| args.replies - record.count(cell).min(args.replies)).sum()
    };
    let num_missing = missing(record);
    if num_missing < cells.len() * args.replies {
        let there = cells.len() * args.replies - num_missing;
        note(format_args!("{there} replies are there already"));
    }
    let mut scenes: Vec<_> = SCENES.iter().map(Played::new).collect();
    let plain = Rules::plain(limits.longest(), sampler.clone());
    let mut players = Players::new(loaded, &scenes, &plain)?;
    let start = scenes.clone();
    if num_missing > 0 {
        let progress = Counted::new(args.depth, "lines before those deep in a scene");
        let before = Rules::plain(args.reply_tokens.min(120), sampler.clone());
        for round in 0..args.depth {
            players.round(&mut scenes, round, &before)?;
            progress.advance();
        }
    }
    let progress = Counted::new(num_missing, "replies");
    let mut rows = None;
    for cell in &cells {
        let (scenes, round) = match cell.place {
            Place::Start => (&start, 0),
            Place::Deep => (&scenes, args.depth),
        };
        let rules = limits.rules(cell, sampler);
        let indices: Vec<_> = (record.count(cell)..args.replies).collect();
        // A few at once, so that little is lost where a run is broken off.
        for batch in indices.chunks(loaded.engine.max_batch_sequences) {
            let asked: Vec<_> = batch
                .iter()
                .map(|&index| {
                    let scene = &scenes[index % scenes.len()];
                    (scene, scene.answering(round), index as u64)
                })
                .collect();
            for (&index, written) in batch.iter().zip(players.write(&asked, &rules)?) {
                let likelihood = match index < args.likelihoods {
                    true => {
                        Some(likelihood(loaded, &mut rows, &written.prompt, &written.token_ids)?)
                    }
                    false => None,
                };
                record.add(Line::of(cell, &written, likelihood))?;
                progress.advance();
            }
        }
    }
    Ok(record.lines(args.replies))
}

/// The mean natural logarithm of the probability that the model by itself gives to the
/// tokens of a reply.
fn likelihood(
    loaded: &Loaded,
    rows: &mut Option<Rows>,
    prompt: &[u32],
    reply: &[u32],
) -> anyhow::Result<f64> {
    let tokens = [prompt, reply].concat();
    let context = loaded.engine.context_tokens_of(&loaded.model)?;
    let rows = match rows {
        Some(rows) => rows,
        None => rows.insert(Rows::new(loaded.model.clone(), context)?),
    };
    let mut sum = 0.0;
    rows.read(&tokens[..tokens.len() - 1], prompt.len() - 1, |position, row| {
        sum += super::rows::log_probability(row, tokens[position + 1]);
    })?;
    Ok(sum / reply.len().max(1) as f64)
}

fn save(session: &Session, figures: &[Figure]) -> anyhow::Result<()> {
    let ranges = figures::ranges(figures);
    ensure!(
        figures::are_told_apart(figures),
        "this model does not follow the lengths that are asked for: its medians do not grow from \
         micro to humongous. Its ranges are not kept, as they would make all lengths alike; \
         generation.lengths goes on to count"
    );
    let path = profiles_file(&session.config.data_dir);
    crate::config::save_lengths(&path, &session.config.model.name, &ranges)?;
    note(format_args!(
        "its ranges are in {} under the name {}, and count from the next start",
        path.display(),
        session.config.model.name
    ));
    Ok(())
}
