//! Lines and veils, of people and of scenes.

use tracing::instrument;

use super::guard::GuildTx;
use super::seal::GuildSeal;
use super::text::clean;
use super::{Noun, Store, StoreError};
use crate::domain::{Boundary, BoundaryId, BoundaryKind, BoundaryOf, GuildId, PersonId, SceneId};

struct BoundaryRow {
    id: i64,
    person_id: Option<i64>,
    scene_id: Option<i64>,
    kind: String,
    text: String,
}

impl BoundaryRow {
    fn open(self, seal: &GuildSeal) -> Result<Boundary, StoreError> {
        let row = self;
        let kind = BoundaryKind::ALL.into_iter().find(|kind| kind.as_str() == row.kind);
        let of = match (row.person_id, row.scene_id) {
            (Some(person), None) => Some(BoundaryOf::Person(PersonId(person))),
            (None, Some(scene)) => Some(BoundaryOf::Scene(SceneId(scene))),
            _ => None,
        };
        let (Some(kind), Some(of)) = (kind, of) else {
            let reason = "it has no kind, or not exactly one owner".into();
            return Err(StoreError::Unreadable { noun: Noun::Boundary, reason });
        };
        Ok(Boundary { id: BoundaryId(row.id), kind, of, text: seal.open(row.text)? })
    }
}

/// The columns of an owner.
fn columns(of: BoundaryOf) -> (Option<i64>, Option<i64>) {
    match of {
        BoundaryOf::Person(person) => (Some(person.0), None),
        BoundaryOf::Scene(scene) => (None, Some(scene.0)),
    }
}

impl Store {
    /// Writes a boundary down.
    ///
    /// # Errors
    /// `NotFound` where the guild has no such person or scene.
    #[instrument(name = "db.boundary.insert", skip(self, text), err(level = "debug"))]
    pub async fn insert_boundary(
        &self,
        guild: GuildId,
        of: BoundaryOf,
        kind: BoundaryKind,
        text: &str,
    ) -> Result<Boundary, StoreError> {
        let mut tx = self.begin(guild).await?;
        let (person, scene) = columns(of);
        let text = clean(text);
        let sealed = tx.seal.seal(&text);
        let id = sqlx::query_scalar!(
            "INSERT INTO boundary (guild_id, person_id, scene_id, kind, text)
             VALUES ($1, $2, $3, $4, $5) RETURNING id",
            guild.0,
            person,
            scene,
            kind.as_str(),
            sealed,
        )
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(Boundary { id: BoundaryId(id), kind, of, text: text.into_owned() })
    }

    /// Takes a boundary away. Says whether it was theirs.
    #[instrument(name = "db.boundary.delete", skip(self), err(level = "debug"))]
    pub async fn delete_boundary(
        &self,
        guild: GuildId,
        of: BoundaryOf,
        id: BoundaryId,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin(guild).await?;
        let (person, scene) = columns(of);
        let done = sqlx::query!(
            "DELETE FROM boundary
             WHERE guild_id = $1 AND id = $2
               AND person_id IS NOT DISTINCT FROM $3 AND scene_id IS NOT DISTINCT FROM $4",
            guild.0,
            id.0,
            person,
            scene,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    /// The boundaries of one owner, oldest first.
    #[instrument(name = "db.boundary.list", skip(self), err(level = "debug"))]
    pub async fn list_boundaries(
        &self,
        guild: GuildId,
        of: BoundaryOf,
    ) -> Result<Vec<Boundary>, StoreError> {
        let mut conn = self.read(guild).await?;
        let (person, scene) = columns(of);
        sqlx::query_as!(
            BoundaryRow,
            "SELECT id, person_id, scene_id, kind, text FROM boundary
             WHERE guild_id = $1
               AND person_id IS NOT DISTINCT FROM $2 AND scene_id IS NOT DISTINCT FROM $3
             ORDER BY id",
            guild.0,
            person,
            scene,
        )
        .fetch_all(&mut *conn)
        .await?
        .into_iter()
        .map(|row| row.open(&conn.seal))
        .collect()
    }

    /// The boundaries that hold in a scene, oldest first: its own, and those of everybody
    /// who takes part in it and is heard.
    #[instrument(name = "db.boundary.list_in", skip(self), err(level = "debug"))]
    pub async fn list_boundaries_in(
        &self,
        guild: GuildId,
        scene: SceneId,
    ) -> Result<Vec<Boundary>, StoreError> {
        list_in(&mut self.read(guild).await?, guild, scene).await
    }
}

pub(super) async fn list_in(
    conn: &mut GuildTx,
    guild: GuildId,
    scene: SceneId,
) -> Result<Vec<Boundary>, StoreError> {
    sqlx::query_as!(
        BoundaryRow,
        "SELECT id, boundary.person_id, scene_id, kind, text FROM boundary
             WHERE guild_id = $1
               AND (scene_id = $2 OR boundary.person_id IN (
                    SELECT coalesce(person.owner_id, person.id)
                    FROM participant
                    JOIN person ON person.guild_id = $1 AND person.id = participant.person_id
                    JOIN person_standing AS standing
                         ON standing.guild_id = $1 AND standing.person_id = participant.person_id
                    WHERE participant.guild_id = $1 AND participant.scene_id = $2
                      AND NOT (is_blocked OR is_opted_out OR must_agree)))
             ORDER BY id",
        guild.0,
        scene.0,
    )
    .fetch_all(&mut **conn)
    .await?
    .into_iter()
    .map(|row| row.open(&conn.seal))
    .collect()
}
