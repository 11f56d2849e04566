//! The life of one request in the pool: placed, followed, and placed again where its
//! worker fails before a word was said.
//!
//! Once text went out there is no second try here: another worker would say it in other
//! words. Whoever asked begins anew, and shows that.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::shared::{Shared, WaitTicket};
use super::slot::{InFlight, Slot};
use super::stream::{Outlet, PoolEvent};
use super::worker::WorkerStream;
use super::{PoolError, PoolModel};
use crate::engine::{FinishReason, GenerationRequest, GenerationSummary};

/// How often a request is placed at most, but for workers that are busy.
const MAX_TRIES: u32 = 4;
/// Half of the rest after the first failure; twice as long after each more.
const REST: Duration = Duration::from_millis(50);

/// A request at a worker.
pub(super) struct Placed {
    pub(super) slot: usize,
    pub(super) stream: WorkerStream,
    pub(super) in_flight: InFlight,
    /// Closes when the slot lets go of the worker.
    pub(super) life: watch::Receiver<()>,
}

/// A request on its way.
pub(super) struct Relay {
    pub(super) shared: Arc<Shared>,
    pub(super) model: Arc<PoolModel>,
    pub(super) request: GenerationRequest,
    pub(super) outlet: Outlet,
    /// Its place among those who wait for a worker, until one takes it.
    pub(super) ticket: Option<WaitTicket>,
    /// Whether the stream was told that it started.
    pub(super) is_started: bool,
}

/// How it went at one worker.
enum Outcome {
    Ended,
    /// The worker failed, and nothing was said yet.
    Failed(PoolError),
}

impl Relay {
    /// Follows the request to its end, starting with where it was placed first, if it was.
    pub(super) async fn run(mut self, mut placed: Option<Placed>) {
        let began = Instant::now();
        let mut failed_at = Vec::new();
        for tries in 1_u32.. {
            let here = match placed.take() {
                Some(here) => here,
                None => match self.wait_for_place(&failed_at, began).await {
                    Ok(Some(here)) => here,
                    Ok(None) => return,
                    Err(error) => return self.outlet.send(PoolEvent::Failed(error)),
                },
            };
            self.ticket = None;
            let slot = here.slot;
            match self.follow(here, began).await {
                Outcome::Ended => return,
                Outcome::Failed(error) if self.tries_again(&error, tries, began) => {
                    let name = &self.shared.slots[slot].name;
                    tracing::warn!(worker = %name, error.kind = error.kind(), "pool.placed_again");
                    failed_at.push(slot);
                    let rest = REST * 2_u32.pow(tries.min(5));
                    tokio::select! {
                        () = tokio::time::sleep(rest) => {}
                        wanted = self.outlet.called_off() => return self.end_unbegun(wanted, began),
                    }
                }
                Outcome::Failed(error) => return self.outlet.send(PoolEvent::Failed(error)),
            }
        }
    }

    /// Whether a request that failed before its first word is placed again. A worker that has
    /// too much to do for now is asked as long as anybody is patient.
    fn tries_again(&self, error: &PoolError, tries: u32, began: Instant) -> bool {
        let may = if error.is_busy() {
            began.elapsed() < self.shared.patience
        } else {
            tries < MAX_TRIES
        };
        may && !self.request.prefill_only
    }

    /// It was called off before anybody began it.
    fn end_unbegun(&self, wanted: bool, began: Instant) {
        if wanted {
            self.outlet.send(PoolEvent::Finished(self.aborted(String::new(), began)));
        }
    }

    /// Places the request as soon as a worker takes it; `None` once it is called off.
    async fn wait_for_place(
        &mut self,
        failed_at: &[usize],
        began: Instant,
    ) -> Result<Option<Placed>, PoolError> {
        let mut changed = self.shared.changed.subscribe();
        let deadline = began + self.shared.patience;
        loop {
            changed.mark_unchanged();
            match self.shared.place(&self.model, &self.request, failed_at) {
                Ok(placed) => return Ok(Some(placed)),
                // Those who wait here have been let in.
                Err(error) if error.may_pass() => {
                    tokio::select! {
                        _ = changed.changed() => {}
                        () = tokio::time::sleep_until(deadline) => return Err(error),
                        wanted = self.outlet.called_off() => {
                            self.end_unbegun(wanted, began);
                            return Ok(None);
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Passes a worker's events on.
    async fn follow(&mut self, placed: Placed, began: Instant) -> Outcome {
        let Placed { slot, mut stream, in_flight, mut life } = placed;
        let waited_ms = ms(began);
        let mut said = String::new();
        let mut aborted = false;
        let outcome = loop {
            let event = tokio::select! {
                biased;
                event = stream.recv() => event.unwrap_or(PoolEvent::Failed(PoolError::Gone)),
                Err(_) = life.changed() => PoolEvent::Failed(PoolError::Gone),
                wanted = self.outlet.called_off(), if !aborted => {
                    if !wanted {
                        break Outcome::Ended;
                    }
                    stream.abort();
                    aborted = true;
                    continue;
                }
            };
            match unasked_end(event, aborted) {
                PoolEvent::Started { num_cached_tokens, queue_ms } => {
                    // Placed again, it starts no second time.
                    if !std::mem::replace(&mut self.is_started, true) {
                        let queue_ms = waited_ms + queue_ms;
                        self.outlet.send(PoolEvent::Started { num_cached_tokens, queue_ms });
                    }
                }
                PoolEvent::Text(text) => {
                    said.push_str(&text);
                    self.outlet.send(PoolEvent::Text(text));
                }
                PoolEvent::Finished(summary) => {
                    self.learn(&in_flight.0, &summary);
                    let queue_ms = waited_ms + summary.queue_ms;
                    let summary = GenerationSummary { queue_ms, ..summary };
                    self.outlet.send(PoolEvent::Finished(summary));
                    break Outcome::Ended;
                }
                PoolEvent::Failed(error) => {
                    if error.is_of_worker() {
                        self.shared.slots[slot].suspected.notify_one();
                        self.shared.forget_home(&self.request);
                    }
                    if aborted {
                        // It was to end here anyway.
                        let summary = self.aborted(said, began);
                        self.outlet.send(PoolEvent::Finished(summary));
                        break Outcome::Ended;
                    }
                    if said.is_empty() && (error.is_of_worker() || error.is_busy()) {
                        break Outcome::Failed(error);
                    }
                    self.outlet.send(PoolEvent::Failed(error));
                    break Outcome::Ended;
                }
            }
        };
        drop((stream, in_flight));
        self.shared.announce();
        outcome
    }

    fn learn(&self, slot: &Slot, summary: &GenerationSummary) {
        if matches!(summary.finish_reason, FinishReason::Aborted | FinishReason::Prefilled) {
            return;
        }
        let num_computed = summary.num_prompt_tokens.saturating_sub(summary.num_cached_tokens);
        slot.learn(num_computed, summary.prefill_ms, summary.prefill_ms + summary.decode_ms);
    }

    /// What stands of a reply that was called off and that no worker ended.
    fn aborted(&self, text: String, began: Instant) -> GenerationSummary {
        GenerationSummary {
            text,
            finish_reason: FinishReason::Aborted,
            token_ids: Vec::new(),
            num_prompt_tokens: self.request.prompt.len(),
            num_cached_tokens: 0,
            num_restored_tokens: 0,
            num_generated_tokens: 0,
            num_preemptions: 0,
            num_rewinds: 0,
            num_banned_passed: 0,
            queue_ms: ms(began),
            prefill_ms: 0,
            decode_ms: 0,
        }
    }
}

/// An engine that is shut down ends what it has as aborted; unless somebody asked for
/// that, the reply is not complete.
fn unasked_end(event: PoolEvent, aborted: bool) -> PoolEvent {
    match event {
        PoolEvent::Finished(summary)
            if summary.finish_reason == FinishReason::Aborted && !aborted =>
        {
            PoolEvent::Failed(PoolError::Gone)
        }
        event => event,
    }
}

fn ms(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
