//! Secrets: whether one was given, and files that hold one.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::{Auto, ConfigError};

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

/// What is set, else what the file holds that the setting `key` names.
pub(super) fn set_or_read(
    secret: &SecretString,
    key: &'static str,
    file: &Auto<PathBuf>,
) -> Result<Option<SecretString>, ConfigError> {
    match (given(secret), file) {
        (Some(secret), _) => Ok(Some(secret.clone())),
        (None, Auto::Set(path)) => read(key, path),
        (None, Auto::Auto) => Ok(None),
    }
}
