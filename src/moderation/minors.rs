//! The one rule that no setting changes: whatever sexualises minors is refused.
//!
//! An explicit word near somebody under age, in any disguise that the rules see through.
//! It knows words and nearness alone; what is meant between the lines it does not see.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;
use unicode_segmentation::UnicodeSegmentation;

use super::normal::{Folded, View};
use super::rule_set::RuleSet;
use super::rules::{PatternRule, WordRule};
use super::themes::{Theme, minor_lists};
use super::verdict::{Finding, Verdict};

/// What reports call it.
pub(super) const NAME: &str = "minors";
/// A text of no more characters is one thought, whatever its sentences.
const SHORT_TEXT: usize = 400;

/// Ages under 18, as people write them: with words that make the number an age.
const AGES: [&str; 5] = [
    r"\b(?:[1-9]|1[0-7])[\s-]*(?:years?|yrs?|y)[\s/.-]*(?:old|o)\b",
    r"\b(?:aged?|age of|age is|age:)\s*(?:[1-9]|1[0-7])\b",
    r"\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen)[\s-]+years?[\s-]+olds?\b",
    r"\b(?:[1-9]|1[0-7])[\s-]*(?:jahre alt|jahrig\w*|jährig\w*)",
    r"\b(?:[1-9]|1[0-7])\s*(?:ans|anos|años)\b",
];

/// What is looked for.
pub(super) struct Minors {
    alone: RuleSet,
    explicit: RuleSet,
    minor: RuleSet,
}

static MINORS: LazyLock<Minors> = LazyLock::new(|| {
    let lists = minor_lists();
    let words = |terms: Vec<String>, allow: &[String]| WordRule {
        name: NAME.to_owned(),
        terms,
        allow: allow.to_vec(),
        verdict: Verdict::Refuse,
        ..WordRule::default()
    };
    let mut explicit = lists.explicit.clone();
    explicit.extend(Theme::Sexual.rule(Verdict::Refuse).terms);
    let ages = AGES.map(|pattern| PatternRule {
        name: NAME.to_owned(),
        pattern: pattern.to_owned(),
        verdict: Verdict::Refuse,
        ..PatternRule::default()
    });
    let compile = |rule: WordRule, patterns: &[PatternRule]| {
        RuleSet::build([&rule].into_iter(), patterns.iter()).expect("the shipped lists compile")
    };
    Minors {
        alone: compile(words(lists.alone.clone(), &[]), &[]),
        explicit: compile(words(explicit, &lists.innocent), &[]),
        minor: compile(words(lists.minor.clone(), &lists.adult), &ages),
    }
});

/// The rule, compiled.
pub(super) fn minors() -> &'static Minors {
    &MINORS
}

impl Minors {
    /// Where the rule is met. With a minor in the scene, every explicit word meets it.
    pub(super) fn find(
        &self,
        text: &str,
        folded: &Folded,
        views: &[View<'_>],
        minor_present: bool,
    ) -> Vec<Finding> {
        let mut found = self.alone.find_in(text, folded, views);
        let explicit = self.explicit.find_in(text, folded, views);
        if explicit.is_empty() {
            return found;
        }
        if minor_present {
            found.extend(explicit);
            return found;
        }
        let minors = self.minor.find_in(text, folded, views);
        if minors.is_empty() {
            return found;
        }
        let is_short = text.chars().nth(SHORT_TEXT).is_none();
        let starts: Vec<usize> = text.split_sentence_bound_indices().map(|(at, _)| at).collect();
        let sentence = |span: &Range<usize>| starts.partition_point(|&start| start <= span.start);
        let is_near = |hit: &Finding| {
            is_short
                || minors
                    .iter()
                    .any(|minor| sentence(&hit.span).abs_diff(sentence(&minor.span)) <= 1)
        };
        found.extend(explicit.into_iter().filter(is_near));
        found
    }

    /// From which byte on a growing text may still come to meet it.
    pub(super) fn held_from(&self, text: &str, views: &[View<'_>]) -> usize {
        let alone = self.alone.held_from(text, views);
        alone.min(self.explicit.held_from(text, views))
    }
}

/// The age that a description gives somebody, in years: after the word age, else the first
/// that stands there.
pub fn declared_age(text: &str) -> Option<u32> {
    static AGE: LazyLock<[Regex; 2]> = LazyLock::new(|| {
        let compile = |pattern: &str| Regex::new(pattern).expect("a valid pattern");
        [
            compile(r"(?i)\bage[d]?\s*(?:is|of|=|:|\(|)\s*[\[\x22(]?\s*(\d{1,5}|[a-z]+)\b"),
            compile(r"(?i)\b(\d{1,5}|[a-z]+)[\s-]*(?:years?|yrs?|y)[\s/.-]*(?:old|o)\b"),
        ]
    });
    let number = |word: &str| match word.parse() {
        Ok(number) => Some(number),
        Err(_) => {
            WORDS.iter().position(|known| known.eq_ignore_ascii_case(word)).map(|at| at as u32)
        }
    };
    AGE.iter().find_map(|age| age.captures_iter(text).find_map(|found| number(&found[1])))
}

/// Numbers that people spell, by their place.
const WORDS: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn is_met(text: &str, minor_present: bool) -> bool {
        let folded = Folded::new(text);
        !minors().find(text, &folded, &folded.views(), minor_present).is_empty()
    }

    #[test]
    fn an_explicit_word_near_a_minor_is_refused() {
        for text in [
            "A lewd drawing of a schoolgirl.",
            "She is 15 years old. The scene turns sexual.",
            "a fifteen-year-old, naked",
            "The l\u{435}wd story is about a ch1ld.",
            "l e w d things, and a kid",
            "Er ist 12 Jahre alt und nackt.",
        ] {
            assert!(is_met(text, false), "{text}");
        }
    }

    #[test]
    fn adults_children_and_words_that_only_look_alike_are_not() {
        for text in [
            "The kids ran past the tavern while Mara kissed the captain.",
            "The miner had a minor wound, sixteen years ago.",
            "You are kidding. It is child's play to see that with the naked eye.",
            "He drew his naked blade and shielded the children.",
            "She is 35 years old and sexy.",
            "The kind innkeeper was naked in the bath.",
        ] {
            assert!(!is_met(text, false), "{text}");
        }
        let apart =
            format!("The children slept. {} It was a lewd song.", "The wind rose. ".repeat(40));
        assert!(!is_met(&apart, false), "far apart is not near");
    }

    #[test]
    fn with_a_minor_in_the_scene_every_explicit_word_is_refused() {
        let text = "They speak of something lewd.";
        assert!(!is_met(text, false) && is_met(text, true));
        assert!(!is_met("They speak of the harvest.", true));
    }

    #[test]
    fn ages_are_read_from_descriptions() {
        for (text, age) in [
            ("Age: 16", Some(16)),
            ("A 34 years old smith with a 9 years old daughter", Some(34)),
            ("Has a 9-year-old son. Age: 41.", Some(41)),
            ("a fifteen-year-old squire", Some(15)),
            ("aged 212, an elf", Some(212)),
            ("In an age of wonders she sailed for 16 years", None),
        ] {
            assert_eq!(declared_age(text), age, "{text}");
        }
    }
}
