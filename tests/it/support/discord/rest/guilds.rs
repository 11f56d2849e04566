//! The application, its user, its guilds and their members.

use serde_json::{Value, json};

use super::super::call::{Call, Outcome, nothing, ok};
use super::super::clock::created_ms;
use super::super::model::{Channel, kind};
use super::super::refusal::Refusal;
use super::super::render::extend;
use super::super::world::{World, intent};

pub(crate) fn gateway(world: &mut World, _: &Call) -> Outcome {
    ok(json!({"url": world.gateway_url}))
}

/// <https://docs.discord.com/developers/events/gateway#get-gateway-bot>
pub(crate) fn gateway_bot(world: &mut World, _: &Call) -> Outcome {
    let limits = &world.limits;
    ok(json!({
        "url": world.gateway_url, "shards": limits.recommended_shards,
        "session_start_limit": {
            "total": limits.session_starts_total, "remaining": limits.session_starts_left,
            "reset_after": 86_400_000, "max_concurrency": limits.max_concurrency,
        },
    }))
}

/// The flags say which privileged intents the developer portal grants: the "limited"
/// ones, of an application in few guilds.
/// <https://docs.discord.com/developers/resources/application#application-object-application-flags>
pub(crate) fn application_flags(world: &World) -> u64 {
    let granted = world.limits.privileged_intents;
    let flag = |intent: u64, bit: u64| if granted & intent != 0 { 1 << bit } else { 0 };
    flag(intent::GUILD_PRESENCES, 13)
        | flag(intent::GUILD_MEMBERS, 15)
        | flag(intent::MESSAGE_CONTENT, 19)
}

pub(crate) fn application(world: &mut World, _: &Call) -> Outcome {
    let owner = world.guilds.values().map(|guild| guild.owner).next().unwrap_or(world.bot);
    let flags = application_flags(world);
    let guilds = world.guilds.values().filter(|guild| guild.joined).count();
    ok(json!({
        "id": world.application.to_string(), "name": "Dramatis", "icon": null, "description": "",
        "type": null, "bot": world.user_json(world.bot), "bot_public": false,
        "bot_require_code_grant": false, "verify_key": "0".repeat(64), "flags": flags,
        "flags_new": flags.to_string(), "redirect_uris": [], "interactions_endpoint_url": null,
        "role_connections_verification_url": null, "owner": world.user_json(owner),
        "approximate_guild_count": guilds, "approximate_user_install_count": 0,
        "approximate_user_authorization_count": 0, "explicit_content_filter": 0, "team": null,
        "eligible_oauth2_scopes": [],
    }))
}

pub(crate) fn me(world: &mut World, _: &Call) -> Outcome {
    let mut me = world.user_json(world.bot);
    extend(
        &mut me,
        json!({"mfa_enabled": false, "locale": "en-US", "verified": true, "email": null}),
    );
    ok(me)
}

pub(crate) fn user(world: &mut World, call: &Call) -> Outcome {
    let id = call.id("user_id")?;
    match world.users.contains_key(&id) {
        true => ok(world.user_json(id)),
        false => Err(Refusal::of(10013)),
    }
}

pub(crate) fn my_guilds(world: &mut World, call: &Call) -> Outcome {
    let limit = call.query("limit")?.unwrap_or(200);
    let after: u64 = call.query("after")?.unwrap_or(0);
    let joined = world.guilds.values().filter(|guild| guild.joined && guild.id > after);
    let entry = |guild: &super::super::model::Guild| {
        json!({
            "id": guild.id.to_string(), "name": guild.name, "icon": null, "banner": null,
            "owner": false, "features": [],
            "permissions": world.guild_permissions(world.bot, guild.id).to_string(),
        })
    };
    ok(joined.take(limit).map(entry).collect())
}

pub(crate) fn leave(world: &mut World, call: &Call) -> Outcome {
    let guild = world.guild(call.id("guild_id")?)?.id;
    world.part(guild);
    nothing()
}

/// A direct conversation with a person who shares a guild with the bot.
pub(crate) fn open_dm(world: &mut World, call: &Call) -> Outcome {
    let user = super::super::call::id_of(&call.body["recipient_id"]).unwrap_or(0);
    let shares = |guild: &super::super::model::Guild| guild.members.contains_key(&user);
    if !world.guilds.values().any(shares) {
        return Err(Refusal::of(50007));
    }
    let known = world.channels.values().find(|channel| channel.recipient == Some(user));
    let id = match known.map(|channel| channel.id) {
        Some(id) => id,
        None => {
            let id = world.id();
            let dm = Channel { recipient: Some(user), ..Channel::new(id, None, kind::DM, "") };
            world.channels.insert(id, dm);
            id
        }
    };
    ok(world.channel_json(&world.channels[&id]))
}

pub(crate) fn get(world: &mut World, call: &Call) -> Outcome {
    let guild = world.guild(call.id("guild_id")?)?;
    let mut json = world.guild_json(guild);
    if call.asks("with_counts") {
        let count = guild.members.len();
        extend(
            &mut json,
            json!({"approximate_member_count": count, "approximate_presence_count": count}),
        );
    }
    ok(json)
}

/// "Does not include threads."
pub(crate) fn channels(world: &mut World, call: &Call) -> Outcome {
    let guild = world.guild(call.id("guild_id")?)?.id;
    let mine = world.channels.values().filter(|channel| channel.guild == Some(guild));
    ok(mine.filter(|one| one.thread.is_none()).map(|one| world.channel_json(one)).collect())
}

pub(crate) fn roles(world: &mut World, call: &Call) -> Outcome {
    let guild = world.guild(call.id("guild_id")?)?;
    ok(world.roles_json(guild))
}

pub(crate) fn role(world: &mut World, call: &Call) -> Outcome {
    let guild = world.guild(call.id("guild_id")?)?;
    let id = call.id("role_id")?;
    let position = guild.roles.iter().position(|role| role.id == id);
    let position = position.ok_or(Refusal::of(10011))?;
    ok(super::super::render::role(&guild.roles[position], position))
}

pub(crate) fn members(world: &mut World, call: &Call) -> Outcome {
    let guild = world.guild(call.id("guild_id")?)?;
    // "This endpoint is restricted according to whether the GUILD_MEMBERS Privileged
    // Intent is enabled for your application."
    if world.limits.privileged_intents & intent::GUILD_MEMBERS == 0 {
        return Err(Refusal::of(50001));
    }
    let after: u64 = call.query("after")?.unwrap_or(0);
    let limit = call.query("limit")?.unwrap_or(1);
    let users = guild.members.keys().filter(|user| **user > after).take(limit);
    ok(users.map(|user| world.member_json(guild.id, *user)).collect())
}

pub(crate) fn search_members(world: &mut World, call: &Call) -> Outcome {
    let guild = world.guild(call.id("guild_id")?)?;
    let query: String = call.query("query")?.unwrap_or_default();
    let limit = call.query("limit")?.unwrap_or(1);
    let starts = |user: &&u64| {
        let name = world.name_of(**user, Some(guild.id)).to_lowercase();
        name.starts_with(&query.to_lowercase())
    };
    let found = guild.members.keys().filter(starts).take(limit);
    ok(found.map(|user| world.member_json(guild.id, *user)).collect())
}

pub(crate) fn member(world: &mut World, call: &Call) -> Outcome {
    let guild = world.guild(call.id("guild_id")?)?;
    let user = call.id("user_id")?;
    if !guild.members.contains_key(&user) {
        return Err(Refusal::of(10007));
    }
    ok(world.member_json(guild.id, user))
}

pub(crate) fn my_member(world: &mut World, call: &Call) -> Outcome {
    let guild = world.guild(call.id("guild_id")?)?.id;
    ok(world.member_json(guild, world.bot))
}

impl Channel {
    /// A channel with nothing special about it.
    pub(crate) fn new(id: u64, guild: Option<u64>, kind: u8, name: &str) -> Self {
        Self {
            id,
            guild,
            kind,
            name: name.into(),
            topic: None,
            parent: None,
            nsfw: false,
            flags: 0,
            overwrites: Vec::new(),
            tags: Vec::new(),
            last_message: None,
            slowmode_s: 0,
            thread: None,
            recipient: None,
        }
    }
}

impl World {
    /// The bot leaves a guild, or is thrown out.
    pub(crate) fn part(&mut self, guild: u64) {
        let data: Value = json!({"id": guild.to_string()});
        self.emit("GUILD_DELETE", Some(guild), intent::GUILDS, data);
        let bot = self.bot;
        let guild = self.guilds.get_mut(&guild).expect("the guild was looked up");
        guild.joined = false;
        guild.members.remove(&bot);
        let id = guild.id;
        self.commands.remove(&Some(id));
    }

    /// How old a message is, in milliseconds.
    pub(crate) fn age_ms(&self, id: u64) -> u64 {
        self.clock.now_ms().saturating_sub(created_ms(id))
    }
}
