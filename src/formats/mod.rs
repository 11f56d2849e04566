//! The ecosystem's files: characters, lorebooks, chats, presets and templates, read and
//! written without losing anything.
//!
//! Pure: bytes and text in, nouns out, and back. Every file is hostile until it is
//! proved otherwise, so sizes are bounded before anything is unpacked. What a file holds
//! that we have no use for is kept as it was spelled.

mod archive;
mod base64;
pub mod book;
pub mod card;
pub mod chat;
mod error;
pub mod fields;
mod finding;
mod lenient;
mod limits;
pub mod picture;
pub mod preset;
#[cfg(test)]
mod strategies;
pub mod template;

pub use archive::archive;
pub use error::FormatError;
pub use finding::{Finding, Severity};
pub use limits::Limits;
