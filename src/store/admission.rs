//! Putting work in, as far as there is room: so many replies may wait in all, of one
//! guild, for one person, and so many may be had within an hour ([`super::hourly`]).
//!
//! Counted are jobs that nobody has begun and somebody could begin, in the
//! transaction that would add one. A person's limit is exact; the other two may be
//! exceeded by as many as are put in at the same moment, since nobody waits for
//! another guild here.

use std::fmt;

use sqlx::PgConnection;
use tracing::instrument;

use super::{HourlyLimits, Queued, Spent, Store, StoreError, Work, hourly, lane, queue, row};
use crate::domain::{GuildId, JobId, PersonId, SceneId};

/// How many replies may wait to be begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    /// That one person of a guild asked for.
    pub per_person: u32,
    /// Of one guild.
    pub per_guild: u32,
    /// Of all guilds together.
    pub in_all: u32,
    /// How much may be had within an hour, waiting or not.
    pub hourly: HourlyLimits,
}

impl QueueLimits {
    /// As many as there are.
    pub const NONE: Self = Self {
        per_person: u32::MAX,
        per_guild: u32::MAX,
        in_all: u32::MAX,
        hourly: HourlyLimits::NONE,
    };
}

/// Whose limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// One person's.
    Person,
    /// A guild's.
    Guild,
    /// That of all.
    All,
}

impl Limit {
    /// A stable label for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Guild => "guild",
            Self::All => "all",
        }
    }
}

/// A limit is reached: nothing was put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// As many wait as may.
    Waiting {
        /// Whose limit it is.
        limit: Limit,
        /// How many wait that count for it.
        waiting: u32,
        /// How many wait in all, counted no further than to the limit of all.
        in_all: u32,
    },
    /// As much was had within the last hour as may be.
    Spent(Spent),
}

impl Full {
    /// A stable label of the limit, for metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Waiting { limit, .. } => limit.as_str(),
            Self::Spent(spent) => spent.limit.as_str(),
        }
    }

    /// What to do, where it does not say itself when there is room again.
    pub(super) fn advice(&self) -> &'static str {
        match self {
            Self::Waiting { .. } => "; ask again in a while",
            Self::Spent(_) => "",
        }
    }
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (limit, number, in_all) = match self {
            Self::Spent(spent) => return spent.fmt(f),
            Self::Waiting { limit, waiting, in_all } => (limit, *waiting, in_all),
        };
        let (waiting, wait) = match number {
            1 => ("1 reply".to_owned(), "waits"),
            number => (format!("{number} replies"), "wait"),
        };
        match limit {
            Limit::Person => write!(
                f,
                "{waiting} that you asked for {wait} already, as many as one person may have; \
                 {in_all} in all"
            ),
            Limit::Guild => write!(
                f,
                "{waiting} {wait} in this community already, as many as one may have; {in_all} in \
                 all"
            ),
            Limit::All => write!(f, "{waiting} {wait} already, as many as there may be"),
        }
    }
}

impl Store {
    /// Puts work into a scene's lane. An equal job that nobody has begun yet is
    /// not queued twice.
    ///
    /// # Errors
    /// `NotFound` where the guild has no such scene or person.
    #[instrument(name = "db.job.insert", skip(self), err(level = "debug"))]
    pub async fn insert_job(
        &self,
        guild: GuildId,
        scene: SceneId,
        person: Option<PersonId>,
        work: &Work,
    ) -> Result<Queued, StoreError> {
        self.put_in(guild, scene, person, work, &QueueLimits::NONE).await
    }

    /// The same for what a person asks for, within the limits of the queue.
    ///
    /// # Errors
    /// `Full` where a limit is reached: nothing was queued. An equal job that waits
    /// already is found all the same.
    #[instrument(name = "db.job.insert_within", skip(self), err(level = "debug"))]
    pub async fn insert_job_within(
        &self,
        guild: GuildId,
        scene: SceneId,
        person: PersonId,
        work: &Work,
        limits: &QueueLimits,
    ) -> Result<Queued, StoreError> {
        self.put_in(guild, scene, Some(person), work, limits).await
    }

    async fn put_in(
        &self,
        guild: GuildId,
        scene: SceneId,
        person: Option<PersonId>,
        work: &Work,
        limits: &QueueLimits,
    ) -> Result<Queued, StoreError> {
        let mut tx = self.begin(guild).await?;
        lane::lock(&mut tx, guild, scene).await?;
        let queued = insert(&mut tx, guild, scene, person, work, limits).await??;
        tx.commit().await?;
        self.bell.ring();
        Ok(queued)
    }
}

/// Puts work into a lane, which is locked, unless a limit is reached.
pub(super) async fn insert(
    conn: &mut PgConnection,
    guild: GuildId,
    scene: SceneId,
    person: Option<PersonId>,
    work: &Work,
    limits: &QueueLimits,
) -> Result<Result<Queued, Full>, StoreError> {
    let work = serde_json::to_value(work).expect("work is plain data");
    // A begun job whose worker is gone will be begun anew, and then sees
    // whatever was said since: it counts as waiting.
    let equal = sqlx::query_scalar!(
        "SELECT job.id FROM job JOIN lane USING (guild_id, scene_id)
         WHERE job.guild_id = $1 AND job.scene_id = $2 AND job.work = $3
           AND (job.state = 'queued' OR job.state = 'claimed' AND lane.lease_until < now())
         ORDER BY job.id LIMIT 1",
        guild.0,
        scene.0,
        work,
    )
    .fetch_optional(&mut *conn)
    .await?;
    if let Some(id) = equal {
        return Ok(Ok(Queued { job: JobId(id), coalesced: true }));
    }
    // Charged first: that locks the person, whose other jobs are then counted.
    let vtime = queue::start_tag(conn, guild, person).await?;
    if *limits != QueueLimits::NONE
        && let Err(full) = check(conn, guild, person, limits).await?
    {
        queue::give_back_tag(conn, guild, person, vtime).await?;
        return Ok(Err(full));
    }
    let id = sqlx::query_scalar!(
        "WITH pushed AS (
            UPDATE lane
            SET vtime = CASE WHEN pending = 0 THEN $5 ELSE vtime END,
                next_at = CASE WHEN pending = 0 THEN now() ELSE next_at END,
                pending = pending + 1
            WHERE guild_id = $1 AND scene_id = $2
            RETURNING paused
         )
         INSERT INTO job (guild_id, scene_id, person_id, work, vtime, resting)
         SELECT $1, $2, $3, $4, $5,
                paused OR (SELECT frozen_at IS NOT NULL FROM guild WHERE id = $1)
         FROM pushed RETURNING id",
        guild.0,
        scene.0,
        person.map(|id| id.0),
        work,
        vtime,
    )
    .fetch_one(conn)
    .await?;
    Ok(Ok(Queued { job: JobId(id), coalesced: false }))
}

/// Whether one more may be put in; the person's row is locked.
async fn check(
    conn: &mut PgConnection,
    guild: GuildId,
    person: Option<PersonId>,
    limits: &QueueLimits,
) -> Result<Result<(), Full>, StoreError> {
    if let Err(spent) = hourly::check_replies(conn, guild, person, &limits.hourly).await? {
        return Ok(Err(Full::Spent(spent)));
    }
    // Each count ends at its limit, however long the queue is.
    let counts = sqlx::query!(
        r#"SELECT
            (SELECT count(*) FROM (
                SELECT FROM job
                WHERE guild_id = $1 AND person_id = $2
                  AND state = 'queued' AND work ->> 'kind' <> 'show' AND NOT resting
                LIMIT $3) AS of_person) AS "of_person!",
            (SELECT count(*) FROM (
                SELECT FROM job
                WHERE guild_id = $1
                  AND state = 'queued' AND work ->> 'kind' <> 'show' AND NOT resting
                LIMIT $4) AS of_guild) AS "of_guild!",
            count_waiting_in_all($5) AS "in_all!""#,
        guild.0,
        person.map(|person| person.0),
        i64::from(limits.per_person),
        i64::from(limits.per_guild),
        i64::from(limits.in_all),
    )
    .fetch_one(conn)
    .await?;
    let in_all = row::count(counts.in_all);
    let reached = [
        (Limit::Person, row::count(counts.of_person), limits.per_person),
        (Limit::Guild, row::count(counts.of_guild), limits.per_guild),
        (Limit::All, in_all, limits.in_all),
    ];
    let reached = reached.into_iter().find(|&(_, waiting, most)| waiting >= most);
    Ok(match reached {
        Some((limit, waiting, _)) => Err(Full::Waiting { limit, waiting, in_all }),
        None => Ok(()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_which_limit_and_how_many_wait() {
        let said = |limit, waiting| Full::Waiting { limit, waiting, in_all: 40 }.to_string();
        insta::assert_snapshot!(said(Limit::Person, 1), @"1 reply that you asked for waits already, as many as one person may have; 40 in all");
        insta::assert_snapshot!(said(Limit::Guild, 20), @"20 replies wait in this community already, as many as one may have; 40 in all");
        insta::assert_snapshot!(said(Limit::All, 40), @"40 replies wait already, as many as there may be");
    }
}
