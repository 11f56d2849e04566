//! The world as people see it, for assertions and for the dump of a failing test.

use serde_json::Value;

use super::model::{Author, Message, flag};
use super::world::World;
use super::{ChannelId, MessageId};

/// A button under a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeenButton {
    pub(crate) label: String,
    pub(crate) custom_id: String,
    pub(crate) disabled: bool,
}

/// A message as people see it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SeenMessage {
    pub(crate) id: MessageId,
    pub(crate) author: String,
    pub(crate) author_is_bot: bool,
    /// Of the webhook, where one wrote it.
    pub(crate) webhook: Option<u64>,
    pub(crate) avatar: Option<String>,
    pub(crate) content: String,
    /// 0 for ordinary ones, 19 for replies, 20 for answers to commands, others are
    /// lines of the system.
    pub(crate) kind: u8,
    pub(crate) buttons: Vec<SeenButton>,
    /// Custom ids of select menus.
    pub(crate) selects: Vec<String>,
    pub(crate) embeds: Vec<Value>,
    /// Names of the files.
    pub(crate) files: Vec<String>,
    pub(crate) is_edited: bool,
    /// "… is thinking".
    pub(crate) is_loading: bool,
    pub(crate) is_ephemeral: bool,
    /// The message that it answers.
    pub(crate) answers: Option<u64>,
    /// Emoji with how many gave them.
    pub(crate) reactions: Vec<(String, usize)>,
    /// Users that were notified.
    pub(crate) pinged: Vec<u64>,
    pub(crate) pinged_everyone: bool,
}

/// Every component below these.
pub(crate) fn components(of: &[Value]) -> Vec<&Value> {
    let mut all = Vec::new();
    for component in of {
        all.push(component);
        for key in ["components", "accessory", "component"] {
            match &component[key] {
                Value::Array(inner) => all.extend(components(inner)),
                Value::Object(_) => all.extend(components(std::slice::from_ref(&component[key]))),
                _ => {}
            }
        }
    }
    all
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

impl World {
    /// What everybody sees in a channel, oldest first.
    pub(crate) fn seen(&self, channel: ChannelId) -> Vec<SeenMessage> {
        self.history(channel.0).map(|message| self.seen_message(message)).collect()
    }

    pub(crate) fn seen_message(&self, message: &Message) -> SeenMessage {
        let parts = components(&message.components);
        let button = |one: &&Value| SeenButton {
            // A button without words shows its emoji.
            label: one["label"].as_str().map_or_else(|| text(&one["emoji"]["name"]), str::to_owned),
            custom_id: text(&one["custom_id"]),
            disabled: one["disabled"] == true,
        };
        let (webhook, avatar) = match &message.author {
            Author::Webhook { id, avatar, .. } => (Some(*id), avatar.clone()),
            Author::User(_) => (None, None),
        };
        SeenMessage {
            id: MessageId { channel: ChannelId(message.channel), id: message.id },
            author: self.author_name(message),
            author_is_bot: match message.author {
                Author::User(id) => self.users.get(&id).is_some_and(|user| user.bot),
                Author::Webhook { .. } => true,
            },
            webhook,
            avatar,
            content: message.content.clone(),
            kind: message.kind,
            buttons: parts.iter().filter(|one| one["type"] == 2).map(button).collect(),
            selects: parts
                .iter()
                .filter(|one| matches!(one["type"].as_u64(), Some(3 | 5..=8)))
                .map(|one| text(&one["custom_id"]))
                .collect(),
            embeds: message.embeds.clone(),
            files: message.attachments.iter().map(|file| text(&file["filename"])).collect(),
            is_edited: message.edited_ms.is_some(),
            is_loading: message.flags & flag::LOADING != 0,
            is_ephemeral: message.only_for.is_some(),
            answers: message.reference.map(|(_, id)| id),
            reactions: message
                .reactions
                .iter()
                .map(|(e, users)| (e.clone(), users.len()))
                .collect(),
            pinged: message.pinged.clone(),
            pinged_everyone: message.pinged_everyone,
        }
    }
}

/// Channels with their last messages, interactions without an answer, requests,
/// violations.
pub(crate) fn dump(world: &World) -> String {
    let mut text = String::new();
    for channel in world.channels.values() {
        let seen = world.seen(ChannelId(channel.id));
        text += &format!("#{} ({}), {} messages\n", channel.name, channel.id, seen.len());
        for message in seen.iter().rev().take(8).rev() {
            let labels: Vec<&str> = message.buttons.iter().map(|one| one.label.as_str()).collect();
            let content: String = message.content.chars().take(100).collect();
            text += &format!("  {}: {content:?} {labels:?}\n", message.author);
        }
    }
    for one in world.interactions.values().filter(|one| one.response.is_none()) {
        text += &format!("unanswered: {} by {}\n", one.name, world.name_of(one.user, None));
    }
    let violations = &world.ledger.violations;
    text + "last requests:\n" + &world.ledger.tail(25) + &format!("violations: {violations:#?}")
}
