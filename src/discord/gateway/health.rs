//! How the shards of this process are.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

/// What a shard is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::discord) enum ShardState {
    /// It looks for a connection.
    Connecting,
    /// It waits for leave to begin a session, or for its beginning.
    Identifying,
    /// It waits for its session to go on.
    Resuming,
    /// It listens.
    Ready,
    /// It was stopped.
    Down,
}

/// How one shard is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::discord) struct ShardHealth {
    /// What it is doing.
    pub(in crate::discord) state: ShardState,
    /// How long Discord took to answer the last heartbeat.
    pub(in crate::discord) latency: Option<Duration>,
    /// How many guilds it serves.
    pub(in crate::discord) num_guilds: u32,
}

/// How all of them are.
#[derive(Debug, Default)]
pub(in crate::discord) struct Health(Mutex<BTreeMap<u32, ShardHealth>>);

impl Health {
    /// Every shard of this process, by number.
    pub(in crate::discord) fn all(&self) -> BTreeMap<u32, ShardHealth> {
        self.0.lock().expect("no holder panics").clone()
    }

    pub(super) fn set_state(&self, shard: u32, state: ShardState) {
        self.update(shard, |health| health.state = state);
    }

    pub(super) fn set_latency(&self, shard: u32, latency: Duration) {
        self.update(shard, |health| health.latency = Some(latency));
    }

    pub(super) fn set_guilds(&self, shard: u32, num_guilds: u32) {
        self.update(shard, |health| health.num_guilds = num_guilds);
    }

    fn update(&self, shard: u32, change: impl FnOnce(&mut ShardHealth)) {
        let new = ShardHealth { state: ShardState::Connecting, latency: None, num_guilds: 0 };
        change(self.0.lock().expect("no holder panics").entry(shard).or_insert(new));
    }
}
