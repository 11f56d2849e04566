//! The outbox: our messages on a platform, each from before it is sent until it is
//! taken away.

use std::time::Duration;

use sqlx::PgConnection;
use tracing::instrument;

use super::text::clean;
use super::{Noun, Store, StoreError, row};
use crate::domain::{GuildId, JobId, SceneId, SwipeId, TurnId};

/// How far a message of ours has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OutboxState {
    /// Nothing was sent yet.
    Waiting,
    /// It may have been sent.
    Sending,
    /// It was sent, and its id on the platform is known.
    Sent,
    /// It is gone, or will never be.
    Deleted,
}

impl OutboxState {
    const ALL: [Self; 4] = [Self::Waiting, Self::Sending, Self::Sent, Self::Deleted];

    fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Deleted => "deleted",
        }
    }
}

/// By which way a message is posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PostRoute {
    /// As ourselves.
    Bot,
    /// By the webhook of that id.
    Webhook(String),
}

impl PostRoute {
    fn webhook(&self) -> Option<String> {
        match self {
            Self::Bot => None,
            Self::Webhook(id) => Some(clean(id).into_owned()),
        }
    }
}

/// What a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PostOwner {
    /// A reply that has no text yet.
    Job(JobId),
    /// A text of a turn.
    Turn(TurnId, SwipeId),
}

/// A message about to be posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPost {
    /// What it is for.
    pub owner: PostOwner,
    /// Which part of the text, from 0.
    pub part: u32,
    /// The platform's id of the place it goes to.
    pub channel: String,
    /// By which way.
    pub route: PostRoute,
}

/// A message of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxMessage {
    /// Its key; nonce and marker are made of it.
    pub id: i64,
    /// The scene.
    pub scene_id: SceneId,
    /// The job that it was reserved for, before there was a text.
    pub job: Option<JobId>,
    /// The turn it belongs to; `None` while it is a job's alone.
    pub turn: Option<TurnId>,
    /// The text of that turn that it shows; `None` while something else is written
    /// over it.
    pub swipe: Option<SwipeId>,
    /// Which part of the text, from 0.
    pub part: u32,
    /// The platform's id of the place it is in.
    pub channel: String,
    /// By which way it is posted.
    pub route: PostRoute,
    /// How far it has come.
    pub state: OutboxState,
    /// How often sending was begun.
    pub attempts: u32,
    /// How long ago sending was last begun, by the database's clock.
    pub sending_for: Option<Duration>,
    /// The platform's id of the message, once posted.
    pub external_id: Option<String>,
    /// Whether it shows buttons.
    pub has_controls: bool,
}

struct OutboxRow {
    id: i64,
    scene_id: i64,
    job_id: Option<i64>,
    turn_id: Option<i64>,
    swipe_id: Option<i64>,
    part: i32,
    channel: String,
    webhook: Option<String>,
    state: String,
    attempts: i32,
    sending_s: Option<f64>,
    external_id: Option<String>,
    has_controls: bool,
}

impl TryFrom<OutboxRow> for OutboxMessage {
    type Error = StoreError;

    fn try_from(row: OutboxRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            scene_id: SceneId(row.scene_id),
            job: row.job_id.map(JobId),
            turn: row.turn_id.map(TurnId),
            swipe: row.swipe_id.map(SwipeId),
            part: row::count(row.part.into()),
            channel: row.channel,
            route: row.webhook.map_or(PostRoute::Bot, PostRoute::Webhook),
            state: row::one_of(Noun::Outbox, &OutboxState::ALL, OutboxState::as_str, &row.state)?,
            attempts: row::count(row.attempts.into()),
            sending_for: row.sending_s.map(|s| Duration::from_secs_f64(s.max(0.0))),
            external_id: row.external_id,
            has_controls: row.has_controls,
        })
    }
}

/// A query that yields messages of ours; given is what follows `FROM outbox`.
macro_rules! select_outbox {
    ($tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            OutboxRow,
            "SELECT id, scene_id, job_id, turn_id, swipe_id, part, channel, webhook, state,
                    attempts, external_id, has_controls,
                    extract(epoch FROM now() - attempt_at)::double precision AS sending_s
             FROM outbox " + $tail
            $(, $argument)*
        )
    };
}

fn all(rows: Vec<OutboxRow>) -> Result<Vec<OutboxMessage>, StoreError> {
    rows.into_iter().map(OutboxMessage::try_from).collect()
}

impl Store {
    /// A place for a message about to be posted. Asked for again, it is the one that
    /// is there, whatever has become of it, until that one is deleted.
    ///
    /// # Errors
    /// `NotFound` where the scene has no such job, turn or swipe.
    #[instrument(name = "db.outbox.reserve", skip(self, post), err(level = "debug"))]
    pub async fn reserve_outbox(
        &self,
        guild: GuildId,
        scene: SceneId,
        post: &NewPost,
    ) -> Result<OutboxMessage, StoreError> {
        let mut tx = self.begin(guild).await?;
        // Twice, for one that was there and is deleted in between.
        for _ in 0..2 {
            insert(&mut tx, guild, scene, post).await?;
            if let Some(row) = find(&mut tx, guild, scene, post).await? {
                tx.commit().await?;
                return Ok(row);
            }
        }
        Err(StoreError::NotFound(match post.owner {
            PostOwner::Job(_) => Noun::Job,
            PostOwner::Turn(..) => Noun::Turn,
        }))
    }

    /// Gives the messages that were reserved for a job to the text that it made. A
    /// part that the turn has a message for already stays the job's.
    ///
    /// # Errors
    /// `NotFound` where the guild has no such turn or swipe.
    #[instrument(name = "db.outbox.bind", skip(self), err(level = "debug"))]
    pub async fn bind_outbox(
        &self,
        guild: GuildId,
        job: JobId,
        turn: TurnId,
        swipe: SwipeId,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin(guild).await?;
        sqlx::query!(
            "UPDATE outbox SET turn_id = $3, swipe_id = $4
             WHERE guild_id = $1 AND job_id = $2 AND state <> 'deleted'
               AND turn_id IS NULL AND NOT EXISTS (
                SELECT FROM outbox AS other
                WHERE other.guild_id = $1 AND other.turn_id = $3 AND other.part = outbox.part
                  AND other.state <> 'deleted')",
            guild.0,
            job.0,
            turn.0,
            swipe.0,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// A message of ours by its key, deleted ones too.
    #[instrument(name = "db.outbox.get", skip(self), err(level = "debug"))]
    pub async fn get_outbox(
        &self,
        guild: GuildId,
        id: i64,
    ) -> Result<Option<OutboxMessage>, StoreError> {
        let mut conn = self.read(guild).await?;
        select_outbox!("WHERE guild_id = $1 AND id = $2", guild.0, id)
            .fetch_optional(&mut *conn)
            .await?
            .map(OutboxMessage::try_from)
            .transpose()
    }

    /// The message of ours that the platform knows by that id, deleted ones too.
    #[instrument(name = "db.outbox.get_by_message", skip(self), err(level = "debug"))]
    pub async fn get_outbox_by_message(
        &self,
        guild: GuildId,
        external_id: &str,
    ) -> Result<Option<OutboxMessage>, StoreError> {
        let mut conn = self.read(guild).await?;
        select_outbox!(
            "WHERE guild_id = $1 AND external_id = $2 ORDER BY state = 'deleted', id DESC LIMIT 1",
            guild.0,
            &clean(external_id),
        )
        .fetch_optional(&mut *conn)
        .await?
        .map(OutboxMessage::try_from)
        .transpose()
    }

    /// The messages that were reserved for a job and are not deleted, by part.
    #[instrument(name = "db.outbox.list_job", skip(self), err(level = "debug"))]
    pub async fn list_job_outbox(
        &self,
        guild: GuildId,
        job: JobId,
    ) -> Result<Vec<OutboxMessage>, StoreError> {
        let mut conn = self.read(guild).await?;
        all(select_outbox!(
            "WHERE guild_id = $1 AND job_id = $2 AND state <> 'deleted' ORDER BY part",
            guild.0,
            job.0,
        )
        .fetch_all(&mut *conn)
        .await?)
    }

    /// The messages that belong to a turn and are not deleted, whatever they show,
    /// by part.
    #[instrument(name = "db.outbox.list_turn", skip(self), err(level = "debug"))]
    pub async fn list_turn_outbox(
        &self,
        guild: GuildId,
        turn: TurnId,
    ) -> Result<Vec<OutboxMessage>, StoreError> {
        let mut conn = self.read(guild).await?;
        all(select_outbox!(
            "WHERE guild_id = $1 AND turn_id = $2 AND state <> 'deleted' ORDER BY part",
            guild.0,
            turn.0,
        )
        .fetch_all(&mut *conn)
        .await?)
    }

    /// All messages of a scene that are not deleted, the oldest first.
    #[instrument(name = "db.outbox.list_scene", skip(self), err(level = "debug"))]
    pub async fn list_scene_outbox(
        &self,
        guild: GuildId,
        scene: SceneId,
    ) -> Result<Vec<OutboxMessage>, StoreError> {
        let mut conn = self.read(guild).await?;
        all(select_outbox!(
            "WHERE guild_id = $1 AND scene_id = $2 AND state <> 'deleted' ORDER BY id",
            guild.0,
            scene.0,
        )
        .fetch_all(&mut *conn)
        .await?)
    }

    /// Notes that a message is about to be sent; committed before it is.
    ///
    /// # Errors
    /// `NotFound` where the guild has none such, or it was sent or deleted already.
    #[instrument(name = "db.outbox.begin", skip(self), err(level = "debug"))]
    pub async fn begin_outbox(&self, guild: GuildId, id: i64) -> Result<(), StoreError> {
        let mut tx = self.begin(guild).await?;
        let done = sqlx::query!(
            "UPDATE outbox SET state = 'sending', attempts = attempts + 1, attempt_at = now()
             WHERE guild_id = $1 AND id = $2 AND state IN ('waiting', 'sending')",
            guild.0,
            id,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        found(done.rows_affected())
    }

    /// Notes that a message was posted, under which id. A second time changes
    /// nothing.
    ///
    /// # Errors
    /// `NotFound` where the guild has none such, it is deleted, or it was sent under
    /// another id.
    #[instrument(name = "db.outbox.finish", skip(self), err(level = "debug"))]
    pub async fn finish_outbox(
        &self,
        guild: GuildId,
        id: i64,
        external_id: &str,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin(guild).await?;
        let done = sqlx::query!(
            "UPDATE outbox SET state = 'sent', external_id = $3
             WHERE guild_id = $1 AND id = $2
               AND (state IN ('waiting', 'sending') OR state = 'sent' AND external_id = $3)",
            guild.0,
            id,
            &clean(external_id),
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        found(done.rows_affected())
    }

    /// Notes which text of its turn a message shows and whether it has buttons;
    /// `None` while something else is written over it. One that is deleted stays as
    /// it was.
    ///
    /// # Errors
    /// `NotFound` where the guild has none such, or its turn no such swipe.
    #[instrument(name = "db.outbox.shown", skip(self), err(level = "debug"))]
    pub async fn set_outbox_shown(
        &self,
        guild: GuildId,
        id: i64,
        swipe: Option<SwipeId>,
        has_controls: bool,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin(guild).await?;
        let done = sqlx::query!(
            "UPDATE outbox
             SET swipe_id = CASE WHEN state = 'deleted' THEN swipe_id ELSE $3 END,
                 has_controls = CASE WHEN state = 'deleted' THEN has_controls ELSE $4 END
             WHERE guild_id = $1 AND id = $2
               AND ($3::bigint IS NULL OR turn_id IS NOT NULL)",
            guild.0,
            id,
            swipe.map(|swipe| swipe.0),
            has_controls,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        found(done.rows_affected())
    }

    /// Chooses another way for a message that was not sent.
    ///
    /// # Errors
    /// `NotFound` where the guild has none such, or it was sent or deleted already.
    #[instrument(name = "db.outbox.route", skip(self), err(level = "debug"))]
    pub async fn set_outbox_route(
        &self,
        guild: GuildId,
        id: i64,
        route: &PostRoute,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin(guild).await?;
        let done = sqlx::query!(
            "UPDATE outbox SET webhook = $3
             WHERE guild_id = $1 AND id = $2 AND state IN ('waiting', 'sending')",
            guild.0,
            id,
            route.webhook(),
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        found(done.rows_affected())
    }

    /// Notes that a message is gone or will never be; its id stays known. A second
    /// time changes nothing.
    ///
    /// # Errors
    /// `NotFound` where the guild has none such.
    #[instrument(name = "db.outbox.delete", skip(self), err(level = "debug"))]
    pub async fn delete_outbox(&self, guild: GuildId, id: i64) -> Result<(), StoreError> {
        let mut tx = self.begin(guild).await?;
        let done = sqlx::query!(
            "UPDATE outbox SET state = 'deleted' WHERE guild_id = $1 AND id = $2",
            guild.0,
            id,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        found(done.rows_affected())
    }
}

fn found(rows: u64) -> Result<(), StoreError> {
    if rows == 0 { Err(StoreError::NotFound(Noun::Outbox)) } else { Ok(()) }
}

/// Makes the row, unless it is there.
async fn insert(
    conn: &mut PgConnection,
    guild: GuildId,
    scene: SceneId,
    post: &NewPost,
) -> Result<(), StoreError> {
    let (job, turn, swipe) = match post.owner {
        PostOwner::Job(job) => (Some(job.0), None, None),
        PostOwner::Turn(turn, swipe) => (None, Some(turn.0), Some(swipe.0)),
    };
    // The table itself sees to the scene's turns and swipes, not to its jobs.
    sqlx::query!(
        "INSERT INTO outbox (guild_id, scene_id, job_id, turn_id, swipe_id, part, channel, webhook)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8
         WHERE $3::bigint IS NULL
            OR EXISTS (SELECT FROM job WHERE guild_id = $1 AND scene_id = $2 AND id = $3)
         ON CONFLICT DO NOTHING",
        guild.0,
        scene.0,
        job,
        turn,
        swipe,
        part(post),
        &clean(&post.channel),
        post.route.webhook(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn find(
    conn: &mut PgConnection,
    guild: GuildId,
    scene: SceneId,
    post: &NewPost,
) -> Result<Option<OutboxMessage>, StoreError> {
    let (job, turn) = match post.owner {
        PostOwner::Job(job) => (Some(job.0), None),
        PostOwner::Turn(turn, _) => (None, Some(turn.0)),
    };
    select_outbox!(
        "WHERE guild_id = $1 AND scene_id = $2 AND (job_id = $3 OR turn_id = $4) AND part = $5
           AND state <> 'deleted'",
        guild.0,
        scene.0,
        job,
        turn,
        part(post),
    )
    .fetch_optional(conn)
    .await?
    .map(OutboxMessage::try_from)
    .transpose()
}

fn part(post: &NewPost) -> i32 {
    i32::try_from(post.part).expect("a text has far fewer parts")
}
