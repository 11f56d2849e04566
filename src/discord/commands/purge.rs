//! `/mod purge`: turns of a scene, and their messages, go at once.

use chrono::{DateTime, TimeDelta, Utc};
use serenity::model::id::MessageId;

use super::super::call::{Answer, Call, Refusal};
use super::super::controls;
use super::super::custom_id::Confirm;
use super::super::interaction::Options;
use super::super::permissions::Deed;
use super::moderation::person;
use crate::chat::{Purge, Whom};
use crate::domain::{SceneId, TurnId};
use crate::store::OutboxState;

/// The most turns that go at once.
const MAX_TURNS: u32 = 100;
/// The most hours that a purge goes back.
const MAX_HOURS: u32 = 720;
/// How many messages Discord deletes at once, and how old they may be then.
const AT_ONCE: std::ops::RangeInclusive<usize> = 2..=100;
const MAX_AGE: TimeDelta = TimeDelta::days(14);

pub(super) async fn ask_purge(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    call.may(Deed::Moderate).await?;
    let place = call.place().await?;
    let whom = match (options.text("character"), options.id("person")) {
        (Some(_), Some(_)) => {
            return Err(Refusal::plain("name a character or a person, not both"));
        }
        (Some(name), None) => Whom::Character(call.character(name).await?.id),
        (None, Some(_)) => Whom::Person(person(call, options).await?.id),
        (None, None) => Whom::Characters,
    };
    let number = |name: &str, most: u32| {
        let given = options.integer(name).map(|number| number.clamp(1, most.into()));
        given.and_then(|number| u32::try_from(number).ok())
    };
    let (last, hours) = (number("last", MAX_TURNS), number("hours", MAX_HOURS));
    if last.is_none() && hours.is_none() {
        return Err(Refusal::plain("say how many of the last turns, or of how many hours"));
    }
    let (last, hours) = (last.unwrap_or(MAX_TURNS), hours.unwrap_or(0));
    let purge = wanted(call, whom, last, hours);
    let turns = call.bot.chat.list_purged(place.guild, place.scene, &purge).await?;
    if turns.is_empty() {
        return Ok(Answer::text("There is nothing of that here."));
    }
    let confirm = Confirm::Purge { scene: place.scene, whom, last, hours };
    Ok(Answer {
        rows: controls::confirm_rows(confirm, call.locale),
        ..Answer::text(format!(
            "Shall {} go from this scene, and their messages from Discord? That is for good: no \
             /undo brings them back.",
            turns_words(turns.len())
        ))
    })
}

/// The second press.
pub(in super::super) async fn purge(
    call: &Call,
    scene: SceneId,
    whom: Whom,
    last: u32,
    hours: u32,
) -> Result<Answer, Refusal> {
    call.may(Deed::Moderate).await?;
    let found = call.bot.chat.scene(call.guild, scene).await?;
    if found.channel != call.channel.to_string() {
        return Err(Refusal::plain("that scene is played elsewhere"));
    }
    let moderator = call.person().await?.id;
    let purge = wanted(call, whom, last.min(MAX_TURNS), hours.min(MAX_HOURS));
    let chat = &call.bot.chat;
    let purged = chat.purge(call.guild, scene, &purge, moderator).await?;
    let posts = posts(call, &purged.turns).await?;
    let theirs = chat.store().list_turn_messages(call.guild, &purged.turns).await?;
    let left = delete(call, &posts, &theirs).await?;
    // Whatever of ours is there still goes one by one.
    call.show(scene).await?;
    let mut told = format!("Case {}: {} gone.", purged.case, turns_are(purged.turns.len()));
    if left > 0 {
        told.push_str(&format!(
            " {left} messages of people could not be deleted: I may not delete messages here."
        ));
    }
    Ok(Answer::text(told))
}

fn wanted(call: &Call, whom: Whom, last: u32, hours: u32) -> Purge {
    let now = call.bot.chat.now();
    let since = (hours > 0).then(|| now - TimeDelta::hours(hours.into()));
    Purge { whom, last, since }
}

fn turns_words(number: usize) -> String {
    if number == 1 { "one turn".to_owned() } else { format!("{number} turns") }
}

fn turns_are(number: usize) -> String {
    let verb = if number == 1 { "is" } else { "are" };
    format!("{} {verb}", turns_words(number))
}

/// Our messages of these turns: the keys of their outbox rows, and their ids.
async fn posts(call: &Call, turns: &[TurnId]) -> Result<Vec<(i64, MessageId)>, Refusal> {
    let mut posts = Vec::new();
    for turn in turns {
        let rows = call.bot.chat.store().list_turn_outbox(call.guild, *turn).await?;
        for row in rows.iter().filter(|row| row.state == OutboxState::Sent) {
            posts.extend(row.external_id.as_deref().and_then(message).map(|id| (row.id, id)));
        }
    }
    Ok(posts)
}

fn message(id: &str) -> Option<MessageId> {
    id.parse().ok().filter(|id| *id != 0).map(MessageId::new)
}

/// Deletes as many as possible at once, and those of people one by one where that is not
/// possible. Gives how many of people's are left.
async fn delete(
    call: &Call,
    posts: &[(i64, MessageId)],
    theirs: &[String],
) -> Result<usize, Refusal> {
    let theirs: Vec<MessageId> = theirs.iter().filter_map(|id| message(id)).collect();
    let all = posts.iter().map(|(_, id)| *id).chain(theirs.iter().copied());
    let young: Vec<MessageId> = all.filter(|id| is_young(*id, call.bot.chat.now())).collect();
    let mut gone: Vec<MessageId> = Vec::new();
    for chunk in young.chunks(*AT_ONCE.end()).filter(|chunk| AT_ONCE.contains(&chunk.len())) {
        match call.bot.api.delete_messages(call.channel, chunk).await {
            Ok(()) => gone.extend(chunk),
            Err(error) => tracing::info!(error.kind = error.kind(), "discord.purge.not_at_once"),
        }
    }
    for (row, _) in posts.iter().filter(|(_, id)| gone.contains(id)) {
        call.bot.chat.store().delete_outbox(call.guild, *row).await?;
    }
    let mut left = 0;
    for id in theirs.iter().filter(|id| !gone.contains(id)) {
        left += usize::from(call.bot.api.delete_message(call.channel, *id).await.is_err());
    }
    Ok(left)
}

/// Whether Discord deletes it together with others. An hour is left for its way there.
fn is_young(message: MessageId, now: DateTime<Utc>) -> bool {
    let said = message.created_at().timestamp();
    now.timestamp() - said < (MAX_AGE - TimeDelta::hours(1)).num_seconds()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_two_weeks_old_is_not_deleted_with_others() {
        // 2016-04-30T11:18:25Z, of Discord's documentation.
        let message = MessageId::new(175_928_847_299_117_063);
        let at = |text: &str| text.parse::<DateTime<Utc>>().expect("a time");
        assert!(is_young(message, at("2016-05-14T10:00:00Z")));
        assert!(!is_young(message, at("2016-05-14T11:00:00Z")));
    }
}
