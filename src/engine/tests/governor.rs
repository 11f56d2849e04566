//! Replies kept within a range of tokens, by a model that writes at random.

use super::*;
use crate::engine::governor::LengthRange;
use crate::prose::Scan;

/// Letters, spaces and what ends sentences; the model ends at any time.
fn prose(seed: u64) -> GenerationRequest {
    let mut request = request("Once upon a time");
    let wanted: Vec<u32> = b"abcdefgh  .!\"*\n".iter().map(|&byte| u32::from(byte)).collect();
    request.sampler.banned_tokens =
        (0..258).filter(|id| !wanted.contains(id) && *id != EOS).collect();
    GenerationRequest { seed, trim_end: true, ..request }
}

fn kept(seed: u64, min_tokens: usize, max_tokens: usize, cap: usize) -> GenerationRequest {
    GenerationRequest {
        max_tokens: cap,
        length_range: Some(LengthRange { min_tokens, max_tokens }),
        stop: vec!["\nb".into(), "!".into()],
        ..prose(seed)
    }
}

#[test]
fn replies_stay_within_their_range_and_end_with_a_sentence() {
    let mut engine = TestEngine::new(&options());
    let (mut without, mut ended) = (0, 0);
    for seed in 0..60 {
        let free = GenerationRequest { length_range: None, ..kept(seed, 0, 0, 90) };
        let free = engine.complete(&free);
        without += usize::from((30..=90).contains(&free.num_generated_tokens));
        let mut request = kept(seed, 30, 50, 90);
        if seed >= 30 {
            // Nothing but the governor ends it.
            request.sampler.banned_tokens.insert(EOS);
            request.stop.clear();
        }
        let reply = engine.complete(&request);
        assert!(reply.num_generated_tokens >= 30, "{seed}: {reply:?}");
        assert!(reply.num_generated_tokens <= 90, "{seed}: {reply:?}");
        let is_whole = Scan::of(&reply.text).is_at_end;
        // Two marks side by side are one.
        if !reply.text.contains("**") {
            assert_eq!(Scan::of(&reply.text).closers, "", "{seed}: {:?}", reply.text);
        }
        // What the model ended itself may end anywhere; what was ended for it may not.
        if !matches!(reply.finish_reason, FinishReason::Eos | FinishReason::Stop(_)) {
            ended += usize::from(reply.finish_reason == FinishReason::Sentence);
            assert!(is_whole, "{seed}: {:?}", reply.text);
        }
    }
    assert!(without < 55, "the model would have kept to the range by itself");
    assert!(ended >= 20, "{ended} replies were ended with their sentence");
}

#[test]
fn an_end_that_is_certain_is_held_back() {
    let mut engine = TestEngine::new(&options());
    let mut request = kept(1, 20, 60, 90);
    request.sampler.logit_bias.insert(EOS, 50.0);
    let reply = engine.complete(&request);
    assert_eq!(reply.finish_reason, FinishReason::Eos);
    // It ends at once when it may.
    assert_eq!(reply.num_generated_tokens, 21);
}

#[test]
fn a_stop_string_below_the_range_is_taken_back_and_never_shown() {
    let mut engine = TestEngine::new(&options());
    for seed in 0..20 {
        let request = kept(seed, 40, 60, 90);
        let mut stream = engine.submit(request).unwrap();
        engine.run();
        let shown = deltas(&mut stream).concat();
        assert!(!shown.contains('!') && !shown.contains("\nb"), "{seed}: {shown:?}");
    }
    let taken_back = (0..20).map(|seed| engine.complete(&kept(seed, 40, 60, 90)).num_rewinds);
    assert!(taken_back.sum::<usize>() > 0, "no stop came below the range");
}

#[test]
fn without_a_sentences_end_the_last_word_is_finished_and_closed() {
    let mut engine = TestEngine::new(&options());
    for seed in 0..20 {
        let mut request = kept(seed, 10, 40, 64);
        request.stop.clear();
        // No sentence ends by itself, nor does the reply.
        for token in b".!\n".iter().map(|&byte| u32::from(byte)).chain([EOS]) {
            request.sampler.logit_bias.insert(token, -30.0);
        }
        let reply = engine.complete(&request);
        assert!(Scan::of(&reply.text).is_at_end, "{seed}: {:?}", reply.text);
    }
}

#[test]
fn a_kept_reply_is_the_same_in_a_batch_and_its_deltas_are_its_text() {
    let mut engine = TestEngine::new(&options());
    let requests: Vec<_> = (0..6).map(|seed| kept(seed, 15, 30, 60)).collect();
    let alone: Vec<_> = requests.iter().map(|request| engine.complete(request)).collect();
    let mut streams: Vec<_> =
        requests.into_iter().map(|request| engine.submit(request).unwrap()).collect();
    engine.run();
    for (stream, alone) in streams.iter_mut().zip(alone) {
        assert_eq!(deltas(stream).concat(), alone.text);
    }
}

#[test]
fn a_range_that_ends_before_it_begins_is_refused() {
    let mut engine = TestEngine::new(&options());
    assert!(matches!(engine.submit(kept(0, 30, 20, 60)), Err(EngineError::Request(_))));
}
