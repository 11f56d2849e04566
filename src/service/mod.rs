//! The composition root: builds the parts from the settings, joins them, and takes
//! them apart again in the right order.
//!
//! Up: database, model, chat, jobs. Down: jobs give their scenes back, the workers
//! end, the database closes. It decides nothing.

mod classifier;
mod gpu;
mod machine;
mod sizes;
mod template;
mod workers;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use secrecy::ExposeSecret as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::chat::{Chat, ChatOptions, Stage, run_forgetting, run_jobs, run_rule_hits, run_sweeps};
use crate::clock::SystemClock;
use crate::config::{Config, DatabaseUrl};
use crate::fetch::{Fetcher, Progress};
use crate::store::embedded::{EmbeddedOptions, ServerStep};
use crate::store::{Database, Keyring, Store, StoreOptions};
use crate::telemetry::metrics::Metrics;

pub use classifier::load as classifier;
use classifier::start as start_classifier;
pub use gpu::fetch_nvrtc;
pub use machine::available_memory_bytes;
pub use sizes::kv_cache_bytes;
pub use template::{load as template, named as named_template};
pub use workers::{
    adapters, engine_options, local_backend, local_options, pool_options, reload_pool, start_pool,
    weight_type,
};

/// What a start is about, for whoever waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartStep {
    /// The private database server.
    Database(ServerStep),
    /// The model is loaded.
    Model,
    /// The classifier is loaded, if it is a model of this machine.
    Classifier,
}

/// Everything that a front end needs, running.
pub struct Service {
    /// What people's wishes go to.
    pub chat: Arc<Chat>,
    stopping: watch::Sender<bool>,
    /// What goes on until then, by name.
    loops: [(&'static str, JoinHandle<()>); 4],
}

/// What a start stands on beside the settings.
#[derive(Clone)]
pub struct Ground {
    /// Brings what this machine lacks.
    pub fetcher: Fetcher,
    /// Is told how fetching goes.
    pub fetch_progress: Arc<dyn Progress + Send + Sync>,
    /// Is told how the start goes.
    pub on_step: Arc<dyn Fn(StartStep) + Send + Sync>,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

/// How the configured database is opened; a private server lives in `dir`.
///
/// # Errors
/// The keys that texts are sealed with cannot be read.
pub fn store_options(config: &Config, dir: &Path, ground: &Ground) -> anyhow::Result<StoreOptions> {
    let database = match &config.database.url {
        DatabaseUrl::Embedded => {
            let on_step = ground.on_step.clone();
            Database::Embedded(EmbeddedOptions {
                fetcher: Some(ground.fetcher.clone()),
                fetch_progress: ground.fetch_progress.clone(),
                progress: Arc::new(move |step| on_step(StartStep::Database(step))),
                ..EmbeddedOptions::new(dir)
            })
        }
        DatabaseUrl::Server(url) => Database::Url(url.clone()),
    };
    let max_connections = config.database.max_connections;
    let keyring = keyring(config)?;
    Ok(StoreOptions { max_connections, keyring, ..StoreOptions::new(database) })
}

/// The keys that texts, and the disk cache, are sealed with.
fn keyring(config: &Config) -> anyhow::Result<Keyring> {
    match config.privacy.keys()? {
        Some(keys) => Keyring::read(keys.expose_secret()).context("privacy.key_file"),
        // A file that holds nothing is a mistake: texts would be written in the clear.
        None if config.privacy.key_file.set().is_some() => {
            anyhow::bail!("privacy.key_file holds no key; `dramatis seal key` makes one")
        }
        None => Ok(Keyring::default()),
    }
}

impl Service {
    /// Starts everything; replies appear on the stage that `stage` sets up beside
    /// the chat room.
    ///
    /// # Errors
    /// Whatever is missing or wrong, and what to do about it.
    pub async fn start<S: Stage>(
        config: &Config,
        model_path: Option<PathBuf>,
        stage: impl FnOnce(&Arc<Chat>) -> S,
        ground: &Ground,
    ) -> anyhow::Result<Self> {
        let options = store_options(config, &config.database_dir(), ground)?;
        let classifier = start_classifier(config, ground).await?;
        let store = Store::open(options).await?;
        let pool = start_pool(config, model_path.as_deref(), ground).await?;
        let clock = Arc::new(SystemClock);
        let chat = Chat::new(
            store,
            pool,
            classifier,
            clock,
            ChatOptions::new(config, template::load(config)?),
            ground.metrics.clone(),
        )?;
        let chat = Arc::new(chat);
        let (stopping, stopped) = watch::channel(false);
        let stage = stage(&chat);
        let jobs = run_jobs(chat.clone(), stage, None, stopped.clone());
        let loops = [
            ("jobs", tokio::spawn(jobs)),
            ("sweeps", tokio::spawn(run_sweeps(chat.clone(), stopped.clone()))),
            ("forgetting", tokio::spawn(run_forgetting(chat.clone(), stopped.clone()))),
            ("counts", tokio::spawn(run_rule_hits(chat.clone(), stopped))),
        ];
        Ok(Self { chat, stopping, loops })
    }

    /// Stops everything. Replies in the making go back to their lanes, and are made
    /// by whoever starts next.
    pub async fn stop(self) {
        // The jobs may have ended by themselves.
        let _ = self.stopping.send(true);
        for (name, ended) in self.loops {
            if let Err(error) = ended.await {
                tracing::error!(%error, name, "a loop broke down");
            }
        }
        self.chat.write_rule_hits().await;
        let pool = self.chat.pool().clone();
        if let Err(error) = tokio::task::spawn_blocking(move || pool.shutdown()).await {
            tracing::error!(%error, "the workers broke down");
        }
        if let Err(error) = self.chat.store().clone().close().await {
            tracing::warn!(error.kind = error.kind(), %error, "the database did not close cleanly");
        }
    }
}
