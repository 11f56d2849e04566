//! A scene that comes from a chat played elsewhere: all of it, or nothing.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use tracing::instrument;

use super::moves::place;
use super::scene::insert;
use super::{NewScene, NewTurn, Noun, Store, StoreError};
use crate::domain::{GuildId, PersonId, Scene, SceneId, Speaker, SwipeOrigin, TurnId};

/// A turn that was played elsewhere.
#[derive(Debug, Clone)]
pub struct ImportedTurn {
    /// Who spoke.
    pub speaker: Speaker,
    /// Its texts, in order; one at least.
    pub swipes: Vec<String>,
    /// Which of them stands.
    pub standing: usize,
    /// When it was said; `None` where the file does not tell.
    pub created_at: Option<DateTime<Utc>>,
    /// Whether it is left out of every line.
    pub is_removed: bool,
    /// Its line of the file, as JSON text.
    pub source: String,
}

/// Where a scene came from, for who takes it out again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SceneSource {
    /// The head of the file, as JSON text.
    pub header: Option<String>,
    /// The lines of the turns that came from it.
    pub lines: Vec<(TurnId, String)>,
}

impl Store {
    /// Begins a scene with turns that were played elsewhere, and lets a person take
    /// part in it. It is stale until its end is shown.
    ///
    /// # Errors
    /// `Taken` where a scene is being played in that place; `NotFound` where the guild
    /// has no such character or person.
    #[instrument(name = "db.scene.import", skip_all, err(level = "debug"))]
    pub async fn import_scene(
        &self,
        guild: GuildId,
        new: &NewScene,
        person: PersonId,
        header: &str,
        turns: &[ImportedTurn],
    ) -> Result<Scene, StoreError> {
        let mut tx = self.pool.begin().await?;
        let scene = insert(&mut tx, guild, new).await?;
        sqlx::query!(
            "WITH headed AS (
                UPDATE scene SET source = $3::text::json, stale = true
                WHERE guild_id = $1 AND id = $2
             )
             INSERT INTO participant (guild_id, scene_id, person_id) VALUES ($1, $2, $4)",
            guild.0,
            scene.0,
            header,
            person.0,
        )
        .execute(&mut *tx)
        .await?;
        for turn in turns {
            put(&mut tx, guild, scene, turn).await?;
        }
        tx.commit().await?;
        let scene = self.get_scene(guild, scene).await?;
        scene.ok_or(StoreError::NotFound(Noun::Scene))
    }

    /// What is kept of the file that a scene came from; nothing for most scenes.
    #[instrument(name = "db.scene.get_source", skip(self), err(level = "debug"))]
    pub async fn get_scene_source(
        &self,
        guild: GuildId,
        scene: SceneId,
    ) -> Result<SceneSource, StoreError> {
        let header = sqlx::query_scalar!(
            "SELECT source::text FROM scene WHERE guild_id = $1 AND id = $2",
            guild.0,
            scene.0,
        )
        .fetch_optional(&self.pool)
        .await?;
        let rows = sqlx::query!(
            r#"SELECT id, source::text AS "source!" FROM turn
               WHERE guild_id = $1 AND scene_id = $2 AND source IS NOT NULL ORDER BY id"#,
            guild.0,
            scene.0,
        )
        .fetch_all(&self.pool)
        .await?;
        let lines = rows.into_iter().map(|row| (TurnId(row.id), row.source)).collect();
        Ok(SceneSource { header: header.flatten(), lines })
    }
}

async fn put(
    conn: &mut PgConnection,
    guild: GuildId,
    scene: SceneId,
    turn: &ImportedTurn,
) -> Result<(), StoreError> {
    let mut texts = turn.swipes.iter().cloned();
    let new = NewTurn {
        speaker: turn.speaker.clone(),
        text: texts.next().unwrap_or_default(),
        origin: match turn.speaker {
            Speaker::Character { .. } => SwipeOrigin::Generated,
            Speaker::Person { .. } => SwipeOrigin::Written,
        },
        receipt: None,
        alternates: texts.collect(),
    };
    let placed = place(conn, guild, scene, &new, None).await?;
    sqlx::query!(
        "UPDATE turn
         SET source = $3::text::json,
             created_at = coalesce($4, created_at),
             removed_at = CASE WHEN $5 THEN now() END,
             swipe_id = (SELECT id FROM swipe
                         WHERE guild_id = $1 AND turn_id = $2 AND ordinal = $6)
         WHERE guild_id = $1 AND id = $2",
        guild.0,
        placed.turn.0,
        &turn.source,
        turn.created_at,
        turn.is_removed,
        i32::try_from(turn.standing).unwrap_or(0),
    )
    .execute(conn)
    .await?;
    Ok(())
}
