//! How long a shard waits before it tries again.

use std::time::Duration;

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(60);

/// Waits that double with each failure, each shortened by chance so that shards do
/// not come back all at once.
pub(super) struct Backoff {
    failures: u32,
    rng: ChaCha8Rng,
}

impl Backoff {
    pub(super) fn new(rng: ChaCha8Rng) -> Self {
        Self { failures: 0, rng }
    }

    /// It went well for a while.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// How often it failed in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// The wait after another failure.
    pub(super) fn next(&mut self) -> Duration {
        let whole = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        whole.mul_f64(self.rng.random_range(0.5..=1.0))
    }

    /// Some share of a span.
    pub(super) fn part_of(&mut self, span: Duration) -> Duration {
        span.mul_f64(self.rng.random_range(0.0..1.0))
    }

    /// From one to five seconds, as Discord asks for before a new session.
    pub(super) fn before_session(&mut self) -> Duration {
        Duration::from_secs(5).mul_f64(self.rng.random_range(0.2..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn waits_grow_to_a_minute_and_begin_anew() {
        let mut backoff = Backoff::new(ChaCha8Rng::seed_from_u64(1));
        let waits: Vec<_> = (0..12).map(|_| backoff.next()).collect();
        assert!(waits[0] <= FIRST && waits[0] >= FIRST / 2);
        assert!(waits[1] <= FIRST * 2 && waits[11] >= LONGEST / 2 && waits[11] <= LONGEST);
        backoff.reset();
        assert!(backoff.next() <= FIRST);
    }
}
