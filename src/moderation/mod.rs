//! Moderation: what guilds do not want to read, found in any disguise, and what follows.
//!
//! Pure: texts and settings in, verdicts out; it knows no guild, person or scene, and acts on
//! nothing. Invariant: what sexualises minors is refused everywhere, whatever the settings.

mod age;
mod boundary;
mod checker;
mod classes;
mod fold;
mod leet;
mod limits;
mod lookalikes;
mod minors;
mod needle;
mod normal;
mod pattern;
mod policy;
mod retention;
mod rule_set;
mod rules;
mod themes;
mod verdict;

#[cfg(test)]
mod evasion;

pub use age::declares_minor;
pub use boundary::{line_rule, veil_rule};
pub use checker::{Checker, Reading, SceneFacts};
pub use classes::{Categories, Category, Thresholds, classified};
pub use limits::Limits;
pub use policy::{Arrivals, Policy, PolicyError, QuietHours, Rating, Whoever};
pub use retention::Retention;
pub use rule_set::RuleSet;
pub use rules::{
    LONGEST_PATTERN, LONGEST_TERM, MOST_PATTERNS, MOST_TERMS, PatternRule, Rule, RuleError,
    WordRule,
};
pub use themes::Theme;
pub use verdict::{Door, Finding, Outcome, Verdict, redact};
