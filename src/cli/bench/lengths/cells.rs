//! What is measured: each length, at two places of a scene, in two ways.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::play::Rules;
use crate::config::{Config, GenerationConfig};
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
    generation: GenerationConfig,
    most: usize,
}

impl Limits {
    /// As the service has them for the configured model; no reply has more than `most`.
    pub(super) fn of(config: &Config, most: usize) -> Self {
        Self { generation: config.generation_of_model(), most }
    }

    /// For the record: other limits make other replies.
    pub(super) fn shown(&self) -> Value {
        json!([self.generation.max_tokens, self.generation.lengths, self.most])
    }

    /// The most tokens of any reply.
    pub(super) fn longest(&self) -> usize {
        let longest = self.generation.max_tokens.values().copied().max();
        longest.unwrap_or(self.most).min(self.most)
    }

    /// The range of a length, if it has one of its own.
    pub(super) fn range(&self, length: Option<Length>) -> Option<[usize; 2]> {
        self.generation.lengths.get(length?.as_str()).copied()
    }

    pub(super) fn rules(&self, cell: &Cell, sampler: &SamplerParams) -> Rules {
        let length = cell.length.map(Length::as_str);
        let cap = self.generation.max_tokens(length).min(self.most);
        let [min_tokens, max_tokens] = self.generation.length_range(length);
        let range = LengthRange { min_tokens, max_tokens };
        Rules {
            length: cell.length,
            length_range: (cell.way == Way::Kept).then_some(range),
            checked: cell.way == Way::Kept,
            ..Rules::plain(cap, sampler.clone())
        }
    }
}
