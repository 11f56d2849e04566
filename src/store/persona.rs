//! Whom people play: personas, and which of them is played where.

use tracing::instrument;

use super::seal::GuildSeal;
use super::text::{clean, name_key};
use super::{Noun, Store, StoreError, row};
use crate::domain::{GuildId, Participant, Person, PersonId, Persona, PersonaId, SceneId};

struct ParticipantRow {
    guild_id: i64,
    id: i64,
    external_id: String,
    display_name: String,
    persona_id: Option<i64>,
    persona_name: Option<String>,
    persona_description: Option<String>,
}

impl ParticipantRow {
    fn open(self, seal: &GuildSeal) -> Result<Participant, StoreError> {
        let row = self;
        let description = seal.open_option(row.persona_description)?;
        let (guild_id, person_id) = (GuildId(row.guild_id), PersonId(row.id));
        Ok(Participant {
            person: Person {
                id: person_id,
                guild_id,
                external_id: row.external_id,
                display_name: row.display_name,
            },
            persona: row.persona_id.map(|id| Persona {
                id: PersonaId(id),
                guild_id,
                person_id,
                name: row.persona_name.unwrap_or_default(),
                description: description.unwrap_or_default(),
            }),
        })
    }
}

/// A query that yields participants; given is what follows the joins.
macro_rules! select_participants {
    ($tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            ParticipantRow,
            r#"SELECT person.guild_id, person.id, person.external_id, person.display_name,
                      persona.id AS "persona_id?", persona.name AS "persona_name?",
                      persona.description AS "persona_description?"
               FROM participant
               JOIN person ON person.guild_id = participant.guild_id
                          AND person.id = participant.person_id
               LEFT JOIN persona
                      ON persona.guild_id = participant.guild_id
                     AND persona.id = coalesce(participant.persona_id, person.persona_id)
               "# + $tail
            $(, $argument)*
        )
    };
}

impl Store {
    /// A person's persona of that name, made or given a new description. It is
    /// played only once it is chosen, for the guild or for a scene.
    #[instrument(name = "db.persona.upsert", skip(self, name, description), err(level = "debug"))]
    pub async fn upsert_persona(
        &self,
        guild: GuildId,
        person: PersonId,
        name: &str,
        description: &str,
    ) -> Result<Persona, StoreError> {
        let mut tx = self.begin(guild).await?;
        let (name, description) = (clean(name), clean(description));
        let sealed = tx.seal.seal(&description);
        let id = sqlx::query_scalar!(
            "INSERT INTO persona (guild_id, person_id, name, name_key, description)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (guild_id, person_id, name_key) DO UPDATE
             SET name = excluded.name, description = excluded.description, updated_at = now()
             RETURNING id",
            guild.0,
            person.0,
            &name,
            name_key(&name),
            sealed,
        )
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(Persona {
            id: PersonaId(id),
            guild_id: guild,
            person_id: person,
            name: name.into_owned(),
            description: description.into_owned(),
        })
    }

    /// All personas of a person, by name.
    #[instrument(name = "db.persona.list", skip(self), err(level = "debug"))]
    pub async fn list_personas(
        &self,
        guild: GuildId,
        person: PersonId,
    ) -> Result<Vec<Persona>, StoreError> {
        let mut conn = self.read(guild).await?;
        let rows = sqlx::query!(
            "SELECT id, name, description FROM persona
             WHERE guild_id = $1 AND person_id = $2 ORDER BY name_key",
            guild.0,
            person.0,
        )
        .fetch_all(&mut *conn)
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(Persona {
                    id: PersonaId(row.id),
                    guild_id: guild,
                    person_id: person,
                    name: row.name,
                    description: conn.seal.open(row.description)?,
                })
            })
            .collect()
    }

    /// Chooses whom a person plays wherever a scene says nothing else.
    ///
    /// # Errors
    /// `NotFound` for a persona that is not theirs.
    #[instrument(name = "db.persona.choose", skip(self), err(level = "debug"))]
    pub async fn set_guild_persona(
        &self,
        guild: GuildId,
        person: PersonId,
        persona: Option<PersonaId>,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin(guild).await?;
        let done = sqlx::query!(
            "UPDATE person SET persona_id = $3 WHERE guild_id = $1 AND id = $2",
            guild.0,
            person.0,
            persona.map(|id| id.0),
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::NotFound(Noun::Person));
        }
        Ok(())
    }

    /// Chooses whom a person plays in one scene, which they join by it. `None`
    /// falls back to their persona in the guild.
    ///
    /// # Errors
    /// `NotFound` for a persona that is not theirs, or no such scene or person.
    #[instrument(name = "db.participant.persona", skip(self), err(level = "debug"))]
    pub async fn set_scene_persona(
        &self,
        guild: GuildId,
        scene: SceneId,
        person: PersonId,
        persona: Option<PersonaId>,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin(guild).await?;
        sqlx::query!(
            "INSERT INTO participant (guild_id, scene_id, person_id, persona_id)
             VALUES ($1, $2, $3, $4)
             ON CONFLICT (guild_id, scene_id, person_id) DO UPDATE
             SET persona_id = excluded.persona_id",
            guild.0,
            scene.0,
            person.0,
            persona.map(|id| id.0),
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Lets a person take part in a scene; no change if they do already. Gives them
    /// with whom they play there.
    ///
    /// # Errors
    /// `NotFound` where the guild has no such scene or person.
    #[instrument(name = "db.participant.insert", skip(self), err(level = "debug"))]
    pub async fn insert_participant(
        &self,
        guild: GuildId,
        scene: SceneId,
        person: PersonId,
    ) -> Result<Participant, StoreError> {
        let mut tx = self.begin(guild).await?;
        sqlx::query!(
            "INSERT INTO participant (guild_id, scene_id, person_id) VALUES ($1, $2, $3)
             ON CONFLICT DO NOTHING",
            guild.0,
            scene.0,
            person.0,
        )
        .execute(&mut *tx)
        .await?;
        let participant = select_participants!(
            "WHERE participant.guild_id = $1 AND participant.scene_id = $2 AND person.id = $3",
            guild.0,
            scene.0,
            person.0,
        )
        .fetch_optional(&mut *tx)
        .await?;
        let participant = participant.ok_or(StoreError::NotFound(Noun::Person))?;
        let participant = participant.open(&tx.seal)?;
        tx.commit().await?;
        Ok(participant)
    }

    /// Whom a person plays wherever a scene says nothing else.
    #[instrument(name = "db.persona.get_guild", skip(self), err(level = "debug"))]
    pub async fn get_guild_persona(
        &self,
        guild: GuildId,
        person: PersonId,
    ) -> Result<Option<Persona>, StoreError> {
        let mut conn = self.read(guild).await?;
        let row = sqlx::query!(
            "SELECT persona.id, persona.name, persona.description
             FROM person JOIN persona ON persona.guild_id = person.guild_id
                                     AND persona.id = person.persona_id
             WHERE person.guild_id = $1 AND person.id = $2",
            guild.0,
            person.0,
        )
        .fetch_optional(&mut *conn)
        .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Persona {
            id: PersonaId(row.id),
            guild_id: guild,
            person_id: person,
            name: row.name,
            description: conn.seal.open(row.description)?,
        }))
    }

    /// The scenes that are not over in which a person takes part and plays whom they
    /// play in the guild, the latest begun first, at most `limit`.
    #[instrument(name = "db.participant.list_scenes", skip(self), err(level = "debug"))]
    pub async fn list_scenes_as_in_guild(
        &self,
        guild: GuildId,
        person: PersonId,
        limit: u32,
    ) -> Result<Vec<SceneId>, StoreError> {
        let mut conn = self.read(guild).await?;
        let ids = sqlx::query_scalar!(
            "SELECT scene.id
             FROM participant
             JOIN scene ON scene.guild_id = participant.guild_id
                       AND scene.id = participant.scene_id
             WHERE participant.guild_id = $1 AND participant.person_id = $2
               AND participant.persona_id IS NULL AND scene.state <> 'ended'
             ORDER BY scene.id DESC LIMIT $3",
            guild.0,
            person.0,
            i64::from(limit),
        )
        .fetch_all(&mut *conn)
        .await?;
        Ok(ids.into_iter().map(SceneId).collect())
    }

    /// How many scenes that are not over a person began: those in which they take part before
    /// anybody else.
    #[instrument(name = "db.participant.count_begun", skip(self), err(level = "debug"))]
    pub async fn count_scenes_begun(
        &self,
        guild: GuildId,
        person: PersonId,
    ) -> Result<u32, StoreError> {
        let mut conn = self.read(guild).await?;
        let count = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!"
               FROM participant
               JOIN scene ON scene.guild_id = participant.guild_id
                         AND scene.id = participant.scene_id
               WHERE participant.guild_id = $1 AND participant.person_id = $2
                 AND scene.state <> 'ended'
                 AND NOT EXISTS (
                    SELECT FROM participant AS other
                    WHERE other.guild_id = participant.guild_id
                      AND other.scene_id = participant.scene_id
                      AND (other.joined_at, other.person_id)
                          < (participant.joined_at, participant.person_id))"#,
            guild.0,
            person.0,
        )
        .fetch_one(&mut *conn)
        .await?;
        Ok(row::count(count))
    }

    /// How many scenes that whoever began a scene had begun before were open then.
    #[instrument(name = "db.participant.count_begun_before", skip(self), err(level = "debug"))]
    pub async fn count_scenes_begun_before(
        &self,
        guild: GuildId,
        scene: SceneId,
    ) -> Result<u32, StoreError> {
        let mut conn = self.read(guild).await?;
        let count = sqlx::query_scalar!(
            r#"WITH opener AS (
                SELECT DISTINCT ON (scene_id) scene_id, person_id FROM participant
                WHERE guild_id = $1 ORDER BY scene_id, joined_at, person_id
               )
               SELECT count(*) AS "count!"
               FROM scene AS this
               JOIN opener AS here ON here.scene_id = this.id
               JOIN opener AS there ON there.person_id = here.person_id
               JOIN scene AS other ON other.guild_id = $1 AND other.id = there.scene_id
               WHERE this.guild_id = $1 AND this.id = $2
                 AND (other.created_at, other.id) < (this.created_at, this.id)
                 AND (other.ended_at IS NULL OR other.ended_at > this.created_at)"#,
            guild.0,
            scene.0,
        )
        .fetch_one(&mut *conn)
        .await?;
        Ok(row::count(count))
    }

    /// The people of a scene, in the order of joining, each with whom they play
    /// there.
    #[instrument(name = "db.participant.list", skip(self), err(level = "debug"))]
    pub async fn list_participants(
        &self,
        guild: GuildId,
        scene: SceneId,
    ) -> Result<Vec<Participant>, StoreError> {
        let mut conn = self.read(guild).await?;
        let rows = select_participants!(
            "WHERE participant.guild_id = $1 AND participant.scene_id = $2
             ORDER BY participant.joined_at, person.id",
            guild.0,
            scene.0,
        )
        .fetch_all(&mut *conn)
        .await?;
        rows.into_iter().map(|row| row.open(&conn.seal)).collect()
    }
}
