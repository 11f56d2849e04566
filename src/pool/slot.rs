//! The pool's places for workers, and what each is doing.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use super::local::LocalOptions;
use super::placement::Pace;
use super::remote::RemoteOptions;
use super::worker::Worker;
use crate::engine::EngineStats;

/// Where a worker runs.
#[derive(Debug, Clone)]
pub enum Place {
    /// On a device of this machine.
    Local(LocalOptions),
    /// Behind a server's completions protocol.
    Remote(RemoteOptions),
}

impl Place {
    /// What people call it: `cpu`, `cuda:0`, or a server's address.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Local(local) => local.load.backend.to_string(),
            Self::Remote(remote) => remote.url.to_string(),
        }
    }
}

/// What a worker is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerStatus {
    /// It is loading, or being reached for the first time.
    Starting,
    /// It takes requests.
    Ready,
    /// It finishes what it has, and takes nothing new.
    Draining,
    /// It does not work, and is started again in a while.
    Down,
}

impl WorkerStatus {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Starting, Self::Ready, Self::Draining, Self::Down];

    /// The word for people and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Down => "down",
        }
    }
}

impl fmt::Display for WorkerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One worker, for whoever looks at the pool.
#[derive(Debug, Clone)]
pub struct WorkerReport {
    /// `cpu`, `cuda:0`, or a server's address.
    pub name: Arc<str>,
    /// What it is doing.
    pub status: WorkerStatus,
    /// Why, where it is down.
    pub reason: Option<String>,
    /// Requests that it has and has not finished.
    pub num_in_flight: usize,
    /// Its engine, where that is on this machine.
    pub engine: Option<EngineStats>,
}

pub(super) struct Slot {
    pub(super) name: Arc<str>,
    state: Mutex<State>,
    num_in_flight: AtomicUsize,
    pace: Mutex<Pace>,
    /// Somebody had trouble with the worker: look now.
    pub(super) suspected: Notify,
}

struct State {
    status: WorkerStatus,
    active: Option<Active>,
    reason: Option<String>,
}

/// A worker that was started.
#[derive(Clone)]
pub(super) struct Active {
    pub(super) worker: Arc<Worker>,
    /// Of its model.
    pub(super) epoch: u64,
    /// Closes when the slot lets go of the worker, so that nobody waits for one that hangs.
    pub(super) life: watch::Receiver<()>,
    _alive: Arc<watch::Sender<()>>,
}

impl Slot {
    pub(super) fn new(name: Arc<str>) -> Self {
        let state = State { status: WorkerStatus::Starting, active: None, reason: None };
        Self {
            name,
            state: Mutex::new(state),
            num_in_flight: AtomicUsize::new(0),
            pace: Mutex::default(),
            suspected: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The slot has a worker.
    pub(super) fn install(&self, worker: Arc<Worker>, epoch: u64) {
        let (alive, life) = watch::channel(());
        let active = Some(Active { worker, epoch, life, _alive: Arc::new(alive) });
        *self.state() = State { status: WorkerStatus::Ready, active, reason: None };
    }

    /// The worker takes nothing new.
    pub(super) fn set_draining(&self) {
        self.state().status = WorkerStatus::Draining;
    }

    /// The slot has no worker any more, and soon another; whoever follows a request there is
    /// told. Why the last one failed stays known.
    pub(super) fn restart(&self) {
        let mut state = self.state();
        state.status = WorkerStatus::Starting;
        let old = state.active.take();
        drop(state);
        drop(old);
    }

    /// The slot has no worker for a while.
    pub(super) fn put_down(&self, reason: String) {
        let down = State { status: WorkerStatus::Down, active: None, reason: Some(reason) };
        let old = std::mem::replace(&mut *self.state(), down);
        drop(old);
    }

    /// The worker, if it takes requests for models of that epoch.
    pub(super) fn ready(&self, epoch: u64) -> Option<Active> {
        let state = self.state();
        let active = state.active.as_ref()?;
        (state.status == WorkerStatus::Ready && active.epoch == epoch).then(|| active.clone())
    }

    /// The worker, whatever it is doing.
    pub(super) fn worker(&self) -> Option<Arc<Worker>> {
        self.state().active.as_ref().map(|active| active.worker.clone())
    }

    pub(super) fn num_in_flight(&self) -> usize {
        self.num_in_flight.load(Ordering::Relaxed)
    }

    pub(super) fn pace(&self) -> Pace {
        *self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn learn(&self, num_computed_tokens: usize, prefill_ms: u64, reply_ms: u64) {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        pace.learn(num_computed_tokens, prefill_ms, reply_ms);
    }

    /// Counts a request until the guard is dropped.
    pub(super) fn enter(self: &Arc<Self>) -> InFlight {
        self.num_in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self.clone())
    }

    pub(super) fn report(&self) -> WorkerReport {
        let state = self.state();
        let engine = match state.active.as_ref().map(|active| active.worker.as_ref()) {
            Some(Worker::Local(local)) => Some(local.stats()),
            Some(Worker::Remote(_)) | None => None,
        };
        WorkerReport {
            name: self.name.clone(),
            status: state.status,
            reason: state.reason.clone(),
            num_in_flight: self.num_in_flight(),
            engine,
        }
    }
}

/// A request at a slot.
pub(super) struct InFlight(pub(super) Arc<Slot>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.num_in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
