//! Workers behind one door: what generates, and which model that is.
//!
//! A pool has a fixed number of *slots*, each for a worker on a device of this machine or
//! behind a server elsewhere. A task keeps each slot (`keeper`), a task follows each
//! request (`relay`), `placement` decides which goes where. It knows tokens, not
//! transcripts or people.
//!
//! Invariant: every request gets its last event, whatever becomes of its worker.

mod affinity;
mod error;
mod ground;
mod keeper;
mod local;
mod model;
mod options;
mod placement;
mod relay;
mod remote;
mod shared;
mod slot;
mod stream;
#[cfg(test)]
mod tests;
mod worker;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use tokio::sync::watch;

use crate::engine::{EngineStats, GenerationRequest, Scope};
use crate::tokenizer::Tokenizer;

pub use error::PoolError;
pub use local::LocalOptions;
pub use model::PoolModel;
pub use options::PoolOptions;
pub use remote::{Dialect, RemoteError, RemoteErrorKind, RemoteOptions, ServerReport, ServerUrl};
pub use slot::{Place, WorkerReport, WorkerStatus};
pub use stream::{Aborter, PoolEvent, PoolStream};

use ground::Ground;
use keeper::Keeper;
use options::{Plan, names};
use relay::Relay;
use shared::{Shared, lock};
use slot::Slot;
use worker::Worker;

/// The workers that write replies. Cheap to clone; the last clone ends them.
#[derive(Clone)]
pub struct Pool {
    shared: Arc<Shared>,
    ground: Arc<Ground>,
}

/// What the workers take of this machine's memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolMemory {
    /// The model's matrices; `None` where they lie elsewhere.
    pub weight_bytes: Option<usize>,
    /// Keys and values, once all blocks are used.
    pub kv_cache_bytes: usize,
}

impl Pool {
    /// Starts the workers, and returns when the first is ready. Blocks meanwhile: call it
    /// outside async code.
    ///
    /// # Errors
    /// No worker became ready: a model's files or options are refused, or no server
    /// answered within [`PoolOptions::patience`].
    ///
    /// # Panics
    /// If the system has no thread or socket left for the pool's own use.
    pub fn start(options: impl Into<PoolOptions>) -> Result<Self, PoolError> {
        let options = options.into();
        if options.places.is_empty() {
            return Err(PoolError::Options("none is configured; name at least one".into()));
        }
        let names = names(&options.places);
        let slots = names.into_iter().map(|name| Arc::new(Slot::new(name))).collect();
        let patience = options.patience;
        let (max_waiting, plan) = (options.max_waiting, Arc::new(Plan::new(options, 0)));
        let (plans, _) = watch::channel(plan);
        let shared = Arc::new(Shared {
            slots,
            model: RwLock::new(None),
            affinity: Mutex::default(),
            changed: watch::channel(0).0,
            num_waiting: AtomicUsize::new(0),
            max_waiting,
            patience,
            draining: Arc::default(),
            next_epoch: AtomicU64::new(1),
            plans,
            fallback: Mutex::new(None),
        });
        let pool = Self { ground: Arc::new(Ground::start()), shared };
        for index in 0..pool.shared.slots.len() {
            let plans = pool.shared.plans.subscribe();
            let keeper = Keeper { shared: pool.shared.clone(), index, plans, known: None };
            pool.ground.runtime.spawn(keeper.run());
        }
        let (started, outcome) = std::sync::mpsc::sync_channel(1);
        let shared = pool.shared.clone();
        pool.ground.runtime.spawn(async move {
            // The pool is given up already if nobody waits for this.
            let _ = started.send(shared.first_ready().await);
        });
        outcome.recv().map_err(|_| PoolError::Gone)??;
        Ok(pool)
    }

    /// Begins a reply to a prompt that was made for `model`.
    ///
    /// # Errors
    /// The request can never run, too many wait already, or the model was exchanged.
    pub fn generate(
        &self,
        model: &Arc<PoolModel>,
        request: GenerationRequest,
    ) -> Result<PoolStream, PoolError> {
        // Servers are spoken to from the pool's own runtime, wherever the caller comes from.
        let _own = self.ground.runtime.enter();
        let placed = match self.shared.place(model, &request, &[]) {
            Ok(placed) => Some(placed),
            Err(error) if error.may_pass() && !request.prefill_only => None,
            Err(error) => return Err(error),
        };
        let ticket = placed.is_none().then(|| self.shared.wait_ticket()).transpose()?;
        let (outlet, stream) = stream::stream();
        let (shared, model) = (self.shared.clone(), model.clone());
        let relay = Relay { shared, model, request, outlet, ticket, is_started: false };
        self.ground.runtime.spawn(relay.run(placed));
        Ok(stream)
    }

    /// Exchanges the model or its options without stopping: one worker after another
    /// finishes what it has and starts anew. Returns when the first has.
    ///
    /// # Errors
    /// Other places than before are asked for, which needs a new start, or the new model is
    /// refused: then the workers go on with the old one.
    pub async fn reload(&self, options: impl Into<PoolOptions>) -> Result<(), PoolError> {
        let options = options.into();
        let old: Vec<_> = self.shared.slots.iter().map(|slot| slot.name.clone()).collect();
        if names(&options.places) != old {
            return Err(PoolError::Options(format!(
                "they are {} now; others need a restart",
                old.join(", ")
            )));
        }
        let mut changed = self.shared.changed.subscribe();
        let epoch = {
            let mut fallback = lock(&self.shared.fallback);
            let before = self.shared.plans.borrow().clone();
            let epoch = self.shared.next_epoch.fetch_add(1, Ordering::Relaxed);
            // What is not proven yet is no fallback.
            fallback.get_or_insert(before);
            self.shared.plans.send_replace(Arc::new(Plan::new(options, epoch)));
            epoch
        };
        loop {
            if self.model().epoch == epoch {
                return Ok(());
            }
            let holds = self.shared.plans.borrow().epoch;
            if holds != epoch {
                let reason = match holds > epoch {
                    true => "another reload came in between",
                    false => "the new model was refused, as the log says; the old one stays",
                };
                return Err(PoolError::Options(reason.into()));
            }
            if changed.changed().await.is_err() {
                return Err(PoolError::Gone);
            }
        }
    }

    /// Drops what was cached for an owner, from memory and disk, on every worker of this
    /// machine and every `dramatis worker`. Other servers have no such word: what they
    /// cached in memory stays until they need the room.
    ///
    /// # Errors
    /// The disk refuses, its cache is not open, or a worker is not ready; what was cached
    /// may still be there. The others have forgotten all the same.
    pub async fn forget_owner(&self, owner: u64) -> Result<(), PoolError> {
        self.forget(Scope::Owner(owner)).await
    }

    /// Drops all that was cached under a salt, from memory and disk.
    ///
    /// # Errors
    /// As [`Pool::forget_owner`].
    pub async fn forget_salt(&self, salt: u64) -> Result<(), PoolError> {
        self.forget(Scope::Salt(salt)).await
    }

    async fn forget(&self, scope: Scope) -> Result<(), PoolError> {
        let mut outcome = Ok(());
        for slot in &self.shared.slots {
            let forgotten = match slot.worker() {
                Some(worker) => worker.forget(scope).await,
                None => Err(PoolError::NoWorker(format!("{} is not ready", slot.name))),
            };
            outcome = outcome.and(forgotten);
        }
        outcome
    }

    /// The model that replies are made with now. Make a prompt and its request from one
    /// of these, not from two.
    pub fn model(&self) -> Arc<PoolModel> {
        self.shared.model().expect("a pool that started has a model")
    }

    /// The model's tokenizer.
    pub fn tokenizer(&self) -> Arc<Tokenizer> {
        self.model().tokenizer.clone()
    }

    /// Requests that all workers together run at once.
    pub fn capacity(&self) -> usize {
        self.workers().iter().map(|worker| worker.capacity()).sum()
    }

    /// What computes the model on this machine, for people.
    pub fn backend_names(&self) -> String {
        let workers = self.workers();
        let mut names: Vec<_> = workers
            .iter()
            .filter_map(|worker| match worker.as_ref() {
                Worker::Local(local) => Some(local.backend_name.as_str()),
                Worker::Remote(_) => None,
            })
            .collect();
        names.dedup();
        names.join(", ")
    }

    /// What each worker does.
    pub fn workers_report(&self) -> Vec<WorkerReport> {
        self.shared.slots.iter().map(|slot| slot.report()).collect()
    }

    /// What the engines of this machine hold and have done, together, as of their last
    /// steps.
    pub fn stats(&self) -> EngineStats {
        self.workers_report().into_iter().filter_map(|report| report.engine).sum()
    }

    /// What the workers take of this machine's memory.
    pub fn memory(&self) -> PoolMemory {
        let mut memory = PoolMemory::default();
        for worker in self.workers() {
            if let Worker::Local(local) = worker.as_ref() {
                memory.kv_cache_bytes += local.memory.kv_cache_bytes;
                let both =
                    memory.weight_bytes.unwrap_or(0) + local.memory.weight_bytes.unwrap_or(0);
                memory.weight_bytes = (both > 0).then_some(both);
            }
        }
        memory
    }

    /// Ends the workers of this machine, and waits until they have: at most one step each,
    /// and what the disk cache still writes, so call it outside async code. What still runs
    /// fails as if its worker had gone.
    pub fn shutdown(&self) {
        self.ground.end();
        for worker in self.workers() {
            if let Worker::Local(local) = worker.as_ref() {
                local.engine.shutdown();
            }
        }
    }

    fn workers(&self) -> Vec<Arc<Worker>> {
        self.shared.slots.iter().filter_map(|slot| slot.worker()).collect()
    }

    #[cfg(test)]
    fn slots(&self) -> &[Arc<Slot>] {
        &self.shared.slots
    }
}
