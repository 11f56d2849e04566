//! The database as the settings say, and `dramatis migrate`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use tokio::runtime::{Builder, Runtime};

use super::Session;
use super::output::note;
use crate::config::DatabaseUrl;
use crate::store::embedded::EmbeddedOptions;
use crate::store::{Database, Store, StoreOptions};

impl Session {
    /// How the configured database is opened.
    pub fn store_options(&self) -> StoreOptions {
        self.store_options_in(&self.config.database_dir())
    }

    /// The same, with the private server in another directory.
    pub(super) fn store_options_in(&self, dir: &Path) -> StoreOptions {
        let database = match &self.config.database.url {
            DatabaseUrl::Embedded => Database::Embedded(EmbeddedOptions::new(dir)),
            DatabaseUrl::Server(url) => Database::Url(url.clone()),
        };
        let max_connections = self.config.database.max_connections;
        StoreOptions { max_connections, ..StoreOptions::new(database) }
    }
}

/// What asynchronous rooms run on.
///
/// # Errors
/// If the system gives no threads.
pub fn runtime() -> anyhow::Result<Runtime> {
    Builder::new_multi_thread().enable_all().build().context("cannot start the async runtime")
}

/// Opens the database, which brings it up to date, and closes it again.
pub(super) fn open_and_close(options: StoreOptions) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        Store::open(options).await?.close().await?;
        Ok(())
    })
}

/// Brings the database up to date.
pub(super) fn migrate(session: &Session) -> anyhow::Result<ExitCode> {
    open_and_close(session.store_options())?;
    note("the database is up to date");
    Ok(ExitCode::SUCCESS)
}
