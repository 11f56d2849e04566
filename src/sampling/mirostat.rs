//! Mirostat 2: holds the surprise of the text near a target.

use super::candidates::Candidates;
use super::params::Mirostat;

/// The bound at the start of a reply.
pub(super) fn initial_mu(params: &Mirostat) -> f64 {
    2.0 * f64::from(params.tau)
}

/// Keeps the tokens whose surprise −log₂ p is at most `mu` (the likeliest at
/// least), draws one by `uniform` in [0, 1), and moves `mu` by
/// −η · (surprise − τ), where that surprise is the drawn token's among those
/// kept. Gives the token; `None` if there is no candidate.
///
/// Basu et al. 2021, "Mirostat" (arXiv:2007.14966), algorithm 2, as in
/// KoboldCpp's `sample_token_mirostat_v2`, which measures the surprise after
/// truncation. `mu` starts at 2τ for every reply.
pub(super) fn draw(
    candidates: &mut Candidates,
    params: &Mirostat,
    mu: &mut f64,
    uniform: f64,
) -> Option<u32> {
    let softmax = candidates.softmax();
    // Surprise is ln(mass) − (logit − highest logit), in nats.
    let bound = softmax.mass.ln() - *mu * std::f64::consts::LN_2;
    if bound > 0.0 {
        candidates.keep_best();
    } else {
        candidates.keep_above(bound);
    }

    let (id, probability) = candidates.draw(uniform)?;
    *mu -= f64::from(params.eta) * (-probability.log2() - f64::from(params.tau));
    Some(id)
}
