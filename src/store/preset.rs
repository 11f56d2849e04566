//! A guild's own sampling presets. What the parameters mean is the sampling
//! room's business.

use serde_json::Value;
use tracing::instrument;

use super::seal::GuildSeal;
use super::text::{clean, clean_json, name_key};
use super::{Store, StoreError};
use crate::domain::GuildId;

/// Sampler parameters under a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Preset {
    /// The name.
    pub name: String,
    /// The parameters, in the sampling room's form.
    pub params: Value,
    /// The file that it was imported from, as JSON text.
    pub source: Option<String>,
}

impl Preset {
    fn open(self, seal: &GuildSeal) -> Result<Self, StoreError> {
        let source = self.source.map(|source| seal.open_file(source)).transpose()?;
        Ok(Self { source, ..self })
    }
}

impl Store {
    /// Keeps a preset under its name, in place of an earlier one of that name.
    ///
    /// # Errors
    /// `NotFound` where there is no such guild.
    #[instrument(name = "db.preset.upsert", skip(self, preset), err(level = "debug"))]
    pub async fn upsert_preset(&self, guild: GuildId, preset: &Preset) -> Result<(), StoreError> {
        let mut tx = self.begin(guild).await?;
        sqlx::query!(
            "INSERT INTO preset (guild_id, name_key, name, params, source)
             VALUES ($1, $2, $3, $4, $5::text::json)
             ON CONFLICT (guild_id, name_key) DO UPDATE
             SET name = excluded.name, params = excluded.params, source = excluded.source,
                 updated_at = now()",
            guild.0,
            name_key(&preset.name),
            &clean(&preset.name),
            clean_json(&preset.params),
            preset.source.as_ref().map(|source| tx.seal.seal_file(source)),
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// The preset of that name, whatever its letter case.
    #[instrument(name = "db.preset.get", skip(self), err(level = "debug"))]
    pub async fn get_preset(
        &self,
        guild: GuildId,
        name: &str,
    ) -> Result<Option<Preset>, StoreError> {
        let mut conn = self.read(guild).await?;
        let kept = sqlx::query_as!(
            Preset,
            "SELECT name, params, source::text FROM preset WHERE guild_id = $1 AND name_key = $2",
            guild.0,
            name_key(name),
        )
        .fetch_optional(&mut *conn)
        .await?;
        kept.map(|preset| preset.open(&conn.seal)).transpose()
    }

    /// All presets of a guild, by name.
    #[instrument(name = "db.preset.list", skip(self), err(level = "debug"))]
    pub async fn list_presets(&self, guild: GuildId) -> Result<Vec<Preset>, StoreError> {
        let mut conn = self.read(guild).await?;
        let kept = sqlx::query_as!(
            Preset,
            "SELECT name, params, source::text FROM preset WHERE guild_id = $1 ORDER BY name_key",
            guild.0,
        )
        .fetch_all(&mut *conn)
        .await?;
        kept.into_iter().map(|preset| preset.open(&conn.seal)).collect()
    }

    /// Drops a preset; says whether there was one.
    #[instrument(name = "db.preset.delete", skip(self), err(level = "debug"))]
    pub async fn delete_preset(&self, guild: GuildId, name: &str) -> Result<bool, StoreError> {
        let mut tx = self.begin(guild).await?;
        let done = sqlx::query!(
            "DELETE FROM preset WHERE guild_id = $1 AND name_key = $2",
            guild.0,
            name_key(name),
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(done.rows_affected() > 0)
    }
}
