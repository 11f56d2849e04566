//! Guilds.

use sqlx::PgConnection;
use tracing::instrument;

use super::text::clean;
use super::{Noun, Store, StoreError};
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

    /// The guild with that id on its platform, if it is known.
    #[instrument(name = "db.guild.get_by_external", skip(self), err(level = "debug"))]
    pub async fn get_guild_by_external(
        &self,
        platform: &str,
        external_id: &str,
    ) -> Result<Option<Guild>, StoreError> {
        let row = sqlx::query!(
            "SELECT id, platform, external_id, name FROM guild
             WHERE platform = $1 AND external_id = $2",
            &clean(platform),
            &clean(external_id),
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

    /// Notes that we left a guild, or are a member again. While we are none, no job
    /// of it is done.
    ///
    /// # Errors
    /// `NotFound`.
    #[instrument(name = "db.guild.left", skip(self), err(level = "debug"))]
    pub async fn set_guild_left(&self, guild: GuildId, left: bool) -> Result<(), StoreError> {
        let mut tx = self.begin(guild).await?;
        let was_left = sqlx::query_scalar!(
            r#"SELECT left_at IS NOT NULL AS "was_left!" FROM guild WHERE id = $1 FOR NO KEY UPDATE"#,
            guild.0,
        )
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(StoreError::NotFound(Noun::Guild))?;
        // A platform tells of every guild at every start.
        if was_left == left {
            return Ok(());
        }
        sqlx::query!(
            "UPDATE guild SET left_at = CASE WHEN $2 THEN now() END WHERE id = $1",
            guild.0,
            left,
        )
        .execute(&mut *tx)
        .await?;
        rest_jobs(&mut tx, guild).await?;
        tx.commit().await?;
        self.bell.ring();
        Ok(())
    }

    /// All guilds that are known, the first one first.
    #[instrument(name = "db.guild.list", skip(self), err(level = "debug"))]
    pub async fn list_guilds(&self) -> Result<Vec<Guild>, StoreError> {
        let rows = sqlx::query!("SELECT id, platform, external_id, name FROM guild ORDER BY id")
            .fetch_all(&self.pool)
            .await?;
        let guilds = rows.into_iter().map(|row| Guild {
            id: GuildId(row.id),
            platform: row.platform,
            external_id: row.external_id,
            name: row.name,
        });
        Ok(guilds.collect())
    }

    /// A guild by its key.
    #[instrument(name = "db.guild.get", skip(self), err(level = "debug"))]
    pub async fn get_guild(&self, guild: GuildId) -> Result<Option<Guild>, StoreError> {
        let mut conn = self.read(guild).await?;
        let row = sqlx::query!(
            "SELECT id, platform, external_id, name FROM guild WHERE id = $1",
            guild.0
        )
        .fetch_optional(&mut *conn)
        .await?;
        Ok(row.map(|row| Guild {
            id: GuildId(row.id),
            platform: row.platform,
            external_id: row.external_id,
            name: row.name,
        }))
    }
}

/// Marks which unfinished jobs of a guild nobody can begin, after that changed for all of
/// it.
pub(super) async fn rest_jobs(tx: &mut PgConnection, guild: GuildId) -> Result<(), StoreError> {
    // In order, so that no two who do so meet head-on.
    sqlx::query!(
        "SELECT scene_id FROM lane WHERE guild_id = $1 AND pending > 0
         ORDER BY scene_id FOR UPDATE",
        guild.0,
    )
    .fetch_all(&mut *tx)
    .await?;
    sqlx::query!(
        "UPDATE job SET resting = lane.paused OR guild.left_at IS NOT NULL
                               OR guild.frozen_at IS NOT NULL
         FROM lane JOIN guild ON guild.id = lane.guild_id
         WHERE job.guild_id = $1 AND lane.guild_id = $1 AND lane.scene_id = job.scene_id
           AND job.state IN ('queued', 'claimed', 'generated', 'sending')",
        guild.0,
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}
