//! How a fetch tells where it stands. Drawing it is the command line's business.

use super::{Source, SourceError};

/// One piece of news.
#[derive(Debug)]
pub enum ProgressEvent<'a> {
    /// Another process fetches the same file; this one waits for it.
    Waiting,
    /// A source is tried.
    Trying(&'a Source),
    /// So many bytes are here, of so many if that is known.
    Bytes {
        /// Bytes that are here, those of an earlier try included.
        done: u64,
        /// Bytes that there will be.
        total: Option<u64>,
    },
    /// All is here; its sum is being taken.
    Verifying,
    /// This source did not work; the next one is tried, if there is one.
    Failed(&'a Source, &'a SourceError),
    /// The file is in its place.
    Placed,
}

/// Someone who wants to know where a fetch stands.
pub trait Progress: Sync {
    /// Takes one piece of news. Called often: it must be quick.
    fn report(&self, event: ProgressEvent<'_>);
}

/// Nobody wants to know.
impl Progress for () {
    fn report(&self, _event: ProgressEvent<'_>) {}
}
