//! What can be wrong with the settings, said so that it can be put right.

use std::fmt::{self, Display};
use std::path::PathBuf;

use thiserror::Error;

/// Settings that cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file that was asked for cannot be read.
    #[error("cannot read the configuration file {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file is not TOML. The offending text is left out: it may be a secret.
    #[error("{origin}, line {line}: this is not valid TOML: {problem}")]
    Syntax {
        /// The file.
        origin: String,
        /// The line, counted from 1.
        line: usize,
        /// What the parser says.
        problem: String,
    },
    /// A `--set` that is not `key=value`.
    #[error("--set wants section.key=value, for example engine.threads=4; this has no `=`: {0}")]
    Override(String),
    /// A secret where everybody can read it.
    #[error(
        "`{key}` cannot be given on the command line, where every user of this machine can read \
         it; put it into the variable {variable}, or into a file that `{key}_file` names"
    )]
    OnCommandLine {
        /// The setting.
        key: &'static str,
        /// The variable that it may be left to.
        variable: &'static str,
    },
    /// A worker that other machines can reach, and no key.
    #[error(
        "`worker.listen` is {listen}, where other machines can connect, and there is no key: \
         anybody there could use the worker. Put a key into the variable DRAMATIS_API_KEY, or \
         into a file that `worker.api_key_file` names (`openssl rand -hex 32` makes one); or \
         listen on 127.0.0.1"
    )]
    Exposed {
        /// Where it should listen.
        listen: String,
    },
    /// What was given as a worker's key is none.
    #[error(
        "what was given as `worker.api_key` (not shown) is none: it must have at least 16 \
         characters, without spaces, all ASCII; `openssl rand -hex 32` makes one"
    )]
    ApiKeyShape,
    /// A file that holds a secret cannot be read.
    #[error("cannot read {path}, which `{key}` names: {source}")]
    Secret {
        /// The setting that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A key that nobody reads.
    #[error("{origin}: there is no setting `{key}`{}", suggestion(.nearest.as_deref()))]
    UnknownKey {
        /// The key as dotted path.
        key: String,
        /// The file, variable or option that holds it.
        origin: String,
        /// A known key that looks like it.
        nearest: Option<String>,
    },
    /// A value of the wrong type.
    #[error("{origin}: `{key}` {problem}")]
    Type {
        /// The key as dotted path.
        key: String,
        /// The file, variable or option that holds it.
        origin: String,
        /// What is wrong.
        problem: String,
    },
    /// A value outside what is allowed.
    #[error("{origin}: {invalid}")]
    Invalid {
        /// The file, variable or option that holds it.
        origin: String,
        /// The key, the value, and what is allowed.
        invalid: Invalid,
    },
    /// The file of measured profiles is none, or cannot be read.
    #[error(
        "{path} holds no measured profiles: {reason}; put it right or delete it, and \
         `dramatis bench lengths --save` measures anew"
    )]
    Measured {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file of measured profiles cannot be written.
    #[error("cannot write {path}: {source}")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// No place for data is known.
    #[error(
        "there is no home directory to keep data in: set HOME, or give --data-dir PATH \
         (`data_dir` in the configuration)"
    )]
    NoDataDir,
}

fn suggestion(nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) => format!("; did you mean `{nearest}`?"),
        None => String::from("; `dramatis config show` lists them all"),
    }
}

/// A value outside what is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// The key as dotted path.
    pub key: String,
    /// The value as it was given.
    pub value: String,
    /// What is allowed, as the end of "it must be …".
    pub allowed: String,
}

impl Invalid {
    /// `key` must be `allowed`, but is `value`.
    pub fn new(key: impl Into<String>, value: impl Display, allowed: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.to_string(), allowed: allowed.into() }
    }
}

impl Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is {}, but must be {}", self.key, self.value, self.allowed)
    }
}

/// Fails with [`Invalid`] unless `holds`.
pub(super) fn require(
    holds: bool,
    key: &str,
    value: impl Display,
    allowed: &str,
) -> Result<(), Invalid> {
    if holds { Ok(()) } else { Err(Invalid::new(key, value, allowed)) }
}
