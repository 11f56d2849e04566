//! One compiled pattern.
//!
//! Within the regex crate's bounds, so that no pattern takes more than linear time. Invariant:
//! a span is not empty and no longer than [`LONGEST_MATCH`] bytes; a longer match counts by
//! its last ones, so that a growing text need not be held back without end.

use std::ops::Range;

use regex::{Regex, RegexBuilder};

use super::rules::{PatternRule, RuleError};

/// The longest span of a match, in bytes.
pub(super) const LONGEST_MATCH: usize = 300;
/// The most memory of one compiled pattern, and of the automaton that is made as it runs.
const SIZE: usize = 1 << 20;

/// Compiles a rule's pattern.
pub(super) fn compile(rule: &PatternRule) -> Result<Regex, RuleError> {
    let pattern = &rule.pattern;
    let built = RegexBuilder::new(pattern)
        .case_insensitive(true)
        .size_limit(SIZE)
        .dfa_size_limit(SIZE)
        .nest_limit(50)
        .build();
    match built {
        Ok(regex) if regex.is_match("") => Err(RuleError::EmptyPattern(pattern.clone())),
        Ok(regex) => Ok(regex),
        Err(regex::Error::CompiledTooBig(_)) => Err(RuleError::LargePattern(pattern.clone())),
        Err(error) => Err(explain(pattern, &error.to_string())),
    }
}

/// The position and the reason out of the drawing that the regex crate makes of an error.
fn explain(pattern: &str, drawing: &str) -> RuleError {
    let caret = drawing.lines().find(|line| line.trim_start().starts_with('^'));
    let column = caret.and_then(|line| line.find('^')).unwrap_or(4);
    let why = drawing.lines().rev().find_map(|line| line.strip_prefix("error: "));
    let why = why.unwrap_or("its syntax is wrong").to_owned();
    // The pattern is drawn four columns in.
    RuleError::BadPattern { pattern: pattern.to_owned(), at: column.saturating_sub(4) + 1, why }
}

/// Where the pattern matches.
pub(super) fn spans(regex: &Regex, text: &str) -> Vec<Range<usize>> {
    let found = regex.find_iter(text).filter(|found| !found.is_empty());
    found
        .map(|found| {
            let earliest = found.end().saturating_sub(LONGEST_MATCH);
            text.ceil_char_boundary(found.start().max(earliest))..found.end()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(pattern: &str) -> String {
        let rule = PatternRule { pattern: pattern.to_owned(), ..PatternRule::default() };
        compile(&rule).unwrap_err().to_string()
    }

    #[test]
    fn errors_say_what_and_where() {
        let text = error("sea(gull");
        assert!(text.contains("“sea(gull” cannot be read at character 4"), "{text}");
        assert!(text.contains("unclosed group"), "{text}");
        assert!(error("a*").contains("empty text"));
        assert!(error("(\\w{500}){500}").contains("too large"));
    }

    #[test]
    fn long_matches_count_by_their_end() {
        let rule = PatternRule { pattern: "a.*z".into(), ..PatternRule::default() };
        let text = format!("a{}z", "é".repeat(400));
        let spans = spans(&compile(&rule).unwrap(), &text);
        assert!(spans[0].len() <= LONGEST_MATCH && spans[0].end == text.len());
    }
}
