//! Tail-free sampling.

use super::candidates::Candidates;

/// How much of the list is sorted and looked at first.
const FIRST_HEAD: usize = 256;

/// Below this sum the second differences are rounding noise, and are taken to
/// be all equal.
const FLAT: f64 = 1e-6;

/// Cuts the list where the curve of sorted probabilities stops bending. Off at
/// `z` ≥ 1, and where no more than two candidates are left.
///
/// With p in descending order, d1ᵢ = pᵢ − pᵢ₊₁ and d2ᵢ = |d1ᵢ − d1ᵢ₊₁|, divided by
/// their sum (all equal if the sum is at most 1e-6): at the first i ≥ 1 at which
/// d2₀ + … + d2ᵢ > z, the tokens 0 … i−1 are kept.
///
/// Phénix and Egan, "Tail Free Sampling" (trentbrick.github.io/Tail-Free-Sampling),
/// in the definition of KoboldCpp's `sample_tail_free`; text-generation-webui's
/// keeps one token more.
pub(super) fn apply(candidates: &mut Candidates, z: f32, probabilities: &mut Vec<f64>) {
    let num_candidates = candidates.len();
    if z >= 1.0 || num_candidates <= 2 {
        return;
    }
    let softmax = candidates.softmax();
    let mut num_head = FIRST_HEAD;
    let cut = loop {
        let head = candidates.head(num_head);
        probabilities.clear();
        probabilities.extend(head.iter().map(|candidate| softmax.probability(candidate.logit)));
        let low = bends(probabilities).sum();
        if head.len() == num_candidates {
            break cut(probabilities, z, num_candidates, low);
        }
        // What the rest adds to the sum of d2 is at most the sum of its d1
        // twice over, and those telescope. If that cannot move the cut, the
        // rest need not be sorted.
        let high = low + 2.0 * probabilities[head.len() - 2];
        if low > FLAT || high <= FLAT {
            let at_most = cut(probabilities, z, num_candidates, high);
            if at_most.is_some() && cut(probabilities, z, num_candidates, low) == at_most {
                break at_most;
            }
        }
        num_head = 4 * head.len();
    };
    if let Some(cut) = cut {
        candidates.keep_first(cut);
    }
}

/// d2 of the places of a head in descending order.
fn bends(probabilities: &[f64]) -> impl Iterator<Item = f64> {
    probabilities.windows(3).map(|three| ((three[0] - three[1]) - (three[1] - three[2])).abs())
}

/// How many tokens of `num_candidates` to keep if d2 sums to `total`; `None` if the cut does
/// not come within the head, or not at all.
fn cut(probabilities: &[f64], z: f32, num_candidates: usize, total: f64) -> Option<usize> {
    let even = 1.0 / (num_candidates - 2) as f64;
    let mut cumulative = 0.0;
    for (place, bend) in bends(probabilities).enumerate() {
        cumulative += if total > FLAT { bend / total } else { even };
        if cumulative > f64::from(z) && place >= 1 {
            return Some(place);
        }
    }
    None
}
