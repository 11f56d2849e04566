//! Exclude top choices.

use super::candidates::Candidates;
use super::params::Xtc;

/// Where two or more tokens have at least the probability `threshold`, drops all
/// of them but the least likely, with the chance `probability`: it happens if
/// `coin`, a number in [0, 1), is below that. Off where `probability` is 0 or
/// `threshold` is above 0.5, as two tokens cannot both reach it.
///
/// Weidmann's XTC (text-generation-webui, pull request 6335), as in KoboldCpp's
/// `sample_xtc`.
pub(super) fn apply(candidates: &mut Candidates, params: &Xtc, coin: f64) {
    if coin >= f64::from(params.probability) {
        return;
    }
    let softmax = candidates.softmax();
    let mut num_top = 0;
    while let Some(candidate) = candidates.nth(num_top)
        && softmax.probability(candidate.logit) >= f64::from(params.threshold)
    {
        num_top += 1;
    }
    if num_top > 1 {
        candidates.drop_first(num_top - 1);
    }
}
