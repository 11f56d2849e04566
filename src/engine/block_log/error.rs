//! Why the log of blocks cannot be opened, or lost something on the way.

use std::io;
use std::path::PathBuf;

use crate::engine::EngineError;

/// An error of the block log.
#[derive(Debug, thiserror::Error)]
pub(in crate::engine) enum BlockLogError {
    /// Another process, or another engine of this one, uses the directory.
    #[error("{} is in use by another process", _0.display())]
    Locked(PathBuf),
    /// The system refused.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
}

impl From<BlockLogError> for EngineError {
    fn from(error: BlockLogError) -> Self {
        Self::DiskCache(error.to_string())
    }
}

/// Says what an operation of the system was for.
pub(super) trait During<T> {
    /// Names the attempt in the error.
    fn during(self, what: &'static str) -> Result<T, BlockLogError>;
}

impl<T> During<T> for io::Result<T> {
    fn during(self, what: &'static str) -> Result<T, BlockLogError> {
        self.map_err(|source| BlockLogError::Io { what, source })
    }
}
