//! `[database]`: which Postgres, and how it is reached.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::Invalid;
use super::error::require;

/// Which Postgres, and how it is reached.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// Our own server, or somebody's.
    pub url: DatabaseUrl,
    /// Connections held open at most.
    pub max_connections: u32,
}

/// Our own server, or somebody's.
#[derive(Debug, Clone)]
pub enum DatabaseUrl {
    /// A private server in the data directory.
    Embedded,
    /// The server that this URL names.
    Server(SecretString),
}

impl<'de> Deserialize<'de> for DatabaseUrl {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = SecretString::deserialize(deserializer)?;
        Ok(match text.expose_secret() {
            "embedded" => Self::Embedded,
            _ => Self::Server(text),
        })
    }
}

impl DatabaseConfig {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        if let DatabaseUrl::Server(url) = &self.url {
            let url = url.expose_secret();
            require(
                url.starts_with("postgres://") || url.starts_with("postgresql://"),
                "database.url",
                "something else (not shown, it may be a secret)",
                "\"embedded\" or a URL that begins with postgres://",
            )?;
        }
        require(
            (1..=1000).contains(&self.max_connections),
            "database.max_connections",
            self.max_connections,
            "a number from 1 to 1000",
        )
    }
}

/// A database URL without user, password and parameters.
pub(super) fn mask_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return String::from("***");
    };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://***@{host}"),
        None => format!("{scheme}://{rest}"),
    }
}
