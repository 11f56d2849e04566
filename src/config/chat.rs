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
    /// How many replies that one person asked for may wait to be begun.
    pub max_waiting_per_person: u32,
    /// How many of one guild may.
    pub max_waiting_per_guild: u32,
    /// How many of all guilds together may.
    pub max_waiting: u32,
    /// How many replies may follow one another until a person says something again.
    pub max_replies_in_a_row: u32,
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
        )?;
        let [person, guild, all] =
            [self.max_waiting_per_person, self.max_waiting_per_guild, self.max_waiting];
        require(
            (1..=guild).contains(&person),
            "chat.max_waiting_per_person",
            person,
            "a number from 1 to chat.max_waiting_per_guild",
        )?;
        require(
            guild <= all,
            "chat.max_waiting_per_guild",
            guild,
            "at most as large as chat.max_waiting",
        )?;
        require(
            all <= 100_000,
            "chat.max_waiting",
            all,
            "a number from chat.max_waiting_per_guild to 100000",
        )?;
        require(
            (1..=1_000).contains(&self.max_replies_in_a_row),
            "chat.max_replies_in_a_row",
            self.max_replies_in_a_row,
            "a number from 1 to 1000",
        )
    }
}
