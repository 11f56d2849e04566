//! Which worker a request goes to. Pure: numbers in, a choice out.
//!
//! A scene stays where its prompt is cached, until waiting there costs more than computing
//! it again elsewhere; among equals, the least loaded has it.

/// A worker as a choice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    /// Requests that it has and has not finished.
    pub(super) num_in_flight: usize,
    /// Requests that it runs at once; at least one.
    pub(super) capacity: usize,
    /// Whether it served what the request continues last.
    pub(super) holds_prefix: bool,
    /// How it was with the last requests.
    pub(super) pace: Pace,
}

/// How fast a worker is, learnt from what it did: exponential means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pace {
    /// Prompt tokens computed in a second.
    pub(super) prefill_tokens_per_s: f64,
    /// From a request's start to its end, in milliseconds.
    pub(super) reply_ms: f64,
}

/// How much a new observation weighs against all before it.
const WEIGHT: f64 = 0.2;
/// Prompts shorter than this tell more of overheads than of speed.
const TELLING_TOKENS: usize = 32;

impl Default for Pace {
    /// Before anything is known: a modest GPU.
    fn default() -> Self {
        Self { prefill_tokens_per_s: 1_000.0, reply_ms: 5_000.0 }
    }
}

impl Pace {
    /// Takes in one finished reply.
    pub(super) fn learn(&mut self, num_computed_tokens: usize, prefill_ms: u64, reply_ms: u64) {
        if num_computed_tokens >= TELLING_TOKENS && prefill_ms > 0 {
            let rate = num_computed_tokens as f64 * 1e3 / prefill_ms as f64;
            self.prefill_tokens_per_s += WEIGHT * (rate - self.prefill_tokens_per_s);
        }
        self.reply_ms += WEIGHT * (reply_ms as f64 - self.reply_ms);
    }
}

impl Candidate {
    /// Milliseconds until the first token, as far as can be told.
    fn expected_ms(&self, num_prompt_tokens: usize) -> f64 {
        // Places come free one by one, `capacity` of them in the time of a reply.
        let ahead = (self.num_in_flight + 1).saturating_sub(self.capacity);
        let wait = self.pace.reply_ms * ahead as f64 / self.capacity as f64;
        let computed = if self.holds_prefix { 0 } else { num_prompt_tokens };
        wait + computed as f64 * 1e3 / self.pace.prefill_tokens_per_s
    }

    fn load(&self) -> f64 {
        self.num_in_flight as f64 / self.capacity as f64
    }
}

/// The candidate with the shortest way to a first token, of equals the one with more
/// places free; `None` where there is none.
pub(super) fn choose(candidates: &[Candidate], num_prompt_tokens: usize) -> Option<usize> {
    let cost = |candidate: &Candidate| (candidate.expected_ms(num_prompt_tokens), candidate.load());
    let costs: Vec<_> = candidates.iter().map(cost).collect();
    (0..candidates.len()).min_by(|&a, &b| {
        let (a, b) = (costs[a], costs[b]);
        a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(num_in_flight: usize, holds_prefix: bool) -> Candidate {
        let pace = Pace { prefill_tokens_per_s: 1_000.0, reply_ms: 4_000.0 };
        Candidate { num_in_flight, capacity: 4, holds_prefix, pace }
    }

    #[test]
    fn nobody_is_chosen_from_nobody() {
        assert_eq!(choose(&[], 100), None);
    }

    #[test]
    fn without_a_prefix_the_least_loaded_is_chosen() {
        let candidates = [candidate(3, false), candidate(1, false), candidate(2, false)];
        assert_eq!(choose(&candidates, 500), Some(1));
    }

    #[test]
    fn a_scene_stays_where_its_prefix_is_while_there_is_a_place() {
        assert_eq!(choose(&[candidate(0, false), candidate(3, true)], 500), Some(1));
    }

    #[test]
    fn it_is_moved_when_waiting_costs_more_than_computing() {
        // One in four places is free after 1 s; 500 tokens are computed in half of that.
        let candidates = [candidate(0, false), candidate(4, true)];
        assert_eq!(choose(&candidates, 500), Some(0));
        assert_eq!(choose(&candidates, 2_000), Some(1), "computing would take 2 s");
    }

    #[test]
    fn a_faster_worker_is_preferred_for_what_none_has() {
        let mut fast = candidate(2, false);
        fast.pace.prefill_tokens_per_s = 5_000.0;
        assert_eq!(choose(&[candidate(0, false), fast], 500), Some(1));
    }

    #[test]
    fn a_pace_follows_what_is_seen_and_ignores_short_prompts() {
        let mut pace = Pace::default();
        for _ in 0..60 {
            pace.learn(2_000, 500, 1_000);
            pace.learn(4, 400, 1_000);
        }
        assert!((pace.prefill_tokens_per_s - 4_000.0).abs() < 10.0, "{pace:?}");
        assert!((pace.reply_ms - 1_000.0).abs() < 10.0, "{pace:?}");
    }
}
