//! The process environment, read once.
//!
//! The only place in the program that looks at it: other rooms are given what
//! they need. Tests make one from pairs.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::Auto;

/// Where the configuration file is; not a setting.
pub(super) const CONFIG_FILE: &str = "DRAMATIS_CONFIG";

/// Where tests keep the models that they pull; not a setting.
const TEST_MODELS: &str = "DRAMATIS_TEST_MODELS";

/// Variables with our prefix that are no settings.
pub(super) const RESERVED: [&str; 3] = [CONFIG_FILE, TEST_MODELS, super::worker::API_KEY];

/// The process environment, read once. Its values are not shown by `Debug`.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    is_root: bool,
}

impl Environment {
    /// Reads the environment of this process.
    ///
    /// Variables that are not Unicode are left out.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn from_process() -> Self {
        let unicode = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self {
            variables: std::env::vars_os().filter_map(unicode).collect(),
            is_root: nix::unistd::geteuid().is_root(),
        }
    }

    /// An ordinary user's environment that holds just these variables.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let variables = pairs.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self { variables: variables.collect(), is_root: false }
    }

    /// The same, as root.
    #[must_use]
    pub fn as_root(mut self) -> Self {
        self.is_root = true;
        self
    }

    /// A variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<String> {
        self.variables.get(name).filter(|value| !value.is_empty()).cloned()
    }

    /// Whether this process runs as root.
    pub fn is_root(&self) -> bool {
        self.is_root
    }

    /// The person's home directory.
    pub fn home(&self) -> Option<PathBuf> {
        self.get("HOME").map(PathBuf::from)
    }

    /// Whether output should be plain: `NO_COLOR` is set (<https://no-color.org>)
    /// or the terminal is a dumb one.
    pub fn no_color(&self) -> bool {
        self.get("NO_COLOR").is_some() || self.term().as_deref() == Some("dumb")
    }

    /// The kind of terminal.
    pub fn term(&self) -> Option<String> {
        self.get("TERM")
    }

    /// Where tests keep the models that they pull.
    pub fn test_models(&self) -> Option<PathBuf> {
        self.get(TEST_MODELS).map(PathBuf::from)
    }

    /// The first file of this name in the directories of `PATH`.
    pub fn find_program(&self, name: &str) -> Option<PathBuf> {
        let path = self.get("PATH")?;
        std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
    }

    /// `~` and `~/…` with the home directory in its place.
    pub fn expand_home(&self, path: &str) -> PathBuf {
        match (path.strip_prefix('~'), self.home()) {
            (Some(""), Some(home)) => home,
            (Some(rest), Some(home)) if rest.starts_with('/') => home.join(&rest[1..]),
            _ => PathBuf::from(path),
        }
    }

    /// Makes a file's path absolute, starting from the home or the working directory.
    pub(super) fn place(&self, file: &mut Auto<PathBuf>, working_dir: &Path) {
        if let Auto::Set(file) = file {
            *file = working_dir.join(self.expand_home(&file.to_string_lossy()));
        }
    }

    /// Name and value of every variable whose name begins with `prefix`, by name.
    pub(super) fn with_prefix<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let all = self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        all.filter(move |(name, _)| name.starts_with(prefix))
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("names", &self.variables.keys())
            .field("is_root", &self.is_root)
            .finish()
    }
}
