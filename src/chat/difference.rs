//! What is other in a character's sheet, or a lorebook, for moderators to read.

use std::time::Duration;

use serde_json::Value;
use similar::TextDiff;
use unicode_segmentation::UnicodeSegmentation;

use crate::domain::{CharacterSheet, Lorebook};

/// How many sentences around a change are shown.
const CONTEXT: usize = 1;
/// How much of a lorebook's difference is kept, in characters.
const MAX_BOOK_CHARS: usize = 20_000;
/// How long the shortest difference is looked for.
const PATIENCE: Duration = Duration::from_millis(200);

/// The difference between two sheets as a unified one, a sentence on each line; of a new
/// character, all that its sheet says.
pub(super) fn sheet_difference(before: &CharacterSheet, after: &CharacterSheet) -> String {
    unified(&lines(before), &lines(after))
}

/// The same of two lorebooks: what calls each entry, and what it tells. Of a long one the
/// beginning.
pub(super) fn book_difference(before: &Lorebook, after: &Lorebook) -> String {
    let difference = unified(&book_lines(before), &book_lines(after));
    match difference.char_indices().nth(MAX_BOOK_CHARS) {
        None => difference,
        Some((end, _)) => {
            let shown = &difference[..end];
            let num_left = difference[end..].lines().count();
            format!("{shown}\n… and {num_left} lines more, in the file that is held\n")
        }
    }
}

fn unified(before: &str, after: &str) -> String {
    // What has nothing in common is not compared for ever.
    let difference = TextDiff::configure().timeout(PATIENCE).diff_lines(before, after);
    difference.unified_diff().context_radius(CONTEXT).missing_newline_hint(false).to_string()
}

/// A lorebook as lines: each entry's name and keys, and what it tells below them.
fn book_lines(book: &Lorebook) -> String {
    let mut lines = String::new();
    for entry in &book.entries {
        let keys: Vec<&str> =
            entry.keys.iter().chain(&entry.secondary_keys).map(String::as_str).collect();
        lines.push_str(&format!("[{}] {}\n", entry.name, keys.join(", ")));
        push_sentences(&entry.content, &mut lines);
    }
    lines
}

fn push_sentences(text: &str, lines: &mut String) {
    for line in text.lines() {
        for sentence in line.split_sentence_bounds() {
            lines.push_str(sentence.trim_end());
            lines.push('\n');
        }
    }
}

/// A sheet as lines: each field's name, and what it says below it.
fn lines(sheet: &CharacterSheet) -> String {
    let Ok(Value::Object(fields)) = serde_json::to_value(sheet) else {
        unreachable!("a sheet is plain data with names");
    };
    let mut lines = String::new();
    for (name, value) in fields {
        let said = match value {
            Value::String(text) => text,
            Value::Null => String::new(),
            Value::Array(items) if items.is_empty() => String::new(),
            other => other.to_string(),
        };
        if said.is_empty() {
            continue;
        }
        lines.push_str(&format!("[{name}]\n"));
        push_sentences(&said, &mut lines);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::LoreEntry;

    #[test]
    fn only_what_is_other_is_shown_with_what_stands_around_it() {
        let before = CharacterSheet {
            name: "Ada".into(),
            description: "She mends nets. She hums. She never sleeps. She has a cat.".into(),
            ..CharacterSheet::default()
        };
        let after = CharacterSheet {
            description: "She mends nets. She sings. She never sleeps. She has a cat.".into(),
            ..before.clone()
        };
        let shown = sheet_difference(&before, &after);
        assert!(shown.contains("-She hums.\n+She sings.\n"), "{shown}");
        assert!(shown.contains(" She mends nets.") && !shown.contains("cat"), "{shown}");
        assert_eq!(sheet_difference(&after, &after), "");
        assert!(sheet_difference(&CharacterSheet::default(), &after).contains("+Ada"));
    }

    #[test]
    fn books_that_have_nothing_in_common_are_shown_from_their_beginning() {
        let book = |word: &str| Lorebook {
            entries: vec![LoreEntry {
                keys: vec![word.into()],
                content: format!("{word}\n").repeat(300_000),
                ..LoreEntry::default()
            }],
            ..Lorebook::default()
        };
        let shown = book_difference(&book("gull"), &book("tide"));
        assert!(shown.chars().count() < MAX_BOOK_CHARS + 100 && shown.contains("-[] gull"));
        assert!(shown.ends_with("lines more, in the file that is held\n"));
    }
}
