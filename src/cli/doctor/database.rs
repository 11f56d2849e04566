//! The database: can it be opened, as a start would open it?

use std::path::Path;

use super::super::Session;
use super::super::database::open_and_close;
use super::{Finding, storage};
use crate::config::DatabaseUrl;

/// Opens the database and closes it again. Where a private server was never
/// started, one is tried in a directory that goes again: nothing is left behind.
pub(super) fn check(session: &Session) -> Finding {
    let dir = session.config.database_dir();
    match session.config.database.url {
        DatabaseUrl::Server(_) => {
            open(session, &dir, "the server answers; its tables are up to date")
        }
        DatabaseUrl::Embedded if dir.exists() => {
            open(session, &dir, "the private server starts; its tables are up to date")
        }
        DatabaseUrl::Embedded => {
            let beside = storage::nearest_existing(&session.config.data_dir);
            let trial = beside.join(format!(".dramatis-doctor-{}-db", std::process::id()));
            let finding = open(session, &trial, "a private server starts here; none was made yet");
            let _ = std::fs::remove_dir_all(&trial);
            finding
        }
    }
}

fn open(session: &Session, dir: &Path, detail: &str) -> Finding {
    let opened = session.store_options(dir).and_then(open_and_close);
    match opened {
        Ok(()) => Finding::ok("database", detail),
        Err(error) => Finding::failed("database", error.to_string(), ""),
    }
}
