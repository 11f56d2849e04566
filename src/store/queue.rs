//! The queue between lanes: whose turn it is, and how long it is until one's own.
//!
//! The order is start-time fair queueing (Goyal, Vin and Cheng, 1996), first between
//! guilds, then between the people of a guild: a guild with a hundred jobs delays
//! another's by one claim.

use std::time::Duration;

use sqlx::PgConnection;
use tracing::instrument;

use super::job::JobRow;
use super::lane::interval;
use super::{Claim, LEASE, Noun, Store, StoreError, row};
use crate::domain::{GuildId, JobId, PersonId, SceneId};

/// How many replies tell how long one takes.
const RECENT_REPLIES: i64 = 50;

/// Where a scene stands in the queue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QueuePlace {
    /// What becomes of what it has to write.
    pub standing: Standing,
    /// How many lanes are ready to be claimed, over all guilds.
    pub num_ready: u32,
    /// How many are being worked on, by all processes.
    pub num_in_work: u32,
    /// How long recent replies took on average, from the claim until they were shown;
    /// `None` where there was none yet.
    pub mean_reply: Option<Duration>,
}

impl QueuePlace {
    /// How long until it is begun, roughly: as if replies took as long as of late, and
    /// as many were written at once as now. `None` where that cannot be told.
    pub fn begins_in(&self) -> Option<Duration> {
        let Standing::Behind(before) = self.standing else { return None };
        // Where nobody is at work there is a place free.
        let ends = if self.num_in_work == 0 { f64::from(before) } else { f64::from(before) + 1.0 };
        let seconds = self.mean_reply?.as_secs_f64() * ends / f64::from(self.num_in_work.max(1));
        Duration::try_from_secs_f64(seconds).ok()
    }
}

/// What becomes of what a scene has to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// There is nothing to write.
    Idle,
    /// Somebody is at it.
    InWork,
    /// It is claimed after so many other lanes, as things stand: what is put in later
    /// may go before it, if its guild or its person had less.
    Behind(u32),
    /// Nobody may claim it now: the scene is paused, we left the guild, or it rests
    /// after a failure.
    Resting,
}

/// A job by its whole key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct JobKey {
    /// The guild.
    pub guild: GuildId,
    /// Its key in it.
    pub job: JobId,
}

/// A job that somebody is going to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitingJob {
    /// Which.
    pub key: JobKey,
    /// Whether its lane is at another job meanwhile.
    pub lane_is_busy: bool,
}

/// A query over the lanes that may be claimed now, with their guilds' queues as
/// `queue`; given is what stands before and behind.
macro_rules! over_ready_lanes {
    ($begin:literal, $end:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query!(
            $begin
                + " FROM lane JOIN guild_queue AS queue USING (guild_id)
                JOIN guild ON guild.id = lane.guild_id
                WHERE lane.pending > 0 AND lane.next_at <= now() AND guild.left_at IS NULL
                  AND (lane.lease_until IS NULL OR lane.lease_until < now())
                  AND (NOT (lane.paused OR guild.frozen_at IS NOT NULL) OR EXISTS (
                    SELECT FROM job
                    WHERE job.guild_id = lane.guild_id AND job.scene_id = lane.scene_id
                      AND job.state IN ('queued', 'claimed', 'generated', 'sending')
                      AND (job.state IN ('generated', 'sending')
                           OR job.work ->> 'kind' = 'show'))) "
                + $end
            $(, $argument)*
        )
    };
}

impl Store {
    /// Claims the scene whose turn it is and its oldest unfinished job; `None`
    /// where nothing is ready. A lane whose lease ran out is ready again.
    #[instrument(name = "db.lane.claim", skip(self), err(level = "debug"))]
    pub async fn claim_lane(&self) -> Result<Option<Claim>, StoreError> {
        let mut tx = self.pool.begin().await?;
        let lane = over_ready_lanes!(
            "WITH ready AS (
                SELECT lane.guild_id, lane.scene_id, queue.vtime AS guild_vtime,
                       lane.paused OR guild.frozen_at IS NOT NULL AS paused",
            "ORDER BY queue.vtime, lane.vtime, lane.scene_id
                LIMIT 1
                FOR UPDATE OF lane SKIP LOCKED
             ), leased AS (
                UPDATE lane
                SET fence = lane.fence + 1, lease_until = now() + $1, holder = $2
                FROM ready
                WHERE lane.guild_id = ready.guild_id AND lane.scene_id = ready.scene_id
                RETURNING lane.guild_id, lane.scene_id, lane.fence, ready.paused, lane.vtime,
                          ready.guild_vtime
             ), charged AS (
                UPDATE guild_queue
                SET vtime = guild_queue.vtime + 1,
                    lane_vtime = greatest(guild_queue.lane_vtime, leased.vtime)
                FROM leased WHERE guild_queue.guild_id = leased.guild_id
             ), ticked AS (
                UPDATE fair_clock SET vtime = leased.guild_vtime
                FROM leased WHERE fair_clock.vtime < leased.guild_vtime
             )
             SELECT guild_id, scene_id, fence, paused AS \"paused!\" FROM leased",
            interval(LEASE),
            self.holder.id,
        )
        .fetch_optional(&mut *tx)
        .await?;
        let Some(lane) = lane else { return Ok(None) };
        let (guild_id, scene_id) = (GuildId(lane.guild_id), SceneId(lane.scene_id));
        let job = sqlx::query_as!(
            JobRow,
            r#"UPDATE job
             SET attempts = attempts + (state IN ('queued', 'claimed'))::integer,
                 state = CASE WHEN state = 'queued' THEN 'claimed' ELSE state END,
                 claimed_at = now()
             WHERE guild_id = $1 AND id = (
                SELECT id FROM job
                WHERE guild_id = $1 AND scene_id = $2
                  AND state IN ('queued', 'claimed', 'generated', 'sending')
                  AND (NOT $3 OR state IN ('generated', 'sending') OR work ->> 'kind' = 'show')
                ORDER BY id LIMIT 1)
             RETURNING id, scene_id, person_id, work, state, attempts, turn_id, swipe_id, error,
                       extract(epoch FROM now() - attempt_at)::double precision AS sending_s,
                       extract(epoch FROM now() - created_at)::double precision AS "waited_s!""#,
            guild_id.0,
            scene_id.0,
            lane.paused,
        )
        .fetch_optional(&mut *tx)
        .await?;
        // What a paused lane had to show may be done since it was looked at.
        let Some(job) = job else { return Ok(None) };
        tx.commit().await?;
        Ok(Some(Claim { guild_id, scene_id, fence: lane.fence, job: job.try_into()? }))
    }

    /// Where a scene stands in the queue: how many lanes [`Self::claim_lane`] takes
    /// before its, and how many are in work.
    ///
    /// # Errors
    /// `NotFound` where the guild has no such scene.
    #[instrument(name = "db.lane.place", skip(self), err(level = "debug"))]
    pub async fn queue_place(
        &self,
        guild: GuildId,
        scene: SceneId,
    ) -> Result<QueuePlace, StoreError> {
        // Every claim moves its guild on by one, so a guild's next lanes stand one
        // behind the other in the time of the service.
        let place = over_ready_lanes!(
            "WITH ready AS (
                SELECT lane.scene_id, lane.vtime,
                       queue.vtime - 1 + row_number() OVER (
                           PARTITION BY lane.guild_id ORDER BY lane.vtime, lane.scene_id) AS turn",
            r#"
             )
             SELECT lane.paused OR (SELECT frozen_at IS NOT NULL FROM guild WHERE id = $1)
                        AS "paused!",
                    coalesce(lane.lease_until >= now(), false) AS "in_work!",
                    EXISTS (
                        SELECT FROM job
                        WHERE job.guild_id = $1 AND job.scene_id = $2
                          AND job.state IN ('queued', 'claimed', 'generated', 'sending')
                          AND job.work ->> 'kind' <> 'show') AS "has_work!",
                    own.turn IS NOT NULL AS "is_ready!",
                    (SELECT count(*) FROM ready AS other
                     WHERE (other.turn, other.vtime, other.scene_id)
                         < (own.turn, own.vtime, own.scene_id)) AS "num_before!",
                    (SELECT count(*) FROM ready) AS "num_ready!",
                    (SELECT count(*) FROM lane
                     WHERE pending > 0 AND lease_until >= now()) AS "num_in_work!",
                    (SELECT avg(extract(epoch FROM finished_at - claimed_at))::double precision
                     FROM (SELECT claimed_at, generated_at, finished_at FROM job
                           WHERE state = 'sent' AND work ->> 'kind' <> 'show'
                           ORDER BY finished_at DESC LIMIT $3) AS late
                     WHERE generated_at >= claimed_at) AS reply_s
             FROM lane LEFT JOIN ready AS own USING (scene_id)
             WHERE lane.guild_id = $1 AND lane.scene_id = $2"#,
            guild.0,
            scene.0,
            RECENT_REPLIES,
        )
        .fetch_optional(&self.pool)
        .await?
        .ok_or(StoreError::NotFound(Noun::Scene))?;
        let standing = if !place.has_work {
            Standing::Idle
        } else if place.in_work {
            Standing::InWork
        } else if place.is_ready && !place.paused {
            Standing::Behind(row::count(place.num_before))
        } else {
            Standing::Resting
        };
        Ok(QueuePlace {
            standing,
            num_ready: row::count(place.num_ready),
            num_in_work: row::count(place.num_in_work),
            mean_reply: place.reply_s.map(|s| Duration::from_secs_f64(s.max(0.0))),
        })
    }

    /// Those of the given jobs that nobody has begun and somebody is going to.
    #[instrument(name = "db.job.list_waiting", skip_all, err(level = "debug"))]
    pub async fn list_waiting_jobs(&self, keys: &[JobKey]) -> Result<Vec<WaitingJob>, StoreError> {
        let guilds: Vec<i64> = keys.iter().map(|key| key.guild.0).collect();
        let jobs: Vec<i64> = keys.iter().map(|key| key.job.0).collect();
        let rows = sqlx::query!(
            r#"SELECT job.guild_id, job.id,
                      coalesce(lane.lease_until >= now(), false) AS "lane_is_busy!"
             FROM unnest($1::bigint[], $2::bigint[]) AS wanted (guild_id, id)
             JOIN job USING (guild_id, id)
             JOIN lane ON lane.guild_id = job.guild_id AND lane.scene_id = job.scene_id
             WHERE job.state = 'queued' AND NOT job.resting"#,
            &guilds,
            &jobs,
        )
        .fetch_all(&self.pool)
        .await?;
        let waiting = rows.into_iter().map(|row| WaitingJob {
            key: JobKey { guild: GuildId(row.guild_id), job: JobId(row.id) },
            lane_is_busy: row.lane_is_busy,
        });
        Ok(waiting.collect())
    }
}

/// The start tag of a new job. A guild or a person that was quiet begins at the
/// present virtual time, so that nobody saves up credit.
pub(super) async fn start_tag(
    conn: &mut PgConnection,
    guild: GuildId,
    person: Option<PersonId>,
) -> Result<f64, StoreError> {
    sqlx::query!(
        "UPDATE guild_queue SET vtime = fair_clock.vtime FROM fair_clock
         WHERE guild_queue.guild_id = $1 AND guild_queue.vtime < fair_clock.vtime",
        guild.0,
    )
    .execute(&mut *conn)
    .await?;
    let tag = match person {
        Some(person) => sqlx::query_scalar!(
            r#"UPDATE person SET vtime = greatest(person.vtime, queue.lane_vtime) + 1
               FROM guild_queue AS queue
               WHERE person.guild_id = $1 AND person.id = $2 AND queue.guild_id = $1
               RETURNING person.vtime - 1 AS "tag!""#,
            guild.0,
            person.0,
        )
        .fetch_optional(conn)
        .await?
        .ok_or(StoreError::NotFound(Noun::Person))?,
        None => {
            sqlx::query_scalar!("SELECT lane_vtime FROM guild_queue WHERE guild_id = $1", guild.0)
                .fetch_optional(conn)
                .await?
                .ok_or(StoreError::NotFound(Noun::Guild))?
        }
    };
    Ok(tag)
}

/// Takes a charge back, for a job that is not put in. The person's row is locked since.
pub(super) async fn give_back_tag(
    conn: &mut PgConnection,
    guild: GuildId,
    person: Option<PersonId>,
    tag: f64,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE person SET vtime = $3 WHERE guild_id = $1 AND id = $2",
        guild.0,
        person.map(|person| person.0),
        tag,
    )
    .execute(conn)
    .await?;
    Ok(())
}
