//! How many prompt tokens go into a step, so that no step takes long.
//!
//! A step cannot be interrupted: it bounds how long others wait for their next token,
//! and how soon an abort is heard. What a prompt token costs is learnt from the steps
//! themselves.

use std::time::Duration;

/// Fewer prompt tokens than this make a step cost as much for less: the weights are
/// read all the same.
const MIN_TOKENS: usize = 32;
/// Steps with fewer prompt tokens say little of what one costs.
const TELLING_TOKENS: usize = 16;
/// The first step has nothing to go by, and may be a slow model's.
const FIRST_TOKENS: usize = 64;
/// How much the newest step counts.
const WEIGHT: f64 = 0.3;

/// Learns what prompt tokens cost.
#[derive(Debug)]
pub(super) struct Pacer {
    max_step: Option<Duration>,
    seconds_per_token: Option<f64>,
}

impl Pacer {
    /// Steps of at most about `max_step`; `None` sets no bound.
    pub(super) fn new(max_step: Option<Duration>) -> Self {
        Self { max_step, seconds_per_token: None }
    }

    /// The most prompt tokens for the next step.
    pub(super) fn prompt_tokens(&self) -> usize {
        let Some(max_step) = self.max_step else { return usize::MAX };
        let Some(seconds) = self.seconds_per_token else { return FIRST_TOKENS };
        ((max_step.as_secs_f64() / seconds) as usize).max(MIN_TOKENS)
    }

    /// Notes a step; its decodes are counted as if they cost nothing, so that the bound
    /// holds with them.
    pub(super) fn observe(&mut self, num_prompt_tokens: usize, took: Duration) {
        if num_prompt_tokens < TELLING_TOKENS {
            return;
        }
        let new = took.as_secs_f64() / num_prompt_tokens as f64;
        let old = self.seconds_per_token.unwrap_or(new);
        self.seconds_per_token = Some(old + WEIGHT * (new - old));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_shrink_to_the_bound_and_grow_back() {
        let mut pacer = Pacer::new(Some(Duration::from_millis(200)));
        assert_eq!(pacer.prompt_tokens(), FIRST_TOKENS, "nothing is known yet");
        pacer.observe(512, Duration::from_millis(512));
        assert_eq!(pacer.prompt_tokens(), 200);
        (0..30).for_each(|_| pacer.observe(200, Duration::from_millis(400)));
        assert!((95..=101).contains(&pacer.prompt_tokens()));
        (0..30).for_each(|_| pacer.observe(100, Duration::from_millis(50)));
        assert!((395..=401).contains(&pacer.prompt_tokens()));
    }

    #[test]
    fn a_slow_model_still_moves() {
        let mut pacer = Pacer::new(Some(Duration::from_millis(200)));
        pacer.observe(64, Duration::from_secs(10));
        assert_eq!(pacer.prompt_tokens(), MIN_TOKENS);
    }

    #[test]
    fn decodes_alone_teach_nothing_and_no_bound_is_none() {
        let mut pacer = Pacer::new(Some(Duration::from_millis(1)));
        pacer.observe(8, Duration::from_secs(1));
        assert_eq!(pacer.prompt_tokens(), FIRST_TOKENS);
        let mut pacer = Pacer::new(None);
        pacer.observe(512, Duration::from_secs(9));
        assert_eq!(pacer.prompt_tokens(), usize::MAX);
    }
}
