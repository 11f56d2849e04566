//! Prompts computed ahead, while nobody else wants the device.

use super::*;

fn ahead(prompt: &str) -> GenerationRequest {
    GenerationRequest { prefill_only: true, ..GenerationRequest::new(TOKENIZER.encode(prompt)) }
}

const EXPECTED: &str = "A long road, a short night, and a door that nobody had opened for years.";

#[test]
fn a_prompt_computed_ahead_is_found_by_the_request_that_was_expected() {
    let mut engine = TestEngine::new(&options());
    let warm = engine.complete(&ahead(EXPECTED));
    assert_eq!(warm.finish_reason, FinishReason::Prefilled);
    assert_eq!((warm.num_generated_tokens, warm.text.as_str()), (0, ""));
    let next = greedy(&format!("{EXPECTED} Who goes first?"));
    let summary = engine.complete(&next);
    assert_eq!(summary.num_cached_tokens, EXPECTED.len() / 16 * 16);
    assert_eq!(summary.token_ids, TestEngine::new(&options()).complete(&next).token_ids);
}

#[test]
fn the_background_runs_only_while_nobody_else_does() {
    let options = EngineOptions { max_batch_sequences: 1, max_batch_tokens: 16, ..options() };
    let mut engine = TestEngine::new(&options);
    let mut ahead = engine.submit(ahead(&EXPECTED.repeat(3))).unwrap();
    engine.step();
    assert_eq!(engine.stats().num_running, 1);
    // Whoever comes takes its only place at once, and keeps it.
    let mut request = engine.submit(greedy("Now.")).unwrap();
    engine.step();
    let events: Vec<_> = std::iter::from_fn(|| request.try_recv()).collect();
    assert!(matches!(events[0], GenerationEvent::Started { .. }), "{events:?}");
    while request.try_recv().is_none_or(|e| !matches!(e, GenerationEvent::Finished(_))) {
        engine.step();
        let over = std::iter::from_fn(|| ahead.try_recv());
        assert!(over.into_iter().all(|e| matches!(e, GenerationEvent::Started { .. })));
    }
    engine.run();
    let summary = ahead.blocking_finish().unwrap();
    assert_eq!(summary.finish_reason, FinishReason::Prefilled);
    assert!(summary.num_preemptions > 0, "it had to make room");
}

#[test]
fn a_prompt_computed_ahead_can_be_called_off() {
    let mut engine = TestEngine::new(&EngineOptions { max_batch_tokens: 16, ..options() });
    let stream = engine.submit(ahead(&EXPECTED.repeat(3))).unwrap();
    engine.step();
    drop(stream);
    engine.step();
    assert!(engine.is_idle());
}

#[test]
fn a_bound_on_steps_cuts_prompts_and_changes_no_reply() {
    let bound = EngineOptions { max_step: Some(std::time::Duration::from_nanos(1)), ..options() };
    let mut engine = TestEngine::new(&bound);
    let long = greedy(&EXPECTED.repeat(4));
    // The first step has nothing to go by.
    engine.complete(&greedy(EXPECTED));
    let stream = engine.submit(long.clone()).unwrap();
    let mut most = 0;
    while !engine.is_idle() {
        most = most.max(engine.step().num_batch_tokens);
    }
    assert_eq!(most, 32, "the fewest that are worth a step");
    let alone = TestEngine::new(&options()).complete(&long);
    assert_eq!(stream.blocking_finish().unwrap().token_ids, alone.token_ids);
}

#[test]
fn the_background_takes_nobodys_place_in_the_queue() {
    let options = EngineOptions { max_waiting: 2, ..options() };
    let mut engine = TestEngine::new(&options);
    let mut refused = 0;
    let ahead: Vec<_> = (0..100u64)
        .filter_map(|n| {
            let request = GenerationRequest { cache_owner: n + 1, ..ahead(EXPECTED) };
            engine.submit(request).inspect_err(|_| refused += 1).ok()
        })
        .collect();
    assert_eq!((ahead.len(), refused), (64, 36), "it has a queue of its own");
    let streams = [engine.submit(greedy("One.")).unwrap(), engine.submit(greedy("Two.")).unwrap()];
    assert!(matches!(engine.submit(greedy("Three.")), Err(EngineError::Busy { .. })));
    engine.run();
    for stream in streams {
        assert_eq!(stream.blocking_finish().unwrap().num_generated_tokens, 40);
    }
    for stream in ahead {
        assert_eq!(stream.blocking_finish().unwrap().finish_reason, FinishReason::Prefilled);
    }
}

#[test]
fn a_newer_prompt_of_a_scene_takes_the_older_ones_place() {
    let mut engine = TestEngine::new(&EngineOptions { max_batch_tokens: 16, ..options() });
    let of = |owner, prompt: &str| GenerationRequest { cache_owner: owner, ..ahead(prompt) };
    let older = engine.submit(of(7, &EXPECTED.repeat(2))).unwrap();
    let other = engine.submit(of(8, EXPECTED)).unwrap();
    engine.step();
    let newer = engine.submit(of(7, &EXPECTED.repeat(3))).unwrap();
    let reason = |stream: GenerationStream| stream.blocking_finish().unwrap().finish_reason;
    assert_eq!(reason(older), FinishReason::Aborted);
    engine.run();
    assert_eq!(reason(other), FinishReason::Prefilled);
    assert_eq!(reason(newer), FinishReason::Prefilled);
}
