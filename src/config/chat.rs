//! `[chat]`: the reply queue.

use std::time::Duration;

use serde::Deserialize;

use super::Invalid;
use super::error::require;

/// The reply queue.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChatConfig {
    /// How often the queue is looked at unasked.
    pub poll_ms: u64,
    /// How often a reply is tried before it is given up.
    pub max_attempts: u32,
    /// The longest message that is taken as a turn.
    pub max_turn_bytes: usize,
}

impl ChatConfig {
    /// How often the queue is looked at unasked.
    pub fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_ms)
    }

    pub(super) fn validate(&self) -> Result<(), Invalid> {
        require(
            (10..=60_000).contains(&self.poll_ms),
            "chat.poll_ms",
            self.poll_ms,
            "a number of milliseconds from 10 to 60000",
        )?;
        require(
            (1..=100).contains(&self.max_attempts),
            "chat.max_attempts",
            self.max_attempts,
            "a number from 1 to 100",
        )?;
        require(
            (256..=1 << 20).contains(&self.max_turn_bytes),
            "chat.max_turn_bytes",
            self.max_turn_bytes,
            "a number of bytes from 256 to 1048576",
        )
    }
}
