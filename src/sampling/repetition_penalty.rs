//! Repetition, frequency and presence penalty, over one window of the history.

use super::candidates::Candidates;
use super::params::SamplerParams;

/// What the window holds of one token.
#[derive(Debug, Clone, Copy)]
struct Seen {
    count: u32,
    /// Whether it stands in the newer half.
    recent: bool,
}

/// The distinct tokens of a window.
#[derive(Debug, Default)]
pub(super) struct SeenTokens {
    tokens: Vec<(u32, Seen)>,
    /// By id: one more than its place in `tokens`, or 0. All 0 between steps.
    places: Vec<u32>,
}

/// Penalises the tokens of the last `repetition_penalty_range` places of
/// `history`, the prompt included, each once:
///
/// 1. repetition: a logit above 0 is divided by the penalty, another multiplied.
///    With a slope, a token that stands only in the older half of the window has
///    the penalty 1 + (penalty − 1) · slope; a penalty of 1 or less has no slope.
///    Off at 1.
/// 2. frequency: minus the penalty times the count in the window. Off at 0.
/// 3. presence: minus the penalty. Off at 0.
///
/// 1 is Keskar et al. 2019, "CTRL" (arXiv:1909.05858), with the window, the sign
/// rule and the slope of KoboldCpp's `sample_rep_pen` (the original KoboldAI
/// bends the penalty along the whole window instead); 3 is that function's too.
/// 2 is OpenAI's, counted over the same window as in llama.cpp's
/// `llama_sampler_penalties_apply`.
pub(super) fn apply(
    candidates: &mut Candidates,
    params: &SamplerParams,
    history: &[u32],
    seen: &mut SeenTokens,
) {
    let window = &history[history.len().saturating_sub(params.repetition_penalty_range)..];
    seen.count(window, candidates.num_ids());

    let penalty = params.repetition_penalty;
    let older_penalty = if penalty > 1.0 {
        1.0 + (penalty - 1.0) * params.repetition_penalty_slope
    } else {
        penalty
    };
    candidates.edit(&mut seen.tokens, |logit, seen| {
        let penalty = if seen.recent { penalty } else { older_penalty };
        let logit = if logit > 0.0 { logit / penalty } else { logit * penalty };
        logit - params.frequency_penalty * seen.count as f32 - params.presence_penalty
    });
}

impl SeenTokens {
    /// Takes a window's, but for ids that a row of `num_ids` has not.
    fn count(&mut self, window: &[u32], num_ids: usize) {
        self.tokens.clear();
        self.places.resize(num_ids, 0);
        for (back, &id) in window.iter().rev().enumerate() {
            let Some(place) = self.places.get_mut(id as usize) else { continue };
            match *place {
                0 => {
                    // The last of its places is the newest.
                    let recent = 2 * (window.len() - 1 - back) >= window.len();
                    self.tokens.push((id, Seen { count: 1, recent }));
                    *place = self.tokens.len() as u32;
                }
                seen => self.tokens[seen as usize - 1].1.count += 1,
            }
        }
        for &(id, _) in &self.tokens {
            self.places[id as usize] = 0;
        }
    }
}
