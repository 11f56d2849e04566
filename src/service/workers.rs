//! The workers that the settings name: where they run, what they run, how large they are.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rand::TryRngCore as _;
use rand::rngs::OsRng;

use super::sizes::Sizes;
use super::{Ground, StartStep, gpu, keyring};
use crate::config::{Auto, Config, SlidingWindow, Weights, WorkerPlace};
use crate::engine::{self, DiskCacheKey, DiskCacheOptions, EngineOptions};
use crate::model::{self, AdapterOptions, Backend, LoadOptions, WeightType};
use crate::pool::{LocalOptions, Place, Pool, PoolOptions, RemoteOptions, ServerUrl};

/// Has a pool's workers take up the model and the options of other settings, one after
/// another, while it goes on.
///
/// # Errors
/// They are refused; the workers go on as they were.
pub async fn reload_pool(
    pool: &Pool,
    config: &Config,
    model_path: Option<&Path>,
) -> anyhow::Result<()> {
    let options = read_pool_options(config, model_path).await?;
    Ok(pool.reload(options).await?)
}

/// Starts the configured workers.
///
/// # Errors
/// None can be started.
pub async fn start_pool(
    config: &Config,
    model_path: Option<&Path>,
    ground: &Ground,
) -> anyhow::Result<Pool> {
    (ground.on_step)(StartStep::Model);
    fetch_nvrtc(config, ground).await?;
    let options = read_pool_options(config, model_path).await?;
    discard_unowned(&config.kv_cache_dir(), &options);
    let started = tokio::task::spawn_blocking(move || Pool::start(options)).await;
    Ok(started.context("loading the model broke down")??)
}

/// What workers on GPUs need beside the driver.
async fn fetch_nvrtc(config: &Config, ground: &Ground) -> anyhow::Result<()> {
    let (config, fetcher) = (config.clone(), ground.fetcher.clone());
    let progress = Arc::clone(&ground.fetch_progress);
    let fetched =
        tokio::task::spawn_blocking(move || gpu::fetch_nvrtc(&config, &fetcher, &*progress)).await;
    fetched.context("fetching NVRTC broke down")?
}

/// Deletes what disk caches left that no worker has any more: what they hold says as much as
/// the story does, and nobody would forget it there.
fn discard_unowned(root: &Path, options: &PoolOptions) {
    let owned: Vec<_> = options
        .places
        .iter()
        .filter_map(|place| match place {
            Place::Local(local) => Some(local.engine.disk_cache.as_ref()?.dir.as_path()),
            Place::Remote(_) => None,
        })
        .collect();
    let below = std::fs::read_dir(root).into_iter().flatten().flatten();
    let numbered = below.map(|entry| entry.path()).filter(|path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.parse::<u32>().is_ok()) && path.is_dir()
    });
    for dir in std::iter::once(root.to_owned()).chain(numbered) {
        if !owned.contains(&dir.as_path())
            && let Err(error) = engine::discard_disk_cache(&dir)
        {
            tracing::warn!(%error, "what the disk cache left could not be deleted");
        }
    }
}

/// Finding devices and reading a tokenizer takes a while.
async fn read_pool_options(
    config: &Config,
    model_path: Option<&Path>,
) -> anyhow::Result<PoolOptions> {
    let (config, path) = (config.clone(), model_path.map(Path::to_owned));
    let read = tokio::task::spawn_blocking(move || pool_options(&config, path.as_deref())).await;
    read.context("reading the model broke down")?
}

/// How the configured workers run the model at `model_path`.
///
/// # Errors
/// There is no such device or address, or no tokenizer for what is elsewhere.
pub fn pool_options(config: &Config, model_path: Option<&Path>) -> anyhow::Result<PoolOptions> {
    let workers = &config.workers;
    let places = match workers.places() {
        Some(places) => places.into_iter().map(|place| device(config, place)).collect(),
        None => {
            let gpus: Vec<_> = gpus(config).into_iter().map(Device::Here).collect();
            match gpus.is_empty() {
                true => Ok(vec![Device::Here(cpu(config, 1))]),
                false => Ok(gpus),
            }
        }
    };
    let places: Vec<Device> = places?;
    let num_here = places.iter().filter(|place| matches!(place, Device::Here(_))).count();
    let num_cpu = places.iter().filter(|place| place.is_cpu()).count();
    let mut tokenizer = None;
    let mut number = 0;
    let mut place = |device| match device {
        Device::Here(backend) => {
            number += 1;
            let path = model_path.context("a worker here needs a model")?;
            let backend = match backend {
                Backend::Cpu { .. } => cpu(config, num_cpu),
                gpu @ (Backend::Gpu(_) | Backend::Candle(_)) => gpu,
            };
            let mut local = options_on(config, path.to_owned(), backend, num_here)?;
            if let Some(disk) = local.engine.disk_cache.as_mut().filter(|_| num_here > 1) {
                // Each engine holds its directory alone.
                disk.dir = disk.dir.join(number.to_string());
                disk.capacity_bytes /= num_here as u64;
            }
            anyhow::Ok(Place::Local(local))
        }
        Device::Elsewhere(url) => {
            let tokenizer = match &tokenizer {
                Some(loaded) => Arc::clone(loaded),
                None => {
                    let path = workers.tokenizer.set().map(PathBuf::as_path).or(model_path);
                    let path = path.context("a worker elsewhere needs a tokenizer here")?;
                    tokenizer.insert(engine::load_tokenizer(path)?).clone()
                }
            };
            Ok(Place::Remote(RemoteOptions {
                url,
                api_key: workers.api_key()?,
                model: workers.remote_model.set().cloned(),
                tokenizer,
                context_tokens: config.model.context_tokens.set().copied(),
                max_requests: workers.remote_requests.set().copied(),
                stall: workers.stall(),
            }))
        }
    };
    let places = places.into_iter().map(&mut place).collect::<anyhow::Result<_>>()?;
    Ok(PoolOptions {
        context_tokens: config.model.context_tokens.set().copied(),
        max_waiting: config.engine.max_waiting,
        patience: workers.patience(),
        stall: workers.stall(),
        drain: workers.drain(),
        ..PoolOptions::new(config.model.name.clone(), places)
    })
}

/// A place for a worker, found.
enum Device {
    Here(Backend),
    Elsewhere(ServerUrl),
}

impl Device {
    fn is_cpu(&self) -> bool {
        matches!(self, Self::Here(Backend::Cpu { .. }))
    }
}

fn device(config: &Config, place: WorkerPlace) -> anyhow::Result<Device> {
    Ok(match place {
        WorkerPlace::Cpu => Device::Here(cpu(config, 1)),
        WorkerPlace::Cuda(index) => Device::Here(gpu::cuda(config, index)?),
        WorkerPlace::Metal(index) => Device::Here(Backend::metal(index).with_context(|| {
            format!("there is no metal:{index} for this build; one with `--features metal` has it")
        })?),
        WorkerPlace::Remote(url) => Device::Elsewhere(
            url.parse().with_context(|| format!("workers.on has {url}, which is no address"))?,
        ),
    })
}

/// The GPUs that there are.
fn gpus(config: &Config) -> Vec<Backend> {
    let found = gpu::all_cuda(config);
    match found.is_empty() {
        true => Backend::metal(0).into_iter().collect(),
        false => found,
    }
}

/// The CPU, shared by so many workers.
fn cpu(config: &Config, num_workers: usize) -> Backend {
    let num_threads = config.engine.num_threads().get() / num_workers.max(1);
    Backend::Cpu { num_threads: NonZeroUsize::new(num_threads).unwrap_or(NonZeroUsize::MIN) }
}

/// One worker on this machine that runs the model at `model_path`: on the first device that
/// `workers.on` names.
///
/// # Errors
/// There is no such device, or as [`engine_options`].
pub fn local_options(config: &Config, model_path: PathBuf) -> anyhow::Result<LocalOptions> {
    options_on(config, model_path, local_backend(config)?, 1)
}

/// The first device of this machine that `workers.on` names; the CPU where it names none.
///
/// # Errors
/// There is no such device.
pub fn local_backend(config: &Config) -> anyhow::Result<Backend> {
    let found = match config.workers.places() {
        None => gpus(config).into_iter().next(),
        Some(places) => {
            let mut here =
                places.into_iter().filter(|place| !matches!(place, WorkerPlace::Remote(_)));
            match here.next().map(|place| device(config, place)).transpose()? {
                Some(Device::Here(backend)) => Some(backend),
                _ => None,
            }
        }
    };
    Ok(found.unwrap_or_else(|| cpu(config, 1)))
}

/// One of so many workers on this machine.
fn options_on(
    config: &Config,
    model_path: PathBuf,
    backend: Backend,
    num_here: usize,
) -> anyhow::Result<LocalOptions> {
    let engine = engine_options_of(config, &backend, num_here)?;
    if let Backend::Gpu(place) = &backend {
        let size = engine.block_size;
        anyhow::ensure!(
            size.is_multiple_of(32),
            "engine.block_size is {size}, and {place} has blocks of whole 32: set it to 32 or more"
        );
    }
    let sliding_window = match config.model.sliding_window {
        SlidingWindow::Auto => model::SlidingWindow::AsStated,
        SlidingWindow::Off => model::SlidingWindow::Off,
        SlidingWindow::Tokens(tokens) => model::SlidingWindow::Positions(tokens),
    };
    Ok(LocalOptions {
        model_name: config.model.name.clone(),
        load: LoadOptions {
            sliding_window,
            weight_type: weight_type(config.model.weights),
            backend,
            adapters: adapters(config),
        },
        model_path,
        engine,
    })
}

/// The adapters that are configured.
pub fn adapters(config: &Config) -> Vec<AdapterOptions> {
    let adapters = config.model.adapters.iter();
    adapters.map(|a| AdapterOptions { path: a.path.clone(), scale: a.scale }).collect()
}

/// How large the configured engine is on such a device, alone on this machine.
///
/// # Errors
/// The keys that its disk cache is sealed with cannot be read.
pub fn engine_options(config: &Config, backend: &Backend) -> anyhow::Result<EngineOptions> {
    engine_options_of(config, backend, 1)
}

/// The same for one of so many workers.
fn engine_options_of(
    config: &Config,
    backend: &Backend,
    num_workers: usize,
) -> anyhow::Result<EngineOptions> {
    let engine = &config.engine;
    let sizes = Sizes::new(config, backend, num_workers);
    let disk_cache = engine.disk_cache_bytes().map(|capacity_bytes| {
        let key = keyring(config)?.key_for("disk cache").map(DiskCacheKey::new);
        anyhow::Ok(DiskCacheOptions { dir: config.kv_cache_dir(), capacity_bytes, key })
    });
    Ok(EngineOptions {
        kv_cache: sizes.kv_cache,
        block_size: engine.block_size,
        context_tokens: match config.model.context_tokens {
            Auto::Set(tokens) => Some(tokens),
            Auto::Auto => None,
        },
        max_batch_sequences: sizes.max_batch_sequences,
        max_batch_tokens: sizes.max_batch_tokens,
        max_step: Some(Duration::from_millis(engine.max_step_ms)),
        max_waiting: engine.max_waiting,
        cache_key: cache_key(),
        host_cache_bytes: sizes.host_cache_bytes,
        disk_cache: disk_cache.transpose()?,
    })
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
        Weights::Bf16 => Some(WeightType::BF16),
        Weights::F32 => Some(WeightType::F32),
        Weights::Q8 => Some(WeightType::Q8_0),
    }
}
