//! Webhooks, by which characters speak under their own names; and the messages that
//! belong to interactions, which Discord keeps under the same paths.
//! <https://docs.discord.com/developers/resources/webhook>

use serde_json::Value;

use super::super::call::{Call, Outcome, Reply, id_of, ids_of, nothing, ok};
use super::super::changes::NewThread;
use super::super::model::{Author, Webhook, kind};
use super::super::permissions::MANAGE_WEBHOOKS;
use super::super::refusal::Refusal;
use super::super::render;
use super::super::rules::{self, Payload};
use super::super::world::World;
use super::{channels, interactions, messages};

pub(crate) fn create(world: &mut World, call: &Call) -> Outcome {
    let channel = world.visible(call.id("channel_id")?)?.clone();
    world.demand(world.bot, channel.id, MANAGE_WEBHOOKS)?;
    let fits = [kind::TEXT, kind::NEWS, kind::VOICE, kind::FORUM, kind::MEDIA];
    if !fits.contains(&channel.kind) {
        return Err(Refusal::of(50024));
    }
    let name = call.text("name").unwrap_or_default().trim().to_owned();
    rules::check_webhook_name("name", &name)?;
    let here = world.webhooks.values().filter(|webhook| webhook.channel == channel.id);
    if here.count() >= world.limits.webhooks_per_channel {
        return Err(Refusal::of(30007));
    }
    let application = Some(world.application);
    let avatar = call.text("avatar").map(|_| "a".repeat(32));
    let id = world.make_webhook(channel.id, &name, avatar, application, world.bot);
    ok(render::webhook(world, &world.webhooks[&id], true))
}

/// Tokens of other applications' webhooks are not shown.
fn shown(world: &World, webhook: &Webhook) -> Value {
    let is_readable = webhook.application.is_none_or(|owner| owner == world.application);
    render::webhook(world, webhook, is_readable)
}

pub(crate) fn of_channel(world: &mut World, call: &Call) -> Outcome {
    let channel = world.visible(call.id("channel_id")?)?.id;
    world.demand(world.bot, channel, MANAGE_WEBHOOKS)?;
    let here = world.webhooks.values().filter(|webhook| webhook.channel == channel);
    ok(here.map(|webhook| shown(world, webhook)).collect())
}

pub(crate) fn of_guild(world: &mut World, call: &Call) -> Outcome {
    let guild = world.guild(call.id("guild_id")?)?.id;
    if world.guild_permissions(world.bot, guild) & MANAGE_WEBHOOKS == 0 {
        return Err(Refusal::of(50013));
    }
    let here = world.webhooks.values().filter(|webhook| webhook.guild == guild);
    ok(here.map(|webhook| shown(world, webhook)).collect())
}

/// The webhook of a path, whose token is right where one is given.
fn found(world: &World, call: &Call) -> Result<Webhook, Refusal> {
    let webhook = world.webhooks.get(&call.id("webhook_id")?).ok_or(Refusal::of(10015))?;
    match call.params.get("webhook_token") {
        Some(token) if *token != webhook.token => Err(Refusal::of(50027)),
        Some(_) => Ok(webhook.clone()),
        None => {
            world.demand(world.bot, webhook.channel, MANAGE_WEBHOOKS)?;
            Ok(webhook.clone())
        }
    }
}

pub(crate) fn get(world: &mut World, call: &Call) -> Outcome {
    let webhook = found(world, call)?;
    ok(shown(world, &webhook))
}

pub(crate) fn change(world: &mut World, call: &Call) -> Outcome {
    let mut webhook = found(world, call)?;
    let was = webhook.channel;
    if let Some(name) = call.text("name") {
        rules::check_webhook_name("name", name)?;
        webhook.name = name.trim().into();
    }
    if let Some(channel) = id_of(&call.body["channel_id"]) {
        world.visible(channel)?;
        webhook.channel = channel;
    }
    let json = shown(world, &webhook);
    let channel = webhook.channel;
    world.webhooks.insert(webhook.id, webhook);
    world.tell_webhooks(channel);
    if was != channel {
        world.tell_webhooks(was);
    }
    ok(json)
}

pub(crate) fn delete(world: &mut World, call: &Call) -> Outcome {
    let webhook = found(world, call)?;
    world.webhooks.remove(&webhook.id);
    world.tell_webhooks(webhook.channel);
    nothing()
}

pub(crate) fn execute(world: &mut World, call: &Call) -> Outcome {
    if call.id("webhook_id")? == world.application {
        return interactions::follow_up(world, call);
    }
    let webhook = found(world, call)?;
    if let Some(name) = call.text("username") {
        rules::check_webhook_name("username", name)?;
    }
    messages::check(world, call, &call.body, Payload::Webhook)?;
    let has_components = call.body["components"].as_array().is_some_and(|all| !all.is_empty());
    let owned = webhook.application == Some(world.application);
    // "components: … requires an application-owned webhook"; of others they are dropped.
    if has_components && !owned {
        world.ledger.violation("components through a webhook that the application does not own");
    }
    let place = place(world, call, &webhook)?;
    let mut draft = messages::draft(world, place, call, &call.body);
    if !owned {
        draft.components.clear();
    }
    draft.application = webhook.application;
    let author = Author::Webhook {
        id: webhook.id,
        name: call.text("username").unwrap_or(&webhook.name).trim().to_owned(),
        avatar: call.text("avatar_url").map(str::to_owned).or(webhook.avatar),
    };
    let id =
        match world.channels[&place].last_message.is_none() && call.text("thread_name").is_some() {
            true => world.post_as(place, place, author, draft),
            false => world.post(place, author, draft),
        };
    reply(world, call, (place, id))
}

/// "wait: waits for server confirmation of message send before response"; without it
/// nothing comes back.
fn reply(world: &World, call: &Call, at: (u64, u64)) -> Outcome {
    match call.asks("wait") {
        true => Ok(Reply { status: 200, body: Some(world.message_json(&world.messages[&at])) }),
        false => nothing(),
    }
}

/// Where the message goes: the webhook's channel, a thread of it, or a new forum post.
fn place(world: &mut World, call: &Call, webhook: &Webhook) -> Result<u64, Refusal> {
    let channel = world.channel(webhook.channel)?.clone();
    let is_forum = matches!(channel.kind, kind::FORUM | kind::MEDIA);
    let thread = call.query::<u64>("thread_id")?;
    match (thread, call.text("thread_name")) {
        (Some(_), Some(_)) => Err(Refusal::of(220002)),
        (None, None) if is_forum => Err(Refusal::of(220001)),
        (None, Some(_)) if !is_forum => Err(Refusal::of(220003)),
        (None, None) => Ok(channel.id),
        (Some(id), None) => {
            let thread = world.channels.get(&id).filter(|one| one.parent == Some(channel.id));
            thread.map(|thread| thread.id).ok_or(Refusal::of(10003))
        }
        (None, Some(name)) => {
            let applied_tags = ids_of(&call.body["applied_tags"]);
            channels::check_tags(world, Some(&channel), &applied_tags)?;
            let new = NewThread {
                name: name.trim().into(),
                kind: kind::PUBLIC_THREAD,
                auto_archive_min: 1440,
                applied_tags,
            };
            let id = world.id();
            Ok(world.open_thread(id, channel.id, webhook.id, new))
        }
    }
}

/// A message of this webhook: "thread_id: id of the thread the message is in".
fn message_of(world: &World, call: &Call) -> Result<(u64, u64), Refusal> {
    if call.id("webhook_id")? == world.application {
        return interactions::message_of(world, call);
    }
    let webhook = found(world, call)?;
    let place = match call.query::<u64>("thread_id")? {
        None => webhook.channel,
        Some(id) => {
            let thread = world.channels.get(&id).filter(|one| one.parent == Some(webhook.channel));
            thread.ok_or(Refusal::of(10003))?.id
        }
    };
    let message = world.message(place, call.id("message_id")?)?;
    match message.author {
        Author::Webhook { id, .. } if id == webhook.id => Ok((place, message.id)),
        _ => Err(Refusal::of(10008)),
    }
}

pub(crate) fn message(world: &mut World, call: &Call) -> Outcome {
    let at = message_of(world, call)?;
    ok(world.message_json(&world.messages[&at]))
}

pub(crate) fn edit_message(world: &mut World, call: &Call) -> Outcome {
    let at = message_of(world, call)?;
    messages::check(world, call, &call.body, Payload::WebhookEdit)?;
    world.demand_awake(at.0)?;
    messages::apply_edit(world, at, call, &call.body)?;
    interactions::note_edit(world, at);
    ok(world.message_json(&world.messages[&at]))
}

pub(crate) fn delete_message(world: &mut World, call: &Call) -> Outcome {
    let at = message_of(world, call)?;
    let by = world.messages[&at].author.clone();
    world.delete(at.0, at.1, by);
    nothing()
}

impl World {
    pub(crate) fn make_webhook(
        &mut self,
        channel: u64,
        name: &str,
        avatar: Option<String>,
        application: Option<u64>,
        creator: u64,
    ) -> u64 {
        let id = self.id();
        let webhook = Webhook {
            id,
            guild: self.guild_of(channel).expect("webhooks are of guilds"),
            channel,
            name: name.into(),
            avatar,
            // Real ones are 68 letters long.
            token: format!("{:-<68}", format!("webhook-token-{id}")),
            application,
            creator,
        };
        self.webhooks.insert(id, webhook);
        self.tell_webhooks(channel);
        id
    }
}
