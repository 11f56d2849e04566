//! What can go wrong on the way, said so that it can be put right.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{Digest, Source};

/// A file that could not be brought here.
#[derive(Debug, Error)]
pub enum FetchError {
    /// None of the sources worked.
    #[error("could not fetch {name}:{}", listing(.attempts))]
    NoSource {
        /// What was wanted.
        name: String,
        /// What was tried, in order.
        attempts: Vec<Attempt>,
    },
    /// The place where it shall lie cannot be used.
    #[error("cannot {action} {path}: {source}{}", advice(.source))]
    Place {
        /// What was being done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The disk has too little room.
    #[error(
        "{path} has {} MiB free, but fetching {name} needs {} MiB: make room, or choose another \
         place with --data-dir", mib(.available), mib(.needed)
    )]
    NoSpace {
        /// What was wanted.
        name: String,
        /// Where.
        path: PathBuf,
        /// Bytes free.
        available: u64,
        /// Bytes needed.
        needed: u64,
    },
}

/// One source that was tried, and why it did not work.
#[derive(Debug)]
pub struct Attempt {
    /// What was tried.
    pub source: Source,
    /// Why it did not work.
    pub error: SourceError,
}

/// Why one source did not work.
#[derive(Debug, Error)]
pub enum SourceError {
    /// There is no pip on this machine.
    #[error("no pip here (tried {tried}); install Python with pip, or set fetch.python")]
    NoPip {
        /// The commands that were tried.
        tried: String,
    },
    /// pip ran and failed.
    #[error("{command} failed: {reason}")]
    Pip {
        /// What ran.
        command: String,
        /// Its own words.
        reason: String,
    },
    /// The wheel is not as it should be.
    #[error("the wheel {wheel}: {problem}")]
    Wheel {
        /// Its file name.
        wheel: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The hub did not give it.
    #[error("the hub at {endpoint}: {problem}")]
    Hub {
        /// Where the hub is.
        endpoint: String,
        /// What happened.
        problem: String,
    },
    /// It came, but it is not what it should be.
    #[error("its sha256 is {actual}, but should be {expected}; what came was thrown away")]
    Digest {
        /// What it should be.
        expected: Digest,
        /// What it is.
        actual: Digest,
    },
    /// It came, but is too long or too short.
    #[error("it has {actual} bytes, but should have {expected}; what came was thrown away")]
    Size {
        /// What it should have.
        expected: u64,
        /// What it has.
        actual: u64,
    },
    /// The file system said no.
    #[error("cannot {action} {path}: {source}{}", advice(.source))]
    Io {
        /// What was being done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl SourceError {
    /// For `map_err`: the file system said no to `action` on `path`.
    pub(super) fn io<'a>(
        action: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(std::io::Error) -> Self + use<'a> {
        move |source| Self::Io { action, path: path.into(), source }
    }

    /// A stable label.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoPip { .. } => "no_pip",
            Self::Pip { .. } => "pip",
            Self::Wheel { .. } => "wheel",
            Self::Hub { .. } => "hub",
            Self::Digest { .. } => "digest",
            Self::Size { .. } => "size",
            Self::Io { .. } => "io",
        }
    }
}

impl FetchError {
    /// For `map_err`: the file system said no to `action` on `path`.
    pub(super) fn place<'a>(
        action: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(std::io::Error) -> Self + use<'a> {
        move |source| Self::Place { action, path: path.into(), source }
    }
}

fn listing(attempts: &[Attempt]) -> String {
    attempts.iter().fold(String::new(), |mut text, Attempt { source, error }| {
        let _ = write!(text, "\n  from {source}: {error}");
        text
    })
}

fn advice(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem, StorageFull};
    match error.kind() {
        StorageFull => "; make room, or choose another place with --data-dir",
        PermissionDenied | ReadOnlyFilesystem => {
            "; make the directory writable for you, or choose another with --data-dir"
        }
        _ => "",
    }
}

fn mib(bytes: &u64) -> u64 {
    bytes.div_ceil(1 << 20)
}
