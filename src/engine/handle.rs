//! One OS thread that owns an engine, and the handles that reach it.
//!
//! Invariant: nobody waits in vain. Whether the thread stops or panics, every stream
//! gets its last event and every later `submit` an error.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

use super::disk_tier::Forgotten;
use super::intake::{Intake, MAX_BACKGROUND, Submission};
use super::label::Scope;
use super::{Engine, EngineError, EngineOptions, EngineStats, GenerationRequest, GenerationStream};
use crate::model::Model;
use crate::tokenizer::Tokenizer;

/// A cloneable handle on an engine with a thread of its own.
///
/// When the last handle is dropped the thread stops, after the step it is in, and what
/// still runs ends as [`super::FinishReason::Aborted`]. With a disk cache the thread goes
/// on for the seconds that the last blocks need to be written.
#[derive(Clone, Debug)]
pub struct EngineHandle {
    commands: Arc<SyncSender<Command>>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    intake: Arc<Intake>,
    /// As of the last step.
    stats: Arc<Mutex<EngineStats>>,
    /// What is to be forgotten; `None` once nobody is there to do it.
    forgotten: Arc<Mutex<Option<Vec<Forgotten>>>>,
    alarm: Alarm,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Wakes the engine's thread for what does not come as a command. There is one
/// [`Command::Wake`] at a time, so that it takes no place of a request's.
#[derive(Clone, Debug)]
struct Alarm {
    /// Not a handle: the last of those takes the thread along.
    commands: Weak<SyncSender<Command>>,
    is_set: Arc<AtomicBool>,
}

impl Alarm {
    fn ring(&self) {
        if self.is_set.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Some(commands) = self.commands.upgrade()
            && commands.try_send(Command::Wake).is_err()
        {
            // No room: the engine has something to wake for.
            self.is_set.store(false, Ordering::Release);
        }
    }

    /// The engine is awake, and looks at everything.
    fn reset(&self) {
        self.is_set.store(false, Ordering::Release);
    }
}

enum Command {
    Submit(Box<Submission>),
    /// Something waits for the engine beside its commands.
    Wake,
    Inspect(Inspection),
    Stop,
}

type Inspection = Box<dyn FnOnce(&Engine) + Send>;

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Submit(_) => "Submit",
            Self::Wake => "Wake",
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
        let (commands, receiver) = sync_channel(options.max_waiting + MAX_BACKGROUND + 16);
        let commands = Arc::new(commands);
        let alarm = Alarm { commands: Arc::downgrade(&commands), is_set: Arc::default() };
        engine.tiers.set_bell({
            let alarm = alarm.clone();
            move || alarm.ring()
        });
        let forgotten = Arc::new(Mutex::new(Some(Vec::new())));
        let thread = thread::Builder::new()
            .name("engine".into())
            .spawn({
                let (stats, forgotten) = (Arc::clone(&stats), Arc::clone(&forgotten));
                let alarm = alarm.clone();
                move || run(&mut engine, &Inbox { commands: receiver, alarm, forgotten }, &stats)
            })
            .map_err(|error| EngineError::Spawn(Arc::new(error)))?;
        let shared = Shared { intake, stats, forgotten, alarm, thread: Mutex::new(Some(thread)) };
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
        let stats = *lock(&self.shared.stats);
        EngineStats { num_waiting: self.shared.intake.num_waiting(), ..stats }
    }

    /// Whether its thread still lives.
    ///
    /// # Errors
    /// Why not.
    pub fn check_alive(&self) -> Result<(), EngineError> {
        self.shared.intake.exit().map_or(Ok(()), Err)
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

    /// Drops what was cached for an owner, and what continues it, for whomever, from
    /// memory and from the disk. What runs for it goes on, and is not kept. Returns when nothing is left
    /// of it, or only in blocks that a running sequence holds; it happens even if nobody
    /// waits for that. 0, which is nobody, has nothing.
    ///
    /// # Errors
    /// `DiskCache` if the disk refuses, or there is a disk cache that is not open, so that
    /// nobody knows what lies in it; `Stopped` or `Panicked` if the engine is gone.
    pub async fn forget_owner(&self, owner: u64) -> Result<(), EngineError> {
        self.forget(Scope::Owner(owner)).await
    }

    /// The same for all that was cached under a salt.
    ///
    /// # Errors
    /// As [`EngineHandle::forget_owner`].
    pub async fn forget_salt(&self, salt: u64) -> Result<(), EngineError> {
        self.forget(Scope::Salt(salt)).await
    }

    /// The same for either.
    ///
    /// # Errors
    /// As [`EngineHandle::forget_owner`].
    pub async fn forget(&self, scope: Scope) -> Result<(), EngineError> {
        let gone = || self.shared.intake.exit().unwrap_or(EngineError::Stopped);
        let (done, outcome) = oneshot::channel();
        {
            let mut forgotten = lock(&self.shared.forgotten);
            forgotten.as_mut().ok_or_else(gone)?.push(Forgotten { scope, done });
        }
        self.shared.alarm.ring();
        outcome.await.map_err(|_| gone())?
    }

    /// Stops the engine for all handles, and waits until its thread has ended: at most
    /// one step and what the disk cache still writes, so call it outside async code. What
    /// still runs ends as `Aborted`.
    pub fn shutdown(&self) {
        // If the thread is gone already, there is nobody to tell.
        let _ = self.commands.send(Command::Stop);
        let thread = lock(&self.shared.thread).take();
        if let Some(thread) = thread {
            thread.join().expect("the engine's thread catches its panics");
        }
    }

    pub(crate) fn inspect(
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

/// What reaches the engine's thread.
struct Inbox {
    commands: Receiver<Command>,
    alarm: Alarm,
    forgotten: Arc<Mutex<Option<Vec<Forgotten>>>>,
}

/// The thread: serves until it is told to stop, then ends what is left.
fn run(engine: &mut Engine, inbox: &Inbox, stats: &Mutex<EngineStats>) {
    let outcome = catch_unwind(AssertUnwindSafe(|| serve(engine, inbox, stats)));
    let panicked = |panic: Box<dyn Any + Send>| EngineError::Panicked(panic_message(&*panic));
    let error = outcome.map_err(panicked).and_then(|served| served).err();
    if let Some(error) = &error {
        tracing::error!(error.kind = error.kind(), %error, "the engine's thread ends");
    }
    // First the reason, then the streams: whoever sees the end can read why.
    engine.intake.close(error.clone().unwrap_or(EngineError::Stopped));
    engine.end_all(error.as_ref());
    // An engine that stops in order still forgets; one that broke down keeps nobody waiting.
    let left = lock(&inbox.forgotten).take().unwrap_or_default();
    if error.is_none() {
        left.into_iter().for_each(|forgotten| engine.forget(forgotten));
    }
    *lock(stats) = engine.stats();
}

/// Until it is told to stop, or can do nothing more.
fn serve(
    engine: &mut Engine,
    inbox: &Inbox,
    stats: &Mutex<EngineStats>,
) -> Result<(), EngineError> {
    let commands = &inbox.commands;
    loop {
        // Without work it sleeps; with work it only looks whether there is more.
        let mut next = if engine.is_resting() {
            commands.recv().map_err(|_| TryRecvError::Disconnected)
        } else {
            commands.try_recv()
        };
        loop {
            match next {
                Ok(Command::Submit(submission)) => engine.enqueue(*submission),
                Ok(Command::Inspect(look)) => look(engine),
                Ok(Command::Wake) => inbox.alarm.reset(),
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => {
                    return Ok(());
                }
                Err(TryRecvError::Empty) => break,
            }
            next = commands.try_recv();
        }
        // After the commands, so that whoever was submitted before is covered.
        let to_forget = lock(&inbox.forgotten).as_mut().map(std::mem::take).unwrap_or_default();
        to_forget.into_iter().for_each(|forgotten| engine.forget(forgotten));
        engine.step();
        *lock(stats) = engine.stats();
        if let Some(error) = engine.lost() {
            return Err(error.clone());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a message").to_owned()
}
