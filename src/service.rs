//! The composition root: builds the parts from the settings, joins them, and takes
//! them apart again in the right order.
//!
//! Up: database, model, chat, jobs. Down: jobs give their scenes back, the engine
//! ends, the database closes. It decides nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rand::TryRngCore;
use rand::rngs::OsRng;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::chat::{Chat, Stage, run_jobs};
use crate::clock::SystemClock;
use crate::config::{Auto, Config, DatabaseUrl, SlidingWindow, Weights};
use crate::engine::{self, DiskCacheOptions, EngineOptions, KvCacheSize};
use crate::fetch::{Fetcher, Progress};
use crate::model::{self, Backend, LoadOptions, WeightType};
use crate::pool::{Pool, WorkerOptions};
use crate::store::embedded::{EmbeddedOptions, ServerStep};
use crate::store::{Database, Store, StoreOptions};
use crate::telemetry::metrics::Metrics;

/// What a start is about, for whoever waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartStep {
    /// The private database server.
    Database(ServerStep),
    /// The model is loaded.
    Model,
}

/// Everything that a front end needs, running.
pub struct Service {
    /// What people's wishes go to.
    pub chat: Arc<Chat>,
    stopping: watch::Sender<bool>,
    jobs: JoinHandle<()>,
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
pub fn store_options(config: &Config, dir: &Path, ground: &Ground) -> StoreOptions {
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
    StoreOptions { max_connections, ..StoreOptions::new(database) }
}

impl Service {
    /// Starts everything; replies appear on the stage that `stage` sets up beside
    /// the chat room.
    ///
    /// # Errors
    /// Whatever is missing or wrong, and what to do about it.
    pub async fn start<S: Stage>(
        config: &Config,
        model_path: PathBuf,
        stage: impl FnOnce(&Arc<Chat>) -> S,
        ground: &Ground,
    ) -> anyhow::Result<Self> {
        let options = store_options(config, &config.database_dir(), ground);
        let store = Store::open(options).await?;
        let pool = start_pool(config, model_path, ground).await?;
        let clock = Arc::new(SystemClock);
        let chat = Chat::new(
            store,
            pool,
            clock,
            config.generation.clone(),
            &config.chat,
            ground.metrics.clone(),
        )?;
        let chat = Arc::new(chat);
        let (stopping, stopped) = watch::channel(false);
        // Some replies load or send while others decode: keep the engine full.
        let max_replies = config.engine.max_batch_sequences * 2;
        let stage = stage(&chat);
        let jobs = tokio::spawn(run_jobs(chat.clone(), stage, max_replies, stopped));
        Ok(Self { chat, stopping, jobs })
    }

    /// Stops everything. Replies in the making go back to their lanes, and are made
    /// by whoever starts next.
    pub async fn stop(self) {
        // The jobs may have ended by themselves.
        let _ = self.stopping.send(true);
        if let Err(error) = self.jobs.await {
            tracing::error!(%error, "the jobs broke down");
        }
        if let Err(error) = self.chat.store().clone().close().await {
            tracing::warn!(error.kind = error.kind(), %error, "the database did not close cleanly");
        }
    }
}

/// Loads the model at `model_path` and starts its engine, as configured.
///
/// # Errors
/// The model's files, its tokenizer or the engine's options are refused.
pub async fn start_pool(
    config: &Config,
    model_path: PathBuf,
    ground: &Ground,
) -> anyhow::Result<Pool> {
    (ground.on_step)(StartStep::Model);
    let options = worker_options(config, model_path);
    if options.engine.disk_cache.is_none()
        && let Err(error) = engine::discard_disk_cache(&config.kv_cache_dir())
    {
        tracing::warn!(%error, "what the disk cache left could not be deleted");
    }
    let started = tokio::task::spawn_blocking(move || Pool::start(&options)).await;
    Ok(started.context("loading the model broke down")??)
}

/// How the configured worker runs the model at `model_path`.
pub fn worker_options(config: &Config, model_path: PathBuf) -> WorkerOptions {
    let sliding_window = match config.model.sliding_window {
        SlidingWindow::Auto => model::SlidingWindow::AsStated,
        SlidingWindow::Off => model::SlidingWindow::Off,
        SlidingWindow::Tokens(tokens) => model::SlidingWindow::Positions(tokens),
    };
    WorkerOptions {
        model_name: config.model.name.clone(),
        load: LoadOptions {
            sliding_window,
            weight_type: weight_type(config.model.weights),
            backend: Backend::Cpu { num_threads: config.engine.num_threads() },
        },
        model_path,
        engine: engine_options(config),
    }
}

/// How large the configured engine is.
pub fn engine_options(config: &Config) -> EngineOptions {
    let engine = &config.engine;
    EngineOptions {
        kv_cache: KvCacheSize::Bytes(engine.kv_cache_bytes() as u64),
        block_size: engine.block_size,
        context_tokens: match config.model.context_tokens {
            Auto::Set(tokens) => Some(tokens),
            Auto::Auto => None,
        },
        max_batch_sequences: engine.max_batch_sequences,
        max_batch_tokens: engine.max_batch_tokens,
        max_step: Some(Duration::from_millis(engine.max_step_ms)),
        max_waiting: engine.max_waiting,
        cache_key: cache_key(),
        disk_cache: engine
            .disk_cache_bytes()
            .map(|capacity_bytes| DiskCacheOptions { dir: config.kv_cache_dir(), capacity_bytes }),
    }
}

/// What keys the prefix cache, if no disk cache has a key: unlike anywhere else, so that
/// nobody can prepare prompts whose blocks collide.
fn cache_key() -> [u8; 16] {
    let mut key = [0; 16];
    OsRng.try_fill_bytes(&mut key).expect("the system gives random bytes");
    key
}

/// The type that a choice names; `None` leaves the weights as they are stored.
pub fn weight_type(choice: Weights) -> Option<WeightType> {
    match choice {
        Weights::Stored => None,
        Weights::F32 => Some(WeightType::F32),
        Weights::Q8 => Some(WeightType::Q8_0),
    }
}
