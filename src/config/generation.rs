//! `[generation]`: how replies are sampled and how long they may get.
//!
//! Presets stay raw tables here: what is in them, the sampling room checks.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::error::require;
use super::{Auto, Invalid, ModelProfile};

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

impl RepetitionConfig {
    /// Whether a reply counts of which that share and that run were said before.
    pub fn counts(&self, overlap: f64, longest_run: usize) -> bool {
        overlap >= self.overlap || longest_run >= self.run
    }
}

impl GenerationConfig {
    /// Where a reply of this length is cut at the latest, in tokens. `None` is a
    /// length that the model chooses.
    pub fn max_tokens(&self, length: Option<&str>) -> usize {
        let auto = || self.max_tokens.get("auto").copied();
        let tokens = length.and_then(|length| self.max_tokens.get(length).copied());
        tokens.or_else(auto).expect("the embedded defaults hold every length")
    }

    /// Within how many tokens a reply of this length is kept, from and to. Without a range of
    /// its own it still ends with a sentence before it would be cut.
    pub fn length_range(&self, length: Option<&str>) -> [usize; 2] {
        let range = length.and_then(|length| self.lengths.get(length).copied());
        range.unwrap_or([0, self.max_tokens(length)])
    }

    /// The same for a model of that profile.
    pub fn with_profile(mut self, profile: &ModelProfile) -> Self {
        self.max_tokens.extend(profile.max_tokens.clone());
        self.lengths.extend(profile.lengths.clone());
        self
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
        check_lengths("generation", &self.max_tokens, &self.lengths, &self.max_tokens)?;
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

/// Checks limits and ranges by length, which stand under the setting `of`; `known` has every
/// length.
pub(super) fn check_lengths(
    of: &str,
    max_tokens: &BTreeMap<String, usize>,
    ranges: &BTreeMap<String, [usize; 2]>,
    known: &BTreeMap<String, usize>,
) -> Result<(), Invalid> {
    let is_known = |key: &str, length: &String| {
        let names = || known.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        require(known.contains_key(length), key, length, &format!("one of {}", names()))
    };
    for (length, &tokens) in max_tokens {
        let key = format!("{of}.max_tokens.{length}");
        is_known(&key, length)?;
        let allowed = "a number of tokens from 16 to 65536";
        require((16..=65_536).contains(&tokens), &key, tokens, allowed)?;
    }
    for (length, &[from, to]) in ranges {
        let key = format!("{of}.lengths.{length}");
        is_known(&key, length)?;
        require(
            from <= to && (1..=65_536).contains(&to),
            &key,
            format_args!("[{from}, {to}]"),
            "two numbers of tokens, the first no larger than the second, up to 65536",
        )?;
    }
    Ok(())
}
