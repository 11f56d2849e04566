//! One roleplay in one place: its cast, its people, its settings.

use serde::{Deserialize, Serialize};

use super::{Character, GuildId, Length, Person, Persona, SceneId, TurnId};

/// One roleplay in one channel, thread or forum post.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// Its key.
    pub id: SceneId,
    /// The guild that owns it.
    pub guild_id: GuildId,
    /// The platform's id of the place it is played in.
    pub channel: String,
    /// What people call it.
    pub title: String,
    /// What happens in the story.
    pub scenario: String,
    /// The author's note, if any.
    pub note: Option<Note>,
    /// The chosen length; `None` leaves it to the model.
    pub length: Option<Length>,
    /// The name of its sampling preset.
    pub preset: String,
    /// The newest turn of the line being played; `None` before the first.
    pub head: Option<TurnId>,
    /// The oldest turn that the last prompt kept, where trimming has begun.
    pub anchor: Option<TurnId>,
    /// Whether it is being played.
    pub state: SceneState,
}

/// Whether a scene is being played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SceneState {
    /// Turns are taken and answered.
    Active,
    /// Turns are kept, nobody answers.
    Paused,
    /// A moderator stopped it: nothing is taken, answered or changed.
    Frozen,
    /// It is over; it can be read and exported.
    Ended,
}

impl SceneState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Active, Self::Paused, Self::Frozen, Self::Ended];

    /// The word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Frozen => "frozen",
            Self::Ended => "ended",
        }
    }
}

/// A reminder to the model, placed between the turns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// What it says.
    pub text: String,
    /// How many turns stand after it; 0 puts it right before the reply.
    pub depth: usize,
}

impl Note {
    /// The depth of a note whose author named none: near enough to be heeded, far enough
    /// not to be answered.
    pub const DEFAULT_DEPTH: usize = 2;
}

/// A character in a scene.
#[derive(Debug, Clone, PartialEq)]
pub struct CastMember {
    /// Who.
    pub character: Character,
    /// Its own length in this scene, if any.
    pub length: Option<Length>,
}

/// A person in a scene.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    /// Who writes.
    pub person: Person,
    /// Whom they play here, if they said so.
    pub persona: Option<Persona>,
}

impl Participant {
    /// The name that heads their turns.
    pub fn name(&self) -> &str {
        self.persona.as_ref().map_or(&self.person.display_name, |persona| &persona.name)
    }

    /// What their persona says of them; empty without one.
    pub fn description(&self) -> &str {
        self.persona.as_ref().map_or("", |persona| &persona.description)
    }
}
