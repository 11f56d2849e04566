//! The loop that claims scenes and makes their replies.
//!
//! Several scenes at once, one reply at a time in each: the lane sees to that.
//! Work is looked for when it is announced, by this process or another, and now and
//! then unasked, since an announcement may be missed and a process may die over work.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;
use tracing::Instrument;

use crate::pool::WorkerStatus;
use crate::store::{Claim, Stop};
use crate::telemetry::{metrics, spans};

use super::Chat;
use super::reply::Ended;
use super::sink::Stage;

/// How long the loop rests when the database fails.
const REST: Duration = Duration::from_secs(1);

/// Makes replies until `stopping` says `true`, or until nobody is left who could say
/// so; at most `max_replies` at once, or else twice what the workers can at the time: some
/// load or send while others are written.
/// Returns once those in the making have been given back.
pub async fn run_jobs<S: Stage>(
    chat: Arc<Chat>,
    stage: S,
    max_replies: Option<usize>,
    mut stopping: watch::Receiver<bool>,
) {
    // Of its own, so that a database that is slow to give work keeps no stop waiting; it
    // ends with this.
    let mut ear = JoinSet::new();
    ear.spawn(heed_stops(chat.clone(), chat.store.stops()));
    let mut replies = JoinSet::new();
    while !*stopping.borrow_and_update() {
        let most = max_replies.unwrap_or_else(|| chat.pool.capacity().max(1) * 2);
        while replies.len() < most {
            match chat.store.claim_lane().await {
                Ok(Some(claim)) => {
                    replies.spawn(run_job(chat.clone(), stage.clone(), claim, stopping.clone()));
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::error!(error.kind = error.kind(), %error, "no work can be claimed");
                    tokio::time::sleep(REST).await;
                    break;
                }
            }
        }
        chat.metrics.set(metrics::JOBS, "running", replies.len() as f64);
        chat.count_workers();
        tokio::select! {
            () = chat.store.wait_for_work(chat.settings.poll) => {}
            Some(ended) = replies.join_next() => report(ended),
            changed = stopping.changed() => {
                if changed.is_err() {
                    break;
                }
            }
        }
    }
    while let Some(ended) = replies.join_next().await {
        report(ended);
    }
}

impl Chat {
    /// How many workers are in which state, for whoever watches.
    fn count_workers(&self) {
        let reports = self.pool.workers_report();
        for status in WorkerStatus::ALL {
            let number = reports.iter().filter(|report| report.status == status).count();
            self.metrics.set(metrics::WORKERS, status.as_str(), number as f64);
        }
    }
}

/// Ends replies that were stopped, wherever that was.
async fn heed_stops(chat: Arc<Chat>, mut stops: broadcast::Receiver<Stop>) {
    loop {
        match stops.recv().await {
            Ok(stop) => chat.heed(stop),
            // What was missed is known by its fence.
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

/// A reply that panics is a bug of ours; its lease runs out and another try
/// follows, so the loop goes on.
fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a reply broke down");
    }
}

async fn run_job<S: Stage>(
    chat: Arc<Chat>,
    stage: S,
    claim: Claim,
    stopping: watch::Receiver<bool>,
) {
    let Claim { guild_id, scene_id, .. } = claim;
    let span = spans::reply(claim.job.id.0, scene_id.0, guild_id.0, claim.job.attempts);
    let outcome = async {
        match chat.make_reply(&stage, &claim, stopping).await {
            Ok(()) => "done",
            Err(Ended::GivenUp(error)) => {
                tracing::warn!(error.kind = error.kind(), "the reply is given up");
                "failed"
            }
            Err(Ended::PutBack(error)) => {
                tracing::warn!(error.kind = error.kind(), "the reply is tried again");
                "retried"
            }
            Err(Ended::Failed(error)) => {
                tracing::error!(error.kind = error.kind(), %error, "the job waits for its lease");
                "failed"
            }
            Err(Ended::Lost) => "lost",
            Err(Ended::Stopping) => {
                if let Err(error) = chat.store.release_claim(&claim).await {
                    tracing::warn!(error.kind = error.kind(), "the job waits for its lease to end");
                }
                "released"
            }
        }
    }
    .instrument(span.clone())
    .await;
    span.record("reply.outcome", outcome);
    span.in_scope(|| tracing::info!("the job ended"));
    chat.metrics.count(metrics::REPLIES, outcome, 1);
}
