//! `[chat]`: the reply queue.

use std::time::Duration;

use serde::Deserialize;

use super::Invalid;
use super::error::require;

/// The reply queue.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChatConfig {
    /// How long a silent worker keeps its reply.
    pub lease_ms: u64,
    /// How often a worker says that it is alive.
    pub heartbeat_ms: u64,
    /// How often the queue is looked at unasked.
    pub poll_ms: u64,
    /// How often a reply is tried before it is given up.
    pub max_attempts: u32,
    /// The longest message that is taken as a turn.
    pub max_turn_bytes: usize,
}

impl ChatConfig {
    /// How long a silent worker keeps its reply.
    pub fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }

    /// How often a worker says that it is alive.
    pub fn heartbeat(&self) -> Duration {
        Duration::from_millis(self.heartbeat_ms)
    }

    /// How often the queue is looked at unasked.
    pub fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_ms)
    }

    pub(super) fn validate(&self) -> Result<(), Invalid> {
        require(
            (100..=600_000).contains(&self.lease_ms),
            "chat.lease_ms",
            self.lease_ms,
            "a number of milliseconds from 100 to 600000",
        )?;
        require(
            self.heartbeat_ms >= 10 && self.heartbeat_ms <= self.lease_ms / 2,
            "chat.heartbeat_ms",
            self.heartbeat_ms,
            "from 10 to half of chat.lease_ms, so that one late heartbeat loses nothing",
        )?;
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
