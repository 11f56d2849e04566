//! Guilds and channels that come and go.

use serenity::model::id::{ChannelId, GuildId};

use super::bot::{Bot, PLATFORM};
use crate::chat::ChatError;
use crate::domain::{self, SceneId};
use crate::store::StoreError;

/// Discord tells of a guild that we are in: it may be called otherwise by now, or we
/// may have been away. Guilds in which nobody ever used us are not written down.
pub(super) async fn guild_seen(bot: &Bot, guild: GuildId, name: &str) -> Result<(), StoreError> {
    let store = bot.chat.store();
    let Some(known) = store.get_guild_by_external(PLATFORM, &guild.to_string()).await? else {
        return Ok(());
    };
    if known.name != name && !name.is_empty() {
        store.upsert_guild(PLATFORM, &guild.to_string(), name).await?;
    }
    store.set_guild_left(known.id, false).await
}

/// We are not in a guild any more: its scenes rest until we are again.
pub(super) async fn guild_left(bot: &Bot, guild: GuildId) {
    let noted = async {
        let store = bot.chat.store();
        match store.get_guild_by_external(PLATFORM, &guild.to_string()).await? {
            Some(known) => store.set_guild_left(known.id, true).await,
            None => Ok(()),
        }
    };
    tracing::info!(guild.discord = guild.get(), "discord.guild.left");
    let noted = noted.await;
    bot.forget_guild(guild);
    if let Err(error) = noted {
        tracing::warn!(
            guild.discord = guild.get(),
            error.kind = error.kind(),
            "discord.guild.not_noted"
        );
    }
}

/// A channel or a thread is gone: its scene is kept, and nobody answers there.
pub(super) async fn channel_gone(bot: &Bot, guild: GuildId, channel: ChannelId) {
    match bot.place(guild, channel).await {
        Ok(Some(place)) => close_down(bot, place.guild, place.scene, channel).await,
        Ok(None) => bot.forget_channel(channel),
        Err(error) => {
            tracing::warn!(
                channel.discord = channel.get(),
                error.kind = error.kind(),
                "discord.channel.not_noted"
            );
        }
    }
}

/// Pauses the scene of a channel that is gone.
pub(super) async fn close_down(
    bot: &Bot,
    guild: domain::GuildId,
    scene: SceneId,
    channel: ChannelId,
) {
    bot.forget_channel(channel);
    match bot.chat.pause_scene(guild, scene).await {
        Ok(()) => tracing::info!(
            scene.id = scene.0,
            channel.discord = channel.get(),
            "discord.channel.gone: its scene is paused; /scene branch and export still work on it",
        ),
        Err(ChatError::Refused(_)) => {}
        Err(error) => {
            tracing::warn!(
                scene.id = scene.0,
                error.kind = error.kind(),
                "discord.channel.not_noted"
            );
        }
    }
}
