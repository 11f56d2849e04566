//! The engine with a tier below memory: what comes back is what went, or nothing.

mod by_handle;
mod forgetting;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::engine::disk_tier::DiskTier;

pub(super) const PROMPT: &str = "On the third day of the long march through the marshes, with \
                                 the banners soaked and the mules complaining, Captain \
                                 Ysolde allowed a fire.";
pub(super) const BLOCK_SIZE: usize = 16;

/// Tokens of a prompt that another reply can find.
pub(super) fn num_shareable(prompt: &str) -> usize {
    (prompt.len() - 1) / BLOCK_SIZE * BLOCK_SIZE
}

pub(super) fn tiered(dir: &Path) -> EngineOptions {
    let disk_cache = DiskCacheOptions { dir: dir.to_owned(), capacity_bytes: 16 << 20, key: None };
    EngineOptions { disk_cache: Some(disk_cache), ..options() }
}

pub(super) fn cold(request: &GenerationRequest) -> Vec<u32> {
    TestEngine::new(&options()).complete(request).token_ids
}

/// Of one owner, so that it can be forgotten.
pub(super) fn owned(owner: u64, prompt: &str) -> GenerationRequest {
    GenerationRequest { cache_owner: owner, ..greedy(prompt) }
}

impl TestEngine {
    pub(super) fn disk(&self) -> DiskCacheStats {
        self.stats().disk_cache.unwrap()
    }

    pub(super) fn tier(&self) -> &DiskTier {
        self.tiers.disk.as_ref().unwrap()
    }

    /// Steps until everything that is to be written is.
    pub(super) fn settle(&mut self) {
        while self.disk().num_pending > 0 {
            self.step();
            self.tier().wait(Duration::from_millis(1));
        }
    }

    /// Fills memory with other texts, so that what was there is not any more.
    pub(super) fn overrun(&mut self) {
        for n in 0..8u8 {
            let request = GenerationRequest { max_tokens: 1, ..greedy(&other_text(n)) };
            self.complete(&request);
        }
    }

    fn submit_and_park(&mut self, request: &GenerationRequest) -> GenerationStream {
        self.tier().pause(true);
        let stream = self.submit(request.clone()).unwrap();
        self.step();
        assert_eq!(self.num_restoring(), 1);
        stream
    }

    /// Keys and values of what is cached of a text.
    fn payloads(&self, request: &GenerationRequest) -> Vec<Vec<u8>> {
        let blocks = self.scheduler.blocks();
        let chain = blocks.cached_chain(request.cache_salt, &request.prompt);
        let read = |hash| {
            let block = blocks.filed(hash).unwrap().block;
            self.runner.send_for_block(block).unwrap().wait().unwrap()
        };
        chain.into_iter().map(read).collect()
    }
}

/// 200 tokens that no other text begins with.
pub(super) fn other_text(n: u8) -> String {
    char::from(b'a' + n).to_string().repeat(200)
}

/// Whether the payload, or the second half of it, is in any file.
fn is_on_disk(dir: &Path, payload: &[u8]) -> bool {
    let half = &payload[payload.len() / 2..payload.len() / 2 + 64];
    let files = fs::read_dir(dir).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
    files.into_iter().any(|file| file.windows(half.len()).any(|window| window == half))
}

#[test]
fn a_conversation_survives_a_restart() {
    let dir = TempDir::new().unwrap();
    let request = request(PROMPT);
    let mut engine = TestEngine::new(&tiered(dir.path()));
    let first = engine.complete(&request);
    assert_eq!((first.num_cached_tokens, first.num_restored_tokens), (0, 0));
    drop(engine);
    let mut engine = TestEngine::new(&tiered(dir.path()));
    let warm = engine.complete(&request);
    assert_eq!(warm.token_ids, cold(&request));
    assert_eq!(warm.num_cached_tokens, num_shareable(PROMPT));
    assert_eq!(warm.num_restored_tokens, warm.num_cached_tokens);
    assert_eq!(engine.disk().num_restored as usize * BLOCK_SIZE, num_shareable(PROMPT));
    assert_eq!(engine.disk().num_written, 0, "it is all there");
    // In memory now.
    let again = engine.complete(&request);
    assert_eq!((again.num_cached_tokens, again.num_restored_tokens), (num_shareable(PROMPT), 0));
}

#[test]
fn a_sealed_conversation_survives_a_restart_with_its_key_alone() {
    let dir = TempDir::new().unwrap();
    let with_key = |key: Option<u8>| {
        let mut options = tiered(dir.path());
        let key = key.map(|byte| DiskCacheKey::new([byte; 32]));
        options.disk_cache.as_mut().unwrap().key = key;
        options
    };
    let request = request(PROMPT);
    let mut engine = TestEngine::new(&with_key(None));
    engine.complete(&request);
    engine.settle();
    let payloads = engine.payloads(&request);
    assert!(payloads.iter().all(|payload| is_on_disk(dir.path(), payload)));
    drop(engine);
    let mut engine = TestEngine::new(&with_key(Some(1)));
    assert_eq!(engine.complete(&request).num_cached_tokens, 0, "in the clear: it goes");
    engine.settle();
    assert!(engine.disk().num_blocks >= payloads.len());
    assert!(!payloads.iter().any(|payload| is_on_disk(dir.path(), payload)));
    drop(engine);
    let mut engine = TestEngine::new(&with_key(Some(1)));
    let warm = engine.complete(&request);
    assert_eq!(warm.token_ids, cold(&request));
    assert_eq!(warm.num_restored_tokens, num_shareable(PROMPT));
    assert_eq!(engine.disk().num_read_errors, 0);
    drop(engine);
    let mut other = TestEngine::new(&with_key(Some(2)));
    let again = other.complete(&request);
    assert_eq!((again.num_cached_tokens, again.token_ids), (0, warm.token_ids));
}

#[test]
fn the_reply_comes_back_too_for_the_next_turn() {
    let dir = TempDir::new().unwrap();
    let mut engine = TestEngine::new(&tiered(dir.path()));
    let first = engine.complete(&greedy(PROMPT));
    drop(engine);
    let mut next = greedy(PROMPT);
    next.prompt.extend(&first.token_ids);
    next.prompt.extend(TOKENIZER.encode(" And then?"));
    let warm = TestEngine::new(&tiered(dir.path())).complete(&next);
    let num_written = PROMPT.len() + first.token_ids.len() - 1;
    assert_eq!(warm.num_restored_tokens, num_written / BLOCK_SIZE * BLOCK_SIZE);
    assert_eq!(warm.token_ids, cold(&next));
}

#[test]
fn what_memory_lost_comes_back_from_the_disk() {
    let dir = TempDir::new().unwrap();
    let mut engine = TestEngine::new(&tiered(dir.path()));
    let request = request(PROMPT);
    let first = engine.complete(&request);
    engine.settle();
    engine.overrun();
    let warm = engine.complete(&request);
    assert_eq!(warm.num_restored_tokens, num_shareable(PROMPT));
    assert_eq!(warm.token_ids, first.token_ids);
    assert_eq!(engine.disk().num_skipped, 0);
}

#[test]
fn another_salt_model_or_key_shares_nothing() {
    let dir = TempDir::new().unwrap();
    let options = tiered(dir.path());
    TestEngine::new(&options).complete(&request(PROMPT));
    let theirs = GenerationRequest { cache_salt: 1, ..request(PROMPT) };
    assert_eq!(TestEngine::new(&options).complete(&theirs).num_cached_tokens, 0);
    // The directory's key counts, not the one given.
    let other_key = EngineOptions { cache_key: [5; 16], ..options.clone() };
    let warm = TestEngine::new(&other_key).complete(&request(PROMPT));
    assert_eq!(warm.num_restored_tokens, num_shareable(PROMPT));
    fs::write(dir.path().join("key"), [5; 16]).unwrap();
    assert_eq!(TestEngine::new(&options).complete(&request(PROMPT)).num_cached_tokens, 0);
    let model = Arc::new(Model::random(&ModelConfig::tiny(), 12, &LoadOptions::default()).unwrap());
    let mut other = TestEngine(Engine::new(model, TOKENIZER.clone(), &options).unwrap());
    assert_eq!(other.disk().num_blocks, 0);
    assert_eq!(other.complete(&request(PROMPT)).num_cached_tokens, 0);
}

#[test]
fn a_second_engine_on_a_directory_runs_without_it() {
    let dir = TempDir::new().unwrap();
    let first = TestEngine::new(&tiered(dir.path()));
    let mut second = TestEngine::new(&tiered(dir.path()));
    assert!(first.stats().disk_cache.is_some() && second.stats().disk_cache.is_none());
    let outcome = second.forget_owner(1).blocking_recv().unwrap();
    assert_eq!(outcome.unwrap_err().kind(), "disk_cache", "the first may hold it");
    assert_eq!(second.complete(&request(PROMPT)).token_ids, cold(&request(PROMPT)));
    drop(first);
    assert!(TestEngine::new(&tiered(dir.path())).stats().disk_cache.is_some());
}

#[test]
fn whoever_wants_no_disk_cache_any_more_can_be_rid_of_it() {
    let dir = TempDir::new().unwrap();
    let mut engine = TestEngine::new(&tiered(dir.path()));
    engine.complete(&request(PROMPT));
    assert_eq!(discard_disk_cache(dir.path()).unwrap_err().kind(), "disk_cache");
    drop(engine);
    discard_disk_cache(dir.path()).unwrap();
    assert_eq!(TestEngine::new(&tiered(dir.path())).disk().num_blocks, 0);
}

#[test]
fn a_directory_too_small_for_two_blocks_is_left_alone() {
    let dir = TempDir::new().unwrap();
    let disk_cache =
        DiskCacheOptions { dir: dir.path().join("none"), capacity_bytes: 8_000, key: None };
    let options = EngineOptions { disk_cache: Some(disk_cache), ..options() };
    assert!(TestEngine::new(&options).stats().disk_cache.is_none());
    assert!(!dir.path().join("none").exists());
}

#[test]
fn a_use_that_is_noted_wakes_nobody() {
    let dir = TempDir::new().unwrap();
    let mut engine = TestEngine::new(&tiered(dir.path()));
    let request = GenerationRequest { max_tokens: 1, ..greedy(PROMPT) };
    engine.complete(&request);
    engine.settle();
    let num_rings = Arc::new(AtomicUsize::new(0));
    let bell = Arc::clone(&num_rings);
    engine.tier().set_bell(move || _ = bell.fetch_add(1, Ordering::Relaxed));
    (0..5).for_each(|_| _ = engine.complete(&request));
    drop(engine);
    // The last word of the disk's thread, which has done everything before.
    assert_eq!(num_rings.load(Ordering::Relaxed), 1);
}

#[test]
fn damage_on_the_disk_costs_time_and_nothing_else() {
    let dir = TempDir::new().unwrap();
    TestEngine::new(&tiered(dir.path())).complete(&request(PROMPT));
    let segments = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let segment = segments.into_iter().find(|path| path.extension().is_some()).unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    // In the payload of the fifth block or so.
    bytes[20_000] ^= 4;
    fs::write(&segment, &bytes).unwrap();
    let mut engine = TestEngine::new(&tiered(dir.path()));
    let warm = engine.complete(&request(PROMPT));
    assert_eq!(warm.token_ids, cold(&request(PROMPT)));
    assert!((1..num_shareable(PROMPT)).contains(&warm.num_restored_tokens), "{warm:?}");
    assert_eq!(warm.num_cached_tokens, warm.num_restored_tokens);
    engine.settle();
    assert_eq!((engine.disk().num_read_errors, engine.disk().num_written), (1, 1), "it is mended");
}

#[test]
fn nobody_waits_for_a_sequence_that_waits_for_the_disk() {
    let dir = TempDir::new().unwrap();
    TestEngine::new(&tiered(dir.path())).complete(&request(PROMPT));
    let mut engine = TestEngine::new(&tiered(dir.path()));
    let mut parked = engine.submit_and_park(&request(PROMPT));
    let other = engine.complete_beside("something else");
    assert_eq!(other, cold(&request("something else")));
    assert!(parked.try_recv().is_none());
    engine.tier().pause(false);
    engine.run();
    let summary = parked.blocking_finish().unwrap();
    assert_eq!(summary.token_ids, cold(&request(PROMPT)));
    assert_eq!(summary.num_restored_tokens, num_shareable(PROMPT));
}

impl TestEngine {
    /// The tokens of a reply, while others need not come to an end.
    fn complete_beside(&mut self, prompt: &str) -> Vec<u32> {
        let mut stream = self.submit(request(prompt)).unwrap();
        loop {
            self.step();
            match std::iter::from_fn(|| stream.try_recv()).last() {
                Some(GenerationEvent::Finished(summary)) => return summary.token_ids,
                Some(GenerationEvent::Failed(error)) => panic!("{error}"),
                _ => {}
            }
        }
    }
}

#[test]
fn an_abort_is_heard_while_the_disk_is_read() {
    let dir = TempDir::new().unwrap();
    TestEngine::new(&tiered(dir.path())).complete(&request(PROMPT));
    let mut engine = TestEngine::new(&tiered(dir.path()));
    let stream = engine.submit_and_park(&request(PROMPT));
    assert_eq!(engine.tier().num_restores(), 1);
    stream.aborter().abort();
    engine.step();
    assert!(engine.is_idle());
    assert_eq!(engine.tier().num_restores(), 0, "nothing is read for nobody");
    assert_eq!(stream.blocking_finish().unwrap().finish_reason, FinishReason::Aborted);
    let parked = engine.submit_and_park(&request(PROMPT));
    drop(parked);
    engine.step();
    assert!(engine.is_idle());
    engine.tier().pause(false);
    assert_eq!(engine.complete(&request(PROMPT)).num_restored_tokens, num_shareable(PROMPT));
}

#[test]
fn where_the_disks_thread_breaks_down_everybody_is_served_without_it() {
    let dir = TempDir::new().unwrap();
    TestEngine::new(&tiered(dir.path())).complete(&request(PROMPT));
    let mut engine = TestEngine::new(&tiered(dir.path()));
    let parked = engine.submit_and_park(&request(PROMPT));
    engine.tier().break_down();
    engine.run();
    let summary = parked.blocking_finish().unwrap();
    assert_eq!((summary.num_cached_tokens, summary.token_ids), (0, cold(&request(PROMPT))));
    assert!(engine.stats().disk_cache.is_none());
    // It is on the disk still, so nobody may think that it is gone.
    let outcome = engine.forget_owner(1).blocking_recv().unwrap();
    assert_eq!(outcome.unwrap_err().kind(), "disk_cache");
}

#[test]
fn a_slow_disk_costs_blocks_not_memory() {
    let dir = TempDir::new().unwrap();
    let mut engine = TestEngine::new(&tiered(dir.path()));
    engine.tier().pause(true);
    // All 64 blocks of memory, twice: what the disk has not taken is let go.
    let mut last = 0;
    for n in 0..200u32 {
        let prompt: String =
            (0..200).map(|i| char::from(b'a' + (n / 26 + n * i % 23) as u8)).collect();
        engine.complete(&GenerationRequest { max_tokens: 1, ..greedy(&prompt) });
        last = engine.disk().num_pending;
    }
    // 64 MiB of blocks of 8 KiB on the desk would be 8,192.
    assert!(last > 1000, "{last}");
    assert_eq!(engine.disk().num_written, 0);
    engine.tier().pause(false);
    engine.settle();
    assert!(engine.disk().num_bytes <= 16 << 20);
    assert!(engine.disk().num_written > 1000);
}

/// An engine with twelve blocks of 4 MiB: sixteen of them may wait to be written.
pub(super) fn wide_engine(options: &EngineOptions) -> TestEngine {
    let wide = ModelConfig { num_layers: 32, num_kv_heads: 4, head_dim: 64, ..ModelConfig::tiny() };
    let model = Arc::new(Model::random(&wide, 3, &LoadOptions::default()).unwrap());
    let options = EngineOptions {
        kv_cache: KvCacheSize::Blocks(12),
        block_size: 128,
        max_batch_tokens: 512,
        ..options.clone()
    };
    let engine = TestEngine(Engine::new(model, TOKENIZER.clone(), &options).unwrap());
    assert_eq!(engine.runner.block_bytes(), 4 << 20);
    engine
}

impl TestEngine {
    /// Twelve texts of three blocks each.
    pub(super) fn complete_wide_texts(&mut self) {
        for n in 0..12u8 {
            let prompt = char::from(b'a' + n).to_string().repeat(3 * 128 + 1);
            self.complete(&GenerationRequest { max_tokens: 1, ..greedy(&prompt) });
        }
    }
}

#[test]
fn when_the_queue_is_full_blocks_are_skipped_and_counted() {
    let dir = TempDir::new().unwrap();
    let mut engine = wide_engine(&tiered(dir.path()));
    engine.tier().pause(true);
    engine.complete_wide_texts();
    let disk = engine.disk();
    // Of 36, those on the desk, and those that memory still has; the rest was let go.
    assert!((16..=28).contains(&disk.num_pending), "{disk:?}");
    engine.tier().pause(false);
    engine.settle();
    let disk = engine.disk();
    assert!(disk.num_skipped >= 8, "{disk:?}");
    // What is too large for a directory of 16 MiB is not there, but was written.
    assert_eq!(disk.num_written + disk.num_skipped, 36, "{disk:?}");
    assert!(disk.num_bytes <= 16 << 20);
}
