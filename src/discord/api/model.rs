//! What Discord answers with, as far as it is used here.
//!
//! Read with forbearance: a field that is not as expected counts as absent, so that
//! one strange message never hides a page of others. Only ids must be there.

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::Deserialize;
use serenity::model::id::{
    ApplicationId, ChannelId, ForumTagId, GuildId, MessageId, RoleId, UserId, WebhookId,
};

use super::lenient::{count, custom_ids, each, ids, kind, lenient, nick, nonce, number};

/// Who we are to Discord.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Application {
    /// The application.
    pub(crate) id: ApplicationId,
    /// Which privileged intents it was given, among others.
    pub(crate) flags: u64,
    /// The bot's account.
    pub(crate) user: UserId,
    /// The name of the bot's account.
    pub(crate) name: String,
}

/// How to connect to the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct GatewayBot {
    /// Where it is.
    pub(crate) url: String,
    /// How many shards Discord advises.
    pub(crate) shards: u32,
    /// How often one may identify.
    pub(crate) session_start_limit: SessionStartLimit,
}

/// How often one may identify.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct SessionStartLimit {
    /// In a day.
    pub(crate) total: u64,
    /// Left of today.
    pub(crate) remaining: u64,
    /// Milliseconds until `remaining` is `total` again.
    pub(crate) reset_after: u64,
    /// In five seconds.
    pub(crate) max_concurrency: u32,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct User {
    /// Their id; for a webhook's message that of the webhook.
    pub(crate) id: UserId,
    /// Their account name; for a webhook's message the name that it spoke with.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) username: String,
    /// The name that they show.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) global_name: Option<String>,
    /// Whether it is a program.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) bot: bool,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Message {
    /// Its id, in which its time is.
    pub(crate) id: MessageId,
    /// Where it stands.
    pub(crate) channel_id: ChannelId,
    /// Who wrote it.
    pub(crate) author: User,
    /// The author's name in the guild. Only events have it.
    #[serde(default, rename = "member", deserialize_with = "nick")]
    pub(crate) nick: Option<String>,
    /// The webhook that wrote it.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) webhook_id: Option<WebhookId>,
    /// The application that wrote it, for interactions and its webhooks.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) application_id: Option<ApplicationId>,
    /// What it says.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) content: String,
    /// When it was written.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) timestamp: Option<DateTime<Utc>>,
    /// When it was changed.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) edited_timestamp: Option<DateTime<Utc>>,
    /// Discord's number for its type: 0 and 19 are written by somebody.
    #[serde(default, rename = "type", deserialize_with = "kind")]
    pub(crate) kind: u8,
    /// Discord's flags.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) flags: u64,
    /// What it answers, forwards or tells of.
    #[serde(default, rename = "message_reference", deserialize_with = "lenient")]
    pub(crate) reference: Option<Reference>,
    /// Who is mentioned in it.
    #[serde(default, deserialize_with = "ids")]
    pub(crate) mentions: Vec<UserId>,
    /// The `custom_id`s of everything under it, at any depth.
    #[serde(default, rename = "components", deserialize_with = "custom_ids")]
    pub(crate) custom_ids: Vec<String>,
    /// What its writer gave it to know it again.
    #[serde(default, deserialize_with = "nonce")]
    pub(crate) nonce: Option<String>,
    /// How many files it has.
    #[serde(default, rename = "attachments", deserialize_with = "count")]
    pub(crate) num_attachments: usize,
    /// How many stickers it has.
    #[serde(default, rename = "sticker_items", deserialize_with = "count")]
    pub(crate) num_stickers: usize,
    /// The thread that was begun at it.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) thread: Option<Box<Channel>>,
}

/// What a message answers, forwards or tells of.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Reference {
    /// 0 answers it, 1 forwards it.
    #[serde(default, rename = "type", deserialize_with = "kind")]
    pub(crate) kind: u8,
    /// The message.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) message_id: Option<MessageId>,
    /// Its channel.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) channel_id: Option<ChannelId>,
}

/// A channel, a thread or a forum.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Channel {
    /// Its id.
    pub(crate) id: ChannelId,
    /// The guild that it is in.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) guild_id: Option<GuildId>,
    /// A thread's channel, else the category.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) parent_id: Option<ChannelId>,
    /// Discord's number for its type.
    #[serde(default, rename = "type", deserialize_with = "kind")]
    pub(crate) kind: u8,
    /// Its name.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) name: String,
    /// What it is for.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) topic: Option<String>,
    /// Whether it is age-restricted; of a thread its parent knows.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) nsfw: bool,
    /// What only threads have.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) thread_metadata: ThreadMetadata,
    /// The newest message, which may be gone.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) last_message_id: Option<MessageId>,
    /// Who began the thread.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) owner_id: Option<UserId>,
    /// The tags of a forum's post.
    #[serde(default, deserialize_with = "ids")]
    pub(crate) applied_tags: Vec<ForumTagId>,
    /// The tags that a forum has.
    #[serde(default, deserialize_with = "each")]
    pub(crate) available_tags: Vec<Tag>,
    /// Discord's flags.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) flags: u64,
    /// Who may do more or less here than elsewhere.
    #[serde(default, deserialize_with = "each")]
    pub(crate) permission_overwrites: Vec<Overwrite>,
}

/// The kinds of channel that are treated apart, by Discord's numbers.
const THREADS: [u8; 3] = [10, 11, 12];
const FORUM: u8 = 15;
const MEDIA: u8 = 16;
/// A forum wants a tag on every post.
const REQUIRE_TAG: u64 = 1 << 4;

impl Channel {
    /// Whether it is a thread, or a forum's post.
    pub(crate) fn is_thread(&self) -> bool {
        THREADS.contains(&self.kind)
    }

    /// Whether it consists of posts.
    pub(crate) fn is_forum(&self) -> bool {
        [FORUM, MEDIA].contains(&self.kind)
    }

    /// Whether it is a thread that is archived.
    pub(crate) fn is_archived(&self) -> bool {
        self.thread_metadata.archived
    }

    /// Whether it is a forum that wants a tag on every post.
    pub(crate) fn requires_tag(&self) -> bool {
        self.flags & REQUIRE_TAG != 0
    }
}

/// What only threads have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct ThreadMetadata {
    /// Whether it is out of sight until somebody writes.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) archived: bool,
    /// Whether only those who manage threads may open it again.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) locked: bool,
    /// Minutes of silence until it is archived.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) auto_archive_duration: u32,
}

/// A tag of a forum.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Tag {
    /// Its id.
    pub(crate) id: ForumTagId,
    /// Its name.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) name: String,
    /// Whether only those who manage threads may give it.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) moderated: bool,
}

/// Who may do more or less in a channel than elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Overwrite {
    /// A role, or a user.
    #[serde(deserialize_with = "number")]
    pub(crate) id: u64,
    /// 0 for a role, 1 for a user.
    #[serde(default, rename = "type", deserialize_with = "kind")]
    pub(crate) kind: u8,
    /// Bits of what is allowed.
    #[serde(default, deserialize_with = "number")]
    pub(crate) allow: u64,
    /// Bits of what is not.
    #[serde(default, deserialize_with = "number")]
    pub(crate) deny: u64,
}

/// A guild.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Guild {
    /// Its id.
    pub(crate) id: GuildId,
    /// Its name.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) name: String,
    /// Who may do everything.
    pub(crate) owner_id: UserId,
    /// Its roles.
    #[serde(default, deserialize_with = "each")]
    pub(crate) roles: Vec<Role>,
    /// The language that it is in.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) preferred_locale: Option<String>,
}

/// A guild that we are in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct MyGuild {
    /// Its id.
    pub(crate) id: GuildId,
    /// Its name.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) name: String,
    /// Bits of what we may do there, where no channel says otherwise.
    #[serde(default, deserialize_with = "number")]
    pub(crate) permissions: u64,
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Role {
    /// Its id; that of the guild for the role that everybody has.
    pub(crate) id: RoleId,
    /// Its name.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) name: String,
    /// Bits of what it allows.
    #[serde(default, deserialize_with = "number")]
    pub(crate) permissions: u64,
}

/// Somebody in a guild.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Member {
    /// Who.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) user: Option<User>,
    /// Their name there.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) nick: Option<String>,
    /// Their roles, but for the one that everybody has.
    #[serde(default, deserialize_with = "ids")]
    pub(crate) roles: Vec<RoleId>,
}

/// A webhook that we may speak through.
#[derive(Debug, Clone)]
pub(crate) struct Webhook {
    /// Its id.
    pub(crate) id: WebhookId,
    /// Whoever knows it may speak through it.
    pub(crate) token: SecretString,
}

/// A webhook of a channel, ours or another's.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ChannelWebhook {
    /// Its id.
    pub(crate) id: WebhookId,
    /// The application that made it.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) application_id: Option<ApplicationId>,
    /// Told only to the application that made it.
    #[serde(default)]
    pub(crate) token: Option<SecretString>,
}

impl ChannelWebhook {
    /// To speak through, where its token was told.
    pub(crate) fn speakable(self) -> Option<Webhook> {
        self.token.map(|token| Webhook { id: self.id, token })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_strange_message_is_read_as_far_as_it_goes() {
        let message: Message = serde_json::from_value(json!({
            "id": "7", "channel_id": "8", "content": "hi", "type": 9000, "flags": "x",
            "author": { "id": "9", "username": "ada", "bot": null },
            "mentions": [{ "id": "5", "username": "b" }, { "no": "id" }],
            "components": [{ "type": 17, "components": [
                { "type": 9, "accessory": { "type": 2, "custom_id": "d1:a" } },
                { "type": 1, "components": [{ "type": 2, "custom_id": "d1:b" }] },
            ] }],
            "timestamp": "2026-01-02T03:04:05.678000+00:00", "edited_timestamp": null,
            "nonce": 17, "attachments": [{}, {}], "member": { "nick": "Ada L." },
            "message_reference": { "message_id": "3" }, "poll": { "odd": [] },
        }))
        .unwrap();
        insta::assert_debug_snapshot!(message);
    }

    #[test]
    fn a_forum_and_a_thread_are_told_apart() {
        let forum: Channel = serde_json::from_value(json!({
            "id": "1", "type": 16, "flags": 16, "available_tags": [
                { "id": "2", "name": "long", "moderated": true }, { "name": "no id" },
            ],
            "permission_overwrites": [{ "id": "3", "type": 1, "allow": "1024", "deny": "0" }],
        }))
        .unwrap();
        assert!(forum.is_forum() && forum.requires_tag() && !forum.is_thread());
        assert_eq!(forum.available_tags.len(), 1);
        assert_eq!(forum.permission_overwrites[0].allow, 1_024);
        let thread: Channel = serde_json::from_value(json!({
            "id": "1", "type": 11, "parent_id": "9", "applied_tags": ["2"],
            "thread_metadata": { "archived": true, "locked": false, "auto_archive_duration": 60 },
        }))
        .unwrap();
        assert!(thread.is_thread() && thread.is_archived());
        assert_eq!(thread.applied_tags, [ForumTagId::new(2)]);
    }

    #[test]
    fn a_webhooks_token_is_not_shown() {
        let webhook: ChannelWebhook =
            serde_json::from_value(json!({ "id": "1", "token": "canary" })).unwrap();
        assert!(!format!("{webhook:?}").contains("canary"));
        assert!(!format!("{:?}", webhook.speakable().unwrap()).contains("canary"));
    }
}
