//! Scenes and their settings.

use serde_json::Value;
use tracing::instrument;

use super::guard::GuildTx;
use super::moves::{NewTurn, place};
use super::seal::GuildSeal;
use super::text::{clean, clean_option};
use super::{Noun, Store, StoreError, row};
use crate::domain::{CharacterId, GuildId, Length, Note, Scene, SceneId, SceneState, TurnId};

/// A scene about to begin.
#[derive(Debug, Clone, Default)]
pub struct NewScene {
    /// The platform's id of the place it is played in.
    pub channel: String,
    /// What people call it.
    pub title: String,
    /// What happens in the story.
    pub scenario: String,
    /// The author's note, if any.
    pub note: Option<Note>,
    /// The chosen length.
    pub length: Option<Length>,
    /// The name of its sampling preset.
    pub preset: String,
    /// Who plays in it, in order.
    pub cast: Vec<CharacterId>,
    /// Its first turns: the greetings of the cast.
    pub greetings: Vec<NewTurn>,
}

/// What is to be changed of a scene; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct SceneUpdate {
    /// A new title.
    pub title: Option<String>,
    /// A new scenario.
    pub scenario: Option<String>,
    /// Another preset.
    pub preset: Option<String>,
    /// A note, or `Some(None)` to drop it.
    pub note: Option<Option<Note>>,
    /// A length, or `Some(None)` to leave it to the model.
    pub length: Option<Option<Length>>,
}

pub(super) struct SceneRow {
    pub(super) guild_id: i64,
    pub(super) id: i64,
    pub(super) channel: String,
    pub(super) title: String,
    pub(super) scenario: String,
    pub(super) note: Option<Value>,
    pub(super) length: Option<String>,
    pub(super) preset: String,
    pub(super) head_turn_id: Option<i64>,
    pub(super) anchor_turn_id: Option<i64>,
    pub(super) state: String,
}

impl SceneRow {
    pub(super) fn open(self, seal: &GuildSeal) -> Result<Scene, StoreError> {
        let row = self;
        let note = row.note.map(|note| seal.open_json(note)).transpose()?;
        let note = note.map(serde_json::from_value).transpose();
        let unreadable = |error: serde_json::Error| StoreError::Unreadable {
            noun: Noun::Scene,
            reason: error.to_string(),
        };
        Ok(Scene {
            id: SceneId(row.id),
            guild_id: GuildId(row.guild_id),
            channel: row.channel,
            title: row.title,
            scenario: seal.open(row.scenario)?,
            note: note.map_err(unreadable)?,
            length: row::length(Noun::Scene, row.length)?,
            preset: row.preset,
            head: row.head_turn_id.map(TurnId),
            anchor: row.anchor_turn_id.map(TurnId),
            state: row::scene_state(&row.state)?,
        })
    }
}

/// A query that yields scenes; given is what follows `FROM scene`.
macro_rules! select_scenes {
    ($tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            SceneRow,
            "SELECT scene.guild_id, scene.id, scene.channel, scene.title, scene.scenario,
                    scene.note, scene.length, scene.preset, scene.head_turn_id,
                    scene.anchor_turn_id, scene.state
             FROM scene " + $tail
            $(, $argument)*
        )
    };
}

impl Store {
    /// Begins a scene with its cast and greetings, in one transaction. It is stale
    /// until the greetings are shown.
    ///
    /// # Errors
    /// `Taken` where one is being played in that place; `NotFound` for a
    /// character that is not the guild's.
    #[instrument(name = "db.scene.insert", skip(self, new), err(level = "debug"))]
    pub async fn insert_scene(&self, guild: GuildId, new: &NewScene) -> Result<Scene, StoreError> {
        let mut tx = self.begin(guild).await?;
        let id = insert(&mut tx, guild, new).await?;
        let scene = get(&mut tx, guild, id).await?;
        tx.commit().await?;
        scene.ok_or(StoreError::NotFound(Noun::Scene))
    }

    /// Which lore sticks or rests in a scene, in the lore room's form.
    #[instrument(name = "db.scene.get_lore_effects", skip(self), err(level = "debug"))]
    pub async fn get_lore_effects(
        &self,
        guild: GuildId,
        scene: SceneId,
    ) -> Result<Option<Value>, StoreError> {
        let mut conn = self.read(guild).await?;
        let effects = sqlx::query_scalar!(
            "SELECT lore_effects FROM scene WHERE guild_id = $1 AND id = $2",
            guild.0,
            scene.0,
        )
        .fetch_optional(&mut *conn)
        .await?;
        effects.flatten().map(|effects| conn.seal.open_json(effects)).transpose()
    }

    /// Notes which lore sticks or rests.
    #[instrument(name = "db.scene.set_lore_effects", skip_all, err(level = "debug"))]
    pub async fn set_lore_effects(
        &self,
        guild: GuildId,
        scene: SceneId,
        effects: Option<&Value>,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin(guild).await?;
        sqlx::query!(
            "UPDATE scene SET lore_effects = $3 WHERE guild_id = $1 AND id = $2",
            guild.0,
            scene.0,
            effects.map(|effects| tx.seal.seal_json(effects)),
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// A scene by its key.
    #[instrument(name = "db.scene.get", skip(self), err(level = "debug"))]
    pub async fn get_scene(
        &self,
        guild: GuildId,
        scene: SceneId,
    ) -> Result<Option<Scene>, StoreError> {
        get(&mut self.read(guild).await?, guild, scene).await
    }

    /// The scene that is played in that place and not over, if any.
    #[instrument(name = "db.scene.get_by_channel", skip(self), err(level = "debug"))]
    pub async fn get_scene_by_channel(
        &self,
        guild: GuildId,
        channel: &str,
    ) -> Result<Option<Scene>, StoreError> {
        let mut conn = self.read(guild).await?;
        select_scenes!(
            "WHERE scene.guild_id = $1 AND scene.channel = $2 AND scene.state <> 'ended'",
            guild.0,
            &clean(channel),
        )
        .fetch_optional(&mut *conn)
        .await?
        .map(|row| row.open(&conn.seal))
        .transpose()
    }

    /// A guild's scenes, the latest begun first; those that are over only if
    /// asked for.
    #[instrument(name = "db.scene.list", skip(self), err(level = "debug"))]
    pub async fn list_scenes(
        &self,
        guild: GuildId,
        with_ended: bool,
        limit: u32,
    ) -> Result<Vec<Scene>, StoreError> {
        let mut conn = self.read(guild).await?;
        select_scenes!(
            "WHERE scene.guild_id = $1 AND ($2 OR scene.state <> 'ended')
             ORDER BY scene.id DESC LIMIT $3",
            guild.0,
            with_ended,
            i64::from(limit),
        )
        .fetch_all(&mut *conn)
        .await?
        .into_iter()
        .map(|row| row.open(&conn.seal))
        .collect()
    }

    /// Changes a scene's settings.
    ///
    /// # Errors
    /// `NotFound`.
    #[instrument(name = "db.scene.update", skip(self, update), err(level = "debug"))]
    pub async fn update_scene(
        &self,
        guild: GuildId,
        scene: SceneId,
        update: &SceneUpdate,
    ) -> Result<Scene, StoreError> {
        let mut tx = self.begin(guild).await?;
        let scene = sqlx::query_as!(
            SceneRow,
            "UPDATE scene
             SET title = coalesce($3, title),
                 scenario = coalesce($4, scenario),
                 preset = coalesce($5, preset),
                 note = CASE WHEN $6 THEN $7 ELSE note END,
                 length = CASE WHEN $8 THEN $9 ELSE length END,
                 updated_at = now()
             WHERE guild_id = $1 AND id = $2
             RETURNING guild_id, id, channel, title, scenario, note, length, preset,
                       head_turn_id, anchor_turn_id, state",
            guild.0,
            scene.0,
            clean_option(update.title.as_ref()),
            update.scenario.as_ref().map(|scenario| tx.seal.seal(scenario)),
            clean_option(update.preset.as_ref()),
            update.note.is_some(),
            update.note.as_ref().and_then(Option::as_ref).map(|note| note_column(note, &tx.seal)),
            update.length.is_some(),
            update.length.flatten().map(Length::as_str),
        )
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(StoreError::NotFound(Noun::Scene))?;
        let scene = scene.open(&tx.seal)?;
        tx.commit().await?;
        Ok(scene)
    }

    /// Plays on, pauses or ends a scene. While it is not active, nothing is written
    /// in it; what is written already is shown all the same.
    ///
    /// # Errors
    /// `NotFound`; `Taken` when an ended scene is to go on where another one is
    /// played by now.
    #[instrument(name = "db.scene.state", skip(self), err(level = "debug"))]
    pub async fn set_scene_state(
        &self,
        guild: GuildId,
        scene: SceneId,
        state: SceneState,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin(guild).await?;
        super::lane::lock(&mut tx, guild, scene).await?;
        sqlx::query!(
            "UPDATE scene SET state = $3, updated_at = now(),
                              ended_at = CASE WHEN $3 = 'ended' THEN coalesce(ended_at, now()) END
             WHERE guild_id = $1 AND id = $2",
            guild.0,
            scene.0,
            state.as_str(),
        )
        .execute(&mut *tx)
        .await?;
        sqlx::query!(
            "UPDATE lane SET paused = $3 WHERE guild_id = $1 AND scene_id = $2",
            guild.0,
            scene.0,
            state != SceneState::Active,
        )
        .execute(&mut *tx)
        .await?;
        sqlx::query!(
            "UPDATE job SET resting = $3 OR guild.left_at IS NOT NULL
                                    OR guild.frozen_at IS NOT NULL
             FROM guild
             WHERE job.guild_id = $1 AND job.scene_id = $2 AND guild.id = $1
               AND job.state IN ('queued', 'claimed', 'generated', 'sending')",
            guild.0,
            scene.0,
            state != SceneState::Active,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        self.bell.ring();
        Ok(())
    }

    /// Remembers the oldest turn that the last prompt kept.
    ///
    /// # Errors
    /// `NotFound` for a turn that is not the scene's.
    #[instrument(name = "db.scene.anchor", skip(self), err(level = "debug"))]
    pub async fn set_anchor(
        &self,
        guild: GuildId,
        scene: SceneId,
        anchor: Option<TurnId>,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin(guild).await?;
        let done = sqlx::query!(
            "UPDATE scene SET anchor_turn_id = $3 WHERE guild_id = $1 AND id = $2",
            guild.0,
            scene.0,
            anchor.map(|turn| turn.0),
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::NotFound(Noun::Scene));
        }
        Ok(())
    }
}

/// Writes down a scene with its cast and its first turns.
pub(super) async fn insert(
    conn: &mut GuildTx,
    guild: GuildId,
    new: &NewScene,
) -> Result<SceneId, StoreError> {
    let id = sqlx::query_scalar!(
        "INSERT INTO scene (guild_id, channel, title, scenario, note, length, preset, stale)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id",
        guild.0,
        &clean(&new.channel),
        &clean(&new.title),
        conn.seal.seal(&new.scenario),
        new.note.as_ref().map(|note| note_column(note, &conn.seal)),
        new.length.map(Length::as_str),
        &clean(&new.preset),
        !new.greetings.is_empty(),
    )
    .fetch_one(&mut **conn)
    .await?;
    sqlx::query!("INSERT INTO lane (guild_id, scene_id) VALUES ($1, $2)", guild.0, id)
        .execute(&mut **conn)
        .await?;
    for character in &new.cast {
        sqlx::query!(
            "INSERT INTO cast_member (guild_id, scene_id, character_id) VALUES ($1, $2, $3)",
            guild.0,
            id,
            character.0,
        )
        .execute(&mut **conn)
        .await?;
    }
    for turn in &new.greetings {
        place(conn, guild, SceneId(id), turn, None).await?;
    }
    Ok(SceneId(id))
}

pub(super) async fn get(
    conn: &mut GuildTx,
    guild: GuildId,
    scene: SceneId,
) -> Result<Option<Scene>, StoreError> {
    select_scenes!("WHERE scene.guild_id = $1 AND scene.id = $2", guild.0, scene.0)
        .fetch_optional(&mut **conn)
        .await?
        .map(|row| row.open(&conn.seal))
        .transpose()
}

fn note_column(note: &Note, seal: &GuildSeal) -> Value {
    seal.seal_json(&serde_json::to_value(note).expect("a note is plain data"))
}
