//! What tests say of a scene's channel.

use crate::support::discord::seen::SeenMessage;
use crate::support::discord::{ChannelId, Discord, MessageId};

use super::serve::PATIENCE;

/// Whether a message is a reply that is finished and the latest.
pub(super) fn is_latest_reply(message: &SeenMessage) -> bool {
    has_button(message, "Continue")
}

pub(super) fn has_button(message: &SeenMessage, label: &str) -> bool {
    message.buttons.iter().any(|button| button.label == label)
}

/// What characters say in a channel: posts of ours that are story.
pub(super) fn replies(discord: &Discord, channel: ChannelId) -> Vec<SeenMessage> {
    let messages = discord.messages(channel).into_iter();
    messages.filter(|message| message.webhook.is_some() && message.kind == 0).collect()
}

/// Waits until the newest message of a channel is a finished reply.
pub(super) async fn reply_at_end(discord: &Discord, channel: ChannelId) -> SeenMessage {
    reply_that(discord, channel, |_| true).await
}

/// The same, for one that a test knows by something.
pub(super) async fn reply_that(
    discord: &Discord,
    channel: ChannelId,
    mut is_it: impl FnMut(&SeenMessage) -> bool,
) -> SeenMessage {
    discord
        .wait_for(PATIENCE, |world| {
            let last = world.seen(channel).pop()?;
            (is_latest_reply(&last) && is_it(&last)).then_some(last)
        })
        .await
}

/// Waits until the newest message is a finished reply, and another one than `before`.
pub(super) async fn reply_after(
    discord: &Discord,
    channel: ChannelId,
    before: MessageId,
) -> SeenMessage {
    reply_that(discord, channel, |message| message.id.id > before.id).await
}
