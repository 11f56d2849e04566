//! Moving through the turn tree, and back.
//!
//! Every change of what stands in a scene is a row of `scene_move`, but for the
//! greeting that it begins with: undo takes the newest one back, redo does it
//! again, and a new move leaves what was undone unreachable to redo, yet in the
//! tree. Nothing is overwritten.
//!
//! What is moved by hand leaves the scene stale until it is shown so. Who appends a
//! turn shows it by itself: the job that wrote it is not over until then.

use serde_json::Value;
use sqlx::PgConnection;
use tracing::instrument;

use super::guard::GuildTx;
use super::live::mark_stale;
use super::text::clean;
use super::{NewSwipe, Noun, Store, StoreError, lane, swipe, turn};
use crate::domain::{GuildId, SceneId, Speaker, SwipeId, SwipeOrigin, Turn, TurnId};

/// A turn about to be said.
#[derive(Debug, Clone)]
pub struct NewTurn {
    /// Who speaks.
    pub speaker: Speaker,
    /// What stands.
    pub text: String,
    /// Where the texts came from.
    pub origin: SwipeOrigin,
    /// How a model made the text.
    pub receipt: Option<Value>,
    /// Other texts to swipe to.
    pub alternates: Vec<String>,
}

/// One change of what stands in a scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// A turn was said.
    Append {
        /// The head before.
        from: Option<TurnId>,
        /// The new turn.
        turn: TurnId,
    },
    /// The head was moved within the tree.
    Rewind {
        /// The head before.
        from: Option<TurnId>,
        /// The head after.
        to: Option<TurnId>,
    },
    /// Another text of a turn was let stand.
    Select {
        /// The turn.
        turn: TurnId,
        /// What stood before.
        from: SwipeId,
        /// What stands after.
        to: SwipeId,
    },
    /// A turn was left out of the line.
    Remove {
        /// The turn.
        turn: TurnId,
    },
}

impl Store {
    /// Says a turn at the scene's head.
    ///
    /// # Errors
    /// `NotFound` where the guild has no such scene or speaker.
    #[instrument(name = "db.turn.append", skip(self, new), err(level = "debug"))]
    pub async fn append_turn(
        &self,
        guild: GuildId,
        scene: SceneId,
        new: &NewTurn,
    ) -> Result<Turn, StoreError> {
        let mut tx = self.begin(guild).await?;
        lane::lock(&mut tx, guild, scene).await?;
        let (turn, _) = append(&mut tx, guild, scene, new, None).await?;
        let turn = turn::get(&mut tx, guild, turn).await?;
        tx.commit().await?;
        turn.ok_or(StoreError::NotFound(Noun::Turn))
    }

    /// Moves the head to any turn of the scene, or with `None` before the first.
    /// What is said next branches off there.
    ///
    /// # Errors
    /// `NotFound` where the scene has no such turn.
    #[instrument(name = "db.turn.rewind", skip(self), err(level = "debug"))]
    pub async fn rewind(
        &self,
        guild: GuildId,
        scene: SceneId,
        to: Option<TurnId>,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin(guild).await?;
        lane::lock(&mut tx, guild, scene).await?;
        let from = set_head(&mut tx, guild, scene, to).await?;
        if from != to {
            record(&mut tx, guild, scene, Move::Rewind { from, to }).await?;
            mark_stale(&mut tx, guild, scene).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Takes back the newest move that stands; `None` where there is none.
    #[instrument(name = "db.turn.undo", skip(self), err(level = "debug"))]
    pub async fn undo(&self, guild: GuildId, scene: SceneId) -> Result<Option<Move>, StoreError> {
        let mut tx = self.begin(guild).await?;
        lane::lock(&mut tx, guild, scene).await?;
        let row = sqlx::query_as!(
            MoveRow,
            "UPDATE scene_move SET undone = true
             WHERE guild_id = $1 AND scene_id = $2 AND id = (
                SELECT max(id) FROM scene_move
                WHERE guild_id = $1 AND scene_id = $2 AND NOT abandoned AND NOT undone)
             RETURNING kind, from_turn_id, to_turn_id, from_swipe_id, to_swipe_id",
            guild.0,
            scene.0,
        )
        .fetch_optional(&mut *tx)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let change = Move::try_from(row)?;
        match change {
            Move::Append { from, .. } | Move::Rewind { from, .. } => {
                set_head(&mut tx, guild, scene, from).await?;
            }
            Move::Select { turn, from, .. } => {
                set_standing(&mut tx, guild, scene, turn, from).await?;
            }
            Move::Remove { turn } => {
                set_removed(&mut tx, guild, scene, turn, false).await?;
            }
        }
        mark_stale(&mut tx, guild, scene).await?;
        tx.commit().await?;
        Ok(Some(change))
    }

    /// Does again what was undone last, unless something else was done since.
    #[instrument(name = "db.turn.redo", skip(self), err(level = "debug"))]
    pub async fn redo(&self, guild: GuildId, scene: SceneId) -> Result<Option<Move>, StoreError> {
        let mut tx = self.begin(guild).await?;
        lane::lock(&mut tx, guild, scene).await?;
        let row = sqlx::query_as!(
            MoveRow,
            "UPDATE scene_move SET undone = false
             WHERE guild_id = $1 AND scene_id = $2 AND id = (
                SELECT min(id) FROM scene_move
                WHERE guild_id = $1 AND scene_id = $2 AND NOT abandoned AND undone)
             RETURNING kind, from_turn_id, to_turn_id, from_swipe_id, to_swipe_id",
            guild.0,
            scene.0,
        )
        .fetch_optional(&mut *tx)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let change = Move::try_from(row)?;
        match change {
            Move::Append { turn, .. } => {
                set_head(&mut tx, guild, scene, Some(turn)).await?;
            }
            Move::Rewind { to, .. } => {
                set_head(&mut tx, guild, scene, to).await?;
            }
            Move::Select { turn, to, .. } => {
                set_standing(&mut tx, guild, scene, turn, to).await?;
            }
            Move::Remove { turn } => {
                set_removed(&mut tx, guild, scene, turn, true).await?;
            }
        }
        mark_stale(&mut tx, guild, scene).await?;
        tx.commit().await?;
        Ok(Some(change))
    }
}

/// Says a turn at the head, under a key taken from the sequence beforehand if
/// given, and records it. The lane is locked.
pub(super) async fn append(
    conn: &mut GuildTx,
    guild: GuildId,
    scene: SceneId,
    new: &NewTurn,
    id: Option<TurnId>,
) -> Result<(TurnId, SwipeId), StoreError> {
    let Placed { from, turn, swipe } = place(conn, guild, scene, new, id).await?;
    record(conn, guild, scene, Move::Append { from, turn }).await?;
    Ok((turn, swipe))
}

/// Where a turn was put.
pub(super) struct Placed {
    /// The head before.
    from: Option<TurnId>,
    turn: TurnId,
    swipe: SwipeId,
}

/// The same without a record: how a scene begins is nothing to take back.
pub(super) async fn place(
    conn: &mut GuildTx,
    guild: GuildId,
    scene: SceneId,
    new: &NewTurn,
    id: Option<TurnId>,
) -> Result<Placed, StoreError> {
    let (character, person) = match new.speaker {
        Speaker::Character { id, .. } => (Some(id.0), None),
        Speaker::Person { id, .. } => (None, Some(id.0)),
    };
    let row = sqlx::query!(
        "WITH new_turn AS (
            INSERT INTO turn (guild_id, scene_id, id, parent_id, character_id, person_id,
                              speaker_name, swipe_id)
            SELECT guild_id, id, coalesce($3, nextval('turn_id_seq')), head_turn_id, $4, $5, $6,
                   nextval('swipe_id_seq')
            FROM scene WHERE guild_id = $1 AND id = $2
            RETURNING id, parent_id, swipe_id
         ), new_swipe AS (
            INSERT INTO swipe (guild_id, turn_id, id, ordinal, text, origin, receipt)
            SELECT $1, id, swipe_id, 0, $7, $8, $9 FROM new_turn
         ), moved AS (
            UPDATE scene SET head_turn_id = new_turn.id, updated_at = now()
            FROM new_turn WHERE scene.guild_id = $1 AND scene.id = $2
         )
         SELECT id, parent_id, swipe_id FROM new_turn",
        guild.0,
        scene.0,
        id.map(|id| id.0),
        character,
        person,
        &clean(new.speaker.name()),
        conn.seal.seal(&new.text),
        new.origin.as_str(),
        new.receipt.as_ref().map(|receipt| conn.seal.seal_json(receipt)),
    )
    .fetch_optional(&mut **conn)
    .await?
    .ok_or(StoreError::NotFound(Noun::Scene))?;
    let turn = TurnId(row.id);
    for text in &new.alternates {
        let other = NewSwipe { text: text.clone(), origin: new.origin, receipt: None };
        swipe::insert(conn, guild, scene, turn, &other).await?;
    }
    Ok(Placed { from: row.parent_id.map(TurnId), turn, swipe: SwipeId(row.swipe_id) })
}

/// Lets a swipe stand, and records it. The lane is locked.
pub(super) async fn select(
    conn: &mut PgConnection,
    guild: GuildId,
    scene: SceneId,
    turn: TurnId,
    swipe: SwipeId,
) -> Result<(), StoreError> {
    let from = set_standing(conn, guild, scene, turn, swipe).await?;
    if from != swipe {
        record(conn, guild, scene, Move::Select { turn, from, to: swipe }).await?;
    }
    Ok(())
}

/// Writes a move down, and puts what was undone out of redo's reach.
pub(super) async fn record(
    conn: &mut PgConnection,
    guild: GuildId,
    scene: SceneId,
    change: Move,
) -> Result<(), StoreError> {
    let row = MoveRow::from(change);
    sqlx::query!(
        "WITH abandoned AS (
            UPDATE scene_move SET abandoned = true
            WHERE guild_id = $1 AND scene_id = $2 AND undone AND NOT abandoned
         )
         INSERT INTO scene_move (guild_id, scene_id, kind, from_turn_id, to_turn_id,
                                 from_swipe_id, to_swipe_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        guild.0,
        scene.0,
        row.kind,
        row.from_turn_id,
        row.to_turn_id,
        row.from_swipe_id,
        row.to_swipe_id,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Moves the head; gives the one before.
async fn set_head(
    conn: &mut PgConnection,
    guild: GuildId,
    scene: SceneId,
    head: Option<TurnId>,
) -> Result<Option<TurnId>, StoreError> {
    let from = sqlx::query_scalar!(
        "UPDATE scene SET head_turn_id = $3, updated_at = now()
         FROM (SELECT head_turn_id FROM scene WHERE guild_id = $1 AND id = $2) AS before
         WHERE guild_id = $1 AND id = $2
         RETURNING before.head_turn_id",
        guild.0,
        scene.0,
        head.map(|turn| turn.0),
    )
    .fetch_optional(conn)
    .await?
    .ok_or(StoreError::NotFound(Noun::Scene))?;
    Ok(from.map(TurnId))
}

/// Lets a swipe stand; gives the one that stood before.
async fn set_standing(
    conn: &mut PgConnection,
    guild: GuildId,
    scene: SceneId,
    turn: TurnId,
    swipe: SwipeId,
) -> Result<SwipeId, StoreError> {
    let from = sqlx::query_scalar!(
        "UPDATE turn SET swipe_id = $4
         FROM (SELECT swipe_id FROM turn
               WHERE guild_id = $1 AND scene_id = $2 AND id = $3) AS before
         WHERE guild_id = $1 AND scene_id = $2 AND id = $3
         RETURNING before.swipe_id",
        guild.0,
        scene.0,
        turn.0,
        swipe.0,
    )
    .fetch_optional(conn)
    .await?;
    from.map(SwipeId).ok_or(StoreError::NotFound(Noun::Turn))
}

/// Leaves a turn out or takes it in again; says whether that changed anything.
pub(super) async fn set_removed(
    conn: &mut PgConnection,
    guild: GuildId,
    scene: SceneId,
    turn: TurnId,
    removed: bool,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE turn SET removed_at = CASE WHEN $4 THEN now() END
         WHERE guild_id = $1 AND scene_id = $2 AND id = $3 AND (removed_at IS NULL) = $4",
        guild.0,
        scene.0,
        turn.0,
        removed,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

struct MoveRow {
    kind: String,
    from_turn_id: Option<i64>,
    to_turn_id: Option<i64>,
    from_swipe_id: Option<i64>,
    to_swipe_id: Option<i64>,
}

impl From<Move> for MoveRow {
    fn from(change: Move) -> Self {
        let id = |turn: Option<TurnId>| turn.map(|turn| turn.0);
        let (kind, from_turn_id, to_turn_id, swipes) = match change {
            Move::Append { from, turn } => ("append", id(from), Some(turn.0), None),
            Move::Rewind { from, to } => ("rewind", id(from), id(to), None),
            Move::Select { turn, from, to } => ("select", None, Some(turn.0), Some((from, to))),
            Move::Remove { turn } => ("remove", None, Some(turn.0), None),
        };
        Self {
            kind: kind.into(),
            from_turn_id,
            to_turn_id,
            from_swipe_id: swipes.map(|(from, _)| from.0),
            to_swipe_id: swipes.map(|(_, to)| to.0),
        }
    }
}

impl TryFrom<MoveRow> for Move {
    type Error = StoreError;

    fn try_from(row: MoveRow) -> Result<Self, StoreError> {
        let (from, to) = (row.from_turn_id.map(TurnId), row.to_turn_id.map(TurnId));
        let swipes = row.from_swipe_id.map(SwipeId).zip(row.to_swipe_id.map(SwipeId));
        match (row.kind.as_str(), to, swipes) {
            ("append", Some(turn), None) => Ok(Self::Append { from, turn }),
            ("rewind", to, None) => Ok(Self::Rewind { from, to }),
            ("select", Some(turn), Some((from, to))) => Ok(Self::Select { turn, from, to }),
            ("remove", Some(turn), None) => Ok(Self::Remove { turn }),
            (kind, ..) => Err(StoreError::Unreadable {
                noun: Noun::Scene,
                reason: format!("a move of kind “{kind}” lacks what it moved"),
            }),
        }
    }
}
