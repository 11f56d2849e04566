//! Min-p sampling.

use super::candidates::Candidates;

/// Drops tokens whose probability is below `min_p` × the highest. Off at 0.
///
/// Nguyen et al. 2024, "Turning Up the Heat: Min-p Sampling" (arXiv:2407.01082),
/// as in KoboldCpp's `sample_min_p`.
pub(super) fn apply(candidates: &mut Candidates, min_p: f32) {
    if min_p > 0.0 {
        candidates.keep_above(f64::from(min_p).ln());
    }
}
