//! The sampling parameters of a reply, as presets and people name them.
//!
//! Plain data: what each number does stands with its processor. Every field has
//! a value that switches it off, and the default is all of them off, at
//! temperature 1: the model's own distribution.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::order::SamplerStage;

/// How the next token is chosen from the logits. The default is `neutral`.
///
/// Where published definitions differ, KoboldCpp's is followed; each field's
/// processor cites its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SamplerParams {
    /// Divides the logits; off at 1. Below 0.01, and so at 0, the likeliest
    /// token is taken (of equals, the lowest id).
    pub temperature: f32,
    /// A temperature that follows the entropy; replaces `temperature` when set.
    pub dynatemp: Option<DynamicTemperature>,
    /// Keeps the `top_k` likeliest tokens; off at 0.
    pub top_k: usize,
    /// Keeps the fewest likeliest tokens that together reach this probability;
    /// off at 1.
    pub top_p: f32,
    /// Drops tokens less likely than `top_a` × (highest probability)²; off at 0.
    pub top_a: f32,
    /// Drops tokens less likely than `min_p` × highest probability; off at 0.
    pub min_p: f32,
    /// Tail-free sampling; off at 1.
    pub tfs: f32,
    /// Locally typical sampling; off at 1.
    pub typical_p: f32,
    /// Divides positive and multiplies other logits of tokens seen in the
    /// window; off at 1.
    pub repetition_penalty: f32,
    /// The window of the three penalties, in tokens counted back from the end
    /// of the history, the prompt included; 0 switches all three off.
    pub repetition_penalty_range: usize,
    /// What share of the repetition penalty holds in the older half of the
    /// window; off (the whole penalty) at 1.
    pub repetition_penalty_slope: f32,
    /// Taken from a token's logit once for each time it stands in the window;
    /// off at 0.
    pub frequency_penalty: f32,
    /// Taken from a token's logit once if it stands in the window; off at 0.
    pub presence_penalty: f32,
    /// Penalises tokens that would go on with a repeat.
    pub dry: Dry,
    /// Sometimes drops the likeliest tokens.
    pub xtc: Xtc,
    /// Mirostat 2 in place of every truncating stage, when set.
    pub mirostat: Option<Mirostat>,
    /// Added to the logits of these token ids before any stage. Ids beyond the
    /// model's vocabulary do nothing.
    #[serde(with = "token_map")]
    pub logit_bias: BTreeMap<u32, f32>,
    /// Token ids that are never drawn while any other is left.
    pub banned_tokens: BTreeSet<u32>,
    /// Strings that the reply must not contain. The engine holds to this, by
    /// going back and masking; a sampler sees only tokens.
    pub banned_strings: Vec<String>,
    /// The stages, in the order in which they run; one left out does not run.
    pub order: Vec<SamplerStage>,
}

impl Default for SamplerParams {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            dynatemp: None,
            top_k: 0,
            top_p: 1.0,
            top_a: 0.0,
            min_p: 0.0,
            tfs: 1.0,
            typical_p: 1.0,
            repetition_penalty: 1.0,
            repetition_penalty_range: 512,
            repetition_penalty_slope: 1.0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            dry: Dry::default(),
            xtc: Xtc::default(),
            mirostat: None,
            logit_bias: BTreeMap::new(),
            banned_tokens: BTreeSet::new(),
            banned_strings: Vec::new(),
            order: SamplerStage::DEFAULT_ORDER.to_vec(),
        }
    }
}

/// Bounds of the entropy-driven temperature, see `dynatemp.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DynamicTemperature {
    /// The temperature where the model is certain (entropy 0).
    pub min: f32,
    /// The temperature where every candidate is equally likely.
    pub max: f32,
    /// The curve between them; 1 is a straight line.
    #[serde(default = "one")]
    pub exponent: f32,
}

fn one() -> f32 {
    1.0
}

/// "Don't repeat yourself", see `dry.rs`. Off where `multiplier` is 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dry {
    /// The penalty on a repeat of exactly `allowed_length` tokens; off at 0.
    pub multiplier: f32,
    /// How much the penalty grows with each further token of the repeat.
    pub base: f32,
    /// Repeats shorter than this many tokens are free.
    pub allowed_length: usize,
    /// The window in tokens counted back from the end of the history; 0 is the
    /// whole history.
    pub range: usize,
    /// A repeat does not reach back across any of these strings.
    pub breakers: Vec<String>,
}

impl Default for Dry {
    fn default() -> Self {
        Self {
            multiplier: 0.0,
            base: 1.75,
            allowed_length: 2,
            range: 0,
            breakers: ["\n", ":", "\"", "*"].map(String::from).to_vec(),
        }
    }
}

/// "Exclude top choices", see `xtc.rs`. Off where `probability` is 0 or
/// `threshold` is above 0.5.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Xtc {
    /// The probability from which a token counts as a top choice.
    pub threshold: f32,
    /// How often, per token, top choices are dropped.
    pub probability: f32,
}

impl Default for Xtc {
    fn default() -> Self {
        Self { threshold: 0.1, probability: 0.0 }
    }
}

/// Targets of Mirostat 2, see `mirostat.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mirostat {
    /// The surprise to hold, in bits per token.
    pub tau: f32,
    /// How fast the bound follows the error, 0 to 1.
    pub eta: f32,
}

/// Token ids as map keys: written as strings, so that every format that has
/// only string keys (JSON, TOML) can carry them.
mod token_map {
    use std::collections::BTreeMap;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        map: &BTreeMap<u32, f32>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(map.iter().map(|(id, bias)| (id.to_string(), bias)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<u32, f32>, D::Error> {
        BTreeMap::<String, f32>::deserialize(deserializer)?
            .into_iter()
            .map(|(key, bias)| match key.parse() {
                Ok(id) => Ok((id, bias)),
                Err(_) => Err(D::Error::custom(format!("`{key}` is not a token id"))),
            })
            .collect()
    }
}
