//! What a round's replies say in figures.

use serde::Serialize;

use super::super::samples::Samples;
use super::round::{Reply, Round};

/// Which round it was, as far as the caches are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// No channel was here before.
    Cold,
    /// Each channel comes back.
    Returning,
    /// Each channel comes back, and the service was started again.
    AfterRestart,
}

impl Kind {
    /// In words.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Returning => "returning",
            Self::AfterRestart => "after restart",
        }
    }
}

/// The figures of one round.
#[derive(Debug, Serialize)]
pub(super) struct RoundFigures {
    pub(super) round: usize,
    pub(super) kind: Kind,
    /// The person's turn to the first words, in milliseconds.
    pub(super) time_to_first_token_ms: Times,
    /// Tokens of all replies over the time of the whole round.
    pub(super) tokens_per_s: f64,
    /// Prompt tokens that were found in the cache, of all.
    pub(super) cached_share: f64,
    /// Tokens of all prompts together.
    pub(super) prompt_tokens: usize,
    /// Tokens of all replies together.
    pub(super) reply_tokens: usize,
    /// From the first turn to the last reply's end, in seconds.
    pub(super) took_s: f64,
}

/// Times of a round's replies.
#[derive(Debug, Serialize)]
pub(super) struct Times {
    pub(super) median: f64,
    pub(super) worst: f64,
    pub(super) samples: Samples,
}

/// What the service takes beside the engine, over all rounds.
#[derive(Debug, Serialize)]
pub(super) struct Overhead {
    /// Tokens of a reply over its whole time, from the person's turn to its end as the
    /// front end sees it; the median.
    pub(super) shown_tokens_per_s: f64,
    /// The same by the engine's own accounts: queue, prompt and writing.
    pub(super) engine_tokens_per_s: f64,
    /// The share of the engine's speed that does not reach the front end.
    pub(super) lost_share: f64,
    /// The engine's while it writes, without the prompt; `None` if replies are too short
    /// to tell.
    pub(super) decode_tokens_per_s: Option<f64>,
    /// What each reply took that the engine does not account for, in milliseconds.
    pub(super) service_ms: Times,
}

impl Times {
    fn new(samples: Vec<f64>) -> Self {
        let samples = Samples::new(samples).expect("a round has replies");
        Self { median: samples.median(), worst: samples.max(), samples }
    }
}

impl RoundFigures {
    pub(super) fn new(round: usize, kind: Kind, of: &Round) -> Self {
        let replies = &of.replies;
        let sum = |count: fn(&Reply) -> usize| replies.iter().map(count).sum::<usize>();
        let prompt_tokens = sum(|reply| reply.timings.num_prompt_tokens);
        let reply_tokens = sum(|reply| reply.timings.num_generated_tokens);
        let cached_tokens = sum(|reply| reply.timings.num_cached_tokens);
        let took_s = of.took.as_secs_f64();
        let first = replies.iter().map(|reply| reply.first.as_secs_f64() * 1e3).collect();
        Self {
            round,
            kind,
            time_to_first_token_ms: Times::new(first),
            tokens_per_s: reply_tokens as f64 / took_s,
            cached_share: cached_tokens as f64 / prompt_tokens.max(1) as f64,
            prompt_tokens,
            reply_tokens,
            took_s,
        }
    }
}

impl Overhead {
    pub(super) fn of(rounds: &[Round]) -> Self {
        let replies = || rounds.iter().flat_map(|round| &round.replies);
        let median = |of: fn(&Reply) -> f64| Times::new(replies().map(of).collect()).median;
        let shown = median(|reply| rate(reply, whole_ms(reply)));
        let engine = median(|reply| rate(reply, engine_ms(reply)));
        let decode = replies().filter_map(|reply| reply.timings.decode_tokens_per_s());
        Self {
            shown_tokens_per_s: shown,
            engine_tokens_per_s: engine,
            lost_share: 1.0 - shown / engine,
            decode_tokens_per_s: Samples::new(decode.collect()).map(|rates| rates.median()),
            service_ms: Times::new(
                replies().map(|reply| whole_ms(reply) - engine_ms(reply)).collect(),
            ),
        }
    }
}

fn whole_ms(reply: &Reply) -> f64 {
    reply.whole.as_secs_f64() * 1e3
}

/// Its accounts are in whole milliseconds, and may be none.
fn engine_ms(reply: &Reply) -> f64 {
    let timings = &reply.timings;
    (timings.queue_ms + timings.prefill_ms + timings.decode_ms).max(1) as f64
}

fn rate(reply: &Reply, ms: f64) -> f64 {
    reply.timings.num_generated_tokens as f64 / ms * 1e3
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::chat::Timings;

    fn reply(first: u64, whole: u64) -> Reply {
        let timings = Timings {
            queue_ms: 5,
            prefill_ms: first - 15,
            decode_ms: 300,
            num_prompt_tokens: 200,
            num_cached_tokens: 50,
            num_generated_tokens: 31,
            ..Timings::default()
        };
        let (first, whole) = (Duration::from_millis(first), Duration::from_millis(whole));
        Reply { first, whole, timings }
    }

    #[test]
    fn a_round_is_its_replies() {
        let replies = vec![reply(100, 420), reply(300, 650)];
        let round = Round { replies, took: Duration::from_secs(2) };
        let figures = RoundFigures::new(1, Kind::Cold, &round);
        assert_eq!(figures.time_to_first_token_ms.median.round(), 200.0);
        assert_eq!(figures.time_to_first_token_ms.worst.round(), 300.0);
        assert_eq!(figures.tokens_per_s, 31.0);
        assert_eq!((figures.cached_share, figures.prompt_tokens), (0.25, 400));
        let overhead = Overhead::of(&[round]);
        assert_eq!(overhead.decode_tokens_per_s, Some(100.0));
        assert!(overhead.shown_tokens_per_s < overhead.engine_tokens_per_s);
        assert!((0.0..1.0).contains(&overhead.lost_share));
        assert_eq!(overhead.service_ms.median.round(), 45.0);
    }
}
