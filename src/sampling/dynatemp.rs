//! Dynamic temperature: the surer the model, the lower the temperature.

use super::candidates::Candidates;
use super::params::DynamicTemperature;
use super::temperature;

/// Applies the temperature min + (max − min) · (H / ln n)^exponent, where H is
/// the entropy of the n candidates and ln n the highest it could be. Nothing to
/// do where one candidate is left.
///
/// KoboldCpp's `sample_entropy`; what it calls `dynatemp_range` r around the
/// temperature t is min = max(0, t − r), max = t + r. KoboldCpp counts n after
/// dropping all but its few thousand likeliest tokens; here n is every token
/// that earlier stages left.
pub(super) fn apply(candidates: &mut Candidates, params: &DynamicTemperature) {
    if candidates.len() <= 1 {
        return;
    }
    let (_, entropy) = candidates.entropy();
    let max_entropy = (candidates.len() as f64).ln();
    let share = (entropy / max_entropy).clamp(0.0, 1.0).powf(f64::from(params.exponent));
    let (min, max) = (f64::from(params.min), f64::from(params.max));
    temperature::apply(candidates, (min + (max - min) * share) as f32);
}
