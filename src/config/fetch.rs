//! `[fetch]`: how files are brought onto this machine.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::error::require;
use super::{Auto, Environment, Invalid};

/// How files are brought onto this machine.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FetchConfig {
    /// The Python whose pip brings packages.
    pub python: Auto<String>,
    /// Where the model hub is; `Auto` is the public one.
    pub hub_endpoint: Auto<String>,
    hub_token: SecretString,
}

impl FetchConfig {
    /// The token for gated models of the hub, if there is one.
    pub fn hub_token(&self) -> Option<&SecretString> {
        Some(&self.hub_token).filter(|token| !matches!(token.expose_secret(), "" | "auto"))
    }

    /// Fills what was left at "auto" from the hub's own variables.
    pub(super) fn resolve(&mut self, environment: &Environment) {
        if self.hub_endpoint == Auto::Auto
            && let Some(endpoint) = environment.get("HF_ENDPOINT")
        {
            self.hub_endpoint = Auto::Set(endpoint);
        }
        if self.hub_token().is_none()
            && let Some(token) = environment.get("HF_TOKEN")
        {
            self.hub_token = SecretString::from(token);
        }
    }

    pub(super) fn validate(&self) -> Result<(), Invalid> {
        let Some(endpoint) = self.hub_endpoint.set() else {
            return Ok(());
        };
        require(
            endpoint.starts_with("https://") || endpoint.starts_with("http://"),
            "fetch.hub_endpoint",
            endpoint,
            "\"auto\" or a URL that begins with https:// or http://",
        )
    }
}
