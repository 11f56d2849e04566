//! What all requests share: the engine, the key, who is at work, whether it goes on.

use std::sync::Arc;

use tokio::sync::watch;

use super::auth::Key;
use super::backend::Backend;
use super::salts::Salts;
use crate::clock::{Clock as _, SystemClock};
use crate::telemetry::metrics::Metrics;

/// How far a stop is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Nobody asked for one.
    Serving,
    /// Nothing new is begun.
    Draining,
    /// What still runs ends with the text it has.
    Ending,
    /// Connections close.
    Closing,
}

/// What all requests share.
pub(super) struct Shared {
    pub(super) backend: Backend,
    pub(super) key: Option<Key>,
    pub(super) salts: Salts,
    pub(super) max_body_bytes: usize,
    pub(super) metrics: Arc<Metrics>,
    /// When the server began, in seconds since 1970.
    pub(super) began_s: u64,
    pub(super) phase: watch::Sender<Phase>,
    num_at_work: watch::Sender<usize>,
}

impl Shared {
    pub(super) fn new(
        backend: Backend,
        key: Option<Key>,
        salts: Salts,
        max_body_bytes: usize,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            backend,
            key,
            salts,
            max_body_bytes,
            metrics,
            began_s: SystemClock.now().timestamp().unsigned_abs(),
            phase: watch::Sender::new(Phase::Serving),
            num_at_work: watch::Sender::new(0),
        }
    }

    /// Somebody is at work, until what is returned is dropped.
    pub(super) fn at_work(&self) -> AtWork {
        self.num_at_work.send_modify(|num| *num += 1);
        AtWork(self.num_at_work.clone())
    }

    /// Waits until nobody is at work.
    pub(super) async fn idle(&self) {
        // The sender is ours, so that waiting cannot fail.
        let _ = self.num_at_work.subscribe().wait_for(|&num| num == 0).await;
    }
}

/// One request that is answered.
pub(super) struct AtWork(watch::Sender<usize>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.send_modify(|num| *num -= 1);
    }
}
