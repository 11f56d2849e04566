//! Edits of a book's entries; what an edit does not change keeps its spelling.

use std::collections::HashSet;

use super::entry::{AT_DEPTH, Entry};
use super::places::{Dialect, PLACES};
use super::{BookFile, BookFormat, Slot};
use crate::domain::{
    CharacterFilter, LoreEntry, LorePosition, Lorebook, PromptRole, SecondaryLogic,
};
use crate::formats::FormatError;
use crate::formats::fields::{Object, printable, raw};

impl BookFile {
    /// A document of that kind that says what the noun says. A kind that is only read
    /// becomes a V3 book.
    pub fn from_lorebook(lorebook: &Lorebook, format: BookFormat) -> Self {
        let mut root = Object::new("");
        root.set_raw("extensions", raw("{}".to_owned()));
        root.set_raw("entries", raw("[]".to_owned()));
        let mut book = Self { format: BookFormat::V3, root };
        if format.dialect().is_some() {
            book = book.converted(format, true);
        }
        book.put_settings(lorebook);
        book.push_entries(&lorebook.entries);
        book
    }

    fn put_settings(&mut self, new: &Lorebook) {
        let old = self.to_lorebook();
        let mut body = self.body();
        if old.name != new.name {
            body.set("name", &new.name);
        }
        if old.description != new.description {
            body.set("description", &new.description);
        }
        if old.scan_depth != new.scan_depth {
            put_option(&mut body, "scan_depth", new.scan_depth.as_ref());
        }
        if old.token_budget != new.token_budget {
            put_option(&mut body, "token_budget", new.token_budget.as_ref());
        }
        if old.recursive_scanning != new.recursive_scanning {
            put_option(&mut body, "recursive_scanning", new.recursive_scanning.as_ref());
        }
        self.put_body(body);
    }

    /// Adds an entry at the end and gives the key that it has: its own where that is
    /// free.
    ///
    /// # Errors
    /// `Unsupported` for kinds that are only read.
    pub fn add_entry(&mut self, entry: &LoreEntry) -> Result<String, FormatError> {
        self.dialect_for_edits()?;
        let uids = self.push_entries(std::slice::from_ref(entry));
        Ok(uids.into_iter().next().expect("one entry has one key"))
    }

    /// Adds entries at the end and gives their keys.
    fn push_entries(&mut self, entries: &[LoreEntry]) -> Vec<String> {
        let dialect = self.format.dialect().expect("only kinds that are written get entries");
        let mut slots = self.slots();
        let keys = slots.iter().filter_map(|slot| slot.key.clone());
        let mut taken: HashSet<String> = keys.collect();
        taken.extend(slots.iter().map(|slot| slot.uid.clone()));
        let mut number = slots.len();
        let mut uids = Vec::new();
        for entry in entries {
            let mut uid = entry.uid.clone();
            while uid.is_empty() || taken.contains(&uid) {
                uid = number.to_string();
                number += 1;
            }
            taken.insert(uid.clone());
            let object = overlaid(dialect, blank(dialect, self.format, &uid), &uid, entry);
            let key = (dialect == Dialect::World).then(|| uid.clone());
            let value = object.to_raw();
            slots.push(Slot { uid: uid.clone(), key, value, path: String::new() });
            uids.push(uid);
        }
        self.put_slots(&slots);
        uids
    }

    /// Writes an entry over the one of that key, whose place and key stay.
    ///
    /// # Errors
    /// `NotFound` where there is none, `Unsupported` for kinds that are only read.
    pub fn replace_entry(&mut self, uid: &str, entry: &LoreEntry) -> Result<(), FormatError> {
        let dialect = self.dialect_for_edits()?;
        let mut slots = self.slots();
        let slot = find(&mut slots, uid)?;
        let object = slot.object()?;
        slot.value = overlaid(dialect, object, uid, entry).to_raw();
        self.put_slots(&slots);
        Ok(())
    }

    /// Takes an entry out.
    ///
    /// # Errors
    /// `NotFound` where there is none, `Unsupported` for kinds that are only read.
    pub fn remove_entry(&mut self, uid: &str) -> Result<(), FormatError> {
        self.dialect_for_edits()?;
        let mut slots = self.slots();
        find(&mut slots, uid)?;
        slots.retain(|slot| slot.uid != uid);
        self.put_slots(&slots);
        Ok(())
    }

    fn dialect_for_edits(&self) -> Result<Dialect, FormatError> {
        self.format.dialect().ok_or_else(|| FormatError::Unsupported {
            what: format!("a {} is only read; convert it first", self.format.name()),
        })
    }
}

fn find<'a>(slots: &'a mut [Slot], uid: &str) -> Result<&'a mut Slot, FormatError> {
    let known: Vec<String> = slots.iter().take(20).map(|slot| printable(&slot.uid, 20)).collect();
    let known = known.join(", ");
    slots.iter_mut().find(|slot| slot.uid == uid).ok_or_else(|| FormatError::NotFound {
        what: "entry",
        key: printable(uid, 40),
        known,
    })
}

fn put_option<T: serde::Serialize>(object: &mut Object, key: &str, value: Option<&T>) {
    match value {
        Some(value) => object.set(key, value),
        None => drop(object.remove(key)),
    }
}

/// An entry that says nothing yet: in world info with all of SillyTavern's fields, as
/// it expects them.
fn blank(dialect: Dialect, format: BookFormat, uid: &str) -> Object {
    let mut entry = Object::new("");
    let key = if dialect == Dialect::World { "uid" } else { "id" };
    match uid.parse::<i64>() {
        Ok(number) if number.to_string() == uid => entry.set(key, &number),
        _ => entry.set(key, uid),
    }
    for place in PLACES.iter().filter(|place| dialect == Dialect::World || !place.is_extension) {
        let Some(default) = place.default else { continue };
        let key = if dialect == Dialect::World { place.world } else { place.book };
        entry.set_raw(key, raw(default.to_owned()));
    }
    if dialect == Dialect::World {
        entry.set("addMemo", &true);
        entry.set("disable", &false);
    } else {
        entry.set("enabled", &true);
        entry.set("position", "before_char");
        if format != BookFormat::V2 {
            entry.set("use_regex", &false);
        }
        entry.set_raw("extensions", raw("{}".to_owned()));
    }
    entry
}

/// The entry with what the noun says, where that is other than what it says.
fn overlaid(dialect: Dialect, object: Object, uid: &str, new: &LoreEntry) -> Object {
    let mut entry = Entry::new(dialect, object);
    let old = entry.to_lore(uid.to_owned());
    put_texts(&mut entry, &old, new);
    put_flags(&mut entry, &old, new);
    put_numbers(&mut entry, &old, new);
    if old.position != new.position {
        put_position(&mut entry, new.position);
    }
    if old.character_filter != new.character_filter {
        put_filter(&mut entry, new.character_filter.as_ref());
    }
    // Last, as it depends on the keys and on which extensions there are.
    if entry.to_lore(String::new()).use_regex != new.use_regex {
        entry.put_use_regex(new.use_regex);
    }
    entry.into_object()
}

/// Writes fields that are other than they were, each under its name in world info.
macro_rules! put_changed {
    ($entry:expr, $old:expr, $new:expr, $($field:ident => $name:literal),+ $(,)?) => {
        $(if $old.$field != $new.$field { $entry.set($name, &$new.$field); })+
    };
}

fn put_texts(entry: &mut Entry, old: &LoreEntry, new: &LoreEntry) {
    put_changed!(entry, old, new,
        content => "content",
        keys => "key",
        secondary_keys => "keysecondary",
        triggers => "triggers",
    );
    if old.name != new.name {
        entry.set("comment", &new.name);
        // An empty comment would let the older name through.
        if entry.object().has("name") {
            entry.set_plain("name", &new.name);
        }
    }
    if old.groups != new.groups {
        entry.set("group", &new.groups.join(","));
    }
}

fn put_flags(entry: &mut Entry, old: &LoreEntry, new: &LoreEntry) {
    put_changed!(entry, old, new,
        constant => "constant",
        selective => "selective",
        match_whole_words => "matchWholeWords",
        ignore_budget => "ignoreBudget",
        group_override => "groupOverride",
        use_group_scoring => "useGroupScoring",
        exclude_recursion => "excludeRecursion",
        prevent_recursion => "preventRecursion",
    );
    if old.enabled != new.enabled {
        match entry.dialect() {
            Dialect::World => entry.set_plain("disable", &!new.enabled),
            Dialect::Book => entry.set_plain("enabled", &new.enabled),
        }
    }
    if old.case_sensitive != new.case_sensitive {
        match entry.dialect() {
            Dialect::Book if !entry.has("caseSensitive") => {
                entry.set_plain("case_sensitive", &new.case_sensitive);
            }
            Dialect::Book => {
                entry.set("caseSensitive", &new.case_sensitive);
                if entry.object().has("case_sensitive") {
                    entry.set_plain("case_sensitive", &new.case_sensitive);
                }
            }
            Dialect::World => entry.set("caseSensitive", &new.case_sensitive),
        }
    }
}

fn put_numbers(entry: &mut Entry, old: &LoreEntry, new: &LoreEntry) {
    put_changed!(entry, old, new,
        order => "order",
        scan_depth => "scanDepth",
        group_weight => "groupWeight",
        sticky => "sticky",
        cooldown => "cooldown",
        delay => "delay",
    );
    if old.priority != new.priority {
        entry.set_plain("priority", &new.priority);
    }
    if old.probability != new.probability {
        let percent: f64 = new.probability.to_string().parse().unwrap_or(100.0);
        entry.set("probability", &percent);
        entry.set("useProbability", &true);
    }
    if old.logic != new.logic {
        let number = match new.logic {
            SecondaryLogic::AndAny => 0,
            SecondaryLogic::NotAll => 1,
            SecondaryLogic::NotAny => 2,
            SecondaryLogic::AndAll => 3,
        };
        entry.set("selectiveLogic", &number);
    }
    if old.delay_until_recursion != new.delay_until_recursion {
        match new.delay_until_recursion {
            None => entry.set("delayUntilRecursion", &false),
            Some(level) => entry.set("delayUntilRecursion", &level),
        }
    }
}

fn put_position(entry: &mut Entry, position: LorePosition) {
    let number = match position {
        LorePosition::BeforeCharacters => 0,
        LorePosition::AfterCharacters => 1,
        LorePosition::NoteTop => 2,
        LorePosition::NoteBottom => 3,
        LorePosition::AtDepth { .. } => AT_DEPTH,
        LorePosition::BeforeExamples => 5,
        LorePosition::AfterExamples => 6,
    };
    if let LorePosition::AtDepth { depth, role } = position {
        entry.set("depth", &depth);
        let role = match role {
            PromptRole::System => 0,
            PromptRole::User => 1,
            PromptRole::Assistant => 2,
        };
        entry.set("role", &role);
    }
    let is_plain = entry.dialect() == Dialect::Book;
    if is_plain {
        let name = if number == 0 { "before_char" } else { "after_char" };
        entry.set_plain("position", name);
    }
    // V2 and V3 say these two by themselves.
    if !is_plain || number > 1 || entry.has("position") {
        entry.set("position", &number);
    }
}

fn put_filter(entry: &mut Entry, filter: Option<&CharacterFilter>) {
    let mut object = Object::new("");
    if let Some(filter) = filter {
        object.set("isExclude", &filter.is_exclude);
        object.set("names", &filter.names);
        object.set("tags", &filter.tags);
        entry.set("characterFilter", &*object.to_raw());
    } else {
        entry.set("characterFilter", &None::<bool>);
    }
}
