//! Example dialogue, from the one text in which cards keep it to turns.
//!
//! `<START>` begins an example; a line that begins with `{{user}}:` or
//! `{{char}}:`, or with the names themselves, begins a turn. What comes before
//! the first such line is the character's.

use super::alpaca::Side;
use super::macros::{MacroContext, expand};

/// One turn of an example. The text is not neutralised yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ExampleTurn {
    pub(super) side: Side,
    pub(super) text: String,
}

/// The examples of a character's card; those without any text are left out.
pub(super) fn examples(dialogue: &str, context: &MacroContext<'_>) -> Vec<Vec<ExampleTurn>> {
    let parts = split_at_start(dialogue).into_iter().enumerate();
    parts
        .map(|(i, part)| {
            let place = format!("{} example {i}", context.place);
            let text = expand(part, &MacroContext { place: &place, ..*context });
            turns(&text, context)
        })
        .filter(|turns| !turns.is_empty())
        .collect()
}

/// Cuts before expansion, so that nobody can be named `<START>`.
fn split_at_start(dialogue: &str) -> Vec<&str> {
    const MARKER: &[u8] = b"<start>";
    let (mut parts, mut from) = (Vec::new(), 0);
    for (at, window) in dialogue.as_bytes().windows(MARKER.len()).enumerate() {
        if window.eq_ignore_ascii_case(MARKER) {
            parts.push(&dialogue[from..at]);
            from = at + MARKER.len();
        }
    }
    parts.push(&dialogue[from..]);
    parts
}

fn turns(example: &str, context: &MacroContext<'_>) -> Vec<ExampleTurn> {
    let mut turns: Vec<ExampleTurn> = Vec::new();
    for line in example.lines() {
        let spoken = |name| line.trim_start().strip_prefix(name)?.trim_start().strip_prefix(':');
        let (side, text) = match (spoken(context.character), spoken(context.user)) {
            (Some(text), _) => (Side::Response, text),
            (None, Some(text)) => (Side::Input, text),
            (None, None) => match turns.last_mut() {
                Some(turn) => {
                    turn.text.push('\n');
                    turn.text.push_str(line);
                    continue;
                }
                None if line.trim().is_empty() => continue,
                None => (Side::Response, line),
            },
        };
        turns.push(ExampleTurn { side, text: text.to_owned() });
    }
    turns.retain(|turn| !turn.text.trim().is_empty());
    turns
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::prompt::macros::StoryMacros;

    fn read(dialogue: &str) -> Vec<Vec<(Side, String)>> {
        let now = DateTime::parse_from_rfc3339("2026-11-23T16:05:00Z").unwrap();
        let context = MacroContext {
            character: "Mira",
            user: "Ana",
            original: None,
            now,
            seed: 0,
            place: "test",
            story: StoryMacros::default(),
        };
        let examples = examples(dialogue, &context).into_iter();
        examples
            .map(|turns| turns.into_iter().map(|t| (t.side, t.text.trim().to_owned())).collect())
            .collect()
    }

    #[test]
    fn turns_of_both_sides_over_several_lines() {
        let read = read(
            "<START>\n{{user}}: Hi.\n{{char}}: Come in.\n\nSit.\n<start>\nMira: Well?\nNote: x",
        );
        assert_eq!(
            read,
            [
                vec![
                    (Side::Input, "Hi.".to_owned()),
                    (Side::Response, "Come in.\n\nSit.".to_owned())
                ],
                vec![(Side::Response, "Well?\nNote: x".to_owned())],
            ]
        );
    }

    #[test]
    fn loose_prose_is_the_characters() {
        assert_eq!(read("She nods.\nTwice."), [[(Side::Response, "She nods.\nTwice.".to_owned())]]);
        assert!(read("").is_empty());
        assert!(read("<START>\n\n<START>\n").is_empty());
    }
}
