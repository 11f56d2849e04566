//! What is wrong with a book, for its author to read.

use super::javascript::RegexError;

/// Something in an entry that does not do what its author wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The id of the book's source.
    pub source: String,
    /// The entry's uid.
    pub uid: String,
    /// What it is.
    pub problem: LoreProblem,
}

/// What is wrong with an entry. None of these stops the rest of the book.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoreProblem {
    /// A key that matches nothing.
    #[error("the key \"{key}\" matches nothing: {error}")]
    InvalidRegex {
        /// The key as it was written.
        key: String,
        /// Why.
        error: RegexError,
    },
    /// A decorator that is none of ours, and no fallback of it is.
    #[error("the decorator @@{0} is unknown and was skipped")]
    UnknownDecorator(String),
    /// A decorator whose value makes no sense.
    #[error("the decorator @@{name} cannot be \"{value}\" and was skipped")]
    InvalidDecorator {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// A decorator that counts in tokens, which the specification wants skipped where
    /// there are messages.
    #[error("the decorator @@{0} is for prompts without messages and was skipped")]
    NotForChats(String),
}
