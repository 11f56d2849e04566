//! Pools of real engines on a tiny model: what becomes of requests when workers fail.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::time::Instant;

use std::time::Duration;

use super::*;
use crate::engine::{EngineOptions, FinishReason, GenerationSummary, KvCacheSize, LoadedModel};
use crate::model::{LoadOptions, Model, ModelConfig};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Models that need no file: `tiny-SEED`.
pub(super) fn loaded(path: &Path) -> Option<LoadedModel> {
    let seed = path.to_str()?.strip_prefix("tiny-")?.parse().ok()?;
    let model = Model::random(&ModelConfig::tiny(), seed, &LoadOptions::default()).unwrap();
    Some(LoadedModel { model: Arc::new(model), tokenizer: Arc::new(Tokenizer::bytes()) })
}

fn place(seed: u64) -> Place {
    Place::Local(LocalOptions {
        model_name: "tiny".into(),
        model_path: PathBuf::from(format!("tiny-{seed}")),
        load: LoadOptions::default(),
        engine: EngineOptions {
            kv_cache: KvCacheSize::Blocks(64),
            block_size: 16,
            max_batch_sequences: 4,
            max_waiting: 16,
            ..EngineOptions::default()
        },
    })
}

fn options(num_workers: usize, seed: u64) -> PoolOptions {
    PoolOptions {
        patience: PATIENCE,
        stall: Duration::from_millis(400),
        drain: PATIENCE,
        ..PoolOptions::new("tiny", (0..num_workers).map(|_| place(seed)).collect())
    }
}

fn request(text: &str, max_tokens: usize) -> GenerationRequest {
    let prompt = Tokenizer::bytes().encode_start(text);
    GenerationRequest { max_tokens, ignore_eos: true, ..GenerationRequest::new(prompt) }
}

fn local(pool: &Pool, index: usize) -> Arc<Worker> {
    pool.slots()[index].worker().expect("the worker runs")
}

/// Has a worker's engine do something between two steps.
fn within(worker: &Worker, act: impl FnOnce() + Send + 'static) {
    let Worker::Local(local) = worker else { panic!("a worker of this machine") };
    local.engine.inspect(move |_| act()).unwrap();
}

/// Holds an engine between two steps until the sender goes.
fn hang(worker: &Worker) -> Sender<()> {
    let (release, held) = channel();
    within(worker, move || {
        let _ = held.recv();
    });
    release
}

async fn finish(stream: PoolStream) -> Result<GenerationSummary, PoolError> {
    tokio::time::timeout(PATIENCE, stream.finish()).await.expect("every request ends")
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what} in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn statuses(pool: &Pool) -> Vec<WorkerStatus> {
    pool.workers_report().iter().map(|report| report.status).collect()
}

#[tokio::test]
async fn a_worker_that_panics_is_replaced_and_its_request_made_again() {
    let pool = Pool::start(options(1, 3)).unwrap();
    let expected = finish(pool.generate(&pool.model(), request("Hi", 8)).unwrap()).await.unwrap();
    let worker = local(&pool, 0);
    let release = hang(&worker);
    let stream = pool.generate(&pool.model(), request("Hi", 8)).unwrap();
    within(&worker, || panic!("a bug of ours"));
    drop(release);
    let again = finish(stream).await.unwrap();
    assert_eq!(again.text, expected.text, "the same seed on the same model");
    assert!(!Arc::ptr_eq(&worker, &local(&pool, 0)), "another worker made it");
}

#[tokio::test]
async fn a_worker_that_hangs_is_replaced_and_its_request_made_again() {
    let pool = Pool::start(options(1, 3)).unwrap();
    let worker = local(&pool, 0);
    let release = hang(&worker);
    let stream = pool.generate(&pool.model(), request("Hi", 8)).unwrap();
    assert_eq!(finish(stream).await.unwrap().num_generated_tokens, 8);
    assert!(!Arc::ptr_eq(&worker, &local(&pool, 0)));
    drop(release);
}

#[tokio::test]
async fn others_take_what_a_failed_worker_had() {
    let pool = Pool::start(options(2, 3)).unwrap();
    until("both are ready", || statuses(&pool) == [WorkerStatus::Ready; 2]).await;
    let releases = [hang(&local(&pool, 0))];
    // Both get some, as neither holds a prefix.
    let streams: Vec<_> = (0..6)
        .map(|i| pool.generate(&pool.model(), request(&format!("{i}"), 4)).unwrap())
        .collect();
    within(&local(&pool, 0), || panic!("a bug of ours"));
    drop(releases);
    for stream in streams {
        assert_eq!(finish(stream).await.unwrap().finish_reason, FinishReason::Length);
    }
}

#[tokio::test]
async fn a_worker_that_goes_in_mid_reply_fails_it() {
    let pool = Pool::start(options(1, 3)).unwrap();
    let mut stream = pool.generate(&pool.model(), request("Hi", 400)).unwrap();
    while !matches!(stream.recv().await, Some(PoolEvent::Text(_))) {}
    within(&local(&pool, 0), || panic!("a bug of ours"));
    let error = finish(stream).await.unwrap_err();
    assert!(error.is_of_worker() && error.is_transient(), "{error}");
    until("it is replaced", || statuses(&pool) == [WorkerStatus::Ready]).await;
}

#[tokio::test]
async fn a_scene_stays_with_the_worker_that_knows_it() {
    let pool = Pool::start(options(3, 3)).unwrap();
    until("all are ready", || statuses(&pool) == [WorkerStatus::Ready; 3]).await;
    let text = "a long beginning that fills a few blocks of the cache, and then some more";
    for scene in 1..=6 {
        let request = GenerationRequest { cache_owner: scene, ..request(text, 2) };
        finish(pool.generate(&pool.model(), request).unwrap()).await.unwrap();
    }
    for scene in 1..=6 {
        let request = GenerationRequest { cache_owner: scene, ..request(text, 2) };
        let summary = finish(pool.generate(&pool.model(), request).unwrap()).await.unwrap();
        assert!(summary.num_cached_tokens >= 48, "{summary:?}");
    }
}

#[tokio::test]
async fn a_reload_lets_replies_end_and_exchanges_the_model() {
    let pool = Pool::start(options(2, 3)).unwrap();
    until("both are ready", || statuses(&pool) == [WorkerStatus::Ready; 2]).await;
    let old = pool.model();
    let running: Vec<_> =
        (0..4).map(|i| pool.generate(&old, request(&format!("{i}"), 200)).unwrap()).collect();
    pool.reload(options(2, 4)).await.unwrap();
    assert_ne!(pool.model().fingerprint, old.fingerprint);
    for stream in running {
        assert_eq!(finish(stream).await.unwrap().num_generated_tokens, 200);
    }
    let epoch = pool.model().epoch;
    until("both have the new model", || {
        pool.slots().iter().all(|slot| slot.ready(epoch).is_some())
    })
    .await;
    // What was made for the old model does not run on the new one.
    let late = match pool.generate(&old, request("late", 2)) {
        Ok(stream) => finish(stream).await.unwrap_err(),
        Err(error) => error,
    };
    assert!(matches!(late, PoolError::ModelChanged) && late.is_transient(), "{late}");
    finish(pool.generate(&pool.model(), request("new", 2)).unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_reload_that_is_refused_changes_nothing() {
    let pool = Pool::start(options(1, 3)).unwrap();
    let old = pool.model();
    let mut broken = options(1, 3);
    if let Place::Local(local) = &mut broken.places[0] {
        local.model_path = PathBuf::from("/nowhere.gguf");
    }
    let error = pool.reload(broken).await.unwrap_err();
    assert!(error.to_string().contains("the old one stays"), "{error}");
    assert_eq!(pool.model().fingerprint, old.fingerprint);
    finish(pool.generate(&old, request("on", 2)).unwrap()).await.unwrap();
    let error = pool.reload(options(2, 3)).await.unwrap_err();
    assert!(error.to_string().contains("restart"), "{error}");
    // And one that is not refused still works.
    pool.reload(options(1, 4)).await.unwrap();
    assert_ne!(pool.model().fingerprint, old.fingerprint);
}

#[tokio::test]
async fn waiting_is_bounded_in_number_and_in_time() {
    let mut few = options(1, 3);
    few.max_waiting = 18;
    few.patience = Duration::from_millis(300);
    few.stall = PATIENCE;
    let pool = Pool::start(few).unwrap();
    let release = hang(&local(&pool, 0));
    // Four run, sixteen wait at the engine, two wait here.
    let mut streams = Vec::new();
    let refused = loop {
        match pool.generate(&pool.model(), request("Hi", 2)) {
            Ok(stream) => streams.push(stream),
            Err(error) => break error,
        }
        assert!(streams.len() < 100, "there is a bound");
    };
    assert!(matches!(refused, PoolError::Busy { max_waiting: 18, .. }), "{refused}");
    let late = finish(streams.pop().unwrap()).await.unwrap_err();
    assert!(late.is_transient(), "{late}");
    drop(release);
    drop(streams);
}

#[tokio::test]
async fn a_request_can_be_called_off_while_it_waits_and_while_it_runs() {
    let pool = Pool::start(options(1, 3)).unwrap();
    let mut stream = pool.generate(&pool.model(), request("Hi", 400)).unwrap();
    while !matches!(stream.recv().await, Some(PoolEvent::Text(_))) {}
    stream.aborter().abort();
    let summary = finish(stream).await.unwrap();
    assert_eq!(summary.finish_reason, FinishReason::Aborted);
    assert!(summary.num_generated_tokens < 400);

    let stream = pool.generate(&pool.model(), request("Hi", 400)).unwrap();
    drop(stream);
    until("the slot is free", || pool.workers_report()[0].num_in_flight == 0).await;
    until("the engine is free", || pool.stats().num_running == 0).await;
}

#[tokio::test]
async fn a_pool_without_a_model_says_why() {
    let mut none = options(1, 3);
    if let Place::Local(local) = &mut none.places[0] {
        local.model_path = PathBuf::from("/nowhere.gguf");
    }
    let error = Pool::start(none).err().unwrap().to_string();
    assert!(error.contains("/nowhere.gguf"), "{error}");
    let error = Pool::start(options(0, 3)).err().unwrap().to_string();
    assert!(error.contains("at least one"), "{error}");
}

#[test]
fn places_of_one_name_are_told_apart() {
    let names = names(&[place(1), place(1)]);
    assert_eq!(names.iter().map(AsRef::as_ref).collect::<Vec<_>>(), ["cpu#1", "cpu#2"]);
}
