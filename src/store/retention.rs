//! What is kept for a time only: scenes, old texts, people who left, whole guilds.

use chrono::{DateTime, Utc};
use sqlx::AssertSqlSafe;
use tracing::instrument;

use super::erasure::empty_turns;
use super::policy::Surroundings;
use super::{Noun, Store, StoreError, forgotten, lane};
use crate::domain::{GuildId, PersonId, SceneId};

/// A scene as retention sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SceneAge {
    /// The scene.
    pub id: SceneId,
    /// The platform's id of its place.
    pub channel: String,
    /// What stands around it.
    pub around: Surroundings,
    /// When it ended, where it did.
    pub ended_at: Option<DateTime<Utc>>,
    /// When the oldest of its texts that is still kept was said.
    pub oldest_at: Option<DateTime<Utc>>,
}

impl Store {
    /// How old the scenes of a guild are.
    #[instrument(name = "db.scene.ages", skip(self), err(level = "debug"))]
    pub async fn list_scene_ages(&self, guild: GuildId) -> Result<Vec<SceneAge>, StoreError> {
        let mut conn = self.read(guild).await?;
        let rows = sqlx::query!(
            r#"SELECT id, channel, places, age_restricted, ended_at,
                      (SELECT min(turn.created_at) FROM turn
                       JOIN swipe ON swipe.guild_id = turn.guild_id AND swipe.turn_id = turn.id
                       WHERE turn.guild_id = $1 AND turn.scene_id = scene.id
                         AND swipe.text <> '') AS oldest_at
               FROM scene WHERE guild_id = $1 ORDER BY id"#,
            guild.0,
        )
        .fetch_all(&mut *conn)
        .await?;
        let ages = rows.into_iter().map(|row| SceneAge {
            id: SceneId(row.id),
            channel: row.channel,
            around: Surroundings { places: row.places, age_restricted: row.age_restricted },
            ended_at: row.ended_at,
            oldest_at: row.oldest_at,
        });
        Ok(ages.collect())
    }

    /// Empties the texts of a scene that were said before that time, and says of how many
    /// turns. They keep their places in the tree, out of every line; what the platform
    /// shows of them is the platform's.
    ///
    /// # Errors
    /// `NotFound` where the guild has no such scene.
    #[instrument(name = "db.scene.empty_before", skip(self), err(level = "debug"))]
    pub async fn empty_turns_before(
        &self,
        guild: GuildId,
        scene: SceneId,
        before: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        let mut tx = self.begin(guild).await?;
        lane::lock(&mut tx, guild, scene).await?;
        let turns = sqlx::query_scalar!(
            "SELECT id FROM turn
             WHERE guild_id = $1 AND scene_id = $2 AND created_at < $3
               AND EXISTS (SELECT FROM swipe
                           WHERE swipe.guild_id = $1 AND swipe.turn_id = turn.id
                             AND swipe.text <> '')",
            guild.0,
            scene.0,
            before,
        )
        .fetch_all(&mut *tx)
        .await?;
        if turns.is_empty() {
            return Ok(0);
        }
        empty_turns(&mut tx, guild, &turns).await?;
        // Later prompts hold what was said earlier; posts are left as they are.
        sqlx::query!(
            "WITH prompt AS (
                DELETE FROM reply_prompt USING turn
                WHERE reply_prompt.guild_id = $1 AND turn.guild_id = $1
                  AND turn.id = reply_prompt.turn_id AND turn.scene_id = $2
             ), approval AS (
                DELETE FROM training_approval WHERE guild_id = $1 AND scene_id = $2
             )
             DELETE FROM outbox WHERE guild_id = $1 AND turn_id = ANY ($3)",
            guild.0,
            scene.0,
            &turns,
        )
        .execute(&mut *tx)
        .await?;
        forgotten::note(&mut tx, &[scene.0]).await?;
        tx.commit().await?;
        Ok(turns.len() as u64)
    }

    /// Deletes scenes with everything that belongs to them, those alone that are over; says
    /// how many there were. Cases keep their evidence, and scenes that branched from them
    /// what they took along.
    #[instrument(name = "db.scene.delete", skip(self), err(level = "debug"))]
    pub async fn delete_ended_scenes(
        &self,
        guild: GuildId,
        scenes: &[SceneId],
    ) -> Result<u64, StoreError> {
        let ids: Vec<i64> = scenes.iter().map(|scene| scene.0).collect();
        let mut tx = self.begin(guild).await?;
        let ended = sqlx::query_scalar!(
            "SELECT scene.id FROM lane
             JOIN scene ON scene.guild_id = lane.guild_id AND scene.id = lane.scene_id
             WHERE lane.guild_id = $1 AND lane.scene_id = ANY ($2) AND scene.state = 'ended'
             ORDER BY scene.id FOR UPDATE",
            guild.0,
            &ids,
        )
        .fetch_all(&mut *tx)
        .await?;
        // One statement: what refers to what is asked at its end.
        sqlx::query!(
            "WITH gone AS (
                SELECT id FROM turn WHERE guild_id = $1 AND scene_id = ANY ($2)
             ), branches AS (
                UPDATE scene SET branched_from_scene_id = NULL, branched_from_turn_id = NULL
                WHERE guild_id = $1 AND branched_from_scene_id = ANY ($2) AND id <> ALL ($2)
             ), cases AS (
                UPDATE moderation_case SET report_id = NULL FROM report
                WHERE moderation_case.guild_id = $1 AND report.guild_id = $1
                  AND report.id = moderation_case.report_id AND report.scene_id = ANY ($2)
             ), reports AS (
                DELETE FROM report WHERE guild_id = $1 AND scene_id = ANY ($2)
             ), prompts AS (
                DELETE FROM reply_prompt
                WHERE guild_id = $1 AND turn_id IN (SELECT id FROM gone)
             ), posts AS (
                DELETE FROM outbox WHERE guild_id = $1 AND scene_id = ANY ($2)
             ), messages AS (
                DELETE FROM inbound WHERE guild_id = $1 AND scene_id = ANY ($2)
             ), moves AS (
                DELETE FROM scene_move WHERE guild_id = $1 AND scene_id = ANY ($2)
             ), jobs AS (
                DELETE FROM job WHERE guild_id = $1 AND scene_id = ANY ($2)
             ), swipes AS (
                DELETE FROM swipe WHERE guild_id = $1 AND turn_id IN (SELECT id FROM gone)
             ), turns AS (
                DELETE FROM turn WHERE guild_id = $1 AND scene_id = ANY ($2)
             ), lanes AS (
                DELETE FROM lane WHERE guild_id = $1 AND scene_id = ANY ($2)
             ), members AS (
                DELETE FROM cast_member WHERE guild_id = $1 AND scene_id = ANY ($2)
             ), people AS (
                DELETE FROM participant WHERE guild_id = $1 AND scene_id = ANY ($2)
             ), books AS (
                DELETE FROM scene_lorebook WHERE guild_id = $1 AND scene_id = ANY ($2)
             ), approvals AS (
                DELETE FROM training_approval WHERE guild_id = $1 AND scene_id = ANY ($2)
             )
             DELETE FROM scene WHERE guild_id = $1 AND id = ANY ($2)",
            guild.0,
            &ended,
        )
        .execute(&mut *tx)
        .await?;
        forgotten::note(&mut tx, &ended).await?;
        tx.commit().await?;
        Ok(ended.len() as u64)
    }

    /// Notes whether the platform knows a person as a member of the guild.
    ///
    /// # Errors
    /// `NotFound` where the guild has no such person.
    #[instrument(name = "db.person.left", skip(self), err(level = "debug"))]
    pub async fn set_person_left(
        &self,
        guild: GuildId,
        person: PersonId,
        left: bool,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin(guild).await?;
        let done = sqlx::query!(
            "UPDATE person SET left_at = CASE WHEN $3 THEN coalesce(left_at, now()) END,
                               looked_for_at = now()
             WHERE guild_id = $1 AND id = $2",
            guild.0,
            person.0,
            left,
        )
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::NotFound(Noun::Person));
        }
        tx.commit().await?;
        Ok(())
    }

    /// Who of a guild was not looked for since that time, with their ids on the platform;
    /// those whom nobody ever looked for first.
    #[instrument(name = "db.person.list_unseen", skip(self), err(level = "debug"))]
    pub async fn list_people_to_look_for(
        &self,
        guild: GuildId,
        since: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<(PersonId, String)>, StoreError> {
        let mut conn = self.read(guild).await?;
        let rows = sqlx::query!(
            "SELECT id, external_id FROM person
             WHERE guild_id = $1 AND (looked_for_at IS NULL OR looked_for_at < $2)
               AND external_id NOT LIKE 'erased:%'
             ORDER BY looked_for_at NULLS FIRST, id LIMIT $3",
            guild.0,
            since,
            i64::from(limit),
        )
        .fetch_all(&mut *conn)
        .await?;
        Ok(rows.into_iter().map(|row| (PersonId(row.id), row.external_id)).collect())
    }

    /// Who of a guild left it before that time and is still known.
    #[instrument(name = "db.person.list_left", skip(self), err(level = "debug"))]
    pub async fn list_people_left(
        &self,
        guild: GuildId,
        before: DateTime<Utc>,
    ) -> Result<Vec<PersonId>, StoreError> {
        let mut conn = self.read(guild).await?;
        let people = sqlx::query_scalar!(
            "SELECT id FROM person
             WHERE guild_id = $1 AND left_at < $2 AND external_id NOT LIKE 'erased:%'
             ORDER BY id",
            guild.0,
            before,
        )
        .fetch_all(&mut *conn)
        .await?;
        Ok(people.into_iter().map(PersonId).collect())
    }

    /// The guilds that we left before that time.
    #[instrument(name = "db.guild.list_left", skip(self), err(level = "debug"))]
    pub async fn list_guilds_left(
        &self,
        before: DateTime<Utc>,
    ) -> Result<Vec<GuildId>, StoreError> {
        let guilds =
            sqlx::query_scalar!("SELECT id FROM guild WHERE left_at < $1 ORDER BY id", before)
                .fetch_all(&self.pool)
                .await?;
        Ok(guilds.into_iter().map(GuildId).collect())
    }

    /// Deletes every row of a guild that we left before that time, its audit too. Says
    /// whether we had left it by then.
    #[instrument(name = "db.guild.delete", skip(self), err(level = "debug"))]
    pub async fn delete_guild_left(
        &self,
        guild: GuildId,
        before: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin().await?;
        let left = sqlx::query_scalar!(
            "SELECT id FROM guild WHERE id = $1 AND left_at < $2 FOR UPDATE",
            guild.0,
            before,
        )
        .fetch_optional(&mut *tx)
        .await?;
        if left.is_none() {
            return Ok(false);
        }
        let scenes =
            sqlx::query_scalar!("SELECT id FROM scene WHERE guild_id = $1 ORDER BY id", guild.0)
                .fetch_all(&mut *tx)
                .await?;
        // As the database knows them, so that no later table is forgotten. One statement,
        // since they refer to one another in circles.
        let tables = sqlx::query_scalar!(
            r#"SELECT quote_ident(relname) AS "name!" FROM pg_class
               JOIN pg_attribute ON attrelid = pg_class.oid AND attname = 'guild_id'
                AND NOT attisdropped
               WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"#
        )
        .fetch_all(&mut *tx)
        .await?;
        let parts = tables.iter().enumerate();
        let parts: Vec<String> = parts
            .map(|(n, table)| format!("part_{n} AS (DELETE FROM {table} WHERE guild_id = $1)"))
            .collect();
        sqlx::raw_sql("SET LOCAL dramatis.retention = 'on'").execute(&mut *tx).await?;
        let delete = format!("WITH {} DELETE FROM guild WHERE id = $1", parts.join(", "));
        sqlx::query(AssertSqlSafe(delete)).bind(guild.0).execute(&mut *tx).await?;
        forgotten::note(&mut tx, &scenes).await?;
        tx.commit().await?;
        Ok(true)
    }
}
