//! What can keep the private server from running, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// An error of the private server.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// No server program here.
    #[error(
        "no PostgreSQL server (15 or later) was found on this machine{}; install one (Debian and \
         Ubuntu: `apt install postgresql`, Fedora: `dnf install postgresql-server`, macOS: `brew \
         install postgresql@17`), or give the address of a running one as `database.url`",
        .reason.as_ref().map(|reason| format!(", and none could be fetched ({reason})"))
            .unwrap_or_default()
    )]
    NoServer {
        /// Why none could be fetched, where that was tried.
        reason: Option<String>,
    },
    /// The data directory needs another major version.
    #[error(
        "the database in {path} was made by PostgreSQL {cluster}, but this machine has {}; install \
         PostgreSQL {cluster}, or move the data over with pg_upgrade",
        list(.found)
    )]
    Version {
        /// The cluster.
        path: PathBuf,
        /// The major version that made it.
        cluster: u32,
        /// The major versions found here.
        found: Vec<u32>,
    },
    /// We are root and there is nobody to run the server as.
    #[error(
        "PostgreSQL refuses to run as root, and this machine has neither a user `postgres` nor \
         `nobody`; run as an ordinary user, or give the address of a running server as \
         `database.url`"
    )]
    NoAccount,
    /// The server's user cannot get to the data directory.
    #[error(
        "PostgreSQL does not run as root but as the user `{user}`, who cannot enter {path}; choose \
         a data directory elsewhere (`data_dir`, such as /var/lib/dramatis), or allow it with \
         `chmod o+x {path}`"
    )]
    NoPassage {
        /// The directory that is closed.
        path: PathBuf,
        /// The server's user.
        user: String,
    },
    /// Somebody else owns a directory of ours, or others can enter it.
    #[error(
        "{path} is not a private directory of the user {user} ({reason}); remove it, or run as the \
         user who made it"
    )]
    NotPrivate {
        /// Which.
        path: PathBuf,
        /// Whose it should be.
        user: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file system says no.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What we tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The data directory could not be laid out.
    #[error("cannot lay out the database in {path}: {output}")]
    Initialise {
        /// Where.
        path: PathBuf,
        /// What initdb said.
        output: String,
    },
    /// The server stopped while starting.
    #[error("the private PostgreSQL did not start; the end of {log}:\n{tail}")]
    Start {
        /// Its log.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// The server does not do what it should in time.
    #[error("the private PostgreSQL (process {pid}) did not {what} in {seconds} s; see {log}")]
    Timeout {
        /// Start or stop.
        what: &'static str,
        /// Its process.
        pid: i32,
        /// How long we waited.
        seconds: u64,
        /// Its log.
        log: PathBuf,
    },
}

impl EmbeddedError {
    /// For `map_err`: what we tried, with what.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

fn list(majors: &[u32]) -> String {
    if majors.is_empty() {
        return "none".into();
    }
    majors.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}
