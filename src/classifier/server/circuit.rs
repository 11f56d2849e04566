//! A server that does not answer is left alone for a while, so that nobody waits for it in
//! vain; then one request tries it.

use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row after which it rests.
const MAX_FAILURES: u32 = 3;
/// How long it rests.
const REST: Duration = Duration::from_secs(10);

/// Whether a server may be asked.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    num_failures: u32,
    rests_until: Option<Instant>,
}

impl Circuit {
    /// Whether it may be asked now, by a request that takes that long at most. After a rest
    /// by one alone, until its end is known.
    pub(super) fn admit(&mut self, now: Instant, takes: Duration) -> bool {
        let Some(until) = self.rests_until else { return true };
        let is_rested = now >= until;
        if is_rested {
            self.rests_until = Some(now + takes);
        }
        is_rested
    }

    /// It answered.
    pub(super) fn note_answer(&mut self) {
        *self = Self::default();
    }

    /// It did not.
    pub(super) fn note_failure(&mut self, now: Instant) {
        self.num_failures += 1;
        if self.num_failures >= MAX_FAILURES {
            self.rests_until = Some(now + REST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_fails_rests_and_one_tries_again() {
        let (mut circuit, start) = (Circuit::default(), Instant::now());
        let takes = Duration::from_secs(2);
        for _ in 0..MAX_FAILURES {
            assert!(circuit.admit(start, takes));
            circuit.note_failure(start);
        }
        assert!(!circuit.admit(start + REST / 2, takes));
        let later = start + REST;
        assert!(circuit.admit(later, takes) && !circuit.admit(later, takes));
        // One that was given up tells nothing: then the next tries it.
        assert!(circuit.admit(later + takes, takes));
        circuit.note_failure(later + takes);
        assert!(!circuit.admit(later + takes, takes));
        circuit.note_answer();
        assert!(circuit.admit(later, takes) && circuit.admit(later, takes));
    }
}
