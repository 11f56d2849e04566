//! The engine on the real small model, whose tokens are words and parts of words.
//!
//! Token ids are compared exactly: on one machine the logits of a sequence alone and in
//! a batch differ by float rounding at most, and these greedy replies have no near-ties.

use std::sync::OnceLock;

use dramatis::engine::{
    Engine, EngineHandle, EngineOptions, FinishReason, GenerationEvent, GenerationRequest,
    GenerationSummary, KvCacheSize, LoadedModel,
};
use dramatis::model::{LoadOptions, WeightType};
use dramatis::sampling::SamplerParams;

use crate::support::models::small_model;

fn loaded() -> &'static LoadedModel {
    static LOADED: OnceLock<LoadedModel> = OnceLock::new();
    // As stored, in Q4_1, its products are many times as slow.
    let options = LoadOptions { weight_type: Some(WeightType::F32), ..LoadOptions::default() };
    LOADED.get_or_init(|| LoadedModel::load(&small_model(), &options).unwrap())
}

fn engine() -> Engine {
    let options = EngineOptions {
        kv_cache: KvCacheSize::Blocks(64),
        max_batch_tokens: 48,
        ..EngineOptions::default()
    };
    Engine::new(loaded().model.clone(), loaded().tokenizer.clone(), &options).unwrap()
}

/// A greedy reply of 12 tokens in the LimaRP format.
fn request(message: &str) -> GenerationRequest {
    let transcript = format!(
        "### Instruction:\nMara's Persona: A lighthouse keeper of few words.\n\nPlay the role of \
         Mara.\n\n### Input:\nTom: {message}\n\n### Response: (length = short)\nMara:"
    );
    let mut request = GenerationRequest {
        max_tokens: 12,
        stop: ["\n### Input", "\n### Response", "\n### Instruction", "\nTom:"]
            .map(String::from)
            .to_vec(),
        trim_start_space: true,
        trim_end: true,
        ..GenerationRequest::new(loaded().tokenizer.encode_start(&transcript))
    };
    request.sampler.temperature = 0.0;
    request
}

/// Runs one request, and checks on the way that nothing shown is taken back.
fn complete(engine: &mut Engine, request: &GenerationRequest) -> GenerationSummary {
    let mut stream = engine.submit(request.clone()).unwrap();
    let mut shown = String::new();
    loop {
        engine.step();
        engine.check_integrity().unwrap();
        while let Some(event) = stream.try_recv() {
            match event {
                GenerationEvent::Started { .. } => {}
                GenerationEvent::Text(delta) => shown.push_str(&delta),
                GenerationEvent::Finished(summary) => {
                    assert_eq!(shown, summary.text);
                    return summary;
                }
                GenerationEvent::Failed(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn replies_of_a_batch_equal_those_made_alone() {
    let messages =
        ["Good evening!", "Is the lamp lit?", "I saw a ship.", "Who was here before you?"];
    let alone: Vec<_> = messages.map(|message| complete(&mut engine(), &request(message))).into();
    assert!(alone.iter().all(|summary| summary.text.len() > 10), "{alone:?}");

    let mut engine = engine();
    let streams = messages.map(|message| engine.submit(request(message)).unwrap());
    while !engine.is_idle() {
        engine.step();
    }
    for (stream, alone) in streams.into_iter().zip(alone) {
        let summary = stream.blocking_finish().unwrap();
        assert_eq!(summary.token_ids, alone.token_ids);
        assert_eq!(summary.text, alone.text);
    }
}

#[test]
fn a_second_swipe_pays_for_the_last_block_only_and_is_the_same() {
    let mut engine = engine();
    let mut seeded = request("Good evening!");
    seeded.sampler = SamplerParams { temperature: 0.8, ..SamplerParams::default() };
    seeded.seed = 3;
    let cold = complete(&mut engine, &seeded);
    let warm = complete(&mut engine, &seeded);
    assert_eq!(warm.num_cached_tokens, (warm.num_prompt_tokens - 1) / 32 * 32);
    assert_eq!((warm.token_ids, warm.text), (cold.token_ids, cold.text));
}

#[test]
fn a_stop_within_a_word_cuts_there() {
    let mut engine = engine();
    let free = complete(&mut engine, &request("Good evening!")).text;
    let at = free.char_indices().map(|(at, _)| at).nth(12).unwrap();
    let mut request = request("Good evening!");
    let stop: String = free[at..].chars().take(3).collect();
    request.stop = vec![stop.clone()];
    let summary = complete(&mut engine, &request);
    assert_eq!(summary.finish_reason, FinishReason::Stop(stop.clone()));
    assert_eq!(summary.text, free.split(&stop).next().unwrap().trim_end());
}

#[test]
fn a_banned_string_that_begins_within_a_word_is_avoided() {
    let mut engine = engine();
    let mut request = request("Good evening!");
    let free = complete(&mut engine, &request).text;
    // From the second letter of a word on: the token that holds it goes as a whole.
    let words = free.split_whitespace().filter(|word| word.len() > 3);
    let word = words.max_by_key(|word| word.len()).expect("a reply has a long word");
    request.sampler.banned_strings = vec![word[1..].to_uppercase()];
    let summary = complete(&mut engine, &request);
    assert!(summary.num_rewinds > 0, "{summary:?}");
    assert_eq!(summary.num_banned_passed, 0);
    assert!(!summary.text.to_lowercase().contains(&word[1..].to_lowercase()), "{summary:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_streams_through_the_handle() {
    let LoadedModel { model, tokenizer } = loaded();
    let handle =
        EngineHandle::spawn(model.clone(), tokenizer.clone(), &EngineOptions::default()).unwrap();
    let mut stream = handle.submit(request("Good evening!")).unwrap();
    let mut num_deltas = 0;
    let summary = loop {
        match stream.recv().await.unwrap() {
            GenerationEvent::Started { .. } => {}
            GenerationEvent::Text(_) => num_deltas += 1,
            GenerationEvent::Finished(summary) => break summary,
            GenerationEvent::Failed(error) => panic!("{error}"),
        }
    };
    assert!(num_deltas > 2, "{num_deltas} deltas");
    assert!(!summary.text.is_empty() && !summary.text.starts_with(' '));
    handle.check_integrity().await.unwrap();
}
