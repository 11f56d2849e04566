//! The tier behind a handle: two threads, and how they end.

use super::*;

fn spawn(options: &EngineOptions) -> EngineHandle {
    EngineHandle::spawn(MODEL.clone(), TOKENIZER.clone(), options).unwrap()
}

#[tokio::test]
async fn a_handle_restores_and_forgets() {
    let dir = TempDir::new().unwrap();
    let handle = spawn(&tiered(dir.path()));
    let first = handle.submit(owned(7, PROMPT)).unwrap().finish().await.unwrap();
    handle.shutdown();
    assert_eq!(handle.forget_owner(7).await.unwrap_err().kind(), "stopped");
    drop(handle);

    let handle = spawn(&tiered(dir.path()));
    let warm = handle.submit(owned(7, PROMPT)).unwrap().finish().await.unwrap();
    assert_eq!(warm.num_restored_tokens, num_shareable(PROMPT));
    assert_eq!(warm.token_ids, first.token_ids);
    handle.forget_owner(7).await.unwrap();
    handle.check_integrity().await.unwrap();
    assert_eq!(
        handle.stats().disk_cache.unwrap().num_restored as usize * 16,
        num_shareable(PROMPT)
    );
    let again = handle.submit(owned(7, PROMPT)).unwrap().finish().await.unwrap();
    assert_eq!(again.num_cached_tokens, 0);
    handle.forget_salt(0).await.unwrap();
    handle.shutdown();
    assert_eq!(TestEngine::new(&tiered(dir.path())).disk().num_blocks, 0);
}

/// Everybody waits for the disk, so the thread sleeps; the disk wakes it.
#[tokio::test(flavor = "multi_thread")]
async fn many_callers_are_served_from_the_disk() {
    let dir = TempDir::new().unwrap();
    let prompts: Vec<_> = (0..4).map(other_text).collect();
    let mut engine = TestEngine::new(&tiered(dir.path()));
    let cold: Vec<_> = prompts.iter().map(|p| engine.complete(&greedy(p)).token_ids).collect();
    drop(engine);
    let handle = spawn(&tiered(dir.path()));
    let streams: Vec<_> =
        prompts.iter().map(|prompt| handle.submit(greedy(prompt)).unwrap()).collect();
    for (stream, cold) in streams.into_iter().zip(cold) {
        let summary = stream.finish().await.unwrap();
        assert!(summary.num_restored_tokens > 100, "{}", summary.num_restored_tokens);
        assert_eq!(summary.token_ids, cold);
    }
}

#[test]
fn the_last_handle_takes_both_threads_along() {
    let dir = TempDir::new().unwrap();
    let handle = spawn(&tiered(dir.path()));
    let endless = GenerationRequest { max_tokens: usize::MAX, ..request(PROMPT) };
    let mut stream = handle.submit(endless).unwrap();
    while !matches!(stream.blocking_recv(), Some(GenerationEvent::Text(_))) {}
    drop(handle);
    assert_eq!(stream.blocking_finish().unwrap().finish_reason, FinishReason::Aborted);
    // The lock is free once both are gone; what was generated is there.
    for _ in 0..1000 {
        std::thread::sleep(Duration::from_millis(10));
        let mut engine = TestEngine::new(&tiered(dir.path()));
        if engine.stats().disk_cache.is_some() {
            let warm = engine.complete(&request(PROMPT));
            assert_eq!(warm.num_restored_tokens, num_shareable(PROMPT));
            return;
        }
    }
    panic!("the directory is still in use");
}

#[test]
fn a_panic_keeps_nobody_waiting_who_wants_something_forgotten() {
    let dir = TempDir::new().unwrap();
    let handle = spawn(&tiered(dir.path()));
    handle.inspect(|_| panic!("gone")).unwrap();
    let forget = handle.forget_owner(1);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(forget).unwrap_err().kind(), "panicked");
}
