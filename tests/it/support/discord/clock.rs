//! Time and ids of the double: one clock that tests can push forward, and
//! snowflakes that rise strictly whatever the clock does.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat};

/// Discord's epoch, the first second of 2015, in Unix milliseconds.
/// <https://docs.discord.com/developers/reference#snowflakes>
const EPOCH_MS: u64 = 1_420_070_400_000;

/// The time in the double's world.
#[derive(Default)]
pub(crate) struct Clock {
    ahead: Duration,
    last_id: u64,
}

impl Clock {
    /// Unix milliseconds.
    pub(crate) fn now_ms(&self) -> u64 {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        (now + self.ahead).as_millis() as u64
    }

    /// Lets time jump: tokens expire, nonces are forgotten, messages grow old.
    pub(crate) fn advance(&mut self, by: Duration) {
        self.ahead += by;
    }

    /// The next id, of now.
    pub(crate) fn snowflake(&mut self) -> u64 {
        self.last_id = (self.last_id + 1).max(snowflake_at(self.now_ms()));
        self.last_id
    }
}

/// The lowest id of a moment.
pub(crate) fn snowflake_at(ms: u64) -> u64 {
    (ms - EPOCH_MS) << 22
}

/// When an id was made, in Unix milliseconds.
pub(crate) fn created_ms(id: u64) -> u64 {
    (id >> 22) + EPOCH_MS
}

/// As Discord writes times.
pub(crate) fn iso(ms: u64) -> String {
    let time = DateTime::from_timestamp_millis(ms as i64).unwrap();
    time.to_rfc3339_opts(SecondsFormat::Micros, false)
}
