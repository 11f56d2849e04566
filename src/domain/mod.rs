//! The nouns of roleplay, as plain data.
//!
//! No I/O, no SQL, no platform types: the store writes these down, the chat room
//! moves them, the prompt room renders them.

mod boundary;
mod character;
mod dice;
mod guild;
mod ids;
mod length;
mod lorebook;
mod persona;
mod scene;
mod template;
mod turn;

pub use boundary::{Boundary, BoundaryKind, BoundaryOf};
pub use character::{Character, CharacterSheet, DepthPrompt};
pub use dice::{Dice, ParseDiceError, Roll};
pub use guild::Guild;
pub use ids::{
    BoundaryId, CharacterId, GuildId, JobId, LorebookId, PersonId, PersonaId, ReportId, SceneId,
    SwipeId, TurnId,
};
pub use length::{Length, ParseLengthError};
pub use lorebook::{
    CharacterFilter, LoreEntry, LorePosition, Lorebook, PromptRole, SecondaryLogic,
};
pub use persona::{Person, Persona};
pub use scene::{CastMember, Note, Participant, Scene, SceneState};
pub use template::{
    ContextLayout, InstructSequences, InstructTemplate, NamesBehavior, SystemPrompt, Template,
};
pub use turn::{Speaker, Swipe, SwipeOrigin, Turn};
