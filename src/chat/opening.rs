//! Opening a scene: its characters enter and the first of them greets.

use crate::domain::{Character, GuildId, Length, Scene, Speaker, SwipeOrigin};
use crate::prompt::{MacroContext, expand};
use crate::store::{NewScene, NewTurn};

use super::{Chat, ChatError, starters};

/// A scene about to begin.
#[derive(Debug, Clone)]
pub struct Opening<'a> {
    /// The guild.
    pub guild: GuildId,
    /// The platform's id of the place.
    pub channel: String,
    /// Who plays; the first greets, and lends the scene its scenario.
    pub cast: &'a [Character],
    /// The name of the person who begins it, for `{{user}}` in greetings.
    pub user: &'a str,
    /// The length; `None` takes the default of the house.
    pub length: Option<Option<Length>>,
}

impl Chat {
    /// Opens a scene, greeting included, in one transaction.
    ///
    /// # Errors
    /// One is being played there already, the cast is empty, or the database
    /// fails.
    pub async fn open_scene(&self, opening: Opening<'_>) -> Result<Scene, ChatError> {
        let lead = opening
            .cast
            .first()
            .ok_or_else(|| ChatError::refused("a scene needs at least one character"))?;
        let new = NewScene {
            channel: opening.channel,
            title: lead.sheet.stage_name().to_owned(),
            scenario: lead.sheet.scenario.clone(),
            note: None,
            length: opening.length.unwrap_or(self.settings.default_length),
            preset: self.settings.default_preset.clone(),
            cast: opening.cast.iter().map(|character| character.id).collect(),
            greetings: self.greeting(lead, opening.user).into_iter().collect(),
        };
        Ok(self.store.insert_scene(opening.guild, &new).await?)
    }

    /// The first turn of a character, with its alternatives; `None` if it has no
    /// greeting.
    fn greeting(&self, character: &Character, user: &str) -> Option<NewTurn> {
        let name = character.sheet.stage_name();
        let context = MacroContext {
            character: name,
            user,
            original: None,
            now: self.clock.now().fixed_offset(),
            seed: character.id.0.unsigned_abs(),
            place: "greeting",
        };
        let mut greetings = character.sheet.greetings().map(|greeting| expand(greeting, &context));
        Some(NewTurn {
            text: greetings.next()?,
            alternates: greetings.collect(),
            speaker: Speaker::Character { id: character.id, name: name.to_owned() },
            origin: SwipeOrigin::Greeting,
            receipt: None,
        })
    }

    /// Makes the shipped characters known in a guild that has none.
    ///
    /// # Errors
    /// The database fails.
    pub async fn welcome(&self, guild: GuildId) -> Result<Vec<Character>, ChatError> {
        let known = self.store.list_characters(guild).await?;
        if !known.is_empty() {
            return Ok(known);
        }
        let mut characters = Vec::new();
        for sheet in starters() {
            characters.push(self.store.insert_character(guild, &sheet).await?);
        }
        Ok(characters)
    }
}
