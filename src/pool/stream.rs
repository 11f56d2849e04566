//! The receiving end of one reply, wherever it is written.

use tokio::sync::{mpsc, watch};

use super::PoolError;
use crate::engine::GenerationSummary;

/// What happens to a request, in this order: `Started`, any number of `Text`, and one
/// of `Finished` or `Failed`. An aborted request may finish without having started.
#[derive(Debug)]
pub enum PoolEvent {
    /// A worker computes it.
    Started {
        /// Tokens of the prompt that need not be computed; 0 where a remote worker does
        /// not tell before the end.
        num_cached_tokens: usize,
        /// How long it waited, in the pool and at the worker, in milliseconds.
        queue_ms: u64,
    },
    /// More of the reply, never empty: whole characters that stay.
    Text(String),
    /// The reply is complete.
    Finished(GenerationSummary),
    /// There will be no reply.
    Failed(PoolError),
}

/// The events of one request. Dropping it cancels the request.
#[derive(Debug)]
pub struct PoolStream {
    events: mpsc::UnboundedReceiver<PoolEvent>,
    abort: watch::Sender<bool>,
    ended: bool,
}

/// Asks for the end of a generation, from wherever it is cloned to.
#[derive(Debug, Clone)]
pub struct Aborter(watch::Sender<bool>);

impl Aborter {
    /// Ends the generation: the stream gets the text so far, as
    /// [`crate::engine::FinishReason::Aborted`]. Does nothing if it has ended.
    pub fn abort(&self) {
        self.0.send_replace(true);
    }
}

/// The sending end.
#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) events: mpsc::UnboundedSender<PoolEvent>,
    pub(super) abort: watch::Receiver<bool>,
}

impl Outlet {
    /// Resolves once the reply is called off: `true` if its text is wanted.
    pub(super) async fn called_off(&mut self) -> bool {
        tokio::select! {
            () = self.events.closed() => false,
            wanted = raised(&mut self.abort) => wanted,
        }
    }

    /// Nobody is there to hear it: then it does not matter.
    pub(super) fn send(&self, event: PoolEvent) {
        let _ = self.events.send(event);
    }
}

/// Resolves once the flag is raised, or nobody can raise it any more: then the stream is
/// gone, and `false` says so.
async fn raised(flag: &mut watch::Receiver<bool>) -> bool {
    flag.wait_for(|raised| *raised).await.is_ok()
}

pub(super) fn stream() -> (Outlet, PoolStream) {
    let (events, receiver) = mpsc::unbounded_channel();
    let (abort, aborted) = watch::channel(false);
    (Outlet { events, abort: aborted }, PoolStream { events: receiver, abort, ended: false })
}

impl PoolStream {
    /// The next event; `None` after `Finished` or `Failed`. Cancel-safe.
    pub async fn recv(&mut self) -> Option<PoolEvent> {
        if self.ended {
            return None;
        }
        let event = self.events.recv().await.unwrap_or(PoolEvent::Failed(PoolError::Gone));
        self.ended = matches!(event, PoolEvent::Finished(_) | PoolEvent::Failed(_));
        Some(event)
    }

    /// Reads to the end.
    ///
    /// # Errors
    /// Why there is no reply.
    pub async fn finish(mut self) -> Result<GenerationSummary, PoolError> {
        loop {
            match self.recv().await {
                Some(PoolEvent::Finished(summary)) => return Ok(summary),
                Some(PoolEvent::Failed(error)) => return Err(error),
                Some(_) => {}
                None => return Err(PoolError::Gone),
            }
        }
    }

    /// Something that can end this generation from elsewhere, with its text kept.
    pub fn aborter(&self) -> Aborter {
        Aborter(self.abort.clone())
    }
}
