//! What a guild's administrators set up for all of it.

use tracing::instrument;

use super::text::{clean, clean_option};
use super::{Store, StoreError};
use crate::domain::GuildId;

/// What is set up for a whole guild.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GuildSettings {
    /// The platform's ids of the roles that may moderate scenes besides
    /// administrators.
    pub moderator_roles: Vec<String>,
    /// The platform's id of the place where reports are announced.
    pub reports_channel: Option<String>,
    /// The language of notices to everybody; `None` takes the platform's.
    pub locale: Option<String>,
    /// Digest of the commands that the platform was told last. Written by
    /// [`Store::set_commands_hash`] alone.
    pub commands_hash: Option<String>,
}

impl Store {
    /// How a guild is set up; one that nobody set up has the defaults.
    #[instrument(name = "db.guild_settings.get", skip(self), err(level = "debug"))]
    pub async fn get_guild_settings(&self, guild: GuildId) -> Result<GuildSettings, StoreError> {
        let mut conn = self.read(guild).await?;
        let settings = sqlx::query_as!(
            GuildSettings,
            "SELECT moderator_roles, reports_channel, locale, commands_hash
             FROM guild_settings WHERE guild_id = $1",
            guild.0,
        )
        .fetch_optional(&mut *conn)
        .await?;
        Ok(settings.unwrap_or_default())
    }

    /// Sets a guild up. The digest of the commands stays.
    ///
    /// # Errors
    /// `NotFound` where there is no such guild.
    #[instrument(name = "db.guild_settings.upsert", skip(self, settings), err(level = "debug"))]
    pub async fn upsert_guild_settings(
        &self,
        guild: GuildId,
        settings: &GuildSettings,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin(guild).await?;
        let roles: Vec<String> =
            settings.moderator_roles.iter().map(|role| clean(role).into_owned()).collect();
        sqlx::query!(
            "INSERT INTO guild_settings (guild_id, moderator_roles, reports_channel, locale)
             VALUES ($1, $2, $3, $4)
             ON CONFLICT (guild_id) DO UPDATE
             SET moderator_roles = excluded.moderator_roles,
                 reports_channel = excluded.reports_channel, locale = excluded.locale,
                 updated_at = now()",
            guild.0,
            &roles,
            clean_option(settings.reports_channel.as_ref()),
            clean_option(settings.locale.as_ref()),
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Remembers which commands the platform was told.
    ///
    /// # Errors
    /// `NotFound` where there is no such guild.
    #[instrument(name = "db.guild_settings.commands", skip(self), err(level = "debug"))]
    pub async fn set_commands_hash(&self, guild: GuildId, hash: &str) -> Result<(), StoreError> {
        let mut tx = self.begin(guild).await?;
        sqlx::query!(
            "INSERT INTO guild_settings (guild_id, commands_hash) VALUES ($1, $2)
             ON CONFLICT (guild_id) DO UPDATE SET commands_hash = excluded.commands_hash",
            guild.0,
            &clean(hash),
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }
}
