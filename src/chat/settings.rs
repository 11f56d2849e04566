//! Changing a scene: its settings and its cast.

use crate::domain::{Character, CharacterId, GuildId, Length, Note, Scene, SceneId};
use crate::moderation::Door;
use crate::prompt::{Prompt, look_alike};
use crate::store::{SceneUpdate, StoreError};

use super::lore::LoreReport;
use super::view::{Casting, Made};
use super::{Chat, ChatError};

/// The most characters of a name: what platforms allow, too.
const MAX_NAME_CHARS: usize = 80;

/// A name as it may head turns: on one line, without control characters.
///
/// # Errors
/// Nothing is left of it, or it is too long.
pub fn clean_name(name: &str) -> Result<String, ChatError> {
    let visible: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let name = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    if name.is_empty() || name.chars().count() > MAX_NAME_CHARS {
        return Err(ChatError::refused(format!("a name has 1 to {MAX_NAME_CHARS} characters")));
    }
    Ok(name)
}

impl Chat {
    /// Chooses how long replies are; `None` leaves it to the model.
    ///
    /// # Errors
    /// There is no such scene, or the database fails.
    pub async fn set_length(
        &self,
        guild: GuildId,
        scene: SceneId,
        length: Option<Length>,
    ) -> Result<Scene, ChatError> {
        let update = SceneUpdate { length: Some(length), ..SceneUpdate::default() };
        Ok(self.store.update_scene(guild, scene, &update).await?)
    }

    /// Says what happens in the story.
    ///
    /// # Errors
    /// The text is too long, there is no such scene, or the database fails.
    pub async fn set_scenario(
        &self,
        guild: GuildId,
        scene: SceneId,
        scenario: &str,
    ) -> Result<Scene, ChatError> {
        let scenario = self.clean_turn(scenario)?;
        let scenario = Some(
            self.library.rules(guild, Some(scene)).await?.pass(Door::Prompt, &scenario).await?,
        );
        let update = SceneUpdate { scenario, ..SceneUpdate::default() };
        Ok(self.store.update_scene(guild, scene, &update).await?)
    }

    /// Says nothing of what happens in the story.
    ///
    /// # Errors
    /// There is no such scene, or the database fails.
    pub async fn clear_scenario(&self, guild: GuildId, scene: SceneId) -> Result<Scene, ChatError> {
        let update = SceneUpdate { scenario: Some(String::new()), ..SceneUpdate::default() };
        Ok(self.store.update_scene(guild, scene, &update).await?)
    }

    /// Puts a note to the model between the turns, or takes it away.
    ///
    /// # Errors
    /// The note is empty or too long, there is no such scene, or the database
    /// fails.
    pub async fn set_note(
        &self,
        guild: GuildId,
        scene: SceneId,
        note: Option<Note>,
    ) -> Result<Scene, ChatError> {
        let note = match note {
            Some(note) => {
                let text = self.clean_turn(&note.text)?;
                let text =
                    self.library.rules(guild, Some(scene)).await?.pass(Door::Prompt, &text).await?;
                Some(Note { text, ..note })
            }
            None => None,
        };
        let update = SceneUpdate { note: Some(note), ..SceneUpdate::default() };
        Ok(self.store.update_scene(guild, scene, &update).await?)
    }

    /// Chooses the sampling preset.
    ///
    /// # Errors
    /// There is no preset of that name, or no such scene, or the database fails.
    pub async fn set_preset(
        &self,
        guild: GuildId,
        scene: SceneId,
        preset: &str,
    ) -> Result<Scene, ChatError> {
        self.sampler_params(guild, preset).await?;
        let update = SceneUpdate { preset: Some(preset.to_owned()), ..SceneUpdate::default() };
        Ok(self.store.update_scene(guild, scene, &update).await?)
    }

    /// Brings a character into a scene.
    ///
    /// # Errors
    /// Somebody else is there under that name, the guild has no such scene or
    /// character, or the database fails.
    pub async fn add_to_cast(
        &self,
        guild: GuildId,
        scene: SceneId,
        character: &Character,
    ) -> Result<(), ChatError> {
        let name = character.sheet.stage_name();
        let people = self.store.list_participants(guild, scene).await?;
        if people.iter().any(|person| look_alike(person.name(), name)) {
            return Err(ChatError::refused(format!(
                "somebody plays under the name {name} already; /persona chooses another"
            )));
        }
        // Names are unique in a guild's library, nicknames are not.
        let cast = self.store.list_cast(guild, scene).await?;
        let others = cast.iter().map(|member| &member.character).filter(|c| c.id != character.id);
        if others.into_iter().any(|other| look_alike(other.sheet.stage_name(), name)) {
            return Err(ChatError::refused(format!(
                "another character called {name} is in the scene already"
            )));
        }
        Ok(self.store.upsert_cast_member(guild, scene, character.id, None).await?)
    }

    /// Takes a character out of a scene; its turns stay.
    ///
    /// # Errors
    /// It was not in it, or it is the last one, or the database fails.
    pub async fn remove_from_cast(
        &self,
        guild: GuildId,
        scene: SceneId,
        character: CharacterId,
    ) -> Result<(), ChatError> {
        let cast = self.store.list_cast(guild, scene).await?;
        if cast.len() == 1 && cast[0].character.id == character {
            return Err(ChatError::refused(
                "that would leave nobody to answer; bring somebody in first",
            ));
        }
        if !self.store.remove_cast_member(guild, scene, character).await? {
            return Err(ChatError::refused("that character is not in the scene"));
        }
        Ok(())
    }

    /// Chooses how long one character's replies are in a scene; `None` takes the
    /// scene's length.
    ///
    /// # Errors
    /// The character is not in the scene, or the database fails.
    pub async fn set_cast_length(
        &self,
        guild: GuildId,
        scene: SceneId,
        character: CharacterId,
        length: Option<Length>,
    ) -> Result<(), ChatError> {
        match self.store.set_cast_length(guild, scene, character, length).await {
            Err(StoreError::NotFound(_)) => {
                Err(ChatError::refused("that character is not in the scene"))
            }
            set => Ok(set?),
        }
    }

    /// What the next reply would be told.
    ///
    /// # Errors
    /// No prompt can be made, or the database fails.
    pub async fn preview_prompt(
        &self,
        guild: GuildId,
        scene: SceneId,
    ) -> Result<Preview, ChatError> {
        let view = self.view(guild, scene, None).await?;
        let length = view.length(0, None);
        let budget = view.budget(self.settings.max_tokens(length));
        let casting = Casting {
            answering: 0,
            length,
            continuation: None,
            trigger: "normal",
            num_expected: 0,
        };
        let Made { prompt, lore, .. } = view.prompt(self, casting, budget).await?;
        Ok(Preview { prompt, lore, reply_tokens: budget.reply_tokens })
    }
}

/// What the next reply would be told.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// The prompt.
    pub prompt: Prompt,
    /// What lore did for it.
    pub lore: LoreReport,
    /// How many tokens are kept for the reply.
    pub reply_tokens: usize,
}
