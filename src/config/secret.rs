//! Secrets: whether one was given, and files that hold one.

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use super::ConfigError;

/// A secret that was given: neither left out nor "auto".
pub(super) fn given(secret: &SecretString) -> Option<&SecretString> {
    Some(secret).filter(|secret| !matches!(secret.expose_secret(), "" | "auto"))
}

/// The secret in the file that the setting `key` names, without white space around it;
/// `None` where there is nothing in it.
pub(super) fn read(key: &'static str, path: &Path) -> Result<Option<SecretString>, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Secret {
        key,
        path: path.into(),
        source,
    })?;
    Ok(Some(SecretString::from(text.trim())).filter(|secret| given(secret).is_some()))
}
