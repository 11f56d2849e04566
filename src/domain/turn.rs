//! The turn tree: what was said, by whom, and in which alternatives.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{CharacterId, PersonId, SceneId, SwipeId, TurnId};

/// One utterance. A turn knows its parent; undo, branch and rewind move the
/// scene's head in the tree, and nothing is overwritten.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// Its key.
    pub id: TurnId,
    /// The scene.
    pub scene_id: SceneId,
    /// The turn before; `None` for the first.
    pub parent: Option<TurnId>,
    /// Who speaks.
    pub speaker: Speaker,
    /// The text that stands now.
    pub swipe: Swipe,
    /// How many alternatives it has, the standing one included.
    pub num_swipes: u32,
}

/// Who speaks, under which name. The name is kept as it was at the time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    /// The model, as a character.
    Character {
        /// Which.
        id: CharacterId,
        /// Its name then.
        name: String,
    },
    /// A person.
    Person {
        /// Who.
        id: PersonId,
        /// Their persona's or display name then.
        name: String,
    },
}

impl Speaker {
    /// The name that heads the turn.
    pub fn name(&self) -> &str {
        match self {
            Self::Character { name, .. } | Self::Person { name, .. } => name,
        }
    }

    /// Whether the model speaks.
    pub fn is_character(&self) -> bool {
        matches!(self, Self::Character { .. })
    }
}

/// One of the alternative texts of a turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Swipe {
    /// Its key.
    pub id: SwipeId,
    /// Its place among the alternatives, from 0.
    pub ordinal: u32,
    /// What is said.
    pub text: String,
    /// Where the text came from.
    pub origin: SwipeOrigin,
    /// How it was made, where a model made it: enough to make it again.
    pub receipt: Option<serde_json::Value>,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// Where a swipe's text came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SwipeOrigin {
    /// A person wrote it.
    Written,
    /// A character's greeting.
    Greeting,
    /// The model wrote it.
    Generated,
    /// A person changed an earlier swipe.
    Edited,
    /// The model went on where an earlier swipe had stopped.
    Continued,
}

impl SwipeOrigin {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Written, Self::Greeting, Self::Generated, Self::Edited, Self::Continued];

    /// The word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Greeting => "greeting",
            Self::Generated => "generated",
            Self::Edited => "edited",
            Self::Continued => "continued",
        }
    }
}
