//! Lorebooks, and which scenes use them.

use serde_json::Value;
use tracing::instrument;

use super::text::{clean, clean_json, name_key};
use super::{Noun, Store, StoreError};
use crate::domain::{GuildId, LorebookId, SceneId};

/// A collection of lore entries, as one guild keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Lorebook {
    /// Its key.
    pub id: LorebookId,
    /// Its name.
    pub name: String,
    /// Settings and entries, whole.
    pub body: Value,
}

impl Store {
    /// Keeps a lorebook under its name, in place of an earlier one of that name.
    ///
    /// # Errors
    /// `NotFound` where there is no such guild.
    #[instrument(name = "db.lorebook.upsert", skip(self, name, body), err(level = "debug"))]
    pub async fn upsert_lorebook(
        &self,
        guild: GuildId,
        name: &str,
        body: &Value,
    ) -> Result<Lorebook, StoreError> {
        let row = sqlx::query!(
            "INSERT INTO lorebook (guild_id, name, name_key, body) VALUES ($1, $2, $3, $4)
             ON CONFLICT (guild_id, name_key) DO UPDATE
             SET name = excluded.name, body = excluded.body, updated_at = now()
             RETURNING id, name, body",
            guild.0,
            &clean(name),
            name_key(name),
            clean_json(body),
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(Lorebook { id: LorebookId(row.id), name: row.name, body: row.body })
    }

    /// The lorebook of that name, whatever its letter case.
    #[instrument(name = "db.lorebook.get", skip(self), err(level = "debug"))]
    pub async fn get_lorebook_by_name(
        &self,
        guild: GuildId,
        name: &str,
    ) -> Result<Option<Lorebook>, StoreError> {
        let row = sqlx::query!(
            "SELECT id, name, body FROM lorebook WHERE guild_id = $1 AND name_key = $2",
            guild.0,
            name_key(name),
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| Lorebook { id: LorebookId(row.id), name: row.name, body: row.body }))
    }

    /// The names of a guild's lorebooks.
    #[instrument(name = "db.lorebook.list", skip(self), err(level = "debug"))]
    pub async fn list_lorebooks(
        &self,
        guild: GuildId,
    ) -> Result<Vec<(LorebookId, String)>, StoreError> {
        let rows = sqlx::query!(
            "SELECT id, name FROM lorebook WHERE guild_id = $1 ORDER BY name_key",
            guild.0,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| (LorebookId(row.id), row.name)).collect())
    }

    /// Drops a lorebook, from the scenes that use it too; says whether there was
    /// one.
    #[instrument(name = "db.lorebook.delete", skip(self), err(level = "debug"))]
    pub async fn delete_lorebook(
        &self,
        guild: GuildId,
        lorebook: LorebookId,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query!(
            "DELETE FROM lorebook WHERE guild_id = $1 AND id = $2",
            guild.0,
            lorebook.0,
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Lets a scene use a lorebook, or no longer.
    ///
    /// # Errors
    /// `NotFound` where the guild has no such scene or lorebook.
    #[instrument(name = "db.lorebook.attach", skip(self), err(level = "debug"))]
    pub async fn set_scene_lorebook(
        &self,
        guild: GuildId,
        scene: SceneId,
        lorebook: LorebookId,
        used: bool,
    ) -> Result<(), StoreError> {
        let (guild, scene, lorebook) = (guild.0, scene.0, lorebook.0);
        if used {
            sqlx::query!(
                "INSERT INTO scene_lorebook (guild_id, scene_id, lorebook_id) VALUES ($1, $2, $3)
                 ON CONFLICT DO NOTHING",
                guild,
                scene,
                lorebook,
            )
            .execute(&self.pool)
            .await?;
            return Ok(());
        }
        let done = sqlx::query!(
            "DELETE FROM scene_lorebook
             WHERE guild_id = $1 AND scene_id = $2 AND lorebook_id = $3",
            guild,
            scene,
            lorebook,
        )
        .execute(&self.pool)
        .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::NotFound(Noun::Lorebook));
        }
        Ok(())
    }

    /// The lorebooks that a scene uses, in the order of joining.
    #[instrument(name = "db.lorebook.list_scene", skip(self), err(level = "debug"))]
    pub async fn list_scene_lorebooks(
        &self,
        guild: GuildId,
        scene: SceneId,
    ) -> Result<Vec<Lorebook>, StoreError> {
        let rows = sqlx::query!(
            "SELECT lorebook.id, lorebook.name, lorebook.body
             FROM scene_lorebook AS used
             JOIN lorebook ON lorebook.guild_id = used.guild_id AND lorebook.id = used.lorebook_id
             WHERE used.guild_id = $1 AND used.scene_id = $2
             ORDER BY used.joined_at, lorebook.id",
            guild.0,
            scene.0,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| Lorebook { id: LorebookId(row.id), name: row.name, body: row.body })
            .collect())
    }
}
