//! Texts that people report to their moderators.

use chrono::{DateTime, Utc};
use tracing::instrument;

use super::{Noun, Store, StoreError};
use crate::domain::{GuildId, PersonId, ReportId, SceneId, SwipeId, TurnId};

/// The most reports that are listed at once, the newest of them.
const MAX_LISTED: i64 = 100;

/// A text that somebody reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Its key; later ones are higher.
    pub id: ReportId,
    /// The scene.
    pub scene_id: SceneId,
    /// The turn.
    pub turn: TurnId,
    /// Which of its texts stood then.
    pub swipe: SwipeId,
    /// Who reported it.
    pub person: PersonId,
    /// Why, in their words; may be empty.
    pub reason: String,
    /// When.
    pub created_at: DateTime<Utc>,
    /// Since when it is settled.
    pub resolved_at: Option<DateTime<Utc>>,
    /// Who settled it.
    pub resolved_by: Option<PersonId>,
}

impl Store {
    /// Keeps a report. While it is open, the same person's next one of the same text
    /// only changes the reason.
    ///
    /// # Errors
    /// `NotFound` where the scene has no such turn, the turn no such swipe, or the
    /// guild no such person.
    #[instrument(name = "db.report.insert", skip(self, reason), err(level = "debug"))]
    pub async fn insert_report(
        &self,
        guild: GuildId,
        scene: SceneId,
        turn: TurnId,
        swipe: SwipeId,
        person: PersonId,
        reason: &str,
    ) -> Result<ReportId, StoreError> {
        let mut tx = self.begin(guild).await?;
        let id = sqlx::query_scalar!(
            "INSERT INTO report (guild_id, scene_id, turn_id, swipe_id, person_id, reason)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (guild_id, turn_id, swipe_id, person_id) WHERE resolved_at IS NULL
             DO UPDATE SET reason = excluded.reason
             RETURNING id",
            guild.0,
            scene.0,
            turn.0,
            swipe.0,
            person.0,
            tx.seal.seal(reason),
        )
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(ReportId(id))
    }

    /// A guild's newest reports, the newest first; settled ones too if asked for.
    #[instrument(name = "db.report.list", skip(self), err(level = "debug"))]
    pub async fn list_reports(
        &self,
        guild: GuildId,
        open_only: bool,
    ) -> Result<Vec<Report>, StoreError> {
        let mut conn = self.read(guild).await?;
        let rows = sqlx::query!(
            "SELECT id, scene_id, turn_id, swipe_id, person_id, reason, created_at, resolved_at,
                    resolved_by
             FROM report WHERE guild_id = $1 AND (resolved_at IS NULL OR NOT $2)
             ORDER BY id DESC LIMIT $3",
            guild.0,
            open_only,
            MAX_LISTED,
        )
        .fetch_all(&mut *conn)
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(Report {
                    id: ReportId(row.id),
                    scene_id: SceneId(row.scene_id),
                    turn: TurnId(row.turn_id),
                    swipe: SwipeId(row.swipe_id),
                    person: PersonId(row.person_id),
                    reason: conn.seal.open(row.reason)?,
                    created_at: row.created_at,
                    resolved_at: row.resolved_at,
                    resolved_by: row.resolved_by.map(PersonId),
                })
            })
            .collect()
    }

    /// Settles a report; says whether it was open.
    ///
    /// # Errors
    /// `NotFound` where the guild has no such report or person.
    #[instrument(name = "db.report.resolve", skip(self), err(level = "debug"))]
    pub async fn resolve_report(
        &self,
        guild: GuildId,
        report: ReportId,
        by: PersonId,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin(guild).await?;
        let was_open = sqlx::query_scalar!(
            r#"UPDATE report
               SET resolved_at = coalesce(report.resolved_at, now()),
                   resolved_by = coalesce(report.resolved_by, $3)
               FROM (SELECT resolved_at FROM report
                     WHERE guild_id = $1 AND id = $2 FOR UPDATE) AS before
               WHERE guild_id = $1 AND id = $2
               RETURNING before.resolved_at IS NULL AS "was_open!""#,
            guild.0,
            report.0,
            by.0,
        )
        .fetch_optional(&mut *tx)
        .await?;
        tx.commit().await?;
        was_open.ok_or(StoreError::NotFound(Noun::Report))
    }
}
