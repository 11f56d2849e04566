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
    /// Sampling presets of the operator's own, unchecked.
    pub presets: BTreeMap<String, serde_json::Value>,
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
