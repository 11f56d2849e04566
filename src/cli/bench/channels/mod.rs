//! `dramatis bench channels`: the whole service, as a front end drives it.
//!
//! A private database, scenes with histories, prompts, the pool and the engine: a
//! reply takes the way that every reply takes, and only its showing is left out.

mod figures;
pub(super) mod house;
mod prose;
mod round;
mod stage;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use clap::Args;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::super::Session;
use super::super::database::runtime;
use super::super::output::{line, note};
use super::super::progress::Counted;
use super::chosen::{ModelArgs, context_tokens, model_path};
use super::plot::{self, Chart, Point, Series};
use super::subject::Subject;
use super::table::{number, percent, table};
use super::{any_number, at_least_one};
use crate::service;

use figures::{Kind, Overhead, RoundFigures};
use house::House;
use round::{Plan, Round};

/// About what a prompt says beside the story: who plays, and how.
const AROUND_TOKENS: usize = 128;

/// Measure the whole service: several channels, from a person's turn to the reply
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ChannelsArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// How many channels there are, each with a scene
    #[arg(long, value_name = "N", default_value = "8", value_parser = at_least_one)]
    channels: usize,
    /// How many turns each person says: so many rounds there are
    #[arg(long, value_name = "N", default_value = "3", value_parser = at_least_one)]
    turns: usize,
    /// Tokens that were said in each scene before
    #[arg(long, value_name = "N", default_value = "768", value_parser = any_number)]
    history_tokens: usize,
    /// Tokens of each person's turn
    #[arg(long, value_name = "N", default_value = "48", value_parser = at_least_one)]
    turn_tokens: usize,
    /// Tokens of each reply
    #[arg(long, value_name = "N", default_value = "32", value_parser = at_least_one)]
    reply_tokens: usize,
    /// Post to all channels at once; without it, to one after another
    #[arg(long)]
    together: bool,
    /// Milliseconds in which nobody says anything, before each round but the first
    #[arg(long, value_name = "MS", default_value = "0", value_parser = any_number)]
    pause_ms: usize,
    /// Stop the service after the first round and start it again on the same data
    #[arg(long)]
    restart: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Draw a chart into this SVG file
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  dramatis bench channels
  dramatis bench channels --together --plot channels.svg
  dramatis bench channels --restart --turns 2 --json
  dramatis --set engine.kv_cache_mib=64 bench channels --channels 20
  dramatis --set model.context_tokens=1024 bench channels --turns 8 --pause-ms 5000

The database and all that is said are in a directory of their own beside your data, which is
removed afterwards; your own scenes are not touched. In the first round nothing is cached.
The last example outgrows its window: the oldest turns go, and what remains is read again in
the pauses.";

/// What was measured.
struct Outcome {
    subject: Subject,
    rounds: Vec<RoundFigures>,
    overhead: Overhead,
}

pub(super) fn run(session: &Session, args: &ChannelsArgs) -> anyhow::Result<()> {
    ensure!(
        !args.restart || args.turns > 1,
        "--restart starts the service again after the first round: give it --turns 2 or more"
    );
    args.plot.as_deref().map_or(Ok(()), plot::check)?;
    let session = args.model.house_session(session);
    let model_path = model_path(&session)?;
    check_lengths(args, context_tokens(&session, &model_path)?)?;
    let house = House::build(&session, model_path, args.reply_tokens)?;
    // Gone before the house is: however a run ends, the database server is down when
    // its directory goes.
    let runtime = runtime()?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = measure(&session, &house, args) => outcome,
            asked = stop_asked() => asked.and(Err(anyhow!("stopped before it was done; nothing is left behind"))),
        }
    });
    drop(runtime);
    let outcome = outcome?;
    let Outcome { subject, rounds, overhead } = &outcome;
    if args.json {
        let report = subject.report("channels", results(args, rounds, overhead));
        line(serde_json::to_string_pretty(&report)?);
    } else {
        line(subject.heading());
        show(rounds, overhead);
    }
    if let Some(path) = &args.plot {
        chart(subject, args, rounds).write(path)?;
        note(format_args!("the chart is in {}", path.display()));
    }
    Ok(())
}

/// Whether a turn and its reply fit in a prompt at all; what was said before is trimmed.
fn check_lengths(args: &ChannelsArgs, context_tokens: usize) -> anyhow::Result<()> {
    let needed = args.turn_tokens + args.reply_tokens + AROUND_TOKENS;
    ensure!(
        needed <= context_tokens,
        "a turn, its reply and what stands around them take about {needed} tokens, and the context \
         has {context_tokens}: ask for fewer --turn-tokens or --reply-tokens"
    );
    Ok(())
}

/// Resolves once a person or the system wants it to stop; a terminal that closes, too.
async fn stop_asked() -> anyhow::Result<()> {
    let listen = |kind| signal(kind).context("cannot listen for signals");
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hang_up = listen(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
    Ok(())
}

async fn measure(session: &Session, house: &House, args: &ChannelsArgs) -> anyhow::Result<Outcome> {
    let options = service::local_options(&session.config, house.model_path().to_owned())?;
    let mut running = house.start().await?;
    let pool = running.chat().pool();
    let (model, backend) = (pool.model(), pool.backend_names());
    let subject = Subject::of_session(session, &options, &model.fingerprint, backend)?;
    let mut channels = running.furnish(args.channels, args.history_tokens).await?;
    let progress = Counted::new(args.channels * args.turns, "replies");
    let mut rounds: Vec<Round> = Vec::new();
    let mut figures = Vec::new();
    for number in 1..=args.turns {
        let kind = kind(number, args.restart);
        if number > 1 {
            tokio::time::sleep(Duration::from_millis(args.pause_ms as u64)).await;
        }
        if kind == Kind::AfterRestart {
            running.stop().await;
            running = house.start().await?;
        }
        let ChannelsArgs { turn_tokens, reply_tokens, together, .. } = *args;
        let plan = Plan { number, turn_tokens, reply_tokens, together };
        let round = running.play(&mut channels, &plan, &progress).await?;
        figures.push(RoundFigures::new(number, kind, &round));
        rounds.push(round);
    }
    running.stop().await;
    Ok(Outcome { subject, rounds: figures, overhead: Overhead::of(&rounds) })
}

fn kind(round: usize, restart: bool) -> Kind {
    match round {
        1 => Kind::Cold,
        2 if restart => Kind::AfterRestart,
        _ => Kind::Returning,
    }
}

fn results(args: &ChannelsArgs, rounds: &[RoundFigures], overhead: &Overhead) -> Value {
    json!({
        "channels": args.channels,
        "turns": args.turns,
        "history_tokens": args.history_tokens,
        "turn_tokens": args.turn_tokens,
        "reply_tokens": args.reply_tokens,
        "together": args.together,
        "pause_ms": args.pause_ms,
        "restart": args.restart,
        "rounds": rounds,
        "overhead": overhead,
    })
}

fn show(rounds: &[RoundFigures], overhead: &Overhead) {
    let mut by_round = table([
        "round",
        "first token, median",
        "worst",
        "tokens per second",
        "prompt cached",
        "prompt tokens",
    ]);
    for round in rounds {
        let times = &round.time_to_first_token_ms;
        by_round.add_row([
            format!("{} ({})", round.round, round.kind.word()),
            format!("{} ms", number(times.median)),
            format!("{} ms", number(times.worst)),
            number(round.tokens_per_s),
            percent(round.cached_share),
            round.prompt_tokens.to_string(),
        ]);
    }
    line(by_round);
    let Overhead { service_ms, .. } = overhead;
    let decode = overhead.decode_tokens_per_s.map_or("too short to tell".into(), number);
    let mut beside = table(["each reply", "median"]);
    for (name, figure) in [
        ("tokens per second, as shown", number(overhead.shown_tokens_per_s)),
        ("tokens per second, by the engine", number(overhead.engine_tokens_per_s)),
        ("the same without the prompt", decode),
        ("lost on the way", percent(overhead.lost_share)),
        ("service beside the engine", format!("{} ms", number(service_ms.median))),
        ("service beside the engine, worst", format!("{} ms", number(service_ms.worst))),
    ] {
        beside.add_row([name.to_owned(), figure]);
    }
    line(format_args!("\n{beside}"));
}

fn chart(subject: &Subject, args: &ChannelsArgs, rounds: &[RoundFigures]) -> Chart {
    let how = if args.together { "together" } else { "in turn" };
    let times = rounds.iter().map(|round| (round.round, &round.time_to_first_token_ms));
    let line = |name: &str, points: Vec<Point>| Series { name: name.into(), points };
    Chart {
        title: format!("{}: {} channels, {how}", subject.model, args.channels),
        x_label: "round (each channel's turn)",
        x_names: Vec::new(),
        y_label: "time to first token, ms",
        series: vec![
            line("median", times.clone().map(|(x, times)| Point::at(x, times.median)).collect()),
            line("worst", times.map(|(x, times)| Point::at(x, times.worst)).collect()),
        ],
    }
}
