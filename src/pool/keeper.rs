//! One task a slot: starts its worker, watches over it, replaces it.
//!
//! Invariant: a slot is never given up. Whatever is wrong with a worker, it is started
//! again, sooner at first and later more patiently.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedMutexGuard, watch};

use super::PoolError;
use super::local::LocalWorker;
use super::options::Plan;
use super::remote::RemoteWorker;
use super::shared::Shared;
use super::slot::{Place, Slot};
use super::worker::Worker;

/// Between the first two tries to start a worker; twice as long each time.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// Between two tries at the longest.
const RETRY_LAST: Duration = Duration::from_secs(15);

pub(super) struct Keeper {
    pub(super) shared: Arc<Shared>,
    pub(super) index: usize,
    pub(super) plans: watch::Receiver<Arc<Plan>>,
    /// The model that the slot had last, and in which epoch.
    pub(super) known: Option<(u64, String)>,
}

/// Why a worker is not kept.
enum Relief {
    Failed(PoolError),
    /// Another plan holds, and it is this slot's turn to take it up.
    Replanned(OwnedMutexGuard<()>),
    /// The pool is gone.
    Over,
}

impl Keeper {
    fn slot(&self) -> &Arc<Slot> {
        &self.shared.slots[self.index]
    }

    /// Keeps the slot until the pool ends.
    pub(super) async fn run(mut self) {
        let mut rest = RETRY_FIRST;
        // Ours alone while the worker is exchanged for a reload.
        let mut turn = None;
        loop {
            let plan = self.plans.borrow_and_update().clone();
            self.slot().restart();
            self.shared.announce();
            let relief = match self.start(&plan).await {
                Ok(worker) => match self.admit(&plan, worker) {
                    Ok(worker) => {
                        rest = RETRY_FIRST;
                        drop(turn.take());
                        self.serve(&plan, &worker).await
                    }
                    Err(error) => Relief::Failed(error),
                },
                Err(error) => Relief::Failed(error),
            };
            match relief {
                Relief::Failed(error) => self.down(&plan, &error),
                Relief::Replanned(own) => {
                    turn = Some(own);
                    continue;
                }
                Relief::Over => return,
            }
            drop(turn.take());
            tokio::select! {
                () = tokio::time::sleep(rest) => rest = (rest * 2).min(RETRY_LAST),
                changed = self.plans.changed() => match changed {
                    Ok(()) => rest = RETRY_FIRST,
                    Err(_) => return,
                },
            }
        }
    }

    async fn start(&self, plan: &Plan) -> Result<Worker, PoolError> {
        match plan.places[self.index].clone() {
            Place::Local(options) => {
                let started = tokio::task::spawn_blocking(move || LocalWorker::start(&options));
                let worker = started.await.map_err(|_| PoolError::Gone)??;
                Ok(Worker::Local(worker))
            }
            Place::Remote(options) => Ok(Worker::Remote(RemoteWorker::reach(options).await?)),
        }
    }

    /// The slot has the worker, if it is what the others are and what it was before.
    fn admit(&mut self, plan: &Plan, worker: Worker) -> Result<Arc<Worker>, PoolError> {
        let worker = Arc::new(worker);
        let fingerprint = worker.fingerprint().to_owned();
        if let Some((epoch, before)) = &self.known
            && *epoch == plan.epoch
            && *before != fingerprint
        {
            return Err(PoolError::Options(format!(
                "this one served {before} and now {fingerprint}: reload or restart if that is meant"
            )));
        }
        self.shared.admit_worker(plan, &worker)?;
        self.known = Some((plan.epoch, fingerprint));
        self.slot().install(worker.clone(), plan.epoch);
        self.shared.announce();
        tracing::info!(worker = %self.slot().name, "pool.worker_ready");
        Ok(worker)
    }

    /// Watches over the worker until something is wrong with it or another plan holds.
    async fn serve(&mut self, plan: &Plan, worker: &Arc<Worker>) -> Relief {
        let slot = self.slot().clone();
        let draining = self.shared.draining.clone();
        let mut is_replanned = false;
        loop {
            tokio::select! {
                () = tokio::time::sleep(worker.check_every()) => {}
                () = slot.suspected.notified() => {}
                changed = self.plans.changed(), if !is_replanned => match changed {
                    Ok(()) => is_replanned = true,
                    Err(_) => return Relief::Over,
                },
                turn = draining.clone().lock_owned(), if is_replanned => {
                    // The new plan may have been given back before it was our turn.
                    if self.plans.borrow_and_update().epoch != plan.epoch {
                        self.drain(plan, worker).await;
                        return Relief::Replanned(turn);
                    }
                    is_replanned = false;
                }
            }
            if let Err(error) = worker.check(&slot.name, plan.stall).await {
                self.shared.forget_slot(self.index);
                return Relief::Failed(error);
            }
        }
    }

    /// Lets the worker finish what it has, and ends it.
    async fn drain(&self, plan: &Plan, worker: &Arc<Worker>) {
        self.slot().set_draining();
        let idle = async {
            let mut changed = self.shared.changed.subscribe();
            while self.slot().num_in_flight() > 0 {
                let _ = tokio::time::timeout(Duration::from_millis(100), changed.changed()).await;
            }
        };
        if tokio::time::timeout(plan.drain, idle).await.is_err() {
            let num_left = self.slot().num_in_flight();
            tracing::warn!(worker = %self.slot().name, num_left, "pool.drain_cut_short");
        }
        self.shared.forget_slot(self.index);
        // The old model's memory is free before the new one's is taken.
        self.slot().restart();
        self.shared.announce();
        if let Worker::Local(local) = worker.as_ref() {
            let engine = local.engine.clone();
            let ended = tokio::task::spawn_blocking(move || engine.shutdown());
            if tokio::time::timeout(plan.stall, ended).await.is_err() {
                tracing::error!(worker = %self.slot().name, "pool.engine_does_not_end");
            }
        }
    }

    fn down(&self, plan: &Plan, error: &PoolError) {
        tracing::error!(
            worker = %self.slot().name, error.kind = error.kind(), %error, "pool.worker_down"
        );
        self.slot().put_down(error.to_string());
        self.shared.announce();
        self.shared.give_back_plan(plan, error);
    }
}
