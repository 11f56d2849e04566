//! Lorebooks: those of V2 and V3 cards, V3's file of its own, SillyTavern's world info,
//! and the books of Agnai, NovelAI and Risu.
//!
//! A [`BookFile`] is the document and stays it; [`BookFile::to_lorebook`] gives the noun.
//! Decorators are part of an entry's content and are left there.

mod carry;
mod convert;
mod decorators;
mod edit;
mod entry;
mod legacy;
mod places;
mod regex_key;
mod validate;
mod world;

use serde_json::value::RawValue;

use self::entry::Entry;
use self::places::Dialect;
use super::card::Version;
use super::fields::Object;
use super::{FormatError, Limits};
use crate::domain::{LoreEntry, Lorebook};

/// A kind of book document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BookFormat {
    /// The `character_book` of a V2 card.
    V2,
    /// The `character_book` of a V3 card.
    V3,
    /// V3's file for a book alone (`lorebook_v3`).
    Standalone,
    /// SillyTavern's world info.
    WorldInfo,
    /// Agnai's memory book; read only.
    Agnai,
    /// NovelAI's lorebook; read only.
    Novel,
    /// Risu's lorebook; read only.
    Risu,
}

impl BookFormat {
    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::V2 => "character book (V2)",
            Self::V3 => "character book (V3)",
            Self::Standalone => "lorebook_v3",
            Self::WorldInfo => "SillyTavern world info",
            Self::Agnai => "Agnai memory book",
            Self::Novel => "NovelAI lorebook",
            Self::Risu => "Risu lorebook",
        }
    }

    /// How its entries are spelled; `None` where they are only read.
    fn dialect(self) -> Option<Dialect> {
        match self {
            Self::V2 | Self::V3 | Self::Standalone => Some(Dialect::Book),
            Self::WorldInfo => Some(Dialect::World),
            Self::Agnai | Self::Novel | Self::Risu => None,
        }
    }
}

/// A book: a document read leniently and never rewritten beyond what was changed.
#[derive(Debug, Clone, PartialEq)]
pub struct BookFile {
    format: BookFormat,
    root: Object,
}

/// One entry as it stands in the document.
struct Slot {
    /// Its key in the noun; no two are the same.
    uid: String,
    /// Its key in the document's object of entries, where they are no list.
    key: Option<String>,
    value: Box<RawValue>,
    path: String,
}

impl Slot {
    fn object(&self) -> Result<Object, FormatError> {
        Object::parse(self.value.get(), self.path.clone())
    }
}

impl BookFile {
    /// Reads a book of any kind from JSON within the usual limits.
    ///
    /// # Errors
    /// As [`BookFile::read_json_within`].
    pub fn read_json(text: &str) -> Result<Self, FormatError> {
        Self::read_json_within(text, &Limits::default())
    }

    /// Reads a book of any kind from JSON.
    ///
    /// # Errors
    /// `TooBig` beyond the limits, `Json` and `Type` where it is no JSON object,
    /// `Unknown` where the object is no book.
    pub fn read_json_within(text: &str, limits: &Limits) -> Result<Self, FormatError> {
        Self::detect(Object::read(text, limits)?)
    }

    /// Reads the book of a card of that version, which was checked for its size with the
    /// card.
    ///
    /// # Errors
    /// `Json`, `Type` and `Unknown` as above.
    pub fn embedded(
        text: &str,
        path: impl Into<String>,
        version: Version,
    ) -> Result<Self, FormatError> {
        let mut book = Self::detect(Object::parse(text, path)?)?;
        if matches!(book.format, BookFormat::V2 | BookFormat::V3) {
            // V1 has no books; what stands there nevertheless is the newest kind.
            let is_v2 = version == Version::V2;
            book.format = if is_v2 { BookFormat::V2 } else { BookFormat::V3 };
        }
        Ok(book)
    }

    fn detect(root: Object) -> Result<Self, FormatError> {
        let is = |key, value: &str| root.text(key).ok().flatten().as_deref() == Some(value);
        let format = if root.has("lorebookVersion") {
            BookFormat::Novel
        } else if is("kind", "memory") {
            BookFormat::Agnai
        } else if is("type", "risu") {
            BookFormat::Risu
        } else if matches!(root.object("entries"), Ok(Some(_))) {
            BookFormat::WorldInfo
        } else if is("spec", "lorebook_v3") && matches!(root.object("data"), Ok(Some(_))) {
            BookFormat::Standalone
        } else if let Ok(Some(entries)) = root.items("entries") {
            let object = |raw: &RawValue| Object::parse(raw.get(), "").ok();
            let objects: Vec<Object> = entries.iter().filter_map(|raw| object(raw)).collect();
            let is_v3 = objects.iter().any(|entry| entry.has("use_regex"))
                && !objects.iter().any(convert::is_from_v3);
            if is_v3 { BookFormat::V3 } else { BookFormat::V2 }
        } else {
            let keys: Vec<&str> = root.keys().take(6).collect();
            let what = if root.has("spec") || root.has("first_mes") {
                "it is a character card; import it as one".to_owned()
            } else {
                format!("it has no entries (a list or an object), but {keys:?}")
            };
            return Err(FormatError::Unknown { wanted: "lorebook", what });
        };
        Ok(Self { format, root })
    }

    /// A book without entries.
    pub fn new(format: BookFormat) -> Self {
        Self::from_lorebook(&Lorebook::default(), format)
    }

    /// What kind of document it is.
    pub fn format(&self) -> BookFormat {
        self.format
    }

    /// The document in JSON.
    pub fn to_json(&self) -> String {
        self.root.to_json()
    }

    /// The document.
    pub fn root(&self) -> &Object {
        &self.root
    }

    /// The object that the book's fields stand in: `data`, or the document.
    fn body(&self) -> Object {
        match self.format {
            BookFormat::Standalone => {
                self.root.object("data").ok().flatten().expect("a lorebook_v3 has its data")
            }
            _ => self.root.clone(),
        }
    }

    fn put_body(&mut self, body: Object) {
        match self.format {
            BookFormat::Standalone => self.root.set_object("data", &body),
            _ => self.root = body,
        }
    }

    /// What the document says, as the noun. What cannot be read is as if it were not
    /// there; [`BookFile::validate`] names it.
    pub fn to_lorebook(&self) -> Lorebook {
        let Some(dialect) = self.format.dialect() else {
            return legacy::to_book(self).to_lorebook();
        };
        let body = self.body();
        let count = |key: &str| body.integer(key).ok().flatten().map(|n| n.try_into().unwrap_or(0));
        let text = |key: &str| body.text(key).ok().flatten().unwrap_or_default();
        Lorebook {
            name: text("name"),
            description: text("description"),
            scan_depth: count("scan_depth"),
            token_budget: count("token_budget"),
            recursive_scanning: body.flag("recursive_scanning").ok().flatten(),
            entries: self
                .slots()
                .into_iter()
                .filter_map(|slot| Some((slot.object().ok()?, slot.uid)))
                .map(|(object, uid)| Entry::new(dialect, object).to_lore(uid))
                .collect(),
        }
    }

    /// One entry, by its key in the noun.
    pub fn entry(&self, uid: &str) -> Option<LoreEntry> {
        self.to_lorebook().entries.into_iter().find(|entry| entry.uid == uid)
    }

    /// The entries in the document's order.
    fn slots(&self) -> Vec<Slot> {
        let body = self.body();
        let path = body.path_of("entries");
        let mut slots = Vec::new();
        if let Ok(Some(entries)) = body.object("entries") {
            for key in entries.keys() {
                let Some(value) = entries.raw(key) else { continue };
                let (value, path) = (value.to_owned(), entries.path_of(key));
                slots.push(Slot { uid: String::new(), key: Some(key.to_owned()), value, path });
            }
        } else {
            let entries = body.items("entries").ok().flatten().unwrap_or_default();
            for (index, value) in entries.into_iter().enumerate() {
                let path = format!("{path}[{index}]");
                slots.push(Slot { uid: String::new(), key: None, value, path });
            }
        }
        name_slots(&mut slots);
        slots
    }
}

/// Gives each entry its key: the file's own, else its place. Where two have the same,
/// the later gets its place as well; what is no entry takes none from those that are.
fn name_slots(slots: &mut [Slot]) {
    let objects: Vec<Option<Object>> = slots.iter().map(|slot| slot.object().ok()).collect();
    let mut taken = std::collections::HashSet::new();
    for is_entry in [true, false] {
        for (index, slot) in slots.iter_mut().enumerate() {
            let object = objects[index].as_ref();
            if object.is_some() != is_entry {
                continue;
            }
            let own = |key: &str| object?.text(key).ok()?.filter(|id| !id.is_empty());
            let own = own("id").or_else(|| own("uid")).or_else(|| slot.key.clone());
            let mut uid = own.unwrap_or_else(|| index.to_string());
            while !taken.insert(uid.clone()) {
                uid = format!("{uid}.{index}");
            }
            slot.uid = uid;
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
