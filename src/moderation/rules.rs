//! Rules as people write them: lists of words, and patterns.
//!
//! Nouns and their limits; [`RuleSet`](super::RuleSet) looks for them. Invariant: a rule that
//! [`check_words`] and [`check_patterns`] let pass can be compiled, but for a pattern's syntax.

use serde::{Deserialize, Serialize};

use super::themes::Theme;
use super::verdict::Verdict;

/// The most terms of one rule set, allowed ones counted in.
pub const MOST_TERMS: usize = 2_000;
/// The most characters of one term.
pub const LONGEST_TERM: usize = 100;
/// The most patterns of one rule set.
pub const MOST_PATTERNS: usize = 100;
/// The most characters of one pattern, as Discord has it.
pub const LONGEST_PATTERN: usize = 260;

/// Words and phrases that lead to a verdict, in any disguise that is seen through.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WordRule {
    /// What reports call it; the first term where this is empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Words or phrases; a `*` at an end lets the word go on there.
    pub terms: Vec<String>,
    /// Phrases within which the terms are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// What follows.
    pub verdict: Verdict,
    /// The theme it belongs to, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub theme: Option<Theme>,
    /// Whether it only counts.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// A regular expression that leads to a verdict. It is tried on the text as written and on
/// its plain form, and tells no case apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PatternRule {
    /// What reports call it; the pattern where this is empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// In the syntax of Rust's `regex`.
    pub pattern: String,
    /// What follows.
    pub verdict: Verdict,
    /// The theme it belongs to, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub theme: Option<Theme>,
    /// Whether it only counts.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// A rule of either sort.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// A list of words.
    Words(WordRule),
    /// A pattern.
    Pattern(PatternRule),
}

/// Why rules cannot be used: what is wrong, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// More terms than fit.
    #[error("there are {0} words and phrases; at most {MOST_TERMS} fit: remove {over}", over = .0 - MOST_TERMS)]
    TooManyTerms(usize),
    /// A term that is too long.
    #[error("the term “{0}…” has {1} characters; at most {LONGEST_TERM} fit: shorten it")]
    LongTerm(String, usize),
    /// A term of fewer than two letters.
    #[error(
        "the term “{0}” has fewer than two letters or digits, so it would be found in nearly every text: write a longer one"
    )]
    ShortTerm(String),
    /// A `*` within a term.
    #[error("the term “{0}” has a * within it; it may stand at either end only: remove it")]
    InnerStar(String),
    /// A rule without terms.
    #[error("the rule “{0}” has no terms: add one, or remove the rule")]
    NoTerms(String),
    /// More patterns than fit.
    #[error("there are {0} patterns; at most {MOST_PATTERNS} fit: remove {over}", over = .0 - MOST_PATTERNS)]
    TooManyPatterns(usize),
    /// A pattern that is too long.
    #[error(
        "the pattern “{0}…” has {1} characters; at most {LONGEST_PATTERN} fit: shorten or split it"
    )]
    LongPattern(String, usize),
    /// A pattern that matches where nothing is.
    #[error(
        "the pattern “{0}” matches even an empty text, so it would be found everywhere: let it need at least one character"
    )]
    EmptyPattern(String),
    /// A pattern that grows too large when compiled.
    #[error(
        "the pattern “{0}” is too large when compiled; use smaller repetitions than {{n,m}} has now"
    )]
    LargePattern(String),
    /// A pattern that cannot be read.
    #[error("the pattern “{pattern}” cannot be read at character {at}: {why}")]
    BadPattern {
        /// The pattern.
        pattern: String,
        /// The character, counted from 1.
        at: usize,
        /// What the reader of patterns says.
        why: String,
    },
}

impl WordRule {
    /// The name that findings bear.
    pub fn label(&self) -> String {
        match (self.name.is_empty(), self.terms.first()) {
            (true, Some(first)) => first.clone(),
            _ => self.name.clone(),
        }
    }
}

impl PatternRule {
    /// The name that findings bear.
    pub fn label(&self) -> String {
        if self.name.is_empty() { self.pattern.clone() } else { self.name.clone() }
    }
}

/// Checks the words of all rules against the limits.
pub(super) fn check_words<'a>(
    rules: impl Iterator<Item = &'a WordRule> + Clone,
) -> Result<(), RuleError> {
    let count = rules.clone().map(|rule| rule.terms.len() + rule.allow.len()).sum();
    if count > MOST_TERMS {
        return Err(RuleError::TooManyTerms(count));
    }
    for rule in rules {
        if rule.terms.is_empty() {
            return Err(RuleError::NoTerms(rule.name.clone()));
        }
        rule.terms.iter().chain(&rule.allow).try_for_each(|term| check_term(term))?;
    }
    Ok(())
}

fn check_term(term: &str) -> Result<(), RuleError> {
    let length = term.chars().count();
    if length > LONGEST_TERM {
        return Err(RuleError::LongTerm(term.chars().take(20).collect(), length));
    }
    match term.trim().trim_matches('*').contains('*') {
        true => Err(RuleError::InnerStar(term.to_owned())),
        false => Ok(()),
    }
}

/// Checks all patterns against the limits.
pub(super) fn check_patterns<'a>(
    rules: impl Iterator<Item = &'a PatternRule> + Clone,
) -> Result<(), RuleError> {
    let count = rules.clone().count();
    if count > MOST_PATTERNS {
        return Err(RuleError::TooManyPatterns(count));
    }
    for PatternRule { pattern, .. } in rules {
        let length = pattern.chars().count();
        if length > LONGEST_PATTERN {
            return Err(RuleError::LongPattern(pattern.chars().take(20).collect(), length));
        }
    }
    Ok(())
}
