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
mod keeper;
mod local;
mod model;
mod placement;
mod relay;
mod remote;
mod slot;
mod stream;
#[cfg(test)]
mod tests;
mod worker;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{self, Handle};
use tokio::sync::{oneshot, watch};

use crate::engine::{EngineStats, GenerationRequest};
use crate::tokenizer::Tokenizer;

pub use error::PoolError;
pub use local::LocalOptions;
pub use model::PoolModel;
pub use remote::{Dialect, RemoteError, RemoteErrorKind, RemoteOptions, ServerReport, ServerUrl};
pub use slot::{Place, WorkerReport, WorkerStatus};
pub use stream::{Aborter, PoolEvent, PoolStream};

use affinity::Affinity;
use keeper::Keeper;
use placement::Candidate;
use relay::{Placed, Relay};
use slot::Slot;
use worker::{Scope, Worker};

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
struct Plan {
    epoch: u64,
    places: Vec<Place>,
    model_name: String,
    context_tokens: Option<usize>,
    stall: Duration,
    drain: Duration,
}

/// What all tasks of a pool share.
struct Shared {
    slots: Vec<Arc<Slot>>,
    model: RwLock<Option<Arc<PoolModel>>>,
    affinity: Mutex<Affinity>,
    /// Counts whatever may let a waiting request go on.
    changed: watch::Sender<u64>,
    num_waiting: AtomicUsize,
    max_waiting: usize,
    patience: Duration,
    /// Held by the one worker that is being exchanged.
    draining: Arc<tokio::sync::Mutex<()>>,
    /// Of the next reload; an epoch is never given twice.
    next_epoch: AtomicU64,
    plans: watch::Sender<Arc<Plan>>,
    /// The plan before a reload, until a worker has taken up the new one.
    fallback: Mutex<Option<Arc<Plan>>>,
}

/// The workers that write replies. Cheap to clone; the last clone ends them.
#[derive(Clone)]
pub struct Pool {
    shared: Arc<Shared>,
    ground: Arc<Ground>,
}

/// The thread that the pool's tasks run on: whoever asks for replies may come from any
/// runtime, or from none.
struct Ground {
    runtime: Handle,
    over: Mutex<Option<oneshot::Sender<()>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
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
        let (max_waiting, plan) = (options.max_waiting, Arc::new(plan(options, 0)));
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
        let relay = Relay { shared, model, request, outlet, ticket };
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
            self.shared.plans.send_replace(Arc::new(plan(options, epoch)));
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

impl Shared {
    fn model(&self) -> Option<Arc<PoolModel>> {
        self.model.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Something changed that a waiting request may want to know.
    fn announce(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Puts a request to the best worker that takes it, those it failed at last.
    fn place(
        &self,
        model: &PoolModel,
        request: &GenerationRequest,
        failed_at: &[usize],
    ) -> Result<Placed, PoolError> {
        let owner = (request.cache_salt, request.cache_owner);
        let home = lock(&self.affinity).get(owner);
        let all = self.slots.iter().enumerate();
        let mut ready: Vec<_> =
            all.filter_map(|(index, slot)| Some((index, slot.ready(model.epoch)?))).collect();
        if ready.is_empty() {
            return Err(self.nobody_ready(model));
        }
        // What is only expected takes nobody's last place.
        let spare = usize::from(request.prefill_only);
        // Servers have queues of their own; a request that waits here can still go elsewhere.
        ready.retain(|(index, active)| {
            !active.worker.is_remote()
                || self.slots[*index].num_in_flight() + spare < active.worker.capacity()
        });
        if ready.iter().any(|(index, _)| !failed_at.contains(index)) {
            ready.retain(|(index, _)| !failed_at.contains(index));
        }
        let mut refusal = None;
        while !ready.is_empty() {
            let candidates: Vec<_> = ready
                .iter()
                .map(|(index, active)| Candidate {
                    num_in_flight: self.slots[*index].num_in_flight(),
                    capacity: active.worker.capacity().max(1),
                    holds_prefix: home == Some(*index),
                    pace: self.slots[*index].pace(),
                })
                .collect();
            let Some(best) = placement::choose(&candidates, request.prompt.len()) else { break };
            let (index, active) = ready.remove(best);
            let in_flight = self.slots[index].enter();
            match active.worker.submit(request.clone()) {
                Ok(stream) => {
                    lock(&self.affinity).set(owner, index);
                    return Ok(Placed { slot: index, stream, in_flight, life: active.life });
                }
                Err(error) if error.is_of_worker() => {
                    self.slots[index].suspected.notify_one();
                    refusal.get_or_insert(error);
                }
                // Somebody with room is better than the best.
                Err(error) if error.is_busy() => refusal = Some(error),
                Err(error) => return Err(error),
            }
        }
        match refusal {
            Some(error) if error.is_busy() => Err(error),
            Some(error) => Err(PoolError::NoWorker(error.to_string())),
            None => Err(self.all_busy()),
        }
    }

    fn all_busy(&self) -> PoolError {
        let num_waiting = self.num_waiting.load(Ordering::Relaxed);
        PoolError::Busy { num_waiting, max_waiting: self.max_waiting }
    }

    fn nobody_ready(&self, model: &PoolModel) -> PoolError {
        if self.model().is_some_and(|newest| newest.epoch != model.epoch) {
            return PoolError::ModelChanged;
        }
        let state = |slot: &Arc<Slot>| {
            let report = slot.report();
            match report.reason {
                Some(reason) => format!("{} is {}: {reason}", report.name, report.status),
                None => format!("{} is {}", report.name, report.status),
            }
        };
        PoolError::NoWorker(self.slots.iter().map(state).collect::<Vec<_>>().join("; "))
    }

    /// A place among those who wait for a worker.
    fn wait_ticket(self: &Arc<Self>) -> Result<WaitTicket, PoolError> {
        // Engines here have queues of their own, which count.
        let reports = self.slots.iter().filter_map(|slot| slot.report().engine);
        let elsewhere: usize = reports.map(|engine| engine.num_waiting).sum();
        let most = self.max_waiting.saturating_sub(elsewhere);
        let take = |num_waiting| (num_waiting < most).then_some(num_waiting + 1);
        self.num_waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .map(|_| WaitTicket(self.clone()))
            .map_err(|num_waiting| {
                let num_waiting = num_waiting + elsewhere;
                PoolError::Busy { num_waiting, max_waiting: self.max_waiting }
            })
    }

    /// A worker of a plan is about to serve: if it is the first, its model is the pool's.
    ///
    /// # Errors
    /// It cannot serve what the others do.
    fn admit_worker(&self, plan: &Plan, worker: &Worker) -> Result<(), PoolError> {
        if plan.epoch != self.plans.borrow().epoch {
            return Err(PoolError::ModelChanged);
        }
        let mut model = self.model.write().unwrap_or_else(PoisonError::into_inner);
        let could = worker.context_tokens();
        match model.as_ref().filter(|model| model.epoch == plan.epoch) {
            Some(model) if could < model.context_tokens => Err(PoolError::Options(format!(
                "this one has {could} tokens of context where the others have {}: set \
                 model.context_tokens = {could}, or give it more",
                model.context_tokens
            ))),
            Some(model) if worker.tokenizer().fingerprint() != model.tokenizer.fingerprint() => {
                Err(PoolError::Options("this one has another tokenizer than the others".into()))
            }
            Some(model) if !may_be_same(worker.fingerprint(), &model.fingerprint) => {
                Err(PoolError::Options("this one has another model than the others".into()))
            }
            Some(_) => Ok(()),
            None => {
                let context_tokens = plan.context_tokens.map_or(could, |most| most.min(could));
                *model = Some(Arc::new(PoolModel {
                    name: plan.model_name.clone(),
                    fingerprint: worker.fingerprint().to_owned(),
                    context_tokens,
                    tokenizer: worker.tokenizer().clone(),
                    epoch: plan.epoch,
                }));
                *lock(&self.fallback) = None;
                Ok(())
            }
        }
    }

    /// A worker of that plan could not be started: if none ever could, the plan before it
    /// holds again.
    fn give_back_plan(&self, plan: &Plan, error: &PoolError) {
        let mut fallback = lock(&self.fallback);
        if plan.epoch != self.plans.borrow().epoch {
            return;
        }
        if let Some(before) = fallback.take() {
            tracing::error!(error.kind = error.kind(), %error, "pool.reload_refused");
            self.plans.send_replace(before);
            self.announce();
        }
    }

    fn forget_home(&self, request: &GenerationRequest) {
        lock(&self.affinity).forget((request.cache_salt, request.cache_owner));
    }

    fn forget_slot(&self, index: usize) {
        lock(&self.affinity).forget_slot(index);
    }

    /// Waits for the first worker.
    async fn first_ready(&self) -> Result<(), PoolError> {
        let mut changed = self.changed.subscribe();
        let deadline = tokio::time::Instant::now() + self.patience;
        loop {
            changed.mark_unchanged();
            if self.model().is_some() {
                return Ok(());
            }
            let reports: Vec<_> = self.slots.iter().map(|slot| slot.report()).collect();
            let plan = self.plans.borrow().clone();
            let is_refused = |(report, place): (&WorkerReport, &Place)| {
                report.reason.is_some() && matches!(place, Place::Local(_))
            };
            // A server may come up yet; what this machine refuses stays refused.
            if reports.iter().zip(&plan.places).all(is_refused) {
                return Err(self.start_error());
            }
            tokio::select! {
                _ = changed.changed() => {}
                () = tokio::time::sleep_until(deadline) => return Err(self.start_error()),
            }
        }
    }

    fn start_error(&self) -> PoolError {
        let reasons = self.slots.iter().filter_map(|slot| {
            let report = slot.report();
            Some(format!("{}: {}", report.name, report.reason?))
        });
        let reasons: Vec<_> = reasons.collect();
        match reasons.is_empty() {
            true => PoolError::NoWorker("none answered in time".into()),
            false => PoolError::NoWorker(reasons.join("; ")),
        }
    }
}

/// Whether two fingerprints may stand for one model: those of servers that do not tell what
/// is in their files say little.
fn may_be_same(a: &str, b: &str) -> bool {
    a == b || a.starts_with(remote::UNKNOWN) || b.starts_with(remote::UNKNOWN)
}

/// A place among those who wait for a worker, given back when dropped.
struct WaitTicket(Arc<Shared>);

impl Drop for WaitTicket {
    fn drop(&mut self) {
        self.0.num_waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Ground {
    fn start() -> Self {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("the system gives a runtime what it needs");
        let handle = runtime.handle().clone();
        let (over, ended) = oneshot::channel::<()>();
        let thread = thread::Builder::new()
            .name("pool".into())
            .spawn(move || {
                // Either way the pool is over.
                let _ = runtime.block_on(ended);
                // A model that is being loaded is not waited for.
                runtime.shutdown_background();
            })
            .expect("the system gives a thread");
        Self { runtime: handle, over: Mutex::new(Some(over)), thread: Mutex::new(Some(thread)) }
    }

    /// Ends all tasks.
    fn end(&self) {
        drop(lock(&self.over).take());
        if let Some(thread) = lock(&self.thread).take() {
            thread.join().expect("tasks catch their panics");
        }
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        drop(lock(&self.over).take());
    }
}

fn plan(options: PoolOptions, epoch: u64) -> Plan {
    let PoolOptions { places, model_name, context_tokens, stall, drain, .. } = options;
    Plan { epoch, places, model_name, context_tokens, stall, drain }
}

/// What the slots are called; places of one name are numbered.
fn names(places: &[Place]) -> Vec<Arc<str>> {
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
