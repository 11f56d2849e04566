//! A scene that comes from a chat played elsewhere: all of it, or nothing.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use tracing::instrument;

use super::moves::place;
use super::scene::insert;
use super::{NewScene, NewTurn, Noun, Store, StoreError, character};
use crate::domain::{
    CharacterId, CharacterSheet, GuildId, PersonId, Scene, SceneId, Speaker, SwipeOrigin, TurnId,
};

/// A chat that was played elsewhere, about to become a scene.
#[derive(Debug, Clone)]
pub struct NewImport {
    /// The scene; its cast is the chat's.
    pub scene: NewScene,
    /// Who plays.
    pub cast: Vec<ImportedMember>,
    /// Who takes part, and said what people say.
    pub person: PersonId,
    /// The head of the file, as JSON text.
    pub header: String,
    /// What was said, in order.
    pub turns: Vec<ImportedTurn>,
}

/// A character of a chat.
#[derive(Debug, Clone)]
pub enum ImportedMember {
    /// One that the guild has.
    Known(CharacterId),
    /// One that is made for it.
    New(CharacterSheet),
}

/// A turn that was played elsewhere.
#[derive(Debug, Clone)]
pub struct ImportedTurn {
    /// Which of the cast spoke; `None` is the person.
    pub member: Option<usize>,
    /// The name of that time.
    pub name: String,
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
    /// part in it; all of it or nothing. It is stale until its end is shown.
    ///
    /// # Errors
    /// `Taken` where a scene is being played in that place, or a new character has
    /// another's name; `NotFound` where the guild has no such character or person.
    #[instrument(name = "db.scene.import", skip_all, err(level = "debug"))]
    pub async fn import_scene(
        &self,
        guild: GuildId,
        import: &NewImport,
    ) -> Result<Scene, StoreError> {
        let mut tx = self.pool.begin().await?;
        let mut cast = Vec::with_capacity(import.cast.len());
        for member in &import.cast {
            cast.push(match member {
                ImportedMember::Known(id) => *id,
                ImportedMember::New(sheet) => character::insert(&mut tx, guild, sheet).await?,
            });
        }
        let new = NewScene { cast, ..import.scene.clone() };
        let scene = insert(&mut tx, guild, &new).await?;
        sqlx::query!(
            "WITH headed AS (
                UPDATE scene SET source = $3::text::json, stale = true
                WHERE guild_id = $1 AND id = $2
             )
             INSERT INTO participant (guild_id, scene_id, person_id) VALUES ($1, $2, $4)",
            guild.0,
            scene.0,
            &import.header,
            import.person.0,
        )
        .execute(&mut *tx)
        .await?;
        for turn in &import.turns {
            let name = turn.name.clone();
            let member = turn.member.and_then(|index| new.cast.get(index));
            let speaker = match member {
                Some(&id) => Speaker::Character { id, name },
                None => Speaker::Person { id: import.person, name },
            };
            put(&mut tx, guild, scene, speaker, turn).await?;
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
    speaker: Speaker,
    turn: &ImportedTurn,
) -> Result<(), StoreError> {
    let mut texts = turn.swipes.iter().cloned();
    let new = NewTurn {
        text: texts.next().unwrap_or_default(),
        origin: match speaker {
            Speaker::Character { .. } => SwipeOrigin::Generated,
            Speaker::Person { .. } => SwipeOrigin::Written,
        },
        speaker,
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
