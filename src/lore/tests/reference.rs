//! The rules of keys and recursion as plain loops, slow and easy to believe.

use super::*;
use crate::domain::SecondaryLogic;
use crate::lore::keys::is_space;
use crate::lore::regex_key::{RegexKey, Work, parse_slashes};

/// What fires, in the order of the prompt. It knows no groups, luck, budgets or effects.
pub(super) fn fires(
    entries: &[LoreEntry],
    messages: &[&str],
    settings: &LoreSettings,
) -> Vec<String> {
    let mut order: Vec<&LoreEntry> = entries.iter().collect();
    order.sort_by_key(|entry| std::cmp::Reverse(entry.order));
    let mut fired: Vec<&LoreEntry> = Vec::new();
    let mut told: Vec<String> = Vec::new();
    loop {
        let mut new: Vec<&LoreEntry> = Vec::new();
        for entry in &order {
            let is_new = !fired.iter().any(|other| other.uid == entry.uid);
            let may = told.is_empty() || !entry.exclude_recursion;
            if is_new && may && would_fire(entry, messages, &told, settings) {
                new.push(entry);
            }
        }
        fired.extend(&new);
        let telling: Vec<&str> = new
            .iter()
            .filter(|entry| !entry.prevent_recursion)
            .map(|entry| entry.content.as_str())
            .collect();
        if telling.is_empty() || !settings.recursive {
            break;
        }
        told.push(telling.join("\n"));
    }
    fired.sort_by_key(|entry| std::cmp::Reverse(entry.order));
    fired.iter().rev().map(|entry| entry.uid.clone()).collect()
}

fn would_fire(
    entry: &LoreEntry,
    messages: &[&str],
    told: &[String],
    settings: &LoreSettings,
) -> bool {
    if entry.constant {
        return true;
    }
    let depth = entry.scan_depth.unwrap_or(settings.scan_depth);
    if depth == 0 {
        return false;
    }
    let newest = messages.iter().rev().take(depth);
    let lines =
        newest.map(|text| format!("\u{1}{}", format!("Ana: {text}").trim_matches(is_space)));
    let recursed = told.iter().map(|text| format!("\u{1}{text}"));
    let text = lines.chain(recursed).collect::<Vec<_>>().join("\n");

    let is_there = |key: &String| is_there(key, &text, entry, settings);
    if !entry.keys.iter().any(is_there) {
        return false;
    }
    let secondary: Vec<bool> = entry.secondary_keys.iter().map(is_there).collect();
    if !entry.selective || secondary.is_empty() {
        return true;
    }
    match entry.logic {
        SecondaryLogic::AndAny => secondary.contains(&true),
        SecondaryLogic::NotAll => secondary.contains(&false),
        SecondaryLogic::NotAny => !secondary.contains(&true),
        SecondaryLogic::AndAll => !secondary.contains(&false),
    }
}

fn is_there(key: &str, text: &str, entry: &LoreEntry, settings: &LoreSettings) -> bool {
    let key = key.trim_matches(is_space);
    if let Some((pattern, flags)) = parse_slashes(key) {
        let regex = RegexKey::new(pattern, flags);
        return regex.is_ok_and(|regex| regex.is_match(text, &mut Work::default()) == Some(true));
    }
    let is_strict = entry.case_sensitive.unwrap_or(settings.case_sensitive);
    let (key, text) = match is_strict {
        true => (key.to_owned(), text.to_owned()),
        false => (key.to_lowercase(), text.to_lowercase()),
    };
    let must_stand_alone =
        entry.match_whole_words.unwrap_or(settings.match_whole_words) && !key.contains(is_space);
    if !must_stand_alone {
        return !key.is_empty() && text.contains(&key);
    }
    let is_word = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let stands_alone = |at: usize| {
        let (before, after) = (&text[..at], &text[at + key.len()..]);
        !before.ends_with(is_word) && !after.starts_with(is_word)
    };
    let places = text.char_indices().map(|(at, _)| at);
    let mut hits = places.filter(|at| text[*at..].starts_with(key.as_str()));
    !key.is_empty() && hits.any(stands_alone)
}
