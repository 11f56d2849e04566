//! What happens in guilds, as far as we need to know it.
//!
//! Each event is read by its name into a small struct of ours, leniently: what is
//! not needed may be missing or of any shape, so that nothing new of Discord's can
//! take an old event from us.

use serde::Deserialize;
use serde_json::Value;
use serenity::model::id::{ChannelId, GuildId, MessageId, UserId};

use crate::discord::api::{Channel, Message};

/// Something that a shard heard.
#[derive(Debug)]
pub(in crate::discord) enum Heard {
    /// A session begins: whatever happened before it was missed.
    Ready(Ready),
    /// A session goes on: nothing was missed.
    Resumed,
    /// Somebody wrote.
    Message { guild: GuildId, message: Box<Message> },
    /// A message changed.
    MessageEdited(Edited),
    /// Messages are gone.
    MessagesDeleted { guild: GuildId, channel: ChannelId, messages: Vec<MessageId> },
    /// A thread or a forum post is there: it was opened, or shown to us.
    ThreadCreated { guild: GuildId, thread: Box<Channel>, is_new: bool },
    /// A thread was renamed, archived, locked, or opened again.
    ThreadUpdated { guild: GuildId, thread: Box<Channel> },
    /// A thread is gone.
    ThreadDeleted(ChannelGone),
    /// Threads that we can see from now on.
    ThreadsListed { guild: GuildId, threads: Vec<Channel> },
    /// A channel or its permissions changed.
    ChannelUpdated(Box<Channel>),
    /// A channel is gone, and its threads with it.
    ChannelDeleted(ChannelGone),
    /// A guild that we are in, at the beginning of a session or when we join.
    GuildSeen(Box<GuildSeen>),
    /// We are no member any more.
    GuildLeft(GuildId),
    /// The guild has an outage; we are still a member.
    GuildUnavailable,
    /// Webhooks of a channel came, changed or went.
    WebhooksChanged { guild: GuildId, channel: ChannelId },
    /// Roles changed, ours or the guild's: what we may do may be another now.
    RightsChanged,
    /// Somebody used a command, a button or a form of ours.
    Interaction(Value),
}

/// The beginning of a session.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(in crate::discord) struct Ready {
    pub(in crate::discord) session_id: String,
    #[serde(default)]
    pub(in crate::discord) resume_gateway_url: Option<String>,
    /// The guilds of this shard; each is told of with [`Heard::GuildSeen`].
    #[serde(default)]
    guilds: Vec<Named>,
    user: User,
}

impl Ready {
    /// The guilds of this shard.
    pub(in crate::discord) fn guilds(&self) -> impl Iterator<Item = GuildId> {
        self.guilds.iter().map(|guild| guild.id)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Named {
    id: GuildId,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct User {
    id: UserId,
}

/// A message that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::discord) struct Edited {
    pub(in crate::discord) id: MessageId,
    pub(in crate::discord) guild: GuildId,
    pub(in crate::discord) channel: ChannelId,
    /// What it says now.
    pub(in crate::discord) content: String,
}

/// A channel or thread that is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(in crate::discord) struct ChannelGone {
    pub(in crate::discord) id: ChannelId,
    #[serde(rename = "guild_id")]
    pub(in crate::discord) guild: GuildId,
}

/// A guild with what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(in crate::discord) struct GuildSeen {
    pub(in crate::discord) id: GuildId,
    #[serde(default)]
    pub(in crate::discord) name: String,
    #[serde(default)]
    pub(in crate::discord) channels: Vec<Channel>,
    /// The threads that are open and that we can see; `None` where the guild was
    /// told of without.
    #[serde(default)]
    pub(in crate::discord) threads: Option<Vec<Channel>>,
    #[serde(default)]
    unavailable: bool,
}

/// Why an event was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    /// It is of no use to us.
    Useless,
    /// Its name is new.
    Name,
    /// It does not look as it should.
    Shape,
}

#[derive(Deserialize)]
struct RawEdited {
    id: MessageId,
    channel_id: ChannelId,
    #[serde(default)]
    guild_id: Option<GuildId>,
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    edited_timestamp: Option<String>,
}

#[derive(Deserialize)]
struct RawDeleted {
    #[serde(default)]
    id: Option<MessageId>,
    #[serde(default)]
    ids: Vec<MessageId>,
    channel_id: ChannelId,
    #[serde(default)]
    guild_id: Option<GuildId>,
}

#[derive(Deserialize)]
struct RawThreads {
    guild_id: GuildId,
    #[serde(default)]
    threads: Vec<Channel>,
}

#[derive(Deserialize)]
struct InChannel {
    guild_id: GuildId,
    channel_id: ChannelId,
}

/// What stands beside a message or a channel in its event.
#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    guild_id: Option<GuildId>,
    #[serde(default)]
    newly_created: bool,
}

/// Beginnings of the names of events that we are sent and have no use for.
const USELESS: [&str; 23] = [
    "APPLICATION_COMMAND_",
    "AUTO_MODERATION_",
    "CHANNEL_CREATE",
    "CHANNEL_PINS_",
    "CHANNEL_TOPIC_",
    "ENTITLEMENT_",
    "GUILD_APPLICATION_",
    "GUILD_AUDIT_",
    "GUILD_BAN_",
    "GUILD_EMOJIS_",
    "GUILD_INTEGRATIONS_",
    "GUILD_JOIN_REQUEST_",
    "GUILD_SCHEDULED_EVENT_",
    "GUILD_SOUNDBOARD_",
    "GUILD_STICKERS_",
    "GUILD_UPDATE",
    "INTEGRATION_",
    "MESSAGE_POLL_",
    "PRESENCE",
    "SUBSCRIPTION_",
    "THREAD_MEMBER",
    "TYPING_START",
    "USER_UPDATE",
];
/// More of them: what has to do with voices and with reactions.
const USELESS_TOO: [&str; 4] = ["MESSAGE_REACTION_", "STAGE_INSTANCE_", "VOICE_", "GUILD_MEMBER_"];

/// Reads an event by its name.
pub(super) fn read(name: &str, data: &str) -> Result<Heard, Unread> {
    Ok(match name {
        "READY" => Heard::Ready(parse(data)?),
        "RESUMED" => Heard::Resumed,
        "MESSAGE_CREATE" => {
            let message = Box::new(parse(data)?);
            // Private messages have no guild.
            let guild = parse::<Envelope>(data)?.guild_id.ok_or(Unread::Useless)?;
            Heard::Message { guild, message }
        }
        "MESSAGE_UPDATE" => edited(parse(data)?)?,
        "MESSAGE_DELETE" | "MESSAGE_DELETE_BULK" => deleted(parse(data)?)?,
        "THREAD_CREATE" => {
            let Envelope { guild_id, newly_created } = parse(data)?;
            let (guild, thread) = (guild_id.ok_or(Unread::Shape)?, Box::new(parse(data)?));
            Heard::ThreadCreated { guild, thread, is_new: newly_created }
        }
        "THREAD_UPDATE" => {
            Heard::ThreadUpdated { guild: guild_of(data)?, thread: Box::new(parse(data)?) }
        }
        "THREAD_DELETE" => Heard::ThreadDeleted(parse(data)?),
        "THREAD_LIST_SYNC" => {
            let RawThreads { guild_id, threads } = parse(data)?;
            Heard::ThreadsListed { guild: guild_id, threads }
        }
        "CHANNEL_UPDATE" => Heard::ChannelUpdated(Box::new(parse(data)?)),
        // Private channels have no guild.
        "CHANNEL_DELETE" => Heard::ChannelDeleted(parse(data).map_err(|_| Unread::Useless)?),
        "GUILD_CREATE" => match parse::<GuildSeen>(data)? {
            guild if guild.unavailable => Heard::GuildUnavailable,
            guild => Heard::GuildSeen(Box::new(guild)),
        },
        "GUILD_DELETE" => match parse::<GuildSeen>(data)? {
            guild if guild.unavailable => Heard::GuildUnavailable,
            guild => Heard::GuildLeft(guild.id),
        },
        "WEBHOOKS_UPDATE" => {
            let InChannel { guild_id, channel_id } = parse(data)?;
            Heard::WebhooksChanged { guild: guild_id, channel: channel_id }
        }
        // Without another intent only our own membership is told of.
        "GUILD_MEMBER_UPDATE" | "GUILD_ROLE_CREATE" | "GUILD_ROLE_UPDATE" | "GUILD_ROLE_DELETE" => {
            Heard::RightsChanged
        }
        "INTERACTION_CREATE" => Heard::Interaction(parse(data)?),
        _ if USELESS.iter().chain(&USELESS_TOO).any(|begin| name.starts_with(begin)) => {
            return Err(Unread::Useless);
        }
        _ => return Err(Unread::Name),
    })
}

fn parse<'a, T: Deserialize<'a>>(data: &'a str) -> Result<T, Unread> {
    serde_json::from_str(data).map_err(|_| Unread::Shape)
}

fn guild_of(data: &str) -> Result<GuildId, Unread> {
    parse::<Envelope>(data)?.guild_id.ok_or(Unread::Shape)
}

/// An edit by a person. Discord also tells so of previews that it adds itself.
fn edited(raw: RawEdited) -> Result<Heard, Unread> {
    let (Some(guild), Some(content), Some(_)) = (raw.guild_id, raw.content, raw.edited_timestamp)
    else {
        return Err(Unread::Useless);
    };
    Ok(Heard::MessageEdited(Edited { id: raw.id, guild, channel: raw.channel_id, content }))
}

fn deleted(raw: RawDeleted) -> Result<Heard, Unread> {
    let guild = raw.guild_id.ok_or(Unread::Useless)?;
    let messages = raw.ids.into_iter().chain(raw.id).collect();
    Ok(Heard::MessagesDeleted { guild, channel: raw.channel_id, messages })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn heard(name: &str, data: &Value) -> Heard {
        read(name, &data.to_string()).unwrap_or_else(|why| panic!("{name}: {why:?}"))
    }

    #[test]
    fn a_message_and_a_thread_come_with_their_guild() {
        let data = json!({
            "id": "30", "channel_id": "20", "guild_id": "10", "type": 19, "content": "Hello.",
            "author": { "id": "5", "username": "ash", "collectibles": [1] },
            "components": [{ "type": 9000 }], "edited_timestamp": null, "poll": { "x": 1 },
        });
        let Heard::Message { guild, message } = heard("MESSAGE_CREATE", &data) else { panic!() };
        assert_eq!((guild.get(), message.id.get(), &*message.content), (10, 30, "Hello."));
        let private = json!({ "id": "30", "channel_id": "20", "author": { "id": "5" } });
        assert_eq!(read("MESSAGE_CREATE", &private.to_string()).unwrap_err(), Unread::Useless);
        let data = json!({ "id": "21", "guild_id": "10", "type": 11, "newly_created": true });
        let thread = heard("THREAD_CREATE", &data);
        assert!(matches!(thread, Heard::ThreadCreated { is_new: true, .. }));
    }

    #[test]
    fn edits_by_discord_itself_are_none() {
        let mut data = json!({
            "id": "30", "channel_id": "20", "guild_id": "10", "content": "a link",
            "edited_timestamp": null, "embeds": [{}],
        });
        assert_eq!(read("MESSAGE_UPDATE", &data.to_string()).unwrap_err(), Unread::Useless);
        data["edited_timestamp"] = json!("2026-11-25T01:02:03.000000+00:00");
        let Heard::MessageEdited(edited) = heard("MESSAGE_UPDATE", &data) else { panic!() };
        assert_eq!(edited.content, "a link");
    }

    #[test]
    fn deletions_come_alone_or_many_at_once() {
        let one = json!({ "id": "30", "channel_id": "20", "guild_id": "10" });
        let many = json!({ "ids": ["30", "31"], "channel_id": "20", "guild_id": "10" });
        for (name, data, count) in [("MESSAGE_DELETE", one, 1), ("MESSAGE_DELETE_BULK", many, 2)] {
            let Heard::MessagesDeleted { messages, .. } = heard(name, &data) else { panic!() };
            assert_eq!(messages.len(), count);
        }
    }

    #[test]
    fn a_guild_that_has_an_outage_was_not_left() {
        let gone = json!({ "id": "10" });
        let out = json!({ "id": "10", "unavailable": true });
        assert!(matches!(heard("GUILD_DELETE", &gone), Heard::GuildLeft(_)));
        assert!(matches!(heard("GUILD_DELETE", &out), Heard::GuildUnavailable));
        let here = json!({
            "id": "10", "name": "The Hill", "channels": [{ "id": "20", "type": 16 }],
            "threads": [{
                "id": "21", "type": 11, "parent_id": "20", "last_message_id": "22",
                "thread_metadata": { "archived": true, "locked": false }, "applied_tags": ["7"],
            }],
        });
        let Heard::GuildSeen(guild) = heard("GUILD_CREATE", &here) else { panic!() };
        let threads = guild.threads.unwrap();
        assert!(threads[0].is_archived());
        assert_eq!(threads[0].applied_tags.len(), 1);
        assert_eq!(guild.channels[0].kind, 16);
    }

    #[test]
    fn what_cannot_be_read_is_told_apart() {
        assert_eq!(read("TYPING_START", "{}").unwrap_err(), Unread::Useless);
        assert_eq!(read("VOICE_STATE_UPDATE", "{}").unwrap_err(), Unread::Useless);
        assert_eq!(read("GUILD_MEMBER_ADD", "{}").unwrap_err(), Unread::Useless);
        assert_eq!(read("GUILD_TELEPORTED", "{}").unwrap_err(), Unread::Name);
        assert_eq!(read("MESSAGE_CREATE", r#"{"id":"x"}"#).unwrap_err(), Unread::Shape);
    }
}
