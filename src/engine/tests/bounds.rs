//! Limits, refusals, cancellation and failure.

use super::*;

#[test]
fn a_request_that_can_never_fit_is_refused_with_the_numbers() {
    let mut engine =
        TestEngine::new(&EngineOptions { kv_cache: KvCacheSize::Blocks(4), ..options() });
    assert_eq!(engine.context_tokens(), 64);
    let error = engine.submit(request(&"x".repeat(64))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the prompt has 64 tokens, but prompt and reply together must fit in 64: shorten the \
         prompt, or give the engine a longer context or more KV blocks"
    );
    assert!(!error.is_retryable());
    assert!(engine.submit(request(&"x".repeat(63))).is_ok());
}

#[test]
fn a_full_context_ends_the_reply() {
    let mut engine = TestEngine::new(&EngineOptions { context_tokens: Some(20), ..options() });
    let summary = engine.complete(&request("0123456789"));
    assert_eq!(summary.finish_reason, FinishReason::Context);
    assert_eq!(summary.num_prompt_tokens + summary.num_generated_tokens, 20);
}

#[test]
fn one_sequence_may_fill_every_block() {
    let mut engine =
        TestEngine::new(&EngineOptions { kv_cache: KvCacheSize::Blocks(3), ..options() });
    let long = GenerationRequest { max_tokens: 1000, ..request("abc") };
    let other = engine.submit(request("another")).unwrap();
    let summary = engine.complete(&long);
    assert_eq!(summary.finish_reason, FinishReason::Context);
    assert_eq!(summary.num_generated_tokens, 45);
    assert_eq!(other.blocking_finish().unwrap().num_generated_tokens, 40);
}

#[test]
fn too_many_waiting_requests_are_refused_with_the_number() {
    let mut engine = TestEngine::new(&EngineOptions { max_waiting: 2, ..options() });
    let _streams = [engine.submit(request("a")).unwrap(), engine.submit(request("b")).unwrap()];
    let error = engine.submit(request("c")).unwrap_err();
    assert_eq!(error.to_string(), "2 requests are waiting, and no more than 2 may: try later");
    assert!(error.is_retryable());
    engine.step();
    assert!(engine.submit(request("c")).is_ok(), "those that run no longer wait");
}

#[test]
fn a_refused_request_gives_its_place_back() {
    let mut engine = TestEngine::new(&EngineOptions { max_waiting: 1, ..options() });
    let mut bad = request("a");
    bad.sampler.top_p = 2.0;
    assert!(matches!(engine.submit(bad), Err(EngineError::Sampler(_))));
    let empty_stop = GenerationRequest { stop: vec![String::new()], ..request("a") };
    assert!(matches!(engine.submit(empty_stop), Err(EngineError::Request(_))));
    let nothing = GenerationRequest { max_tokens: 0, ..request("a") };
    assert!(matches!(engine.submit(nothing), Err(EngineError::Request(_))));
    let foreign = GenerationRequest::new(vec![1, 258]);
    assert!(matches!(engine.submit(foreign), Err(EngineError::UnknownToken { token: 258, .. })));
    assert!(matches!(engine.submit(GenerationRequest::new(vec![])), Err(EngineError::EmptyPrompt)));
    assert!(engine.submit(request("a")).is_ok());
}

#[test]
fn options_that_cannot_work_are_refused() {
    for (options, reason) in [
        (EngineOptions { block_size: 0, ..options() }, "block_size is 0"),
        (EngineOptions { max_batch_tokens: 7, ..options() }, "at least max_batch_sequences, 8"),
        (EngineOptions { kv_cache: KvCacheSize::Bytes(100), ..options() }, "holds 0 blocks"),
        (EngineOptions { kv_cache: KvCacheSize::Blocks(usize::MAX), ..options() }, "ids end at"),
    ] {
        let error = Engine::new(MODEL.clone(), TOKENIZER.clone(), &options).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn the_kv_cache_is_sized_in_bytes() {
    let block_bytes = MODEL.kv_block_bytes(16) as u64;
    let options = EngineOptions { kv_cache: KvCacheSize::Bytes(block_bytes * 10 + 1), ..options() };
    assert_eq!(TestEngine::new(&options).stats().num_blocks, 10);
}

#[test]
fn an_abort_in_the_queue_in_prefill_or_in_decode_frees_everything_within_a_step() {
    // With steps of 8 tokens the prompt takes 13 steps; then it decodes.
    let options = EngineOptions { max_batch_sequences: 1, max_batch_tokens: 8, ..options() };
    for num_steps in [0, 1, 5, 13, 20] {
        let mut engine = TestEngine::new(&options);
        let stream = engine.submit(request(&"abcdefgh".repeat(13))).unwrap();
        engine.steps(num_steps);
        assert_eq!(engine.num_held_blocks() > 0, num_steps > 0);
        stream.aborter().abort();
        engine.step();
        assert!(engine.is_idle());
        assert_eq!(engine.num_held_blocks(), 0);
        let summary = stream.blocking_finish().unwrap();
        assert_eq!(summary.finish_reason, FinishReason::Aborted);
        assert_eq!(summary.num_generated_tokens, usize::saturating_sub(num_steps, 12));
    }
}

#[test]
fn an_aborted_reply_keeps_its_text() {
    let mut engine = TestEngine::new(&options());
    let whole = engine.complete(&request("abc")).text;
    let stream = engine.submit(request("abc")).unwrap();
    engine.steps(10);
    engine.abort(stream.id());
    engine.abort(stream.id());
    assert!(engine.is_idle());
    assert_eq!(stream.blocking_finish().unwrap().text, whole[..10]);
}

#[test]
fn a_dropped_stream_cancels_within_a_step_and_others_go_on() {
    let mut engine = TestEngine::new(&options());
    let alone = engine.complete(&request("kept")).text;
    let kept = engine.submit(request("kept")).unwrap();
    let dropped = engine.submit(request("dropped")).unwrap();
    engine.step();
    drop(dropped);
    assert_eq!(engine.step().num_batch_sequences, 1);
    engine.run();
    assert_eq!(kept.blocking_finish().unwrap().text, alone);
}

#[test]
fn events_come_in_order_and_end_once() {
    let mut engine = TestEngine::new(&options());
    let mut stream = engine.submit(request("abc")).unwrap();
    assert!(stream.try_recv().is_none());
    engine.run();
    let events: Vec<_> = std::iter::from_fn(|| stream.try_recv()).collect();
    let [GenerationEvent::Started { .. }, texts @ .., GenerationEvent::Finished(summary)] =
        &events[..]
    else {
        panic!("{events:?}");
    };
    assert!(texts.iter().all(|event| matches!(event, GenerationEvent::Text(t) if !t.is_empty())));
    assert_eq!(summary.finish_reason, FinishReason::Length);
    assert_eq!(summary.token_ids.len(), 40);
    assert!(stream.try_recv().is_none());
    assert!(stream.blocking_recv().is_none());
}

#[test]
fn a_failure_of_the_model_fails_its_batch_and_nothing_else() {
    let mut engine = TestEngine::new(&EngineOptions { max_batch_sequences: 1, ..options() });
    let broken = engine.submit(request("abc")).unwrap();
    let waiting = engine.submit(request("abc")).unwrap();
    engine.step();
    // A token that no checked request can hold: the model refuses the batch.
    let sequence = engine.0.scheduler.running_mut(broken.id()).unwrap();
    *sequence.tokens.last_mut().unwrap() = 9999;
    assert_eq!(engine.step().num_finished, 1);
    let error = broken.blocking_finish().unwrap_err();
    assert_eq!(error.kind(), "model");
    assert!(error.to_string().contains("9999"), "{error}");
    engine.run();
    assert_eq!(waiting.blocking_finish().unwrap().num_generated_tokens, 40);
}

#[test]
fn a_device_without_memory_gets_less_at_once_and_nobody_fails() {
    let prompts: Vec<String> =
        (0..6u8).map(|n| char::from(b'a' + n).to_string().repeat(50 + usize::from(n))).collect();
    let complete_all = |engine: &mut TestEngine| -> Vec<Vec<u32>> {
        let streams = prompts.iter().map(|prompt| engine.submit(greedy(prompt)).unwrap());
        let streams: Vec<_> = streams.collect();
        engine.run();
        streams.into_iter().map(|it| it.blocking_finish().unwrap().token_ids).collect()
    };
    let wanted = complete_all(&mut TestEngine::new(&options()));
    for room in [(6, 20), (2, 64), (1, 1)] {
        let mut engine = TestEngine::new(&options());
        engine.0.runner.room = Some(room);
        assert_eq!(complete_all(&mut engine), wanted, "{room:?}");
    }
    // Nothing is less than one token.
    let mut engine = TestEngine::new(&options());
    engine.0.runner.room = Some((0, 0));
    let lost = engine.submit(request("abc")).unwrap();
    engine.run();
    let error = lost.blocking_finish().unwrap_err();
    assert!(error.kind() == "model" && error.to_string().contains("out of memory"), "{error}");
}

#[test]
fn a_debug_print_of_a_request_shows_no_text() {
    let request = GenerationRequest { stop: vec!["secret".into()], ..request("also secret") };
    let printed = format!("{request:?}");
    assert!(!printed.contains("secret") && !printed.contains("97"), "{printed}");
}
