//! `[moderation]`: what texts are classified by, beside the rules.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

use super::error::require;
use super::{Auto, ConfigError, Environment, Invalid, secret};

/// What texts are classified by, beside the rules.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModerationConfig {
    classifier_url: String,
    /// Which of the server's models; `Auto` leaves it to the server.
    pub classifier_model: Auto<String>,
    api_key: SecretString,
    /// The file that holds the key, if one does.
    pub api_key_file: Auto<PathBuf>,
    timeout_ms: u64,
    /// From which score on a text counts as something, by category, and `default`.
    pub thresholds: BTreeMap<String, f64>,
}

impl ModerationConfig {
    /// Where the classifier is, if there is one.
    pub fn classifier_url(&self) -> Option<&str> {
        (self.classifier_url != "off").then_some(self.classifier_url.as_str())
    }

    /// What the server wants as a bearer token: what is set, else what the named file holds.
    ///
    /// # Errors
    /// [`ConfigError::Secret`] if there should be a file and it cannot be read.
    pub fn api_key(&self) -> Result<Option<SecretString>, ConfigError> {
        match (secret::given(&self.api_key), &self.api_key_file) {
            (Some(key), _) => Ok(Some(key.clone())),
            (None, Auto::Set(path)) => secret::read("moderation.api_key_file", path),
            (None, Auto::Auto) => Ok(None),
        }
    }

    /// How long an answer is waited for.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// Makes paths absolute.
    pub(super) fn resolve(&mut self, environment: &Environment, working_dir: &Path) {
        if let Auto::Set(file) = &mut self.api_key_file {
            *file = working_dir.join(environment.expand_home(&file.to_string_lossy()));
        }
    }

    pub(super) fn validate(&self) -> Result<(), Invalid> {
        let is_address =
            |url: &str| ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme));
        require(
            self.classifier_url().is_none_or(is_address),
            "moderation.classifier_url",
            format_args!("\"{}\"", self.classifier_url),
            "\"off\" or an address such as https://api.openai.com",
        )?;
        require(
            (100..=30_000).contains(&self.timeout_ms),
            "moderation.timeout_ms",
            self.timeout_ms,
            "a number of milliseconds from 100 to 30000",
        )?;
        for (name, score) in &self.thresholds {
            require(
                (0.0..=1.0).contains(score),
                &format!("moderation.thresholds.{name}"),
                score,
                "a score from 0 to 1",
            )?;
        }
        Ok(())
    }
}
