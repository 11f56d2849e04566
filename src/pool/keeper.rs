//! One task a slot: starts its worker, watches over it, replaces it.
//!
//! Invariant: a slot is never given up. Whatever is wrong with a worker, it is started
//! again, sooner at first and later more patiently.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::local::LocalWorker;
use super::remote::RemoteWorker;
use super::slot::{Place, Slot, WorkerStatus};
use super::worker::Worker;
use super::{Plan, PoolError, Shared};

/// Between the first two tries to start a worker; twice as long each time.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// Between two tries at the longest.
const RETRY_LAST: Duration = Duration::from_secs(15);

pub(super) struct Keeper {
    pub(super) shared: Arc<Shared>,
    pub(super) index: usize,
    pub(super) plans: watch::Receiver<Arc<Plan>>,
}

/// Why a worker is not kept.
enum Relief {
    Failed(PoolError),
    /// Another plan holds.
    Replanned,
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
        loop {
            let plan = self.plans.borrow_and_update().clone();
            self.clear(WorkerStatus::Starting, None);
            match self.start(&plan).await {
                Ok(worker) => {
                    rest = RETRY_FIRST;
                    match self.serve(&plan, worker).await {
                        Relief::Failed(error) => self.down(&plan, &error),
                        Relief::Replanned => continue,
                        Relief::Over => return,
                    }
                }
                Err(error) => self.down(&plan, &error),
            }
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

    /// The worker is ready until something is wrong with it or another plan holds.
    async fn serve(&mut self, plan: &Plan, worker: Worker) -> Relief {
        let worker = Arc::new(worker);
        let slot = self.slot().clone();
        if let Err(error) = self.shared.admit_worker(plan, &worker) {
            return Relief::Failed(error);
        }
        self.slot().install(worker.clone(), plan.epoch);
        self.shared.announce();
        tracing::info!(worker = %self.slot().name, "pool.worker_ready");
        loop {
            tokio::select! {
                () = tokio::time::sleep(worker.check_every()) => {}
                () = slot.suspected.notified() => {}
                changed = self.plans.changed() => return match changed {
                    Ok(()) => {
                        self.drain(plan, &worker).await;
                        Relief::Replanned
                    }
                    Err(_) => Relief::Over,
                },
            }
            if let Err(error) = worker.check(&self.slot().name, plan.stall).await {
                self.shared.forget_slot(self.index);
                return Relief::Failed(error);
            }
        }
    }

    /// Lets the worker finish what it has; one worker of the pool at a time, so that the
    /// others serve meanwhile.
    async fn drain(&self, plan: &Plan, worker: &Arc<Worker>) {
        let _turn = self.shared.draining.lock().await;
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
        self.clear(WorkerStatus::Starting, None);
        if let Worker::Local(local) = worker.as_ref() {
            let engine = local.engine.clone();
            let _ = tokio::task::spawn_blocking(move || engine.shutdown()).await;
        }
    }

    fn down(&self, plan: &Plan, error: &PoolError) {
        tracing::error!(
            worker = %self.slot().name, error.kind = error.kind(), %error, "pool.worker_down"
        );
        self.clear(WorkerStatus::Down, Some(error.to_string()));
        self.shared.give_back_plan(plan, error);
    }

    fn clear(&self, status: WorkerStatus, reason: Option<String>) {
        self.slot().clear(status, reason);
        self.shared.announce();
    }
}
