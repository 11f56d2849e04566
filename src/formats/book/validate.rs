//! What a book's author may want to know before it is used.

use std::collections::HashSet;

use super::entry::{Entry, OUTLET};
use super::places::Dialect;
use super::{BookFile, Slot, legacy};
use crate::domain::LoreEntry;
use crate::formats::fields::Object;
use crate::formats::finding::MAX_FINDINGS;
use crate::formats::{Finding, FormatError};
use crate::lore::{check_regex, parse_slashes};

/// Expressions take time to check; a book that has more has only these checked.
const MAX_CHECKED_REGEXES: usize = 1000;

impl BookFile {
    /// What is wrong with the book, or odd about it.
    pub fn validate(&self) -> Vec<Finding> {
        let Some(dialect) = self.format.dialect() else {
            return legacy::to_book(self).validate();
        };
        let mut findings = Vec::new();
        let body = self.body();
        for key in ["scan_depth", "token_budget"] {
            match body.integer(key) {
                Err(error) => findings.push(wrong(&error)),
                Ok(Some(number)) if number < 0 => {
                    let what = format!("it is {number}");
                    findings.push(Finding::warning(body.path_of(key), what, "it counts as 0"));
                }
                Ok(_) => {}
            }
        }
        if let Err(error) = body.flag("recursive_scanning") {
            findings.push(wrong(&error));
        }
        let mut ids = HashSet::new();
        let mut left = MAX_CHECKED_REGEXES;
        for slot in self.slots() {
            if findings.len() >= MAX_FINDINGS {
                break;
            }
            let Ok(object) = slot.object() else {
                let advice = "it is passed over; take it out";
                findings.push(Finding::error(slot.path, "it is no entry", advice));
                continue;
            };
            let key = if dialect == Dialect::World { "uid" } else { "id" };
            if let Ok(Some(id)) = object.text(key)
                && !ids.insert(id.clone())
            {
                let what = format!("another entry has the id {id:?} too");
                let advice = "SillyTavern keeps only the last of them; give each its own";
                findings.push(Finding::warning(object.path_of(key), what, advice));
            }
            check_types(dialect, &object, &mut findings);
            let entry = Entry::new(dialect, object);
            check_meaning(&entry, &slot, &mut left, &mut findings);
        }
        findings
    }
}

fn wrong(error: &FormatError) -> Finding {
    match error {
        FormatError::Type { path, wanted, found } => {
            let what = format!("it is {found}");
            Finding::error(path, what, format!("it must be {wanted}, and is passed over"))
        }
        error => Finding::error("", error.to_string(), "it is passed over"),
    }
}

fn check_types(dialect: Dialect, object: &Object, findings: &mut Vec<Finding>) {
    let entry = Entry::new(dialect, object.clone());
    let at = |world: &str| entry.at(world);
    let texts = ["content", "comment", "group"].map(at);
    let lists = ["key", "keysecondary", "triggers"].map(at);
    let flags =
        ["constant", "selective", "excludeRecursion", "preventRecursion", "groupOverride"].map(at);
    let numbers = ["order", "position", "depth", "probability", "groupWeight", "scanDepth"].map(at);
    let counts = ["sticky", "cooldown", "delay", "selectiveLogic"].map(at);
    findings.extend(texts.iter().filter_map(|(o, key)| o.text(key).err()).map(|e| wrong(&e)));
    findings.extend(lists.iter().filter_map(|(o, key)| o.texts(key).err()).map(|e| wrong(&e)));
    findings.extend(flags.iter().filter_map(|(o, key)| o.flag(key).err()).map(|e| wrong(&e)));
    let numbers = numbers.iter().chain(&counts);
    findings.extend(numbers.filter_map(|(o, key)| o.number(key).err()).map(|e| wrong(&e)));
    if dialect == Dialect::Book
        && let Err(error) = object.object("extensions")
    {
        findings.push(wrong(&error));
    }
}

fn check_meaning(entry: &Entry, slot: &Slot, left: &mut usize, findings: &mut Vec<Finding>) {
    let lore = entry.to_lore(slot.uid.clone());
    let (keys, keys_name) = entry.at("key");
    check_keys(&lore, &lore.keys, &keys.path_of(keys_name), left, findings);
    let (keys, keys_name) = entry.at("keysecondary");
    check_keys(&lore, &lore.secondary_keys, &keys.path_of(keys_name), left, findings);
    let (object, key) = entry.at("position");
    if object.integer(key).ok().flatten() == Some(OUTLET) {
        let advice = "nothing asks for it here, so it stays off; choose another position";
        findings.push(Finding::warning(object.path_of(key), "it is for an outlet", advice));
    }
    if lore.enabled && !lore.constant && lore.keys.iter().all(|key| key.trim().is_empty()) {
        let advice = "give it keys, or make it constant";
        findings.push(Finding::note(&slot.path, "nothing makes it fire", advice));
    }
    if lore.enabled && lore.content.trim().is_empty() {
        let advice = "write what it says, or take it out";
        findings.push(Finding::note(&slot.path, "it says nothing", advice));
    }
    let (object, key) = entry.at("probability");
    if let Ok(Some(percent)) = object.number(key)
        && !(0.0..=100.0).contains(&percent)
    {
        let what = format!("it is {percent}");
        findings.push(Finding::warning(
            object.path_of(key),
            what,
            "it counts as the nearest of 0 to 100",
        ));
    }
}

fn check_keys(
    lore: &LoreEntry,
    keys: &[String],
    path: &str,
    left: &mut usize,
    findings: &mut Vec<Finding>,
) {
    for (index, key) in keys.iter().enumerate() {
        let (pattern, flags) = match parse_slashes(key.trim()) {
            Some(parts) => parts,
            None if lore.use_regex => (&**key, ""),
            None => continue,
        };
        let Some(rest) = left.checked_sub(1) else { return };
        *left = rest;
        if let Err(fault) = check_regex(pattern, flags) {
            let what = format!("it is no regular expression: {fault}");
            let advice = "it matches nothing until it is mended";
            findings.push(Finding::warning(format!("{path}[{index}]"), what, advice));
        }
    }
}
