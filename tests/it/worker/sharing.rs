//! Who shares cached prompts with whom, and how they are forgotten.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::home::{KEY, Worker};

async fn cached(worker: &Worker, who: Value) -> u64 {
    let mut ask = json!({"max_tokens": 1});
    ask.as_object_mut().unwrap().extend(who.as_object().unwrap().clone());
    let completion = worker.complete(ask).await;
    completion["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap()
}

/// Waits until so many blocks lie below the KV cache, by one of the worker's numbers.
async fn until_kept(worker: &Worker, name: &str, num_blocks: f64) {
    let began = std::time::Instant::now();
    while worker.number(name).await < num_blocks {
        assert!(began.elapsed() < super::home::PATIENCE, "too little: {name}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn nobody_finds_another_ones_prompt_in_the_cache() {
    let worker = Worker::start(&["engine.disk_cache_mib=0"]).await;
    let all = [
        json!({"user": "ann"}),
        json!({"user": "bob"}),
        json!({"cache_salt": "ann"}),
        json!({"user": "ann", "cache_salt": "x"}),
        json!({"user": ""}),
        json!({}),
    ];
    for who in &all {
        assert_eq!(cached(&worker, who.clone()).await, 0, "{who}");
    }
    for who in &all {
        assert!(cached(&worker, who.clone()).await >= 64, "{who}");
    }
}

#[tokio::test]
async fn what_is_forgotten_is_computed_again() {
    let worker = Worker::start(&["engine.disk_cache_mib=0", "engine.host_cache_mib=64"]).await;
    let (ann, bob) = (json!({"user": "ann"}), json!({"user": "bob", "cache_owner": "scene 7"}));
    let forget = async |body: Value| {
        let (status, told) = worker.post("/v1/cache/forget", body).await;
        assert_eq!((status, &told["status"]), (200, &json!("ok")));
    };
    for who in [&ann, &bob] {
        cached(&worker, who.clone()).await;
    }
    until_kept(&worker, "dramatis_engine_host_blocks", 4.0).await;
    forget(json!({"user": "ann"})).await;
    assert_eq!(cached(&worker, ann.clone()).await, 0);
    assert!(cached(&worker, bob.clone()).await > 0);
    forget(json!({"cache_owner": "scene 8"})).await;
    assert!(cached(&worker, bob.clone()).await > 0);
    forget(json!({"cache_owner": "scene 7"})).await;
    assert_eq!(cached(&worker, bob).await, 0);
    assert!(cached(&worker, ann).await > 0);
}

#[tokio::test]
async fn a_restart_keeps_them_apart_and_each_finds_their_own() {
    let ann = json!({"user": "ann"});
    let disk = ["engine.disk_cache_mib=64"];
    let worker = Worker::start(&disk).await;
    cached(&worker, ann.clone()).await;
    assert!(cached(&worker, ann.clone()).await > 0);
    until_kept(&worker, "dramatis_engine_disk_blocks", 2.0).await;
    worker.signal(Signal::SIGTERM);
    let (status, _, dir) = worker.ended().await;
    assert!(status.success());

    let worker = Worker::start_in(dir, &disk, Some("another-canary-of-a-key")).await;
    assert_eq!(cached(&worker, ann.clone()).await, 0, "another key is another cache");
    worker.signal(Signal::SIGTERM);
    let (_, _, dir) = worker.ended().await;
    let worker = Worker::start_in(dir, &disk, Some(KEY)).await;
    assert_eq!(cached(&worker, json!({"user": "bob"})).await, 0);
    assert!(cached(&worker, ann).await > 0);
}
