//! What may become training data: people's consent, moderators' approval.

use chrono::{DateTime, Utc};
use tracing::instrument;

use super::{Noun, Store, StoreError};
use crate::domain::{GuildId, PersonId, SceneId, SwipeId, TurnId};

/// A person's word on whether theirs may train a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrainingConsent {
    /// Whose.
    pub person: PersonId,
    /// When they agreed.
    pub agreed_at: DateTime<Utc>,
    /// When they took it back; `None` while it holds.
    pub withdrawn_at: Option<DateTime<Utc>>,
}

impl TrainingConsent {
    /// Whether it holds now.
    pub fn holds(&self) -> bool {
        self.withdrawn_at.is_none()
    }
}

/// A moderator's word that a scene may be training data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainingApproval {
    /// The moderator.
    pub by: PersonId,
    /// When.
    pub at: DateTime<Utc>,
    /// The texts that stood then, in order; no others are approved.
    pub seen: Vec<(TurnId, SwipeId)>,
    /// The SHA-256 of what stands before the turns.
    pub frame: [u8; 32],
}

impl Store {
    /// Notes that a person agrees. Says whether that is new.
    ///
    /// # Errors
    /// `NotFound` where the guild has no such person.
    #[instrument(name = "db.training.agree", skip(self), err(level = "debug"))]
    pub async fn insert_training_consent(
        &self,
        guild: GuildId,
        person: PersonId,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin(guild).await?;
        let done = sqlx::query!(
            "INSERT INTO training_consent (guild_id, person_id) VALUES ($1, $2)
             ON CONFLICT (guild_id, person_id) DO UPDATE
             SET agreed_at = now(), withdrawn_at = NULL
             WHERE training_consent.withdrawn_at IS NOT NULL",
            guild.0,
            person.0,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    /// Notes that a person agrees no more. Says whether they had.
    #[instrument(name = "db.training.withdraw", skip(self), err(level = "debug"))]
    pub async fn withdraw_training_consent(
        &self,
        guild: GuildId,
        person: PersonId,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin(guild).await?;
        let done = sqlx::query!(
            "UPDATE training_consent SET withdrawn_at = now()
             WHERE guild_id = $1 AND person_id = $2 AND withdrawn_at IS NULL",
            guild.0,
            person.0,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    /// What these people said; nothing of those who never said anything.
    #[instrument(name = "db.training.consents", skip(self, people), err(level = "debug"))]
    pub async fn list_training_consents(
        &self,
        guild: GuildId,
        people: &[PersonId],
    ) -> Result<Vec<TrainingConsent>, StoreError> {
        let mut conn = self.read(guild).await?;
        let people: Vec<i64> = people.iter().map(|person| person.0).collect();
        let rows = sqlx::query!(
            "SELECT person_id, agreed_at, withdrawn_at FROM training_consent
             WHERE guild_id = $1 AND person_id = ANY($2) ORDER BY person_id",
            guild.0,
            &people,
        )
        .fetch_all(&mut *conn)
        .await?;
        let consents = rows.into_iter().map(|row| TrainingConsent {
            person: PersonId(row.person_id),
            agreed_at: row.agreed_at,
            withdrawn_at: row.withdrawn_at,
        });
        Ok(consents.collect())
    }

    /// Approves a scene as it was seen, in place of an earlier approval.
    ///
    /// # Errors
    /// `NotFound` where the guild has no such scene or person.
    #[instrument(name = "db.training.approve", skip(self, seen, frame), err(level = "debug"))]
    pub async fn upsert_training_approval(
        &self,
        guild: GuildId,
        scene: SceneId,
        by: PersonId,
        seen: &[(TurnId, SwipeId)],
        frame: &[u8; 32],
    ) -> Result<(), StoreError> {
        let mut tx = self.begin(guild).await?;
        let (turns, swipes): (Vec<i64>, Vec<i64>) =
            seen.iter().map(|(turn, swipe)| (turn.0, swipe.0)).unzip();
        sqlx::query!(
            "INSERT INTO training_approval
                    (guild_id, scene_id, approved_by, turn_ids, swipe_ids, frame)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (guild_id, scene_id) DO UPDATE
             SET approved_by = excluded.approved_by, approved_at = now(),
                 turn_ids = excluded.turn_ids, swipe_ids = excluded.swipe_ids,
                 frame = excluded.frame",
            guild.0,
            scene.0,
            by.0,
            &turns,
            &swipes,
            frame,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Takes an approval back. Says whether there was one.
    #[instrument(name = "db.training.unapprove", skip(self), err(level = "debug"))]
    pub async fn delete_training_approval(
        &self,
        guild: GuildId,
        scene: SceneId,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin(guild).await?;
        let done = sqlx::query!(
            "DELETE FROM training_approval WHERE guild_id = $1 AND scene_id = $2",
            guild.0,
            scene.0,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    /// What of a scene was approved, if anything.
    #[instrument(name = "db.training.get_approval", skip(self), err(level = "debug"))]
    pub async fn get_training_approval(
        &self,
        guild: GuildId,
        scene: SceneId,
    ) -> Result<Option<TrainingApproval>, StoreError> {
        let mut conn = self.read(guild).await?;
        let row = sqlx::query!(
            "SELECT approved_by, approved_at, turn_ids, swipe_ids, frame
             FROM training_approval WHERE guild_id = $1 AND scene_id = $2",
            guild.0,
            scene.0,
        )
        .fetch_optional(&mut *conn)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let frame = <[u8; 32]>::try_from(row.frame).map_err(|_| StoreError::Unreadable {
            noun: Noun::Scene,
            reason: "its approval has no digest".into(),
        })?;
        let pairs =
            row.turn_ids.into_iter().map(TurnId).zip(row.swipe_ids.into_iter().map(SwipeId));
        Ok(Some(TrainingApproval {
            by: PersonId(row.approved_by),
            at: row.approved_at,
            seen: pairs.collect(),
            frame,
        }))
    }

    /// Everybody who has said anything in a scene, or in one that it was branched off: on
    /// other lines too, and in turns that were taken out, since replies may quote them. What
    /// came in a file does not count.
    #[instrument(name = "db.training.list_speakers", skip(self), err(level = "debug"))]
    pub async fn list_training_speakers(
        &self,
        guild: GuildId,
        scene: SceneId,
    ) -> Result<Vec<PersonId>, StoreError> {
        let mut conn = self.read(guild).await?;
        let ids = sqlx::query_scalar!(
            r#"WITH RECURSIVE origin AS (
                SELECT id, branched_from_scene_id FROM scene WHERE guild_id = $1 AND id = $2
                UNION
                SELECT scene.id, scene.branched_from_scene_id
                FROM origin JOIN scene
                     ON scene.guild_id = $1 AND scene.id = origin.branched_from_scene_id
             )
             SELECT DISTINCT turn.person_id AS "person_id!"
             FROM origin JOIN turn ON turn.guild_id = $1 AND turn.scene_id = origin.id
             WHERE turn.person_id IS NOT NULL AND turn.source IS NULL
             ORDER BY 1"#,
            guild.0,
            scene.0,
        )
        .fetch_all(&mut *conn)
        .await?;
        Ok(ids.into_iter().map(PersonId).collect())
    }

    /// The turns of a scene that were played elsewhere and came in a file.
    #[instrument(name = "db.training.list_imported", skip(self), err(level = "debug"))]
    pub async fn list_imported_turns(
        &self,
        guild: GuildId,
        scene: SceneId,
    ) -> Result<Vec<TurnId>, StoreError> {
        let mut conn = self.read(guild).await?;
        let ids = sqlx::query_scalar!(
            "SELECT id FROM turn
             WHERE guild_id = $1 AND scene_id = $2 AND source IS NOT NULL ORDER BY id",
            guild.0,
            scene.0,
        )
        .fetch_all(&mut *conn)
        .await?;
        Ok(ids.into_iter().map(TurnId).collect())
    }
}
