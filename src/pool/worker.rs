//! What a worker is to the pool: here or elsewhere.

use std::sync::Arc;
use std::time::Duration;

use super::PoolError;
use super::local::LocalWorker;
use super::remote::{RemoteStream, RemoteWorker};
use super::stream::PoolEvent;
use crate::engine::{GenerationEvent, GenerationRequest, GenerationStream, Scope};
use crate::tokenizer::Tokenizer;

pub(super) enum Worker {
    Local(LocalWorker),
    Remote(RemoteWorker),
}

impl Worker {
    /// Puts a request into the worker's queue. Never blocks.
    pub(super) fn submit(&self, request: GenerationRequest) -> Result<WorkerStream, PoolError> {
        Ok(match self {
            Self::Local(worker) => WorkerStream::Local(worker.engine.submit(request)?),
            Self::Remote(worker) => WorkerStream::Remote(worker.submit(request)?),
        })
    }

    pub(super) fn is_remote(&self) -> bool {
        matches!(self, Self::Remote(_))
    }

    /// Requests that it runs at once.
    pub(super) fn capacity(&self) -> usize {
        match self {
            Self::Local(worker) => worker.capacity,
            Self::Remote(worker) => worker.capacity(),
        }
    }

    pub(super) fn context_tokens(&self) -> usize {
        match self {
            Self::Local(worker) => worker.engine.context_tokens(),
            Self::Remote(worker) => worker.context_tokens(),
        }
    }

    pub(super) fn fingerprint(&self) -> &str {
        match self {
            Self::Local(worker) => &worker.model_fingerprint,
            Self::Remote(worker) => worker.fingerprint(),
        }
    }

    pub(super) fn tokenizer(&self) -> &Arc<Tokenizer> {
        match self {
            Self::Local(worker) => &worker.tokenizer,
            Self::Remote(worker) => worker.tokenizer(),
        }
    }

    /// Drops what is cached, from memory and disk.
    pub(super) async fn forget(&self, scope: Scope) -> Result<(), PoolError> {
        match self {
            Self::Local(local) => Ok(local.engine.forget(scope).await?),
            Self::Remote(remote) => Ok(remote.forget(scope).await?),
        }
    }

    /// How long one may rest between two checks.
    pub(super) fn check_every(&self) -> Duration {
        match self {
            Self::Local(_) => Duration::from_millis(500),
            Self::Remote(_) => Duration::from_secs(5),
        }
    }

    /// Whether it can still be given requests.
    ///
    /// # Errors
    /// Why not.
    pub(super) async fn check(&self, name: &Arc<str>, stall: Duration) -> Result<(), PoolError> {
        match self {
            Self::Local(worker) => worker.check(name, stall),
            Self::Remote(worker) => Ok(worker.check().await?),
        }
    }
}

/// The events of one request at one worker. Dropping it cancels the request.
pub(super) enum WorkerStream {
    Local(GenerationStream),
    Remote(RemoteStream),
}

impl WorkerStream {
    /// The next event; `None` after the last. Cancel-safe.
    pub(super) async fn recv(&mut self) -> Option<PoolEvent> {
        match self {
            Self::Local(stream) => Some(match stream.recv().await? {
                GenerationEvent::Started { num_cached_tokens, queue_ms } => {
                    PoolEvent::Started { num_cached_tokens, queue_ms }
                }
                GenerationEvent::Text(text) => PoolEvent::Text(text),
                GenerationEvent::Finished(summary) => PoolEvent::Finished(summary),
                GenerationEvent::Failed(error) => PoolEvent::Failed(error.into()),
            }),
            Self::Remote(stream) => stream.recv().await,
        }
    }

    /// Ends it with the text so far.
    pub(super) fn abort(&self) {
        match self {
            Self::Local(stream) => stream.aborter().abort(),
            Self::Remote(stream) => stream.abort(),
        }
    }
}
