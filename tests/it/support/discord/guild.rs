//! A guild in tests' hands: channels, roles, members, webhooks, and what its
//! administrators do to them. Mistakes of a test fail it at once.

use std::sync::Arc;

use serde_json::json;

use super::model::{self, Channel, Member, Overwrite, Role, Tag, User, flag, kind};
use super::people::Person;
use super::permissions;
use super::world::{World, intent};
use super::{ChannelId, MessageId, Shared};

/// A guild. Cloning it is another handle on the same one.
#[derive(Clone)]
pub(crate) struct Guild {
    pub(crate) shared: Arc<Shared>,
    pub(crate) id: u64,
}

impl Guild {
    pub(super) fn new(shared: Arc<Shared>, name: &str) -> Self {
        let id = shared.change(|state| {
            let world = &mut state.world;
            let id = world.id();
            let everyone = Role {
                id,
                name: "@everyone".into(),
                permissions: permissions::EVERYONE,
                managed: false,
            };
            let bot = Role {
                id: world.id(),
                name: "dramatis".into(),
                permissions: permissions::BOT,
                managed: true,
            };
            let owner = world.make_user(&format!("owner-of-{}", name.to_lowercase()));
            let bot_role = vec![bot.id];
            let guild = model::Guild {
                id,
                name: name.into(),
                owner,
                roles: vec![everyone, bot],
                members: Default::default(),
                joined: true,
            };
            world.guilds.insert(id, guild);
            world.enter(id, owner, Vec::new());
            world.enter(id, world.bot, bot_role);
            world.tell_guild(id);
            id
        });
        Self { shared, id }
    }

    fn with<T>(&self, work: impl FnOnce(&mut World, u64) -> T) -> T {
        self.shared.change(|state| work(&mut state.world, self.id))
    }

    fn add(&self, channel_kind: u8, name: &str, change: impl FnOnce(&mut Channel)) -> ChannelId {
        self.with(|world, guild| {
            let id = world.id();
            let mut channel = Channel::new(id, Some(guild), channel_kind, name);
            change(&mut channel);
            world.channels.insert(id, channel);
            let data = world.channel_json(&world.channels[&id]);
            world.emit_in(id, "CHANNEL_CREATE", intent::GUILDS, data);
            ChannelId(id)
        })
    }

    pub(crate) fn text_channel(&self, name: &str) -> ChannelId {
        self.add(kind::TEXT, name, |_| {})
    }

    /// Age-restricted.
    pub(crate) fn nsfw_channel(&self, name: &str) -> ChannelId {
        self.add(kind::TEXT, name, |channel| channel.nsfw = true)
    }

    pub(crate) fn voice_channel(&self, name: &str) -> ChannelId {
        self.add(kind::VOICE, name, |_| {})
    }

    pub(crate) fn category(&self, name: &str) -> ChannelId {
        self.add(kind::CATEGORY, name, |_| {})
    }

    /// A forum with its tags.
    pub(crate) fn forum(&self, name: &str, tags: &[&str]) -> ChannelId {
        self.forum_like(kind::FORUM, name, tags)
    }

    pub(crate) fn media_channel(&self, name: &str, tags: &[&str]) -> ChannelId {
        self.forum_like(kind::MEDIA, name, tags)
    }

    fn forum_like(&self, channel_kind: u8, name: &str, tags: &[&str]) -> ChannelId {
        let tag = |name: &&str| {
            let id = self.with(|world, _| world.id());
            Tag { id, name: (*name).to_owned(), moderated: false }
        };
        let tags = tags.iter().map(tag).collect();
        self.add(channel_kind, name, |channel| channel.tags = tags)
    }

    /// Posts in the forum need a tag from now on.
    pub(crate) fn require_tag(&self, forum: ChannelId) {
        self.change(forum, |channel| channel.flags |= flag::REQUIRE_TAG);
    }

    /// Changes a channel or a thread, as an administrator would.
    pub(crate) fn change(&self, channel: ChannelId, change: impl FnOnce(&mut Channel)) {
        self.with(|world, _| world.change_channel(channel.0, change));
    }

    pub(crate) fn archive(&self, thread: ChannelId) {
        self.change_thread(thread, |thread| thread.archived = true);
    }

    pub(crate) fn unarchive(&self, thread: ChannelId) {
        self.change_thread(thread, |thread| thread.archived = false);
    }

    /// Locks a thread. As in Discord's own client that also archives it, unless
    /// `stays_open`.
    pub(crate) fn lock(&self, thread: ChannelId, stays_open: bool) {
        self.change_thread(thread, |thread| {
            thread.locked = true;
            thread.archived = !stays_open;
        });
    }

    pub(crate) fn unlock(&self, thread: ChannelId) {
        self.change_thread(thread, |thread| thread.locked = false);
    }

    fn change_thread(&self, thread: ChannelId, change: impl FnOnce(&mut model::Thread)) {
        self.change(thread, |channel| change(channel.thread.as_mut().expect("it is no thread")));
    }

    pub(crate) fn delete_channel(&self, channel: ChannelId) {
        self.with(|world, _| world.delete_channel(channel.0));
    }

    /// A new role; its id.
    pub(crate) fn role(&self, name: &str, granted: u64) -> u64 {
        self.with(|world, guild| {
            let id = world.id();
            let role = Role { id, name: name.into(), permissions: granted, managed: false };
            world.guilds.get_mut(&guild).unwrap().roles.push(role);
            world.tell_role(guild, id, "GUILD_ROLE_CREATE");
            id
        })
    }

    /// What a role grants from now on.
    pub(crate) fn set_role(&self, role: u64, granted: u64) {
        self.with(|world, guild| {
            let roles = &mut world.guilds.get_mut(&guild).unwrap().roles;
            roles.iter_mut().find(|one| one.id == role).expect("no such role").permissions =
                granted;
            world.tell_role(guild, role, "GUILD_ROLE_UPDATE");
        });
    }

    /// What everybody may do; `@everyone` has the guild's id.
    pub(crate) fn set_everyone(&self, granted: u64) {
        self.set_role(self.id, granted);
    }

    /// What the bot's own role grants it, beside what everybody has.
    pub(crate) fn set_bot_permissions(&self, granted: u64) {
        let role = self.with(|world, guild| {
            let roles = &world.guilds[&guild].roles;
            roles.iter().find(|role| role.managed).expect("the bot has a role").id
        });
        self.set_role(role, granted);
    }

    /// Takes permissions from the bot in one channel.
    pub(crate) fn deny_bot(&self, channel: ChannelId, deny: u64) {
        let bot = self.with(|world, _| world.bot);
        self.overwrite(channel, bot, true, 0, deny);
    }

    /// Sets an overwrite for a role or a member.
    pub(crate) fn overwrite(
        &self,
        channel: ChannelId,
        id: u64,
        is_member: bool,
        allow: u64,
        deny: u64,
    ) {
        self.change(channel, |channel| {
            channel.overwrites.retain(|one| one.id != id);
            channel.overwrites.push(Overwrite { id, is_member, allow, deny });
        });
    }

    /// Somebody new.
    pub(crate) fn member(&self, name: &str) -> Person {
        self.member_with(name, &[])
    }

    /// Somebody new with roles.
    pub(crate) fn member_with(&self, name: &str, roles: &[u64]) -> Person {
        let id = self.with(|world, guild| {
            let user = world.make_user(name);
            world.enter(guild, user, roles.to_vec());
            user
        });
        Person { guild: self.clone(), id }
    }

    /// Somebody new who may do everything.
    pub(crate) fn administrator(&self, name: &str) -> Person {
        let role = self.role(&format!("{name}'s"), permissions::ADMINISTRATOR);
        self.member_with(name, &[role])
    }

    /// Another bot, which the bot should not listen to.
    pub(crate) fn bot_member(&self, name: &str) -> Person {
        let person = self.member(name);
        self.with(|world, _| world.users.get_mut(&person.id).unwrap().bot = true);
        person
    }

    pub(crate) fn owner(&self) -> Person {
        let id = self.with(|world, guild| world.guilds[&guild].owner);
        Person { guild: self.clone(), id }
    }

    /// Somebody of another guild comes in here too.
    pub(crate) fn invite(&self, person: &Person) -> Person {
        self.with(|world, guild| world.enter(guild, person.id, Vec::new()));
        Person { guild: self.clone(), id: person.id }
    }

    /// A webhook that a person made (`application` none) or another application's.
    pub(crate) fn webhook(&self, channel: ChannelId, name: &str, application: Option<u64>) -> u64 {
        let owner = self.owner().id;
        self.with(|world, _| world.make_webhook(channel.0, name, None, application, owner))
    }

    /// The webhooks of a channel: id, name, owner.
    pub(crate) fn webhooks(&self, channel: ChannelId) -> Vec<model::Webhook> {
        self.with(|world, _| {
            world.webhooks.values().filter(|one| one.channel == channel.0).cloned().collect()
        })
    }

    pub(crate) fn delete_webhook(&self, id: u64) {
        self.with(|world, _| {
            let webhook = world.webhooks.remove(&id).expect("no such webhook");
            world.tell_webhooks(webhook.channel);
        });
    }

    /// An administrator deletes any message.
    pub(crate) fn delete(&self, message: MessageId) {
        let owner = self.owner();
        owner.delete(message);
    }

    /// Deletes messages in one go.
    pub(crate) fn delete_bulk(&self, channel: ChannelId, messages: &[MessageId]) {
        let ids: Vec<u64> = messages.iter().map(|message| message.id).collect();
        let owner = model::Author::User(self.owner().id);
        self.with(|world, _| world.delete_bulk(channel.0, &ids, &owner));
    }

    /// The bot is thrown out.
    pub(crate) fn kick_bot(&self) {
        self.with(|world, guild| world.part(guild));
    }

    /// The bot is let in again.
    pub(crate) fn let_bot_in(&self) {
        self.with(|world, guild| {
            let known = world.guilds.get_mut(&guild).unwrap();
            known.joined = true;
            let role = known.roles.iter().find(|role| role.managed).unwrap().id;
            world.enter(guild, world.bot, vec![role]);
            world.tell_guild(guild);
        });
    }

    /// The guild is out of reach for a while, as in an outage; see [`Guild::recover`].
    pub(crate) fn become_unavailable(&self) {
        self.with(|world, guild| {
            let data = json!({"id": guild.to_string(), "unavailable": true});
            world.emit("GUILD_DELETE", Some(guild), intent::GUILDS, data);
        });
    }

    pub(crate) fn recover(&self) {
        self.with(|world, guild| world.tell_guild(guild));
    }
}

impl World {
    pub(crate) fn make_user(&mut self, name: &str) -> u64 {
        let id = self.id();
        let display_name = {
            let mut letters = name.chars();
            letters.next().map(|first| first.to_uppercase().chain(letters).collect())
        };
        // User names are lower case and without blanks; the display name is as given.
        let name = name.to_lowercase().replace(' ', "_");
        self.users.insert(id, User { id, name, display_name, bot: false });
        id
    }

    pub(crate) fn enter(&mut self, guild: u64, user: u64, roles: Vec<u64>) {
        let member = Member {
            user,
            nick: None,
            roles,
            joined_ms: self.clock.now_ms(),
            locale: "en-US".into(),
        };
        self.guilds.get_mut(&guild).unwrap().members.insert(user, member);
        if user != self.bot {
            let mut data = self.member_json(guild, user);
            data["guild_id"] = guild.to_string().into();
            self.emit("GUILD_MEMBER_ADD", Some(guild), intent::GUILD_MEMBERS, data);
        }
    }

    fn tell_guild(&mut self, guild: u64) {
        let data = self.guild_create(&self.guilds[&guild], false);
        self.emit("GUILD_CREATE", Some(guild), intent::GUILDS, data);
    }

    fn tell_role(&mut self, guild: u64, id: u64, name: &str) {
        let roles = &self.guilds[&guild].roles;
        let position = roles.iter().position(|role| role.id == id).unwrap();
        let role = super::render::role(&roles[position], position);
        let data = json!({"guild_id": guild.to_string(), "role": role});
        self.emit(name, Some(guild), intent::GUILDS, data);
    }
}
