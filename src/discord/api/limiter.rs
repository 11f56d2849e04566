//! The limit over all requests, and waits that Discord imposes on all of them.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

/// The window in which requests are counted.
const WINDOW: Duration = Duration::from_secs(1);
/// Into how many parts the pace is cut while too much is refused.
const SLOWED_BY: usize = 10;

/// Never lets more than so many requests through in any second; in the order in which
/// they came.
pub(super) struct Limiter {
    per_s: usize,
    /// When the last ones went; the lock is the queue.
    sent: tokio::sync::Mutex<VecDeque<Instant>>,
    paused_until: Mutex<Option<Instant>>,
}

impl Limiter {
    pub(super) fn new(per_s: u32) -> Self {
        let per_s = usize::try_from(per_s).unwrap_or(usize::MAX).max(1);
        Self { per_s, sent: tokio::sync::Mutex::default(), paused_until: Mutex::new(None) }
    }

    /// Lets nothing through for a while.
    pub(super) fn pause(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut paused = self.paused_until.lock().expect("nothing panics here");
        *paused = (*paused).max(Some(until));
    }

    /// Waits for its turn; gives the wait if it would be longer than until `deadline`.
    pub(super) async fn pass(&self, is_slow: bool, deadline: Instant) -> Result<(), Duration> {
        let window = if is_slow { (self.per_s / SLOWED_BY).max(1) } else { self.per_s };
        let Ok(mut sent) = timeout_at(deadline, self.sent.lock()).await else {
            return Err(WINDOW);
        };
        loop {
            let now = Instant::now();
            let full = sent.len().checked_sub(window).and_then(|first| sent.get(first));
            let paused = *self.paused_until.lock().expect("nothing panics here");
            let next = full.map(|&first| first + WINDOW).max(paused);
            match next.filter(|&next| next > now) {
                None => break,
                Some(next) if next > deadline => return Err(next - now),
                Some(next) => sleep_until(next).await,
            }
        }
        sent.push_back(Instant::now());
        if sent.len() > self.per_s {
            sent.pop_front();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn times(limiter: &Limiter, number: usize, is_slow: bool) -> Vec<Duration> {
        let start = Instant::now();
        let mut times = Vec::new();
        for _ in 0..number {
            limiter.pass(is_slow, start + Duration::from_secs(600)).await.unwrap();
            times.push(start.elapsed());
        }
        times
    }

    #[tokio::test(start_paused = true)]
    async fn no_second_has_more_than_its_share() {
        let limiter = Limiter::new(50);
        let times = times(&limiter, 175, false).await;
        for window in times.windows(51) {
            assert!(window[50] - window[0] >= WINDOW, "{window:?}");
        }
        assert!(times[174] < Duration::from_secs(4));
    }

    #[tokio::test(start_paused = true)]
    async fn slow_is_a_tenth() {
        let times = times(&Limiter::new(50), 21, true).await;
        assert!((4..5).contains(&times[20].as_secs()), "{times:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_for_all_and_short_patience_is_told_at_once() {
        let limiter = Limiter::new(50);
        limiter.pause(Duration::from_secs(7));
        limiter.pause(Duration::from_secs(2));
        let start = Instant::now();
        let wait = limiter.pass(false, start + Duration::from_secs(3)).await.unwrap_err();
        assert_eq!((wait, start.elapsed()), (Duration::from_secs(7), Duration::ZERO));
        limiter.pass(false, start + Duration::from_secs(10)).await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 7);
    }
}
