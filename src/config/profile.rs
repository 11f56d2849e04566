//! `[profiles.NAME]`: what belongs to one model, whatever else is set.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Invalid;
use super::error::require;
use super::generation::check_lengths;

/// What belongs to one model: how its prompts are laid out, how its words are chosen,
/// what ends its replies and how long they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelProfile {
    /// The template, by name or path.
    pub template: Option<String>,
    /// The sampling preset, by name.
    pub preset: Option<String>,
    /// Texts that end a reply beside those of the template.
    pub stops: Vec<String>,
    /// Where a reply is cut at the latest, in tokens, by its length.
    pub max_tokens: BTreeMap<String, usize>,
    /// How many tokens a reply should have, from and to, by its length.
    pub lengths: BTreeMap<String, [usize; 2]>,
}

impl ModelProfile {
    pub(super) fn validate(
        &self,
        name: &str,
        lengths: &BTreeMap<String, usize>,
    ) -> Result<(), Invalid> {
        for stop in &self.stops {
            require(
                !stop.is_empty(),
                &format!("profiles.{name}.stops"),
                "an empty text",
                "texts that are not empty",
            )?;
        }
        check_lengths(&format!("profiles.{name}"), &self.max_tokens, &self.lengths, lengths)
    }
}
