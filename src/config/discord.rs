//! `[discord]`: which bot, how its shards are shared out, and how fast it goes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

use super::error::require;
use super::secret::{self, given};
use super::{Auto, ConfigError, Environment, Invalid};

/// The most requests a second that Discord takes from a bot.
const MAX_REQUESTS_PER_S: u32 = 50;

/// Which bot, how its shards are shared out, and how fast it goes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiscordConfig {
    token: SecretString,
    /// The file that holds the token, if one does.
    pub token_file: Auto<PathBuf>,
    /// Into how many shards all guilds are divided; `Auto` is what Discord advises.
    pub shards: Auto<u32>,
    /// The first shard of this process; `Auto` is the first there is.
    pub shard_from: Auto<u32>,
    /// The last shard of this process; `Auto` is the last there is.
    pub shard_to: Auto<u32>,
    /// Where Discord's REST interface is; `Auto` is Discord itself.
    pub api_url: Auto<String>,
    /// Requests a second in all.
    pub requests_per_s: u32,
    /// How often a reply that grows is edited.
    pub stream_edit_ms: u64,
    /// How long a message waits for a proxy's repost of it.
    pub proxy_hold_ms: u64,
    /// How long a message waits for earlier ones that come late.
    pub order_hold_ms: u64,
    /// Sessions that may be begun within 24 hours.
    pub identify_per_day: u32,
    /// How long a stop waits for what is being done.
    pub stop_grace_ms: u64,
    /// Who is asked about a post that PluralKit made.
    pub pluralkit_url: PluralKit,
}

/// Who is asked about a post that PluralKit made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum PluralKit {
    /// Nobody.
    Off,
    /// The service whose REST interface is there.
    Url(String),
}

impl From<String> for PluralKit {
    fn from(text: String) -> Self {
        match text.as_str() {
            "off" => Self::Off,
            "auto" => Self::Url("https://api.pluralkit.me".into()),
            _ => Self::Url(text),
        }
    }
}

/// What a token must look like to be tried at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenShapeError(&'static str);

impl fmt::Display for TokenShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl DiscordConfig {
    /// The bot's token: what is set, else what the named file holds. `None` where
    /// nobody gave one.
    ///
    /// # Errors
    /// [`ConfigError::Secret`] if there should be a file and it cannot be read.
    pub fn token(&self) -> Result<Option<SecretString>, ConfigError> {
        secret::set_or_read(&self.token, "discord.token_file", &self.token_file)
    }

    /// Between two edits of a reply that grows.
    pub fn stream_edit(&self) -> Duration {
        Duration::from_millis(self.stream_edit_ms)
    }

    /// For how long a message waits for a proxy's repost of it.
    pub fn proxy_hold(&self) -> Duration {
        Duration::from_millis(self.proxy_hold_ms)
    }

    /// For how long a message waits for earlier ones that come late.
    pub fn order_hold(&self) -> Duration {
        Duration::from_millis(self.order_hold_ms)
    }

    /// For how long a stop waits for what is being done.
    pub fn stop_grace(&self) -> Duration {
        Duration::from_millis(self.stop_grace_ms)
    }

    /// Fills what was left at "auto" from the variable that other bots use, and
    /// makes paths absolute.
    pub(super) fn resolve(&mut self, environment: &Environment, working_dir: &Path) {
        environment.place(&mut self.token_file, working_dir);
        if self.token_file.set().is_none()
            && given(&self.token).is_none()
            && let Some(token) = environment.get("DISCORD_TOKEN")
        {
            self.token = SecretString::from(token);
        }
    }

    pub(super) fn validate(&self) -> Result<(), Invalid> {
        if let Auto::Set(path) = &self.token_file {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            require(
                check_token_shape(&name).is_err(),
                "discord.token_file",
                "a token itself (not shown)",
                "the path of a file that holds it",
            )?;
        }
        self.validate_shards()?;
        if let Auto::Set(url) = &self.api_url {
            require(
                is_origin(url),
                "discord.api_url",
                url,
                "\"auto\" or an origin such as http://127.0.0.1:8080, without a path",
            )?;
        }
        if let PluralKit::Url(url) = &self.pluralkit_url {
            require(
                is_origin(url),
                "discord.pluralkit_url",
                url,
                "\"off\", \"auto\" or an origin such as https://api.pluralkit.me",
            )?;
        }
        self.validate_pace()
    }

    fn validate_shards(&self) -> Result<(), Invalid> {
        let total = self.shards.set().copied();
        if let Some(total) = total {
            require(
                (1..=100_000).contains(&total),
                "discord.shards",
                total,
                "\"auto\" or a number from 1 to 100000",
            )?;
        }
        let (from, to) = (self.shard_from.set().copied(), self.shard_to.set().copied());
        for (key, shard) in [("discord.shard_from", from), ("discord.shard_to", to)] {
            let Some(shard) = shard else { continue };
            // Two processes that asked Discord at different times could get
            // different answers, and some guilds nobody.
            let Some(total) = total else {
                return Err(Invalid::new(
                    key,
                    shard,
                    "\"auto\" as long as discord.shards is \"auto\": set that to the number of \
                     shards of all processes together",
                ));
            };
            require(shard < total, key, shard, "less than discord.shards: shards count from 0")?;
        }
        let (first, last) = (from.unwrap_or(0), to.unwrap_or(u32::MAX));
        require(first <= last, "discord.shard_to", last, "at least discord.shard_from")
    }

    fn validate_pace(&self) -> Result<(), Invalid> {
        require(
            (1..=MAX_REQUESTS_PER_S).contains(&self.requests_per_s),
            "discord.requests_per_s",
            self.requests_per_s,
            "a number from 1 to 50: Discord takes no more",
        )?;
        require(
            (1..=1_000_000).contains(&self.identify_per_day),
            "discord.identify_per_day",
            self.identify_per_day,
            "a number from 1 to 1000000",
        )?;
        let spans = [
            ("discord.stream_edit_ms", self.stream_edit_ms, 500, 60_000),
            ("discord.proxy_hold_ms", self.proxy_hold_ms, 0, 30_000),
            ("discord.order_hold_ms", self.order_hold_ms, 0, 5_000),
            ("discord.stop_grace_ms", self.stop_grace_ms, 0, 600_000),
        ];
        for (key, ms, least, most) in spans {
            let allowed = format!("a number of milliseconds from {least} to {most}");
            require((least..=most).contains(&ms), key, ms, &allowed)?;
        }
        Ok(())
    }
}

/// Whether a text looks like a bot's token: three parts with dots between, the
/// first of them the bot's id in base64. Says nothing of whether it is valid.
///
/// # Errors
/// [`TokenShapeError`] tells what is wrong, without any of the text.
pub fn check_token_shape(text: &str) -> Result<(), TokenShapeError> {
    let base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '/' | '=');
    if text.starts_with("Bot ") || text.starts_with("Bearer ") {
        return Err(TokenShapeError("it begins with a word; give the token alone"));
    }
    if !text.chars().all(|c| base64(c) || c == '.') {
        return Err(TokenShapeError("it holds characters that no token has"));
    }
    let parts: Vec<&str> = text.split('.').collect();
    let [id, time, key] = parts[..] else {
        return Err(TokenShapeError(
            "it does not have three parts with dots between; the client secret and the public \
             key, which stand near it, are no tokens",
        ));
    };
    if id.len() < 18 || time.len() < 5 || key.len() < 20 {
        return Err(TokenShapeError("it is too short; some of it may have been left behind"));
    }
    Ok(())
}

/// Whether a URL is scheme and host and nothing else.
fn is_origin(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|host| {
        !host.is_empty()
            && !host.contains(['/', '?', '#', '@'])
            && !host.contains(char::is_whitespace)
    })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::super::{Config, LoadOptions, Override};
    use super::*;

    const TOKEN: &str = "MTE0Mjg3NDU4ODMyOTQ4ODQ0.GcanRy.canary-canary-canary-canary-canary";

    fn options(pairs: &[(&str, &str)], sets: &[&str]) -> LoadOptions {
        LoadOptions {
            config_file: None,
            overrides: sets.iter().map(|text| Override::parse(text).unwrap()).collect(),
            environment: Environment::from_pairs(pairs.iter().copied().chain([("HOME", "/h")])),
            working_dir: PathBuf::from("/nonexistent"),
        }
    }

    fn load(pairs: &[(&str, &str)], sets: &[&str]) -> Result<Config, ConfigError> {
        Config::load(&options(pairs, sets))
    }

    fn token(config: &Config) -> Option<String> {
        config.discord.token().unwrap().map(|token| token.expose_secret().to_owned())
    }

    #[test]
    fn the_token_comes_from_the_environment_or_a_file() {
        assert_eq!(token(&load(&[], &[]).unwrap()), None);
        for name in ["DISCORD_TOKEN", "DRAMATIS_DISCORD__TOKEN"] {
            assert_eq!(token(&load(&[(name, TOKEN)], &[]).unwrap()).unwrap(), TOKEN);
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, format!("{TOKEN}\n")).unwrap();
        let set = format!("discord.token_file={}", path.display());
        // What was named on purpose wins over a variable that may be another bot's.
        let config = load(&[("DISCORD_TOKEN", "another")], &[&set]).unwrap();
        assert_eq!(token(&config).unwrap(), TOKEN);
        let lost = load(&[], &["discord.token_file=lost"]).unwrap();
        let text = lost.discord.token().unwrap_err().to_string();
        assert!(
            text.contains("/nonexistent/lost") && text.contains("discord.token_file"),
            "{text}"
        );
    }

    #[test]
    fn the_token_is_never_printed() {
        for sets in [
            format!("discord.token={TOKEN}"),
            format!("discord={{ token = \"{TOKEN}\" }}"),
            format!("discord.token_file={TOKEN}"),
        ] {
            let text = load(&[], &[&sets]).unwrap_err().to_string();
            assert!(!text.contains("canary") && text.contains("discord.token"), "{text}");
        }
        let options = options(&[("DISCORD_TOKEN", TOKEN)], &[]);
        let config = Config::load(&options).unwrap();
        for printed in [format!("{config:#?}"), format!("{options:#?}")] {
            assert!(!printed.contains("canary"), "{printed}");
        }
        let config = load(&[("DRAMATIS_DISCORD__TOKEN", TOKEN)], &[]).unwrap();
        assert!(config.describe().iter().all(|setting| !setting.value.contains("canary")));
    }

    #[test]
    fn a_token_has_three_parts() {
        assert_eq!(check_token_shape(TOKEN), Ok(()));
        for (text, reason) in [
            ("Bot MTE0Mjg3NDU4ODMyOTQ4ODQ0.GcanRy.abcdefghijklmnopqrstuvwxyz", "alone"),
            ("0123456789abcdef0123456789abcdef", "three parts"),
            ("MTE0Mjg3NDU4ODMyOTQ4ODQ0.GcanRy.abc", "short"),
            ("MTE0Mjg3NDU4ODMy OTQ4ODQ0.GcanRy.abcdefghijklmnopqrstuvwxyz", "characters"),
            ("", "three parts"),
        ] {
            let error = check_token_shape(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn what_cannot_work_is_refused_with_the_reason() {
        for (sets, reason) in [
            (&["discord.shard_from=1"][..], "all processes together"),
            (&["discord.shards=2", "discord.shard_to=2"], "count from 0"),
            (&["discord.shards=4", "discord.shard_from=3", "discord.shard_to=2"], "shard_from"),
            (&["discord.shards=0"], "from 1 to 100000"),
            (&["discord.api_url=127.0.0.1:80"], "origin"),
            (&["discord.api_url=https://proxy/api/v10"], "without a path"),
            (&["discord.pluralkit_url=on"], "\"off\""),
            (&["discord.requests_per_s=51"], "Discord takes no more"),
            (&["discord.stream_edit_ms=10"], "from 500 to 60000"),
            (&["discord.identify_per_day=0"], "from 1"),
        ] {
            let text = load(&[], sets).unwrap_err().to_string();
            assert!(text.contains(reason), "{text}");
        }
        let sets = ["discord.shards=4", "discord.shard_from=2", "discord.pluralkit_url=auto"];
        let config = load(&[], &sets).unwrap();
        assert_eq!(config.discord.shard_from, Auto::Set(2));
        assert!(
            matches!(&config.discord.pluralkit_url, PluralKit::Url(url) if url.contains("api"))
        );
    }
}
