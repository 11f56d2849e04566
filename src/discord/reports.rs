//! Reports of turns: kept, and told to the guild's moderators.

use serenity::model::id::{ChannelId, MessageId};

use super::api::{Mentions, Payload};
use super::call::{Answer, Call, Refusal};
use super::names;
use crate::domain::Turn;

/// How much of a reason is told; all of it is kept.
const MAX_REASON: usize = 1_000;

/// Keeps a report and tells of it where the guild wants that.
pub(super) async fn report(call: &Call, turn: &Turn, reason: &str) -> Result<Answer, Refusal> {
    let person = call.person().await?;
    let chat = &call.bot.chat;
    chat.report_turn(call.guild, turn.scene_id, turn.id, person.id, reason).await?;
    let settings = call.settings().await?;
    let channel = settings.reports_channel.and_then(|id| id.parse().ok()).filter(|id| *id != 0);
    let Some(channel) = channel else {
        return Ok(Answer::text("Thank you. It is kept for those who look after this server."));
    };
    match tell(call, turn, reason, ChannelId::new(channel)).await {
        Ok(()) => Ok(Answer::text("Thank you. Those who look after this server are told.")),
        Err(refusal) => {
            tracing::warn!(error.kind = refusal.kind(), "discord.report.not_told");
            Ok(Answer::text("Thank you. It is kept, but the reports channel cannot be written to."))
        }
    }
}

async fn tell(call: &Call, turn: &Turn, reason: &str, channel: ChannelId) -> Result<(), Refusal> {
    let posts = call.bot.chat.store().list_turn_outbox(call.guild, turn.id).await?;
    let message = posts.iter().find_map(|post| post.external_id.as_deref()?.parse().ok());
    let link = match message.filter(|id| *id != 0) {
        Some(id) => MessageId::new(id).link(call.channel, Some(call.guild_id)),
        None => format!("<#{}>", call.channel),
    };
    let words = words(call.who.id.get(), turn.speaker.name(), &link, reason);
    let payload = Payload::new(words, Mentions::NONE)?.without_embeds();
    call.bot.api.create_message(channel, &payload, None).await?;
    Ok(())
}

fn words(who: u64, speaker: &str, link: &str, reason: &str) -> String {
    let reason: String = reason.chars().take(MAX_REASON).collect();
    let quoted: Vec<String> = reason.lines().map(|line| format!("> {line}")).collect();
    let speaker = names::line(speaker, 80, "somebody");
    format!("<@{who}> reports what {speaker} said: {link}\n{}", quoted.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_who_what_and_why() {
        let told = words(5, "Maren", "https://x/1", "too cruel\nfor here");
        assert_eq!(told, "<@5> reports what Maren said: https://x/1\n> too cruel\n> for here");
        assert!(
            words(u64::MAX, &"M".repeat(200), &"l".repeat(120), &"x".repeat(5_000)).len() < 2_000
        );
    }
}
