//! Runs the stages of one reply in their order, and draws.
//!
//! Randomness is ChaCha8 (`rand_chacha`), seeded from a `u64` by
//! `SeedableRng::seed_from_u64`. Each step takes one `u64` for XTC's coin if XTC is
//! on (and Mirostat off), then one for the draw, whatever the logits are; the top
//! 53 bits, times 2⁻⁵³, are a number u in [0, 1). The drawn token is the first, the
//! likeliest first and of equals the lowest id first, at which the cumulative
//! probability exceeds u. Probabilities are computed in `f64`, by additions and products
//! alone, so the same logits give the same tokens on every platform.

use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::candidates::{self, Candidates};
use super::dry::DryPenalty;
use super::order::SamplerStage;
use super::params::SamplerParams;
use super::repetition_penalty::SeenTokens;
use super::typical::Shifted;
use super::validate::SamplerParamsError;
use super::vocabulary::Vocabulary;
use super::{
    dynatemp, min_p, mirostat, repetition_penalty, temperature, tfs, top_a, top_k, top_p, typical,
    xtc,
};

/// Draws the tokens of one reply.
///
/// A clone goes on as the original would. To go back some tokens, as when a
/// banned string appeared, [`state`](Self::state) and [`restore`](Self::restore)
/// cost next to nothing.
#[derive(Debug, Clone)]
pub struct Sampler {
    params: SamplerParams,
    vocabulary: Arc<Vocabulary>,
    uniform: Uniform,
    mirostat_mu: f64,
    /// Whether it is the likeliest token, whatever came before.
    is_greedy: bool,
    buffers: Buffers,
}

/// What a [`Sampler`] remembers from token to token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SamplerState {
    /// The place in the random stream, in 32-bit words.
    word_pos: u128,
    mirostat_mu: f64,
}

impl Sampler {
    /// A sampler at the start of its random stream.
    ///
    /// # Errors
    /// Parameters that [`SamplerParams::validate`] refuses.
    pub fn new(
        params: &SamplerParams,
        seed: u64,
        vocabulary: &Arc<Vocabulary>,
    ) -> Result<Self, SamplerParamsError> {
        params.validate()?;
        let mut params = params.clone();
        let runs = |stage: &SamplerStage| stage.runs(&params);
        params.order = params.order.iter().copied().filter(runs).collect();
        Ok(Self {
            uniform: Uniform::new(seed),
            is_greedy: is_greedy(&params),
            mirostat_mu: params.mirostat.as_ref().map_or(0.0, mirostat::initial_mu),
            buffers: Buffers::new(&params),
            vocabulary: Arc::clone(vocabulary),
            params,
        })
    }

    /// The next token.
    ///
    /// `logits` is the model's row, one `f32` per token id: −∞ masks a token, and
    /// NaN counts as −∞. `history` is the prompt and the reply so far. If every
    /// token is masked or banned, the lowest id that the parameters do not ban
    /// is given, or 0.
    pub fn sample(&mut self, logits: &[f32], history: &[u32]) -> u32 {
        let coin = if self.has(SamplerStage::Xtc) { self.uniform.next() } else { 0.0 };
        let uniform = self.uniform.next();
        if self.is_greedy
            && let Some(id) = candidates::best(logits)
        {
            return id;
        }
        self.narrow(logits, history, coin);

        let candidates = &mut self.buffers.candidates;
        let drawn = match &self.params.mirostat {
            Some(params) => mirostat::draw(candidates, params, &mut self.mirostat_mu, uniform),
            None => candidates.draw(uniform).map(|(id, _)| id),
        };
        drawn.unwrap_or_else(|| {
            let banned = &self.params.banned_tokens;
            (0..logits.len() as u32).find(|id| !banned.contains(id)).unwrap_or(0)
        })
    }

    /// What to hand to [`restore`](Self::restore) to come back here.
    pub fn state(&self) -> SamplerState {
        SamplerState { word_pos: self.uniform.0.get_word_pos(), mirostat_mu: self.mirostat_mu }
    }

    /// Goes back (or forth) to a state that this sampler, or one with the same
    /// parameters and seed, was in.
    pub fn restore(&mut self, state: SamplerState) {
        self.uniform.0.set_word_pos(state.word_pos);
        self.mirostat_mu = state.mirostat_mu;
    }

    /// Leaves in the buffers the candidates to draw from.
    fn narrow(&mut self, logits: &[f32], history: &[u32], coin: f64) {
        let Buffers { candidates, biases, dry, seen, probabilities, shifted } = &mut self.buffers;
        let params = &self.params;
        candidates.load(logits);
        candidates.edit(biases, |logit, bias| logit + bias);
        candidates.ban(&params.banned_tokens);
        if candidates.is_empty() {
            return;
        }
        for stage in &params.order {
            match stage {
                SamplerStage::Dry => dry.apply(candidates, &params.dry, history, &self.vocabulary),
                SamplerStage::RepetitionPenalty => {
                    repetition_penalty::apply(candidates, params, history, seen);
                }
                SamplerStage::TopK => top_k::apply(candidates, params.top_k),
                SamplerStage::TopA => top_a::apply(candidates, params.top_a),
                SamplerStage::Tfs => tfs::apply(candidates, params.tfs, probabilities),
                SamplerStage::TypicalP => typical::apply(candidates, params.typical_p, shifted),
                SamplerStage::TopP => top_p::apply(candidates, params.top_p),
                SamplerStage::MinP => min_p::apply(candidates, params.min_p),
                SamplerStage::Temperature => match &params.dynatemp {
                    // Beside Mirostat, KoboldCpp uses the plain temperature.
                    Some(dynatemp) if params.mirostat.is_none() => {
                        dynatemp::apply(candidates, dynatemp);
                    }
                    _ => temperature::apply(candidates, params.temperature),
                },
                SamplerStage::Xtc => xtc::apply(candidates, &params.xtc, coin),
            }
        }
    }

    fn has(&self, stage: SamplerStage) -> bool {
        self.params.order.contains(&stage)
    }

    /// What the draw chooses from: ids and probabilities, the likeliest first.
    #[cfg(test)]
    pub(super) fn distribution(
        &mut self,
        logits: &[f32],
        history: &[u32],
        coin: f64,
    ) -> Vec<(u32, f64)> {
        self.narrow(logits, history, coin);
        let candidates = &mut self.buffers.candidates;
        let softmax = candidates.softmax();
        let all = candidates.head(usize::MAX).iter();
        all.map(|candidate| (candidate.id, softmax.probability(candidate.logit))).collect()
    }

    /// What the stages left, with the logits as they left them.
    #[cfg(test)]
    pub(super) fn kept_logits(
        &mut self,
        logits: &[f32],
        history: &[u32],
        coin: f64,
    ) -> Vec<(u32, f32)> {
        self.narrow(logits, history, coin);
        self.buffers.candidates.iter().map(|candidate| (candidate.id, candidate.logit)).collect()
    }

    /// Leaves out every stage but this one.
    #[cfg(test)]
    pub(super) fn run_only(&mut self, stage: SamplerStage) {
        self.params.order.retain(|&other| other == stage);
    }
}

/// Whether nothing but a temperature of 0 is asked for.
fn is_greedy(params: &SamplerParams) -> bool {
    params.order == [SamplerStage::Temperature]
        && params.temperature < temperature::GREEDY_BELOW
        && params.dynatemp.is_none()
        && params.mirostat.is_none()
        && params.logit_bias.is_empty()
        && params.banned_tokens.is_empty()
}

#[cfg(test)]
impl SamplerState {
    pub(super) fn word_pos(self) -> u128 {
        self.word_pos
    }
}

/// The random numbers of one reply, in [0, 1).
#[derive(Debug, Clone)]
pub(super) struct Uniform(ChaCha8Rng);

impl Uniform {
    pub(super) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    pub(super) fn next(&mut self) -> f64 {
        const STEP: f64 = 1.0 / (1u64 << 53) as f64;
        (self.0.next_u64() >> 11) as f64 * STEP
    }
}

/// Room that is kept from token to token, so that sampling does not allocate.
#[derive(Debug)]
struct Buffers {
    candidates: Candidates,
    biases: Vec<(u32, f32)>,
    dry: DryPenalty,
    seen: SeenTokens,
    probabilities: Vec<f64>,
    shifted: Vec<Shifted>,
}

impl Buffers {
    fn new(params: &SamplerParams) -> Self {
        Self {
            candidates: Candidates::default(),
            biases: params.logit_bias.iter().map(|(&id, &bias)| (id, bias)).collect(),
            dry: DryPenalty::new(&params.dry),
            seen: SeenTokens::default(),
            probabilities: Vec::new(),
            shifted: Vec::new(),
        }
    }
}

/// What the buffers hold is of one step: a clone starts with empty ones.
impl Clone for Buffers {
    fn clone(&self) -> Self {
        Self {
            candidates: Candidates::default(),
            biases: self.biases.clone(),
            dry: self.dry.clone(),
            seen: SeenTokens::default(),
            probabilities: Vec::new(),
            shifted: Vec::new(),
        }
    }
}
