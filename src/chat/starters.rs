//! The characters that ship with Dramatis, for a first scene on a first day.

use crate::domain::CharacterSheet;

const STARTERS: [(&str, &str); 3] = [
    ("maren-holt.toml", include_str!("../../config/characters/maren-holt.toml")),
    ("bastian-quill.toml", include_str!("../../config/characters/bastian-quill.toml")),
    ("tamsin.toml", include_str!("../../config/characters/tamsin.toml")),
];

/// The shipped characters, in the order in which they are offered.
pub fn starters() -> Vec<CharacterSheet> {
    STARTERS
        .into_iter()
        .map(|(file, text)| {
            let mut sheet: CharacterSheet = toml::from_str(text)
                .unwrap_or_else(|error| panic!("the shipped {file} is valid: {error}"));
            trim_paragraphs(&mut sheet);
            sheet
        })
        .collect()
}

/// Multi-line TOML strings begin and end with line breaks that are layout, not text.
fn trim_paragraphs(sheet: &mut CharacterSheet) {
    let greetings = sheet.alternate_greetings.iter_mut();
    for text in [&mut sheet.description, &mut sheet.greeting, &mut sheet.example_dialogue]
        .into_iter()
        .chain(greetings)
    {
        *text = text.trim().to_owned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_starter_can_open_a_scene() {
        let starters = starters();
        assert_eq!(starters.len(), 3);
        for sheet in starters {
            assert!(sheet.greetings().count() >= 2, "{} has an alternate greeting", sheet.name);
            assert!(sheet.description.len() > 300 && sheet.scenario.contains("{{user}}"));
            assert!(sheet.example_dialogue.starts_with("<START>"));
        }
    }
}
