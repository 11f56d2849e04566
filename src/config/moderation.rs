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
        secret::set_or_read(&self.api_key, "moderation.api_key_file", &self.api_key_file)
    }

    /// How long an answer is waited for.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// Makes paths absolute.
    pub(super) fn resolve(&mut self, environment: &Environment, working_dir: &Path) {
        environment.place(&mut self.api_key_file, working_dir);
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

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::super::{Config, LoadOptions, Override};
    use super::*;

    const KEY: &str = "canary-5a1f0c7d9e";

    fn load(pairs: &[(&str, &str)], sets: &[&str]) -> Result<Config, ConfigError> {
        Config::load(&LoadOptions {
            config_file: None,
            overrides: sets.iter().map(|text| Override::parse(text).unwrap()).collect(),
            environment: Environment::from_pairs(pairs.iter().copied().chain([("HOME", "/h")])),
            working_dir: PathBuf::from("/nonexistent"),
        })
    }

    #[test]
    fn it_is_off_unless_somebody_says_where_it_is() {
        assert_eq!(load(&[], &[]).unwrap().moderation.classifier_url(), None);
        let config = load(&[], &["moderation.classifier_url=http://h:1"]).unwrap();
        assert_eq!(config.moderation.classifier_url(), Some("http://h:1"));
        let config = load(&[], &["moderation.thresholds.self_harm=0.9"]).unwrap();
        assert_eq!(config.moderation.thresholds["self_harm"], 0.9);
        assert_eq!(config.moderation.thresholds["default"], 0.5);
    }

    #[test]
    fn the_key_is_never_printed_and_refused_on_the_command_line() {
        let error = load(&[], &[&format!("moderation.api_key={KEY}")]).unwrap_err().to_string();
        assert!(error.contains("DRAMATIS_MODERATION__API_KEY") && !error.contains("canary"));
        let config = load(&[("DRAMATIS_MODERATION__API_KEY", KEY)], &[]).unwrap();
        assert_eq!(config.moderation.api_key().unwrap().unwrap().expose_secret(), KEY);
        assert!(config.describe().iter().all(|setting| !setting.value.contains("canary")));
        assert!(!format!("{config:?}").contains("canary"));
        let lost = load(&[], &["moderation.api_key_file=lost"]).unwrap();
        let error = lost.moderation.api_key().unwrap_err().to_string();
        assert!(error.contains("moderation.api_key_file"), "{error}");
    }

    #[test]
    fn what_cannot_work_is_refused_with_the_reason() {
        for (set, reason) in [
            ("moderation.classifier_url=on", "https://api.openai.com"),
            ("moderation.timeout_ms=5", "from 100"),
            ("moderation.thresholds.sexual=1.5", "from 0 to 1"),
        ] {
            let error = load(&[], &[set]).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
