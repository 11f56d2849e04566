//! What moderators have stopped: guilds at rest, and people who are not heard.

use sqlx::PgConnection;
use tracing::instrument;

use super::{Noun, Store, StoreError};
use crate::domain::{GuildId, PersonId, SceneId};

/// Whether somebody is heard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PersonStanding {
    /// Moderators have them not heard.
    pub is_blocked: bool,
    /// They themselves do not want to be.
    pub is_opted_out: bool,
    /// They did not agree to it, and the guild asks everybody.
    pub must_agree: bool,
    /// Everything in the guild is stopped.
    pub is_guild_frozen: bool,
}

impl Store {
    /// Stops everything in a guild, or lets it be played on: no job of a frozen guild is
    /// begun. Says whether that changed anything.
    ///
    /// # Errors
    /// `NotFound` where there is no such guild.
    #[instrument(name = "db.guild.freeze", skip(self), err(level = "debug"))]
    pub async fn set_guild_frozen(&self, guild: GuildId, frozen: bool) -> Result<bool, StoreError> {
        let mut tx = self.begin(guild).await?;
        let was_frozen = sqlx::query_scalar!(
            r#"SELECT frozen_at IS NOT NULL AS "frozen!" FROM guild WHERE id = $1
               FOR NO KEY UPDATE"#,
            guild.0,
        )
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(StoreError::NotFound(Noun::Guild))?;
        sqlx::query!(
            "UPDATE guild SET frozen_at = CASE WHEN $2 THEN coalesce(frozen_at, now()) END
             WHERE id = $1",
            guild.0,
            frozen,
        )
        .execute(&mut *tx)
        .await?;
        super::guild::rest_jobs(&mut tx, guild).await?;
        tx.commit().await?;
        self.bell.ring();
        Ok(was_frozen != frozen)
    }

    /// Whether moderators have stopped a scene, or everything in its guild.
    ///
    /// # Errors
    /// `NotFound` where the guild has no such scene.
    #[instrument(name = "db.scene.frozen", skip(self), err(level = "debug"))]
    pub async fn is_frozen(&self, guild: GuildId, scene: SceneId) -> Result<bool, StoreError> {
        let mut conn = self.read(guild).await?;
        let frozen = sqlx::query_scalar!(
            r#"SELECT scene.state = 'frozen' OR guild.frozen_at IS NOT NULL AS "frozen!"
               FROM scene JOIN guild ON guild.id = scene.guild_id
               WHERE scene.guild_id = $1 AND scene.id = $2"#,
            guild.0,
            scene.0,
        )
        .fetch_optional(&mut *conn)
        .await?;
        frozen.ok_or(StoreError::NotFound(Noun::Scene))
    }

    /// The scenes of a guild in which something is being written, or waits to be.
    #[instrument(name = "db.scene.list_busy", skip(self), err(level = "debug"))]
    pub async fn list_busy_scenes(&self, guild: GuildId) -> Result<Vec<SceneId>, StoreError> {
        let mut conn = self.read(guild).await?;
        let scenes = sqlx::query_scalar!(
            "SELECT scene_id FROM lane WHERE guild_id = $1 AND pending > 0 ORDER BY scene_id",
            guild.0,
        )
        .fetch_all(&mut *conn)
        .await?;
        Ok(scenes.into_iter().map(SceneId).collect())
    }

    /// Has a person not heard in a guild, or heard again, also if they had themselves
    /// forgotten meanwhile. Says whether that changed anything.
    ///
    /// # Errors
    /// `NotFound` where the guild has no such person.
    #[instrument(name = "db.person.block", skip(self), err(level = "debug"))]
    pub async fn set_person_blocked(
        &self,
        guild: GuildId,
        person: PersonId,
        blocked: bool,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin(guild).await?;
        let was_blocked = sqlx::query_scalar!(
            r#"WITH lifted AS (
                DELETE FROM erased_block USING person
                WHERE NOT $3 AND person.guild_id = $1 AND person.id = $2
                  AND erased_block.guild_id = $1
                  AND digest = sha256(convert_to($1::bigint || ':' || person.external_id, 'UTF8'))
               )
               UPDATE person SET blocked_at = CASE WHEN $3 THEN coalesce(person.blocked_at, now()) END
               FROM (SELECT blocked_at FROM person WHERE guild_id = $1 AND id = $2 FOR UPDATE) AS was
               WHERE guild_id = $1 AND id = $2
               RETURNING was.blocked_at IS NOT NULL AS "blocked!""#,
            guild.0,
            person.0,
            blocked,
        )
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(StoreError::NotFound(Noun::Person))?;
        tx.commit().await?;
        Ok(was_blocked != blocked)
    }

    /// Whether a person is heard in a guild now.
    #[instrument(name = "db.person.standing", skip(self), err(level = "debug"))]
    pub async fn get_standing(
        &self,
        guild: GuildId,
        person: PersonId,
    ) -> Result<PersonStanding, StoreError> {
        get(&mut *self.read(guild).await?, guild, person).await
    }

    /// Who of these people is not heard, by moderators' or their own word, or because they
    /// did not agree.
    #[instrument(name = "db.person.list_absent", skip(self, people), err(level = "debug"))]
    pub async fn list_absent(
        &self,
        guild: GuildId,
        people: &[PersonId],
    ) -> Result<Vec<PersonId>, StoreError> {
        let people: Vec<i64> = people.iter().map(|person| person.0).collect();
        let mut conn = self.read(guild).await?;
        let people = sqlx::query_scalar!(
            r#"SELECT person_id AS "id!" FROM person_standing
               WHERE guild_id = $1 AND person_id = ANY($2)
                 AND (is_blocked OR is_opted_out OR must_agree)
               ORDER BY person_id"#,
            guild.0,
            &people,
        )
        .fetch_all(&mut *conn)
        .await?;
        Ok(people.into_iter().map(PersonId).collect())
    }
}

/// Whether a person is heard in a guild now.
pub(super) async fn get(
    conn: &mut PgConnection,
    guild: GuildId,
    person: PersonId,
) -> Result<PersonStanding, StoreError> {
    let standing = sqlx::query_as!(
        PersonStanding,
        r#"SELECT coalesce(is_blocked, false) AS "is_blocked!",
                  coalesce(is_opted_out, false) AS "is_opted_out!",
                  coalesce(must_agree, false) AS "must_agree!",
                  guild.frozen_at IS NOT NULL AS "is_guild_frozen!"
           FROM guild LEFT JOIN person_standing AS standing
                ON standing.guild_id = guild.id AND standing.person_id = $2
           WHERE guild.id = $1"#,
        guild.0,
        person.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(standing.unwrap_or_default())
}
