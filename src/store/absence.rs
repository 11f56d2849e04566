//! Replies in the making that have read somebody who is not heard any more.

use sqlx::PgConnection;
use tracing::instrument;

use super::job::{self, Unwritten};
use super::unanswered::{self, Unanswered};
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
            let end = unanswered::list(&mut tx, guild, scene).await?;
            let is_for_nobody = is_of_absent_alone(&end);
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

/// Whether absent people, and nobody else, said what is left to answer.
fn is_of_absent_alone(end: &[Unanswered]) -> bool {
    let mut said = end.iter().filter(|said| !said.is_removed).peekable();
    said.peek().is_some() && said.all(|said| said.is_absent)
}
