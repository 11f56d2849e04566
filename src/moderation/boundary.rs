//! Lines and veils that people draw: what a reply that crosses one is told by.
//!
//! What names a theme has the theme's words, which are explicit: they cross a veil, too. Any
//! other line is looked for by its own words, each word or phrase between commas, in the
//! singular and the plural. Of any other veil words do not show whether it is lifted.

use super::rule_set::RuleSet;
use super::rules::{RuleError, WordRule, check_words};
use super::themes::Theme;
use super::verdict::Verdict;

/// What findings say of a line in somebody's words: they are theirs, not everybody's.
const NAME: &str = "a line of this scene";

/// The theme that a text names, if it does.
fn named_theme(text: &str) -> Option<Theme> {
    let word = text.trim().to_lowercase().replace([' ', '-'], "_");
    Theme::ALL.into_iter().find(|theme| theme.as_str() == word)
}

/// What a reply that crosses a line is told by.
///
/// # Errors
/// Nothing could be told by it: it has no letters, or too many.
pub fn line_rule(text: &str) -> Result<WordRule, RuleError> {
    if let Some(theme) = named_theme(text) {
        return Ok(theme.rule(Verdict::Reroll));
    }
    let phrases = text.split([',', ';']).map(str::trim).filter(|phrase| !phrase.is_empty());
    let rule = WordRule {
        name: NAME.to_owned(),
        terms: phrases.flat_map(both_numbers).collect(),
        verdict: Verdict::Reroll,
        ..WordRule::default()
    };
    check_words([&rule].into_iter())?;
    RuleSet::build([&rule].into_iter(), [].into_iter())?;
    Ok(rule)
}

/// What a reply that lifts a veil is told by, if it can be told.
pub fn veil_rule(text: &str) -> Option<WordRule> {
    named_theme(text).map(|theme| theme.rule(Verdict::Reroll))
}

/// A phrase, and the same with or without an `s` at its end.
fn both_numbers(phrase: &str) -> Vec<String> {
    let other = match phrase.strip_suffix('s') {
        _ if !phrase.ends_with(char::is_alphabetic) => None,
        Some(singular) if singular.ends_with(char::is_alphabetic) => Some(singular.to_owned()),
        Some(_) => None,
        None => Some(format!("{phrase}s")),
    };
    std::iter::once(phrase.to_owned()).chain(other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moderation::{Checker, Door, Policy, SceneFacts};

    fn crosses(line: &str, reply: &str) -> bool {
        let checker = Checker::with_words(&Policy::default(), &[line_rule(line).unwrap()]);
        let outcome = checker.unwrap().check(Door::Reply, reply, SceneFacts::default());
        outcome.verdict == Verdict::Reroll
    }

    #[test]
    fn a_line_is_crossed_by_its_words_or_its_themes() {
        assert!(crosses("spiders", "A spider, no less."));
        assert!(crosses("spider", "S-p-i-d-e-r-s!"));
        assert!(crosses("harm to animals, needles", "She holds a needle."));
        assert!(!crosses("harm to animals", "No animals here, and no harm."));
        assert!(crosses("tortur*", "He is tortured."));
        assert!(crosses("Graphic violence", "She disembowels him."));
        assert!(!crosses("graphic violence", "They talk of graphic violence."));
        assert_eq!(named_theme("self-harm"), Some(Theme::SelfHarm));
        assert!(veil_rule("Sexual").is_some() && veil_rule("surgery").is_none());
    }

    #[test]
    fn what_nothing_could_be_told_by_is_refused() {
        for text in ["", " , ", "x", "a*b"] {
            assert!(line_rule(text).is_err(), "{text}");
        }
        assert!(line_rule(&"x".repeat(101)).is_err());
    }
}
