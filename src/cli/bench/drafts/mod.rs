//! `dramatis bench drafts`: what drafts from the text so far would be worth.
//!
//! The model plays scenes with itself, without drafts; each reply is then counted
//! again as if it had been drafted, and the steps that would have been taken are
//! weighed with what such steps take. One sequence at a time: with several, the rows
//! of a step are not as cheap.

mod cost;
mod lookup;

use anyhow::ensure;
use clap::Args;
use serde_json::{Value, json};

use super::super::Session;
use super::super::output::line;
use super::super::progress::Counted;
use super::chosen::ModelArgs;
use super::loaded::Loaded;
use super::play::{Played, Players, Rules};
use super::scenes::SCENES;
use super::table::{number, percent, table};
use super::{MOST, at_least_one, whole};
use crate::sampling::SamplerParams;
use cost::Costs;
use lookup::{Method, Reply, Tally};

const PRESET: &str = "limarp";

/// Measure whether drafts from the text so far would make replies faster
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DraftsArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Scenes that the model plays with itself, up to all there are
    #[arg(long, value_name = "N", default_value_t = SCENES.len(), value_parser = scenes)]
    scenes: usize,
    /// Replies in each
    #[arg(long, value_name = "N", default_value = "6", value_parser = at_least_one)]
    turns: usize,
    /// The most tokens of a reply
    #[arg(long, value_name = "N", default_value = "120", value_parser = reply_tokens)]
    reply_tokens: usize,
    /// How often each step is timed
    #[arg(long, value_name = "N", default_value = "15", value_parser = at_least_one)]
    repeats: usize,
    /// As JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  dramatis bench drafts
  dramatis bench drafts --model ./model.gguf --json

A draft of up to K tokens is what followed the last N tokens when they were there last, in
the prompt or the reply. One step computes them all and keeps those that the sampler draws
too. The speed-up is that of one sequence alone.";

fn scenes(text: &str) -> Result<usize, String> {
    const ALL: usize = SCENES.len();
    whole::<1, ALL>(text).map_err(|wrong| format!("{wrong}: {ALL} scenes come along"))
}

fn reply_tokens(text: &str) -> Result<usize, String> {
    let why = "a reply's first token comes with its prompt, and drafts begin behind it";
    whole::<2, MOST>(text).map_err(|wrong| format!("{wrong}: {why}"))
}

/// A method with what it would have done.
struct Figure {
    method: Method,
    tally: Tally,
}

pub(super) fn run(session: &Session, args: &DraftsArgs) -> anyhow::Result<()> {
    let loaded = Loaded::load(session, &args.model)?;
    let sampler = SamplerParams::preset(PRESET).expect("the preset ships");
    let replies = play(&loaded, args, &sampler)?;
    ensure!(
        num_written(&replies) > replies.len(),
        "each reply ended with its first token, behind which drafts would begin: nothing is to be \
         measured; is this a model that writes?"
    );
    let longest = replies.iter().max_by_key(|reply| reply.tokens.len());
    let costs =
        Costs::measure(&loaded, longest.expect("a scene has a reply"), &sampler, args.repeats)?;
    let figures: Vec<_> = Method::all()
        .map(|method| {
            let mut tally = Tally::default();
            replies.iter().for_each(|reply| tally.add(reply, method));
            Figure { method, tally }
        })
        .collect();
    if args.json {
        let results = results(args, &replies, &costs, &figures);
        line(serde_json::to_string_pretty(&loaded.subject.report("drafts", results))?);
    } else {
        line(loaded.subject.heading());
        show(&replies, &costs, &figures);
    }
    Ok(())
}

fn play(loaded: &Loaded, args: &DraftsArgs, sampler: &SamplerParams) -> anyhow::Result<Vec<Reply>> {
    let mut scenes: Vec<_> = SCENES.iter().take(args.scenes).map(Played::new).collect();
    let rules = Rules::plain(args.reply_tokens, sampler.clone());
    let mut players = Players::new(loaded, &scenes, &rules)?;
    let progress = Counted::new(args.turns, "turns in each scene");
    let mut replies = Vec::new();
    for round in 0..args.turns {
        let written = players.round(&mut scenes, round, &rules)?.into_iter();
        replies.extend(written.map(|written| Reply {
            tokens: [&written.prompt[..], &written.token_ids].concat(),
            num_prompt_tokens: written.prompt.len(),
        }));
        progress.advance();
    }
    Ok(replies)
}

fn num_written(replies: &[Reply]) -> usize {
    replies.iter().map(|reply| reply.tokens.len() - reply.num_prompt_tokens).sum()
}

fn results(args: &DraftsArgs, replies: &[Reply], costs: &Costs, figures: &[Figure]) -> Value {
    let figure = |Figure { method, tally }: &Figure| {
        json!({
            "matched": method.matched,
            "drafted": method.drafted,
            "steps_by_rows": tally.steps_by_rows,
            "drafted_tokens": tally.drafted,
            "accepted_tokens": tally.accepted,
            "accepted_share": tally.accepted_share(),
            "tokens_per_step": tally.tokens_per_step(),
            "speed_up": tally.speed_up(&costs.step_s(), costs.sampling.median()),
        })
    };
    json!({
        "preset": PRESET,
        "scenes": args.scenes,
        "replies": replies.len(),
        "written_tokens": num_written(replies),
        "depth": costs.depth,
        "step_s": costs.step_s(),
        "sampling_s": costs.sampling.median(),
        "drafts": figures.iter().map(figure).collect::<Vec<_>>(),
        "samples": { "step_s": costs.steps, "sampling_s": costs.sampling },
    })
}

fn show(replies: &[Reply], costs: &Costs, figures: &[Figure]) {
    line(format_args!("{} tokens in {} replies", num_written(replies), replies.len()));
    let mut steps = table(["a step of one sequence", "ms", "of one row"]);
    let step_s = costs.step_s();
    for (index, seconds) in step_s.iter().enumerate() {
        let rows = format!("{} rows at depth {}", index + 1, costs.depth);
        steps.add_row([rows, number(seconds * 1e3), number(seconds / step_s[0])]);
    }
    let sampling = costs.sampling.median();
    steps.add_row(["drawing a token".to_owned(), number(sampling * 1e3), String::new()]);
    line(steps);
    let mut table = table(["last tokens, draft", "accepted", "tokens a step", "speed-up"]);
    for Figure { method, tally } in figures {
        table.add_row([
            format!("{}, up to {}", method.matched, method.drafted),
            percent(tally.accepted_share()),
            number(tally.tokens_per_step()),
            number(tally.speed_up(&step_s, sampling)),
        ]);
    }
    line(table);
}
