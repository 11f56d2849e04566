//! Why there is no worker, or why it makes no reply.

use crate::engine::EngineError;

/// An error of the pool.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// The model's files are refused, or the engine refused or failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A worker went away over a reply.
    #[error("the worker went away; the reply is tried again")]
    Gone,
}

impl PoolError {
    /// Whether the same request may succeed a moment later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Engine(error) => error.is_retryable(),
            Self::Gone => true,
        }
    }

    /// A stable label for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Engine(error) => error.kind(),
            Self::Gone => "gone",
        }
    }
}
