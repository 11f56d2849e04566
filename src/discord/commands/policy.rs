//! `/policy`: what is allowed, on the server and in its channels.

use super::super::api::File;
use super::super::call::{Answer, Call, Refusal};
use super::super::interaction::Options;
use super::super::permissions::Deed;
use super::super::render;
use super::files::attached;
use super::setup::own_channel;
use crate::chat::HITS_KEPT_DAYS;
use crate::moderation::{Door, Policy, Verdict};

/// Of how many days is told where nobody says.
const HITS_SHOWN_DAYS: u32 = 7;

/// The place that an option names: a channel, category or thread; without one the server.
fn place(options: &Options) -> (String, String) {
    match options.id("channel") {
        Some(id) => (id.to_string(), format!("<#{id}>")),
        None => (String::new(), "this server".to_owned()),
    }
}

pub(super) async fn show(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    let (place, name) = place(options);
    let policy = call.bot.chat.policy(call.guild, &place).await?;
    let written = if policy == Policy::default() {
        format!("No policy is written down for {name}.")
    } else {
        format!("The policy of {name}:\n```toml\n{}\n```", clip(&policy.to_toml()))
    };
    let Some(here) = call.bot.place(call.guild_id, call.channel).await? else {
        return Ok(Answer::text(written));
    };
    let rules = call.bot.chat.library().rules(here.guild, Some(here.scene)).await?;
    let rating = rules.policy.rating.map_or("none", |rating| rating.as_str());
    Ok(Answer::text(format!("{written}\nIn this scene the rating is {rating}.")))
}

pub(super) async fn preset(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    call.may(Deed::SetUp).await?;
    let wanted = options.text("preset").unwrap_or_default();
    let preset = Policy::preset(wanted).ok_or_else(|| {
        Refusal::plain(format!("there is no such policy; there are {}", Policy::PRESETS.join(", ")))
    })?;
    set(call, options, Some(&preset)).await
}

pub(super) async fn import(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    call.may(Deed::SetUp).await?;
    let bytes = attached(call, options).await?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Refusal::plain("that is no text file; /policy export shows how one looks"))?;
    let policy = Policy::from_toml(&text).map_err(|error| Refusal::plain(error.to_string()))?;
    set(call, options, Some(&policy)).await
}

pub(super) async fn export(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    let (place, name) = place(options);
    let policy = call.bot.chat.policy(call.guild, &place).await?;
    let file = File { name: "policy.toml".to_owned(), bytes: policy.to_toml().into_bytes() };
    let text = format!("The policy of {name}. /policy import takes it back, here or elsewhere.");
    Ok(Answer { files: vec![file], ..Answer::text(text) })
}

pub(super) async fn clear(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    call.may(Deed::SetUp).await?;
    set(call, options, None).await
}

/// Tries the rules of this scene out: on a text, or on all that was said in it.
pub(super) async fn test(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    call.may(Deed::Moderate).await?;
    let here = call.place().await?;
    let chat = &call.bot.chat;
    let Some(text) = options.text("text") else {
        let trial = chat.try_rules(here.guild, here.scene).await?;
        return Ok(Answer::text(render::policy_trial(&trial)));
    };
    let rules = chat.library().rules(here.guild, Some(here.scene)).await?;
    let outcome = rules.examine(Door::Message, text).await?;
    let met: Vec<&str> = outcome.findings.iter().map(|it| it.rule.as_str()).collect();
    Ok(Answer::text(match outcome.verdict {
        Verdict::Allow if met.is_empty() => "Nothing is met: it would be taken.".to_owned(),
        verdict => format!("{verdict}: {}", met.join(", ")),
    }))
}

/// Says how often the rules of this server were met lately.
pub(super) async fn hits(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    call.may(Deed::Moderate).await?;
    let days = options.integer("days").and_then(|days| u32::try_from(days).ok());
    let days = days.unwrap_or(HITS_SHOWN_DAYS).clamp(1, HITS_KEPT_DAYS);
    let hits = call.bot.chat.rule_hits(call.guild, days).await?;
    Ok(Answer::text(render::rule_hits(&hits, days)))
}

async fn set(call: &Call, options: &Options, policy: Option<&Policy>) -> Result<Answer, Refusal> {
    let (place, name) = place(options);
    // What is gone can still be cleared away.
    if let (Some(channel), Some(_)) = (options.id("channel"), policy) {
        own_channel(call, channel).await?;
    }
    let by = call.person().await?.id;
    call.bot.chat.set_policy(call.guild, &place, policy, by).await?;
    Ok(Answer::text(match policy {
        Some(_) => format!("The policy of {name} holds from the next word on."),
        None => format!("{name} has no policy of its own now."),
    }))
}

/// As much of a text as an answer holds.
fn clip(text: &str) -> String {
    const MOST: usize = 1_700;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
