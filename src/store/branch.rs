//! Branching a scene off into a place of its own.

use tracing::instrument;

use super::text::clean;
use super::{Noun, Store, StoreError, lane, scene};
use crate::domain::{GuildId, Scene, SceneId, TurnId};

/// Where a branch is to be played.
#[derive(Debug, Clone)]
pub struct NewBranch {
    /// The platform's id of the place.
    pub channel: String,
    /// What people will call it.
    pub title: String,
}

impl Store {
    /// Begins a scene elsewhere with a copy of another one's settings, cast,
    /// people, lore, lines and veils, and its line up to a turn, with every swipe. From then on
    /// neither scene changes the other. It is stale until its end is shown.
    ///
    /// # Errors
    /// `NotFound` where the scene has no such turn; `Taken` where a scene is
    /// being played in that place.
    #[instrument(name = "db.scene.branch", skip(self, branch), err(level = "debug"))]
    pub async fn branch_scene(
        &self,
        guild: GuildId,
        from: SceneId,
        at: TurnId,
        branch: &NewBranch,
    ) -> Result<Scene, StoreError> {
        let mut tx = self.begin(guild).await?;
        lane::lock(&mut tx, guild, from).await?;
        let id = sqlx::query_scalar!(
            "INSERT INTO scene (guild_id, channel, title, scenario, note, length, preset, stale,
                                lore_effects, source, branched_from_scene_id,
                                branched_from_turn_id)
             SELECT guild_id, $4, $5, scenario, note, length, preset, true, lore_effects, source,
                    id, $3
             FROM scene
             WHERE guild_id = $1 AND id = $2
               AND EXISTS (SELECT FROM turn WHERE guild_id = $1 AND scene_id = $2 AND id = $3)
             RETURNING id",
            guild.0,
            from.0,
            at.0,
            &clean(&branch.channel),
            &clean(&branch.title),
        )
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(StoreError::NotFound(Noun::Turn))?;
        sqlx::query!(
            "WITH queue AS (
                INSERT INTO lane (guild_id, scene_id) VALUES ($1, $3)
             ), who AS (
                INSERT INTO cast_member (guild_id, scene_id, character_id, length, joined_at)
                SELECT $1, $3, character_id, length, joined_at FROM cast_member
                WHERE guild_id = $1 AND scene_id = $2
             ), people AS (
                INSERT INTO participant (guild_id, scene_id, person_id, persona_id, joined_at)
                SELECT $1, $3, person_id, persona_id, joined_at FROM participant
                WHERE guild_id = $1 AND scene_id = $2
             ), bounds AS (
                INSERT INTO boundary (guild_id, scene_id, kind, text, created_at)
                SELECT $1, $3, kind, text, created_at FROM boundary
                WHERE guild_id = $1 AND scene_id = $2 ORDER BY id
             )
             INSERT INTO scene_lorebook (guild_id, scene_id, lorebook_id, joined_at)
             SELECT $1, $3, lorebook_id, joined_at FROM scene_lorebook
             WHERE guild_id = $1 AND scene_id = $2",
            guild.0,
            from.0,
            id,
        )
        .execute(&mut *tx)
        .await?;
        // New keys are drawn first, oldest turn first, and then both tables are
        // written in one statement, since each refers to the other.
        sqlx::query!(
            "WITH RECURSIVE line AS (
                SELECT turn.id, turn.parent_id, 1 AS depth
                FROM turn WHERE guild_id = $1 AND scene_id = $2 AND id = $4
                UNION ALL
                SELECT turn.id, turn.parent_id, line.depth + 1
                FROM line JOIN turn ON turn.guild_id = $1 AND turn.id = line.parent_id
             ), old_turn AS MATERIALIZED (
                SELECT kept.*, nextval('turn_id_seq') AS new_id
                FROM (SELECT turn.*, line.depth
                      FROM line JOIN turn ON turn.guild_id = $1 AND turn.id = line.id
                      WHERE turn.removed_at IS NULL ORDER BY line.depth DESC) AS kept
             ), old_swipe AS MATERIALIZED (
                SELECT swipe.*, old_turn.new_id AS new_turn_id,
                       nextval('swipe_id_seq') AS new_id
                FROM old_turn
                JOIN swipe ON swipe.guild_id = $1 AND swipe.turn_id = old_turn.id
             ), new_turn AS (
                INSERT INTO turn (guild_id, scene_id, id, parent_id, character_id, person_id,
                                  speaker_name, swipe_id, source, created_at)
                SELECT $1, $3, old_turn.new_id,
                       lag(old_turn.new_id) OVER (ORDER BY old_turn.depth DESC),
                       old_turn.character_id, old_turn.person_id, old_turn.speaker_name,
                       old_swipe.new_id, old_turn.source, old_turn.created_at
                FROM old_turn
                JOIN old_swipe ON old_swipe.turn_id = old_turn.id
                              AND old_swipe.id = old_turn.swipe_id
             ), new_swipe AS (
                INSERT INTO swipe (guild_id, turn_id, id, ordinal, text, origin, receipt,
                                   created_at)
                SELECT $1, new_turn_id, new_id, ordinal, text, origin, receipt, created_at
                FROM old_swipe
             )
             UPDATE scene SET head_turn_id = (SELECT max(new_id) FROM old_turn)
             WHERE guild_id = $1 AND id = $3",
            guild.0,
            from.0,
            id,
            at.0,
        )
        .execute(&mut *tx)
        .await?;
        let scene = scene::get(&mut tx, guild, SceneId(id)).await?;
        tx.commit().await?;
        scene.ok_or(StoreError::NotFound(Noun::Scene))
    }
}
