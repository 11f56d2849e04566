//! Reporting a text to a guild's moderators.

use serde_json::{Value, json};

use crate::domain::{GuildId, PersonId, ReportId, SceneId, Speaker, Turn, TurnId};
use crate::store::NewCase;

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
        let about = match &turn.speaker {
            Speaker::Person { id, .. } => Some(*id),
            Speaker::Character { .. } => None,
        };
        let case = NewCase {
            kind: "report",
            person: about,
            scene: Some(scene),
            turn: Some(turn.id),
            report: Some(report),
            follows: None,
            opened_by: Some(person),
            reason,
            evidence: Some(self.evidence(guild, &turn).await?),
        };
        self.store.insert_case(guild, &case).await?;
        let detail = json!({ "report": report, "turn": turn.id, "swipe": swipe });
        self.store.insert_audit(guild, Some(person), "report.insert", &detail).await?;
        Ok(report)
    }

    /// A turn as it is now, with all its texts and how they were made: it may be edited or
    /// deleted before a moderator looks.
    async fn evidence(&self, guild: GuildId, turn: &Turn) -> Result<Value, ChatError> {
        let swipes = self.store.list_swipes(guild, turn.id).await?;
        let swipes: Vec<Value> = swipes
            .iter()
            .map(|swipe| json!({ "id": swipe.id, "text": swipe.text, "receipt": swipe.receipt }))
            .collect();
        Ok(json!({
            "speaker": turn.speaker.name(),
            "swipe": turn.swipe.id,
            "text": turn.swipe.text,
            "swipes": swipes,
        }))
    }
}
