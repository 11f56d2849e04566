//! A scene's whole turn tree, for those who take it elsewhere.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use tracing::instrument;

use super::guard::GuildTx;
use super::swipe::SwipeRow;
use super::{Noun, Store, StoreError};
use crate::domain::{CharacterId, GuildId, PersonId, SceneId, Speaker, Swipe, SwipeId, TurnId};

/// A turn of the tree with all its texts.
#[derive(Debug, Clone, PartialEq)]
pub struct TreeTurn {
    /// Its key.
    pub id: TurnId,
    /// The turn before.
    pub parent: Option<TurnId>,
    /// Who speaks.
    pub speaker: Speaker,
    /// Which of the texts stands.
    pub standing: SwipeId,
    /// All of its texts, in order.
    pub swipes: Vec<Swipe>,
    /// Whether it is left out of every line.
    pub is_removed: bool,
    /// When it was said.
    pub created_at: DateTime<Utc>,
}

impl Store {
    /// All turns of a scene, those of other lines and removed ones too, the oldest
    /// first: no turn comes before its parent.
    #[instrument(name = "db.turn.list_tree", skip(self), err(level = "debug"))]
    pub async fn list_tree(
        &self,
        guild: GuildId,
        scene: SceneId,
    ) -> Result<Vec<TreeTurn>, StoreError> {
        let mut conn = self.read(guild).await?;
        let mut swipes = tree_swipes(&mut conn, guild, scene).await?;
        let rows = sqlx::query!(
            r#"SELECT id, parent_id, character_id, person_id, speaker_name, swipe_id, created_at,
                      removed_at IS NOT NULL AS "is_removed!"
               FROM turn WHERE guild_id = $1 AND scene_id = $2 ORDER BY id"#,
            guild.0,
            scene.0,
        )
        .fetch_all(&mut *conn)
        .await?;
        rows.into_iter()
            .map(|row| {
                let name = row.speaker_name;
                let speaker = match (row.character_id, row.person_id) {
                    (Some(id), None) => Speaker::Character { id: CharacterId(id), name },
                    (None, Some(id)) => Speaker::Person { id: PersonId(id), name },
                    _ => {
                        let reason = "it has not exactly one speaker".into();
                        return Err(StoreError::Unreadable { noun: Noun::Turn, reason });
                    }
                };
                Ok(TreeTurn {
                    id: TurnId(row.id),
                    parent: row.parent_id.map(TurnId),
                    speaker,
                    standing: SwipeId(row.swipe_id),
                    swipes: swipes.remove(&row.id).unwrap_or_default(),
                    is_removed: row.is_removed,
                    created_at: row.created_at,
                })
            })
            .collect()
    }
}

async fn tree_swipes(
    conn: &mut GuildTx,
    guild: GuildId,
    scene: SceneId,
) -> Result<HashMap<i64, Vec<Swipe>>, StoreError> {
    let rows = sqlx::query!(
        "SELECT swipe.turn_id, swipe.id, swipe.ordinal, swipe.text, swipe.origin,
                swipe.receipt, swipe.created_at
         FROM turn
         JOIN swipe ON swipe.guild_id = turn.guild_id AND swipe.turn_id = turn.id
         WHERE turn.guild_id = $1 AND turn.scene_id = $2
         ORDER BY swipe.turn_id, swipe.ordinal",
        guild.0,
        scene.0,
    )
    .fetch_all(&mut **conn)
    .await?;
    let mut swipes: HashMap<i64, Vec<Swipe>> = HashMap::new();
    for row in rows {
        let swipe = SwipeRow {
            id: row.id,
            ordinal: row.ordinal,
            text: row.text,
            origin: row.origin,
            receipt: row.receipt,
            created_at: row.created_at,
        };
        swipes.entry(row.turn_id).or_default().push(swipe.open(&conn.seal)?);
    }
    Ok(swipes)
}
