//! Repetition, frequency and presence penalty, over one window of the history.

use super::candidates::Candidates;
use super::params::SamplerParams;

/// What the window holds of one token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    count: u32,
    /// Whether it stands in the newer half.
    recent: bool,
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
    seen: &mut Vec<(u32, Seen)>,
) {
    let window = &history[history.len().saturating_sub(params.repetition_penalty_range)..];
    count(window, seen);

    let penalty = params.repetition_penalty;
    let older_penalty = if penalty > 1.0 {
        1.0 + (penalty - 1.0) * params.repetition_penalty_slope
    } else {
        penalty
    };
    candidates.edit(seen, |logit, seen| {
        let penalty = if seen.recent { penalty } else { older_penalty };
        let logit = if logit > 0.0 { logit / penalty } else { logit * penalty };
        logit - params.frequency_penalty * seen.count as f32 - params.presence_penalty
    });
}

/// The distinct tokens of the window in the order of their ids.
fn count(window: &[u32], seen: &mut Vec<(u32, Seen)>) {
    seen.clear();
    seen.extend(window.iter().enumerate().map(|(at, &id)| {
        let recent = 2 * at >= window.len();
        (id, Seen { count: 1, recent })
    }));
    seen.sort_unstable_by_key(|&(id, _)| id);
    seen.dedup_by(|(id, next), (kept_id, kept)| {
        let same = id == kept_id;
        if same {
            kept.count += next.count;
            kept.recent |= next.recent;
        }
        same
    });
}
