//! A policy at work: what it says of a text, and of one that still grows.
//!
//! Invariant: the rule on minors holds in every checker.

use super::minors::{Minors, minors};
use super::normal::Folded;
use super::policy::{Policy, PolicyError};
use super::rule_set::RuleSet;
use super::rules::WordRule;
use super::verdict::{Door, Finding, Outcome, Verdict};

/// How much of what was read already a growing text is read again with, in bytes.
const CONTEXT: usize = 600;

/// What of a scene the rules need to know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SceneFacts {
    /// Whether somebody in it is under age, by what their sheet says.
    pub minor_present: bool,
}

/// How far a growing text was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reading {
    allowed: usize,
}

/// A policy, compiled.
pub struct Checker {
    rules: RuleSet,
    minors: &'static Minors,
}

impl std::fmt::Debug for Checker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checker").finish_non_exhaustive()
    }
}

impl Checker {
    /// Compiles a policy.
    ///
    /// # Errors
    /// It says something impossible.
    pub fn new(policy: &Policy) -> Result<Self, PolicyError> {
        Self::with_words(policy, &[])
    }

    /// Compiles a policy and more lists, which need not keep to a policy's limits.
    ///
    /// # Errors
    /// The policy says something impossible, or a list does.
    pub fn with_words(policy: &Policy, more: &[WordRule]) -> Result<Self, PolicyError> {
        policy.validate()?;
        let themes = policy.themes.iter().filter(|(_, verdict)| **verdict > Verdict::Allow);
        let themes: Vec<WordRule> = themes.map(|(theme, verdict)| theme.rule(*verdict)).collect();
        let words = themes.iter().chain(&policy.words).chain(more);
        let rules = RuleSet::build(words, policy.patterns.iter())?;
        Ok(Self { rules, minors: minors() })
    }

    /// What is to be done with a text at a door.
    pub fn check(&self, door: Door, text: &str, facts: SceneFacts) -> Outcome {
        let mut findings = self.find(text, facts);
        for finding in &mut findings {
            finding.verdict = finding.verdict.at(door);
        }
        Outcome::of(text, findings)
    }

    /// What is to be done with what the model is about to read: the rule on minors alone,
    /// since every part of it was checked when it came in.
    pub fn check_prompt(&self, text: &str, facts: SceneFacts) -> Outcome {
        let folded = Folded::new(text);
        let found = self.minors.find(text, &folded, &folded.views(), facts.minor_present);
        Outcome::of(text, found)
    }

    /// Up to where a growing reply may be shown, in bytes: before whatever is met, and
    /// before whatever may still come to be met.
    pub fn showable(&self, text: &str, facts: SceneFacts, reading: &mut Reading) -> usize {
        let from = cut(text, reading.allowed.saturating_sub(CONTEXT));
        let window = &text[from..];
        let folded = Folded::new(window);
        let views = folded.views();
        let mut found = self.rules.find_in(window, &folded, &views);
        found.extend(self.minors.find(window, &folded, &views, facts.minor_present));
        let is_met = |finding: &&Finding| !finding.dry_run && finding.verdict > Verdict::Allow;
        let met = found.iter().filter(is_met).map(|finding| finding.span.start).min();
        let open = self.rules.held_from(window, &views).min(self.minors.held_from(window, &views));
        let allowed = from + met.map_or(open, |met| met.min(open));
        reading.allowed = allowed.max(reading.allowed.min(text.len()));
        reading.allowed
    }

    fn find(&self, text: &str, facts: SceneFacts) -> Vec<Finding> {
        let folded = Folded::new(text);
        let views = folded.views();
        let mut found = self.rules.find_in(text, &folded, &views);
        found.extend(self.minors.find(text, &folded, &views, facts.minor_present));
        found
    }
}

/// Where a text may be cut before this byte: between two plain words, since half a word may
/// be one that is met, and so may the rest of one that is spelled letter by letter.
fn cut(text: &str, near: usize) -> usize {
    /// So far back any blank does, and then any place.
    const FAR: usize = 4 * CONTEXT;
    let is_plain = |word: &str| word.chars().filter(|c| c.is_alphabetic()).count() > 2;
    let near = text.floor_char_boundary(near);
    let far = text.floor_char_boundary(near.saturating_sub(FAR));
    let blanks = || text[far..near].rmatch_indices(char::is_whitespace);
    let behind = |(at, blank): (usize, &str)| far + at + blank.len();
    let is_between = |&at: &usize| {
        let before = text[far..at].trim_end().rsplit(char::is_whitespace).next();
        let after = text[at..].split(char::is_whitespace).next();
        before.is_some_and(is_plain) && after.is_some_and(is_plain)
    };
    let plain = blanks().map(behind).find(is_between);
    match plain.or_else(|| blanks().map(behind).next()) {
        Some(at) => at,
        None => far,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moderation::Rating;

    const ADULTS: SceneFacts = SceneFacts { minor_present: false };

    fn checker() -> Checker {
        let words = WordRule {
            terms: vec!["xyzzy".into(), "plugh plover".into()],
            verdict: Verdict::Reroll,
            ..WordRule::default()
        };
        Checker::new(&Policy { words: vec![words], ..Policy::default() }).unwrap()
    }

    #[test]
    fn a_policy_decides_and_the_door_too() {
        let checker = checker();
        assert_eq!(checker.check(Door::Reply, "Say X-Y-Z-Z-Y!", ADULTS).verdict, Verdict::Reroll);
        assert_eq!(checker.check(Door::Message, "Say xyzzy!", ADULTS).verdict, Verdict::Refuse);
        assert_eq!(checker.check(Door::Reply, "Say nothing.", ADULTS).verdict, Verdict::Allow);
        let family = Checker::new(&Policy::default_for(Rating::General)).unwrap();
        let covered = family.check(Door::Message, "What the shit is that?", ADULTS);
        assert_eq!(
            (covered.verdict, covered.text.as_str()),
            (Verdict::Redact, "What the ▒▒▒▒ is that?")
        );
    }

    #[test]
    fn no_setting_allows_to_sexualise_minors() {
        let text = "A lewd drawing of a schoolgirl.";
        for policy in [Policy::default(), Policy::default_for(Rating::Mature)] {
            let checker = Checker::new(&policy).unwrap();
            for door in [Door::Message, Door::Card, Door::Prompt, Door::Reply] {
                assert_eq!(checker.check(door, text, ADULTS).verdict, Verdict::Refuse);
            }
            assert_eq!(checker.check_prompt(text, ADULTS).verdict, Verdict::Refuse);
            assert_eq!(
                checker.check_prompt("A drawing of a schoolgirl.", ADULTS).verdict,
                Verdict::Allow
            );
        }
    }

    #[test]
    fn nothing_of_what_is_met_is_shown_while_it_is_written() {
        let checker = checker();
        let before = "The wind rose over the harbour, and the gulls went quiet at once. ";
        for hidden in ["xyzzy", "x y z z y", "X.Y.Z.Z.Y", "xy\u{200b}zzy", "хуzzу", "plugh plover"]
        {
            let text =
                format!("{before}{hidden} is what she said, and nobody answered her at all.");
            let mut reading = Reading::default();
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            let shown = ends.map(|end| checker.showable(&text[..end], ADULTS, &mut reading)).max();
            assert!(shown.unwrap() <= before.len(), "{:?}", &text[..shown.unwrap()]);
            assert!(shown.unwrap() > 20, "what stands long before is shown");
        }
        let fine = format!("{before}{before}{before}");
        let mut reading = Reading::default();
        let shown = checker.showable(&fine, ADULTS, &mut reading);
        assert!(shown > fine.len() - 60, "{shown} of {}", fine.len());
    }

    #[test]
    fn a_long_reply_does_not_stop_where_half_a_word_would_be_met() {
        let checker = Checker::new(&Policy::default_for(Rating::General)).unwrap();
        let words = ["class", "grass", "the", "compass", "he", "passage", "titan", "bass", "and"];
        for seed in 1..20 {
            let picks = (0..400).map(|at| words[(at * at * seed + 7 * at + at / 9) % words.len()]);
            let text = picks.collect::<Vec<_>>().join(" ");
            let mut reading = Reading::default();
            let grown = (0..=text.len()).step_by(3);
            let shown =
                grown.map(|end| checker.showable(&text[..end], ADULTS, &mut reading)).last();
            assert!(shown.unwrap() + 100 > text.len(), "{shown:?} of {}", text.len());
        }
    }
}
