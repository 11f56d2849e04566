//! Swipes: the alternative texts of a turn.

use chrono::{DateTime, Utc};
use serde_json::Value;
use tracing::instrument;

use super::guard::GuildTx;
use super::live::mark_stale;
use super::moves::select;
use super::seal::GuildSeal;
use super::{Noun, Store, StoreError, lane, row, turn};
use crate::domain::{GuildId, SceneId, Swipe, SwipeId, SwipeOrigin, Turn, TurnId};

/// A text about to become a swipe.
#[derive(Debug, Clone)]
pub struct NewSwipe {
    /// What is said.
    pub text: String,
    /// Where it came from.
    pub origin: SwipeOrigin,
    /// How a model made it.
    pub receipt: Option<Value>,
}

/// A swipe from the columns that hold it.
pub(super) struct SwipeRow {
    pub(super) id: i64,
    pub(super) ordinal: i32,
    pub(super) text: String,
    pub(super) origin: String,
    pub(super) receipt: Option<Value>,
    pub(super) created_at: DateTime<Utc>,
}

impl SwipeRow {
    pub(super) fn open(self, seal: &GuildSeal) -> Result<Swipe, StoreError> {
        Ok(Swipe {
            id: SwipeId(self.id),
            ordinal: row::count(self.ordinal.into()),
            text: seal.open(self.text)?,
            origin: row::swipe_origin(&self.origin)?,
            receipt: self.receipt.map(|receipt| seal.open_json(receipt)).transpose()?,
            created_at: self.created_at,
        })
    }
}

impl Store {
    /// All alternatives of a turn, in order.
    #[instrument(name = "db.swipe.list", skip(self), err(level = "debug"))]
    pub async fn list_swipes(
        &self,
        guild: GuildId,
        turn: TurnId,
    ) -> Result<Vec<Swipe>, StoreError> {
        let mut conn = self.read(guild).await?;
        let rows = sqlx::query_as!(
            SwipeRow,
            "SELECT id, ordinal, text, origin, receipt, created_at FROM swipe
             WHERE guild_id = $1 AND turn_id = $2 ORDER BY ordinal",
            guild.0,
            turn.0,
        )
        .fetch_all(&mut *conn)
        .await?;
        rows.into_iter().map(|row| row.open(&conn.seal)).collect()
    }

    /// Gives a turn another text and lets it stand. An edit is this, with the
    /// origin `Edited`: the earlier text stays among the swipes.
    ///
    /// # Errors
    /// `NotFound` where the scene has no such turn.
    #[instrument(name = "db.swipe.insert", skip(self, new), err(level = "debug"))]
    pub async fn insert_swipe(
        &self,
        guild: GuildId,
        scene: SceneId,
        turn: TurnId,
        new: &NewSwipe,
    ) -> Result<Turn, StoreError> {
        let mut tx = self.begin(guild).await?;
        lane::lock(&mut tx, guild, scene).await?;
        let swipe = insert(&mut tx, guild, scene, turn, new).await?;
        select(&mut tx, guild, scene, turn, swipe).await?;
        mark_stale(&mut tx, guild, scene).await?;
        let turn = turn::get(&mut tx, guild, turn).await?;
        tx.commit().await?;
        turn.ok_or(StoreError::NotFound(Noun::Turn))
    }

    /// Lets another of a turn's texts stand.
    ///
    /// # Errors
    /// `NotFound` where the scene has no such turn, or the turn no such swipe.
    #[instrument(name = "db.swipe.select", skip(self), err(level = "debug"))]
    pub async fn select_swipe(
        &self,
        guild: GuildId,
        scene: SceneId,
        turn: TurnId,
        swipe: SwipeId,
    ) -> Result<Turn, StoreError> {
        let mut tx = self.begin(guild).await?;
        lane::lock(&mut tx, guild, scene).await?;
        select(&mut tx, guild, scene, turn, swipe).await?;
        mark_stale(&mut tx, guild, scene).await?;
        let turn = turn::get(&mut tx, guild, turn).await?;
        tx.commit().await?;
        turn.ok_or(StoreError::NotFound(Noun::Turn))
    }
}

/// Adds a swipe after the others, without letting it stand. The lane is locked.
pub(super) async fn insert(
    conn: &mut GuildTx,
    guild: GuildId,
    scene: SceneId,
    turn: TurnId,
    new: &NewSwipe,
) -> Result<SwipeId, StoreError> {
    let id = sqlx::query_scalar!(
        "INSERT INTO swipe (guild_id, turn_id, ordinal, text, origin, receipt)
         SELECT turn.guild_id, turn.id,
                (SELECT max(ordinal) + 1 FROM swipe WHERE guild_id = $1 AND turn_id = $3),
                $4, $5, $6
         FROM turn WHERE turn.guild_id = $1 AND turn.scene_id = $2 AND turn.id = $3
         RETURNING id",
        guild.0,
        scene.0,
        turn.0,
        conn.seal.seal(&new.text),
        new.origin.as_str(),
        new.receipt.as_ref().map(|receipt| conn.seal.seal_json(receipt)),
    )
    .fetch_optional(&mut **conn)
    .await?;
    id.map(SwipeId).ok_or(StoreError::NotFound(Noun::Turn))
}
