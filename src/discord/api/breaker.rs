//! Stops asking before Discord shuts us out.
//!
//! Discord bars an address that collects 10,000 answers with status 401, 403 or 429
//! within ten minutes (<https://discord.com/developers/docs/topics/rate-limits>).

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// How long an answer counts.
const WINDOW: Duration = Duration::from_secs(600);
/// Answers of one such time are counted together.
const GRAIN: Duration = Duration::from_secs(5);
/// From here on everything goes slowly.
const SLOW_FROM: u32 = 1_000;
/// From here on nothing is sent.
const OPEN_FROM: u32 = 5_000;

/// Counts refused requests.
pub(super) struct Breaker {
    counts: Mutex<VecDeque<(Instant, u32)>>,
    is_token_refused: watch::Sender<bool>,
}

/// What may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// Everything.
    Free,
    /// A tenth.
    Slow,
    /// Nothing, until enough is forgotten.
    Open,
    /// Nothing any more: the token is not accepted.
    Closed,
}

impl Breaker {
    pub(super) fn new() -> Self {
        Self { counts: Mutex::default(), is_token_refused: watch::Sender::new(false) }
    }

    /// Counts a refusal.
    pub(super) fn count(&self) {
        let before = self.pace();
        {
            let now = Instant::now();
            let mut counts = self.counts.lock().expect("nothing panics here");
            match counts.back_mut() {
                Some((begun, count)) if now < *begun + GRAIN => *count += 1,
                _ => counts.push_back((now, 1)),
            }
        }
        match self.pace() {
            after if after == before => {}
            Pace::Slow => tracing::warn!("discord.breaker.slow"),
            Pace::Open => tracing::error!("discord.breaker.open"),
            Pace::Free | Pace::Closed => {}
        }
    }

    /// The token is not accepted: nothing is sent any more.
    pub(super) fn refuse_token(&self) {
        if !self.is_token_refused.send_replace(true) {
            tracing::error!("discord.token.refused");
        }
    }

    /// Comes back when the token is not accepted.
    pub(super) async fn token_refused(&self) {
        let mut refused = self.is_token_refused.subscribe();
        // The sender lives as long as we do.
        let _ = refused.wait_for(|&refused| refused).await;
    }

    pub(super) fn pace(&self) -> Pace {
        if *self.is_token_refused.borrow() {
            return Pace::Closed;
        }
        let now = Instant::now();
        let mut counts = self.counts.lock().expect("nothing panics here");
        while counts.front().is_some_and(|(begun, _)| now >= *begun + WINDOW + GRAIN) {
            counts.pop_front();
        }
        match counts.iter().map(|(_, count)| count).sum::<u32>() {
            OPEN_FROM.. => Pace::Open,
            SLOW_FROM.. => Pace::Slow,
            _ => Pace::Free,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn refuse(breaker: &Breaker, times: u32) {
        (0..times).for_each(|_| breaker.count());
    }

    #[tokio::test(start_paused = true)]
    async fn it_slows_then_opens_then_forgets() {
        let breaker = Breaker::new();
        refuse(&breaker, 999);
        assert_eq!(breaker.pace(), Pace::Free);
        refuse(&breaker, 1);
        assert_eq!(breaker.pace(), Pace::Slow);
        advance(Duration::from_secs(300)).await;
        refuse(&breaker, 4_000);
        assert_eq!(breaker.pace(), Pace::Open);
        advance(Duration::from_secs(306)).await;
        assert_eq!(breaker.pace(), Pace::Slow, "the first thousand is forgotten");
        advance(Duration::from_secs(300)).await;
        assert_eq!(breaker.pace(), Pace::Free);
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickle_over_hours_never_slows_and_stays_small() {
        let breaker = Breaker::new();
        for _ in 0..10_000 {
            advance(Duration::from_secs(1)).await;
            breaker.count();
            assert_eq!(breaker.pace(), Pace::Free);
        }
        assert!(breaker.counts.lock().unwrap().len() <= 122);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_token_is_for_good() {
        let breaker = Breaker::new();
        let waiting = breaker.token_refused();
        breaker.refuse_token();
        waiting.await;
        advance(Duration::from_secs(100_000)).await;
        assert_eq!(breaker.pace(), Pace::Closed);
    }
}
