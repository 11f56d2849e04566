//! Starts the server again should it die under us.
//!
//! Postgres restarts after a crash of one of its children by itself; this is for
//! the server's own process, such as one that was killed for memory.

use std::process::Child;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use super::postmaster::Running;
use super::{Cluster, EmbeddedError, EmbeddedOptions, lock_start, running};

const LOOK: Duration = Duration::from_millis(200);
/// Between two attempts to start it again.
const PAUSE: Duration = Duration::from_secs(1);

/// A thread that looks after the server.
#[derive(Debug)]
pub(super) struct Supervisor {
    dismissed: Sender<()>,
    thread: JoinHandle<Option<Child>>,
}

impl Supervisor {
    pub(super) fn watch(
        cluster: Arc<Cluster>,
        options: EmbeddedOptions,
        mut server: Running,
    ) -> Self {
        let (dismissed, dismissal) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut wait = LOOK;
            while dismissal.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                if server.is_alive() {
                    continue;
                }
                tracing::warn!(database.dir = %cluster.dir().display(), "db.embedded.died");
                wait = match restart(&cluster, &options) {
                    Ok(again) => {
                        server = again;
                        LOOK
                    }
                    Err(error) => {
                        tracing::error!(%error, "db.embedded.restart");
                        PAUSE
                    }
                };
            }
            server.into_child()
        });
        Self { dismissed, thread }
    }

    /// Ends the watch; gives the server's process, where it is our child.
    pub(super) fn dismiss(self) -> Option<Child> {
        drop(self.dismissed);
        self.thread.join().expect("the supervisor does not panic")
    }
}

/// Unless another process that uses it was quicker.
fn restart(cluster: &Cluster, options: &EmbeddedOptions) -> Result<Running, EmbeddedError> {
    let _starting = lock_start(cluster.dir())?;
    running(cluster, options)
}
