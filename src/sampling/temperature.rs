//! Temperature, and the greedy choice at its lower end.

use super::candidates::Candidates;

/// A temperature below this is greedy: dividing by it would leave one token
/// any weight in practice, and at 0 cannot be done.
pub(super) const GREEDY_BELOW: f32 = 0.01;

/// Divides every logit by `temperature`. Off at 1. Below
/// [`GREEDY_BELOW`] the likeliest candidate is kept alone; of equals, the one
/// with the lowest id.
///
/// The softmax temperature of Ackley, Hinton and Sejnowski 1985; that 0 means
/// greedy is common to KoboldCpp (`sample_temperature`) and llama.cpp.
pub(super) fn apply(candidates: &mut Candidates, temperature: f32) {
    if temperature < GREEDY_BELOW {
        candidates.keep_best();
    } else if temperature != 1.0 {
        candidates.scale(|logit| logit / temperature);
    }
}
