//! Stops, ends and banned strings on sampled tokens.

use super::*;

fn with_stop(stop: &str) -> GenerationRequest {
    GenerationRequest { stop: vec!["never".into(), stop.into()], ..request("Once upon") }
}

#[test]
fn a_stop_across_tokens_ends_the_reply_and_is_removed() {
    let mut engine = TestEngine::new(&options());
    let whole = engine.complete(&request("Once upon")).text;
    // One byte a token: this stop comes in three tokens.
    let stop = whole[20..23].to_owned();
    let mut stream = engine.submit(with_stop(&stop)).unwrap();
    engine.run();
    let shown = deltas(&mut stream).concat();
    assert_eq!(shown, whole.split(&stop).next().unwrap());
    let summary = engine.complete(&with_stop(&stop));
    assert_eq!(summary.text, shown);
    assert_eq!(summary.finish_reason, FinishReason::Stop(stop));
    assert_eq!(summary.num_generated_tokens, shown.len() + 3);
}

#[test]
fn the_model_can_end_the_reply() {
    let mut engine = TestEngine::new(&options());
    let summary = engine.complete(&certain_of(EOS, "abc"));
    assert_eq!(summary.finish_reason, FinishReason::Eos);
    assert_eq!((summary.token_ids.as_slice(), summary.text.as_str()), (&[EOS][..], ""));
}

#[test]
fn an_ignored_eos_is_never_sampled() {
    let mut engine = TestEngine::new(&options());
    let request = GenerationRequest { ignore_eos: true, max_tokens: 12, ..certain_of(EOS, "abc") };
    let summary = engine.complete(&request);
    assert_eq!(summary.finish_reason, FinishReason::Length);
    assert!(!summary.token_ids.contains(&EOS));
}

#[test]
fn a_character_of_several_tokens_is_shown_whole_or_not_at_all() {
    let mut engine = TestEngine::new(&options());
    let candle = "\u{1F56F}".as_bytes();
    // The first byte of a character, over and over: invalid as soon as the next is there.
    let mut request = certain_of(u32::from(candle[0]), "abc");
    request.max_tokens = 5;
    let mut stream = engine.submit(request).unwrap();
    engine.step();
    assert_eq!(deltas(&mut stream), [""; 0], "the first byte may still become a character");
    engine.step();
    assert_eq!(deltas(&mut stream), ["\u{FFFD}"]);
    engine.run();
    let summary = stream.blocking_finish().unwrap();
    assert_eq!(summary.text, "\u{FFFD}".repeat(4), "the unfinished last character is dropped");
}

#[test]
fn a_banned_string_is_sampled_anew_whatever_its_case() {
    let mut engine = TestEngine::new(&options());
    let free = engine.complete(&request("Once upon")).text;
    let banned = free[12..16].to_uppercase();
    let mut request = request("Once upon");
    request.sampler.banned_strings = vec![banned.clone(), "not to be seen".into()];
    let mut stream = engine.submit(request.clone()).unwrap();
    engine.run();
    let shown = deltas(&mut stream).concat();
    let summary = engine.complete(&request);
    assert!(!summary.text.to_lowercase().contains(&banned.to_lowercase()), "{}", summary.text);
    assert_eq!(summary.text[..12], free[..12], "what stands before is kept");
    assert_ne!(summary.text[12..13], free[12..13], "the token that began it is replaced");
    assert_eq!((summary.num_rewinds, summary.num_banned_passed), (1, 0));
    assert_eq!(summary.num_generated_tokens, 40);
    assert_eq!(shown, summary.text);
}

#[test]
fn going_back_takes_the_random_numbers_along() {
    let mut engine = TestEngine::new(&options());
    let free = engine.complete(&request("Once upon")).text;
    // Both forbid the same token at the same place, one of them two tokens later.
    let [soon, late] = [12..14, 12..16].map(|range| {
        let mut request = request("Once upon");
        request.sampler.banned_strings = vec![free[range].into()];
        engine.complete(&request)
    });
    assert_eq!((soon.num_rewinds, late.num_rewinds), (1, 1));
    assert_eq!(soon.token_ids, late.token_ids);
}

#[test]
fn going_back_gives_the_same_reply_in_a_batch_with_a_warm_cache() {
    let mut engine = TestEngine::new(&options());
    let mut request = request("Once upon a time");
    request.max_tokens = 80;
    // Whatever the reply says next is banned, five times over.
    for at in [10, 20, 30, 40, 50] {
        let text = engine.complete(&request).text;
        request.sampler.banned_strings.push(text[at..at + 3].into());
    }
    let alone = TestEngine::new(&options()).complete(&request);
    assert!(alone.num_rewinds >= 5, "{alone:?}");
    let streams: Vec<_> = (0..4).map(|_| engine.submit(request.clone()).unwrap()).collect();
    engine.run();
    for stream in streams {
        let summary = stream.blocking_finish().unwrap();
        assert_eq!(
            (summary.token_ids, summary.text),
            (alone.token_ids.clone(), alone.text.clone())
        );
    }
}

#[test]
fn a_banned_string_that_cannot_be_avoided_is_let_pass_and_counted() {
    let mut engine = TestEngine::new(&options());
    let mut request = request("abc");
    request.max_tokens = 3;
    request.sampler.banned_strings = (b' '..127).map(|byte| char::from(byte).to_string()).collect();
    let summary = engine.complete(&request);
    assert_eq!(summary.finish_reason, FinishReason::Length);
    assert_eq!((summary.text.len(), summary.num_banned_passed), (3, 3));
    assert_eq!(summary.num_rewinds, 24, "eight attempts at each position");
}

#[test]
fn a_stop_wins_over_a_banned_string_that_it_cuts_off() {
    let mut engine = TestEngine::new(&options());
    let free = engine.complete(&request("Once upon")).text;
    let mut request = with_stop(&free[10..13]);
    // Would be complete only within the stop.
    request.sampler.banned_strings = vec![free[8..12].into()];
    let summary = engine.complete(&request);
    assert_ne!(summary.text, free[..10], "complete one token before the stop: taken back");
    request.sampler.banned_strings = vec![free[8..14].into()];
    let summary = engine.complete(&request);
    assert_eq!(summary.finish_reason, FinishReason::Stop(free[10..13].into()));
    assert_eq!((summary.text.as_str(), summary.num_rewinds), (&free[..10], 0));
}
