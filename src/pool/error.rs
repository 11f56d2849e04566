//! Why there is no worker, or why it makes no reply.

use std::sync::Arc;

use super::remote::RemoteError;
use crate::engine::EngineError;

/// An error of the pool.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PoolError {
    /// The model's files are refused, or the engine refused or failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A worker elsewhere refused or failed.
    #[error(transparent)]
    Remote(#[from] Arc<RemoteError>),
    /// A worker went away over a reply.
    #[error("the worker went away; the reply is tried again")]
    Gone,
    /// All workers have as much as they may have.
    #[error("{num_waiting} replies are waiting, and no more than {max_waiting} may: try later")]
    Busy {
        /// Requests that wait.
        num_waiting: usize,
        /// How many may.
        max_waiting: usize,
    },
    /// No worker became ready in time.
    #[error("no worker is ready: {0}")]
    NoWorker(String),
    /// The model was exchanged while the request waited: its prompt is of no use.
    #[error("the model was exchanged; the reply is made anew")]
    ModelChanged,
    /// A worker does not answer.
    #[error("{worker} has not moved for {seconds} s and is replaced")]
    Hung {
        /// Which.
        worker: Arc<str>,
        /// For how long.
        seconds: u64,
    },
    /// Options that describe no pool.
    #[error("workers: {0}")]
    Options(String),
}

impl PoolError {
    /// Whether the same request may succeed a moment later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Engine(error) => error.is_retryable(),
            Self::Remote(error) => error.is_transient(),
            Self::Gone
            | Self::Busy { .. }
            | Self::NoWorker(_)
            | Self::ModelChanged
            | Self::Hung { .. } => true,
            Self::Options(_) => false,
        }
    }

    /// Whether it is the worker's fault, so that another may do better.
    pub fn is_of_worker(&self) -> bool {
        match self {
            Self::Engine(error) => {
                error.is_retryable() && !matches!(error, EngineError::Busy { .. })
            }
            Self::Remote(error) => error.is_of_worker(),
            Self::Gone | Self::Hung { .. } => true,
            Self::Busy { .. } | Self::NoWorker(_) | Self::ModelChanged | Self::Options(_) => false,
        }
    }

    /// Whether waiting helps: for a worker, or for one that has room.
    pub(super) fn may_pass(&self) -> bool {
        self.is_busy() || matches!(self, Self::NoWorker(_))
    }

    /// Whether the worker has too much to do.
    pub(super) fn is_busy(&self) -> bool {
        match self {
            Self::Engine(error) => matches!(error, EngineError::Busy { .. }),
            Self::Remote(error) => error.is_busy(),
            Self::Busy { .. } => true,
            _ => false,
        }
    }

    /// A stable label for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Engine(error) => error.kind(),
            Self::Remote(error) => error.kind(),
            Self::Gone => "gone",
            Self::Busy { .. } => "busy",
            Self::NoWorker(_) => "no_worker",
            Self::ModelChanged => "model_changed",
            Self::Hung { .. } => "hung",
            Self::Options(_) => "options",
        }
    }
}
