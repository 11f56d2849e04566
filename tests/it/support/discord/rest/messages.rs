//! Messages that the bot reads and writes under its own name.
//! <https://docs.discord.com/developers/resources/message>

use serde_json::{Value, json};

use super::super::call::{Call, Outcome, id_of, ids_of, nothing, ok};
use super::super::changes::Draft;
use super::super::model::{Author, Message, kind};
use super::super::permissions::{ADD_REACTIONS, ATTACH_FILES, READ_MESSAGE_HISTORY, VIEW_CHANNEL};
use super::super::refusal::Refusal;
use super::super::rules::{self, Payload};
use super::super::world::World;

/// The flags that a payload may set: suppressed embeds and notifications, components v2.
const SETTABLE: u64 = 1 << 2 | 1 << 12 | 1 << 15;

pub(crate) fn list(world: &mut World, call: &Call) -> Outcome {
    let channel = world.visible(call.id("channel_id")?)?;
    if matches!(channel.kind, kind::FORUM | kind::MEDIA | kind::CATEGORY) {
        return Err(Refusal::of(50008));
    }
    let channel = channel.id;
    let limit: usize = call.query("limit")?.unwrap_or(50);
    if !(1..=100).contains(&limit) {
        let message = "int value should be between 1 and 100.";
        return Err(Refusal::form("limit", "NUMBER_TYPE_MAX", message));
    }
    // "If the current user is missing the READ_MESSAGE_HISTORY permission in the
    // channel, then no messages will be returned."
    if !world.may(world.bot, channel, READ_MESSAGE_HISTORY) {
        return ok(json!([]));
    }
    let history = || world.history(channel);
    let before = |id: u64, limit: usize| {
        history().rev().filter(move |message| message.id < id).take(limit).collect::<Vec<_>>()
    };
    let after = |id: u64, limit: usize| {
        let later = history().filter(move |message| message.id > id).take(limit);
        later.collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>()
    };
    // Newest first, whichever way the page was asked for.
    let page: Vec<&Message> = if let Some(id) = call.query::<u64>("around")? {
        let half = limit / 2;
        let itself = history().filter(|message| message.id == id);
        after(id, half).into_iter().chain(itself).chain(before(id, half)).collect()
    } else if let Some(id) = call.query("after")? {
        after(id, limit)
    } else {
        before(call.query("before")?.unwrap_or(u64::MAX), limit)
    };
    ok(page.into_iter().map(|message| world.message_json(message)).collect())
}

pub(crate) fn get(world: &mut World, call: &Call) -> Outcome {
    let (channel, id) = at(world, call)?;
    world.demand(world.bot, channel, READ_MESSAGE_HISTORY)?;
    ok(world.message_json(world.message(channel, id)?))
}

/// The channel and the message of a path, where the bot sees the channel.
fn at(world: &World, call: &Call) -> Result<(u64, u64), Refusal> {
    let channel = world.visible(call.id("channel_id")?)?.id;
    let id = call.id("message_id")?;
    let message = world.message(channel, id)?;
    if message.only_for.is_some() {
        return Err(Refusal::of(10008));
    }
    Ok((channel, id))
}

pub(crate) fn create(world: &mut World, call: &Call) -> Outcome {
    let channel = call.id("channel_id")?;
    world.channel(channel)?;
    world.demand_send(world.bot, channel)?;
    check(world, call, &call.body, Payload::Create)?;
    if !call.files.is_empty() {
        world.demand(world.bot, channel, ATTACH_FILES)?;
    }
    let reference = reference(world, call, channel)?;
    let nonce = call.body.get("nonce").filter(|nonce| !nonce.is_null()).cloned();
    let enforced = nonce.clone().filter(|_| call.flag("enforce_nonce") == Some(true));
    if let Some(earlier) = enforced.as_ref().and_then(|nonce| repeated(world, nonce)) {
        return ok(world.sent_json(&world.messages[&earlier]));
    }
    let mut draft = draft(world, channel, call, &call.body);
    draft.nonce = nonce.clone();
    draft.reference = reference.map(|id| (channel, id));
    draft.kind = if reference.is_some() { 19 } else { 0 };
    if world.channels[&channel].thread.is_some() {
        world.join_thread(channel, world.bot);
    }
    let id = world.post(channel, Author::User(world.bot), draft);
    if let Some(nonce) = enforced {
        let now = world.clock.now_ms();
        world.nonces.insert((world.bot, nonce.to_string()), (now, channel, id));
    }
    ok(world.sent_json(&world.messages[&(channel, id)]))
}

/// "If another message was created by the same author with the same nonce [in the
/// past few minutes], that message will be returned."
fn repeated(world: &World, nonce: &Value) -> Option<(u64, u64)> {
    let (when, channel, id) = world.nonces.get(&(world.bot, nonce.to_string()))?;
    let age_ms = world.clock.now_ms().saturating_sub(*when);
    let remembered = u128::from(age_ms) < world.limits.nonce_window.as_millis();
    (remembered && world.messages.contains_key(&(*channel, *id))).then_some((*channel, *id))
}

/// The message that is answered, which must be in the same channel.
fn reference(world: &World, call: &Call, channel: u64) -> Result<Option<u64>, Refusal> {
    let Some(id) = rules::reference(&call.body) else { return Ok(None) };
    if !world.may(world.bot, channel, READ_MESSAGE_HISTORY) {
        return Err(Refusal::of(160002));
    }
    if world.messages.contains_key(&(channel, id)) {
        return Ok(Some(id));
    }
    // "fail_if_not_exists: whether to error if the referenced message doesn't exist
    // instead of sending as a normal message, default true".
    match call.body["message_reference"]["fail_if_not_exists"] == false {
        true => Ok(None),
        false => {
            let code = "MESSAGE_REFERENCE_UNKNOWN_MESSAGE";
            Err(Refusal::form("message_reference", code, "Unknown message"))
        }
    }
}

/// [`rules::check_message`] with the world's ledger and settings.
pub(crate) fn check(
    world: &mut World,
    call: &Call,
    body: &Value,
    payload: Payload,
) -> Result<(), Refusal> {
    let demanded = world.limits.demand_allowed_mentions;
    rules::check_message(&mut world.ledger, body, call.files.len(), payload, demanded)
}

/// A payload as a message. Discord trims a message's text.
pub(crate) fn draft(world: &mut World, channel: u64, call: &Call, body: &Value) -> Draft {
    Draft {
        content: body["content"].as_str().unwrap_or_default().trim().to_owned(),
        flags: body["flags"].as_u64().unwrap_or(0) & SETTABLE,
        embeds: rules::kept_embeds(&body["embeds"]),
        components: rules::kept_components(&body["components"]),
        attachments: keep_files(world, channel, call, body),
        application: Some(world.application),
        allowed_mentions: body.get("allowed_mentions").cloned(),
        ..Draft::default()
    }
}

/// Stores the files of a request; `attachments` may describe them.
pub(crate) fn keep_files(world: &mut World, channel: u64, call: &Call, body: &Value) -> Vec<Value> {
    let mut kept = Vec::new();
    for file in &call.files {
        let described = body["attachments"].as_array().into_iter().flatten();
        let about = described.into_iter().find(|one| match &one["id"] {
            Value::Number(id) => id.to_string() == file.number,
            id => id.as_str() == Some(&file.number),
        });
        let name = about.and_then(|about| about["filename"].as_str()).unwrap_or(&file.name);
        let mut json = world.keep_file(channel, name, file.bytes.clone());
        if let Some(text) = about.and_then(|about| about["description"].as_str()) {
            json["description"] = text.into();
        }
        kept.push(json);
    }
    kept
}

pub(crate) fn edit(world: &mut World, call: &Call) -> Outcome {
    let (channel, id) = at(world, call)?;
    if world.messages[&(channel, id)].author != Author::User(world.bot) {
        return Err(Refusal::of(50005));
    }
    check(world, call, &call.body, Payload::Edit)?;
    world.demand_awake(channel)?;
    apply_edit(world, (channel, id), call, &call.body)?;
    ok(world.message_json(&world.messages[&(channel, id)]))
}

/// Changes what a payload names, and leaves the rest.
pub(crate) fn apply_edit(
    world: &mut World,
    at: (u64, u64),
    call: &Call,
    body: &Value,
) -> Result<(), Refusal> {
    let files = keep_files(world, at.0, call, body);
    let mut next = world.messages[&at].clone();
    if let Some(content) = body.get("content") {
        next.content = content.as_str().unwrap_or_default().trim().to_owned();
    }
    if let Some(embeds) = body.get("embeds") {
        next.embeds = rules::kept_embeds(embeds);
    }
    if let Some(components) = body.get("components") {
        next.components = rules::kept_components(components);
    }
    if let Some(flags) = body.get("flags").and_then(Value::as_u64) {
        next.flags = next.flags & !SETTABLE | flags & SETTABLE;
    }
    if body["attachments"].is_array() {
        let listed = ids_of_attachments(&body["attachments"]);
        next.attachments.retain(|one| id_of(&one["id"]).is_some_and(|id| listed.contains(&id)));
    }
    next.attachments.extend(files);
    next.flags &= !super::super::model::flag::LOADING;
    let has_nothing = next.content.is_empty()
        && next.embeds.is_empty()
        && next.components.is_empty()
        && next.attachments.is_empty();
    if has_nothing {
        return Err(Refusal::of(50006));
    }
    // An edit says anew whom it may ping, and pings nobody.
    next.allowed_mentions = body.get("allowed_mentions").cloned();
    let by = next.author.clone();
    world.edit(at.0, at.1, by, |message| *message = next);
    Ok(())
}

fn ids_of_attachments(list: &Value) -> Vec<u64> {
    list.as_array().into_iter().flatten().filter_map(|one| id_of(&one["id"])).collect()
}

pub(crate) fn delete(world: &mut World, call: &Call) -> Outcome {
    let (channel, id) = at(world, call)?;
    if world.messages[&(channel, id)].author != Author::User(world.bot) {
        world.demand_moderation(channel)?;
    }
    world.delete(channel, id, Author::User(world.bot));
    nothing()
}

/// "2–100 messages … will fail if any message provided is older than 2 weeks".
pub(crate) fn delete_bulk(world: &mut World, call: &Call) -> Outcome {
    let channel = world.visible(call.id("channel_id")?)?.id;
    world.demand_moderation(channel)?;
    let ids = ids_of(&call.body["messages"]);
    if !(2..=100).contains(&ids.len()) {
        return Err(Refusal::length("messages", 2, 100));
    }
    const TWO_WEEKS_MS: u64 = 14 * 24 * 3600 * 1000;
    if ids.iter().any(|id| world.age_ms(*id) > TWO_WEEKS_MS) {
        return Err(Refusal::of(50034));
    }
    world.delete_bulk(channel, &ids, &Author::User(world.bot));
    nothing()
}

pub(crate) fn react(world: &mut World, call: &Call) -> Outcome {
    let (channel, id) = at(world, call)?;
    world.demand(world.bot, channel, READ_MESSAGE_HISTORY)?;
    world.demand_awake(channel)?;
    let emoji = call.param("emoji_name");
    let known = world.messages[&(channel, id)].reactions.iter().any(|(name, _)| name == emoji);
    if !known {
        world.demand(world.bot, channel, ADD_REACTIONS)?;
    }
    if emoji.is_ascii() && !emoji.contains(':') {
        return Err(Refusal::of(10014));
    }
    world.react((channel, id), emoji, world.bot, true);
    nothing()
}

pub(crate) fn unreact(world: &mut World, call: &Call) -> Outcome {
    let (channel, id) = at(world, call)?;
    let user = match call.params.contains_key("user_id") {
        true => {
            world.demand_moderation(channel)?;
            call.id("user_id")?
        }
        false => world.bot,
    };
    world.react((channel, id), call.param("emoji_name"), user, false);
    nothing()
}

pub(crate) fn reactions(world: &mut World, call: &Call) -> Outcome {
    let (channel, id) = at(world, call)?;
    let emoji = call.param("emoji_name");
    let reactions = &world.messages[&(channel, id)].reactions;
    let found = reactions.iter().find(|(name, _)| name == emoji);
    let users = found.map_or(&[][..], |(_, users)| users);
    ok(users.iter().map(|user| world.user_json(*user)).collect())
}

impl World {
    /// 50083 in an archived thread, whose messages nobody edits.
    /// <https://docs.discord.com/developers/topics/threads#active--archived-threads>
    pub(crate) fn demand_awake(&self, channel: u64) -> Result<(), Refusal> {
        let thread = self.channels.get(&channel).and_then(|channel| channel.thread.as_ref());
        match thread.is_some_and(|thread| thread.archived) {
            true => Err(Refusal::of(50083)),
            false => Ok(()),
        }
    }

    pub(crate) fn sees(&self, user: u64, channel: u64) -> bool {
        self.may(user, channel, VIEW_CHANNEL)
    }
}
