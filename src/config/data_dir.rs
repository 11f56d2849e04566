//! `data_dir`: where everything that must survive a restart lies.

use std::path::{Path, PathBuf};

use super::{ConfigError, Environment};

/// The absolute data directory that `setting` means.
pub(super) fn resolve(
    setting: &str,
    environment: &Environment,
    working_dir: &Path,
) -> Result<PathBuf, ConfigError> {
    if setting == "auto" {
        return platform_dir(environment).ok_or(ConfigError::NoDataDir);
    }
    Ok(working_dir.join(environment.expand_home(setting)))
}

/// The platform's place for our data: the XDG Base Directory Specification's, on
/// macOS Application Support, for root the Filesystem Hierarchy Standard's.
fn platform_dir(environment: &Environment) -> Option<PathBuf> {
    if environment.is_root() {
        return Some(PathBuf::from("/var/lib/dramatis"));
    }
    if cfg!(target_os = "macos") {
        return Some(environment.home()?.join("Library/Application Support/dramatis"));
    }
    // The specification: a relative path there is invalid and is to be ignored.
    let xdg = environment.get("XDG_DATA_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    Some(xdg.or_else(|| Some(environment.home()?.join(".local/share")))?.join("dramatis"))
}
