//! Threads and forum posts. <https://docs.discord.com/developers/topics/threads>

use serde_json::{Value, json};

use super::super::call::{Call, Outcome, created, ids_of, nothing, ok};
use super::super::changes::{Draft, NewThread};
use super::super::model::{Author, Channel, kind};
use super::super::permissions::{
    ATTACH_FILES, CREATE_PRIVATE_THREADS, CREATE_PUBLIC_THREADS, MANAGE_THREADS, SEND_MESSAGES,
};
use super::super::refusal::Refusal;
use super::super::render;
use super::super::rules::{self, Payload};
use super::super::world::{World, intent};
use super::{channels, messages};

/// What a new thread's payload asks for.
fn wish(call: &Call, kind: u8) -> NewThread {
    NewThread {
        name: call.text("name").unwrap_or_default().trim().to_owned(),
        kind,
        auto_archive_min: call.number("auto_archive_duration").unwrap_or(1440),
        applied_tags: ids_of(&call.body["applied_tags"]),
    }
}

pub(crate) fn create_on_message(world: &mut World, call: &Call) -> Outcome {
    let parent = world.visible(call.id("channel_id")?)?.clone();
    let id = call.id("message_id")?;
    rules::check_thread(call)?;
    world.message(parent.id, id)?;
    world.demand(world.bot, parent.id, CREATE_PUBLIC_THREADS)?;
    let kind = match parent.kind {
        kind::TEXT => kind::PUBLIC_THREAD,
        kind::NEWS => kind::NEWS_THREAD,
        _ => return Err(Refusal::of(50024)),
    };
    // "The id of the created thread will be the same as the id of the source message",
    // so that there is one at most.
    if world.channels.contains_key(&id) {
        return Err(Refusal::of(160004));
    }
    world.open_thread_on((parent.id, id), world.bot, wish(call, kind));
    created(world.channel_json(&world.channels[&id]))
}

pub(crate) fn create(world: &mut World, call: &Call) -> Outcome {
    let parent = world.visible(call.id("channel_id")?)?.clone();
    rules::check_thread(call)?;
    match parent.kind {
        kind::FORUM | kind::MEDIA => forum_post(world, call, &parent),
        kind::TEXT | kind::NEWS => bare_thread(world, call, &parent),
        _ => Err(Refusal::of(50024)),
    }
}

/// "type: the type of thread to create … defaults to PRIVATE_THREAD".
/// <https://docs.discord.com/developers/resources/channel#start-thread-without-message>
fn bare_thread(world: &mut World, call: &Call, parent: &Channel) -> Outcome {
    let kind = call.number("type").unwrap_or(u64::from(kind::PRIVATE_THREAD)) as u8;
    let needed = match kind {
        kind::PRIVATE_THREAD => CREATE_PRIVATE_THREADS,
        _ => CREATE_PUBLIC_THREADS,
    };
    world.demand(world.bot, parent.id, needed)?;
    let id = world.id();
    let new = wish(call, kind);
    let name = new.name.clone();
    world.open_thread(id, parent.id, world.bot, new);
    if kind != kind::PRIVATE_THREAD {
        // The line "… started a thread" in the parent.
        let draft = Draft { content: name, kind: 18, ..Draft::default() };
        world.post(parent.id, Author::User(world.bot), draft);
    }
    created(world.channel_json(&world.channels[&id]))
}

/// "Creates a new thread in a forum or a media channel, and sends a message within
/// the created thread"; it needs SEND_MESSAGES, and the two share an id.
fn forum_post(world: &mut World, call: &Call, forum: &Channel) -> Outcome {
    world.demand(world.bot, forum.id, SEND_MESSAGES)?;
    if !call.files.is_empty() {
        world.demand(world.bot, forum.id, ATTACH_FILES)?;
    }
    let body = &call.body["message"];
    messages::check(world, call, body, Payload::Create)?;
    let new = wish(call, kind::PUBLIC_THREAD);
    channels::check_tags(world, Some(forum), &new.applied_tags)?;
    let id = world.id();
    world.open_thread(id, forum.id, world.bot, new);
    let draft = messages::draft(world, id, call, body);
    world.post_as(id, id, Author::User(world.bot), draft);
    let mut json = world.channel_json(&world.channels[&id]);
    json["message"] = world.message_json(&world.messages[&(id, id)]);
    created(json)
}

fn page(world: &World, threads: Vec<&Channel>, has_more: bool) -> Value {
    let joined = threads
        .iter()
        .filter(|one| one.thread.as_ref().is_some_and(|one| one.members.contains(&world.bot)));
    json!({
        "members":
            joined.map(|one| render::thread_member(one.id, world.bot)).collect::<Vec<_>>(),
        "threads": threads.iter().map(|one| world.channel_json(one)).collect::<Vec<_>>(),
        "has_more": has_more,
    })
}

/// "Returns all active threads in the guild, … ordered by their id, in descending order."
pub(crate) fn active(world: &mut World, call: &Call) -> Outcome {
    let guild = world.guild(call.id("guild_id")?)?.id;
    let threads = world
        .channels
        .values()
        .rev()
        .filter(|one| one.guild == Some(guild))
        .filter(|one| one.thread.as_ref().is_some_and(|thread| !thread.archived))
        .filter(|one| world.sees(world.bot, one.id))
        .collect();
    let mut page = page(world, threads, false);
    page.as_object_mut().unwrap().insert("has_more".into(), false.into());
    ok(page)
}

pub(crate) fn archived(world: &mut World, call: &Call) -> Outcome {
    let parent = world.visible(call.id("channel_id")?)?.id;
    world.demand(world.bot, parent, super::super::permissions::READ_MESSAGE_HISTORY)?;
    let limit: usize = call.query("limit")?.unwrap_or(50);
    let before: String = call.query("before")?.unwrap_or_else(|| "9".into());
    let is_private = world.ledger_path_ends("private");
    let when = |one: &Channel| one.thread.as_ref().map_or(0, |thread| thread.archive_changed_ms);
    let mut threads: Vec<&Channel> = world
        .channels
        .values()
        .filter(|one| one.parent == Some(parent) && world.sees(world.bot, one.id))
        .filter(|one| one.thread.as_ref().is_some_and(|thread| thread.archived))
        .filter(|one| (one.kind == kind::PRIVATE_THREAD) == is_private)
        .filter(|one| super::super::clock::iso(when(one)) < before)
        .collect();
    threads.sort_by_key(|one| std::cmp::Reverse(when(one)));
    let has_more = threads.len() > limit;
    threads.truncate(limit);
    ok(page(world, threads, has_more))
}

/// A thread that the bot sees.
fn thread(world: &World, call: &Call) -> Result<Channel, Refusal> {
    let channel = world.visible(call.id("channel_id")?)?;
    match channel.thread {
        Some(_) => Ok(channel.clone()),
        None => Err(Refusal::of(50024)),
    }
}

pub(crate) fn members(world: &mut World, call: &Call) -> Outcome {
    let thread = thread(world, call)?;
    let members = thread.thread.map(|thread| thread.members).unwrap_or_default();
    ok(members.iter().map(|user| render::thread_member(thread.id, *user)).collect())
}

pub(crate) fn member(world: &mut World, call: &Call) -> Outcome {
    let thread = thread(world, call)?;
    let user = call.id("user_id")?;
    match thread.thread.is_some_and(|thread| thread.members.contains(&user)) {
        true => ok(render::thread_member(thread.id, user)),
        false => Err(Refusal::of(10007)),
    }
}

pub(crate) fn join(world: &mut World, call: &Call) -> Outcome {
    let thread = thread(world, call)?;
    world.demand_awake(thread.id)?;
    let user = if call.params.contains_key("user_id") { call.id("user_id")? } else { world.bot };
    world.join_thread(thread.id, user);
    nothing()
}

pub(crate) fn leave(world: &mut World, call: &Call) -> Outcome {
    let thread = thread(world, call)?;
    world.demand_awake(thread.id)?;
    let user = if call.params.contains_key("user_id") { call.id("user_id")? } else { world.bot };
    if user != world.bot {
        world.demand(world.bot, thread.id, MANAGE_THREADS)?;
    }
    let channel = world.channels.get_mut(&thread.id).unwrap();
    channel.thread.as_mut().unwrap().members.retain(|member| *member != user);
    nothing()
}

impl World {
    /// Somebody enters a thread. The bot also hears of threads it is added to.
    pub(crate) fn join_thread(&mut self, id: u64, user: u64) {
        let channel = self.channels.get_mut(&id).expect("the thread was looked up");
        let members = &mut channel.thread.as_mut().expect("it is a thread").members;
        if members.contains(&user) {
            return;
        }
        members.push(user);
        let count = members.len();
        let guild = channel.guild.expect("threads are of guilds");
        let data = json!({
            "id": id.to_string(), "guild_id": guild.to_string(), "member_count": count.min(50),
            "added_members": [render::thread_member(id, user)], "removed_member_ids": [],
        });
        // Without the members intent only changes of the bot itself are told.
        // https://docs.discord.com/developers/events/gateway-events#thread-members-update
        let intents = if user == self.bot { intent::GUILDS } else { intent::GUILD_MEMBERS };
        self.emit_in(id, "THREAD_MEMBERS_UPDATE", intents, data);
    }

    fn ledger_path_ends(&self, end: &str) -> bool {
        let current = self.ledger.current.map(|number| &self.ledger.requests[number]);
        current.is_some_and(|entry| entry.template.ends_with(end))
    }
}
