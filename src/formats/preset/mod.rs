//! Sampling presets of other software: SillyTavern's for text completion servers, for
//! KoboldAI and for NovelAI.
//!
//! A [`PresetFile`] is the document and stays it: what is changed is set, everything
//! else keeps its spelling. What a preset asks for and we do not have is named.

mod bans;
mod fields;
mod lacking;
mod order;
#[cfg(test)]
mod tests;

use std::fmt;

use self::fields::FIELDS;
use super::fields::Object;
use super::{FormatError, Limits};
use crate::sampling::{DynamicTemperature, Mirostat, SamplerParams};

/// Whose preset a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PresetKind {
    /// SillyTavern's for text completion (text-generation-webui, KoboldCpp and others).
    TextCompletion,
    /// SillyTavern's for KoboldAI.
    Kobold,
    /// SillyTavern's for NovelAI.
    Novel,
}

impl PresetKind {
    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::TextCompletion => "text completion preset",
            Self::Kobold => "KoboldAI preset",
            Self::Novel => "NovelAI preset",
        }
    }
}

/// Something that a preset asks for and that does not take effect as it stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacking {
    /// The key in the file.
    pub key: String,
    /// What it holds, as it is spelled; cut where it is long.
    pub value: String,
    /// Why, and what happens instead.
    pub why: &'static str,
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}: {}", self.key, self.value, self.why)
    }
}

/// A preset of other software.
#[derive(Debug, Clone, PartialEq)]
pub struct PresetFile {
    kind: PresetKind,
    root: Object,
}

/// What a preset comes to here.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadPreset {
    /// Always valid.
    pub params: SamplerParams,
    /// What of the preset is not in them.
    pub lacking: Vec<Lacking>,
}

impl PresetFile {
    /// Reads a preset of any kind from JSON.
    ///
    /// # Errors
    /// `TooBig` beyond the limits, `Json` and `Type` where it is no JSON object, `Unknown`
    /// where the object is no preset of these.
    pub fn read_json(text: &str, limits: &Limits) -> Result<Self, FormatError> {
        let root = Object::read(text, limits)?;
        let kind = if root.has("tail_free_sampling") || root.has("repetition_penalty_range") {
            PresetKind::Novel
        } else if ["temp", "rep_pen", "top_p", "min_p"].iter().any(|key| root.has(key)) {
            // Only KoboldAI's short presets spell it like that.
            let is_kobold = root.has("typical") || root.has("mirostat");
            if is_kobold { PresetKind::Kobold } else { PresetKind::TextCompletion }
        } else {
            let what = "the object has none of `temp`, `rep_pen`, `top_p`, `min_p` and \
                        `tail_free_sampling`; export the preset as JSON";
            return Err(FormatError::Unknown { wanted: "sampling preset", what: what.to_owned() });
        };
        Ok(Self { kind, root })
    }

    /// A text completion preset with these parameters.
    pub fn from_params(params: &SamplerParams) -> Self {
        let mut file = Self { kind: PresetKind::TextCompletion, root: Object::new("") };
        for field in &FIELDS {
            file.root.set(field.key(file.kind), &(field.get)(params));
        }
        file.with_params(params)
    }

    /// Whose it is.
    pub fn kind(&self) -> PresetKind {
        self.kind
    }

    /// The document.
    pub fn root(&self) -> &Object {
        &self.root
    }

    /// The document as JSON: whatever was not changed is spelled as it was.
    pub fn to_json(&self) -> String {
        self.root.to_json()
    }

    /// The parameters, and what of the preset is not in them.
    ///
    /// # Errors
    /// `Type` where a known key holds a value that cannot be meant.
    pub fn to_params(&self) -> Result<ReadPreset, FormatError> {
        let mut params = SamplerParams::default();
        let mut lacking = lacking::without_effect(&self.root, self.kind);
        for field in &FIELDS {
            let key = field.key(self.kind);
            let Some(number) = self.root.number(key)? else { continue };
            let meant = field.meant(number as f32);
            let (min, max) = field.range;
            if !(min..=max).contains(&meant) {
                lacking.push(self.lack(key, "out of range here; the nearest is taken"));
            }
            (field.set)(&mut params, meant.clamp(min, max));
        }
        params.dynatemp = self.dynatemp(&mut lacking)?;
        params.mirostat = self.mirostat(&mut lacking)?;
        self.read_breakers(&mut params, &mut lacking)?;
        self.read_bans(&mut params, &mut lacking)?;
        params.order = self.read_order(&mut lacking)?;
        if self.root.flag("do_sample")? == Some(false) {
            params.temperature = 0.0;
            params.dynatemp = None;
        }
        Ok(ReadPreset { params, lacking })
    }

    /// The document with these parameters: what reads differently is set, everything
    /// else stays as it was spelled.
    pub fn with_params(&self, params: &SamplerParams) -> Self {
        let mut file = self.clone();
        let old = self.to_params().map(|read| read.params).unwrap_or_default();
        for field in &FIELDS {
            if (field.get)(&old) != (field.get)(params) {
                file.root.set(field.key(self.kind), &(field.get)(params));
            }
        }
        if old.temperature != params.temperature && self.root.has("do_sample") {
            file.root.set("do_sample", &true);
        }
        if old.dynatemp != params.dynatemp {
            file.write_dynatemp(params.dynatemp);
        }
        if old.mirostat != params.mirostat {
            file.write_mirostat(params.mirostat);
        }
        if old.dry.breakers != params.dry.breakers {
            let list = serde_json::to_string(&params.dry.breakers).expect("texts are writable");
            file.root.set("dry_sequence_breakers", &list);
        }
        file.write_bans(&old, params);
        if old.order != params.order {
            file.write_order(&params.order);
        }
        file
    }

    fn lack(&self, key: &str, why: &'static str) -> Lacking {
        let value = self.root.raw(key).map_or("", |value| value.get());
        Lacking { key: key.to_owned(), value: value.chars().take(120).collect(), why }
    }

    fn dynatemp(
        &self,
        lacking: &mut Vec<Lacking>,
    ) -> Result<Option<DynamicTemperature>, FormatError> {
        if self.root.flag("dynatemp")? != Some(true) {
            return Ok(None);
        }
        let number = |key, default| Ok(self.root.number(key)?.map_or(default, |n| n as f32));
        let (min, max) = (number("min_temp", 0.0)?, number("max_temp", 2.0)?);
        let exponent = number("dynatemp_exponent", 1.0)?;
        let kept = DynamicTemperature {
            min: min.clamp(0.0, 10.0),
            max: max.clamp(min.clamp(0.0, 10.0), 10.0),
            exponent: exponent.clamp(0.0, 10.0),
        };
        if kept != (DynamicTemperature { min, max, exponent }) {
            lacking.push(self.lack("max_temp", "out of range here; the nearest is taken"));
        }
        Ok(Some(kept))
    }

    fn write_dynatemp(&mut self, dynatemp: Option<DynamicTemperature>) {
        self.root.set("dynatemp", &dynatemp.is_some());
        if let Some(DynamicTemperature { min, max, exponent }) = dynatemp {
            self.root.set("min_temp", &min);
            self.root.set("max_temp", &max);
            self.root.set("dynatemp_exponent", &exponent);
        }
    }

    fn mirostat_key(&self) -> &'static str {
        if self.kind == PresetKind::Kobold { "mirostat" } else { "mirostat_mode" }
    }

    fn mirostat(&self, lacking: &mut Vec<Lacking>) -> Result<Option<Mirostat>, FormatError> {
        let key = self.mirostat_key();
        let number = |key, default| Ok(self.root.number(key)?.map_or(default, |n| n as f32));
        let mode = self.root.integer(key)?.unwrap_or(0);
        if mode <= 0 {
            return Ok(None);
        }
        if mode != 2 {
            lacking.push(self.lack(key, "only version 2 is there; it is taken"));
        }
        let (tau, eta) = (number("mirostat_tau", 5.0)?, number("mirostat_eta", 0.1)?);
        let kept = Mirostat { tau: tau.clamp(0.0, 20.0), eta: eta.clamp(0.0, 1.0) };
        if kept != (Mirostat { tau, eta }) {
            lacking.push(self.lack("mirostat_tau", "out of range here; the nearest is taken"));
        }
        Ok(Some(kept))
    }

    fn write_mirostat(&mut self, mirostat: Option<Mirostat>) {
        let key = self.mirostat_key();
        self.root.set(key, &if mirostat.is_some() { 2 } else { 0 });
        if let Some(Mirostat { tau, eta }) = mirostat {
            self.root.set("mirostat_tau", &tau);
            self.root.set("mirostat_eta", &eta);
        }
    }
}
