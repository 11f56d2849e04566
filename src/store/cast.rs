//! The cast of a scene.

use tracing::instrument;

use super::character::character;
use super::guard::GuildTx;
use super::row;
use super::{Noun, Store, StoreError};
use crate::domain::{CastMember, CharacterId, GuildId, Length, SceneId};

impl Store {
    /// Brings a character into a scene, or changes its length there.
    ///
    /// # Errors
    /// `NotFound` where the guild has no such scene or character.
    #[instrument(name = "db.cast.upsert", skip(self), err(level = "debug"))]
    pub async fn upsert_cast_member(
        &self,
        guild: GuildId,
        scene: SceneId,
        character: CharacterId,
        length: Option<Length>,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin(guild).await?;
        sqlx::query!(
            "INSERT INTO cast_member (guild_id, scene_id, character_id, length)
             VALUES ($1, $2, $3, $4)
             ON CONFLICT (guild_id, scene_id, character_id) DO UPDATE
             SET length = excluded.length",
            guild.0,
            scene.0,
            character.0,
            length.map(Length::as_str),
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Chooses the length of a character that is in a scene.
    ///
    /// # Errors
    /// `NotFound` where it is not.
    #[instrument(name = "db.cast.length", skip(self), err(level = "debug"))]
    pub async fn set_cast_length(
        &self,
        guild: GuildId,
        scene: SceneId,
        character: CharacterId,
        length: Option<Length>,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin(guild).await?;
        let done = sqlx::query!(
            "UPDATE cast_member SET length = $4
             WHERE guild_id = $1 AND scene_id = $2 AND character_id = $3",
            guild.0,
            scene.0,
            character.0,
            length.map(Length::as_str),
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::NotFound(Noun::CastMember));
        }
        Ok(())
    }

    /// Takes a character out of a scene; its turns stay. Says whether it was in.
    #[instrument(name = "db.cast.remove", skip(self), err(level = "debug"))]
    pub async fn remove_cast_member(
        &self,
        guild: GuildId,
        scene: SceneId,
        character: CharacterId,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin(guild).await?;
        let done = sqlx::query!(
            "DELETE FROM cast_member
             WHERE guild_id = $1 AND scene_id = $2 AND character_id = $3",
            guild.0,
            scene.0,
            character.0,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    /// The cast of a scene, in the order of joining.
    #[instrument(name = "db.cast.list", skip(self), err(level = "debug"))]
    pub async fn list_cast(
        &self,
        guild: GuildId,
        scene: SceneId,
    ) -> Result<Vec<CastMember>, StoreError> {
        list(&mut self.read(guild).await?, guild, scene).await
    }
}

pub(super) async fn list(
    conn: &mut GuildTx,
    guild: GuildId,
    scene: SceneId,
) -> Result<Vec<CastMember>, StoreError> {
    let rows = sqlx::query!(
        "SELECT character.id, character.sheet, cast_member.length
             FROM cast_member
             JOIN character ON character.guild_id = cast_member.guild_id
                           AND character.id = cast_member.character_id
             WHERE cast_member.guild_id = $1 AND cast_member.scene_id = $2
             ORDER BY cast_member.joined_at, character.id",
        guild.0,
        scene.0,
    )
    .fetch_all(&mut **conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(CastMember {
                character: character(&conn.seal, guild, CharacterId(row.id), row.sheet)?,
                length: row::length(Noun::CastMember, row.length)?,
            })
        })
        .collect()
}
