//! The cluster: the directory that a server keeps its data in.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::account::Account;
use super::binaries::Binaries;
use super::{EmbeddedError, NAME};

/// A cluster's directory and whose it is.
#[derive(Debug)]
pub(super) struct Cluster {
    dir: PathBuf,
    account: Account,
}

impl Cluster {
    pub(super) fn new(dir: PathBuf, account: Account) -> Self {
        Self { dir, account }
    }

    /// The directory that holds data, socket, log and locks.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// What Postgres calls the data directory.
    pub(super) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// What the server says.
    pub(super) fn log(&self) -> PathBuf {
        self.dir.join("postgres.log")
    }

    pub(super) fn account(&self) -> &Account {
        &self.account
    }

    pub(super) fn is_initialised(&self) -> bool {
        self.data().join("PG_VERSION").exists()
    }

    /// The major version that made it, once it is made.
    pub(super) fn major(&self) -> Result<Option<u32>, EmbeddedError> {
        let path = self.data().join("PG_VERSION");
        match fs::read_to_string(&path) {
            Ok(version) => version.trim().parse().map(Some).map_err(|_| EmbeddedError::Io {
                action: "read",
                path,
                source: ErrorKind::InvalidData.into(),
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(EmbeddedError::io("read", &path)(error)),
        }
    }

    /// Lays the data directory out, beside its place and then moved there, so
    /// that one that was cut off is never taken for whole.
    pub(super) fn initialise(&self, binaries: &Binaries) -> Result<(), EmbeddedError> {
        let staging = self.dir.join("data.new");
        match fs::remove_dir_all(&staging) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(EmbeddedError::io("remove", &staging)(error));
            }
            _ => {}
        }
        tracing::info!(database.dir = %self.dir.display(), "db.embedded.initialise");
        let initdb = binaries.program("initdb");
        let output = self
            .account
            .command(&initdb)
            .arg("--pgdata")
            .arg(&staging)
            .args(["--username", NAME, "--encoding", "UTF8", "--locale", "C"])
            .args(["--auth-local", "trust", "--auth-host", "reject", "--no-instructions"])
            .output()
            .map_err(EmbeddedError::io("run", &initdb))?;
        if !output.status.success() {
            let output = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(EmbeddedError::Initialise { path: self.dir.clone(), output });
        }
        fs::rename(&staging, self.data()).map_err(EmbeddedError::io("move", &staging))
    }
}
