//! Telling Discord which commands there are.

use super::super::bot::Bot;
use super::super::connection::DiscordError;
use super::super::locale;

/// Under which platform the store keeps what belongs to the application itself and
/// to no guild.
const APPLICATION: &str = "discord-application";

/// Tells Discord the commands if it was told others, or none, before. Says whether
/// it was told.
///
/// They are told at once and for all guilds; what was there before is replaced.
pub(in super::super) async fn register(bot: &Bot) -> Result<bool, DiscordError> {
    let store = bot.chat.store();
    let application = bot.application.id.to_string();
    let keeper = store.upsert_guild(APPLICATION, &application, &bot.application.name).await?.id;
    let hash = locale::definitions_hash();
    if store.get_guild_settings(keeper).await?.commands_hash.as_deref() == Some(&hash) {
        return Ok(false);
    }
    bot.api.set_global_commands(bot.application.id, locale::definitions()).await?;
    store.set_commands_hash(keeper, &hash).await?;
    tracing::info!(commands = locale::definitions().len(), "discord.commands.told");
    Ok(true)
}
