//! Scenes of all guilds of a platform, for a front end that comes back: what was
//! missed in them, and what is not shown as it stands.

use tracing::instrument;

use super::text::clean;
use super::{Store, StoreError, row};
use crate::domain::{GuildId, SceneId, SceneState};

/// A scene that is not over, as a front end finds it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveScene {
    /// The guild.
    pub guild: GuildId,
    /// The guild's id on the platform.
    pub external_guild: String,
    /// The scene.
    pub scene: SceneId,
    /// The platform's id of its place.
    pub channel: String,
    /// The newest message of its place that was looked at.
    pub last_seen: Option<i64>,
    /// Whether it is played or paused.
    pub state: SceneState,
}

struct LiveRow {
    guild_id: i64,
    external_id: String,
    id: i64,
    channel: String,
    last_seen_message: Option<i64>,
    state: String,
}

impl TryFrom<LiveRow> for LiveScene {
    type Error = StoreError;

    fn try_from(row: LiveRow) -> Result<Self, StoreError> {
        Ok(Self {
            guild: GuildId(row.guild_id),
            external_guild: row.external_id,
            scene: SceneId(row.id),
            channel: row.channel,
            last_seen: row.last_seen_message,
            state: row::scene_state(&row.state)?,
        })
    }
}

impl Store {
    /// The scenes of a platform that are not over, by their keys, page by page:
    /// those after `after`, at most `limit`. With `external_guilds` only those of
    /// these guilds. Guilds that we left have none.
    #[instrument(name = "db.scene.list_live", skip(self, external_guilds), err(level = "debug"))]
    pub async fn list_live_scenes(
        &self,
        platform: &str,
        external_guilds: Option<&[String]>,
        after: Option<SceneId>,
        limit: u32,
    ) -> Result<Vec<LiveScene>, StoreError> {
        sqlx::query_as!(
            LiveRow,
            "SELECT scene.guild_id, guild.external_id, scene.id, scene.channel,
                    scene.last_seen_message, scene.state
             FROM scene JOIN guild ON guild.id = scene.guild_id
             WHERE guild.platform = $1 AND guild.left_at IS NULL AND scene.state <> 'ended'
               AND ($2::text[] IS NULL OR guild.external_id = ANY ($2))
               AND scene.id > $3
             ORDER BY scene.id LIMIT $4",
            &clean(platform),
            external_guilds,
            after.map_or(0, |scene| scene.0),
            i64::from(limit),
        )
        .fetch_all(&self.pool)
        .await?
        .into_iter()
        .map(LiveScene::try_from)
        .collect()
    }

    /// The scenes of a platform whose display may differ from what stands, in the
    /// same way. Those that are over are among them.
    #[instrument(name = "db.scene.list_stale", skip(self), err(level = "debug"))]
    pub async fn list_stale_scenes(
        &self,
        platform: &str,
        after: Option<SceneId>,
        limit: u32,
    ) -> Result<Vec<LiveScene>, StoreError> {
        sqlx::query_as!(
            LiveRow,
            "SELECT scene.guild_id, guild.external_id, scene.id, scene.channel,
                    scene.last_seen_message, scene.state
             FROM scene JOIN guild ON guild.id = scene.guild_id
             WHERE guild.platform = $1 AND guild.left_at IS NULL AND scene.stale
               AND scene.id > $2
             ORDER BY scene.id LIMIT $3",
            &clean(platform),
            after.map_or(0, |scene| scene.0),
            i64::from(limit),
        )
        .fetch_all(&self.pool)
        .await?
        .into_iter()
        .map(LiveScene::try_from)
        .collect()
    }

    /// Notes that what is shown of a scene is being brought in line with what
    /// stands: to be called before anything is looked at, so that a change in
    /// between is not lost.
    #[instrument(name = "db.scene.fresh", skip(self), err(level = "debug"))]
    pub async fn set_fresh(&self, guild: GuildId, scene: SceneId) -> Result<(), StoreError> {
        self.set_stale(guild, scene, false).await
    }

    /// Notes that what is shown of a scene may differ from what stands. Whatever
    /// moves the line notes it by itself.
    #[instrument(name = "db.scene.stale", skip(self), err(level = "debug"))]
    pub async fn set_stale(
        &self,
        guild: GuildId,
        scene: SceneId,
        stale: bool,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin(guild).await?;
        sqlx::query!(
            "UPDATE scene SET stale = $3 WHERE guild_id = $1 AND id = $2 AND stale <> $3",
            guild.0,
            scene.0,
            stale,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Notes that a scene's place was looked through up to a message. Never goes
    /// back.
    #[instrument(name = "db.scene.raise_cursor", skip(self), err(level = "debug"))]
    pub async fn raise_cursor(
        &self,
        guild: GuildId,
        scene: SceneId,
        message: i64,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin(guild).await?;
        raise_cursor(&mut tx, guild, scene, message).await?;
        Ok(tx.commit().await?)
    }
}

pub(super) async fn raise_cursor(
    conn: &mut sqlx::PgConnection,
    guild: GuildId,
    scene: SceneId,
    message: i64,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE scene SET last_seen_message = $3
         WHERE guild_id = $1 AND id = $2
           AND (last_seen_message IS NULL OR last_seen_message < $3)",
        guild.0,
        scene.0,
        message,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// In the transaction that changes what stands.
pub(super) async fn mark_stale(
    conn: &mut sqlx::PgConnection,
    guild: GuildId,
    scene: SceneId,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE scene SET stale = true WHERE guild_id = $1 AND id = $2 AND NOT stale",
        guild.0,
        scene.0,
    )
    .execute(conn)
    .await?;
    Ok(())
}
