//! What is other in a character's sheet, for moderators to read.

use serde_json::Value;
use similar::TextDiff;
use unicode_segmentation::UnicodeSegmentation;

use crate::domain::CharacterSheet;

/// How many sentences around a change are shown.
const CONTEXT: usize = 1;

/// The difference between two sheets as a unified one, a sentence on each line; of a new
/// character, all that its sheet says.
pub(super) fn sheet_difference(before: &CharacterSheet, after: &CharacterSheet) -> String {
    let (before, after) = (lines(before), lines(after));
    let difference = TextDiff::from_lines(&before, &after);
    difference.unified_diff().context_radius(CONTEXT).missing_newline_hint(false).to_string()
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
        for line in said.lines() {
            for sentence in line.split_sentence_bounds() {
                lines.push_str(sentence.trim_end());
                lines.push('\n');
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
