//! The same request gives the same tokens, whatever happens around it.
//!
//! Token ids are compared exactly, as the logits are the same bits.

use super::*;

const PROMPTS: [&str; 5] = [
    "The lighthouse keeper looked up.",
    "Rain.",
    "On the third day of the long march through the marshes, with the banners soaked and the \
     mules complaining, Captain Ysolde finally allowed a fire.",
    "\u{2767} \u{1F56F}\u{FE0F} candles everywhere",
    "The lighthouse keeper looked down again, for a while.",
];

fn requests() -> Vec<GenerationRequest> {
    let seeded = PROMPTS.iter().zip(1..).map(|(prompt, seed)| {
        let mut request = GenerationRequest { seed, ..request(prompt) };
        request.sampler.repetition_penalty = 1.1;
        request
    });
    seeded.chain(PROMPTS.iter().map(|prompt| greedy(prompt))).collect()
}

/// Each request on an engine of its own.
fn alone() -> Vec<Vec<u32>> {
    let complete = |request| TestEngine::new(&options()).complete(&request).token_ids;
    requests().into_iter().map(complete).collect()
}

/// All requests at once.
fn together(options: &EngineOptions) -> Vec<GenerationSummary> {
    let mut engine = TestEngine::new(options);
    let submit = |request| engine.submit(request).unwrap();
    let streams: Vec<_> = requests().into_iter().map(submit).collect();
    engine.run();
    streams.into_iter().map(|stream| stream.blocking_finish().unwrap()).collect()
}

fn token_ids(summaries: &[GenerationSummary]) -> Vec<Vec<u32>> {
    summaries.iter().map(|summary| summary.token_ids.clone()).collect()
}

#[test]
fn a_batch_equals_each_sequence_alone() {
    let alone = alone();
    assert!(alone.iter().all(|ids| ids.len() == 40));
    assert_ne!(alone[0], alone[1], "the replies are worth comparing");
    assert_eq!(token_ids(&together(&options())), alone);
}

#[test]
fn small_prefill_chunks_equal_whole_prompts() {
    let chunked = EngineOptions { max_batch_tokens: 10, ..options() };
    let whole = EngineOptions { max_batch_tokens: 1024, ..options() };
    assert_eq!(token_ids(&together(&chunked)), token_ids(&together(&whole)));
}

#[test]
fn the_block_size_does_not_matter() {
    let tiny_blocks =
        EngineOptions { block_size: 1, kv_cache: KvCacheSize::Blocks(1024), ..options() };
    assert_eq!(token_ids(&together(&tiny_blocks)), token_ids(&together(&options())));
}

#[test]
fn preempted_sequences_resume_with_the_same_text() {
    // The longest needs 14 blocks at its end; all together need some 60.
    let scarce = EngineOptions { kv_cache: KvCacheSize::Blocks(18), ..options() };
    let summaries = together(&scarce);
    let num_preemptions: usize = summaries.iter().map(|s| s.num_preemptions).sum();
    assert!(num_preemptions > 0, "blocks were not scarce");
    assert_eq!(token_ids(&summaries), alone());
}

#[test]
fn a_cached_prefix_equals_a_cold_start() {
    let mut engine = TestEngine::new(&options());
    let request = request(PROMPTS[2]);
    let cold = engine.complete(&request);
    let warm = engine.complete(&request);
    assert_eq!(cold.num_cached_tokens, 0);
    // The last token is computed for its logits; whole blocks before it are not.
    assert_eq!(warm.num_cached_tokens, (request.prompt.len() - 1) / 16 * 16);
    assert_eq!(warm.token_ids, cold.token_ids);
}

#[test]
fn the_reply_itself_is_cached_for_the_next_turn() {
    let mut engine = TestEngine::new(&options());
    let first = engine.complete(&greedy(PROMPTS[2]));
    let mut next = greedy(PROMPTS[2]);
    next.prompt.extend(&first.token_ids);
    next.prompt.extend(TOKENIZER.encode(" And then?"));
    let warm = engine.complete(&next);
    let num_written = PROMPTS[2].len() + first.token_ids.len() - 1;
    assert_eq!(warm.num_cached_tokens, num_written / 16 * 16);
    assert_eq!(warm.token_ids, TestEngine::new(&options()).complete(&next).token_ids);
}

#[test]
fn a_prefix_is_never_shared_across_salts() {
    let mut engine = TestEngine::new(&options());
    let ours = engine.complete(&request(PROMPTS[2]));
    let theirs = GenerationRequest { cache_salt: 1, ..request(PROMPTS[2]) };
    let cold = engine.complete(&theirs);
    assert_eq!(cold.num_cached_tokens, 0);
    assert_eq!(cold.token_ids, ours.token_ids);
    assert!(engine.complete(&theirs).num_cached_tokens > 0);
}

#[test]
fn sequences_that_compute_the_same_prompt_at_once_end_up_with_one_copy() {
    let mut engine = TestEngine::new(&options());
    let request = GenerationRequest { max_tokens: 10, ..request(PROMPTS[2]) };
    let alone = TestEngine::new(&options()).complete(&request).token_ids;
    let streams: Vec<_> = (0..3).map(|_| engine.submit(request.clone()).unwrap()).collect();
    let num_prompt_blocks = request.prompt.len() / 16;
    while engine.stats().totals.num_sampled_tokens < 3 {
        engine.step();
    }
    assert_eq!(engine.stats().num_cached_blocks, num_prompt_blocks);
    assert!(engine.num_held_blocks() <= num_prompt_blocks + 3);
    engine.run();
    for stream in streams {
        assert_eq!(stream.blocking_finish().unwrap().token_ids, alone);
    }
}

#[test]
fn another_seed_gives_another_reply() {
    let mut engine = TestEngine::new(&options());
    let request = request(PROMPTS[0]);
    let other = GenerationRequest { seed: 6, ..request.clone() };
    assert_ne!(engine.complete(&request).token_ids, engine.complete(&other).token_ids);
}
