//! A private Postgres on a unix socket in the data directory.
//!
//! No TCP, no password: the socket stands in a directory that only its owner can
//! enter. Every process that uses the server holds a shared lock; the last one
//! out stops it, and a lock dies with its process, so that `kill -9` leaves
//! nothing behind that the next start could not adopt. Not a way to run Postgres
//! for others: `database.url` names a server of that kind.

mod account;
mod binaries;
mod cluster;
mod error;
mod fetched;
mod postmaster;
mod socket;
mod supervisor;

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

pub use error::EmbeddedError;

use account::Account;
use binaries::Binaries;
use cluster::Cluster;
use postmaster::Running;
use supervisor::Supervisor;

use crate::fetch::{Fetcher, Progress};

/// The database, and the role that owns it.
pub(super) const NAME: &str = "dramatis";

/// How the private server is run.
#[derive(Clone)]
pub struct EmbeddedOptions {
    /// A directory of its own; made if it is not there.
    pub dir: PathBuf,
    /// Whether a server that is installed on this machine may be used.
    pub search: bool,
    /// Fetches a server where none is installed; `None` fetches nothing.
    pub fetcher: Option<Fetcher>,
    /// Is told how a fetch goes.
    pub fetch_progress: Arc<dyn Progress + Send + Sync>,
    /// Further settings, after ours.
    pub settings: Vec<(String, String)>,
    /// Is told what is going on: the first start takes seconds.
    pub progress: Arc<dyn Fn(ServerStep) + Send + Sync>,
}

impl EmbeddedOptions {
    /// A server in this directory from what is installed here, telling nobody
    /// how it goes.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            search: true,
            fetcher: None,
            fetch_progress: Arc::new(()),
            settings: Vec::new(),
            progress: Arc::new(|_| ()),
        }
    }
}

impl fmt::Debug for EmbeddedOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedOptions").field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// What the private server is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerStep {
    /// Its programs are fetched, since this machine has none.
    Fetching,
    /// Its tables are laid out; once in the life of a data directory.
    Initialising,
    /// It starts.
    Starting,
    /// It runs already, and is shared.
    Adopted,
}

/// The private server, running as long as this lives.
#[derive(Debug)]
pub struct EmbeddedServer {
    cluster: Arc<Cluster>,
    socket_dir: PathBuf,
    /// Held shared: somebody uses the server.
    users: File,
    /// Starts it again should it die; gone once we have left.
    supervisor: Option<Supervisor>,
}

impl EmbeddedServer {
    /// Finds the server running and shares it, or starts it; the first time, lays
    /// its data directory out. Blocks, for seconds the first time.
    ///
    /// # Errors
    /// Says what is missing or in the way, and what to do.
    pub fn start(options: &EmbeddedOptions) -> Result<Self, EmbeddedError> {
        let account = Account::choose(&options.dir)?;
        account.require_passage(&options.dir)?;
        account.private_dir(&options.dir)?;
        let dir = options.dir.canonicalize().map_err(EmbeddedError::io("open", &options.dir))?;
        let _starting = lock_start(&dir)?;
        let users = open_lock(&dir.join("users.lock"))?;
        users.lock_shared().map_err(EmbeddedError::io("lock", &dir.join("users.lock")))?;
        let cluster = Arc::new(Cluster::new(dir, account));
        let running = running(&cluster, options)?;
        let socket_dir = running.socket_dir.clone();
        let supervisor = Some(Supervisor::watch(cluster.clone(), options.clone(), running));
        Ok(Self { cluster, socket_dir, users, supervisor })
    }

    /// How to connect to a database of the server.
    pub(super) fn connect_options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(&self.socket_dir)
            .port(socket::PORT)
            .ssl_mode(PgSslMode::Disable)
            .username(NAME)
            .database(database)
    }

    /// The address of one of its databases, for those who may enter the socket's
    /// directory; good for `psql` too.
    pub fn url(&self, database: &str) -> String {
        let mut socket_dir = String::new();
        for byte in self.socket_dir.as_os_str().as_bytes() {
            socket_dir.push_str(&format!("%{byte:02X}"));
        }
        format!("postgres://{NAME}@{socket_dir}/{database}")
    }

    /// Stops using the server; the last one out stops it. Blocks until it is
    /// down. Done by `Drop` as well, where a failure can only be logged.
    ///
    /// # Errors
    /// Where the server does not stop.
    pub fn stop(mut self) -> Result<(), EmbeddedError> {
        self.leave()
    }

    fn leave(&mut self) -> Result<(), EmbeddedError> {
        let Some(supervisor) = self.supervisor.take() else { return Ok(()) };
        let child = supervisor.dismiss();
        let _stopping = lock_start(self.cluster.dir())?;
        let lock = self.cluster.dir().join("users.lock");
        self.users.unlock().map_err(EmbeddedError::io("unlock", &lock))?;
        match self.users.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(()),
            Err(TryLockError::Error(source)) => {
                return Err(EmbeddedError::Io { action: "lock", path: lock, source });
            }
            Ok(()) => {}
        }
        let stopped = postmaster::stop(&self.cluster, child);
        self.users.unlock().map_err(EmbeddedError::io("unlock", &lock))?;
        stopped
    }
}

impl Drop for EmbeddedServer {
    fn drop(&mut self) {
        if let Err(error) = self.leave() {
            tracing::warn!(%error, "db.embedded.stop");
        }
    }
}

/// The server of the cluster, found or started. The start is locked.
fn running(cluster: &Cluster, options: &EmbeddedOptions) -> Result<Running, EmbeddedError> {
    if let Some(running) = postmaster::adopt(cluster)? {
        (options.progress)(ServerStep::Adopted);
        tracing::info!(database.dir = %cluster.dir().display(), "db.embedded.adopt");
        return Ok(running);
    }
    let binaries = Binaries::find(cluster, options)?;
    if !cluster.is_initialised() {
        (options.progress)(ServerStep::Initialising);
        cluster.initialise(&binaries)?;
    }
    (options.progress)(ServerStep::Starting);
    let socket_dir = socket::private_dir(cluster)?;
    let running = postmaster::start(cluster, &binaries, socket_dir, &options.settings)?;
    tracing::info!(
        database.dir = %cluster.dir().display(),
        database.major = binaries.major,
        "db.embedded.start"
    );
    Ok(running)
}

/// Only one process starts or stops the server at a time.
fn lock_start(dir: &Path) -> Result<File, EmbeddedError> {
    let path = dir.join("start.lock");
    let file = open_lock(&path)?;
    file.lock().map_err(EmbeddedError::io("lock", &path))?;
    Ok(file)
}

fn open_lock(path: &Path) -> Result<File, EmbeddedError> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(EmbeddedError::io("open", path))
}
