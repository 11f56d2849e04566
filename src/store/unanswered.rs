//! What is left to answer in a scene.

use sqlx::PgConnection;

use super::StoreError;
use crate::domain::{GuildId, SceneId, TurnId};

/// Something that a person said since a character last spoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unanswered {
    pub(super) turn: TurnId,
    /// Whether it was taken out of the line.
    pub(super) is_removed: bool,
    /// Whether whoever said it is not heard now.
    pub(super) is_absent: bool,
}

/// All of that, the newest first.
pub(super) async fn list(
    conn: &mut PgConnection,
    guild: GuildId,
    scene: SceneId,
) -> Result<Vec<Unanswered>, StoreError> {
    let rows = sqlx::query!(
        r#"WITH RECURSIVE line AS (
            SELECT turn.id, turn.parent_id, turn.person_id, turn.removed_at
            FROM turn JOIN scene ON scene.guild_id = turn.guild_id AND scene.id = turn.scene_id
            WHERE turn.guild_id = $1 AND turn.scene_id = $2 AND turn.id = scene.head_turn_id
            UNION ALL
            SELECT turn.id, turn.parent_id, turn.person_id, turn.removed_at
            FROM line JOIN turn ON turn.guild_id = $1 AND turn.id = line.parent_id
            WHERE line.person_id IS NOT NULL OR line.removed_at IS NOT NULL
         )
         SELECT line.id AS "id!", line.removed_at IS NOT NULL AS "is_removed!",
                is_blocked OR is_opted_out OR must_agree AS "is_absent!"
         FROM line JOIN person_standing AS standing
           ON standing.guild_id = $1 AND standing.person_id = line.person_id
         ORDER BY line.id DESC"#,
        guild.0,
        scene.0,
    )
    .fetch_all(conn)
    .await?;
    let said = rows.into_iter().map(|row| Unanswered {
        turn: TurnId(row.id),
        is_removed: row.is_removed,
        is_absent: row.is_absent,
    });
    Ok(said.collect())
}
