//! What is allowed in a guild's places, as its staff wrote it down.

use serde_json::Value;
use tracing::instrument;

use super::text::{clean, clean_json};
use super::{Noun, Store, StoreError};
use crate::domain::{GuildId, SceneId};

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

impl Store {
    /// The rules of all places of a guild, the guild's own first.
    #[instrument(name = "db.policy.list", skip(self), err(level = "debug"))]
    pub async fn list_policies(&self, guild: GuildId) -> Result<Vec<PlacePolicy>, StoreError> {
        let mut conn = self.read(guild).await?;
        let policies = sqlx::query_as!(
            PlacePolicy,
            "SELECT place, body FROM policy WHERE guild_id = $1 ORDER BY place",
            guild.0,
        )
        .fetch_all(&mut *conn)
        .await?;
        Ok(policies)
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
