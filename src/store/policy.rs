//! What is allowed in a guild's places, as its staff wrote it down.

use serde_json::Value;
use sqlx::PgConnection;
use tracing::instrument;

use super::guard::GuildTx;
use super::text::{clean, clean_json};
use super::{Noun, PersonStanding, Store, StoreError, boundary, cast, row, standing};
use crate::domain::{Boundary, CastMember, GuildId, PersonId, SceneId, SceneState};

/// The rules of one place.
#[derive(Debug, Clone, PartialEq)]
pub struct PlacePolicy {
    /// The platform's id of a category, channel or thread; empty for the whole guild.
    pub place: String,
    /// The rules, in the words of the moderation room.
    pub body: Value,
}

/// Where a scene stands, as the platform last said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The places around it, the outermost first: the category, the channel above a thread.
    pub places: Vec<String>,
    /// Whether only adults come in.
    pub age_restricted: bool,
}

/// All that the rules of a scene are made of.
#[derive(Debug, Clone)]
pub struct SceneGround {
    /// Whether it is played.
    pub state: SceneState,
    /// The platform's id of its place.
    pub channel: String,
    /// The guild's platform.
    pub platform: String,
    /// What stands around it.
    pub around: Surroundings,
    /// The rules of all places of the guild.
    pub policies: Vec<PlacePolicy>,
    /// Who plays in it.
    pub cast: Vec<CastMember>,
    /// The lines and veils that hold in it.
    pub boundaries: Vec<Boundary>,
}

async fn ground(
    conn: &mut GuildTx,
    guild: GuildId,
    scene: SceneId,
) -> Result<Option<SceneGround>, StoreError> {
    let found = sqlx::query!(
        "SELECT state, channel, places, age_restricted, platform
         FROM scene JOIN guild ON guild.id = scene.guild_id
         WHERE scene.guild_id = $1 AND scene.id = $2",
        guild.0,
        scene.0,
    )
    .fetch_optional(&mut **conn)
    .await?;
    let Some(found) = found else { return Ok(None) };
    Ok(Some(SceneGround {
        state: row::one_of(Noun::Scene, &SceneState::ALL, SceneState::as_str, &found.state)?,
        channel: found.channel,
        platform: found.platform,
        around: Surroundings { places: found.places, age_restricted: found.age_restricted },
        policies: list(conn, guild).await?,
        cast: cast::list(conn, guild, scene).await?,
        boundaries: boundary::list_in(conn, guild, scene).await?,
    }))
}

async fn list(conn: &mut PgConnection, guild: GuildId) -> Result<Vec<PlacePolicy>, StoreError> {
    let policies = sqlx::query_as!(
        PlacePolicy,
        "SELECT place, body FROM policy WHERE guild_id = $1 ORDER BY place",
        guild.0,
    )
    .fetch_all(conn)
    .await?;
    Ok(policies)
}

impl Store {
    /// The rules of all places of a guild, the guild's own first.
    #[instrument(name = "db.policy.list", skip(self), err(level = "debug"))]
    pub async fn list_policies(&self, guild: GuildId) -> Result<Vec<PlacePolicy>, StoreError> {
        list(&mut *self.read(guild).await?, guild).await
    }

    /// All that the rules of a scene are made of, as of one moment; `None` where the guild
    /// has no such scene.
    #[instrument(name = "db.scene.ground", skip(self), err(level = "debug"))]
    pub async fn get_scene_ground(
        &self,
        guild: GuildId,
        scene: SceneId,
    ) -> Result<Option<SceneGround>, StoreError> {
        ground(&mut self.read(guild).await?, guild, scene).await
    }

    /// The same with whether somebody is heard there: all that their words are asked at the
    /// door.
    #[instrument(name = "db.scene.door", skip(self), err(level = "debug"))]
    pub async fn get_scene_door(
        &self,
        guild: GuildId,
        scene: SceneId,
        person: PersonId,
    ) -> Result<Option<(PersonStanding, SceneGround)>, StoreError> {
        let mut conn = self.read(guild).await?;
        let standing = standing::get(&mut conn, guild, person).await?;
        Ok(ground(&mut conn, guild, scene).await?.map(|ground| (standing, ground)))
    }

    /// Writes the rules of a place down, instead of those that stood there.
    ///
    /// # Errors
    /// `NotFound` where there is no such guild.
    #[instrument(name = "db.policy.upsert", skip(self, body), err(level = "debug"))]
    pub async fn upsert_policy(
        &self,
        guild: GuildId,
        place: &str,
        body: &Value,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin(guild).await?;
        sqlx::query!(
            "INSERT INTO policy (guild_id, place, body) VALUES ($1, $2, $3)
             ON CONFLICT (guild_id, place) DO UPDATE
             SET body = excluded.body, updated_at = now()",
            guild.0,
            &clean(place),
            clean_json(body),
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Takes the rules of a place away; says whether there were any.
    #[instrument(name = "db.policy.delete", skip(self), err(level = "debug"))]
    pub async fn delete_policy(&self, guild: GuildId, place: &str) -> Result<bool, StoreError> {
        let mut tx = self.begin(guild).await?;
        let deleted = sqlx::query!(
            "DELETE FROM policy WHERE guild_id = $1 AND place = $2",
            guild.0,
            &clean(place),
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(deleted.rows_affected() > 0)
    }

    /// Where a scene stands.
    ///
    /// # Errors
    /// `NotFound` where the guild has no such scene.
    #[instrument(name = "db.scene.surroundings", skip(self), err(level = "debug"))]
    pub async fn get_surroundings(
        &self,
        guild: GuildId,
        scene: SceneId,
    ) -> Result<Surroundings, StoreError> {
        let mut conn = self.read(guild).await?;
        let found = sqlx::query_as!(
            Surroundings,
            "SELECT places, age_restricted FROM scene WHERE guild_id = $1 AND id = $2",
            guild.0,
            scene.0,
        )
        .fetch_optional(&mut *conn)
        .await?;
        found.ok_or(StoreError::NotFound(Noun::Scene))
    }

    /// Remembers where a scene stands.
    #[instrument(name = "db.scene.set_surroundings", skip_all, fields(%guild), err(level = "debug"))]
    pub async fn set_surroundings(
        &self,
        guild: GuildId,
        scene: SceneId,
        surroundings: &Surroundings,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin(guild).await?;
        sqlx::query!(
            "UPDATE scene SET places = $3, age_restricted = $4
             WHERE guild_id = $1 AND id = $2
               AND (places, age_restricted) IS DISTINCT FROM ($3, $4)",
            guild.0,
            scene.0,
            &surroundings.places,
            surroundings.age_restricted,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }
}
