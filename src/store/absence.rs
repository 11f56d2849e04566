//! Replies in the making that have read somebody who is not heard any more.

use sqlx::PgConnection;
use tracing::instrument;

use super::job::{self, Unwritten};
use super::{JobState, Store, StoreError, Work};
use crate::domain::{GuildId, PersonId, SceneId};

impl Store {
    /// Begins replies anew that may have read the words of somebody who is absent by now:
    /// of that person, or of anybody. Where nothing else is left to answer they are called
    /// off. Says in how many scenes somebody was writing.
    #[instrument(name = "db.job.heed_absence", skip(self), err(level = "debug"))]
    pub async fn heed_absence(
        &self,
        guild: GuildId,
        person: Option<PersonId>,
    ) -> Result<usize, StoreError> {
        let mut tx = self.begin(guild).await?;
        let scenes = lock_busy_scenes(&mut tx, guild, person).await?;
        let mut num_interrupted = 0;
        for scene in scenes {
            let jobs = job::unwritten(&mut tx, guild, scene).await?;
            num_interrupted += usize::from(job::any_begun(&jobs));
            let is_for_nobody = answers_absent_alone(&mut tx, guild, scene).await?;
            let (called_off, left): (Vec<_>, Vec<_>) = jobs
                .into_iter()
                .partition(|job| is_for_nobody && matches!(job.work, Work::Reply { .. }));
            let is_begun = |job: &Unwritten| job.state == JobState::Claimed;
            let anew: Vec<_> = left.into_iter().filter(is_begun).collect();
            job::cancel(&mut tx, guild, scene, &called_off).await?;
            job::requeue(&mut tx, guild, scene, &anew).await?;
        }
        tx.commit().await?;
        self.bell.ring();
        Ok(num_interrupted)
    }
}

/// Locks the lanes that are at work, or going to be, where absent people spoke or take part;
/// in order, so that no two meet head-on.
async fn lock_busy_scenes(
    conn: &mut PgConnection,
    guild: GuildId,
    person: Option<PersonId>,
) -> Result<Vec<SceneId>, StoreError> {
    let ids = sqlx::query_scalar!(
        "WITH absent AS MATERIALIZED (
            SELECT person.id
            FROM person JOIN person_standing AS standing
              ON standing.guild_id = person.guild_id AND standing.person_id = person.id
            WHERE person.guild_id = $1
              AND ($2::bigint IS NULL OR person.id = $2 OR person.owner_id = $2)
              AND (is_blocked OR is_opted_out OR must_agree)
         )
         SELECT scene_id FROM lane
         WHERE guild_id = $1 AND pending > 0 AND scene_id IN (
            SELECT scene_id FROM turn
            WHERE guild_id = $1 AND person_id IN (SELECT id FROM absent)
            UNION SELECT scene_id FROM participant
            WHERE guild_id = $1 AND person_id IN (SELECT id FROM absent))
         ORDER BY scene_id FOR UPDATE",
        guild.0,
        person.map(|person| person.0),
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(SceneId).collect())
}

/// Whether absent people, and nobody else, said something since a character last spoke.
async fn answers_absent_alone(
    conn: &mut PgConnection,
    guild: GuildId,
    scene: SceneId,
) -> Result<bool, StoreError> {
    let alone = sqlx::query_scalar!(
        r#"WITH RECURSIVE line AS (
            SELECT turn.parent_id, turn.person_id, turn.removed_at
            FROM turn JOIN scene ON scene.guild_id = turn.guild_id AND scene.id = turn.scene_id
            WHERE turn.guild_id = $1 AND turn.scene_id = $2 AND turn.id = scene.head_turn_id
            UNION ALL
            SELECT turn.parent_id, turn.person_id, turn.removed_at
            FROM line JOIN turn ON turn.guild_id = $1 AND turn.id = line.parent_id
            WHERE line.person_id IS NOT NULL OR line.removed_at IS NOT NULL
         )
         SELECT coalesce(bool_and(is_blocked OR is_opted_out OR must_agree), false) AS "alone!"
         FROM line JOIN person_standing AS standing
           ON standing.guild_id = $1 AND standing.person_id = line.person_id
         WHERE line.removed_at IS NULL"#,
        guild.0,
        scene.0,
    )
    .fetch_one(conn)
    .await?;
    Ok(alone)
}
