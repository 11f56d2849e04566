//! What a guild's administrators set up for a channel.

use tracing::instrument;

use super::text::{clean, clean_option};
use super::{Noun, Store, StoreError, row};
use crate::domain::{CharacterId, GuildId, Length};

/// How scenes start in a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SceneOpening {
    /// They don't.
    Never,
    /// By a command, in a thread of the channel.
    Command,
    /// By every new post.
    Post,
    /// By a command, in the channel itself: all of it is one scene.
    Channel,
}

impl SceneOpening {
    const ALL: [Self; 4] = [Self::Never, Self::Command, Self::Post, Self::Channel];

    fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Command => "command",
            Self::Post => "post",
            Self::Channel => "channel",
        }
    }
}

/// What may happen in one channel, and with which defaults a scene starts there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelSettings {
    /// The platform's id of the channel or forum.
    pub channel: String,
    /// How scenes start in it.
    pub opens: SceneOpening,
    /// The platform's ids of the roles that may start one; empty means everybody.
    pub starter_roles: Vec<String>,
    /// Whom a scene starts with where nobody is named.
    pub character: Option<CharacterId>,
    /// The length that a scene starts with.
    pub length: Option<Length>,
    /// The preset that a scene starts with.
    pub preset: Option<String>,
}

struct ChannelSettingsRow {
    channel: String,
    opens: String,
    starter_roles: Vec<String>,
    character_id: Option<i64>,
    length: Option<String>,
    preset: Option<String>,
}

impl TryFrom<ChannelSettingsRow> for ChannelSettings {
    type Error = StoreError;

    fn try_from(row: ChannelSettingsRow) -> Result<Self, StoreError> {
        let noun = Noun::ChannelSettings;
        Ok(Self {
            channel: row.channel,
            opens: row::one_of(noun, &SceneOpening::ALL, SceneOpening::as_str, &row.opens)?,
            starter_roles: row.starter_roles,
            character: row.character_id.map(CharacterId),
            length: row::length(noun, row.length)?,
            preset: row.preset,
        })
    }
}

impl Store {
    /// Sets a channel up.
    ///
    /// # Errors
    /// `NotFound` where the guild has no such character.
    #[instrument(name = "db.channel_settings.upsert", skip(self, settings), err(level = "debug"))]
    pub async fn upsert_channel_settings(
        &self,
        guild: GuildId,
        settings: &ChannelSettings,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin(guild).await?;
        let roles: Vec<String> =
            settings.starter_roles.iter().map(|role| clean(role).into_owned()).collect();
        sqlx::query!(
            "INSERT INTO channel_settings
                (guild_id, channel, opens, starter_roles, character_id, length, preset)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (guild_id, channel) DO UPDATE
             SET opens = excluded.opens, starter_roles = excluded.starter_roles,
                 character_id = excluded.character_id, length = excluded.length,
                 preset = excluded.preset, updated_at = now()",
            guild.0,
            &clean(&settings.channel),
            settings.opens.as_str(),
            &roles,
            settings.character.map(|id| id.0),
            settings.length.map(Length::as_str),
            clean_option(settings.preset.as_ref()),
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// How a channel is set up, if it is.
    #[instrument(name = "db.channel_settings.get", skip(self), err(level = "debug"))]
    pub async fn get_channel_settings(
        &self,
        guild: GuildId,
        channel: &str,
    ) -> Result<Option<ChannelSettings>, StoreError> {
        let mut conn = self.read(guild).await?;
        sqlx::query_as!(
            ChannelSettingsRow,
            "SELECT channel, opens, starter_roles, character_id, length, preset
             FROM channel_settings WHERE guild_id = $1 AND channel = $2",
            guild.0,
            &clean(channel),
        )
        .fetch_optional(&mut *conn)
        .await?
        .map(ChannelSettings::try_from)
        .transpose()
    }

    /// All channels of a guild that are set up.
    #[instrument(name = "db.channel_settings.list", skip(self), err(level = "debug"))]
    pub async fn list_channel_settings(
        &self,
        guild: GuildId,
    ) -> Result<Vec<ChannelSettings>, StoreError> {
        let mut conn = self.read(guild).await?;
        sqlx::query_as!(
            ChannelSettingsRow,
            "SELECT channel, opens, starter_roles, character_id, length, preset
             FROM channel_settings WHERE guild_id = $1 ORDER BY channel",
            guild.0,
        )
        .fetch_all(&mut *conn)
        .await?
        .into_iter()
        .map(ChannelSettings::try_from)
        .collect()
    }

    /// Forgets how a channel was set up; says whether it was.
    #[instrument(name = "db.channel_settings.delete", skip(self), err(level = "debug"))]
    pub async fn delete_channel_settings(
        &self,
        guild: GuildId,
        channel: &str,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin(guild).await?;
        let done = sqlx::query!(
            "DELETE FROM channel_settings WHERE guild_id = $1 AND channel = $2",
            guild.0,
            &clean(channel),
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(done.rows_affected() > 0)
    }
}
