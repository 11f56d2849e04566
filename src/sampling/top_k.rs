//! Top-k sampling.

use super::candidates::Candidates;

/// Keeps the `k` likeliest; of equals at the border, the lower ids. Off at 0.
///
/// Fan et al. 2018, "Hierarchical Neural Story Generation" (arXiv:1805.04833).
pub(super) fn apply(candidates: &mut Candidates, k: usize) {
    if k > 0 && k < candidates.len() {
        candidates.keep_first(k);
    }
}
