//! `[privacy]`: what texts are sealed with, and how long what is nobody's any more is kept.

use std::path::{Path, PathBuf};

use chrono::TimeDelta;
use secrecy::SecretString;
use serde::Deserialize;

use super::error::require;
use super::{Auto, ConfigError, Environment, Invalid, secret};

/// What texts are sealed with, and how long what is nobody's any more is kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrivacyConfig {
    /// After how many days everything of a guild is deleted that removed the bot.
    pub guild_grace_days: u32,
    /// The file with the keys that texts are sealed with; none are sealed without it.
    pub key_file: Auto<PathBuf>,
}

impl PrivacyConfig {
    /// After which time everything of a guild is deleted that removed the bot.
    pub fn guild_grace(&self) -> TimeDelta {
        TimeDelta::days(self.guild_grace_days.into())
    }

    /// The keys that texts are sealed with, as they stand in the file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn keys(&self) -> Result<Option<SecretString>, ConfigError> {
        let Some(path) = self.key_file.set() else { return Ok(None) };
        secret::read("privacy.key_file", path)
    }

    /// Makes paths absolute.
    pub(super) fn resolve(&mut self, environment: &Environment, working_dir: &Path) {
        environment.place(&mut self.key_file, working_dir);
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
