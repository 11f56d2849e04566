//! One OS thread that owns an engine, and the handles that reach it.
//!
//! Invariant: nobody waits in vain. Whether the thread stops or panics, every stream
//! gets its last event and every later `submit` an error.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

use super::intake::{Intake, Submission};
use super::{Engine, EngineError, EngineOptions, EngineStats, GenerationRequest, GenerationStream};
use crate::model::Model;
use crate::tokenizer::Tokenizer;

/// A cloneable handle on an engine with a thread of its own.
///
/// When the last handle is dropped the thread stops within a step, and what still runs
/// ends as [`super::FinishReason::Aborted`].
#[derive(Clone, Debug)]
pub struct EngineHandle {
    commands: SyncSender<Command>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    intake: Arc<Intake>,
    /// As of the last step.
    stats: Arc<Mutex<EngineStats>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Command {
    Submit(Box<Submission>),
    Inspect(Inspection),
    Stop,
}

type Inspection = Box<dyn FnOnce(&Engine) + Send>;

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Submit(_) => "Submit",
            Self::Inspect(_) => "Inspect",
            Self::Stop => "Stop",
        })
    }
}

impl EngineHandle {
    /// Builds an engine and starts its thread.
    ///
    /// Takes the memory of the KV cache before it returns: call it outside async code.
    ///
    /// # Errors
    /// As [`Engine::new`], and [`EngineError::Spawn`] if the system has no thread left.
    pub fn spawn(
        model: Arc<Model>,
        tokenizer: Arc<Tokenizer>,
        options: &EngineOptions,
    ) -> Result<Self, EngineError> {
        let mut engine = Engine::new(model, tokenizer, options)?;
        let intake = Arc::clone(&engine.intake);
        let stats = Arc::new(Mutex::new(engine.stats()));
        // Every waiting request has a ticket, so only inspections can find it full.
        let (commands, receiver) = sync_channel(options.max_waiting + 16);
        let thread = thread::Builder::new()
            .name("engine".into())
            .spawn({
                let stats = Arc::clone(&stats);
                move || run(&mut engine, &receiver, &stats)
            })
            .map_err(|error| EngineError::Spawn(Arc::new(error)))?;
        let shared = Shared { intake, stats, thread: Mutex::new(Some(thread)) };
        Ok(Self { commands, shared: Arc::new(shared) })
    }

    /// Puts a request in the queue. Never blocks.
    ///
    /// # Errors
    /// As [`Engine::submit`]; `Stopped` or `Panicked` if the engine is gone.
    pub fn submit(&self, request: GenerationRequest) -> Result<GenerationStream, EngineError> {
        let (submission, stream) = self.shared.intake.accept(request)?;
        self.send(Command::Submit(Box::new(submission)))?;
        Ok(stream)
    }

    /// What the engine holds and has done, as of its last step.
    pub fn stats(&self) -> EngineStats {
        let stats = *self.shared.stats.lock().unwrap_or_else(PoisonError::into_inner);
        EngineStats { num_waiting: self.shared.intake.num_waiting(), ..stats }
    }

    /// The most tokens one sequence can have, prompt and reply.
    pub fn context_tokens(&self) -> usize {
        self.shared.intake.context_tokens()
    }

    /// [`Engine::check_integrity`] between two steps.
    ///
    /// # Errors
    /// The contradiction it found, or why the engine is gone.
    pub async fn check_integrity(&self) -> Result<(), EngineError> {
        let (reply, outcome) = oneshot::channel();
        self.inspect(move |engine| {
            // Nobody waits for the answer if the caller is gone.
            let _ = reply.send(engine.check_integrity());
        })?;
        let gone = |_| self.shared.intake.exit().unwrap_or(EngineError::Stopped);
        Ok(outcome.await.map_err(gone)??)
    }

    /// Stops the engine for all handles, and waits until its thread has ended: at most
    /// one step, so call it outside async code. What still runs ends as `Aborted`.
    pub fn shutdown(&self) {
        // If the thread is gone already, there is nobody to tell.
        let _ = self.commands.send(Command::Stop);
        let thread = self.shared.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            thread.join().expect("the engine's thread catches its panics");
        }
    }

    pub(super) fn inspect(
        &self,
        look: impl FnOnce(&Engine) + Send + 'static,
    ) -> Result<(), EngineError> {
        self.send(Command::Inspect(Box::new(look)))
    }

    fn send(&self, command: Command) -> Result<(), EngineError> {
        self.commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => {
                let num_waiting = self.shared.intake.num_waiting();
                EngineError::Busy { num_waiting, max_waiting: num_waiting }
            }
            TrySendError::Disconnected(_) => {
                self.shared.intake.exit().unwrap_or(EngineError::Stopped)
            }
        })
    }
}

/// The thread: serves until it is told to stop, then ends what is left.
fn run(engine: &mut Engine, commands: &Receiver<Command>, stats: &Mutex<EngineStats>) {
    let outcome = catch_unwind(AssertUnwindSafe(|| serve(engine, commands, stats)));
    let error = outcome.err().map(|panic| EngineError::Panicked(panic_message(&*panic)));
    if let Some(error) = &error {
        tracing::error!(error.kind = error.kind(), "the engine's thread panicked");
    }
    // First the reason, then the streams: whoever sees the end can read why.
    engine.intake.close(error.clone().unwrap_or(EngineError::Stopped));
    engine.end_all(error.as_ref());
    *stats.lock().unwrap_or_else(PoisonError::into_inner) = engine.stats();
}

fn serve(engine: &mut Engine, commands: &Receiver<Command>, stats: &Mutex<EngineStats>) {
    loop {
        // Without work it sleeps; with work it only looks whether there is more.
        let mut next = if engine.is_idle() {
            commands.recv().map_err(|_| TryRecvError::Disconnected)
        } else {
            commands.try_recv()
        };
        loop {
            match next {
                Ok(Command::Submit(submission)) => engine.enqueue(*submission),
                Ok(Command::Inspect(look)) => look(engine),
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => return,
                Err(TryRecvError::Empty) => break,
            }
            next = commands.try_recv();
        }
        engine.step();
        *stats.lock().unwrap_or_else(PoisonError::into_inner) = engine.stats();
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a message").to_owned()
}
