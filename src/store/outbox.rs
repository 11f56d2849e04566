//! The outbox: what is to be posted on a platform, part by part.

use std::time::Duration;

use tracing::instrument;

use super::text::clean;
use super::{Noun, Store, StoreError, row};
use crate::domain::{GuildId, SceneId, SwipeId, TurnId};

/// How far a message to post has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutboxState {
    /// Nothing was sent yet.
    Waiting,
    /// It may have been sent.
    Sending,
    /// It was sent, and its id on the platform is known.
    Sent,
}

impl OutboxState {
    const ALL: [Self; 3] = [Self::Waiting, Self::Sending, Self::Sent];

    fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sending => "sending",
            Self::Sent => "sent",
        }
    }
}

/// One message to post: a part of a swipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxPart {
    /// Its key; nonce and marker are made of it.
    pub id: i64,
    /// Which part of the text, from 0.
    pub part: u32,
    /// How far it has come.
    pub state: OutboxState,
    /// How often sending was begun.
    pub attempts: u32,
    /// How long ago sending was last begun, by the database's clock.
    pub sending_for: Option<Duration>,
    /// The platform's id of the message, once posted.
    pub external_id: Option<String>,
}

impl Store {
    /// The messages that a swipe is posted as, made so that there are `parts` of
    /// them; asked for again, those that are there already.
    ///
    /// # Errors
    /// `NotFound` where the scene has no such turn or swipe.
    #[instrument(name = "db.outbox.insert", skip(self), err(level = "debug"))]
    pub async fn upsert_outbox(
        &self,
        guild: GuildId,
        scene: SceneId,
        turn: TurnId,
        swipe: SwipeId,
        parts: u32,
    ) -> Result<Vec<OutboxPart>, StoreError> {
        sqlx::query!(
            "INSERT INTO outbox (guild_id, scene_id, turn_id, swipe_id, part)
             SELECT $1, $2, $3, $4, part FROM generate_series(0, $5 - 1) AS part
             ON CONFLICT (guild_id, turn_id, swipe_id, part) DO NOTHING",
            guild.0,
            scene.0,
            turn.0,
            swipe.0,
            i32::try_from(parts).expect("a text has far fewer parts"),
        )
        .execute(&self.pool)
        .await?;
        self.list_outbox(guild, turn, swipe).await
    }

    /// The messages that a swipe is posted as, in order.
    #[instrument(name = "db.outbox.list", skip(self), err(level = "debug"))]
    pub async fn list_outbox(
        &self,
        guild: GuildId,
        turn: TurnId,
        swipe: SwipeId,
    ) -> Result<Vec<OutboxPart>, StoreError> {
        let rows = sqlx::query!(
            "SELECT id, part, state, attempts, external_id,
                    extract(epoch FROM now() - attempt_at)::double precision AS sending_s
             FROM outbox WHERE guild_id = $1 AND turn_id = $2 AND swipe_id = $3 ORDER BY part",
            guild.0,
            turn.0,
            swipe.0,
        )
        .fetch_all(&self.pool)
        .await?;
        let state =
            |word: &str| row::one_of(Noun::Outbox, &OutboxState::ALL, OutboxState::as_str, word);
        rows.into_iter()
            .map(|row| {
                Ok(OutboxPart {
                    id: row.id,
                    part: row::count(row.part.into()),
                    state: state(&row.state)?,
                    attempts: row::count(row.attempts.into()),
                    sending_for: row.sending_s.map(|s| Duration::from_secs_f64(s.max(0.0))),
                    external_id: row.external_id,
                })
            })
            .collect()
    }

    /// Notes that a message is about to be sent; committed before it is.
    ///
    /// # Errors
    /// `NotFound` where the guild has none such, or it was sent already.
    #[instrument(name = "db.outbox.begin", skip(self), err(level = "debug"))]
    pub async fn begin_outbox(&self, guild: GuildId, id: i64) -> Result<(), StoreError> {
        let done = sqlx::query!(
            "UPDATE outbox SET state = 'sending', attempts = attempts + 1, attempt_at = now()
             WHERE guild_id = $1 AND id = $2 AND state <> 'sent'",
            guild.0,
            id,
        )
        .execute(&self.pool)
        .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::NotFound(Noun::Outbox));
        }
        Ok(())
    }

    /// Notes that a message was posted, under which id.
    ///
    /// # Errors
    /// `NotFound` where the guild has none such.
    #[instrument(name = "db.outbox.finish", skip(self), err(level = "debug"))]
    pub async fn finish_outbox(
        &self,
        guild: GuildId,
        id: i64,
        external_id: &str,
    ) -> Result<(), StoreError> {
        let done = sqlx::query!(
            "UPDATE outbox SET state = 'sent', external_id = $3 WHERE guild_id = $1 AND id = $2",
            guild.0,
            id,
            &clean(external_id),
        )
        .execute(&self.pool)
        .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::NotFound(Noun::Outbox));
        }
        Ok(())
    }
}
