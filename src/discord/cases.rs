//! Cases as moderators read them: in lists, by themselves, and in the log.

use serenity::model::id::{ChannelId, GuildId, MessageId};

use super::api::{File, MAX_FILE_BYTES};
use super::bot::Bot;
use super::call::{MAX_FIELD, Refusal};
use super::controls::{self, Button, CaseFacts};
use super::locale::Locale;
use super::names;
use crate::domain::{self, PersonId};
use crate::store::{Case, Held, HeldCase, Noun, StoreError};

/// How much of what a case rests on is told.
const MAX_QUOTED: usize = 1_000;
/// How much of a report's reason; all of it is kept.
const MAX_REASON: usize = 500;
/// How much of what people say of it.
const MAX_SAID: usize = 200;

/// A case in one line.
pub(super) async fn line(
    bot: &Bot,
    guild: domain::GuildId,
    case: &Case,
) -> Result<String, Refusal> {
    let mut told =
        format!("**{}** <t:{}:d> {}", case.number, case.created_at.timestamp(), case.kind);
    if let Some(person) = mention(bot, guild, case.person).await? {
        told.push_str(&format!(" of {person}"));
    }
    if let Some(by) = mention(bot, guild, case.opened_by).await? {
        told.push_str(&format!(" by {by}"));
    }
    if !case.reason.is_empty() {
        told.push_str(&format!(": {}", names::line(&case.reason, 120, "")));
    }
    match &case.decision {
        Some(decision) => told.push_str(&format!(" — {}", names::line(decision, 120, ""))),
        None if case.appeal.is_some() => told.push_str(" — appealed, open"),
        None if matches!(case.kind.as_str(), "report" | "hold") => told.push_str(" — open"),
        None => {}
    }
    Ok(told)
}

/// A case with what it rests on, and what was done upon it.
pub(super) async fn told(
    bot: &Bot,
    guild: domain::GuildId,
    case: &Case,
) -> Result<String, Refusal> {
    let held = bot.chat.store().get_held(guild, case.number).await?;
    let is_report = case.kind == "report";
    // Why somebody reports it is told whole.
    let reason = if is_report { String::new() } else { case.reason.clone() };
    let mut told = line(bot, guild, &Case { reason, ..case.clone() }).await?;
    if is_report && !case.reason.is_empty() {
        told.push_str(&format!("\n{}", quoted(&case.reason, MAX_REASON)));
    }
    if let Some(place) = place(bot, guild, case, held.as_ref()).await? {
        told.push_str(&format!("\n{place}"));
    }
    let evidence = case.evidence.as_ref();
    if let Some(text) = evidence.and_then(|evidence| evidence["text"].as_str()) {
        let is_difference = held
            .as_ref()
            .is_some_and(|it| matches!(it.held, Held::Character { .. } | Held::Lorebook { .. }));
        let speaker = evidence.and_then(|evidence| evidence["speaker"].as_str());
        if let Some(speaker) = speaker {
            told.push_str(&format!("\n{}:", names::line(speaker, 80, "somebody")));
        }
        told.push_str(&match is_difference {
            true => format!("\n{}", fenced(text)),
            false => format!("\n{}", quoted(text, MAX_QUOTED)),
        });
        if text.chars().count() > MAX_QUOTED {
            told.push_str(&format!("\n-# cut: /mod queue case:{} has all of it", case.number));
        }
    }
    if let Some(appeal) = &case.appeal {
        told.push_str(&format!("\nThey say to it:\n{}", quoted(appeal, MAX_SAID)));
    }
    for done in bot.chat.store().list_following_cases(guild, case.number).await? {
        let by = mention(bot, guild, done.opened_by).await?.unwrap_or_default();
        told.push_str(&format!("\n{} by {by} (case {})", done.kind, done.number));
    }
    if case.decision.is_some()
        && let Some(by) = mention(bot, guild, case.decided_by).await?
    {
        told.push_str(&format!("\ndecided by {by}"));
    }
    Ok(told)
}

/// The same with the buttons that it has while it is open.
pub(super) async fn shown(
    bot: &Bot,
    guild: domain::GuildId,
    case: &Case,
    locale: Locale,
) -> Result<(String, Vec<Vec<Button>>), Refusal> {
    let text = told(bot, guild, case).await?;
    let is_waiting = matches!(case.kind.as_str(), "report" | "hold");
    if case.decision.is_some() || !is_waiting {
        return Ok((text, Vec::new()));
    }
    let words = words(bot, guild, case).await?;
    let facts = CaseFacts {
        case: case.number,
        has_words: words.is_some_and(|words| names::length(&words) <= MAX_FIELD),
        has_person: case.person.is_some(),
        has_scene: case.scene.is_some(),
    };
    Ok((text, controls::case_rows(&facts, locale)))
}

/// What a case rests on as files, where a message does not hold it: its words or the
/// difference, and a lorebook, or that of a character, as it would be kept.
pub(super) async fn files(
    bot: &Bot,
    guild: domain::GuildId,
    case: &Case,
) -> Result<Vec<File>, Refusal> {
    let mut files = Vec::new();
    let evidence = case.evidence.as_ref().and_then(|evidence| evidence["text"].as_str());
    if let Some(text) = evidence.filter(|text| text.chars().count() > MAX_QUOTED) {
        let name = format!("case-{}.txt", case.number);
        files.push(File { name, bytes: text.as_bytes().to_vec() });
    }
    let held = bot.chat.store().get_held(guild, case.number).await?.map(|it| it.held);
    let book = match held {
        Some(Held::Lorebook { body, .. }) => Some(body),
        Some(Held::Character { book, .. }) => book.map(|book| book.body),
        _ => None,
    };
    if let Some(body) = book.filter(|body| body.len() <= MAX_FILE_BYTES) {
        files.push(File { name: format!("case-{}.json", case.number), bytes: body.into_bytes() });
    }
    Ok(files)
}

/// The words that a case is about, as they are now.
pub(super) async fn words(
    bot: &Bot,
    guild: domain::GuildId,
    case: &Case,
) -> Result<Option<String>, Refusal> {
    let store = bot.chat.store();
    if let Some(found) = store.get_held(guild, case.number).await? {
        return Ok(found.held.text().map(str::to_owned));
    }
    let Some(turn) = case.turn else { return Ok(None) };
    Ok(store.get_turn(guild, turn).await?.map(|turn| turn.swipe.text))
}

/// Somebody as Discord shows them; whoever has no account there, by their name.
pub(super) async fn mention(
    bot: &Bot,
    guild: domain::GuildId,
    person: Option<PersonId>,
) -> Result<Option<String>, StoreError> {
    let Some(person) = person else { return Ok(None) };
    let found = bot.chat.store().get_person(guild, person).await?;
    Ok(found.map(|person| match person.external_id.parse::<u64>() {
        Ok(id) => format!("<@{id}>"),
        Err(_) => names::line(&person.display_name, 80, "somebody"),
    }))
}

/// Where it is: the message, where there is one, else the channel.
async fn place(
    bot: &Bot,
    guild: domain::GuildId,
    case: &Case,
    held: Option<&HeldCase>,
) -> Result<Option<String>, StoreError> {
    let store = bot.chat.store();
    let Some(scene) = case.scene else { return Ok(None) };
    let Some(scene) = store.get_scene(guild, scene).await? else { return Ok(None) };
    let Ok(channel) = scene.channel.parse::<ChannelId>() else { return Ok(None) };
    let message = match (held.map(|it| &it.held), case.turn) {
        (Some(Held::Message { external_id, .. }), _) => Some(external_id.clone()),
        (_, Some(turn)) => {
            let posts = store.list_turn_outbox(guild, turn).await?;
            let ours = posts.into_iter().find_map(|post| post.external_id);
            let theirs = store.list_turn_messages(guild, &[turn]).await?.pop();
            ours.or(theirs)
        }
        _ => None,
    };
    let known = store.get_guild(guild).await?.ok_or(StoreError::NotFound(Noun::Guild))?;
    let message = message.and_then(|id| id.parse::<u64>().ok()).filter(|id| *id != 0);
    Ok(Some(match (message, known.external_id.parse::<GuildId>()) {
        (Some(id), Ok(server)) => MessageId::new(id).link(channel, Some(server)),
        _ => format!("<#{channel}>"),
    }))
}

/// A text as a quotation.
fn quoted(text: &str, most: usize) -> String {
    let text = unfenced(text, most);
    let lines: Vec<String> = text.lines().map(|line| format!("> {line}")).collect();
    // Marks may be many, too.
    lines.join("\n").chars().take(most + MAX_SAID).collect()
}

/// A difference as a block of its own.
fn fenced(text: &str) -> String {
    format!("```diff\n{}\n```", unfenced(text, MAX_QUOTED).trim_end())
}

/// The beginning of a text, without what would open a block or close one.
fn unfenced(text: &str, most: usize) -> String {
    text.replace("```", "\u{2019}\u{2019}\u{2019}").chars().take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_say_leaves_no_quotation() {
        assert_eq!(quoted("a\n```b", 9), "> a\n> \u{2019}\u{2019}\u{2019}b");
        assert_eq!(fenced("+x\n```\n@everyone"), "```diff\n+x\n’’’\n@everyone\n```");
        assert!(quoted(&"x\n".repeat(5_000), MAX_QUOTED).chars().count() <= MAX_QUOTED + MAX_SAID);
    }
}
