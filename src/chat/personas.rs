//! Whom people play, in a whole guild or in one scene.

use crate::domain::{GuildId, Participant, PersonId, Persona, SceneId};
use crate::moderation::Door;
use crate::prompt::look_alike;

use super::{Chat, ChatError, clean_name};

/// In how many scenes a name is looked for when a persona is chosen for a guild.
const MAX_SCENES: u32 = 50;

/// Where a persona is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersonaScope {
    /// Wherever a scene says nothing else.
    Guild,
    /// In that scene.
    Scene(SceneId),
}

impl Chat {
    /// Lets a person play somebody.
    ///
    /// # Errors
    /// The name is empty or too long, somebody else has it in a scene where it would
    /// be played, or the database fails.
    pub async fn set_persona(
        &self,
        guild: GuildId,
        scope: PersonaScope,
        person: PersonId,
        name: &str,
        description: &str,
    ) -> Result<Persona, ChatError> {
        let name = clean_name(name)?;
        let description = self.clean_text(description)?;
        let rules = self.library.rules(guild, None).await?;
        rules.pass(Door::Card, &name).await?;
        let description = rules.pass(Door::Card, &description).await?;
        let scenes = match scope {
            PersonaScope::Guild => {
                self.store.list_scenes_as_in_guild(guild, person, MAX_SCENES).await?
            }
            PersonaScope::Scene(scene) => vec![scene],
        };
        for scene in scenes {
            self.name_is_free(guild, scene, person, &name).await?;
        }
        let persona = self.store.upsert_persona(guild, person, &name, &description).await?;
        self.choose_persona(guild, scope, person, Some(&persona)).await?;
        Ok(persona)
    }

    /// Lets a person play nobody: they write under their own name, or in a scene as
    /// whom they play in the guild.
    ///
    /// # Errors
    /// The guild has no such person or scene, or the database fails.
    pub async fn clear_persona(
        &self,
        guild: GuildId,
        scope: PersonaScope,
        person: PersonId,
    ) -> Result<(), ChatError> {
        self.choose_persona(guild, scope, person, None).await
    }

    /// Whom a person plays there, if they said so.
    ///
    /// # Errors
    /// The database fails.
    pub async fn persona_of(
        &self,
        guild: GuildId,
        scope: PersonaScope,
        person: PersonId,
    ) -> Result<Option<Persona>, ChatError> {
        if let PersonaScope::Scene(scene) = scope {
            let people = self.store.list_participants(guild, scene).await?;
            if let Some(found) = people.into_iter().find(|other| other.person.id == person) {
                return Ok(found.persona);
            }
        }
        Ok(self.store.get_guild_persona(guild, person).await?)
    }

    async fn choose_persona(
        &self,
        guild: GuildId,
        scope: PersonaScope,
        person: PersonId,
        persona: Option<&Persona>,
    ) -> Result<(), ChatError> {
        let persona = persona.map(|persona| persona.id);
        match scope {
            PersonaScope::Guild => self.store.set_guild_persona(guild, person, persona).await?,
            PersonaScope::Scene(scene) => {
                self.store.set_scene_persona(guild, scene, person, persona).await?;
            }
        }
        Ok(())
    }

    /// Two under one name cannot be told apart by the model, nor by its stops.
    async fn name_is_free(
        &self,
        guild: GuildId,
        scene: SceneId,
        person: PersonId,
        name: &str,
    ) -> Result<(), ChatError> {
        let cast = self.store.list_cast(guild, scene).await?;
        let people = self.store.list_participants(guild, scene).await?;
        let others = people.iter().filter(|other| other.person.id != person);
        let mut taken = cast
            .iter()
            .map(|member| member.character.sheet.stage_name())
            .chain(others.map(Participant::name));
        match taken.find(|taken| look_alike(taken, name)) {
            Some(taken) => Err(ChatError::refused(format!(
                "somebody called {taken} is in the scene already; choose another name"
            ))),
            None => Ok(()),
        }
    }
}
