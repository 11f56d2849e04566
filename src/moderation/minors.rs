//! The one rule that no setting changes: whatever sexualises minors is refused.
//!
//! An explicit word near somebody under age, in any disguise that the rules see through.
//! It knows words and nearness alone; what is meant between the lines it does not see.

use std::ops::Range;
use std::sync::LazyLock;

use unicode_segmentation::UnicodeSegmentation;

use super::age::{OF_AGE, stated};
use super::normal::{Folded, View};
use super::rule_set::RuleSet;
use super::rules::WordRule;
use super::themes::{Theme, minor_lists};
use super::verdict::{Finding, Verdict};

/// What reports call it.
pub(super) const NAME: &str = "minors";
/// A text of no more characters is one thought, whatever its sentences.
const SHORT_TEXT: usize = 400;

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
    let compile = |rule: WordRule| {
        RuleSet::build([&rule].into_iter(), [].iter()).expect("the shipped lists compile")
    };
    Minors {
        alone: compile(words(lists.alone.clone(), &[])),
        explicit: compile(words(explicit, &lists.innocent)),
        minor: compile(words(lists.minor.clone(), &lists.adult)),
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
        let minors = self.minor.find_in(text, folded, views).into_iter().map(|found| found.span);
        let young = stated(folded).into_iter().filter(|(_, age)| *age < OF_AGE);
        let minors: Vec<Range<usize>> = minors.chain(young.map(|(span, _)| span)).collect();
        if minors.is_empty() {
            return found;
        }
        let is_short = text.chars().nth(SHORT_TEXT).is_none();
        let starts: Vec<usize> = text.split_sentence_bound_indices().map(|(at, _)| at).collect();
        let sentence = |span: &Range<usize>| starts.partition_point(|&start| start <= span.start);
        let is_near = |hit: &Finding| {
            is_short
                || minors.iter().any(|minor| sentence(&hit.span).abs_diff(sentence(minor)) <= 1)
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
            "The thirty-five-year-old captain lay naked beside her husband.",
            "She is a hundred and twelve years old, an elf, and naked in the bath.",
            "He pours a twelve-year-old whisky. They made love.",
            "She undressed the wound. The child watched.",
            "The spear thrusts into the beast; the children cheer.",
            "The rape seed fields are yellow, and children play there.",
            "They made love, and nine months later a child was born.",
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
}
