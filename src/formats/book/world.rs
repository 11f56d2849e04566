//! Between SillyTavern's world info and a card's book, field by field as it does that
//! itself.

use serde_json::value::RawValue;

use super::carry::{extensions, mark, stow, unstow};
use super::convert::require;
use super::entry::Entry;
use super::places::{Dialect, PLACES, is_sillytavern};
use super::regex_key::{is_regex, wrap};
use super::{BookFile, BookFormat, Slot};
use crate::formats::fields::{Object, raw};

/// Names under which things are carried.
const FROM_WORLD: &str = "world_info";
const FROM_BOOK: &str = "character_book";
/// Says of an entry that its `use_regex` is meant, though SillyTavern's fields are there.
pub(super) const TRUE_REGEX: &str = "use_regex";

/// A V3 book of a world info.
pub(super) fn to_book(world: &BookFile) -> BookFile {
    let mut root = world.root().clone();
    require(&mut root, "extensions", "{}");
    root.set_raw("entries", raw("[]".to_owned()));
    let mut book = BookFile { format: BookFormat::V3, root };
    let mut slots = world.slots();
    for slot in &mut slots {
        if let Ok(entry) = slot.object() {
            slot.value = entry_to_book(&entry, slot).to_raw();
        }
        slot.key = None;
    }
    book.put_slots(&slots);
    book
}

/// A world info of a V3 book.
pub(super) fn from_book(book: &BookFile) -> BookFile {
    let mut root = book.root().clone();
    root.set_raw("entries", raw("{}".to_owned()));
    let mut world = BookFile { format: BookFormat::WorldInfo, root };
    let mut slots = book.slots();
    for (index, slot) in slots.iter_mut().enumerate() {
        if let Ok(entry) = slot.object() {
            slot.value = entry_from_book(&entry, index).to_raw();
        }
        slot.key = Some(slot.uid.clone());
    }
    world.put_slots(&slots);
    world
}

/// A field's value as it is spelled, or what a new entry says.
fn value_or(value: Option<&RawValue>, default: Option<&str>) -> Option<Box<RawValue>> {
    value.map(ToOwned::to_owned).or_else(|| default.map(|json| raw(json.to_owned())))
}

fn flag(object: &Object, key: &str, default: bool) -> bool {
    object.flag(key).ok().flatten().unwrap_or(default)
}

fn copy(from: &Object, to: &mut Object, is_wanted: impl Fn(&str) -> bool) {
    for key in from.keys().filter(|key| is_wanted(key)) {
        to.copy_field(from, key);
    }
}

fn entry_to_book(entry: &Object, slot: &Slot) -> Object {
    let mut to = Object::new("");
    let mut rest = Object::new("");
    let mut to_extensions = extensions(entry);
    let carried = unstow(&mut to_extensions, FROM_BOOK).unwrap_or_default();
    let meant = unstow(&mut to_extensions, TRUE_REGEX);
    match entry.raw("uid") {
        Some(uid) => to.set_raw("id", uid.to_owned()),
        None => to.set("id", &slot.uid),
    }
    for place in PLACES {
        let Some(value) = value_or(entry.raw(place.world), place.default) else { continue };
        let target = if place.is_extension { &mut to_extensions } else { &mut to };
        target.set_raw(place.book, value);
    }
    to.set("enabled", &!flag(entry, "disable", false));
    let is_before = to_extensions.integer("position").ok().flatten().unwrap_or(0) == 0;
    to.set("position", if is_before { "before_char" } else { "after_char" });
    let lore = Entry::new(Dialect::World, entry.clone()).to_lore(String::new());
    let all_regex = !lore.keys.is_empty() && lore.keys.iter().all(|key| is_regex(key));
    to.set("use_regex", &all_regex);
    match meant {
        None => copy(&carried, &mut to, |_| true),
        Some(meant) => {
            copy(&carried, &mut to, |key| key != "use_regex");
            restore_keys(&meant, &lore.keys, &mut to, &mut to_extensions);
        }
    }
    let has_memo = flag(entry, "addMemo", !lore.name.is_empty());
    copy(entry, &mut rest, |key| match key {
        "addMemo" => has_memo == lore.name.is_empty(),
        "uid" | "disable" | "extensions" => false,
        _ => PLACES.iter().all(|place| place.world != key),
    });
    stow(&mut to_extensions, FROM_WORLD, &rest);
    to.set_object("extensions", &to_extensions);
    to
}

/// Puts keys back that were put between slashes for SillyTavern, unless somebody has
/// changed them since.
fn restore_keys(meant: &Object, now: &[String], to: &mut Object, to_extensions: &mut Object) {
    let bare = meant.texts("keys").ok().flatten().unwrap_or_default();
    let case_sensitive = to_extensions.flag("case_sensitive").ok().flatten();
    let wrapped = bare.iter().map(|key| wrap(key, case_sensitive));
    if wrapped.eq(now.iter().cloned()) {
        copy(meant, to, |key| ["keys", "use_regex"].contains(&key));
        stow(to_extensions, TRUE_REGEX, &mark());
    }
}

fn entry_from_book(entry: &Object, index: usize) -> Object {
    let mut to = Object::new("");
    let mut from_extensions = extensions(entry);
    let carried = unstow(&mut from_extensions, FROM_WORLD).unwrap_or_default();
    let is_meant = unstow(&mut from_extensions, TRUE_REGEX).is_some();
    let is_sillytavern = is_sillytavern(&from_extensions) && !is_meant;
    match entry.raw("id").filter(|id| id.get().trim() != "null") {
        Some(id) => to.set_raw("uid", id.to_owned()),
        None => to.set("uid", &index),
    }
    for place in PLACES {
        let source = if place.is_extension { &from_extensions } else { entry };
        let Some(value) = value_or(source.raw(place.book), place.default) else { continue };
        to.set_raw(place.world, value);
    }
    for place in PLACES.iter().filter(|place| place.is_extension) {
        from_extensions.remove(place.book);
    }
    fill_from_plain(entry, index, &mut to);
    copy(&carried, &mut to, |_| true);
    let mut rest = Object::new("");
    copy(entry, &mut rest, |key| {
        !["id", "enabled", "position", "extensions"].contains(&key)
            && PLACES.iter().all(|place| place.is_extension || place.book != key)
    });
    if !is_sillytavern && flag(entry, "use_regex", false) {
        stow(&mut from_extensions, TRUE_REGEX, &wrap_keys(entry, &mut to));
    }
    stow(&mut from_extensions, FROM_BOOK, &rest);
    if !from_extensions.is_empty() {
        to.set_object("extensions", &from_extensions);
    }
    to
}

/// Fills in what a book says outside its extensions, or not at all.
fn fill_from_plain(entry: &Object, index: usize, to: &mut Object) {
    let entry_extensions = extensions(entry);
    let has =
        |key: &str| entry_extensions.raw(key).is_some_and(|value| value.get().trim() != "null");
    if !has("position") {
        let position = entry.text("position").ok().flatten();
        to.set("position", &i32::from(position.as_deref() != Some("before_char")));
    }
    if !has("display_index") {
        to.set("displayIndex", &index);
    }
    if let Some(value) = entry.raw("case_sensitive")
        && !has("case_sensitive")
    {
        to.set_raw("caseSensitive", value.to_owned());
    }
    to.set("disable", &!flag(entry, "enabled", true));
    let comment = entry.text("comment").ok().flatten().unwrap_or_default();
    to.set("addMemo", &!comment.is_empty());
}

/// Puts keys that are expressions without slashes between slashes, as SillyTavern knows
/// them by those; gives what has to be known to undo it.
fn wrap_keys(entry: &Object, to: &mut Object) -> Object {
    let case_sensitive = to.flag("caseSensitive").ok().flatten();
    let keys = entry.texts("keys").ok().flatten().unwrap_or_default();
    let wrapped: Vec<String> = keys.iter().map(|key| wrap(key, case_sensitive)).collect();
    if wrapped != keys {
        to.set("key", &wrapped);
    }
    let mut meant = mark();
    copy(entry, &mut meant, |key| ["keys", "use_regex"].contains(&key));
    meant
}
