//! What is kept of one person, for themselves to see and take along.

use chrono::{DateTime, Utc};
use tracing::instrument;

use super::{Noun, Store, StoreError};
use crate::domain::{GuildId, PersonId, SceneId};

/// A text that somebody said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonText {
    /// The scene.
    pub scene: SceneId,
    /// What people call it.
    pub title: String,
    /// As whom they said it.
    pub name: String,
    /// What it says.
    pub text: String,
    /// Whether it stands: it is neither replaced nor taken out.
    pub stands: bool,
    /// When.
    pub at: DateTime<Utc>,
}

impl Store {
    /// Everything that a person said in a guild, scene by scene, in order.
    #[instrument(name = "db.person.texts", skip(self), err(level = "debug"))]
    pub async fn list_person_texts(
        &self,
        guild: GuildId,
        person: PersonId,
    ) -> Result<Vec<PersonText>, StoreError> {
        let mut conn = self.read(guild).await?;
        let rows = sqlx::query!(
            r#"SELECT turn.scene_id, scene.title, turn.speaker_name, swipe.text,
                      turn.swipe_id = swipe.id AND turn.removed_at IS NULL AS "stands!",
                      swipe.created_at
               FROM turn
               JOIN swipe ON swipe.guild_id = turn.guild_id AND swipe.turn_id = turn.id
               JOIN scene ON scene.guild_id = turn.guild_id AND scene.id = turn.scene_id
               WHERE turn.guild_id = $1 AND turn.person_id = $2
               ORDER BY turn.scene_id, turn.id, swipe.ordinal"#,
            guild.0,
            person.0,
        )
        .fetch_all(&mut *conn)
        .await?;
        let texts = rows.into_iter().map(|row| {
            Ok(PersonText {
                scene: SceneId(row.scene_id),
                title: row.title,
                name: row.speaker_name,
                text: conn.seal.open(row.text)?,
                stands: row.stands,
                at: row.created_at,
            })
        });
        texts.collect()
    }

    /// Has a person heard in no scene of a guild, by their own wish, or heard again. Whoever
    /// does not want to be heard takes back what they agreed to. Says whether that changed
    /// anything.
    ///
    /// # Errors
    /// `NotFound` where the guild has no such person.
    #[instrument(name = "db.person.opt_out", skip(self), err(level = "debug"))]
    pub async fn set_person_opted_out(
        &self,
        guild: GuildId,
        person: PersonId,
        out: bool,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin(guild).await?;
        let was_out = sqlx::query_scalar!(
            r#"UPDATE person
               SET opted_out_at = CASE WHEN $3 THEN coalesce(person.opted_out_at, now()) END,
                   agreed_at = CASE WHEN NOT $3 THEN person.agreed_at END,
                   agreed_words = CASE WHEN NOT $3 THEN person.agreed_words END
               FROM (SELECT opted_out_at FROM person
                     WHERE guild_id = $1 AND id = $2 FOR UPDATE) AS was
               WHERE guild_id = $1 AND id = $2
               RETURNING was.opted_out_at IS NOT NULL AS "out!""#,
            guild.0,
            person.0,
            out,
        )
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(StoreError::NotFound(Noun::Person))?;
        tx.commit().await?;
        Ok(was_out != out)
    }
}
