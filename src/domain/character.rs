//! Somebody whom the model plays.

use serde::{Deserialize, Serialize};

use super::{CharacterId, GuildId, PromptRole};

/// A character as one guild keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Character {
    /// Its key.
    pub id: CharacterId,
    /// The guild that owns it; no other guild can see it.
    pub guild_id: GuildId,
    /// What is known of it.
    pub sheet: CharacterSheet,
}

/// What is known of a character: the fields of the ecosystem's cards that
/// reach a prompt or the stage. `{{char}}` and `{{user}}` are still unexpanded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CharacterSheet {
    /// The name that heads its turns, unless there is a nickname.
    pub name: String,
    /// Replaces the name in prompts where it is given.
    pub nickname: Option<String>,
    /// Who it is; becomes the persona paragraph.
    pub description: String,
    /// A short summary of its manner, appended to the description.
    pub personality: String,
    /// Where and how its scenes begin, unless the scene says otherwise.
    pub scenario: String,
    /// Its first turn.
    pub greeting: String,
    /// Other first turns, swipeable.
    pub alternate_greetings: Vec<String>,
    /// First turns for scenes with several characters alone, swipeable.
    pub group_only_greetings: Vec<String>,
    /// Example dialogue (`<START>` separates the examples).
    pub example_dialogue: String,
    /// Replaces the role line where not empty; `{{original}}` stands for ours.
    pub system_prompt: String,
    /// Instructions placed after the history where not empty.
    pub post_history_instructions: String,
    /// A reminder of the character between the turns, if any.
    pub depth_prompt: Option<DepthPrompt>,
    /// How readily it speaks unasked in a group, 0 to 1.
    pub talkativeness: f32,
    /// Where its picture is, for platforms that fetch it by themselves: `https` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
    /// What it is sorted by; some lore is for some tags alone.
    pub tags: Vec<String>,
    /// What its author tells people; never prompted.
    pub creator_notes: String,
    /// Who made it; never prompted.
    pub creator: String,
    /// Which version of it this is; never prompted.
    pub character_version: String,
}

/// A text that a character brings along between the turns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepthPrompt {
    /// What it says; macros are unexpanded.
    pub text: String,
    /// How many turns stand after it; 0 puts it right before the reply.
    pub depth: usize,
    /// Who says it.
    pub role: PromptRole,
}

impl Default for CharacterSheet {
    fn default() -> Self {
        Self {
            name: String::new(),
            nickname: None,
            description: String::new(),
            personality: String::new(),
            scenario: String::new(),
            greeting: String::new(),
            alternate_greetings: Vec::new(),
            group_only_greetings: Vec::new(),
            example_dialogue: String::new(),
            system_prompt: String::new(),
            post_history_instructions: String::new(),
            depth_prompt: None,
            talkativeness: 0.5,
            avatar_url: None,
            tags: Vec::new(),
            creator_notes: String::new(),
            creator: String::new(),
            character_version: String::new(),
        }
    }
}

impl CharacterSheet {
    /// The name that stands in prompts and on stage.
    pub fn stage_name(&self) -> &str {
        match self.nickname.as_deref() {
            Some(nickname) if !nickname.trim().is_empty() => nickname,
            _ => &self.name,
        }
    }

    /// All first turns, the main one first; empty ones are left out.
    pub fn greetings(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.greeting)
            .chain(&self.alternate_greetings)
            .map(String::as_str)
            .filter(|greeting| !greeting.trim().is_empty())
    }
}
