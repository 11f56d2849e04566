//! The engine with host memory below the KV cache, alone and before the disk.

use tempfile::TempDir;

use super::disk_tier::{
    BLOCK_SIZE, PROMPT, cold, num_shareable, other_text, owned, tiered, wide_engine,
};
use super::*;

/// Room for all that a test computes, twice over.
const PLENTY: u64 = 16 << 20;

fn hosted() -> EngineOptions {
    EngineOptions { host_cache_bytes: PLENTY, ..options() }
}

impl TestEngine {
    fn host(&self) -> HostCacheStats {
        self.stats().host_cache.unwrap()
    }

    /// How many blocks of a prompt, from its beginning, lie in host memory.
    fn num_in_host(&mut self, request: &GenerationRequest) -> usize {
        let (chain, _) = self.scheduler.blocks_mut().use_chain(request.cache_salt, &request.prompt);
        self.tiers.host.as_ref().unwrap().leading(&chain).len()
    }

    fn restore_a_block_a_step(&mut self) {
        let block_bytes = self.runner.block_bytes();
        self.tiers.host.as_mut().unwrap().restore_bytes = block_bytes;
    }
}

#[test]
fn what_the_kv_cache_lost_comes_back_from_host_memory_in_the_same_step() {
    let mut engine = TestEngine::new(&hosted());
    let request = request(PROMPT);
    let first = engine.complete(&request);
    assert_eq!(first.num_restored_tokens, 0);
    engine.overrun();
    let stream = engine.submit(request.clone()).unwrap();
    let step = engine.step();
    assert_eq!((step.num_admitted, step.num_cached_tokens), (1, num_shareable(PROMPT)));
    engine.run();
    let warm = stream.blocking_finish().unwrap();
    assert_eq!(warm.num_restored_tokens, num_shareable(PROMPT));
    assert_eq!((&warm.token_ids, &warm.token_ids), (&first.token_ids, &cold(&request)));
    assert_eq!(engine.host().num_restored as usize * BLOCK_SIZE, num_shareable(PROMPT));
    assert_eq!((engine.host().num_pending, engine.host().num_skipped), (0, 0));
    let block_bytes = engine.runner.block_bytes() as u64;
    assert_eq!(engine.host().num_bytes, engine.host().num_blocks as u64 * block_bytes);
    let again = engine.complete(&request);
    assert_eq!((again.num_cached_tokens, again.num_restored_tokens), (num_shareable(PROMPT), 0));
}

#[test]
fn another_salt_shares_nothing() {
    let mut engine = TestEngine::new(&hosted());
    engine.complete(&request(PROMPT));
    let theirs = GenerationRequest { cache_salt: 1, ..request(PROMPT) };
    assert_eq!(engine.complete(&theirs).num_cached_tokens, 0);
}

#[test]
fn room_for_less_than_two_blocks_is_none() {
    let block_bytes = TestEngine::new(&options()).runner.block_bytes() as u64;
    for (host_cache_bytes, is_some) in [(0, false), (2 * block_bytes - 1, false), (PLENTY, true)] {
        let engine = TestEngine::new(&EngineOptions { host_cache_bytes, ..options() });
        assert_eq!(engine.stats().host_cache.is_some(), is_some);
    }
}

#[test]
fn where_a_step_may_bring_back_little_others_go_on_meanwhile() {
    let mut engine = TestEngine::new(&hosted());
    let request = request(PROMPT);
    engine.complete(&request);
    engine.overrun();
    engine.restore_a_block_a_step();
    let other = engine.submit(super::request("something else")).unwrap();
    engine.step();
    let stream = engine.submit(request.clone()).unwrap();
    let num_blocks = num_shareable(PROMPT) / BLOCK_SIZE;
    for num_back in 1..=num_blocks {
        assert!(!engine.is_resting());
        let step = engine.step();
        assert_eq!(step.num_admitted, usize::from(num_back == num_blocks));
        assert!(step.num_sampled_tokens > 0, "the other goes on");
        assert_eq!(engine.host().num_restored as usize, num_back);
        assert_eq!(engine.num_restoring(), usize::from(num_back < num_blocks));
    }
    engine.run();
    let warm = stream.blocking_finish().unwrap();
    assert_eq!((warm.num_restored_tokens, warm.token_ids), (num_shareable(PROMPT), cold(&request)));
    let other = other.blocking_finish().unwrap();
    assert_eq!(other.token_ids, cold(&super::request("something else")));
}

#[test]
fn an_abort_is_heard_while_blocks_come_back() {
    let mut engine = TestEngine::new(&hosted());
    engine.complete(&request(PROMPT));
    engine.overrun();
    engine.restore_a_block_a_step();
    let stream = engine.submit(request(PROMPT)).unwrap();
    engine.steps(2);
    stream.aborter().abort();
    engine.step();
    assert!(engine.is_idle());
    assert_eq!(stream.blocking_finish().unwrap().finish_reason, FinishReason::Aborted);
}

#[test]
fn what_is_forgotten_leaves_host_memory_at_once() {
    let mut engine = TestEngine::new(&hosted());
    let (ours, theirs) = (owned(7, PROMPT), owned(8, &other_text(0)));
    let continued = owned(9, &format!("{PROMPT} {}", other_text(1)));
    for request in [&ours, &theirs, &continued] {
        engine.complete(request);
        assert!(engine.num_in_host(request) > 5);
    }
    let num_theirs = engine.num_in_host(&theirs);
    let _receipt = engine.forget_owner(7);
    engine.check_integrity().unwrap();
    assert_eq!((engine.num_in_host(&ours), engine.num_in_host(&continued)), (0, 0));
    assert_eq!(engine.num_in_host(&theirs), num_theirs);
    engine.overrun();
    assert_eq!(engine.complete(&continued).num_cached_tokens, 0);
    assert!(engine.complete(&theirs).num_restored_tokens > 0);
    engine.forget_salt(0).blocking_recv().unwrap().unwrap();
    assert_eq!((engine.host().num_blocks, engine.host().num_bytes), (0, 0));
}

#[test]
fn who_comes_back_while_it_is_forgotten_goes_on_and_leaves_nothing() {
    let mut engine = TestEngine::new(&hosted());
    let request = owned(7, PROMPT);
    engine.complete(&request);
    engine.overrun();
    engine.restore_a_block_a_step();
    let stream = engine.submit(request.clone()).unwrap();
    engine.steps(3);
    assert_eq!(engine.num_restoring(), 1);
    engine.forget_owner(7).blocking_recv().unwrap().unwrap();
    engine.run();
    let summary = stream.blocking_finish().unwrap();
    assert_eq!((summary.num_cached_tokens, summary.token_ids), (0, cold(&request)));
    assert_eq!(engine.num_in_host(&request), 0);
}

#[test]
fn nothing_of_a_broken_engine_stays() {
    let mut engine = TestEngine::new(&hosted());
    engine.complete(&request(PROMPT));
    engine.end_all(Some(&EngineError::Stopped));
    assert!(engine.stats().host_cache.is_none());
}

#[test]
fn what_host_memory_has_is_not_read_from_the_disk() {
    let dir = TempDir::new().unwrap();
    let options = EngineOptions { host_cache_bytes: PLENTY, ..tiered(dir.path()) };
    let mut engine = TestEngine::new(&options);
    let request = request(PROMPT);
    engine.complete(&request);
    engine.settle();
    engine.overrun();
    engine.tier().pause(true);
    let warm = engine.complete(&request);
    engine.tier().pause(false);
    assert_eq!((warm.num_restored_tokens, warm.token_ids), (num_shareable(PROMPT), cold(&request)));
    assert_eq!(engine.disk().num_restored, 0);
    drop(engine);

    // After a restart host memory is empty, and keeps what is read.
    let mut engine = TestEngine::new(&options);
    assert_eq!(engine.complete(&request).num_restored_tokens, num_shareable(PROMPT));
    assert_eq!((engine.host().num_restored, engine.disk().num_written), (0, 0));
    engine.overrun();
    engine.tier().pause(true);
    let warm = engine.complete(&request);
    engine.tier().pause(false);
    assert_eq!((warm.num_restored_tokens, warm.token_ids), (num_shareable(PROMPT), cold(&request)));
}

#[test]
fn what_is_read_from_the_disk_is_kept_before_anything_is_copied() {
    let dir = TempDir::new().unwrap();
    TestEngine::new(&tiered(dir.path())).complete(&owned(7, PROMPT));
    let options = EngineOptions { host_cache_bytes: PLENTY, ..tiered(dir.path()) };
    let mut engine = TestEngine::new(&options);
    // Whose it is counts from now on, not who had it written.
    let theirs = owned(8, PROMPT);
    let stream = engine.submit(theirs.clone()).unwrap();
    while engine.host().num_written == 0 {
        engine.step();
    }
    engine.forget_owner(7).blocking_recv().unwrap().unwrap();
    assert_eq!(engine.num_in_host(&theirs), num_shareable(PROMPT) / BLOCK_SIZE);
    drop(engine.forget_owner(8));
    assert_eq!(engine.num_in_host(&theirs), 0);
    engine.run();
    assert_eq!(stream.blocking_finish().unwrap().token_ids, cold(&theirs));
}

#[test]
fn what_host_memory_has_no_room_for_comes_from_the_disk() {
    let dir = TempDir::new().unwrap();
    let block_bytes = TestEngine::new(&options()).runner.block_bytes() as u64;
    // What overruns the KV cache, and five blocks.
    let host_cache_bytes = (8 * 12 + 5) * block_bytes;
    let mut engine = TestEngine::new(&EngineOptions { host_cache_bytes, ..tiered(dir.path()) });
    let request = request(PROMPT);
    engine.complete(&request);
    engine.overrun();
    engine.settle();
    assert_eq!(engine.num_in_host(&request), 5);
    let warm = engine.complete(&request);
    assert_eq!((warm.num_restored_tokens, warm.token_ids), (num_shareable(PROMPT), cold(&request)));
    assert_eq!(engine.host().num_restored, 5);
    let from_disk = engine.disk().num_restored as usize;
    assert_eq!((5 + from_disk) * BLOCK_SIZE, num_shareable(PROMPT));
}

#[test]
fn host_memory_is_there_where_the_disk_breaks_down() {
    let dir = TempDir::new().unwrap();
    let mut engine =
        TestEngine::new(&EngineOptions { host_cache_bytes: PLENTY, ..tiered(dir.path()) });
    let request = owned(7, PROMPT);
    engine.complete(&request);
    engine.overrun();
    engine.tier().break_down();
    let warm = engine.complete(&request);
    assert_eq!((warm.num_restored_tokens, warm.token_ids), (num_shareable(PROMPT), cold(&request)));
    assert!(engine.stats().disk_cache.is_none());
    // The disk cannot forget it; host memory has.
    let outcome = engine.forget_owner(7).blocking_recv().unwrap();
    assert_eq!(outcome.unwrap_err().kind(), "disk_cache");
    assert_eq!(engine.num_in_host(&request), 0);
}

/// Four times what may wait on the desk is computed while the disk stands still.
#[test]
fn what_the_kv_cache_lost_is_written_from_host_memory() {
    let dir = TempDir::new().unwrap();
    let host_cache_bytes = 40 * (4 << 20);
    let mut engine = wide_engine(&EngineOptions { host_cache_bytes, ..tiered(dir.path()) });
    engine.tier().pause(true);
    engine.complete_wide_texts();
    engine.tier().pause(false);
    engine.settle();
    assert_eq!((engine.disk().num_written, engine.disk().num_skipped), (36, 0));
    assert_eq!((engine.host().num_blocks, engine.host().num_skipped), (36, 0));
}

#[tokio::test]
async fn a_handle_keeps_brings_back_and_forgets() {
    let handle = EngineHandle::spawn(MODEL.clone(), TOKENIZER.clone(), &hosted()).unwrap();
    let cold = handle.submit(owned(7, PROMPT)).unwrap().finish().await.unwrap();
    for n in 0..8 {
        handle.submit(owned(8, &other_text(n))).unwrap().finish().await.unwrap();
    }
    let warm = handle.submit(owned(7, PROMPT)).unwrap().finish().await.unwrap();
    assert_eq!(warm.num_restored_tokens, num_shareable(PROMPT));
    assert_eq!(warm.token_ids, cold.token_ids);
    handle.forget_owner(7).await.unwrap();
    handle.check_integrity().await.unwrap();
    let again = handle.submit(owned(7, PROMPT)).unwrap().finish().await.unwrap();
    assert_eq!((again.num_cached_tokens, again.token_ids), (0, cold.token_ids));
    handle.forget_salt(0).await.unwrap();
    handle.shutdown();
    assert_eq!(handle.stats().host_cache.unwrap().num_blocks, 0);
}
