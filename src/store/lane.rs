//! Lanes: who works on which scene, and what a claim allows.
//!
//! A claim leases a scene's lane and raises its fence; every later write names
//! the fence and is refused once another claim, or a cancellation, has raised it
//! again. All times are the database's. Whose turn it is says `queue`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::postgres::types::PgInterval;
use tracing::instrument;

use super::moves::{NewTurn, append, select};
use super::text::clean;
use super::{Job, JobState, NewSwipe, Noun, Store, StoreError, live, reply_prompt, swipe};
use crate::domain::{GuildId, JobId, SceneId, Speaker, SwipeId, SwipeOrigin, TurnId};

/// How long a claim holds without a heartbeat.
pub const LEASE: Duration = Duration::from_secs(15);
/// How often a claim is to be renewed.
pub const HEARTBEAT: Duration = Duration::from_secs(5);

/// What became of work that was put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queued {
    /// The job that will do it.
    pub job: JobId,
    /// Whether that job was waiting already.
    pub coalesced: bool,
}

/// A scene in our hands, and the job to do in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The guild.
    pub guild_id: GuildId,
    /// The scene.
    pub scene_id: SceneId,
    /// What every write of this claim names.
    pub fence: i64,
    /// The job. One found in `Generated` or `Sending` has its text stored
    /// already and goes on from there.
    pub job: Job,
}

/// Where a generated text belongs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A new turn at the scene's head.
    Turn(Speaker),
    /// Another swipe of a turn; it stands from now on.
    Swipe(TurnId),
}

/// A text that the model has finished.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    /// Where it belongs.
    pub target: Target,
    /// The whole text.
    pub text: String,
    /// `Generated` or `Continued`.
    pub origin: SwipeOrigin,
    /// How it was made.
    pub receipt: Value,
    /// The prompt that it was made from, as token ids.
    pub prompt_ids: Vec<u32>,
}

impl Store {
    /// Renews a claim; due every [`HEARTBEAT`].
    ///
    /// # Errors
    /// `Fenced` once it is lost: stop working on it.
    #[instrument(name = "db.lane.heartbeat", skip_all, fields(job = %claim.job.id), err(level = "debug"))]
    pub async fn renew_claim(&self, claim: &Claim) -> Result<(), StoreError> {
        let mut tx = self.begin(claim.guild_id).await?;
        hold(&mut tx, claim).await?;
        Ok(tx.commit().await?)
    }

    /// Stores the finished text of a job, as one transaction: turn or swipe, head
    /// and job together. After this the job is never generated again.
    ///
    /// # Errors
    /// `Fenced` where the claim is lost: nothing was written. `OutOfStep` where
    /// the job has its text already.
    #[instrument(name = "db.job.store_generated", skip_all, fields(job = %claim.job.id), err(level = "debug"))]
    pub async fn store_generated(
        &self,
        claim: &Claim,
        generated: Generated,
    ) -> Result<(TurnId, SwipeId), StoreError> {
        let Claim { guild_id: guild, scene_id: scene, .. } = *claim;
        let Generated { target, text, origin, receipt, prompt_ids } = generated;
        let receipt = Some(receipt);
        let mut tx = self.begin(claim.guild_id).await?;
        hold(&mut tx, claim).await?;
        let (turn, swipe) = match target {
            Target::Turn(speaker) => {
                let new = NewTurn { speaker, text, origin, receipt, alternates: Vec::new() };
                append(&mut tx, guild, scene, &new, None).await?
            }
            Target::Swipe(turn) => {
                let new = NewSwipe { text, origin, receipt };
                let swipe = swipe::insert(&mut tx, guild, scene, turn, &new).await?;
                select(&mut tx, guild, scene, turn, swipe).await?;
                (turn, swipe)
            }
        };
        reply_prompt::insert(&mut tx, guild, turn, swipe, &prompt_ids).await?;
        let done = sqlx::query!(
            "UPDATE job
             SET state = 'generated', turn_id = $3, swipe_id = $4, generated_at = now(), error = NULL
             WHERE guild_id = $1 AND id = $2 AND state = 'claimed'",
            guild.0,
            claim.job.id.0,
            turn.0,
            swipe.0,
        )
        .execute(&mut *tx)
        .await?;
        in_step(&mut tx, claim, done.rows_affected()).await?;
        tx.commit().await?;
        Ok((turn, swipe))
    }

    /// Notes that sending begins; committed before anything is sent, so that
    /// after a crash it is known that something may have been.
    ///
    /// # Errors
    /// `Fenced`; `OutOfStep` where there is no text yet.
    #[instrument(name = "db.job.begin_sending", skip_all, fields(job = %claim.job.id), err(level = "debug"))]
    pub async fn begin_sending(&self, claim: &Claim) -> Result<(), StoreError> {
        let mut tx = self.begin(claim.guild_id).await?;
        hold(&mut tx, claim).await?;
        let done = sqlx::query!(
            "UPDATE job SET state = 'sending', attempt_at = now()
             WHERE guild_id = $1 AND id = $2 AND state IN ('generated', 'sending')",
            claim.guild_id.0,
            claim.job.id.0,
        )
        .execute(&mut *tx)
        .await?;
        in_step(&mut tx, claim, done.rows_affected()).await?;
        Ok(tx.commit().await?)
    }

    /// The job is done: its text is where people see it, if it was to write one.
    /// Gives the lane back.
    ///
    /// # Errors
    /// `Fenced`; `OutOfStep` where there is no text yet.
    #[instrument(name = "db.job.finish", skip_all, fields(job = %claim.job.id), err(level = "debug"))]
    pub async fn finish_job(&self, claim: &Claim) -> Result<(), StoreError> {
        let mut tx = self.begin(claim.guild_id).await?;
        hold(&mut tx, claim).await?;
        let done = sqlx::query!(
            "UPDATE job SET state = 'sent', finished_at = now()
             WHERE guild_id = $1 AND id = $2
               AND (state IN ('generated', 'sending')
                    OR state = 'claimed' AND work ->> 'kind' = 'show')",
            claim.guild_id.0,
            claim.job.id.0,
        )
        .execute(&mut *tx)
        .await?;
        in_step(&mut tx, claim, done.rows_affected()).await?;
        let has_more = leave(&mut tx, claim, 1, Duration::ZERO).await?;
        tx.commit().await?;
        if has_more {
            self.bell.ring();
        }
        Ok(())
    }

    /// Gives the job up, and the lane back. `error` is kept with the job; it
    /// holds no text of people. Where something was to be shown, the scene is stale.
    ///
    /// # Errors
    /// `Fenced`.
    #[instrument(name = "db.job.fail", skip_all, fields(job = %claim.job.id), err(level = "debug"))]
    pub async fn fail_job(&self, claim: &Claim, error: &str) -> Result<(), StoreError> {
        let mut tx = self.begin(claim.guild_id).await?;
        hold(&mut tx, claim).await?;
        let unshown = sqlx::query_scalar!(
            r#"UPDATE job SET state = 'failed', error = $3, finished_at = now()
             WHERE guild_id = $1 AND id = $2
             RETURNING swipe_id IS NOT NULL OR work ->> 'kind' = 'show' AS "unshown!""#,
            claim.guild_id.0,
            claim.job.id.0,
            &clean(error),
        )
        .fetch_optional(&mut *tx)
        .await?;
        if unshown == Some(true) {
            live::mark_stale(&mut tx, claim.guild_id, claim.scene_id).await?;
        }
        let has_more = leave(&mut tx, claim, 1, Duration::ZERO).await?;
        tx.commit().await?;
        if has_more {
            self.bell.ring();
        }
        Ok(())
    }

    /// Puts the job back to be tried again after a while, from the step that it
    /// has reached.
    ///
    /// # Errors
    /// `Fenced`.
    #[instrument(name = "db.job.retry", skip_all, fields(job = %claim.job.id), err(level = "debug"))]
    pub async fn retry_job(
        &self,
        claim: &Claim,
        after: Duration,
        error: &str,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin(claim.guild_id).await?;
        hold(&mut tx, claim).await?;
        sqlx::query!(
            "UPDATE job
             SET state = CASE WHEN state = 'claimed' THEN 'queued' ELSE state END, error = $3
             WHERE guild_id = $1 AND id = $2",
            claim.guild_id.0,
            claim.job.id.0,
            &clean(error),
        )
        .execute(&mut *tx)
        .await?;
        leave(&mut tx, claim, 0, after).await?;
        Ok(tx.commit().await?)
    }

    /// Puts the job back as if it had never been claimed, because we are
    /// stopping.
    ///
    /// # Errors
    /// `Fenced`.
    #[instrument(name = "db.job.release", skip_all, fields(job = %claim.job.id), err(level = "debug"))]
    pub async fn release_claim(&self, claim: &Claim) -> Result<(), StoreError> {
        let mut tx = self.begin(claim.guild_id).await?;
        hold(&mut tx, claim).await?;
        sqlx::query!(
            "UPDATE job SET state = 'queued', attempts = attempts - 1
             WHERE guild_id = $1 AND id = $2 AND state = 'claimed'",
            claim.guild_id.0,
            claim.job.id.0,
        )
        .execute(&mut *tx)
        .await?;
        leave(&mut tx, claim, 0, Duration::ZERO).await?;
        tx.commit().await?;
        self.bell.ring();
        Ok(())
    }
}

/// Locks a scene's lane for the rest of the transaction: only one changes the
/// scene's turns and jobs at a time.
pub(super) async fn lock(
    conn: &mut PgConnection,
    guild: GuildId,
    scene: SceneId,
) -> Result<(), StoreError> {
    sqlx::query!(
        "SELECT scene_id FROM lane WHERE guild_id = $1 AND scene_id = $2 FOR UPDATE",
        guild.0,
        scene.0,
    )
    .fetch_optional(conn)
    .await?
    .ok_or(StoreError::NotFound(Noun::Scene))?;
    Ok(())
}

/// Renews the claim and locks its lane, or says that the claim is lost.
async fn hold(conn: &mut PgConnection, claim: &Claim) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "UPDATE lane SET lease_until = now() + $4
         WHERE guild_id = $1 AND scene_id = $2 AND fence = $3 AND lease_until IS NOT NULL",
        claim.guild_id.0,
        claim.scene_id.0,
        claim.fence,
        interval(LEASE),
    )
    .execute(conn)
    .await?;
    if done.rows_affected() == 0 { Err(StoreError::Fenced) } else { Ok(()) }
}

/// Gives the lane back with so many jobs done; the next one brings its own tag. Says
/// whether there is one.
async fn leave(
    conn: &mut PgConnection,
    claim: &Claim,
    done: i32,
    after: Duration,
) -> Result<bool, StoreError> {
    let has_more = sqlx::query_scalar!(
        r#"UPDATE lane
         SET lease_until = NULL, pending = pending - $3, next_at = now() + $4,
             vtime = coalesce((
                SELECT job.vtime FROM job
                WHERE job.guild_id = $1 AND job.scene_id = $2
                  AND job.state IN ('queued', 'claimed', 'generated', 'sending')
                ORDER BY job.id LIMIT 1), lane.vtime)
         WHERE guild_id = $1 AND scene_id = $2
         RETURNING pending > 0 AS "has_more!""#,
        claim.guild_id.0,
        claim.scene_id.0,
        done,
        interval(after),
    )
    .fetch_one(conn)
    .await?;
    Ok(has_more)
}

/// One row was written, or the job was in another state.
async fn in_step(conn: &mut PgConnection, claim: &Claim, rows: u64) -> Result<(), StoreError> {
    if rows == 1 {
        return Ok(());
    }
    let state = sqlx::query_scalar!(
        "SELECT state FROM job WHERE guild_id = $1 AND id = $2",
        claim.guild_id.0,
        claim.job.id.0,
    )
    .fetch_optional(conn)
    .await?;
    let state = state.unwrap_or_else(|| JobState::Cancelled.as_str().into());
    Err(StoreError::OutOfStep { state })
}

pub(super) fn interval(duration: Duration) -> PgInterval {
    let whole = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    PgInterval::try_from(Duration::from_micros(whole))
        .expect("whole microseconds, and far less than an interval can hold")
}
