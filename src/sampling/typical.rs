//! Locally typical sampling.

use super::candidates::{Candidate, Candidates};

/// How many of the most typical are looked at first.
const FIRST_HEAD: usize = 64;

/// A candidate and how far its surprise is from the entropy.
pub(super) type Shifted = (f64, Candidate);

/// Keeps the fewest tokens, the most typical first, whose probabilities sum to
/// more than `p`; one at least. Off at 1.
///
/// A token is the more typical the nearer its surprise −ln p is to the entropy of
/// the distribution; of equals, the likelier goes first.
///
/// Meister et al. 2022, "Locally Typical Sampling" (arXiv:2202.00666), as in
/// KoboldCpp's `sampler_typical`.
pub(super) fn apply(candidates: &mut Candidates, p: f32, shifted: &mut Vec<Shifted>) {
    if p >= 1.0 || candidates.len() <= 1 {
        return;
    }
    let (softmax, entropy) = candidates.entropy();
    let typical = softmax.logit_of(entropy);
    let shift = |candidate: Candidate| ((f64::from(candidate.logit) - typical).abs(), candidate);
    shifted.clear();
    shifted.extend(candidates.iter().map(shift));

    let (mut cumulative, mut num_kept, mut num_sorted) = (0.0, 0, 0);
    while num_kept < shifted.len() && (num_kept == 0 || cumulative <= f64::from(p)) {
        if num_kept == num_sorted {
            num_sorted = sort_more(shifted, num_sorted);
        }
        cumulative += softmax.probability(shifted[num_kept].1.logit);
        num_kept += 1;
    }
    candidates.replace(shifted[..num_kept].iter().map(|&(_, candidate)| candidate));
}

/// Sorts the most typical of the places from `num_sorted` on, so that there are
/// four times as many; gives how many there are.
fn sort_more(shifted: &mut [Shifted], num_sorted: usize) -> usize {
    let nearer = |a: &Shifted, b: &Shifted| a.0.total_cmp(&b.0).then(a.1.rank(&b.1));
    let wanted = (4 * num_sorted).max(FIRST_HEAD).min(shifted.len());
    let rest = &mut shifted[num_sorted..];
    let num_more = wanted - num_sorted;
    if num_more < rest.len() {
        rest.select_nth_unstable_by(num_more - 1, nearer);
    }
    rest[..num_more].sort_unstable_by(nearer);
    wanted
}
