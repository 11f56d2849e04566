//! Who is no member any more, in guilds that let go of what those said who left.
//!
//! Discord tells of it only those bots that it trusts with all members, so it is asked.

use std::sync::Arc;
use std::time::Duration;

use serenity::model::id::{GuildId, UserId};

use super::bot::{Bot, PLATFORM};
use crate::chat::ChatError;

/// How often is looked who is to be asked for.
const EVERY: Duration = Duration::from_secs(3_600);

/// Discord's codes for somebody who is not there: unknown member, unknown user.
const GONE: [u32; 2] = [10_007, 10_013];

/// Looks now and every hour, for as long as somebody waits for it.
pub(super) async fn keep_looking(bot: Arc<Bot>) {
    loop {
        if let Err(error) = look(&bot).await {
            tracing::warn!(error.kind = error.kind(), "discord.members.not_looked_for");
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn look(bot: &Bot) -> Result<(), ChatError> {
    let mut out_of_reach = None;
    for missed in bot.chat.missed_people(PLATFORM).await? {
        let ids = (missed.guild.external_id.parse().ok(), missed.external_id.parse().ok());
        let (Some(guild), Some(user)) = ids else { continue };
        if out_of_reach == Some(guild) {
            continue;
        }
        let is_member = match bot.api.member(GuildId::new(guild), UserId::new(user)).await {
            Ok(_) => true,
            Err(error) if error.code().is_some_and(|code| GONE.contains(&code)) => false,
            Err(error) => {
                tracing::debug!(guild.discord = guild, error.kind = error.kind(), "discord.member");
                out_of_reach = Some(guild);
                continue;
            }
        };
        bot.chat.note_member(missed.guild.id, missed.person, is_member).await?;
    }
    Ok(())
}
