//! What the double's world consists of. Plain data: rules stand in `rules`,
//! JSON in `render`, changes with their events in `changes`.

use std::collections::BTreeMap;

use serde_json::Value;

/// Kinds of channels.
/// <https://docs.discord.com/developers/resources/channel#channel-object-channel-types>
pub(crate) mod kind {
    pub(crate) const TEXT: u8 = 0;
    pub(crate) const DM: u8 = 1;
    pub(crate) const VOICE: u8 = 2;
    pub(crate) const CATEGORY: u8 = 4;
    pub(crate) const NEWS: u8 = 5;
    pub(crate) const NEWS_THREAD: u8 = 10;
    pub(crate) const PUBLIC_THREAD: u8 = 11;
    pub(crate) const PRIVATE_THREAD: u8 = 12;
    pub(crate) const FORUM: u8 = 15;
    pub(crate) const MEDIA: u8 = 16;
}

/// Flags of messages and channels that the double knows.
pub(crate) mod flag {
    pub(crate) const HAS_THREAD: u64 = 1 << 5;
    pub(crate) const EPHEMERAL: u64 = 1 << 6;
    pub(crate) const LOADING: u64 = 1 << 7;
    pub(crate) const COMPONENTS_V2: u64 = 1 << 15;
    /// Of a forum: a post needs a tag.
    pub(crate) const REQUIRE_TAG: u64 = 1 << 4;
}

#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) display_name: Option<String>,
    pub(crate) bot: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Guild {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) owner: u64,
    pub(crate) roles: Vec<Role>,
    pub(crate) members: BTreeMap<u64, Member>,
    /// False while the bot is not in it.
    pub(crate) joined: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Role {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) permissions: u64,
    pub(crate) managed: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) user: u64,
    pub(crate) nick: Option<String>,
    pub(crate) roles: Vec<u64>,
    pub(crate) joined_ms: u64,
    /// The user's chosen language, which interactions carry.
    pub(crate) locale: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Overwrite {
    /// A role, or a member.
    pub(crate) id: u64,
    pub(crate) is_member: bool,
    pub(crate) allow: u64,
    pub(crate) deny: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Tag {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) moderated: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Channel {
    pub(crate) id: u64,
    pub(crate) guild: Option<u64>,
    pub(crate) kind: u8,
    pub(crate) name: String,
    pub(crate) topic: Option<String>,
    pub(crate) parent: Option<u64>,
    pub(crate) nsfw: bool,
    pub(crate) flags: u64,
    pub(crate) overwrites: Vec<Overwrite>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) last_message: Option<u64>,
    pub(crate) slowmode_s: u64,
    pub(crate) thread: Option<Thread>,
    /// Of a direct conversation with the bot.
    pub(crate) recipient: Option<u64>,
}

#[derive(Clone, Debug)]
pub(crate) struct Thread {
    pub(crate) owner: u64,
    pub(crate) archived: bool,
    pub(crate) locked: bool,
    pub(crate) auto_archive_min: u64,
    pub(crate) archive_changed_ms: u64,
    pub(crate) applied_tags: Vec<u64>,
    pub(crate) members: Vec<u64>,
    pub(crate) num_messages: u64,
}

/// Who a message is from, as people see it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Author {
    User(u64),
    Webhook { id: u64, name: String, avatar: Option<String> },
}

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) id: u64,
    pub(crate) channel: u64,
    pub(crate) author: Author,
    pub(crate) kind: u8,
    pub(crate) content: String,
    pub(crate) flags: u64,
    pub(crate) embeds: Vec<Value>,
    pub(crate) components: Vec<Value>,
    pub(crate) attachments: Vec<Value>,
    pub(crate) edited_ms: Option<u64>,
    /// Channel and message that it answers.
    pub(crate) reference: Option<(u64, u64)>,
    /// Set where an application made it.
    pub(crate) application: Option<u64>,
    pub(crate) nonce: Option<Value>,
    /// As given in the latest payload.
    pub(crate) allowed_mentions: Option<Value>,
    /// Users that were notified when it was made.
    pub(crate) pinged: Vec<u64>,
    pub(crate) pinged_everyone: bool,
    /// Emoji, and who gave it.
    pub(crate) reactions: Vec<(String, Vec<u64>)>,
    pub(crate) interaction: Option<Value>,
    /// Only this user sees it.
    pub(crate) only_for: Option<u64>,
    pub(crate) pinned: bool,
}

/// An emoji that belongs to the application.
#[derive(Clone, Debug)]
pub(crate) struct Emoji {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) animated: bool,
    pub(crate) image: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(crate) struct Webhook {
    pub(crate) id: u64,
    pub(crate) guild: u64,
    pub(crate) channel: u64,
    pub(crate) name: String,
    pub(crate) avatar: Option<String>,
    pub(crate) token: String,
    /// The application that owns it; none where a person made it.
    pub(crate) application: Option<u64>,
    pub(crate) creator: u64,
}

/// Something a person asked of the bot, and how far the answer has come.
#[derive(Clone, Debug)]
pub(crate) struct Interaction {
    pub(crate) id: u64,
    pub(crate) token: String,
    /// 2 command, 3 component, 4 autocomplete, 5 modal.
    pub(crate) kind: u8,
    pub(crate) user: u64,
    pub(crate) guild: u64,
    pub(crate) channel: u64,
    pub(crate) created_ms: u64,
    /// The message whose component was used.
    pub(crate) source: Option<u64>,
    /// The command's name, or the custom id.
    pub(crate) name: String,
    pub(crate) response: Option<Response>,
    /// The message that `@original` means.
    pub(crate) original: Option<u64>,
    pub(crate) followups: Vec<u64>,
    /// Texts that `@original` has had, in order.
    pub(crate) texts: Vec<String>,
}

/// The first answer to an interaction.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) kind: u8,
    pub(crate) data: Value,
    pub(crate) at_ms: u64,
}
