//! Why nothing is known of a text.

use std::time::Duration;

/// An error of the classifier. Holds nothing of what was sent or answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClassifierError {
    /// The settings say something impossible.
    #[error("{0}")]
    Settings(String),
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
}

impl ClassifierError {
    pub(super) fn of_exchange(error: &reqwest::Error) -> Self {
        Self::Unreachable(match error {
            error if error.is_connect() => "nobody takes the connection",
            error if error.is_timeout() => "the connection takes too long",
            _ => "the connection broke off",
        })
    }

    /// Whether any other text would have failed as well.
    pub(super) fn is_of_server(&self) -> bool {
        // With these a server refuses what is in a request.
        !matches!(self, Self::Status(400 | 413 | 422))
    }

    /// A stable label for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Settings(_) => "settings",
            Self::Resting => "resting",
            Self::Timeout(_) => "timeout",
            Self::Unreachable(_) => "unreachable",
            Self::Status(_) => "status",
            Self::Unreadable(_) => "unreadable",
        }
    }
}
