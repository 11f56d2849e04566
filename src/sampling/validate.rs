//! The permitted range of every sampling parameter.
//!
//! The ranges are wide: they refuse what cannot be meant, not what is unusual.

use std::fmt;
use std::ops::RangeInclusive;

use super::order::SamplerStage;
use super::params::SamplerParams;

/// What is wrong with sampling parameters, in words for whoever wrote them.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SamplerParamsError {
    /// A number outside its range.
    #[error("sampling: `{field}` is {value}; it must be between {min} and {max}")]
    OutOfRange {
        /// The field, with dots for nested ones.
        field: String,
        /// What it holds.
        value: String,
        /// The lowest permitted value.
        min: String,
        /// The highest permitted value.
        max: String,
    },
    /// A stage that stands twice in `order`.
    #[error("sampling: `order` names `{stage}` twice; each stage runs once at most")]
    RepeatedStage {
        /// The stage.
        stage: SamplerStage,
    },
    /// A setting that could never take effect.
    #[error(
        "sampling: `{stage}` is set but `order` leaves it out; add it to `order`, or switch it off"
    )]
    MissingStage {
        /// The stage.
        stage: SamplerStage,
    },
    /// A number in KoboldCpp's `sampler_order` that it does not know either.
    #[error("sampling: `sampler_order` holds {id}; KoboldCpp's stages are numbered 0 to 6")]
    UnknownKoboldId {
        /// The number.
        id: u32,
    },
}

impl SamplerParams {
    /// The most DRY breakers, and the most banned strings, that are permitted.
    pub const MAX_STRINGS: usize = 256;
    /// The longest DRY breaker and banned string, in bytes.
    pub const MAX_STRING_BYTES: usize = 200;

    /// Checks every field.
    ///
    /// # Errors
    /// The first field that is out of its range, with its value and the range;
    /// a stage that `order` names twice, or leaves out although it is set.
    pub fn validate(&self) -> Result<(), SamplerParamsError> {
        within("temperature", self.temperature, 0.0..=10.0)?;
        within("top_k", self.top_k, 0..=1_000_000)?;
        within("top_p", self.top_p, 0.0..=1.0)?;
        within("top_a", self.top_a, 0.0..=1.0)?;
        within("min_p", self.min_p, 0.0..=1.0)?;
        within("tfs", self.tfs, 0.0..=1.0)?;
        within("typical_p", self.typical_p, 0.0..=1.0)?;
        within("repetition_penalty", self.repetition_penalty, 0.5..=5.0)?;
        within("repetition_penalty_range", self.repetition_penalty_range, 0..=1_000_000)?;
        within("repetition_penalty_slope", self.repetition_penalty_slope, 0.0..=10.0)?;
        within("frequency_penalty", self.frequency_penalty, -2.0..=2.0)?;
        within("presence_penalty", self.presence_penalty, -2.0..=2.0)?;
        within("xtc.threshold", self.xtc.threshold, 0.0..=1.0)?;
        within("xtc.probability", self.xtc.probability, 0.0..=1.0)?;
        if let Some(dynatemp) = &self.dynatemp {
            within("dynatemp.min", dynatemp.min, 0.0..=10.0)?;
            within("dynatemp.max", dynatemp.max, dynatemp.min..=10.0)?;
            within("dynatemp.exponent", dynatemp.exponent, 0.0..=10.0)?;
        }
        if let Some(mirostat) = &self.mirostat {
            within("mirostat.tau", mirostat.tau, 0.0..=20.0)?;
            within("mirostat.eta", mirostat.eta, 0.0..=1.0)?;
        }
        for (id, &bias) in &self.logit_bias {
            within(&format!("logit_bias.{id}"), bias, -100.0..=100.0)?;
        }
        self.validate_dry()?;
        strings("banned_strings", &self.banned_strings)?;
        self.validate_order()
    }

    fn validate_dry(&self) -> Result<(), SamplerParamsError> {
        within("dry.multiplier", self.dry.multiplier, 0.0..=100.0)?;
        within("dry.base", self.dry.base, 1.0..=10.0)?;
        within("dry.allowed_length", self.dry.allowed_length, 1..=1_000)?;
        within("dry.range", self.dry.range, 0..=1_000_000)?;
        strings("dry.breakers", &self.dry.breakers)
    }

    fn validate_order(&self) -> Result<(), SamplerParamsError> {
        for (at, &stage) in self.order.iter().enumerate() {
            if self.order[..at].contains(&stage) {
                return Err(SamplerParamsError::RepeatedStage { stage });
            }
        }
        for stage in SamplerStage::DEFAULT_ORDER {
            if stage.is_on(self) && !self.order.contains(&stage) {
                return Err(SamplerParamsError::MissingStage { stage });
            }
        }
        Ok(())
    }
}

/// NaN is outside every range.
fn within<T: PartialOrd + fmt::Display>(
    field: &str,
    value: T,
    permitted: RangeInclusive<T>,
) -> Result<(), SamplerParamsError> {
    if permitted.contains(&value) {
        return Ok(());
    }
    Err(SamplerParamsError::OutOfRange {
        field: field.to_owned(),
        value: value.to_string(),
        min: permitted.start().to_string(),
        max: permitted.end().to_string(),
    })
}

fn strings(field: &str, strings: &[String]) -> Result<(), SamplerParamsError> {
    within(&format!("number of {field}"), strings.len(), 0..=SamplerParams::MAX_STRINGS)?;
    for (at, string) in strings.iter().enumerate() {
        let bytes = 1..=SamplerParams::MAX_STRING_BYTES;
        within(&format!("bytes in {field}[{at}]"), string.len(), bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::{Dry, DynamicTemperature};

    #[test]
    fn an_error_names_the_field_the_value_and_the_range() {
        let params = SamplerParams { top_p: 1.5, ..SamplerParams::default() };
        assert_eq!(
            params.validate().unwrap_err().to_string(),
            "sampling: `top_p` is 1.5; it must be between 0 and 1"
        );
        let dynatemp = Some(DynamicTemperature { min: 1.2, max: 0.8, exponent: 1.0 });
        let params = SamplerParams { dynatemp, ..SamplerParams::default() };
        assert_eq!(
            params.validate().unwrap_err().to_string(),
            "sampling: `dynatemp.max` is 0.8; it must be between 1.2 and 10"
        );
        let dry = Dry { breakers: vec!["\n".into(), String::new()], ..Dry::default() };
        let params = SamplerParams { dry, ..SamplerParams::default() };
        assert_eq!(
            params.validate().unwrap_err().to_string(),
            "sampling: `bytes in dry.breakers[1]` is 0; it must be between 1 and 200"
        );
    }

    #[test]
    fn nan_is_refused() {
        let params = SamplerParams { temperature: f32::NAN, ..SamplerParams::default() };
        assert!(params.validate().is_err());
        let mut params = SamplerParams::default();
        params.logit_bias.insert(7, f32::NAN);
        assert!(params.validate().unwrap_err().to_string().contains("`logit_bias.7` is NaN"));
    }

    #[test]
    fn a_stage_stands_in_the_order_once_and_only_if_off_not_at_all() {
        let mut params = SamplerParams { min_p: 0.1, ..SamplerParams::default() };
        params.order.retain(|&stage| stage != SamplerStage::MinP);
        let missing = SamplerParamsError::MissingStage { stage: SamplerStage::MinP };
        assert_eq!(params.validate(), Err(missing));
        params.min_p = 0.0;
        assert_eq!(params.validate(), Ok(()));
        params.order.push(SamplerStage::TopK);
        let repeated = SamplerParamsError::RepeatedStage { stage: SamplerStage::TopK };
        assert_eq!(params.validate(), Err(repeated));
    }

    #[test]
    fn koboldcpp_ids_become_stages() {
        assert_eq!(
            SamplerStage::order_from_koboldcpp(&[6, 0, 1, 3, 4, 2, 5]),
            Ok(SamplerStage::DEFAULT_ORDER.to_vec())
        );
        assert_eq!(
            SamplerStage::order_from_koboldcpp(&[5, 2]),
            Ok(vec![
                SamplerStage::Dry,
                SamplerStage::Temperature,
                SamplerStage::TopP,
                SamplerStage::MinP,
                SamplerStage::Xtc
            ])
        );
        let unknown = Err(SamplerParamsError::UnknownKoboldId { id: 7 });
        assert_eq!(SamplerStage::order_from_koboldcpp(&[7]), unknown);
        assert!(SamplerStage::order_from_koboldcpp(&[2, 2]).is_err());
    }
}
