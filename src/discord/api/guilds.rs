//! Guilds, their channels and threads.

use serde_json::{Map, Value, json};
use serenity::http::LightMethod;
use serenity::model::id::{ChannelId, ForumTagId, GuildId, UserId};

use super::calls::{Api, read};
use super::endpoint::Endpoint;
use super::error::ApiError;
use super::lenient::read_each;
use super::model::{Channel, Guild, Member, Message, MyGuild};
use super::payload::Payload;

/// The most guilds of a page.
const MAX_GUILDS: u8 = 200;
/// Discord's number for a thread that everybody sees who sees its channel.
const PUBLIC_THREAD: u8 = 11;

/// What changes of a thread; the rest stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ThreadEdit {
    /// Its name.
    pub(crate) name: Option<String>,
    /// Whether it is out of sight until somebody writes.
    pub(crate) archived: Option<bool>,
    /// Whether only those who manage threads may open it again.
    pub(crate) locked: Option<bool>,
    /// Minutes of silence until it is archived.
    pub(crate) auto_archive: Option<u32>,
    /// The tags of a forum's post.
    pub(crate) applied_tags: Option<Vec<ForumTagId>>,
}

impl ThreadEdit {
    fn json(&self) -> Value {
        let mut json = Map::new();
        let mut set = |name: &str, value: Option<Value>| {
            json.extend(value.map(|value| (name.to_owned(), value)));
        };
        set("name", self.name.as_deref().map(Value::from));
        set("archived", self.archived.map(Value::from));
        set("locked", self.locked.map(Value::from));
        set("auto_archive_duration", self.auto_archive.map(Value::from));
        set("applied_tags", self.applied_tags.as_deref().map(tags_json));
        Value::Object(json)
    }
}

fn tags_json(tags: &[ForumTagId]) -> Value {
    tags.iter().map(|tag| Value::from(tag.to_string())).collect()
}

impl Api {
    /// A channel, a thread or a forum.
    pub(crate) async fn channel(&self, channel: ChannelId) -> Result<Channel, ApiError> {
        self.read(self.get(Endpoint::Channel(channel))).await
    }

    /// Changes a thread.
    pub(crate) async fn edit_thread(
        &self,
        thread: ChannelId,
        edit: &ThreadEdit,
    ) -> Result<(), ApiError> {
        self.done(self.with(LightMethod::Patch, Endpoint::Channel(thread), edit.json())).await
    }

    /// Opens an archived thread again.
    pub(crate) async fn unarchive(&self, thread: ChannelId) -> Result<(), ApiError> {
        let edit = ThreadEdit { archived: Some(false), ..ThreadEdit::default() };
        self.edit_thread(thread, &edit).await
    }

    /// Begins a thread that everybody sees who sees the channel.
    pub(crate) async fn create_thread(
        &self,
        channel: ChannelId,
        name: &str,
        auto_archive: Option<u32>,
    ) -> Result<Channel, ApiError> {
        let mut json = json!({ "name": name, "type": PUBLIC_THREAD });
        if let Some(minutes) = auto_archive {
            json["auto_archive_duration"] = minutes.into();
        }
        self.read(self.with(LightMethod::Post, Endpoint::Threads(channel), json)).await
    }

    /// Begins a post in a forum: a thread with its first message.
    pub(crate) async fn create_forum_post(
        &self,
        forum: ChannelId,
        name: &str,
        payload: &Payload,
        tags: &[ForumTagId],
    ) -> Result<(Channel, Message), ApiError> {
        let message = Value::Object(payload.create_json()?);
        let mut json = Map::from_iter([
            ("name".to_owned(), Value::from(name)),
            ("message".to_owned(), message),
        ]);
        if !tags.is_empty() {
            json.insert("applied_tags".to_owned(), tags_json(tags));
        }
        let request = self.saying(LightMethod::Post, Endpoint::Threads(forum), json, payload);
        let answer = self.send(request).await?;
        #[derive(serde::Deserialize)]
        struct Begun {
            message: Message,
        }
        let begun: Begun = read(&answer)?;
        Ok((read(&answer)?, begun.message))
    }

    /// All threads of a guild that are not archived and that we see.
    pub(crate) async fn active_threads(&self, guild: GuildId) -> Result<Vec<Channel>, ApiError> {
        let mut found: Value = self.read(self.get(Endpoint::ActiveThreads(guild))).await?;
        Ok(read_each(found["threads"].take()))
    }

    /// The guilds that we are in, by id, after one of them; at most two hundred.
    pub(crate) async fn my_guilds(&self, after: Option<GuildId>) -> Result<Vec<MyGuild>, ApiError> {
        let mut request = self.get(Endpoint::MyGuilds);
        request.params = vec![("limit", MAX_GUILDS.to_string())];
        request.params.extend(after.map(|guild| ("after", guild.to_string())));
        Ok(read_each(self.read(request).await?))
    }

    /// A guild, with its roles.
    pub(crate) async fn guild(&self, guild: GuildId) -> Result<Guild, ApiError> {
        self.read(self.get(Endpoint::Guild(guild))).await
    }

    /// Somebody in a guild.
    pub(crate) async fn member(&self, guild: GuildId, user: UserId) -> Result<Member, ApiError> {
        self.read(self.get(Endpoint::Member(guild, user))).await
    }
}
