//! The thread, its handles, and how they end.

use super::*;

fn spawn(options: &EngineOptions) -> EngineHandle {
    EngineHandle::spawn(MODEL.clone(), TOKENIZER.clone(), options).unwrap()
}

/// A request that goes on until it is stopped.
fn endless() -> GenerationRequest {
    GenerationRequest { max_tokens: usize::MAX, ignore_eos: true, ..request("abc") }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_callers_share_one_engine() {
    let handle = spawn(&options());
    let alone = TestEngine::new(&options()).complete(&request("tell me")).text;
    let tasks: Vec<_> = (0..12)
        .map(|_| {
            let handle = handle.clone();
            tokio::spawn(async move { handle.submit(request("tell me"))?.finish().await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap().text, alone);
    }
    handle.check_integrity().await.unwrap();
    let stats = handle.stats();
    assert_eq!((stats.num_waiting, stats.num_running), (0, 0));
    assert_eq!(stats.num_available_blocks, stats.num_blocks);
    assert_eq!(stats.totals.num_finished, 12);
    assert_eq!(stats.totals.num_sampled_tokens, 12 * 40);
}

#[tokio::test]
async fn dropping_a_stream_frees_its_blocks() {
    let handle = spawn(&options());
    let mut stream = handle.submit(endless()).unwrap();
    while !matches!(stream.recv().await, Some(GenerationEvent::Text(_))) {}
    drop(stream);
    while handle.stats().num_running > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(handle.stats().num_available_blocks, 64);
}

#[test]
fn a_slow_reader_holds_nobody_up() {
    let handle = spawn(&options());
    let unread = handle.submit(request("abc")).unwrap();
    let read = handle.submit(request("abc")).unwrap();
    let text = read.blocking_finish().unwrap().text;
    assert_eq!(unread.blocking_finish().unwrap().text, text);
}

#[test]
fn the_last_handle_takes_the_thread_along() {
    let handle = spawn(&EngineOptions { max_batch_sequences: 1, ..options() });
    let mut running = handle.clone().submit(endless()).unwrap();
    let waiting = handle.submit(endless()).unwrap();
    while !matches!(running.blocking_recv(), Some(GenerationEvent::Text(_))) {}
    drop(handle);
    for stream in [running, waiting] {
        let summary = stream.blocking_finish().unwrap();
        assert_eq!(summary.finish_reason, FinishReason::Aborted);
    }
}

#[test]
fn after_a_shutdown_every_handle_says_so() {
    let handle = spawn(&options());
    let other = handle.clone();
    let stream = handle.submit(endless()).unwrap();
    handle.shutdown();
    assert_eq!(stream.blocking_finish().unwrap().finish_reason, FinishReason::Aborted);
    assert!(matches!(other.submit(request("abc")), Err(EngineError::Stopped)));
    other.shutdown();
}

#[test]
fn a_panic_reaches_everyone_who_waits() {
    let handle = spawn(&EngineOptions { max_batch_sequences: 1, ..options() });
    let mut running = handle.submit(endless()).unwrap();
    let waiting = handle.submit(endless()).unwrap();
    while !matches!(running.blocking_recv(), Some(GenerationEvent::Text(_))) {}
    handle.inspect(|_| panic!("the roof is on fire")).unwrap();
    for stream in [running, waiting] {
        let error = stream.blocking_finish().unwrap_err();
        assert_eq!(error.kind(), "panicked");
        assert!(error.to_string().contains("the roof is on fire"));
    }
    assert_eq!(handle.submit(endless()).unwrap_err().kind(), "panicked");
    assert_eq!(handle.stats().num_waiting, 0);
}

#[tokio::test]
async fn a_check_on_an_engine_that_is_gone_is_an_error() {
    let handle = spawn(&options());
    handle.inspect(|_| panic!("gone")).unwrap();
    assert_eq!(handle.check_integrity().await.unwrap_err().kind(), "panicked");
}
