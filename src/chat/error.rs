//! What can go wrong with a person's wish, and what they may read of it.

use crate::formats::FormatError;
use crate::pool::PoolError;
use crate::prompt::PromptError;
use crate::sampling::SamplerParamsError;
use crate::store::StoreError;

use super::SinkError;

/// An error of the chat room.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// The wish cannot be granted as it is; the text is for the person.
    #[error("{0}")]
    Refused(String),
    /// The person did not agree yet that their words are taken.
    #[error(
        "you have not agreed yet that what you say is taken into scenes here; /privacy optin asks \
         you"
    )]
    MustAgree,
    /// It waits until a moderator has seen it.
    #[error(
        "moderators look at that first (case {case}); nothing of it is lost, and you are told what \
         becomes of it"
    )]
    Held {
        /// The number of its case.
        case: i64,
    },
    /// The prompt cannot be made.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// A preset says something impossible.
    #[error("the preset “{name}” cannot be used: {reason}")]
    Preset {
        /// Which.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file cannot be read or written.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// No worker made the reply.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The stored reply could not be shown.
    #[error("the reply could not be shown: {0}")]
    Sink(#[from] SinkError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ChatError {
    /// A refusal in plain words.
    pub(crate) fn refused(reason: impl Into<String>) -> Self {
        Self::Refused(reason.into())
    }

    pub(crate) fn preset(name: &str, error: &SamplerParamsError) -> Self {
        Self::Preset { name: name.to_owned(), reason: error.to_string() }
    }

    /// Whether the same job may succeed a moment later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Pool(error) => error.is_transient(),
            Self::Sink(error) => error.retry,
            Self::Refused(_)
            | Self::MustAgree
            | Self::Held { .. }
            | Self::Prompt(_)
            | Self::Preset { .. }
            | Self::Format(_) => false,
        }
    }

    /// What the person is told.
    pub fn notice(&self) -> String {
        match self {
            Self::Store(
                StoreError::NotFound(_)
                | StoreError::Taken(_)
                | StoreError::Busy
                | StoreError::Full(_),
            )
            | Self::Refused(_)
            | Self::MustAgree
            | Self::Held { .. }
            | Self::Prompt(_)
            | Self::Preset { .. }
            | Self::Format(_)
            | Self::Pool(_)
            | Self::Sink(_) => self.to_string(),
            Self::Store(_) => {
                "the database had a problem; your turn is safe once it was accepted, and the log \
                 says more"
                    .to_owned()
            }
        }
    }

    /// A stable label for metrics and for the job's row.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::MustAgree => "must_agree",
            Self::Held { .. } => "held",
            Self::Prompt(error) => error.kind(),
            Self::Preset { .. } => "preset",
            Self::Format(error) => error.kind(),
            Self::Pool(error) => error.kind(),
            Self::Sink(_) => "sink",
            Self::Store(error) => error.kind(),
        }
    }
}
