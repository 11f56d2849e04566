//! Reports of turns: kept, and told in the guild's log.

use super::call::{Answer, Call, Refusal};
use crate::domain::Turn;

/// Keeps a report; the log tells of it where the guild wants one.
pub(super) async fn report(call: &Call, turn: &Turn, reason: &str) -> Result<Answer, Refusal> {
    let person = call.person().await?;
    let chat = &call.bot.chat;
    chat.report_turn(call.guild, turn.scene_id, turn.id, person.id, reason).await?;
    call.bot.case_bell.notify_one();
    let has_log = call.settings().await?.reports_channel.is_some();
    Ok(Answer::text(if has_log {
        "Thank you. Those who look after this server are told."
    } else {
        "Thank you. It is kept for those who look after this server."
    }))
}
