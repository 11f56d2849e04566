//! `[generation]`: how replies are sampled and how long they may get.
//!
//! Presets stay raw tables here: what is in them, the sampling room checks.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::error::require;
use super::{Auto, Invalid};

/// How replies are sampled and how long they may get.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerationConfig {
    /// The sampling preset of channels that chose none; `Auto` is what the model's
    /// profile says, else LimaRP's.
    pub preset: Auto<String>,
    /// The length of replies where nobody chose one; "auto" lets the model
    /// choose.
    pub length: String,
    /// Where a reply is cut at the latest, in tokens, by its length.
    pub max_tokens: BTreeMap<String, usize>,
    /// Whether replies are kept within the range of their length and end with a sentence.
    pub keep_lengths: bool,
    /// How many tokens a reply should have, from and to, by its length; a length that is
    /// not here has no range, and its replies end before `max_tokens` with a sentence.
    pub lengths: BTreeMap<String, [usize; 2]>,
    /// When a reply counts as said before.
    pub repetition: RepetitionConfig,
    /// Sampling presets of the operator's own, unchecked.
    pub presets: BTreeMap<String, serde_json::Value>,
}

/// When a reply counts as said before, and is written once more.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepetitionConfig {
    /// With how many of the character's last replies it is compared; 0 is off.
    pub replies: usize,
    /// The share of its 4-grams of words that stand in one of them, from which on it counts.
    pub overlap: f64,
    /// The run of words in common with one of them from which on it counts.
    pub run: usize,
}

impl GenerationConfig {
    /// Where a reply of this length is cut at the latest, in tokens. `None` is a
    /// length that the model chooses.
    pub fn max_tokens(&self, length: Option<&str>) -> usize {
        let auto = || self.max_tokens.get("auto").copied();
        let tokens = length.and_then(|length| self.max_tokens.get(length).copied());
        tokens.or_else(auto).expect("the embedded defaults hold every length")
    }

    /// The default length, `None` if the model chooses.
    pub fn default_length(&self) -> Option<&str> {
        (self.length != "auto").then_some(self.length.as_str())
    }

    pub(super) fn validate(&self) -> Result<(), Invalid> {
        require(
            self.max_tokens.contains_key(&self.length),
            "generation.length",
            format_args!("\"{}\"", self.length),
            &format!("one of {}", self.lengths()),
        )?;
        for (length, &tokens) in &self.max_tokens {
            require(
                (16..=65_536).contains(&tokens),
                &format!("generation.max_tokens.{length}"),
                tokens,
                "a number of tokens from 16 to 65536",
            )?;
        }
        for (length, range) in &self.lengths {
            check_range(&format!("generation.lengths.{length}"), length, *range, &self.max_tokens)?;
        }
        let RepetitionConfig { replies, overlap, run } = self.repetition;
        require(
            replies <= 100,
            "generation.repetition.replies",
            replies,
            "a number of replies from 0 to 100",
        )?;
        require(
            (0.0..=1.0).contains(&overlap),
            "generation.repetition.overlap",
            overlap,
            "a share from 0 to 1",
        )?;
        require(run >= 4, "generation.repetition.run", run, "a number of words from 4 up")?;
        for (name, preset) in &self.presets {
            require(
                preset.is_object(),
                &format!("generation.presets.{name}"),
                preset,
                "a table of sampling parameters",
            )?;
        }
        Ok(())
    }

    /// The known lengths, shortest limit first.
    fn lengths(&self) -> String {
        let mut lengths: Vec<_> = self.max_tokens.iter().collect();
        lengths.sort_by_key(|&(name, &tokens)| (name == "auto", tokens));
        lengths.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// Checks one range of tokens under its setting's `key`.
pub(super) fn check_range(
    key: &str,
    length: &str,
    [from, to]: [usize; 2],
    lengths: &BTreeMap<String, usize>,
) -> Result<(), Invalid> {
    let known = || lengths.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    require(lengths.contains_key(length), key, length, &format!("one of {}", known()))?;
    require(
        from <= to && (1..=65_536).contains(&to),
        key,
        format_args!("[{from}, {to}]"),
        "two numbers of tokens, the first no larger than the second, up to 65536",
    )
}
