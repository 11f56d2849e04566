//! The receiving end of one generation.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::mpsc::error::TryRecvError;

use super::request::{EngineError, GenerationEvent, GenerationSummary};
use super::sequence::SequenceId;

/// The events of one request. Dropping it cancels the request within one step.
#[derive(Debug)]
pub struct GenerationStream {
    id: SequenceId,
    events: UnboundedReceiver<GenerationEvent>,
    abort: Arc<AtomicBool>,
    exit: Arc<OnceLock<EngineError>>,
    /// Whether the last event was given out.
    ended: bool,
}

/// Asks for the end of a generation, from wherever it is cloned to.
#[derive(Debug, Clone)]
pub struct Aborter(Arc<AtomicBool>);

impl Aborter {
    /// Ends the generation within one step: the stream gets the text so far, as
    /// [`super::FinishReason::Aborted`]. Does nothing if it has ended.
    pub fn abort(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl GenerationStream {
    pub(super) fn new(
        id: SequenceId,
        events: UnboundedReceiver<GenerationEvent>,
        abort: Arc<AtomicBool>,
        exit: Arc<OnceLock<EngineError>>,
    ) -> Self {
        Self { id, events, abort, exit, ended: false }
    }

    /// What [`super::Engine::abort`] takes.
    pub fn id(&self) -> SequenceId {
        self.id
    }

    /// The next event; `None` after `Finished` or `Failed`. Cancel-safe.
    pub async fn recv(&mut self) -> Option<GenerationEvent> {
        if self.ended {
            return None;
        }
        let event = self.events.recv().await;
        Some(self.give_out(event))
    }

    /// The same, for threads outside the async runtime.
    ///
    /// # Panics
    /// If called from async code.
    pub fn blocking_recv(&mut self) -> Option<GenerationEvent> {
        if self.ended {
            return None;
        }
        let event = self.events.blocking_recv();
        Some(self.give_out(event))
    }

    /// An event that is there already.
    pub fn try_recv(&mut self) -> Option<GenerationEvent> {
        if self.ended {
            return None;
        }
        match self.events.try_recv() {
            Ok(event) => Some(self.give_out(Some(event))),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(self.give_out(None)),
        }
    }

    /// Reads to the end.
    ///
    /// # Errors
    /// Why there is no reply.
    pub async fn finish(mut self) -> Result<GenerationSummary, EngineError> {
        loop {
            if let Some(outcome) = self.recv().await.and_then(outcome) {
                return outcome;
            }
        }
    }

    /// The same, for threads outside the async runtime.
    ///
    /// # Errors
    /// Why there is no reply.
    ///
    /// # Panics
    /// If called from async code.
    pub fn blocking_finish(mut self) -> Result<GenerationSummary, EngineError> {
        loop {
            if let Some(outcome) = self.blocking_recv().and_then(outcome) {
                return outcome;
            }
        }
    }

    /// Something that can end this generation from elsewhere, with its text kept.
    pub fn aborter(&self) -> Aborter {
        Aborter(Arc::clone(&self.abort))
    }

    /// A channel that closed without a last event means that the engine is gone.
    fn give_out(&mut self, event: Option<GenerationEvent>) -> GenerationEvent {
        let event = event.unwrap_or_else(|| {
            let reason = self.exit.get().cloned().unwrap_or(EngineError::Stopped);
            GenerationEvent::Failed(reason)
        });
        self.ended = matches!(event, GenerationEvent::Finished(_) | GenerationEvent::Failed(_));
        event
    }
}

fn outcome(event: GenerationEvent) -> Option<Result<GenerationSummary, EngineError>> {
    match event {
        GenerationEvent::Started { .. } | GenerationEvent::Text(_) => None,
        GenerationEvent::Finished(summary) => Some(Ok(summary)),
        GenerationEvent::Failed(error) => Some(Err(error)),
    }
}
