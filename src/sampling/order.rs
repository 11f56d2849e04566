//! The stages of sampling by name, and KoboldCpp's numbers for them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::params::SamplerParams;
use super::validate::SamplerParamsError;

/// One step of sampling. Every stage but [`Temperature`](Self::Temperature) and
/// the penalties only drops candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SamplerStage {
    /// Penalty on tokens that would go on with a repeat.
    Dry,
    /// Repetition, frequency and presence penalty.
    RepetitionPenalty,
    /// The k likeliest.
    TopK,
    /// A bound by the square of the highest probability.
    TopA,
    /// Tail-free sampling.
    Tfs,
    /// Locally typical sampling.
    TypicalP,
    /// Nucleus sampling.
    TopP,
    /// A bound relative to the highest probability.
    MinP,
    /// Temperature, fixed or dynamic.
    Temperature,
    /// Exclude top choices.
    Xtc,
}

impl SamplerStage {
    /// KoboldCpp's order: its `sampler_order` default `[6, 0, 1, 3, 4, 2, 5]`
    /// (`koboldcpp.py`, `generate`), with DRY first and XTC last, where its
    /// `SampleLogits` (`gpttype_adapter.cpp`) runs them whatever the order says.
    pub const DEFAULT_ORDER: [Self; 10] = [
        Self::Dry,
        Self::RepetitionPenalty,
        Self::TopK,
        Self::TopA,
        Self::Tfs,
        Self::TypicalP,
        Self::TopP,
        Self::MinP,
        Self::Temperature,
        Self::Xtc,
    ];

    /// The order that KoboldCpp's `sampler_order` ids stand for: 0 top-k,
    /// 1 top-a, 2 top-p then min-p, 3 TFS, 4 typical, 5 temperature,
    /// 6 repetition penalty; DRY goes first and XTC last, as there.
    ///
    /// # Errors
    /// An id that is not among these, or one that is named twice.
    pub fn order_from_koboldcpp(ids: &[u32]) -> Result<Vec<Self>, SamplerParamsError> {
        let mut order = vec![Self::Dry];
        for &id in ids {
            let stages: &[Self] = match id {
                0 => &[Self::TopK],
                1 => &[Self::TopA],
                2 => &[Self::TopP, Self::MinP],
                3 => &[Self::Tfs],
                4 => &[Self::TypicalP],
                5 => &[Self::Temperature],
                6 => &[Self::RepetitionPenalty],
                _ => return Err(SamplerParamsError::UnknownKoboldId { id }),
            };
            if order.contains(&stages[0]) {
                return Err(SamplerParamsError::RepeatedStage { stage: stages[0] });
            }
            order.extend_from_slice(stages);
        }
        order.push(Self::Xtc);
        Ok(order)
    }

    /// The name in presets.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dry => "dry",
            Self::RepetitionPenalty => "repetition_penalty",
            Self::TopK => "top_k",
            Self::TopA => "top_a",
            Self::Tfs => "tfs",
            Self::TypicalP => "typical_p",
            Self::TopP => "top_p",
            Self::MinP => "min_p",
            Self::Temperature => "temperature",
            Self::Xtc => "xtc",
        }
    }

    /// Whether these parameters give the stage anything to do.
    pub(super) fn is_on(self, params: &SamplerParams) -> bool {
        match self {
            Self::Dry => params.dry.multiplier > 0.0,
            Self::RepetitionPenalty => {
                params.repetition_penalty_range > 0
                    && (params.repetition_penalty != 1.0
                        || params.frequency_penalty != 0.0
                        || params.presence_penalty != 0.0)
            }
            Self::TopK => params.top_k > 0,
            Self::TopA => params.top_a > 0.0,
            Self::Tfs => params.tfs < 1.0,
            Self::TypicalP => params.typical_p < 1.0,
            Self::TopP => params.top_p < 1.0,
            Self::MinP => params.min_p > 0.0,
            Self::Temperature => params.temperature != 1.0 || params.dynatemp.is_some(),
            Self::Xtc => params.xtc.probability > 0.0 && params.xtc.threshold <= 0.5,
        }
    }

    /// Whether the stage is on and has its say. Beside Mirostat, which does the
    /// truncating, only penalties and temperature have (KoboldCpp, `SampleLogits`).
    pub(super) fn runs(self, params: &SamplerParams) -> bool {
        let beside_mirostat =
            matches!(self, Self::Dry | Self::RepetitionPenalty | Self::Temperature);
        self.is_on(params) && (params.mirostat.is_none() || beside_mirostat)
    }
}

impl fmt::Display for SamplerStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
