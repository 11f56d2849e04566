//! Which workers a pool has, and how patient it is.

use std::sync::Arc;
use std::time::Duration;

use super::local::LocalOptions;
use super::slot::Place;

/// Which workers a pool has, and how patient it is.
#[derive(Debug, Clone)]
pub struct PoolOptions {
    /// Where its workers run; at least one.
    pub places: Vec<Place>,
    /// The model, by the name that people chose.
    pub model_name: String,
    /// The most tokens that prompt and reply may have together; `None` is what the
    /// workers can.
    pub context_tokens: Option<usize>,
    /// Requests that may wait for a place, over all workers.
    pub max_waiting: usize,
    /// How long a request waits for a worker to become ready.
    pub patience: Duration,
    /// How long a worker with work may stand still before it is replaced.
    pub stall: Duration,
    /// How long a worker that is to be exchanged may finish what it has.
    pub drain: Duration,
}

impl PoolOptions {
    /// Workers at those places, with the patience of a service.
    pub fn new(model_name: impl Into<String>, places: Vec<Place>) -> Self {
        Self {
            places,
            model_name: model_name.into(),
            context_tokens: None,
            max_waiting: 256,
            patience: Duration::from_secs(120),
            stall: Duration::from_secs(60),
            drain: Duration::from_secs(120),
        }
    }
}

impl From<LocalOptions> for PoolOptions {
    /// One worker on this machine; its engine says how many may wait.
    fn from(local: LocalOptions) -> Self {
        let max_waiting = local.engine.max_waiting;
        let name = local.model_name.clone();
        Self { max_waiting, ..Self::new(name, vec![Place::Local(local)]) }
    }
}

/// What holds until the next reload.
pub(super) struct Plan {
    pub(super) epoch: u64,
    pub(super) places: Vec<Place>,
    pub(super) model_name: String,
    pub(super) context_tokens: Option<usize>,
    pub(super) stall: Duration,
    pub(super) drain: Duration,
}

impl Plan {
    pub(super) fn new(options: PoolOptions, epoch: u64) -> Self {
        let PoolOptions { places, model_name, context_tokens, stall, drain, .. } = options;
        Self { epoch, places, model_name, context_tokens, stall, drain }
    }
}

/// What the slots are called; places of one name are numbered.
pub(super) fn names(places: &[Place]) -> Vec<Arc<str>> {
    let plain: Vec<_> = places.iter().map(Place::name).collect();
    let name = |(index, name): (usize, &String)| {
        let num_before = plain[..index].iter().filter(|other| *other == name).count();
        match plain.iter().filter(|other| *other == name).count() {
            1 => Arc::from(name.as_str()),
            _ => Arc::from(format!("{name}#{}", num_before + 1)),
        }
    };
    plain.iter().enumerate().map(name).collect()
}
