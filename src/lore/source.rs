//! Where lore comes from: a book, and whose it is.

use crate::domain::Lorebook;

/// Whose a book is. The order of the variants is the order in which entries of
/// different books are considered, SillyTavern's "character first": the chat's own
/// book, the persona's, the character's, and what holds everywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoreScope {
    /// The scene's: it holds whoever answers.
    Scene,
    /// The persona's of a person in the scene.
    Persona,
    /// A character's: it takes part only while that character answers.
    Character {
        /// The character's name.
        name: String,
    },
    /// The guild's: it holds in all its scenes.
    Guild,
}

impl LoreScope {
    /// Its place among the scopes; lower is considered first.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Scene => 0,
            Self::Persona => 1,
            Self::Character { .. } => 2,
            Self::Guild => 3,
        }
    }
}

/// A book that takes part, and whose it is.
#[derive(Debug, Clone, PartialEq)]
pub struct LoreSource {
    /// Whose it is.
    pub scope: LoreScope,
    /// A name that stays the same from turn to turn: timed effects are remembered
    /// under it.
    pub id: String,
    /// The book.
    pub book: Lorebook,
}
