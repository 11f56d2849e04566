//! Character cards: V1, V2 and V3 of the specification with SillyTavern's extensions,
//! as JSON, in PNG pictures and in CHARX archives.
//!
//! A [`Card`] is the document and stays it: what this service has no use for is kept as
//! it was spelled, and what it writes changes only what was changed.
//! [`Card::to_sheet`] gives the noun. [`CardFile`] is the card with its pictures.

mod assets;
mod charx;
mod convert;
mod file;
mod png;
mod sheet;
mod validate;
mod version;
mod write;

use serde_json::value::RawValue;

use super::book::BookFile;
use super::fields::Object;
use super::{FormatError, Limits};
use crate::domain::Lorebook;

pub use assets::Asset;
pub use file::{CardFile, Container};
pub use version::Version;

/// The fields of V1; any of them makes an object a card.
const V1_FIELDS: [&str; 6] =
    ["name", "description", "personality", "scenario", "first_mes", "mes_example"];

/// What Pygmalion's editor of old called the fields of V1.
const OLD_NAMES: [(&str, &str); 5] = [
    ("name", "char_name"),
    ("description", "char_persona"),
    ("first_mes", "char_greeting"),
    ("mes_example", "example_dialogue"),
    ("scenario", "world_scenario"),
];

/// A character card: a document of the specification, read leniently and never
/// rewritten beyond what was changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    version: Version,
    root: Object,
}

impl Card {
    /// Reads a card of any version from JSON within the usual limits.
    ///
    /// # Errors
    /// As [`Card::read_json_within`].
    pub fn read_json(text: &str) -> Result<Self, FormatError> {
        Self::read_json_within(text, &Limits::default())
    }

    /// Reads a card of any version from JSON.
    ///
    /// # Errors
    /// `TooBig` beyond the limits, `Json` and `Type` where it is no JSON object,
    /// `Unknown` where the object is no card.
    pub fn read_json_within(text: &str, limits: &Limits) -> Result<Self, FormatError> {
        let root = Object::read(text, limits)?;
        let version = Version::detect(&root)?;
        Ok(Self { version, root })
    }

    /// The version that it is written in.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The document in JSON.
    pub fn to_json(&self) -> String {
        self.root.to_json()
    }

    /// The document.
    pub fn root(&self) -> &Object {
        &self.root
    }

    /// The object that the character's fields stand in: `data`, or in V1 the document.
    pub fn body(&self) -> Object {
        match self.version {
            Version::V1 => self.root.clone(),
            Version::V2 | Version::V3 => self
                .root
                .object("data")
                .ok()
                .flatten()
                .expect("a card of V2 or V3 has its data, or was read as V1"),
        }
    }

    /// The same card with another body.
    fn with_body(&self, body: Object) -> Self {
        let mut card = self.clone();
        card.put_body(body);
        card
    }

    fn put_body(&mut self, body: Object) {
        match self.version {
            Version::V1 => self.root = body,
            Version::V2 | Version::V3 => self.root.set_object("data", &body),
        }
    }

    /// The name, as the document gives it; may be empty.
    pub fn name(&self) -> String {
        sheet::text(&self.body(), "name")
    }

    /// The book that the card brings along, as it is spelled.
    pub fn raw_book(&self) -> Option<Box<RawValue>> {
        let body = self.body();
        let book = body.raw("character_book")?;
        (book.get().trim() != "null").then(|| book.to_owned())
    }

    /// The book that the card brings along as a document of its own.
    ///
    /// # Errors
    /// Where it is there and is no book.
    pub fn book_file(&self) -> Result<Option<BookFile>, FormatError> {
        match self.raw_book() {
            None => Ok(None),
            Some(raw) => {
                let at = if self.version == Version::V1 { "" } else { "data." };
                let path = format!("{at}character_book");
                BookFile::embedded(raw.get(), path, self.version).map(Some)
            }
        }
    }

    /// The book that the card brings along; `None` too where it cannot be read.
    pub fn book(&self) -> Option<Lorebook> {
        Some(self.book_file().ok()??.to_lorebook())
    }

    /// The same card with that book, or with none.
    #[must_use]
    pub fn with_book(&self, book: Option<&RawValue>) -> Self {
        let mut body = self.body();
        match book {
            Some(book) => body.set_raw("character_book", book.to_owned()),
            None => {
                body.remove("character_book");
            }
        }
        self.with_body(body)
    }
}

#[cfg(test)]
mod file_tests;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
