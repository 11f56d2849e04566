//! Reporting a text to a guild's moderators.

use serde_json::json;

use crate::domain::{GuildId, PersonId, ReportId, SceneId, TurnId};

use super::{Chat, ChatError};

/// The most characters of a reason.
const MAX_REASON_CHARS: usize = 1_000;

impl Chat {
    /// Keeps a report of the text that stands in a turn now. The same person reports
    /// the same text once.
    ///
    /// # Errors
    /// The scene has no such turn, the guild no such person, or the database fails.
    pub async fn report_turn(
        &self,
        guild: GuildId,
        scene: SceneId,
        turn: TurnId,
        person: PersonId,
        reason: &str,
    ) -> Result<ReportId, ChatError> {
        let turn = self.turn_of(guild, scene, turn).await?;
        let reason: String = self.clean_text(reason)?.chars().take(MAX_REASON_CHARS).collect();
        let swipe = turn.swipe.id;
        let report =
            self.store.insert_report(guild, scene, turn.id, swipe, person, &reason).await?;
        let detail = json!({ "report": report, "turn": turn.id, "swipe": swipe });
        self.store.insert_audit(guild, Some(person), "report.insert", &detail).await?;
        Ok(report)
    }
}
