//! `[lore]`: how lorebooks are read where neither a book nor its entry says otherwise.

use serde::Deserialize;

use super::error::require;
use super::{Auto, Invalid};

/// How lorebooks are read where neither a book nor its entry says otherwise.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoreConfig {
    /// How many of the newest turns are scanned.
    pub scan_depth: usize,
    /// How much of the context lore may take, in percent.
    pub budget_percent: u32,
    /// The most tokens that lore may take; `Auto` leaves it to the percentage.
    pub budget_tokens: Auto<usize>,
    /// Whether what is told may call more.
    pub recursive: bool,
    /// How often the entries are gone through at most; 0 is as often as it takes.
    pub max_rounds: usize,
    /// Whether letter case counts in keys.
    pub case_sensitive: bool,
    /// Whether a key of one word must stand as a whole word.
    pub match_whole_words: bool,
    /// Whether the entry with the most matching keys wins its group.
    pub group_scoring: bool,
}

impl LoreConfig {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        require(
            self.scan_depth <= 1_000,
            "lore.scan_depth",
            self.scan_depth,
            "a number of turns up to 1000",
        )?;
        require(
            (1..=90).contains(&self.budget_percent),
            "lore.budget_percent",
            self.budget_percent,
            "a number from 1 to 90",
        )
    }
}
