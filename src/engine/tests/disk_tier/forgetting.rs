//! What is forgotten is gone from memory and disk, or it is an error.

use super::*;

#[test]
fn what_a_larger_budget_left_goes_where_the_new_one_holds_nothing() {
    let dir = TempDir::new().unwrap();
    TestEngine::new(&tiered(dir.path())).complete(&owned(7, PROMPT));
    let small = DiskCacheOptions { dir: dir.path().to_owned(), capacity_bytes: 8_000, key: None };
    let small = EngineOptions { disk_cache: Some(small), ..options() };
    let holder = TestEngine::new(&tiered(dir.path()));
    let outcome = TestEngine::new(&small).forget_owner(7).blocking_recv().unwrap();
    assert_eq!(outcome.unwrap_err().kind(), "disk_cache", "it is in use");
    drop(holder);
    let mut engine = TestEngine::new(&small);
    engine.forget_owner(7).blocking_recv().unwrap().unwrap();
    assert_eq!(TestEngine::new(&tiered(dir.path())).disk().num_blocks, 0);
}

#[test]
fn where_the_directory_cannot_be_opened_nothing_is_forgotten() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("a file");
    fs::write(&file, "").unwrap();
    let mut engine = TestEngine::new(&tiered(&file));
    assert!(engine.stats().disk_cache.is_none());
    assert_eq!(engine.complete(&owned(7, PROMPT)).token_ids, cold(&owned(7, PROMPT)));
    let outcome = engine.forget_owner(7).blocking_recv().unwrap();
    assert_eq!(outcome.unwrap_err().kind(), "disk_cache");
    assert_eq!(engine.complete(&owned(7, PROMPT)).num_cached_tokens, 0, "memory forgot");
}

#[test]
fn whoever_waits_for_the_disks_thread_to_forget_hears_that_it_broke_down() {
    let dir = TempDir::new().unwrap();
    let mut engine = TestEngine::new(&tiered(dir.path()));
    engine.tier().break_down();
    // The engine has not noticed yet.
    let outcome = engine.forget_owner(1).blocking_recv().unwrap();
    assert_eq!(outcome.unwrap_err().kind(), "disk_cache");
}

#[test]
fn what_is_forgotten_is_gone_from_memory_and_disk_for_good() {
    let dir = TempDir::new().unwrap();
    let mut engine = TestEngine::new(&tiered(dir.path()));
    let (ours, theirs) = (owned(7, PROMPT), owned(8, &other_text(0)));
    engine.complete(&ours);
    engine.complete(&theirs);
    engine.settle();
    let (our_payloads, their_payloads) = (engine.payloads(&ours), engine.payloads(&theirs));
    assert!(our_payloads.len() > 5);
    assert!(our_payloads.iter().chain(&their_payloads).all(|p| is_on_disk(dir.path(), p)));
    let num_blocks = engine.stats().num_cached_blocks;
    let done = engine.forget_owner(7);
    engine.check_integrity().unwrap();
    assert!(engine.payloads(&ours).is_empty());
    assert!(engine.stats().num_cached_blocks < num_blocks);
    done.blocking_recv().unwrap().unwrap();
    assert!(!our_payloads.iter().any(|payload| is_on_disk(dir.path(), payload)));
    assert!(their_payloads.iter().all(|payload| is_on_disk(dir.path(), payload)));
    drop(engine);
    let mut engine = TestEngine::new(&tiered(dir.path()));
    assert_eq!(engine.complete(&ours).num_cached_tokens, 0);
    assert!(engine.complete(&theirs).num_restored_tokens > 0);
    engine.settle();
    engine.forget_salt(0).blocking_recv().unwrap().unwrap();
    assert_eq!((engine.disk().num_blocks, engine.stats().num_cached_blocks), (0, 0));
    assert!(!their_payloads.iter().any(|payload| is_on_disk(dir.path(), payload)));
}

#[test]
fn what_runs_while_it_is_forgotten_goes_on_and_leaves_nothing() {
    let dir = TempDir::new().unwrap();
    let mut engine = TestEngine::new(&tiered(dir.path()));
    let request = owned(7, PROMPT);
    let running = engine.submit(request.clone()).unwrap();
    engine.steps(5);
    let waiting: Vec<_> = (0..10).map(|_| engine.submit(request.clone()).unwrap()).collect();
    engine.step();
    let done = engine.forget_owner(7);
    engine.check_integrity().unwrap();
    assert_eq!(engine.stats().num_cached_blocks, 0);
    engine.run();
    done.blocking_recv().unwrap().unwrap();
    engine.settle();
    for stream in std::iter::once(running).chain(waiting) {
        assert_eq!(stream.blocking_finish().unwrap().token_ids, cold(&request));
    }
    assert_eq!((engine.disk().num_blocks, engine.stats().num_cached_blocks), (0, 0));
    engine.complete(&request);
    assert!(engine.stats().num_cached_blocks > 0, "what comes later is kept");
}

#[test]
fn a_neighbour_of_the_forgotten_keeps_its_own() {
    let dir = TempDir::new().unwrap();
    let mut engine = TestEngine::new(&tiered(dir.path()));
    // They share the prompt's blocks, which the first of them filed.
    engine.complete(&owned(7, PROMPT));
    let theirs = owned(8, PROMPT);
    let running = engine.submit(theirs.clone()).unwrap();
    engine.steps(5);
    let done = engine.forget_owner(7);
    engine.check_integrity().unwrap();
    engine.run();
    done.blocking_recv().unwrap().unwrap();
    assert_eq!(running.blocking_finish().unwrap().token_ids, cold(&theirs));
    assert_eq!(engine.payloads(&theirs).len() * BLOCK_SIZE, PROMPT.len() / BLOCK_SIZE * BLOCK_SIZE);
    engine.settle();
    drop(engine);
    let warm = TestEngine::new(&tiered(dir.path())).complete(&theirs);
    assert_eq!(warm.num_restored_tokens, num_shareable(PROMPT));
}

#[test]
fn what_continues_the_forgotten_goes_from_the_disk_too() {
    for waits_to_be_written in [false, true] {
        let dir = TempDir::new().unwrap();
        let mut engine = TestEngine::new(&tiered(dir.path()));
        engine.complete(&owned(7, PROMPT));
        engine.settle();
        engine.tier().pause(waits_to_be_written);
        let longer = owned(8, &format!("{PROMPT} {}", other_text(0)));
        engine.complete(&longer);
        let payloads = engine.payloads(&longer);
        assert!(payloads.len() > PROMPT.len() / BLOCK_SIZE + 5);
        if !waits_to_be_written {
            engine.settle();
            assert!(payloads.iter().all(|payload| is_on_disk(dir.path(), payload)));
        }
        engine.forget_owner(7).blocking_recv().unwrap().unwrap();
        engine.tier().pause(false);
        engine.settle();
        assert_eq!((engine.disk().num_blocks, engine.stats().num_cached_blocks), (0, 0));
        assert!(!payloads.iter().any(|payload| is_on_disk(dir.path(), payload)));
        // It is theirs from now on.
        assert_eq!(engine.complete(&longer).num_cached_tokens, 0);
        engine.settle();
        assert!(engine.disk().num_blocks > 0);
    }
}

#[test]
fn forgetting_reaches_what_waits_for_the_disk_and_what_waits_to_be_written() {
    let dir = TempDir::new().unwrap();
    TestEngine::new(&tiered(dir.path())).complete(&owned(7, PROMPT));
    let mut engine = TestEngine::new(&tiered(dir.path()));
    let parked = engine.submit_and_park(&owned(7, PROMPT));
    engine.complete_beside_owned(7, &other_text(1));
    assert!(engine.disk().num_pending > 5);
    engine.forget_owner(7).blocking_recv().unwrap().unwrap();
    engine.check_integrity().unwrap();
    engine.tier().pause(false);
    engine.run();
    engine.settle();
    let summary = parked.blocking_finish().unwrap();
    assert_eq!((summary.num_cached_tokens, summary.token_ids), (0, cold(&owned(7, PROMPT))));
    assert_eq!((engine.disk().num_blocks, engine.disk().num_written), (0, 0));
}

impl TestEngine {
    fn complete_beside_owned(&mut self, owner: u64, prompt: &str) {
        let mut stream = self.submit(owned(owner, prompt)).unwrap();
        while !matches!(stream.try_recv(), Some(GenerationEvent::Finished(_))) {
            self.step();
        }
    }
}

#[test]
fn without_a_tier_memory_forgets_all_the_same() {
    let mut engine = TestEngine::new(&options());
    engine.complete(&owned(7, PROMPT));
    engine.complete(&owned(8, &other_text(0)));
    engine.forget_owner(0).blocking_recv().unwrap().unwrap();
    assert_eq!(engine.complete(&owned(7, PROMPT)).num_cached_tokens, num_shareable(PROMPT));
    engine.forget_owner(7).blocking_recv().unwrap().unwrap();
    assert_eq!(engine.complete(&owned(7, PROMPT)).num_cached_tokens, 0);
    assert!(engine.complete(&owned(8, &other_text(0))).num_cached_tokens > 0);
}
