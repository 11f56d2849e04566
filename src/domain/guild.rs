//! A community.

use super::GuildId;

/// A Discord guild, a forum, or the one local guild of the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guild {
    /// Its key.
    pub id: GuildId,
    /// Where it lives: `discord`, `terminal`, …
    pub platform: String,
    /// Its id there.
    pub external_id: String,
    /// What the platform calls it.
    pub name: String,
}
