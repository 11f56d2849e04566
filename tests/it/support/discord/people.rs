//! A person in tests' hands: what they write, press and ask. People obey the same
//! permissions as the bot; a test that makes them do the impossible fails.

use serde_json::{Value, json};

use super::answer::Answer;
use super::changes::{Draft, NewThread};
use super::forms;
use super::guild::Guild;
use super::model::{Author, kind};
use super::permissions::{CREATE_PUBLIC_THREADS, MANAGE_MESSAGES, SEND_MESSAGES};
use super::refusal::Refusal;
use super::world::World;
use super::{ChannelId, MessageId};

/// Somebody in a guild.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) guild: Guild,
    pub(crate) id: u64,
}

impl Person {
    fn with<T>(&self, work: impl FnOnce(&mut World) -> T) -> T {
        self.guild.shared.change(|state| work(&mut state.world))
    }

    fn expect(&self, allowed: Result<(), Refusal>, what: &str) {
        if let Err(refusal) = allowed {
            let name = self.with(|world| world.name_of(self.id, None));
            panic!("{name} may not {what}: {}", refusal.message);
        }
    }

    /// `<@id>`.
    pub(crate) fn mention(&self) -> String {
        format!("<@{}>", self.id)
    }

    /// Their name in this guild from now on.
    pub(crate) fn set_nick(&self, nick: Option<&str>) {
        let guild = self.guild.id;
        self.with(|world| {
            let members = &mut world.guilds.get_mut(&guild).unwrap().members;
            members.get_mut(&self.id).unwrap().nick = nick.map(str::to_owned);
            let mut data = world.member_json(guild, self.id);
            data["guild_id"] = guild.to_string().into();
            let intents = super::world::intent::GUILD_MEMBERS;
            world.emit("GUILD_MEMBER_UPDATE", Some(guild), intents, data);
        });
    }

    /// The language of their Discord, such as `de`.
    pub(crate) fn set_locale(&self, locale: &str) {
        let guild = self.guild.id;
        self.with(|world| {
            let members = &mut world.guilds.get_mut(&guild).unwrap().members;
            members.get_mut(&self.id).unwrap().locale = locale.into();
        });
    }

    pub(crate) fn say(&self, channel: ChannelId, text: &str) -> MessageId {
        self.write(channel, Draft { content: text.into(), ..Draft::default() })
    }

    /// Says something that answers a message.
    pub(crate) fn reply_to(&self, message: MessageId, text: &str) -> MessageId {
        let reference = Some((message.channel.0, message.id));
        let draft = Draft { content: text.into(), kind: 19, reference, ..Draft::default() };
        self.write(message.channel, draft)
    }

    /// Writes components of kinds that nobody knows, as after a change of Discord's.
    /// From then on the double's answers that hold messages are not checked.
    pub(crate) fn say_with_unknown_component(&self, channel: ChannelId, text: &str) -> MessageId {
        self.with(|world| world.has_oddities = true);
        let component = json!({"type": 99, "id": 1, "novelty": "what a client cannot know"});
        let components = vec![component];
        self.write(channel, Draft { content: text.into(), components, ..Draft::default() })
    }

    /// Says something with a file, which can be fetched from the double.
    pub(crate) fn say_with_file(
        &self,
        channel: ChannelId,
        text: &str,
        name: &str,
        bytes: &[u8],
    ) -> MessageId {
        let file = self.with(|world| world.keep_file(channel.0, name, bytes.to_vec()));
        let draft = Draft { content: text.into(), attachments: vec![file], ..Draft::default() };
        self.write(channel, draft)
    }

    /// Uploads a file, to be given to a command's option: what is returned is the
    /// option's value. It is what Discord tells the bot of the file, so that a test can
    /// let Discord tell lies.
    pub(crate) fn attach(&self, name: &str, bytes: &[u8]) -> Value {
        self.with(|world| world.keep_option_file(name, bytes.to_vec()))
    }

    fn write(&self, channel: ChannelId, draft: Draft) -> MessageId {
        let allowed = self.with(|world| world.demand_send(self.id, channel.0));
        self.expect(allowed, "write here");
        let id = self.with(|world| {
            if world.channels[&channel.0].thread.is_some() {
                world.join_thread(channel.0, self.id);
            }
            world.post(channel.0, Author::User(self.id), draft)
        });
        MessageId { channel, id }
    }

    pub(crate) fn edit(&self, message: MessageId, text: &str) {
        self.with(|world| {
            let at = (message.channel.0, message.id);
            let known = world.messages.get(&at).expect("the message is gone");
            assert_eq!(known.author, Author::User(self.id), "only one's own messages are edited");
            let by = Author::User(self.id);
            world.edit(at.0, at.1, by, |message| message.content = text.into());
        });
    }

    /// Deletes their own message, or another's with MANAGE_MESSAGES.
    pub(crate) fn delete(&self, message: MessageId) {
        let by = Author::User(self.id);
        let at = (message.channel.0, message.id);
        let allowed = self.with(|world| {
            let known = world.messages.get(&at).expect("the message is gone");
            match known.author == by {
                true => Ok(()),
                false => world.demand(self.id, at.0, MANAGE_MESSAGES),
            }
        });
        self.expect(allowed, "delete this");
        self.with(|world| world.delete(at.0, at.1, by));
    }

    /// Opens a post in a forum. The post's first message has the same id.
    pub(crate) fn post(
        &self,
        forum: ChannelId,
        title: &str,
        text: &str,
        tags: &[&str],
    ) -> ChannelId {
        let allowed = self.with(|world| world.demand(self.id, forum.0, SEND_MESSAGES));
        self.expect(allowed, "post here");
        let id = self.with(|world| {
            let known = &world.channels[&forum.0].tags;
            let tag = |name: &&str| {
                let found = known.iter().find(|tag| tag.name == *name);
                found.unwrap_or_else(|| panic!("the forum has no tag {name:?}")).id
            };
            let new = NewThread {
                name: title.into(),
                kind: kind::PUBLIC_THREAD,
                auto_archive_min: 4320,
                applied_tags: tags.iter().map(tag).collect(),
            };
            let id = world.id();
            world.open_thread(id, forum.0, self.id, new);
            let draft = Draft { content: text.into(), ..Draft::default() };
            world.post_as(id, id, Author::User(self.id), draft)
        });
        ChannelId(id)
    }

    /// Opens a thread on a message.
    pub(crate) fn open_thread(&self, message: MessageId, name: &str) -> ChannelId {
        let at = (message.channel.0, message.id);
        let allowed = self.with(|world| world.demand(self.id, at.0, CREATE_PUBLIC_THREADS));
        self.expect(allowed, "open a thread");
        let new = NewThread {
            name: name.into(),
            kind: kind::PUBLIC_THREAD,
            auto_archive_min: 1440,
            applied_tags: Vec::new(),
        };
        ChannelId(self.with(|world| world.open_thread_on(at, self.id, new)))
    }

    pub(crate) fn react(&self, message: MessageId, emoji: &str) {
        self.with(|world| world.react((message.channel.0, message.id), emoji, self.id, true));
    }

    pub(crate) fn unreact(&self, message: MessageId, emoji: &str) {
        self.with(|world| world.react((message.channel.0, message.id), emoji, self.id, false));
    }

    /// Starts to type.
    pub(crate) fn type_in(&self, channel: ChannelId) {
        self.with(|world| world.type_in(channel.0, self.id));
    }

    /// What PluralKit and Tupperbox do: this person's message is posted again by a
    /// webhook under another name, and the original is deleted. The double answers
    /// PluralKit's `GET /v2/messages/{id}` for it. `member` is the member's uuid.
    pub(crate) fn proxied(&self, original: MessageId, name: &str, member: &str) -> MessageId {
        let copy = self.proxied_without_deletion(original, name, member);
        self.with(|world| {
            let by = Author::User(self.id);
            world.delete(original.channel.0, original.id, by);
        });
        copy
    }

    /// [`Person::proxied`] with the deletion still to come.
    pub(crate) fn proxied_without_deletion(
        &self,
        original: MessageId,
        name: &str,
        member: &str,
    ) -> MessageId {
        const PLURALKIT: u64 = 466_378_653_216_014_359;
        self.with(|world| {
            let at = (original.channel.0, original.id);
            let content = world.messages[&at].content.clone();
            let channel = &world.channels[&at.0];
            let holder = match channel.thread {
                Some(_) => channel.parent.unwrap(),
                None => at.0,
            };
            let known = world
                .webhooks
                .values()
                .find(|one| one.channel == holder && one.application == Some(PLURALKIT));
            let webhook = match known.map(|webhook| webhook.id) {
                Some(id) => id,
                None => {
                    let name = "PluralKit Proxy Webhook";
                    let owner = world.guilds[&self.guild.id].owner;
                    world.make_webhook(holder, name, None, Some(PLURALKIT), owner)
                }
            };
            let author = Author::Webhook { id: webhook, name: name.into(), avatar: None };
            let draft = Draft { content, application: Some(PLURALKIT), ..Draft::default() };
            let id = world.post(at.0, author, draft);
            world.proxied.insert(id, (original.id, self.id, self.guild.id));
            world.proxy_members.insert(id, (member.into(), name.into()));
            MessageId { channel: original.channel, id }
        })
    }

    /// Uses a slash command, such as `scene start`, with options by name. The command
    /// must be registered, and the options be as it says. Waits for the first response,
    /// or for its deadline.
    pub(crate) async fn command(&self, channel: ChannelId, path: &str, options: Value) -> Answer {
        self.command_now(channel, path, options).responded().await
    }

    /// [`Person::command`] without waiting.
    pub(crate) fn command_now(&self, channel: ChannelId, path: &str, options: Value) -> Answer {
        let data = self.with(|world| forms::slash(world, self, channel, path, &options, None));
        self.interact(2, channel, data, path, None)
    }

    /// Uses a command of a message's menu.
    pub(crate) async fn message_menu(&self, message: MessageId, name: &str) -> Answer {
        let data = self.with(|world| forms::menu(world, self, message, name));
        self.interact(2, message.channel, data, name, None).responded().await
    }

    /// What is offered while somebody types `typed` into an option.
    pub(crate) async fn autocomplete(
        &self,
        channel: ChannelId,
        path: &str,
        option: &str,
        typed: &str,
    ) -> Vec<forms::Choice> {
        self.autocomplete_with(channel, path, option, typed, json!({})).await
    }

    /// [`Person::autocomplete`] with other options filled in already.
    pub(crate) async fn autocomplete_with(
        &self,
        channel: ChannelId,
        path: &str,
        option: &str,
        typed: &str,
        others: Value,
    ) -> Vec<forms::Choice> {
        let focus = Some((option, typed));
        let data = self.with(|world| forms::slash(world, self, channel, path, &others, focus));
        self.interact(4, channel, data, path, None).responded().await.choices()
    }

    /// Presses a button, by its label or custom id.
    pub(crate) async fn press(&self, message: MessageId, button: &str) -> Answer {
        self.press_now(message, button).responded().await
    }

    /// [`Person::press`] without waiting.
    pub(crate) fn press_now(&self, message: MessageId, button: &str) -> Answer {
        let data = self.with(|world| forms::button(world, self, message, button));
        let name = data["custom_id"].as_str().unwrap().to_owned();
        self.interact(3, message.channel, data, &name, Some(message.id))
    }

    /// Chooses from a menu, by its custom id, or the only one where `menu` is empty;
    /// values or labels.
    pub(crate) async fn select(&self, message: MessageId, menu: &str, values: &[&str]) -> Answer {
        let data = self.with(|world| forms::selection(world, self, message, menu, values));
        let name = data["custom_id"].as_str().unwrap().to_owned();
        self.interact(3, message.channel, data, &name, Some(message.id)).responded().await
    }

    /// Fills in the modal that was the answer to something, fields by custom id or
    /// label, and sends it. Fields left out keep what stood in them.
    pub(crate) async fn submit(&self, modal: &Answer, fields: &[(&str, &str)]) -> Answer {
        let data = forms::submission(&modal.modal(), fields);
        let (channel, source) = self.with(|world| {
            let interaction = &world.interactions[&modal.id];
            (ChannelId(interaction.channel), interaction.source)
        });
        let name = data["custom_id"].as_str().unwrap().to_owned();
        self.interact(5, channel, data, &name, source).responded().await
    }

    /// Presses a button whether or not it stands under the message: one that went a moment
    /// ago, or that no client would send.
    pub(crate) async fn press_raw(&self, message: MessageId, custom_id: &str) -> Answer {
        let data = json!({"component_type": 2, "custom_id": custom_id, "id": 1});
        let source = Some(message.id);
        self.interact(3, message.channel, data, custom_id, source).responded().await
    }

    /// Uses the menu in a channel on a message that may be gone, or somewhere else.
    pub(crate) async fn menu_raw(&self, channel: ChannelId, name: &str, target: u64) -> Answer {
        let target = target.to_string();
        let data = json!({"id": "1", "name": name, "type": 3, "target_id": target});
        self.interact(2, channel, data, name, None).responded().await
    }

    /// Sends a form that nobody was shown.
    pub(crate) async fn submit_raw(
        &self,
        channel: ChannelId,
        custom_id: &str,
        fields: &[(&str, &str)],
    ) -> Answer {
        let rows = (1..).step_by(2).zip(fields);
        let rows = rows.map(|(id, (field, value))| {
            let input = json!({"type": 4, "id": id + 1, "custom_id": field, "value": value});
            json!({"type": 18, "id": id, "component": input})
        });
        let rows: Vec<Value> = rows.collect();
        let data = json!({"custom_id": custom_id, "components": rows});
        self.interact(5, channel, data, custom_id, None).responded().await
    }

    fn interact(
        &self,
        interaction_kind: u8,
        channel: ChannelId,
        data: Value,
        name: &str,
        source: Option<u64>,
    ) -> Answer {
        let interaction = forms::Interact { kind: interaction_kind, channel, data, name, source };
        let id = self.with(|world| forms::interact(world, self, interaction));
        Answer { person: self.clone(), id }
    }

    /// Who they are, for messages of assertions.
    pub(crate) fn name(&self) -> String {
        self.with(|world| world.name_of(self.id, Some(self.guild.id)))
    }
}
