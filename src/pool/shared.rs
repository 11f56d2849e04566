//! What all tasks of a pool share: its slots, its model, who waits, and where a request goes.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::watch;

use super::affinity::Affinity;
use super::options::Plan;
use super::placement::{self, Candidate};
use super::relay::Placed;
use super::slot::{Place, Slot, WorkerReport};
use super::worker::Worker;
use super::{PoolError, PoolModel, remote};
use crate::engine::GenerationRequest;

/// What all tasks of a pool share.
pub(super) struct Shared {
    pub(super) slots: Vec<Arc<Slot>>,
    pub(super) model: RwLock<Option<Arc<PoolModel>>>,
    pub(super) affinity: Mutex<Affinity>,
    /// Counts whatever may let a waiting request go on.
    pub(super) changed: watch::Sender<u64>,
    pub(super) num_waiting: AtomicUsize,
    pub(super) max_waiting: usize,
    pub(super) patience: Duration,
    /// Held by the one worker that is being exchanged.
    pub(super) draining: Arc<tokio::sync::Mutex<()>>,
    /// Of the next reload; an epoch is never given twice.
    pub(super) next_epoch: AtomicU64,
    pub(super) plans: watch::Sender<Arc<Plan>>,
    /// The plan before a reload, until a worker has taken up the new one.
    pub(super) fallback: Mutex<Option<Arc<Plan>>>,
}

impl Shared {
    pub(super) fn model(&self) -> Option<Arc<PoolModel>> {
        self.model.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Something changed that a waiting request may want to know.
    pub(super) fn announce(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Puts a request to the best worker that takes it, those it failed at last.
    pub(super) fn place(
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
    pub(super) fn wait_ticket(self: &Arc<Self>) -> Result<WaitTicket, PoolError> {
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
    pub(super) fn admit_worker(&self, plan: &Plan, worker: &Worker) -> Result<(), PoolError> {
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
    pub(super) fn give_back_plan(&self, plan: &Plan, error: &PoolError) {
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

    pub(super) fn forget_home(&self, request: &GenerationRequest) {
        lock(&self.affinity).forget((request.cache_salt, request.cache_owner));
    }

    pub(super) fn forget_slot(&self, index: usize) {
        lock(&self.affinity).forget_slot(index);
    }

    /// Waits for the first worker.
    pub(super) async fn first_ready(&self) -> Result<(), PoolError> {
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
pub(super) struct WaitTicket(Arc<Shared>);

impl Drop for WaitTicket {
    fn drop(&mut self) {
        self.0.num_waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
