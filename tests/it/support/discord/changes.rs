//! What can happen in the world, each with the events that tell of it. REST and the
//! tests' people both go through here, so that both look the same from outside.

use std::time::Instant;

use serde_json::{Value, json};

use super::call::id_of;
use super::ledger::{Action, Deed};
use super::model::{Author, Channel, Message, Thread, flag, kind};
use super::render;
use super::world::{World, intent};

/// A message that is to be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    pub(crate) content: String,
    pub(crate) kind: u8,
    pub(crate) flags: u64,
    pub(crate) embeds: Vec<Value>,
    pub(crate) components: Vec<Value>,
    pub(crate) attachments: Vec<Value>,
    pub(crate) reference: Option<(u64, u64)>,
    pub(crate) application: Option<u64>,
    pub(crate) nonce: Option<Value>,
    pub(crate) allowed_mentions: Option<Value>,
    pub(crate) interaction: Option<Value>,
    pub(crate) only_for: Option<u64>,
}

impl World {
    /// Puts a message into a channel, which wakes an archived thread.
    pub(crate) fn post(&mut self, channel: u64, author: Author, draft: Draft) -> u64 {
        let id = self.id();
        self.post_as(id, channel, author, draft)
    }

    /// [`World::post`] with an id that is given: a forum post's first message has
    /// its thread's.
    pub(crate) fn post_as(&mut self, id: u64, channel: u64, author: Author, draft: Draft) -> u64 {
        let is_public = draft.only_for.is_none();
        if is_public {
            self.wake(channel);
        }
        let (pinged, pinged_everyone) = self.pings(channel, &author, &draft);
        let message = Message {
            id,
            channel,
            author: author.clone(),
            kind: draft.kind,
            content: draft.content,
            flags: draft.flags,
            embeds: draft.embeds,
            components: draft.components,
            attachments: draft.attachments,
            edited_ms: None,
            reference: draft.reference,
            application: draft.application,
            nonce: draft.nonce,
            allowed_mentions: draft.allowed_mentions,
            pinged,
            pinged_everyone,
            reactions: Vec::new(),
            interaction: draft.interaction,
            only_for: draft.only_for,
            pinned: false,
        };
        self.note(Action::Posted, &message, author);
        if is_public {
            let place = self.channels.get_mut(&channel).expect("the channel was looked up");
            place.last_message = Some(id);
            if let Some(thread) = &mut place.thread
                && id != channel
            {
                thread.num_messages += 1;
            }
            let event = self.message_event(&message);
            self.emit_in(channel, "MESSAGE_CREATE", intent::GUILD_MESSAGES, event);
        }
        self.messages.insert((channel, id), message);
        id
    }

    /// Changes a message; `change` is told of to everybody.
    pub(crate) fn edit(
        &mut self,
        channel: u64,
        id: u64,
        by: Author,
        change: impl FnOnce(&mut Message),
    ) {
        let now = self.clock.now_ms();
        let message = self.messages.get_mut(&(channel, id)).expect("the message was looked up");
        change(message);
        message.edited_ms = Some(now);
        let message = message.clone();
        self.note(Action::Edited, &message, by);
        self.tell_update(&message);
    }

    pub(crate) fn tell_update(&mut self, message: &Message) {
        if message.only_for.is_none() {
            let event = self.message_event(message);
            self.emit_in(message.channel, "MESSAGE_UPDATE", intent::GUILD_MESSAGES, event);
        }
    }

    pub(crate) fn delete(&mut self, channel: u64, id: u64, by: Author) {
        let Some(message) = self.remove(channel, id, by) else { return };
        if message.only_for.is_none() {
            let mut data = json!({"id": id.to_string(), "channel_id": channel.to_string()});
            self.add_guild(&mut data, channel);
            self.emit_in(channel, "MESSAGE_DELETE", intent::GUILD_MESSAGES, data);
        }
    }

    pub(crate) fn delete_bulk(&mut self, channel: u64, ids: &[u64], by: &Author) {
        for id in ids {
            self.remove(channel, *id, by.clone());
        }
        let mut data = json!({"ids": render::ids(ids), "channel_id": channel.to_string()});
        self.add_guild(&mut data, channel);
        self.emit_in(channel, "MESSAGE_DELETE_BULK", intent::GUILD_MESSAGES, data);
    }

    fn remove(&mut self, channel: u64, id: u64, by: Author) -> Option<Message> {
        let message = self.messages.remove(&(channel, id))?;
        let emptied = Message { content: String::new(), ..message.clone() };
        self.note(Action::Deleted, &emptied, by);
        Some(message)
    }

    pub(crate) fn add_guild(&self, data: &mut Value, channel: u64) {
        if let Some(guild) = self.guild_of(channel) {
            data["guild_id"] = guild.to_string().into();
        }
    }

    fn note(&mut self, action: Action, message: &Message, by: Author) {
        let deed = Deed {
            at: Instant::now(),
            action,
            channel: message.channel,
            message: message.id,
            by,
            content: message.content.clone(),
            request: self.ledger.current,
        };
        self.ledger.deeds.push(deed);
    }

    /// Whom a message notifies. Left out, `allowed_mentions` lets everything through.
    /// <https://docs.discord.com/developers/resources/message#allowed-mentions-object>
    fn pings(&self, channel: u64, author: &Author, draft: &Draft) -> (Vec<u64>, bool) {
        let rule = draft.allowed_mentions.as_ref();
        let parses = |what: &str| match rule {
            None => true,
            Some(rule) => rule["parse"].as_array().is_some_and(|all| all.iter().any(|p| p == what)),
        };
        let listed = |id: u64| {
            let listed = rule.and_then(|rule| rule["users"].as_array());
            listed.is_some_and(|users| users.iter().any(|user| id_of(user) == Some(id)))
        };
        let mut pinged: Vec<u64> = mentioned(&draft.content)
            .filter(|id| self.users.contains_key(id) && (parses("users") || listed(*id)))
            .collect();
        let answered = draft.reference.and_then(|at| self.messages.get(&at));
        if let Some(Author::User(id)) = answered.map(|message| &message.author)
            && rule.is_none_or(|rule| rule["replied_user"] == true)
        {
            pinged.push(*id);
        }
        pinged.sort_unstable();
        pinged.dedup();
        let may_all = match author {
            Author::User(id) => self.may(*id, channel, super::permissions::MENTION_EVERYONE),
            Author::Webhook { .. } => true,
        };
        let names_all = draft.content.contains("@everyone") || draft.content.contains("@here");
        (pinged, names_all && may_all && parses("everyone"))
    }

    /// Opens a thread and tells of it. `id` is that of the message it hangs on.
    pub(crate) fn open_thread(&mut self, id: u64, parent: u64, owner: u64, new: NewThread) -> u64 {
        let members = match self.users.contains_key(&owner) {
            true => vec![owner],
            false => Vec::new(),
        };
        let thread = Thread {
            owner,
            archived: false,
            locked: false,
            auto_archive_min: new.auto_archive_min,
            archive_changed_ms: self.clock.now_ms(),
            applied_tags: new.applied_tags,
            members,
            num_messages: 0,
        };
        let channel = Channel {
            id,
            guild: self.guild_of(parent),
            kind: new.kind,
            name: new.name,
            topic: None,
            parent: Some(parent),
            nsfw: false,
            flags: 0,
            overwrites: Vec::new(),
            tags: Vec::new(),
            last_message: None,
            slowmode_s: 0,
            thread: Some(thread),
            recipient: None,
        };
        self.channels.insert(id, channel);
        if matches!(self.channels[&parent].kind, kind::FORUM | kind::MEDIA) {
            self.channels.get_mut(&parent).unwrap().last_message = Some(id);
        }
        let mut data = self.channel_json(&self.channels[&id]);
        data["newly_created"] = true.into();
        self.emit_in(id, "THREAD_CREATE", intent::GUILDS, data);
        id
    }

    /// Changes a channel or thread and tells of it.
    pub(crate) fn change_channel(&mut self, id: u64, change: impl FnOnce(&mut Channel)) {
        let now = self.clock.now_ms();
        let was_seen = self.sees(self.bot, id);
        let channel = self.channels.get_mut(&id).expect("the channel was looked up");
        let was = channel.thread.as_ref().map(|thread| thread.archived);
        change(channel);
        let name = match &mut channel.thread {
            Some(thread) => {
                if was != Some(thread.archived) {
                    thread.archive_changed_ms = now;
                }
                "THREAD_UPDATE"
            }
            None => "CHANNEL_UPDATE",
        };
        let data = self.channel_json(&self.channels[&id]);
        self.emit_in(id, name, intent::GUILDS, data);
        if !was_seen {
            self.tell_threads(id);
        }
    }

    /// "Sent when the current user gains access to a channel." Losing it is not told.
    /// <https://docs.discord.com/developers/events/gateway-events#thread-list-sync>
    fn tell_threads(&mut self, parent: u64) {
        let active = |one: &&Channel| {
            one.parent == Some(parent) && one.thread.as_ref().is_some_and(|one| !one.archived)
        };
        let threads: Vec<&Channel> = self.channels.values().filter(active).collect();
        let is_in = |one: &&&Channel| {
            one.thread.as_ref().is_some_and(|thread| thread.members.contains(&self.bot))
        };
        let members: Vec<Value> = threads
            .iter()
            .filter(is_in)
            .map(|one| render::thread_member(one.id, self.bot))
            .collect();
        let mut data = json!({
            "channel_ids": [parent.to_string()], "members": members,
            "threads": threads.iter().map(|one| self.channel_json(one)).collect::<Vec<_>>(),
        });
        self.add_guild(&mut data, parent);
        self.emit_in(parent, "THREAD_LIST_SYNC", intent::GUILDS, data);
    }

    /// A message in an archived thread wakes it.
    fn wake(&mut self, channel: u64) {
        let thread = self.channels.get(&channel).and_then(|channel| channel.thread.as_ref());
        if thread.is_some_and(|thread| thread.archived) {
            self.change_channel(channel, |channel| {
                channel.thread.as_mut().unwrap().archived = false;
            });
        }
    }

    /// Deletes a channel with its threads, messages and webhooks.
    pub(crate) fn delete_channel(&mut self, id: u64) {
        let Some(channel) = self.channels.get(&id).cloned() else { return };
        let (name, data) = match channel.thread {
            Some(_) => (
                "THREAD_DELETE",
                json!({
                    "id": id.to_string(), "type": channel.kind,
                    "guild_id": channel.guild.map(|id| id.to_string()),
                    "parent_id": channel.parent.map(|id| id.to_string()),
                }),
            ),
            None => ("CHANNEL_DELETE", self.channel_json(&channel)),
        };
        self.emit_in(id, name, intent::GUILDS, data);
        let children = self.channels.values().filter(|child| child.parent == Some(id));
        let threads: Vec<u64> =
            children.filter(|child| child.thread.is_some()).map(|child| child.id).collect();
        for gone in threads.into_iter().chain([id]) {
            self.channels.remove(&gone);
            self.messages.retain(|(channel, _), _| *channel != gone);
            self.webhooks.retain(|_, webhook| webhook.channel != gone);
        }
    }

    pub(crate) fn tell_webhooks(&mut self, channel: u64) {
        let Some(guild) = self.guild_of(channel) else { return };
        let data = json!({"guild_id": guild.to_string(), "channel_id": channel.to_string()});
        self.emit_in(channel, "WEBHOOKS_UPDATE", intent::GUILD_WEBHOOKS, data);
    }

    /// Adds or takes away a reaction; says whether that changed anything.
    pub(crate) fn react(&mut self, at: (u64, u64), emoji: &str, user: u64, add: bool) -> bool {
        let message = self.messages.get_mut(&at).expect("the message was looked up");
        let known = message.reactions.iter().position(|(name, _)| name == emoji);
        let index = known.unwrap_or_else(|| {
            message.reactions.push((emoji.into(), Vec::new()));
            message.reactions.len() - 1
        });
        let users = &mut message.reactions[index].1;
        let had = users.contains(&user);
        users.retain(|one| *one != user);
        if add {
            users.push(user);
        }
        message.reactions.retain(|(_, users)| !users.is_empty());
        if had == add {
            return false;
        }
        let mut data = json!({
            "user_id": user.to_string(), "channel_id": at.0.to_string(),
            "message_id": at.1.to_string(), "emoji": {"id": null, "name": emoji},
            "burst": false, "type": 0,
        });
        self.add_guild(&mut data, at.0);
        if let (true, Some(guild)) = (add, self.guild_of(at.0)) {
            data["member"] = self.member_json(guild, user);
        }
        let name = if add { "MESSAGE_REACTION_ADD" } else { "MESSAGE_REACTION_REMOVE" };
        self.emit_in(at.0, name, intent::GUILD_MESSAGE_REACTIONS, data);
        true
    }

    pub(crate) fn type_in(&mut self, channel: u64, user: u64) {
        self.typing.push((channel, user));
        let mut data = json!({
            "channel_id": channel.to_string(), "user_id": user.to_string(),
            "timestamp": self.clock.now_ms() / 1000,
        });
        self.add_guild(&mut data, channel);
        if let Some(guild) = self.guild_of(channel) {
            data["member"] = self.member_json(guild, user);
        }
        self.emit_in(channel, "TYPING_START", intent::GUILD_MESSAGE_TYPING, data);
    }

    /// Hangs a thread on a message, with the starter message that stands in it.
    pub(crate) fn open_thread_on(&mut self, at: (u64, u64), owner: u64, new: NewThread) -> u64 {
        let (parent, message) = at;
        self.open_thread(message, parent, owner, new);
        let starter = self.messages.get_mut(&at).expect("the message was looked up");
        starter.flags |= flag::HAS_THREAD;
        let starter = starter.clone();
        self.tell_update(&starter);
        let draft = Draft { kind: 21, reference: Some(at), ..Draft::default() };
        self.post(message, Author::User(owner), draft);
        message
    }
}

/// How a thread is to be.
#[derive(Clone, Debug)]
pub(crate) struct NewThread {
    pub(crate) name: String,
    pub(crate) kind: u8,
    pub(crate) auto_archive_min: u64,
    pub(crate) applied_tags: Vec<u64>,
}

/// Users named as `<@id>` or `<@!id>`.
fn mentioned(content: &str) -> impl Iterator<Item = u64> {
    let after = content.split("<@").skip(1);
    after.filter_map(|rest| rest.trim_start_matches('!').split_once('>')?.0.parse().ok())
}
