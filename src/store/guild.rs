//! Guilds.

use tracing::instrument;

use super::text::clean;
use super::{Store, StoreError};
use crate::domain::{Guild, GuildId};

impl Store {
    /// The guild with that id on its platform, made known if it is new and
    /// renamed if the platform calls it otherwise by now.
    #[instrument(name = "db.guild.upsert", skip_all, err(level = "debug"))]
    pub async fn upsert_guild(
        &self,
        platform: &str,
        external_id: &str,
        name: &str,
    ) -> Result<Guild, StoreError> {
        let (platform, external_id, name) = (clean(platform), clean(external_id), clean(name));
        let mut tx = self.pool.begin().await?;
        let id = sqlx::query_scalar!(
            "INSERT INTO guild (platform, external_id, name) VALUES ($1, $2, $3)
             ON CONFLICT (platform, external_id) DO UPDATE SET name = excluded.name
             RETURNING id",
            &platform,
            &external_id,
            &name,
        )
        .fetch_one(&mut *tx)
        .await?;
        sqlx::query!("INSERT INTO guild_queue (guild_id) VALUES ($1) ON CONFLICT DO NOTHING", id)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(Guild {
            id: GuildId(id),
            platform: platform.into_owned(),
            external_id: external_id.into_owned(),
            name: name.into_owned(),
        })
    }

    /// A guild by its key.
    #[instrument(name = "db.guild.get", skip(self), err(level = "debug"))]
    pub async fn get_guild(&self, guild: GuildId) -> Result<Option<Guild>, StoreError> {
        let row = sqlx::query!(
            "SELECT id, platform, external_id, name FROM guild WHERE id = $1",
            guild.0
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| Guild {
            id: GuildId(row.id),
            platform: row.platform,
            external_id: row.external_id,
            name: row.name,
        }))
    }
}
