//! Jobs: what a lane has to do, and calling it off.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use tracing::instrument;

use super::bell::{self, Stop};
use super::{Noun, Store, StoreError, lane, row};
use crate::domain::{CharacterId, GuildId, JobId, Length, PersonId, SceneId, SwipeId, TurnId};

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Work {
    /// Say the next turn.
    Reply {
        /// Who is to speak; `None` leaves it to the scene's natural order.
        #[serde(default)]
        character: Option<CharacterId>,
        /// How long, for this once.
        #[serde(default)]
        length: Option<Length>,
    },
    /// Say a turn in another way.
    Swipe {
        /// The turn.
        turn: TurnId,
        /// How long, for this once.
        #[serde(default)]
        length: Option<Length>,
    },
    /// Go on where a turn stopped.
    Continue {
        /// The turn.
        turn: TurnId,
    },
    /// Write nothing: bring what is shown in line with what stands.
    Show,
}

impl Work {
    /// The reply that a message asks for by itself.
    pub const REPLY: Self = Self::Reply { character: None, length: None };
}

/// How far a job has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// It waits in its lane.
    Queued,
    /// A worker is at it, or was when it stopped.
    Claimed,
    /// Its text is stored; it is never generated again.
    Generated,
    /// Sending has begun.
    Sending,
    /// It is done.
    Sent,
    /// It was given up.
    Failed,
    /// Somebody called it off.
    Cancelled,
}

impl JobState {
    const ALL: [Self; 7] = [
        Self::Queued,
        Self::Claimed,
        Self::Generated,
        Self::Sending,
        Self::Sent,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Whether nothing more becomes of it.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Sent | Self::Failed | Self::Cancelled)
    }

    /// The word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Claimed => "claimed",
            Self::Generated => "generated",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A piece of work in a scene's lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its key.
    pub id: JobId,
    /// The scene.
    pub scene_id: SceneId,
    /// Who asked for it.
    pub person: Option<PersonId>,
    /// What is to be done.
    pub work: Work,
    /// How far it has come.
    pub state: JobState,
    /// How often it was claimed before any text was stored, this time included.
    pub attempts: u32,
    /// The turn and the swipe that hold its text, once generated.
    pub text: Option<(TurnId, SwipeId)>,
    /// How long ago it was put in, by the database's clock.
    pub waited: Duration,
    /// How long ago sending last began, by the database's clock.
    pub sending_for: Option<Duration>,
    /// Why it failed, or was put back the last time.
    pub error: Option<String>,
}

pub(super) struct JobRow {
    pub(super) id: i64,
    pub(super) scene_id: i64,
    pub(super) person_id: Option<i64>,
    pub(super) work: Value,
    pub(super) state: String,
    pub(super) attempts: i32,
    pub(super) turn_id: Option<i64>,
    pub(super) swipe_id: Option<i64>,
    pub(super) waited_s: f64,
    pub(super) sending_s: Option<f64>,
    pub(super) error: Option<String>,
}

impl TryFrom<JobRow> for Job {
    type Error = StoreError;

    fn try_from(row: JobRow) -> Result<Self, StoreError> {
        let work = read_work(row.work)?;
        Ok(Self {
            id: JobId(row.id),
            scene_id: SceneId(row.scene_id),
            person: row.person_id.map(PersonId),
            work,
            state: row::one_of(Noun::Job, &JobState::ALL, JobState::as_str, &row.state)?,
            attempts: row::count(row.attempts.into()),
            text: row.turn_id.map(TurnId).zip(row.swipe_id.map(SwipeId)),
            waited: Duration::from_secs_f64(row.waited_s.max(0.0)),
            sending_for: row.sending_s.map(|s| Duration::from_secs_f64(s.max(0.0))),
            error: row.error,
        })
    }
}

impl Store {
    /// A job by its key.
    #[instrument(name = "db.job.get", skip(self), err(level = "debug"))]
    pub async fn get_job(&self, guild: GuildId, job: JobId) -> Result<Option<Job>, StoreError> {
        let mut conn = self.read(guild).await?;
        sqlx::query_as!(
            JobRow,
            r#"SELECT id, scene_id, person_id, work, state, attempts, turn_id, swipe_id, error,
                    extract(epoch FROM now() - attempt_at)::double precision AS sending_s,
                    extract(epoch FROM now() - created_at)::double precision AS "waited_s!"
             FROM job WHERE guild_id = $1 AND id = $2"#,
            guild.0,
            job.0,
        )
        .fetch_optional(&mut *conn)
        .await?
        .map(Job::try_from)
        .transpose()
    }

    /// A scene's unfinished jobs, in the order in which they will be done.
    #[instrument(name = "db.job.list_open", skip(self), err(level = "debug"))]
    pub async fn list_open_jobs(
        &self,
        guild: GuildId,
        scene: SceneId,
    ) -> Result<Vec<Job>, StoreError> {
        let mut conn = self.read(guild).await?;
        sqlx::query_as!(
            JobRow,
            r#"SELECT id, scene_id, person_id, work, state, attempts, turn_id, swipe_id, error,
                    extract(epoch FROM now() - attempt_at)::double precision AS sending_s,
                    extract(epoch FROM now() - created_at)::double precision AS "waited_s!"
             FROM job
             WHERE guild_id = $1 AND scene_id = $2
               AND state IN ('queued', 'claimed', 'generated', 'sending')
             ORDER BY id"#,
            guild.0,
            scene.0,
        )
        .fetch_all(&mut *conn)
        .await?
        .into_iter()
        .map(Job::try_from)
        .collect()
    }

    /// Calls off a scene's jobs that have no text yet, begun ones too: what their
    /// worker writes later is refused. Text that is stored is still sent, and what
    /// only shows still shows. Gives how many were called off.
    ///
    /// Whoever rewinds a scene calls this first, so that no reply to what was
    /// taken back lands in the line.
    ///
    /// # Errors
    /// `NotFound` where the guild has no such scene.
    #[instrument(name = "db.job.cancel", skip(self), err(level = "debug"))]
    pub async fn cancel_jobs(&self, guild: GuildId, scene: SceneId) -> Result<u32, StoreError> {
        self.call_off(guild, scene, &[JobState::Queued, JobState::Claimed]).await
    }

    /// The same for those that nobody has begun.
    ///
    /// # Errors
    /// `NotFound` where the guild has no such scene.
    #[instrument(name = "db.job.cancel_waiting", skip(self), err(level = "debug"))]
    pub async fn cancel_waiting_jobs(
        &self,
        guild: GuildId,
        scene: SceneId,
    ) -> Result<u32, StoreError> {
        self.call_off(guild, scene, &[JobState::Queued]).await
    }

    async fn call_off(
        &self,
        guild: GuildId,
        scene: SceneId,
        states: &[JobState],
    ) -> Result<u32, StoreError> {
        let mut tx = self.begin(guild).await?;
        lane::lock(&mut tx, guild, scene).await?;
        let mut jobs = unwritten(&mut tx, guild, scene).await?;
        jobs.retain(|job| states.contains(&job.state));
        cancel(&mut tx, guild, scene, &jobs).await?;
        tx.commit().await?;
        Ok(row::count(jobs.len().try_into().expect("a lane holds far fewer jobs")))
    }
}

/// A job that is to write something and has no text yet.
pub(super) struct Unwritten {
    pub(super) id: i64,
    pub(super) state: JobState,
    pub(super) work: Work,
}

/// Such jobs of a lane, which is locked.
pub(super) async fn unwritten(
    conn: &mut PgConnection,
    guild: GuildId,
    scene: SceneId,
) -> Result<Vec<Unwritten>, StoreError> {
    let rows = sqlx::query!(
        "SELECT id, state, work FROM job
         WHERE guild_id = $1 AND scene_id = $2 AND state IN ('queued', 'claimed')
         ORDER BY id",
        guild.0,
        scene.0,
    )
    .fetch_all(conn)
    .await?;
    let mut jobs = Vec::new();
    for row in rows {
        let state = row::one_of(Noun::Job, &JobState::ALL, JobState::as_str, &row.state)?;
        let work = read_work(row.work)?;
        if work != Work::Show {
            jobs.push(Unwritten { id: row.id, state, work });
        }
    }
    Ok(jobs)
}

/// Calls jobs off. The lane is locked.
pub(super) async fn cancel(
    conn: &mut PgConnection,
    guild: GuildId,
    scene: SceneId,
    jobs: &[Unwritten],
) -> Result<(), StoreError> {
    let ids: Vec<i64> = jobs.iter().map(|job| job.id).collect();
    sqlx::query!(
        "UPDATE job SET state = 'cancelled', finished_at = now()
         WHERE guild_id = $1 AND id = ANY ($2)",
        guild.0,
        &ids,
    )
    .execute(&mut *conn)
    .await?;
    let num_jobs = i32::try_from(ids.len()).expect("a lane holds far fewer jobs");
    interrupt(conn, guild, scene, num_jobs, any_begun(jobs)).await
}

/// Puts begun jobs back, to be begun anew. The lane is locked.
pub(super) async fn requeue(
    conn: &mut PgConnection,
    guild: GuildId,
    scene: SceneId,
    jobs: &[Unwritten],
) -> Result<(), StoreError> {
    let ids: Vec<i64> = jobs.iter().map(|job| job.id).collect();
    sqlx::query!(
        "UPDATE job SET state = 'queued', attempts = greatest(attempts - 1, 0)
         WHERE guild_id = $1 AND id = ANY ($2) AND state = 'claimed'",
        guild.0,
        &ids,
    )
    .execute(&mut *conn)
    .await?;
    interrupt(conn, guild, scene, 0, any_begun(jobs)).await
}

pub(super) fn any_begun(jobs: &[Unwritten]) -> bool {
    jobs.iter().any(|job| job.state == JobState::Claimed)
}

/// Takes jobs off a lane's count and, where one of them was begun, the lane from
/// whoever is at it, in whichever process.
async fn interrupt(
    conn: &mut PgConnection,
    guild: GuildId,
    scene: SceneId,
    num_done: i32,
    begun: bool,
) -> Result<(), StoreError> {
    let fence = sqlx::query_scalar!(
        "UPDATE lane
         SET pending = pending - $3,
             fence = fence + $4::boolean::integer,
             lease_until = CASE WHEN $4 THEN NULL ELSE lease_until END
         WHERE guild_id = $1 AND scene_id = $2
         RETURNING fence",
        guild.0,
        scene.0,
        num_done,
        begun,
    )
    .fetch_one(&mut *conn)
    .await?;
    if begun {
        bell::call(conn, Stop { scene, fence: fence - 1 }).await?;
    }
    Ok(())
}

fn read_work(work: Value) -> Result<Work, StoreError> {
    serde_json::from_value(work)
        .map_err(|error| StoreError::Unreadable { noun: Noun::Job, reason: error.to_string() })
}
