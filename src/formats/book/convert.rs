//! Between the kinds of books, so that the way there and back loses nothing.
//!
//! Values move as they are spelled. What the other kind has no field for is carried in
//! `extensions`; the fields and what SillyTavern assumes of them follow its own
//! conversions.

use super::carry::{extensions, mark, peek, stow, unstow};
use super::decorators::strip;
use super::{BookFile, BookFormat, Slot, legacy, world};
use crate::formats::FormatError;
use crate::formats::fields::{Object, raw, raw_list};

/// Names under which things are carried.
const V3_CONTENT: &str = "v3";
const V2_CONTENT: &str = "v2";
const OUTER: &str = "lorebook_v3";

impl BookFile {
    /// The same book as a document of that kind.
    ///
    /// # Errors
    /// `Unsupported` for kinds that are only read.
    pub fn to_format(&self, format: BookFormat) -> Result<Self, FormatError> {
        if format.dialect().is_none() {
            let what = format!("a {} is only read; write a V3 book instead", format.name());
            return Err(FormatError::Unsupported { what });
        }
        Ok(self.converted(format, true))
    }

    /// The same book of a kind that is written. Decorators, which V2 lacks, are carried
    /// along or gone for good.
    pub(in crate::formats) fn converted(&self, format: BookFormat, keeps_decorators: bool) -> Self {
        if self.format == format {
            return self.clone();
        }
        let book = match self.format {
            BookFormat::V3 => self.clone(),
            BookFormat::V2 => self.with_entries_of(BookFormat::V3, to_v3),
            BookFormat::Standalone => self.unwrapped(),
            BookFormat::WorldInfo => world::to_book(self),
            BookFormat::Agnai | BookFormat::Novel | BookFormat::Risu => legacy::to_book(self),
        };
        match format {
            BookFormat::V2 => {
                book.with_entries_of(BookFormat::V2, |entry| to_v2(entry, keeps_decorators))
            }
            BookFormat::Standalone => book.wrapped(),
            BookFormat::WorldInfo => world::from_book(&book),
            _ => book,
        }
    }

    /// The same book as one of V2 whose contents are all meant as they stand, as those
    /// in a V2 card are.
    pub(in crate::formats) fn meant_as_v2(&self) -> Self {
        let mut book = self.converted(BookFormat::V3, true);
        book.format = BookFormat::V2;
        book
    }

    fn with_entries_of(&self, format: BookFormat, change: impl Fn(&mut Object)) -> Self {
        let mut book = self.clone();
        book.format = format;
        let mut slots = self.slots();
        for slot in &mut slots {
            if let Ok(mut entry) = slot.object() {
                change(&mut entry);
                slot.value = entry.to_raw();
            }
        }
        book.put_slots(&slots);
        book
    }

    fn wrapped(&self) -> Self {
        let mut data = self.root.clone();
        let mut data_extensions = extensions(&data);
        let mut root = Object::new("");
        root.set("spec", "lorebook_v3");
        if let Some(outer) = unstow(&mut data_extensions, OUTER) {
            data.set_object("extensions", &data_extensions);
            for key in outer.keys() {
                if let Some(value) = outer.raw(key) {
                    root.set_raw(key, value.to_owned());
                }
            }
        }
        root.set_object("data", &data);
        Self { format: BookFormat::Standalone, root }
    }

    fn unwrapped(&self) -> Self {
        let mut data = self.body();
        let mut outer = self.root.clone();
        outer.remove("spec");
        outer.remove("data");
        if !outer.is_empty() {
            let mut data_extensions = extensions(&data);
            stow(&mut data_extensions, OUTER, &outer);
            data.set_object("extensions", &data_extensions);
        }
        Self { format: BookFormat::V3, root: data }
    }

    /// Writes the entries back, as a list or as an object as before.
    pub(super) fn put_slots(&mut self, slots: &[Slot]) {
        let mut body = self.body();
        if matches!(body.object("entries"), Ok(Some(_))) {
            let mut entries = Object::new(body.path_of("entries"));
            for slot in slots {
                entries.set_raw(slot.key.as_deref().unwrap_or(&slot.uid), slot.value.clone());
            }
            body.set_object("entries", &entries);
        } else {
            body.set_raw("entries", raw_list(slots.iter().map(|slot| &*slot.value)));
        }
        self.put_body(body);
    }
}

/// Whether an entry was V3's and waits as V2's to be so again.
pub(super) fn is_from_v3(entry: &Object) -> bool {
    peek(&extensions(entry), V3_CONTENT).is_some()
}

fn to_v3(entry: &mut Object) {
    if !entry.has("use_regex") {
        entry.set("use_regex", &false);
    }
    let mut entry_extensions = extensions(entry);
    let content = entry.text("content").ok().flatten().unwrap_or_default();
    let Some(kept) = unstow(&mut entry_extensions, V3_CONTENT) else {
        // What only looks decorated in V2 must not be stripped on the way back.
        if strip(&content) != content {
            stow(&mut entry_extensions, V2_CONTENT, &mark());
            entry.set_object("extensions", &entry_extensions);
        }
        return;
    };
    entry.set_object("extensions", &entry_extensions);
    // Unless somebody has rewritten it since.
    if let Ok(Some(whole)) = kept.text("content")
        && strip(&whole) == content
    {
        entry.copy_field(&kept, "content");
    }
}

fn to_v2(entry: &mut Object, keeps_decorators: bool) {
    let Ok(Some(content)) = entry.text("content") else { return };
    let stripped = strip(&content);
    let mut entry_extensions = extensions(entry);
    if unstow(&mut entry_extensions, V2_CONTENT).is_some() {
        return entry.set_object("extensions", &entry_extensions);
    }
    if stripped == content {
        return;
    }
    let mut kept = Object::new("");
    kept.copy_field(entry, "content");
    entry.set("content", stripped);
    if keeps_decorators {
        stow(&mut entry_extensions, V3_CONTENT, &kept);
        entry.set_object("extensions", &entry_extensions);
    }
}

/// An empty list or object where a field is missing.
pub(super) fn require(object: &mut Object, key: &str, empty: &str) {
    if !object.has(key) {
        object.set_raw(key, raw(empty.to_owned()));
    }
}
