//! Opening a scene: its characters enter and the first of them greets.

use crate::domain::{Character, GuildId, Length, Scene, Speaker, SwipeOrigin};
use crate::moderation::Door;
use crate::prompt::{MacroContext, StoryMacros, expand, look_alike};
use crate::store::{NewScene, NewTurn, Surroundings};

use super::library::facts_of;
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
    /// What people will call it; `None` takes the first character's name.
    pub title: Option<String>,
    /// What happens in the story; `None` takes the first character's scenario.
    pub scenario: Option<String>,
    /// The sampling preset; `None` takes the default of the house.
    pub preset: Option<String>,
    /// Where it stands.
    pub surroundings: Surroundings,
}

impl<'a> Opening<'a> {
    /// A scene with everything as the house and the characters have it.
    pub fn new(
        guild: GuildId,
        channel: impl Into<String>,
        cast: &'a [Character],
        user: &'a str,
    ) -> Self {
        let channel = channel.into();
        Self {
            guild,
            channel,
            cast,
            user,
            length: None,
            title: None,
            scenario: None,
            preset: None,
            surroundings: Surroundings::default(),
        }
    }
}

impl Chat {
    /// Opens a scene, greeting included, in one transaction.
    ///
    /// # Errors
    /// One is being played there already, the cast is empty, two have one name, there
    /// is no such preset, a text is too long, or the database fails.
    pub async fn open_scene(&self, opening: Opening<'_>) -> Result<Scene, ChatError> {
        let lead = opening
            .cast
            .first()
            .ok_or_else(|| ChatError::refused("a scene needs at least one character"))?;
        told_apart(opening.cast, opening.user)?;
        let title = opening.title.as_deref().map(clean_title).transpose()?;
        let scenario = match &opening.scenario {
            Some(scenario) => self.clean_text(scenario)?,
            None => lead.sheet.scenario.clone(),
        };
        if let Some(preset) = &opening.preset {
            self.sampler_params(opening.guild, preset).await?;
        }
        let greetings: Vec<NewTurn> =
            self.greeting(lead, opening.user, opening.cast.len() > 1).into_iter().collect();
        let around = opening.surroundings;
        let facts = facts_of(opening.cast.iter().map(|character| &character.sheet));
        let rules = self.library.rules_at(opening.guild, &around, &opening.channel, facts).await?;
        let scenario = rules.pass(Door::Prompt, &scenario).await?;
        let told: Vec<&str> = greetings.iter().map(|greeting| greeting.text.as_str()).collect();
        rules.pass_all(Door::Card, &told).await?;
        let new = NewScene {
            channel: opening.channel,
            title: title.unwrap_or_else(|| lead.sheet.stage_name().to_owned()),
            scenario,
            note: None,
            length: opening.length.unwrap_or(self.settings.default_length),
            preset: opening.preset.unwrap_or_else(|| self.settings.default_preset.clone()),
            cast: opening.cast.iter().map(|character| character.id).collect(),
            greetings,
        };
        let scene = self.store.insert_scene(opening.guild, &new).await?;
        self.store.set_surroundings(opening.guild, scene.id, &around).await?;
        Ok(scene)
    }

    /// The first turn of a character, with its alternatives, in company those for
    /// company, too; `None` if it has no greeting.
    fn greeting(&self, character: &Character, user: &str, in_company: bool) -> Option<NewTurn> {
        let name = character.sheet.stage_name();
        let context = MacroContext {
            character: name,
            user,
            original: None,
            now: self.clock.now().fixed_offset(),
            seed: character.id.0.unsigned_abs(),
            place: "greeting",
            story: StoryMacros::default(),
        };
        let for_company = character.sheet.group_only_greetings.iter().map(String::as_str);
        let for_company = for_company.filter(|text| in_company && !text.trim().is_empty());
        let greetings = character.sheet.greetings().chain(for_company);
        let mut greetings = greetings.map(|greeting| expand(greeting, &context));
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

/// The most characters of a title: what platforms allow a thread's name, too.
const MAX_TITLE_CHARS: usize = 100;

/// A title on one line, cut where it is too long.
pub(super) fn clean_title(title: &str) -> Result<String, ChatError> {
    let visible: String = title.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let title: String = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    if title.is_empty() {
        return Err(ChatError::refused("a scene needs a title"));
    }
    Ok(title.chars().take(MAX_TITLE_CHARS).collect())
}

/// Two under one name cannot be told apart by the model, nor by its stops.
fn told_apart(cast: &[Character], user: &str) -> Result<(), ChatError> {
    let mut names = vec![user];
    for character in cast {
        let name = character.sheet.stage_name();
        if names.iter().any(|other| look_alike(other, name)) {
            return Err(ChatError::refused(format!(
                "two in the scene would be called {name}; choose another character, or let \
                 /persona give you another name"
            )));
        }
        names.push(name);
    }
    Ok(())
}
