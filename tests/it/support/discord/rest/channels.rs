//! Channels: reading, changing, deleting them, and who may.

use serde_json::{Value, json};

use super::super::call::{Call, Outcome, created, id_of, ids_of, nothing, ok};
use super::super::model::{Channel, Overwrite, Tag, flag, kind};
use super::super::permissions::{
    MANAGE_CHANNELS, MANAGE_MESSAGES, MANAGE_ROLES, MANAGE_THREADS, SEND_MESSAGES,
};
use super::super::refusal::Refusal;
use super::super::rules;
use super::super::world::{World, intent};

pub(crate) fn get(world: &mut World, call: &Call) -> Outcome {
    let channel = world.visible(call.id("channel_id")?)?;
    ok(world.channel_json(channel))
}

pub(crate) fn create(world: &mut World, call: &Call) -> Outcome {
    let guild = world.guild(call.id("guild_id")?)?.id;
    if world.guild_permissions(world.bot, guild) & MANAGE_CHANNELS == 0 {
        return Err(Refusal::of(50013));
    }
    let id = world.id();
    let name = call.text("name").unwrap_or_default();
    let mut channel = Channel::new(id, Some(guild), call.number("type").unwrap_or(0) as u8, name);
    apply(&mut channel, call, || id + 1);
    world.channels.insert(id, channel);
    let data = world.channel_json(&world.channels[&id]);
    world.emit_in(id, "CHANNEL_CREATE", intent::GUILDS, data.clone());
    created(data)
}

pub(crate) fn change(world: &mut World, call: &Call) -> Outcome {
    let id = call.id("channel_id")?;
    let channel = world.visible(id)?.clone();
    rules::check_thread(call)?;
    match &channel.thread {
        Some(_) => change_thread(world, call, &channel)?,
        None => {
            world.demand(world.bot, id, MANAGE_CHANNELS)?;
            let fresh = world.id();
            let mut next = fresh;
            world.change_channel(id, |channel| {
                apply(channel, call, || {
                    next += 1;
                    next
                });
            });
        }
    }
    ok(world.channel_json(&world.channels[&id]))
}

/// Tags, names and flags of a channel that is no thread.
fn apply(channel: &mut Channel, call: &Call, mut id: impl FnMut() -> u64) {
    if let Some(name) = call.text("name") {
        channel.name = name.into();
    }
    if let Some(topic) = call.text("topic") {
        channel.topic = Some(topic.into());
    }
    if let Some(nsfw) = call.flag("nsfw") {
        channel.nsfw = nsfw;
    }
    if let Some(seconds) = call.number("rate_limit_per_user") {
        channel.slowmode_s = seconds;
    }
    if let Some(flags) = call.number("flags") {
        channel.flags = flags;
    }
    if let Some(parent) = id_of(&call.body["parent_id"]) {
        channel.parent = Some(parent);
    }
    if let Some(tags) = call.body["available_tags"].as_array() {
        let kept = |tag: &Value| Tag {
            id: id_of(&tag["id"]).unwrap_or_else(&mut id),
            name: tag["name"].as_str().unwrap_or_default().into(),
            moderated: tag["moderated"] == true,
        };
        channel.tags = tags.iter().map(kept).collect();
    }
    if let Some(overwrites) = call.body["permission_overwrites"].as_array() {
        channel.overwrites = overwrites.iter().filter_map(parse_overwrite).collect();
    }
}

fn parse_overwrite(json: &Value) -> Option<Overwrite> {
    Some(Overwrite {
        id: id_of(&json["id"])?,
        is_member: json["type"] == 1,
        allow: id_of(&json["allow"]).unwrap_or(0),
        deny: id_of(&json["deny"]).unwrap_or(0),
    })
}

/// "When setting `archived` to false, when `locked` is also false, only the
/// SEND_MESSAGES permission is required. Otherwise, requires the MANAGE_THREADS
/// permission", or to be the thread's creator.
/// <https://docs.discord.com/developers/resources/channel#modify-channel-json-params-thread>
fn change_thread(world: &mut World, call: &Call, channel: &Channel) -> Result<(), Refusal> {
    let thread = channel.thread.as_ref().expect("only threads come here");
    let manages = world.may(world.bot, channel.id, MANAGE_THREADS);
    let only_wakes = call.flag("archived") == Some(false)
        && call.body.as_object().is_some_and(|object| object.len() == 1);
    if thread.locked && !manages {
        return Err(Refusal::of(if only_wakes { 160005 } else { 50013 }));
    }
    let allowed = match only_wakes {
        true => manages || world.may(world.bot, channel.id, SEND_MESSAGES),
        false => manages || thread.owner == world.bot && call.flag("locked").is_none(),
    };
    if !allowed {
        return Err(Refusal::of(50013));
    }
    // "In order to change anything else of an archived thread, it must be unarchived."
    // <https://docs.discord.com/developers/topics/threads#active--archived-threads>
    if thread.archived && call.flag("archived").is_none() && call.flag("locked").is_none() {
        return Err(Refusal::of(50083));
    }
    let parent = channel.parent.and_then(|id| world.channels.get(&id));
    if call.body["applied_tags"].is_array() {
        check_tags(world, parent, &ids_of(&call.body["applied_tags"]))?;
    }
    world.change_channel(channel.id, |channel| {
        if let Some(name) = call.text("name") {
            channel.name = name.trim().into();
        }
        if let Some(seconds) = call.number("rate_limit_per_user") {
            channel.slowmode_s = seconds;
        }
        let thread = channel.thread.as_mut().expect("it is a thread");
        thread.archived = call.flag("archived").unwrap_or(thread.archived);
        thread.locked = call.flag("locked").unwrap_or(thread.locked);
        let minutes = call.number("auto_archive_duration");
        thread.auto_archive_min = minutes.unwrap_or(thread.auto_archive_min);
        if call.body["applied_tags"].is_array() {
            thread.applied_tags = ids_of(&call.body["applied_tags"]);
        }
    });
    Ok(())
}

/// Tags must be the forum's; one may be demanded; moderated ones need MANAGE_THREADS.
/// <https://docs.discord.com/developers/resources/channel#forum-tag-object>
pub(crate) fn check_tags(
    world: &World,
    forum: Option<&Channel>,
    tags: &[u64],
) -> Result<(), Refusal> {
    let Some(forum) = forum else { return Ok(()) };
    let manages = world.may(world.bot, forum.id, MANAGE_THREADS);
    for tag in tags {
        let Some(known) = forum.tags.iter().find(|known| known.id == *tag) else {
            let message = "Unknown tag";
            return Err(Refusal::form("applied_tags", "UNKNOWN_TAG", message));
        };
        if known.moderated && !manages {
            return Err(Refusal::of(50013));
        }
    }
    let is_forum = matches!(forum.kind, kind::FORUM | kind::MEDIA);
    if is_forum && forum.flags & flag::REQUIRE_TAG != 0 && tags.is_empty() {
        return Err(Refusal::of(40067));
    }
    Ok(())
}

pub(crate) fn delete(world: &mut World, call: &Call) -> Outcome {
    let id = call.id("channel_id")?;
    let channel = world.visible(id)?.clone();
    let needed = if channel.thread.is_some() { MANAGE_THREADS } else { MANAGE_CHANNELS };
    world.demand(world.bot, id, needed)?;
    let json = world.channel_json(&channel);
    world.delete_channel(id);
    ok(json)
}

pub(crate) fn overwrite(world: &mut World, call: &Call) -> Outcome {
    let (id, target) = (call.id("channel_id")?, call.id("overwrite_id")?);
    world.visible(id)?;
    world.demand(world.bot, id, MANAGE_ROLES)?;
    let mut json = call.body.clone();
    json["id"] = json!(target.to_string());
    world.change_channel(id, |channel| {
        channel.overwrites.retain(|one| one.id != target);
        channel.overwrites.extend(parse_overwrite(&json));
    });
    nothing()
}

pub(crate) fn remove_overwrite(world: &mut World, call: &Call) -> Outcome {
    let (id, target) = (call.id("channel_id")?, call.id("overwrite_id")?);
    world.visible(id)?;
    world.demand(world.bot, id, MANAGE_ROLES)?;
    world.change_channel(id, |channel| channel.overwrites.retain(|one| one.id != target));
    nothing()
}

pub(crate) fn typing(world: &mut World, call: &Call) -> Outcome {
    let id = call.id("channel_id")?;
    world.channel(id)?;
    world.demand_send(world.bot, id)?;
    world.type_in(id, world.bot);
    nothing()
}

impl World {
    /// Whether the bot may delete or pin what others wrote here.
    pub(crate) fn demand_moderation(&self, channel: u64) -> Result<(), Refusal> {
        self.demand(self.bot, channel, MANAGE_MESSAGES)
    }
}
