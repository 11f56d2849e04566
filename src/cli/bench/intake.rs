//! `dramatis bench intake`: how fast what people say is checked and stored, against the
//! storing alone.
//!
//! A private database and many scenes; each message goes through the door that every
//! message goes through, and is a turn on disk when it counts. The bare way writes the same
//! turns without asking who is heard and what is allowed, so the ratio is the price of that.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;
use tokio::task::JoinSet;

use super::super::Session;
use super::super::database::runtime;
use super::super::output::line;
use super::super::progress::Counted;
use super::at_least_one;
use super::channels::house::{Channel, House};
use super::chosen::{ModelArgs, model_path};
use super::samples::Samples;
use super::table::{row, table};
use crate::chat::{Chat, Message};
use crate::store::{NewMessage, QueueLimits};

/// What people say: about as long as what they say.
const SAID: &str = "The lamp on the quay went out twice before the boat was tied up, and nobody \
                    on the stairs said a word about it; the harbourmaster only turned his collar \
                    up, counted the crates again, and wrote a number down that was not theirs.";

/// How fast what people say is checked and stored
#[derive(Debug, Args)]
pub struct IntakeArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// How many scenes there are, in one server
    #[arg(long, value_name = "N", default_value = "64", value_parser = at_least_one)]
    scenes: usize,
    /// How many people speak at once, each in scenes of their own
    #[arg(long, value_name = "N", default_value = "16", value_parser = at_least_one)]
    at_once: usize,
    /// Messages in a round
    #[arg(long, value_name = "N", default_value = "2000", value_parser = at_least_one)]
    messages: usize,
    /// How often both ways are measured, in turn
    #[arg(long, value_name = "N", default_value = "5", value_parser = at_least_one)]
    rounds: usize,
    /// As JSON, with every sample
    #[arg(long)]
    json: bool,
}

/// Which way messages take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Door,
    Bare,
}

pub(super) fn run(session: &Session, args: &IntakeArgs) -> anyhow::Result<()> {
    let session = args.model.house_session(session);
    let house = House::build(&session, model_path(&session)?, 1)?;
    // Gone before the house is, with the database server that is in it.
    let runtime = runtime()?;
    let measured = runtime.block_on(measure(&house, args));
    drop(runtime);
    let figures = measured?;
    if args.json {
        let figures = figures.iter().map(|(_, key, samples)| ((*key).to_owned(), json!(samples)));
        let mut all: serde_json::Map<_, _> = figures.collect();
        all.insert("scenes".into(), args.scenes.into());
        all.insert("at_once".into(), args.at_once.into());
        line(serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    let heading = format!("{} messages, {} at once", args.messages, args.at_once);
    let mut rows = table([&heading, "median", "min", "max"]);
    for (name, _, samples) in figures {
        rows.add_row(row(name, &Samples::new(samples).context("nothing was measured")?));
    }
    line(rows);
    Ok(())
}

type Figure = (&'static str, &'static str, Vec<f64>);

async fn measure(house: &House, args: &IntakeArgs) -> anyhow::Result<Vec<Figure>> {
    let running = house.start().await?;
    let channels = Arc::new(running.furnish(args.scenes, 0).await?);
    let shown = Counted::new(args.rounds * 2, "rounds");
    let (mut rates, mut bare_rates, mut p50, mut p99) = (vec![], vec![], vec![], vec![]);
    for round in 0..args.rounds {
        for way in [Way::Door, Way::Bare] {
            let (rate, taken) = say(running.chat(), &channels, args, way, round).await?;
            if way == Way::Bare {
                bare_rates.push(rate);
            } else {
                rates.push(rate);
                p50.push(taken.median());
                p99.push(taken.quantile(0.99));
            }
            shown.advance();
        }
    }
    drop(shown);
    running.stop().await;
    let ratios = rates.iter().zip(&bare_rates).map(|(door, bare)| door / bare).collect();
    Ok(vec![
        ("messages a second, checked and stored", "messages_s", rates),
        ("stored alone", "bare_messages_s", bare_rates),
        ("times as many", "ratio", ratios),
        ("until one is stored, median, ms", "p50_ms", p50),
        ("until one is stored, p99, ms", "p99_ms", p99),
    ])
}

/// Says one round's messages; gives how many a second, and how long each took in ms.
async fn say(
    chat: &Arc<Chat>,
    channels: &Arc<Vec<Channel>>,
    args: &IntakeArgs,
    way: Way,
    round: usize,
) -> anyhow::Result<(f64, Samples)> {
    let began = Instant::now();
    let mut people = JoinSet::new();
    for person in 0..args.at_once {
        let (chat, channels) = (chat.clone(), channels.clone());
        let (step, most) = (args.at_once, args.messages);
        people.spawn(async move {
            let mut taken = Vec::new();
            for number in (person..most).step_by(step) {
                let channel = &channels[number % channels.len()];
                let id = format!("{way:?}-{round}-{number}");
                let begun = Instant::now();
                one(&chat, channel, way, id).await?;
                taken.push(begun.elapsed().as_secs_f64() * 1e3);
            }
            anyhow::Ok(taken)
        });
    }
    let mut all = Vec::new();
    while let Some(taken) = people.join_next().await {
        all.extend(taken??);
    }
    let rate = all.len() as f64 / began.elapsed().as_secs_f64();
    Ok((rate, Samples::new(all).context("nothing was said")?))
}

async fn one(chat: &Chat, channel: &Channel, way: Way, external_id: String) -> anyhow::Result<()> {
    let (guild, scene) = (channel.scene.guild_id, channel.scene.id);
    match way {
        Way::Door => {
            let author = &channel.author;
            // Nobody answers, so that the model has no part in it.
            let message = Message { guild, scene, author, external_id, text: SAID, answer: None };
            chat.accept_unanswered(message).await?;
        }
        Way::Bare => {
            let message = NewMessage {
                external_id,
                person: channel.author.person.id,
                name: channel.author.person.display_name.clone(),
                text: SAID.to_owned(),
                work: None,
                limits: QueueLimits::NONE,
            };
            chat.store().accept_message(guild, scene, &message).await?;
        }
    }
    Ok(())
}
