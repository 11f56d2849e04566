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
    classifier: String,
    /// Which of a server's models; `Auto` leaves it to the server.
    pub classifier_model: Auto<String>,
    api_key: SecretString,
    /// The file that holds the key, if one does.
    pub api_key_file: Auto<PathBuf>,
    timeout_ms: u64,
    /// From which score on a text counts as something, by category, and `default`.
    pub thresholds: BTreeMap<String, f64>,
}

/// Where the classifier is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClassifierPlace<'a> {
    /// A server, by its address.
    Server(&'a str),
    /// A model of the hub, as `hf:OWNER/REPO[@REVISION]`.
    Hub(&'a str),
    /// A model of this machine, by its directory.
    Directory(&'a Path),
}

impl ModerationConfig {
    /// Where the classifier is, if there is to be one.
    pub fn classifier(&self) -> Option<ClassifierPlace<'_>> {
        let is_address = |scheme: &str| self.classifier.starts_with(scheme);
        Some(match self.classifier.as_str() {
            "off" => return None,
            text if ["http://", "https://"].into_iter().any(is_address) => {
                ClassifierPlace::Server(text)
            }
            text if text.starts_with("hf:") => ClassifierPlace::Hub(text),
            text => ClassifierPlace::Directory(Path::new(text)),
        })
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
        // A word alone is a mistake, not a directory.
        if let Some(ClassifierPlace::Directory(path)) = self.classifier()
            && path.components().nth(1).is_some()
        {
            let path = working_dir.join(environment.expand_home(&self.classifier));
            self.classifier = path.to_string_lossy().into_owned();
        }
    }

    pub(super) fn validate(&self) -> Result<(), Invalid> {
        let place = self.classifier();
        require(
            !matches!(place, Some(ClassifierPlace::Directory(path)) if path.is_relative()),
            "moderation.classifier",
            format_args!("\"{}\"", self.classifier),
            "\"off\", a server's address such as https://api.openai.com, a model of the hub as \
             hf:OWNER/REPO, or the path of a model's directory such as ./NAME",
        )?;
        require(
            matches!(place, None | Some(ClassifierPlace::Server(_)))
                || self.classifier_model.set().is_none(),
            "moderation.classifier_model",
            "set",
            "\"auto\" where moderation.classifier is a model itself",
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
        let place = |set: &str| load(&[], &[set]).unwrap().moderation;
        assert_eq!(load(&[], &[]).unwrap().moderation.classifier(), None);
        for (set, wanted) in [
            ("http://h:1", ClassifierPlace::Server("http://h:1")),
            ("hf:owner/name", ClassifierPlace::Hub("hf:owner/name")),
            ("/models/mine", ClassifierPlace::Directory(Path::new("/models/mine"))),
            ("~/mine", ClassifierPlace::Directory(Path::new("/h/mine"))),
            ("./mine", ClassifierPlace::Directory(Path::new("/nonexistent/./mine"))),
        ] {
            let moderation = place(&format!("moderation.classifier={set}"));
            assert_eq!(moderation.classifier(), Some(wanted));
        }
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
            ("moderation.classifier=on", "https://api.openai.com"),
            ("moderation.classifier=on", "hf:OWNER/REPO"),
            ("moderation.timeout_ms=5", "from 100"),
            ("moderation.thresholds.sexual=1.5", "from 0 to 1"),
        ] {
            let error = load(&[], &[set]).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        let both = ["moderation.classifier=hf:o/n", "moderation.classifier_model=m"];
        let error = load(&[], &both).unwrap_err().to_string();
        assert!(error.contains("moderation.classifier_model"), "{error}");
    }
}
