//! Identifiers: one newtype for each aggregate, so that none is taken for another.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

ids! {
    /// A community: a Discord guild, a forum, or the one local guild of `play`.
    GuildId,
    /// Someone who writes, as known in one guild.
    PersonId,
    /// Somebody whom the model plays.
    CharacterId,
    /// Somebody whom a person plays.
    PersonaId,
    /// One roleplay in one channel, thread or forum post.
    SceneId,
    /// One utterance in a scene's turn tree.
    TurnId,
    /// One of the alternative texts of a turn.
    SwipeId,
    /// A piece of work in a scene's lane.
    JobId,
    /// A collection of lore entries.
    LorebookId,
    /// A text that somebody reported.
    ReportId,
    /// A line or a veil.
    BoundaryId,
}
