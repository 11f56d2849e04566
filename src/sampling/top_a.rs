//! Top-a sampling.

use super::candidates::Candidates;

/// Drops tokens whose probability is below `a` × (highest probability)². Off
/// at 0.
///
/// BlinkDL's RWKV-LM, as in KoboldCpp's `sample_top_a`.
pub(super) fn apply(candidates: &mut Candidates, a: f32) {
    if a > 0.0 {
        // The highest probability is 1/mass: p ≥ a/mass² where weight ≥ a/mass.
        let bound = f64::from(a) / candidates.softmax().mass;
        candidates.keep_above(bound.ln());
    }
}
