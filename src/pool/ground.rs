//! The thread that a pool's tasks run on.

use std::sync::Mutex;
use std::thread::{self, JoinHandle};

use tokio::runtime::{self, Handle};
use tokio::sync::oneshot;

use super::shared::lock;

/// The thread that the pool's tasks run on: whoever asks for replies may come from any
/// runtime, or from none.
pub(super) struct Ground {
    pub(super) runtime: Handle,
    over: Mutex<Option<oneshot::Sender<()>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Ground {
    pub(super) fn start() -> Self {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("the system gives a runtime what it needs");
        let handle = runtime.handle().clone();
        let (over, ended) = oneshot::channel::<()>();
        let thread = thread::Builder::new()
            .name("pool".into())
            .spawn(move || {
                // Either way the pool is over.
                let _ = runtime.block_on(ended);
                // A model that is being loaded is not waited for.
                runtime.shutdown_background();
            })
            .expect("the system gives a thread");
        Self { runtime: handle, over: Mutex::new(Some(over)), thread: Mutex::new(Some(thread)) }
    }

    /// Ends all tasks.
    pub(super) fn end(&self) {
        drop(lock(&self.over).take());
        if let Some(thread) = lock(&self.thread).take() {
            thread.join().expect("tasks catch their panics");
        }
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        drop(lock(&self.over).take());
    }
}
