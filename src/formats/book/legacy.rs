//! The books of Agnai, NovelAI and Risu, as V3 books.

use super::{BookFile, BookFormat};
use crate::domain::{LoreEntry, LorePosition, Lorebook};
use crate::formats::fields::Object;

/// The V3 book that says what a book of one of these kinds says.
pub(super) fn to_book(file: &BookFile) -> BookFile {
    let root = file.root();
    let list = if file.format() == BookFormat::Risu { "data" } else { "entries" };
    let items = root.items(list).ok().flatten().unwrap_or_default();
    let objects = items.iter().enumerate().filter_map(|(index, raw)| {
        Some((index, Object::parse(raw.get(), format!("{list}[{index}]")).ok()?))
    });
    let read = match file.format() {
        BookFormat::Agnai => agnai,
        BookFormat::Novel => novel,
        _ => risu,
    };
    let count = |key: &str| root.integer(key).ok().flatten().and_then(|n| n.try_into().ok());
    let lorebook = Lorebook {
        name: text(root, "name"),
        description: text(root, "description"),
        scan_depth: count("scanDepth"),
        token_budget: count("tokenBudget"),
        recursive_scanning: root.flag("recursiveScanning").ok().flatten(),
        entries: objects
            .map(|(index, entry)| LoreEntry { uid: index.to_string(), ..read(&entry) })
            .collect(),
    };
    BookFile::from_lorebook(&lorebook, BookFormat::V3)
}

fn text(object: &Object, key: &str) -> String {
    object.text(key).ok().flatten().unwrap_or_default()
}

fn flag(object: &Object, key: &str, default: bool) -> bool {
    object.flag(key).ok().flatten().unwrap_or(default)
}

fn agnai(entry: &Object) -> LoreEntry {
    LoreEntry {
        name: text(entry, "name"),
        content: text(entry, "entry"),
        keys: entry.texts("keywords").ok().flatten().unwrap_or_default(),
        enabled: flag(entry, "enabled", true),
        constant: flag(entry, "constant", false),
        selective: flag(entry, "selective", false),
        secondary_keys: entry.texts("secondaryKeys").ok().flatten().unwrap_or_default(),
        order: entry.integer("weight").ok().flatten().unwrap_or(100),
        priority: entry.integer("priority").ok().flatten(),
        ..LoreEntry::default()
    }
}

fn novel(entry: &Object) -> LoreEntry {
    let context = entry.object("contextConfig").ok().flatten().unwrap_or_default();
    LoreEntry {
        name: text(entry, "displayName"),
        content: text(entry, "text"),
        keys: entry.texts("keys").ok().flatten().unwrap_or_default(),
        enabled: flag(entry, "enabled", true),
        constant: flag(entry, "forceActivation", false),
        order: context.integer("budgetPriority").ok().flatten().unwrap_or(0),
        ..LoreEntry::default()
    }
}

/// Risu keeps keys in one text with commas between.
fn risu(entry: &Object) -> LoreEntry {
    let use_regex = flag(entry, "useRegex", false);
    let keys = |key: &str| {
        let text = text(entry, key);
        if use_regex && !text.is_empty() {
            return vec![text];
        }
        let keys = text.split(',').map(str::trim).filter(|key| !key.is_empty());
        keys.map(str::to_owned).collect()
    };
    LoreEntry {
        name: text(entry, "comment"),
        content: text(entry, "content"),
        keys: keys("key"),
        use_regex,
        secondary_keys: keys("secondkey"),
        selective: flag(entry, "selective", false),
        constant: flag(entry, "alwaysActive", false),
        order: entry.integer("insertorder").ok().flatten().unwrap_or(100),
        probability: entry
            .number("activationPercent")
            .ok()
            .flatten()
            .map_or(100.0, |percent| percent.clamp(0.0, 100.0) as f32),
        position: LorePosition::BeforeCharacters,
        ..LoreEntry::default()
    }
}
