//! Reading the turn tree.

use chrono::{DateTime, Utc};
use serde_json::Value;
use tracing::instrument;

use super::guard::GuildTx;
use super::seal::GuildSeal;
use super::swipe::SwipeRow;
use super::text::clean;
use super::{Noun, Store, StoreError, row};
use crate::domain::{CharacterId, GuildId, PersonId, SceneId, Speaker, Turn, TurnId};

/// Which stretch of a scene's line to read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Line {
    /// Its newest turn; `None` for the scene's head.
    pub end: Option<TurnId>,
    /// Its oldest turn, where that one is on the line; `None` for the first.
    pub start: Option<TurnId>,
    /// At most so many turns, the newest of them.
    pub limit: Option<u32>,
}

/// Whose message on a platform a turn belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageOrigin {
    /// A person's: it became the turn.
    Person,
    /// Ours: it shows the turn.
    Ours,
}

struct TurnRow {
    id: i64,
    scene_id: i64,
    parent_id: Option<i64>,
    character_id: Option<i64>,
    person_id: Option<i64>,
    speaker_name: String,
    swipe_id: i64,
    ordinal: i32,
    text: String,
    origin: String,
    receipt: Option<Value>,
    created_at: DateTime<Utc>,
    num_swipes: i64,
}

impl TurnRow {
    fn open(self, seal: &GuildSeal) -> Result<Turn, StoreError> {
        let row = self;
        let name = row.speaker_name;
        let speaker = match (row.character_id, row.person_id) {
            (Some(id), None) => Speaker::Character { id: CharacterId(id), name },
            (None, Some(id)) => Speaker::Person { id: PersonId(id), name },
            _ => {
                let reason = "it has not exactly one speaker".into();
                return Err(StoreError::Unreadable { noun: Noun::Turn, reason });
            }
        };
        Ok(Turn {
            id: TurnId(row.id),
            scene_id: SceneId(row.scene_id),
            parent: row.parent_id.map(TurnId),
            speaker,
            swipe: SwipeRow {
                id: row.swipe_id,
                ordinal: row.ordinal,
                text: row.text,
                origin: row.origin,
                receipt: row.receipt,
                created_at: row.created_at,
            }
            .open(seal)?,
            num_swipes: row::count(row.num_swipes),
        })
    }
}

/// A query that yields turns with their standing swipes. `$1` is the guild;
/// given are what stands before `SELECT` and what follows the joins.
macro_rules! select_turns {
    ($with:literal, $tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            TurnRow,
            $with + r#"
            SELECT turn.id, turn.scene_id, turn.parent_id, turn.character_id, turn.person_id,
                   turn.speaker_name, swipe.id AS swipe_id, swipe.ordinal, swipe.text,
                   swipe.origin, swipe.receipt, swipe.created_at,
                   (SELECT count(*) FROM swipe AS every
                    WHERE every.guild_id = turn.guild_id AND every.turn_id = turn.id)
                       AS "num_swipes!"
            FROM turn
            JOIN swipe ON swipe.guild_id = turn.guild_id
                      AND swipe.turn_id = turn.id AND swipe.id = turn.swipe_id
            "# + $tail
            $(, $argument)*
        )
    };
}

impl Store {
    /// The line being played: the path from the scene's head back to its first
    /// turn, oldest first, without removed turns. An unknown scene has none.
    #[instrument(name = "db.turn.list_line", skip(self), err(level = "debug"))]
    pub async fn list_line(
        &self,
        guild: GuildId,
        scene: SceneId,
        line: Line,
    ) -> Result<Vec<Turn>, StoreError> {
        let mut conn = self.read(guild).await?;
        select_turns!(
            "WITH RECURSIVE line AS (
                SELECT turn.id, turn.parent_id, 1::bigint AS depth
                FROM turn
                JOIN scene ON scene.guild_id = turn.guild_id AND scene.id = turn.scene_id
                WHERE turn.guild_id = $1 AND turn.scene_id = $2
                  AND turn.id = coalesce($3, scene.head_turn_id)
                UNION ALL
                SELECT turn.id, turn.parent_id, line.depth + 1
                FROM line JOIN turn ON turn.guild_id = $1 AND turn.id = line.parent_id
                WHERE line.id IS DISTINCT FROM $4 AND ($5::bigint IS NULL OR line.depth < $5)
             )",
            "JOIN line ON line.id = turn.id
             WHERE turn.guild_id = $1 AND turn.removed_at IS NULL
             ORDER BY line.depth DESC",
            guild.0,
            scene.0,
            line.end.map(|turn| turn.0),
            line.start.map(|turn| turn.0),
            line.limit.map(i64::from),
        )
        .fetch_all(&mut *conn)
        .await?
        .into_iter()
        .map(|row| row.open(&conn.seal))
        .collect()
    }

    /// A turn by its key, removed ones too.
    #[instrument(name = "db.turn.get", skip(self), err(level = "debug"))]
    pub async fn get_turn(&self, guild: GuildId, turn: TurnId) -> Result<Option<Turn>, StoreError> {
        get(&mut self.read(guild).await?, guild, turn).await
    }

    /// The turns that follow a turn, or with `None` the first turns of the
    /// scene, oldest first: more than one where the story branches.
    #[instrument(name = "db.turn.list_children", skip(self), err(level = "debug"))]
    pub async fn list_children(
        &self,
        guild: GuildId,
        scene: SceneId,
        parent: Option<TurnId>,
    ) -> Result<Vec<Turn>, StoreError> {
        let mut conn = self.read(guild).await?;
        select_turns!(
            "",
            "WHERE turn.guild_id = $1 AND turn.scene_id = $2
               AND turn.parent_id IS NOT DISTINCT FROM $3 AND turn.removed_at IS NULL
             ORDER BY turn.id",
            guild.0,
            scene.0,
            parent.map(|turn| turn.0),
        )
        .fetch_all(&mut *conn)
        .await?
        .into_iter()
        .map(|row| row.open(&conn.seal))
        .collect()
    }

    /// The turn that a message on the platform belongs to, and whose message it is.
    /// Messages of ours that are deleted belong to none.
    #[instrument(name = "db.turn.get_by_message", skip(self), err(level = "debug"))]
    pub async fn get_turn_by_message(
        &self,
        guild: GuildId,
        external_id: &str,
    ) -> Result<Option<(Turn, MessageOrigin)>, StoreError> {
        let mut conn = self.read(guild).await?;
        let found = sqlx::query!(
            r#"SELECT turn_id AS "turn_id!", true AS "by_person!"
               FROM inbound WHERE guild_id = $1 AND external_id = $2
               UNION ALL
               SELECT turn_id, false FROM outbox
               WHERE guild_id = $1 AND external_id = $2 AND state <> 'deleted'
                 AND turn_id IS NOT NULL
               LIMIT 1"#,
            guild.0,
            &clean(external_id),
        )
        .fetch_optional(&mut *conn)
        .await?;
        let Some(found) = found else { return Ok(None) };
        let origin = if found.by_person { MessageOrigin::Person } else { MessageOrigin::Ours };
        let turn = get(&mut conn, guild, TurnId(found.turn_id)).await?;
        Ok(turn.map(|turn| (turn, origin)))
    }
}

pub(super) async fn get(
    conn: &mut GuildTx,
    guild: GuildId,
    turn: TurnId,
) -> Result<Option<Turn>, StoreError> {
    select_turns!("", "WHERE turn.guild_id = $1 AND turn.id = $2", guild.0, turn.0)
        .fetch_optional(&mut **conn)
        .await?
        .map(|row| row.open(&conn.seal))
        .transpose()
}
