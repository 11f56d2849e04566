//! What is measured: each length, at two places of a scene, in two ways.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::play::Rules;
use crate::config::Config;
use crate::domain::Length;
use crate::engine::LengthRange;
use crate::sampling::SamplerParams;

/// Where in a scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Place {
    /// After the openings.
    Start,
    /// After the lines that were played.
    Deep,
}

impl Place {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Deep => "deep",
        }
    }
}

/// Who sees to the length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Way {
    /// The model by itself, up to the limit.
    Free,
    /// The service, too.
    Kept,
}

impl Way {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Kept => "kept",
        }
    }
}

/// One cell of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Cell {
    pub(super) way: Way,
    pub(super) place: Place,
    /// `None` leaves it to the model.
    pub(super) length: Option<Length>,
}

impl Cell {
    /// Every cell, the shortest lengths first.
    pub(super) fn all() -> Vec<Self> {
        let lengths = || Length::ALL.into_iter().map(Some).chain([None]);
        let places = [Place::Start, Place::Deep];
        let ways = [Way::Free, Way::Kept];
        lengths()
            .flat_map(|length| places.map(|place| (length, place)))
            .flat_map(|(length, place)| ways.map(|way| Self { way, place, length }))
            .collect()
    }

    /// The length as people name it.
    pub(super) fn length_name(&self) -> &'static str {
        self.length.map_or("none", Length::as_str)
    }
}

/// What the settings say of lengths.
pub(super) struct Limits {
    max_tokens: BTreeMap<String, usize>,
    ranges: BTreeMap<String, [usize; 2]>,
    most: usize,
}

impl Limits {
    /// As the service has them for the configured model; no reply has more than `most`.
    pub(super) fn of(config: &Config, most: usize) -> Self {
        let mut max_tokens = config.generation.max_tokens.clone();
        max_tokens.extend(config.profile().max_tokens);
        Self { max_tokens, ranges: config.length_ranges(), most }
    }

    /// For the record: other limits make other replies.
    pub(super) fn shown(&self) -> Value {
        json!([self.max_tokens, self.ranges, self.most])
    }

    /// The most tokens of any reply.
    pub(super) fn longest(&self) -> usize {
        self.max_tokens.values().copied().max().unwrap_or(self.most).min(self.most)
    }

    /// The range of a length, if it has one.
    pub(super) fn range(&self, length: Option<Length>) -> Option<[usize; 2]> {
        self.ranges.get(length?.as_str()).copied()
    }

    pub(super) fn rules(&self, cell: &Cell, sampler: &SamplerParams) -> Rules {
        let name = cell.length.map_or("auto", Length::as_str);
        let cap = self.max_tokens.get(name).copied().unwrap_or(self.most).min(self.most);
        let [min_tokens, max_tokens] = self.range(cell.length).unwrap_or([0, cap]);
        let range = LengthRange { min_tokens, max_tokens };
        Rules {
            length: cell.length,
            length_range: (cell.way == Way::Kept).then_some(range),
            checked: cell.way == Way::Kept,
            ..Rules::plain(cap, sampler.clone())
        }
    }
}
