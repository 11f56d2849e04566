//! The numbers of a preset: what they are called, what they mean here, and back.

use super::PresetKind;
use crate::sampling::SamplerParams;

/// A number that presets and [`SamplerParams`] have in common.
pub(super) struct Field {
    /// Its names in the three kinds of presets, in the order of [`PresetKind`].
    keys: [&'static str; 3],
    pub(super) get: fn(&SamplerParams) -> f32,
    pub(super) set: fn(&mut SamplerParams, f32),
    /// What is permitted here.
    pub(super) range: (f32, f32),
    /// What a number of theirs is as one of ours.
    meaning: Meaning,
}

/// How a number of theirs is to be read.
#[derive(Clone, Copy)]
enum Meaning {
    /// As it is.
    Same,
    /// Below 0 is off, which is 0 here.
    NegativeIsOff,
    /// 0 and less is the whole context, for which there is the largest range here.
    ZeroIsAll,
    /// Outside of 0 to 1 it has no effect, which is 1 here; 0 has none either
    /// (KoboldCpp, `gpttype_adapter.cpp`).
    SlopeOrOne,
}

const MAX_RANGE: f32 = 1_000_000.0;

impl Field {
    pub(super) fn key(&self, kind: PresetKind) -> &'static str {
        self.keys[kind as usize]
    }

    pub(super) fn meant(&self, number: f32) -> f32 {
        match self.meaning {
            Meaning::Same => number,
            Meaning::NegativeIsOff => number.max(0.0),
            Meaning::ZeroIsAll if number <= 0.0 => MAX_RANGE,
            Meaning::SlopeOrOne if number <= 0.0 || number > 1.0 => 1.0,
            Meaning::ZeroIsAll | Meaning::SlopeOrOne => number,
        }
    }
}

/// A field whose number is held as it is in `$at`.
macro_rules! field {
    ($keys:expr, $($at:ident).+, $range:expr, $meaning:ident) => {
        Field {
            keys: $keys,
            get: |params| params.$($at).+ as f32,
            set: |params, number| params.$($at).+ = number as _,
            range: $range,
            meaning: Meaning::$meaning,
        }
    };
}

/// All of them.
pub(super) const FIELDS: [Field; 18] = [
    field!(["temp", "temp", "temperature"], temperature, (0.0, 10.0), Same),
    field!(["top_k"; 3], top_k, (0.0, MAX_RANGE), NegativeIsOff),
    field!(["top_p"; 3], top_p, (0.0, 1.0), Same),
    field!(["top_a"; 3], top_a, (0.0, 1.0), Same),
    field!(["min_p"; 3], min_p, (0.0, 1.0), Same),
    field!(["tfs", "tfs", "tail_free_sampling"], tfs, (0.0, 1.0), Same),
    field!(["typical_p", "typical", "typical_p"], typical_p, (0.0, 1.0), Same),
    field!(["rep_pen", "rep_pen", "repetition_penalty"], repetition_penalty, (0.5, 5.0), Same),
    field!(
        ["rep_pen_range", "rep_pen_range", "repetition_penalty_range"],
        repetition_penalty_range,
        (0.0, MAX_RANGE),
        ZeroIsAll
    ),
    field!(
        ["rep_pen_slope", "rep_pen_slope", "repetition_penalty_slope"],
        repetition_penalty_slope,
        (0.0, 10.0),
        SlopeOrOne
    ),
    field!(
        ["freq_pen", "freq_pen", "repetition_penalty_frequency"],
        frequency_penalty,
        (-2.0, 2.0),
        Same
    ),
    field!(
        ["presence_pen", "presence_pen", "repetition_penalty_presence"],
        presence_penalty,
        (-2.0, 2.0),
        Same
    ),
    field!(["dry_multiplier"; 3], dry.multiplier, (0.0, 100.0), Same),
    field!(["dry_base"; 3], dry.base, (1.0, 10.0), Same),
    field!(["dry_allowed_length"; 3], dry.allowed_length, (1.0, 1_000.0), Same),
    field!(["dry_penalty_last_n"; 3], dry.range, (0.0, MAX_RANGE), NegativeIsOff),
    field!(["xtc_threshold"; 3], xtc.threshold, (0.0, 1.0), Same),
    field!(["xtc_probability"; 3], xtc.probability, (0.0, 1.0), Same),
];
