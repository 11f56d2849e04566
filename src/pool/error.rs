//! Why there is no worker, or why it makes no reply.

use crate::engine::EngineError;
use crate::model::ModelError;
use crate::tokenizer::TokenizerError;

/// An error of the pool.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// The model's files are refused.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The model has no tokenizer that can be used.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The model's files lack a tokenizer.
    #[error("there is no tokenizer with the model; put its tokenizer.json beside the weights")]
    NoTokenizer,
    /// The engine refused or failed.
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
            Self::Model(_) | Self::Tokenizer(_) | Self::NoTokenizer => false,
        }
    }

    /// A stable label for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Model(_) => "model",
            Self::Tokenizer(_) | Self::NoTokenizer => "tokenizer",
            Self::Engine(error) => error.kind(),
            Self::Gone => "gone",
        }
    }
}
