//! What a check says: a verdict, and the findings that led to it.
//!
//! Nouns alone; who acts on a verdict, and how, is not decided here. Invariant: a finding's
//! span lies on character boundaries of the text that was checked.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

use super::themes::Theme;

/// What is to be done with a text, the mildest first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It may stand as it is.
    #[default]
    Allow,
    /// It may stand with what was found covered.
    Redact,
    /// A reply is written anew; anywhere else it is refused.
    Reroll,
    /// It waits until a moderator has seen it.
    Hold,
    /// It may not stand.
    Refuse,
}

impl Verdict {
    /// All of them, the mildest first.
    pub const ALL: [Self; 5] = [Self::Allow, Self::Redact, Self::Reroll, Self::Hold, Self::Refuse];

    /// The word that settings use for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Redact => "redact",
            Self::Reroll => "reroll",
            Self::Hold => "hold",
            Self::Refuse => "refuse",
        }
    }

    /// What it means at this door: only a reply can be written anew.
    pub fn at(self, door: Door) -> Self {
        match (self, door) {
            (Self::Reroll, Door::Message | Door::Card | Door::Prompt) => Self::Refuse,
            _ => self,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where a text is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    /// A person's words in a scene.
    Message,
    /// A character's sheet, a persona, a lorebook's entry.
    Card,
    /// What the model is about to read.
    Prompt,
    /// What the model wrote.
    Reply,
}

impl Door {
    /// The word that settings and reports use for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Card => "card",
            Self::Prompt => "prompt",
            Self::Reply => "reply",
        }
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One place where a rule was met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule, by the name that reports use.
    pub rule: String,
    /// The theme it belongs to, if any.
    pub theme: Option<Theme>,
    /// What the rule asks for at the door where it was met.
    pub verdict: Verdict,
    /// Where, in bytes of the text that was checked.
    pub span: Range<usize>,
    /// Whether the rule only counts: it is listed, and nothing follows from it.
    pub dry_run: bool,
}

/// What became of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The worst of the findings' verdicts, those that only count left out.
    pub verdict: Verdict,
    /// All findings, in the text's order.
    pub findings: Vec<Finding>,
    /// The text, with what is to be redacted covered.
    pub text: String,
}

impl Outcome {
    /// Draws the conclusion from these findings.
    pub fn of(text: &str, mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| (finding.span.start, finding.span.end));
        let counted = findings.iter().filter(|finding| !finding.dry_run);
        let verdict = counted.map(|finding| finding.verdict).max().unwrap_or_default();
        let text = redact(text, &findings);
        Self { verdict, findings, text }
    }

    /// The same with more findings, none of which covers anything.
    pub fn with(mut self, more: Vec<Finding>) -> Self {
        let worst = more.iter().map(|finding| finding.verdict).max().unwrap_or_default();
        self.verdict = self.verdict.max(worst);
        self.findings.extend(more);
        self
    }
}

/// The text with `▒` for each grapheme that a finding asks to redact.
pub fn redact(text: &str, findings: &[Finding]) -> String {
    const COVER: char = '▒';
    let covered = |span: &Range<usize>| {
        findings.iter().any(|finding| {
            finding.verdict == Verdict::Redact
                && !finding.dry_run
                && finding.span.start < span.end
                && span.start < finding.span.end
        })
    };
    if !findings.iter().any(|finding| finding.verdict == Verdict::Redact) {
        return text.to_owned();
    }
    let mut redacted = String::with_capacity(text.len());
    for (at, grapheme) in text.grapheme_indices(true) {
        let is_blank = grapheme.chars().all(char::is_whitespace);
        match !is_blank && covered(&(at..at + grapheme.len())) {
            true => redacted.push(COVER),
            false => redacted.push_str(grapheme),
        }
    }
    redacted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(verdict: Verdict, span: Range<usize>) -> Finding {
        Finding { rule: "r".into(), theme: None, verdict, span, dry_run: false }
    }

    #[test]
    fn verdicts_are_ordered_and_read_as_written() {
        assert!(Verdict::ALL.is_sorted());
        assert_eq!(Verdict::Reroll.at(Door::Card), Verdict::Refuse);
        assert_eq!(Verdict::Reroll.at(Door::Reply), Verdict::Reroll);
        assert_eq!(format!("{:>7}|{}", Verdict::Hold, Door::Prompt), "   hold|prompt");
    }

    #[test]
    fn whole_graphemes_are_covered_and_spaces_stay() {
        let outcome = Outcome::of("a be\u{301} c", vec![finding(Verdict::Redact, 2..6)]);
        assert_eq!(outcome.text, "a ▒▒ c");
        assert_eq!(outcome.verdict, Verdict::Redact);
        let across = Outcome::of("a b", vec![finding(Verdict::Redact, 0..3)]);
        assert_eq!(across.text, "▒ ▒");
    }

    #[test]
    fn the_worst_counts_and_what_only_counts_does_not() {
        let dry = Finding { dry_run: true, ..finding(Verdict::Refuse, 0..1) };
        let outcome = Outcome::of("ab", vec![finding(Verdict::Hold, 1..2), dry]);
        assert_eq!(outcome.verdict, Verdict::Hold);
        assert_eq!(outcome.findings.len(), 2);
        assert_eq!(outcome.findings[0].span, 0..1);
    }
}
