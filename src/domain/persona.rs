//! People, and whom they play.

use super::{GuildId, PersonId, PersonaId};

/// Someone who writes, as one guild knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Their key in this guild.
    pub id: PersonId,
    /// The guild.
    pub guild_id: GuildId,
    /// Their id on the platform.
    pub external_id: String,
    /// The name that the platform shows.
    pub display_name: String,
}

/// Somebody whom a person plays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Persona {
    /// Its key.
    pub id: PersonaId,
    /// The guild.
    pub guild_id: GuildId,
    /// Who plays it.
    pub person_id: PersonId,
    /// The name that heads the person's turns.
    pub name: String,
    /// Who that is; may be empty.
    pub description: String,
}
