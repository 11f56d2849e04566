//! A scene that comes from a chat played elsewhere: all of it, or nothing.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use tracing::instrument;

use super::guard::GuildTx;
use super::scene::insert;
use super::text::clean;
use super::{NewScene, Noun, Store, StoreError, character};
use crate::domain::{
    CharacterId, CharacterSheet, GuildId, PersonId, Scene, SceneId, SwipeOrigin, TurnId,
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
    New(Box<CharacterSheet>),
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
        let mut tx = self.begin(guild).await?;
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
            tx.seal.seal_file(&import.header),
            import.person.0,
        )
        .execute(&mut *tx)
        .await?;
        put(&mut tx, guild, scene, &new.cast, import).await?;
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
        let mut conn = self.read(guild).await?;
        let header = sqlx::query_scalar!(
            "SELECT source::text FROM scene WHERE guild_id = $1 AND id = $2",
            guild.0,
            scene.0,
        )
        .fetch_optional(&mut *conn)
        .await?;
        let rows = sqlx::query!(
            r#"SELECT id, source::text AS "source!" FROM turn
               WHERE guild_id = $1 AND scene_id = $2 AND source IS NOT NULL ORDER BY id"#,
            guild.0,
            scene.0,
        )
        .fetch_all(&mut *conn)
        .await?;
        let header = header.flatten().map(|header| conn.seal.open_file(header)).transpose()?;
        let lines = rows
            .into_iter()
            .map(|row| Ok::<_, StoreError>((TurnId(row.id), conn.seal.open_file(row.source)?)));
        Ok(SceneSource { header, lines: lines.collect::<Result<_, _>>()? })
    }
}

/// Writes down all turns with their texts in one statement: each table refers to the
/// other, and a chat may be long.
async fn put(
    conn: &mut GuildTx,
    guild: GuildId,
    scene: SceneId,
    cast: &[CharacterId],
    import: &NewImport,
) -> Result<(), StoreError> {
    let num_swipes: usize = import.turns.iter().map(|turn| turn.swipes.len().max(1)).sum();
    let turn_ids = keys(conn, "turn_id_seq", import.turns.len()).await?;
    let swipe_ids = keys(conn, "swipe_id_seq", num_swipes).await?;
    let mut rows = Rows::default();
    let mut swipe_ids = swipe_ids.into_iter();
    let mut parent = None;
    for (turn, id) in import.turns.iter().zip(turn_ids) {
        let character = turn.member.and_then(|index| cast.get(index)).map(|id| id.0);
        let origin = match character {
            Some(_) => SwipeOrigin::Generated,
            None => SwipeOrigin::Written,
        };
        let own: Vec<i64> = swipe_ids.by_ref().take(turn.swipes.len().max(1)).collect();
        rows.standing.push(*own.get(turn.standing).unwrap_or(&own[0]));
        for (ordinal, swipe) in own.iter().enumerate() {
            let text = turn.swipes.get(ordinal).map_or("", String::as_str);
            rows.swipe_turn.push(id);
            rows.swipe_id.push(*swipe);
            rows.ordinal.push(i32::try_from(ordinal).unwrap_or(i32::MAX));
            rows.text.push(conn.seal.seal(text));
            rows.origin.push(origin.as_str().to_owned());
            rows.said_at.push(turn.created_at);
        }
        rows.id.push(id);
        rows.parent.push(parent.replace(id));
        rows.character.push(character);
        rows.person.push(character.is_none().then_some(import.person.0));
        rows.name.push(clean(&turn.name).into_owned());
        rows.created_at.push(turn.created_at);
        rows.is_removed.push(turn.is_removed);
        rows.source.push(conn.seal.seal_file(&turn.source));
    }
    rows.insert(conn, guild, scene, parent).await
}

/// New keys of a sequence, in order.
async fn keys(
    conn: &mut PgConnection,
    sequence: &str,
    count: usize,
) -> Result<Vec<i64>, StoreError> {
    let count = i32::try_from(count).unwrap_or(i32::MAX);
    Ok(sqlx::query_scalar!(
        r#"SELECT nextval($1::text::regclass) AS "key!" FROM generate_series(1, $2)"#,
        sequence,
        count,
    )
    .fetch_all(conn)
    .await?)
}

/// The columns of the turns and of their texts.
#[derive(Default)]
struct Rows {
    id: Vec<i64>,
    parent: Vec<Option<i64>>,
    character: Vec<Option<i64>>,
    person: Vec<Option<i64>>,
    name: Vec<String>,
    standing: Vec<i64>,
    created_at: Vec<Option<DateTime<Utc>>>,
    is_removed: Vec<bool>,
    source: Vec<String>,
    swipe_turn: Vec<i64>,
    swipe_id: Vec<i64>,
    ordinal: Vec<i32>,
    text: Vec<String>,
    origin: Vec<String>,
    said_at: Vec<Option<DateTime<Utc>>>,
}

impl Rows {
    async fn insert(
        self,
        conn: &mut PgConnection,
        guild: GuildId,
        scene: SceneId,
        head: Option<i64>,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "WITH new_turn AS (
                INSERT INTO turn (guild_id, scene_id, id, parent_id, character_id, person_id,
                                  speaker_name, swipe_id, created_at, removed_at, source)
                SELECT $1, $2, came.id, came.parent_id, came.character_id, came.person_id,
                       came.name, came.swipe_id, coalesce(came.created_at, now()),
                       CASE WHEN came.is_removed THEN now() END, came.source::json
                FROM unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[],
                            $8::bigint[], $9::timestamptz[], $10::boolean[], $11::text[])
                     AS came (id, parent_id, character_id, person_id, name, swipe_id,
                              created_at, is_removed, source)
             ), new_swipe AS (
                INSERT INTO swipe (guild_id, turn_id, id, ordinal, text, origin, created_at)
                SELECT $1, came.turn_id, came.id, came.ordinal, came.text, came.origin,
                       coalesce(came.said_at, now())
                FROM unnest($12::bigint[], $13::bigint[], $14::integer[], $15::text[],
                            $16::text[], $17::timestamptz[])
                     AS came (turn_id, id, ordinal, text, origin, said_at)
             )
             UPDATE scene SET head_turn_id = $18 WHERE guild_id = $1 AND id = $2",
            guild.0,
            scene.0,
            &self.id,
            &self.parent as &[Option<i64>],
            &self.character as &[Option<i64>],
            &self.person as &[Option<i64>],
            &self.name,
            &self.standing,
            &self.created_at as &[Option<DateTime<Utc>>],
            &self.is_removed,
            &self.source,
            &self.swipe_turn,
            &self.swipe_id,
            &self.ordinal,
            &self.text,
            &self.origin,
            &self.said_at as &[Option<DateTime<Utc>>],
            head,
        )
        .execute(conn)
        .await?;
        Ok(())
    }
}
