//! Why nothing is known of a text.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::fetch::FetchError;

/// An error of the classifier. Holds nothing of what was sent or answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClassifierError {
    /// The settings say something impossible.
    #[error("{0}")]
    Settings(String),
    /// The model is one of the hub and was not fetched yet.
    #[error("the classifier's model {0} is not here yet")]
    NotHere(String),
    /// The model cannot be fetched.
    #[error(
        "the classifier's model {name}: {reason}\nIt must have config.json, tokenizer.json and \
         model.safetensors; deploy/moderation.md tells how to make them of others"
    )]
    Fetch {
        /// The model.
        name: String,
        /// What was tried.
        reason: String,
    },
    /// The model's files are missing, damaged, or of a kind that is not computed here.
    #[error("the classifier's model cannot be used: {}: {reason}", .path.display())]
    Model {
        /// The file, or the directory.
        path: PathBuf,
        /// Why not, and what to do.
        reason: String,
    },
    /// It did not answer lately, and is left alone for a while.
    #[error("the classifier did not answer lately, and is asked again in some seconds")]
    Resting,
    /// It did not answer in time.
    #[error("the classifier did not answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The connection failed.
    #[error("the classifier cannot be reached: {0}")]
    Unreachable(&'static str),
    /// It refused.
    #[error("the classifier answered with status {0}")]
    Status(u16),
    /// It answered something else than the protocol has.
    #[error("the classifier's answer {0}")]
    Unreadable(&'static str),
    /// The model failed.
    #[error("the classifier's model {0}")]
    Broken(&'static str),
}

impl ClassifierError {
    pub(super) fn of_exchange(error: &reqwest::Error) -> Self {
        Self::Unreachable(match error {
            error if error.is_connect() => "nobody takes the connection",
            error if error.is_timeout() => "the connection takes too long",
            _ => "the connection broke off",
        })
    }

    /// For `map_err`: the model's file, or directory, cannot be used.
    pub(super) fn model<R: Into<String>>(path: &Path) -> impl Fn(R) -> Self + use<'_, R> {
        move |reason| Self::Model { path: path.to_owned(), reason: reason.into() }
    }

    pub(super) fn of_fetching(name: &str, error: &FetchError) -> Self {
        Self::Fetch { name: name.to_owned(), reason: error.to_string() }
    }

    /// Whether a server should be left alone for it: any other text would have failed as well.
    pub(super) fn is_of_server(&self) -> bool {
        // With these a server refuses what is in a request.
        !matches!(self, Self::Resting | Self::Status(400 | 413 | 422))
    }

    /// A stable label for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Settings(_) => "settings",
            Self::NotHere(_) => "not_here",
            Self::Fetch { .. } => "fetch",
            Self::Model { .. } => "model",
            Self::Resting => "resting",
            Self::Timeout(_) => "timeout",
            Self::Unreachable(_) => "unreachable",
            Self::Status(_) => "status",
            Self::Unreadable(_) => "unreadable",
            Self::Broken(_) => "broken",
        }
    }
}
