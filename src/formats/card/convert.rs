//! Between the versions of the specification, so that the way there and back loses
//! nothing.
//!
//! V3 is V2 with more fields, and readers of V2 pass over fields that they do not know:
//! the fields that V2 lacks go along under their own names. V1 has no place for what it
//! lacks but the flat object itself; what no version names stays behind in `data`.

use super::sheet::{creator_notes, tags};
use super::{Card, OLD_NAMES, V1_FIELDS, Version};
use crate::formats::book::{BookFile, BookFormat};
use crate::formats::fields::{Object, raw};

/// Texts that V2 requires beside those of V1.
const V2_TEXTS: [&str; 5] =
    ["creator_notes", "system_prompt", "post_history_instructions", "creator", "character_version"];
/// The fields that are texts.
pub(super) const TEXTS: [&str; 12] = [
    "name",
    "description",
    "personality",
    "scenario",
    "first_mes",
    "mes_example",
    "creator_notes",
    "system_prompt",
    "post_history_instructions",
    "creator",
    "character_version",
    "nickname",
];
/// Lists of texts; the last one is V3's.
pub(super) const LISTS_OF_TEXTS: [&str; 3] =
    ["alternate_greetings", "tags", "group_only_greetings"];
/// What else the versions name in `data`.
const OTHER_FIELDS: [&str; 8] = [
    "extensions",
    "character_book",
    "assets",
    "nickname",
    "creator_notes_multilingual",
    "source",
    "creation_date",
    "modification_date",
];

/// What a card of V3 says to people who load it as V2.
const BACKFILL_NOTE: &str = "This is a card of version 3, loaded as version 2. Software that \
                             reads version 3 shows all of it.";

/// Whether a field is named by a version of the specification.
fn is_named(key: &str) -> bool {
    let mut named = V1_FIELDS.iter().chain(&V2_TEXTS).chain(&LISTS_OF_TEXTS).chain(&OTHER_FIELDS);
    named.any(|name| *name == key)
}

impl Card {
    /// The same character as a card of that version. Fields that the version requires
    /// are filled in, and those that it lacks go along, so that the way back gives what
    /// was there. A card of that version already is given as it is.
    #[must_use]
    pub fn to_version(&self, version: Version) -> Self {
        if version == self.version {
            return self.clone();
        }
        let card = match (self.version, version) {
            (Version::V1, _) => self.unflattened(version),
            (_, Version::V1) => self.flattened(),
            _ => self.respelled(version),
        };
        let book = self.book_file().ok().flatten().map(|book| match book.format() {
            BookFormat::WorldInfo if self.version == Version::V2 => book.meant_as_v2(),
            _ => book,
        });
        card.with_defaults().with_book_as(book, true)
    }

    /// The V2 card that stands beside this one of V3 for older readers: without
    /// decorators and assets, and with a word about it among the notes.
    pub(super) fn to_backfill(&self) -> Self {
        let card = self.respelled(Version::V2).with_defaults();
        let card = card.with_book_as(self.book_file().ok().flatten(), false);
        let mut body = card.body();
        // They may be big, and readers of V2 know nothing of them.
        body.remove("assets");
        let notes = creator_notes(&body);
        if !notes.contains(BACKFILL_NOTE) {
            let gap = if notes.trim().is_empty() { "" } else { "\n\n" };
            body.set("creator_notes", &format!("{notes}{gap}{BACKFILL_NOTE}"));
        }
        card.with_body(body)
    }

    /// Another of the versions that have `data`.
    fn respelled(&self, version: Version) -> Self {
        let mut card = self.clone();
        card.version = version;
        for (key, value) in [("spec", version.spec()), ("spec_version", version.spec_version())] {
            if let Some(value) = value {
                card.root.set(key, value);
            }
        }
        card
    }

    fn unflattened(&self, version: Version) -> Self {
        let mut root = Object::new("");
        root.set("spec", version.spec().unwrap_or_default());
        root.set("spec_version", version.spec_version().unwrap_or_default());
        root.set_raw("data", raw("{}".to_owned()));
        // What `data` holds beside a card of V1 is what V1 could not say; were it to name
        // fields of a card, nobody has read them.
        let mut data = Object::new("data");
        if let Ok(Some(rest)) = self.root.object("data") {
            for key in rest.keys().filter(|key| !is_named(key)) {
                data.copy_field(&rest, key);
            }
        }
        for key in self.root.keys() {
            let new = OLD_NAMES.iter().find(|(_, old)| *old == key).map(|(new, _)| *new);
            match (new, self.root.raw(key)) {
                (Some(new), Some(value)) if !self.root.has(new) => {
                    data.set_raw(new, value.to_owned());
                }
                _ if is_named(key) => data.copy_field(&self.root, key),
                _ if ["spec", "spec_version", "data"].contains(&key) => {}
                _ => root.copy_field(&self.root, key),
            }
        }
        hoist_old_extensions(&self.root, &mut data);
        root.set_object("data", &data);
        Self { version, root }
    }

    fn flattened(&self) -> Self {
        let mut root = Object::new("");
        let mut rest = Object::new("data");
        let data = self.body();
        for key in data.keys() {
            let target = if is_named(key) { &mut root } else { &mut rest };
            target.copy_field(&data, key);
        }
        // What stands flat beside `data` says it a second time, or would be new in V1.
        let is_flat = |key: &str| {
            is_named(key)
                || ["spec", "spec_version", "data", "creatorcomment", "talkativeness"]
                    .contains(&key)
                || OLD_NAMES.iter().any(|(_, old)| *old == key)
        };
        for key in self.root.keys().filter(|key| !is_flat(key)) {
            root.copy_field(&self.root, key);
        }
        if !rest.is_empty() {
            root.set_object("data", &rest);
        }
        Self { version: Version::V1, root }
    }

    /// The same card with the fields that its version requires, of the type that it
    /// requires.
    pub(super) fn with_defaults(&self) -> Self {
        let mut body = self.body();
        let number_of_texts = if self.version == Version::V1 { 0 } else { V2_TEXTS.len() };
        for key in V1_FIELDS.iter().chain(&V2_TEXTS[..number_of_texts]) {
            require_text(&mut body, key);
        }
        let number_of_lists = match self.version {
            Version::V1 => 0,
            Version::V2 => LISTS_OF_TEXTS.len() - 1,
            Version::V3 => LISTS_OF_TEXTS.len(),
        };
        for key in &LISTS_OF_TEXTS[..number_of_lists] {
            require_list(&mut body, key);
        }
        if self.version != Version::V1 && matches!(body.object("extensions"), Ok(None)) {
            body.set_raw("extensions", raw("{}".to_owned()));
        }
        self.with_body(body)
    }

    /// The same card with that book as the card's version spells it.
    fn with_book_as(&self, book: Option<BookFile>, keeps_decorators: bool) -> Self {
        let Some(book) = book else { return self.clone() };
        let format = match self.version {
            Version::V2 => BookFormat::V2,
            Version::V1 | Version::V3 => BookFormat::V3,
        };
        self.with_book(Some(&book.converted(format, keeps_decorators).root().to_raw()))
    }
}

fn require_text(body: &mut Object, key: &str) {
    let is_text = body.raw(key).is_some_and(|raw| raw.get().trim_start().starts_with('"'));
    if !is_text && let Ok(text) = body.text(key) {
        body.set(key, &text.unwrap_or_default());
    }
}

fn require_list(body: &mut Object, key: &str) {
    let is_list = body.raw(key).is_some_and(|raw| raw.get().trim_start().starts_with('['));
    if is_list || body.texts(key).is_err() {
        return;
    }
    let list =
        if key == "tags" { tags(body) } else { body.texts(key).ok().flatten().unwrap_or_default() };
    body.set(key, &list);
}

/// Puts what SillyTavern kept flat beside V1 where its V2 cards have it.
fn hoist_old_extensions(root: &Object, data: &mut Object) {
    let has_notes = data.text("creator_notes").ok().flatten().is_some_and(|text| !text.is_empty());
    if let Some(notes) = root.raw("creatorcomment")
        && !has_notes
    {
        data.set_raw("creator_notes", notes.to_owned());
    }
    let Ok(extensions) = data.object("extensions") else { return };
    let mut extensions = extensions.unwrap_or(Object::new("data.extensions"));
    let mut is_changed = false;
    for key in ["talkativeness", "fav"] {
        let is_known = match key {
            "fav" => matches!(extensions.flag(key), Ok(Some(_))),
            _ => matches!(extensions.number(key), Ok(Some(_))),
        };
        if let Some(value) = root.raw(key)
            && !is_known
        {
            extensions.set_raw(key, value.to_owned());
            is_changed = true;
        }
    }
    if is_changed {
        data.set_object("extensions", &extensions);
    }
}
