//! The database as the settings say, and `dramatis migrate`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::runtime::{Builder, Runtime};

use super::Session;
use super::output::note;
use super::progress::ShownProgress;
use crate::service::{self, Ground, StartStep};
use crate::store::embedded::ServerStep;
use crate::store::{Store, StoreOptions};

impl Session {
    /// How the configured database is opened, with a private server in `dir`.
    ///
    /// # Errors
    /// The keys that texts are sealed with cannot be read.
    pub(super) fn store_options(&self, dir: &Path) -> anyhow::Result<StoreOptions> {
        service::store_options(&self.config, dir, &self.ground())
    }

    /// What a start of the service stands on; tells on standard error what takes
    /// long.
    pub(super) fn ground(&self) -> Ground {
        Ground {
            fetcher: self.fetcher(),
            fetch_progress: Arc::new(ShownProgress::new()),
            on_step: Arc::new(|step| {
                if let Some(text) = step_note(step) {
                    note(text);
                }
            }),
            metrics: Arc::default(),
        }
    }
}

/// What is worth telling: what takes seconds.
fn step_note(step: StartStep) -> Option<&'static str> {
    match step {
        StartStep::Database(ServerStep::Fetching) => {
            Some("no PostgreSQL server on this machine; fetching one …")
        }
        StartStep::Database(ServerStep::Initialising) => {
            Some("setting up a private database; this happens once …")
        }
        StartStep::Database(ServerStep::Starting) => Some("starting the database …"),
        StartStep::Database(ServerStep::Adopted) => None,
        StartStep::Model => Some("loading the model …"),
        StartStep::Classifier => Some("loading the classifier …"),
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
    open_and_close(session.store_options(&session.config.database_dir())?)?;
    note("the database is up to date");
    Ok(ExitCode::SUCCESS)
}
