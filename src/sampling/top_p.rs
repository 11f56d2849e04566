//! Nucleus sampling.

use super::candidates::Candidates;

/// Keeps the fewest likeliest tokens whose probabilities sum to `p` or more, one
/// at least. Off at 1.
///
/// Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration"
/// (arXiv:1904.09751), as in KoboldCpp's `sample_top_p`.
pub(super) fn apply(candidates: &mut Candidates, p: f32) {
    if p >= 1.0 {
        return;
    }
    let softmax = candidates.softmax();
    let target = f64::from(p) * softmax.mass;
    let (mut cumulative, mut place) = (0.0, 0);
    while let Some(candidate) = candidates.nth(place) {
        cumulative += softmax.weight(candidate.logit);
        place += 1;
        if cumulative >= target {
            return candidates.keep_first(place);
        }
    }
}
