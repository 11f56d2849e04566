//! How a worker stops: nothing new, what runs has its grace, then the end.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::home::Worker;

#[tokio::test]
async fn a_stop_lets_what_runs_finish_and_begins_nothing_new() {
    let worker = Worker::start(&["worker.stop_grace_ms=60000"]).await;
    let mut events = worker.stream(json!({"max_tokens": 120, "ignore_eos": true})).await;
    events.next().await.unwrap();
    worker.signal(Signal::SIGTERM);
    let began = Instant::now();
    let (status, health) = loop {
        let (status, body) = worker.get("/health").await;
        if status != 200 || began.elapsed() > Duration::from_secs(5) {
            break (status, body);
        }
    };
    assert_eq!((status, &health["error"]["code"]), (503, &json!("shutting_down")));
    let (status, refused) = worker.post("/v1/completions", json!({"prompt": "a"})).await;
    assert_eq!((status, &refused["error"]["type"]), (503, &json!("server_error")));
    let chunks = events.rest().await;
    assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "length");
    let (status, log, _) = worker.ended().await;
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(began.elapsed() < Duration::from_secs(50));
}

#[tokio::test]
async fn when_the_grace_is_over_a_text_ends_as_it_is() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let worker = Worker::start(&["worker.stop_grace_ms=300"]).await;
        let mut events = worker.stream(json!({"max_tokens": 800, "ignore_eos": true})).await;
        let first: Value = serde_json::from_str(&events.next().await.unwrap()).unwrap();
        assert!(first["choices"][0]["finish_reason"].is_null());
        worker.signal(signal);
        let chunks = events.rest().await;
        assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "abort");
        let (status, log, _) = worker.ended().await;
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(!log.contains("http.stop"), "{log}");
    }
}

#[tokio::test]
async fn an_idle_worker_stops_at_once_and_a_second_signal_hurries() {
    let worker = Worker::start(&[]).await;
    let began = Instant::now();
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.ended().await.0.code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());

    let worker = Worker::start(&["worker.stop_grace_ms=600000"]).await;
    let mut events = worker.stream(json!({"max_tokens": 800, "ignore_eos": true})).await;
    events.next().await.unwrap();
    worker.signal(Signal::SIGTERM);
    while worker.get("/health").await.0 == 200 {}
    worker.signal(Signal::SIGTERM);
    let (status, log, _) = worker.ended().await;
    assert_eq!(status.code(), Some(0));
    assert!(log.contains("worker.stop.at_once"), "{log}");
}
