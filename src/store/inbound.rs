//! Taking a person's message, exactly once.

use tracing::instrument;

use super::guard::GuildTx;
use super::live::raise_cursor;
use super::moves::{NewTurn, append};
use super::text::clean;
use super::{Full, QueueLimits, Queued, Store, StoreError, Work, admission, hourly, lane};
use crate::domain::{GuildId, PersonId, SceneId, Speaker, SwipeOrigin, TurnId};

/// A message of a person, about to become a turn.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// The platform's id of it; what makes a second delivery harmless.
    pub external_id: String,
    /// Who wrote it.
    pub person: PersonId,
    /// The name that heads the turn.
    pub name: String,
    /// What it says.
    pub text: String,
    /// What it asks for: mostly [`Work::REPLY`], nothing in a paused scene.
    pub work: Option<Work>,
    /// How many replies may wait for it to be answered, and how much may be said in an hour.
    pub limits: QueueLimits,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// It is a turn now.
    New {
        /// The turn.
        turn: TurnId,
        /// The job that will answer it.
        queued: Option<Queued>,
        /// Why there is none although one was asked for.
        refused: Option<Full>,
    },
    /// It had been taken before; nothing was changed.
    Duplicate {
        /// The turn that it became then.
        turn: TurnId,
    },
}

impl Store {
    /// Takes a message in one transaction: the inbound row, the turn at the
    /// scene's head, the author among the participants, the job in the lane, and the
    /// scene's cursor where the id is a number. Once this returns, no crash loses it;
    /// delivered again, it changes nothing. Where a limit of replies is reached all of
    /// it is stored but the job.
    ///
    /// # Errors
    /// `NotFound` where the guild has no such scene or person; `Full` where the person said
    /// as much within an hour as they may.
    #[instrument(name = "db.inbound.accept", skip(self, message), err(level = "debug"))]
    pub async fn accept_message(
        &self,
        guild: GuildId,
        scene: SceneId,
        message: &NewMessage,
    ) -> Result<Accepted, StoreError> {
        let mut tx = self.begin(guild).await?;
        let accepted = take(&mut tx, guild, scene, message).await?;
        tx.commit().await?;
        if matches!(accepted, Accepted::New { queued: Some(_), .. }) {
            self.bell.ring();
        }
        Ok(accepted)
    }

    /// The platform's ids of the messages that these turns came from.
    #[instrument(name = "db.inbound.list_turns", skip_all, fields(%guild), err(level = "debug"))]
    pub async fn list_turn_messages(
        &self,
        guild: GuildId,
        turns: &[TurnId],
    ) -> Result<Vec<String>, StoreError> {
        let mut conn = self.read(guild).await?;
        let turns: Vec<i64> = turns.iter().map(|turn| turn.0).collect();
        Ok(sqlx::query_scalar!(
            "SELECT external_id FROM inbound WHERE guild_id = $1 AND turn_id = ANY ($2)
             ORDER BY turn_id",
            guild.0,
            &turns,
        )
        .fetch_all(&mut *conn)
        .await?)
    }

    /// The platform's ids of the messages that the newest turns of a scene came from,
    /// newest first. Turns that were taken out are left out.
    #[instrument(name = "db.inbound.list_recent", skip(self), err(level = "debug"))]
    pub async fn list_recent_inbound(
        &self,
        guild: GuildId,
        scene: SceneId,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        let mut conn = self.read(guild).await?;
        Ok(sqlx::query_scalar!(
            "SELECT inbound.external_id
             FROM turn JOIN inbound
               ON inbound.guild_id = turn.guild_id AND inbound.turn_id = turn.id
             WHERE turn.guild_id = $1 AND turn.scene_id = $2 AND turn.removed_at IS NULL
             ORDER BY turn.id DESC LIMIT $3",
            guild.0,
            scene.0,
            i64::from(limit),
        )
        .fetch_all(&mut *conn)
        .await?)
    }
}

/// The same as part of a transaction; whoever commits it rings for the job.
pub(super) async fn take(
    conn: &mut GuildTx,
    guild: GuildId,
    scene: SceneId,
    message: &NewMessage,
) -> Result<Accepted, StoreError> {
    let external_id = clean(&message.external_id);
    lane::lock(conn, guild, scene).await?;
    let fresh = sqlx::query_scalar!(
        "INSERT INTO inbound (guild_id, external_id, scene_id, turn_id)
         VALUES ($1, $2, $3, nextval('turn_id_seq'))
         ON CONFLICT DO NOTHING RETURNING turn_id",
        guild.0,
        &external_id,
        scene.0,
    )
    .fetch_optional(&mut **conn)
    .await?;
    let Some(turn) = fresh.map(TurnId) else {
        let turn = sqlx::query_scalar!(
            "SELECT turn_id FROM inbound WHERE guild_id = $1 AND external_id = $2",
            guild.0,
            &external_id,
        )
        .fetch_one(&mut **conn)
        .await?;
        return Ok(Accepted::Duplicate { turn: TurnId(turn) });
    };
    hourly::check_turns(conn, guild, message.person, &message.limits.hourly)
        .await?
        .map_err(Full::Spent)?;
    let new = NewTurn {
        speaker: Speaker::Person { id: message.person, name: message.name.clone() },
        text: message.text.clone(),
        origin: SwipeOrigin::Written,
        receipt: None,
        alternates: Vec::new(),
    };
    append(conn, guild, scene, &new, Some(turn)).await?;
    if let Ok(number) = external_id.parse() {
        raise_cursor(conn, guild, scene, number).await?;
    }
    sqlx::query!(
        "INSERT INTO participant (guild_id, scene_id, person_id) VALUES ($1, $2, $3)
         ON CONFLICT DO NOTHING",
        guild.0,
        scene.0,
        message.person.0,
    )
    .execute(&mut **conn)
    .await?;
    let (person, limits) = (Some(message.person), &message.limits);
    let (queued, refused) = match &message.work {
        Some(work) => match admission::insert(conn, guild, scene, person, work, limits).await? {
            Ok(queued) => (Some(queued), None),
            Err(full) => (None, Some(full)),
        },
        None => (None, None),
    };
    Ok(Accepted::New { turn, queued, refused })
}
