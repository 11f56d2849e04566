//! `[worker]`: where our engine is served to others, and to whom.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::error::require;
use super::{Auto, ConfigError, Environment, Invalid, secret};

/// The key's variable, where the settings leave it at "auto".
pub(super) const API_KEY: &str = "DRAMATIS_API_KEY";

/// A key is not guessed over the network if it has this many characters.
const MIN_KEY_CHARS: usize = 16;

/// Where our engine is served to others, and to whom.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerConfig {
    listen: String,
    api_key: SecretString,
    /// The file that holds the key, if one does.
    pub api_key_file: Auto<PathBuf>,
    /// How long a stop waits for completions that are being written.
    pub stop_grace_ms: u64,
    /// The longest body of a request.
    pub max_body_kib: usize,
}

impl WorkerConfig {
    /// The address and the port; port 0 is any that is free.
    pub fn listen(&self) -> SocketAddr {
        self.listen.parse().expect("settings that exist are valid")
    }

    /// What requests must show: what is set, else what the named file holds. `None`
    /// where nobody gave one, and only this machine can connect.
    ///
    /// # Errors
    /// There should be a file and it cannot be read; the key is none; there is none, and
    /// other machines can connect.
    pub fn api_key(&self) -> Result<Option<SecretString>, ConfigError> {
        let key = secret::set_or_read(&self.api_key, "worker.api_key_file", &self.api_key_file)?;
        match &key {
            Some(key) if !is_key(key.expose_secret()) => Err(ConfigError::ApiKeyShape),
            None if !self.listen().ip().is_loopback() => {
                Err(ConfigError::Exposed { listen: self.listen.clone() })
            }
            _ => Ok(key),
        }
    }

    /// How long a stop waits for completions that are being written.
    pub fn stop_grace(&self) -> Duration {
        Duration::from_millis(self.stop_grace_ms)
    }

    /// The longest body of a request, in bytes.
    pub fn max_body_bytes(&self) -> usize {
        self.max_body_kib << 10
    }

    /// Fills what was left at "auto" from the environment, and makes paths absolute.
    pub(super) fn resolve(&mut self, environment: &Environment, working_dir: &Path) {
        environment.place(&mut self.api_key_file, working_dir);
        if self.api_key_file.set().is_none()
            && secret::given(&self.api_key).is_none()
            && let Some(key) = environment.get(API_KEY)
        {
            self.api_key = SecretString::from(key);
        }
    }

    pub(super) fn validate(&self) -> Result<(), Invalid> {
        require(
            self.listen.parse::<SocketAddr>().is_ok(),
            "worker.listen",
            format_args!("\"{}\"", self.listen),
            "an address and a port such as 127.0.0.1:8177, [::1]:8177 or 0.0.0.0:8177",
        )?;
        require(
            (0..=600_000).contains(&self.stop_grace_ms),
            "worker.stop_grace_ms",
            self.stop_grace_ms,
            "a number of milliseconds from 0 to 600000",
        )?;
        require(
            (16..=65_536).contains(&self.max_body_kib),
            "worker.max_body_kib",
            self.max_body_kib,
            "a number of KiB from 16 to 65536",
        )
    }
}

/// Whether a header can carry it and nobody guesses it.
fn is_key(key: &str) -> bool {
    key.len() >= MIN_KEY_CHARS && key.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
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

    fn key(config: &Config) -> Result<Option<String>, String> {
        let key = config.worker.api_key().map_err(|error| error.to_string())?;
        Ok(key.map(|key| key.expose_secret().to_owned()))
    }

    #[test]
    fn the_key_comes_from_the_environment_or_a_file() {
        assert_eq!(key(&load(&[], &[]).unwrap()), Ok(None));
        for name in ["DRAMATIS_API_KEY", "DRAMATIS_WORKER__API_KEY"] {
            assert_eq!(key(&load(&[(name, KEY)], &[]).unwrap()), Ok(Some(KEY.into())));
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, format!("{KEY}\n")).unwrap();
        let set = format!("worker.api_key_file={}", path.display());
        let config = load(&[("DRAMATIS_API_KEY", "another-that-is-long")], &[&set]).unwrap();
        assert_eq!(key(&config), Ok(Some(KEY.into())));
        let lost = load(&[], &["worker.api_key_file=lost"]).unwrap();
        assert!(key(&lost).unwrap_err().contains("worker.api_key_file"));
    }

    #[test]
    fn the_key_is_never_printed_and_refused_on_the_command_line() {
        let error = load(&[], &[&format!("worker.api_key={KEY}")]).unwrap_err().to_string();
        assert!(error.contains("DRAMATIS_API_KEY") && !error.contains("canary"), "{error}");
        let config = load(&[("DRAMATIS_WORKER__API_KEY", KEY)], &[]).unwrap();
        assert!(config.describe().iter().all(|setting| !setting.value.contains("canary")));
        assert!(!format!("{config:?}").contains("canary"));
    }

    #[test]
    fn whoever_others_can_reach_has_a_key() {
        let reached = load(&[], &["worker.listen=0.0.0.0:8177"]).unwrap();
        let error = key(&reached).unwrap_err();
        assert!(error.contains("DRAMATIS_API_KEY") && error.contains("127.0.0.1"), "{error}");
        for listen in ["worker.listen=[::1]:0", "worker.listen=127.0.0.2:80"] {
            assert_eq!(key(&load(&[], &[listen]).unwrap()), Ok(None));
        }
        for short in ["short", "with a space in its middle"] {
            let config = load(&[("DRAMATIS_API_KEY", short)], &[]).unwrap();
            let error = key(&config).unwrap_err();
            assert!(error.contains("openssl rand") && !error.contains(short), "{error}");
        }
    }

    #[test]
    fn what_cannot_work_is_refused_with_the_reason() {
        for (set, reason) in [
            ("worker.listen=8177", "127.0.0.1:8177"),
            ("worker.listen=localhost:8177", "127.0.0.1:8177"),
            ("worker.max_body_kib=1", "from 16"),
            ("worker.stop_grace_ms=700000", "to 600000"),
        ] {
            let error = load(&[], &[set]).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
