//! `[privacy]`: how long what is nobody's any more is kept.

use chrono::TimeDelta;
use serde::Deserialize;

use super::Invalid;
use super::error::require;

/// How long what is nobody's any more is kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrivacyConfig {
    /// After how many days everything of a guild is deleted that removed the bot.
    pub guild_grace_days: u32,
}

impl PrivacyConfig {
    /// After which time everything of a guild is deleted that removed the bot.
    pub fn guild_grace(&self) -> TimeDelta {
        TimeDelta::days(self.guild_grace_days.into())
    }

    pub(super) fn validate(&self) -> Result<(), Invalid> {
        require(
            (1..=3650).contains(&self.guild_grace_days),
            "privacy.guild_grace_days",
            self.guild_grace_days,
            "a number of days from 1 to 3650",
        )
    }
}
