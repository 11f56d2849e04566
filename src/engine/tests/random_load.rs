//! Random requests, cancellations and scarcity: whoever finishes has the reply it would
//! have had alone, and nothing is left over.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::*;

/// Prompts that share beginnings, and every feature that a reply can have.
fn random_request(rng: &mut StdRng) -> GenerationRequest {
    let prompt = &"abababbaabbaabababbababbaabab"[..rng.random_range(1..29)];
    let text = |rng: &mut StdRng, len| -> String {
        (0..len).map(|_| rng.random_range(' '..='~')).collect()
    };
    let mut request = GenerationRequest {
        cache_salt: rng.random_range(0..2),
        max_tokens: rng.random_range(1..50),
        seed: rng.random_range(0..3),
        stop: (0..rng.random_range(0..3)).map(|_| text(rng, 2)).collect(),
        trim_start_space: rng.random(),
        trim_end: rng.random(),
        ..request(prompt)
    };
    request.sampler.temperature = *[0.0, 0.7, 1.0].choose(rng).unwrap();
    // Single characters are met, and gone back from, all the time.
    let num_banned = *[0, 0, 3, 20].choose(rng).unwrap();
    request.sampler.banned_strings = (0..num_banned).map(|n| text(rng, 1 + n % 2)).collect();
    request
}

#[test]
fn a_random_load_gives_everyone_the_reply_it_would_have_alone() {
    let scarce = EngineOptions {
        kv_cache: KvCacheSize::Blocks(24),
        block_size: 4,
        max_batch_sequences: 4,
        max_batch_tokens: 9,
        max_waiting: 100,
        ..options()
    };
    let (mut num_preemptions, mut num_rewinds, mut num_cached_tokens) = (0, 0, 0);
    for seed in 0..6 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut engine = TestEngine::new(&scarce);
        let mut streams = Vec::new();
        for _ in 0..25 {
            let request = random_request(&mut rng);
            streams.push((request.clone(), engine.submit(request).unwrap()));
            (0..rng.random_range(0..20)).for_each(|_| {
                engine.step();
            });
            match rng.random_range(0..8) {
                0 => drop(streams.swap_remove(rng.random_range(0..streams.len()))),
                1 => streams.choose(&mut rng).unwrap().1.aborter().abort(),
                _ => {}
            }
        }
        engine.run();
        for (request, mut stream) in streams {
            let mut shown = String::new();
            let summary = loop {
                match stream.try_recv().unwrap() {
                    GenerationEvent::Started { .. } => {}
                    GenerationEvent::Text(delta) => shown.push_str(&delta),
                    GenerationEvent::Finished(summary) => break summary,
                    GenerationEvent::Failed(error) => panic!("{error}"),
                }
            };
            assert_eq!(shown, summary.text);
            num_preemptions += summary.num_preemptions;
            num_rewinds += summary.num_rewinds;
            num_cached_tokens += summary.num_cached_tokens;
            let alone = TestEngine::new(&EngineOptions { context_tokens: Some(96), ..options() })
                .complete(&request);
            if summary.finish_reason == FinishReason::Aborted {
                // Tokens that would have been taken back later may still be there.
                let is_final = request.sampler.banned_strings.is_empty();
                assert!(!is_final || alone.token_ids.starts_with(&summary.token_ids));
                continue;
            }
            assert_eq!(summary.token_ids, alone.token_ids);
            assert_eq!(summary.text, alone.text);
            assert_eq!(summary.finish_reason, alone.finish_reason);
            if summary.num_banned_passed == 0 {
                let text = summary.text.to_lowercase();
                let banned = &request.sampler.banned_strings;
                assert!(!banned.iter().any(|banned| text.contains(&banned.to_lowercase())));
            }
        }
    }
    assert!(num_preemptions > 10, "{num_preemptions}");
    assert!(num_rewinds > 100, "{num_rewinds}");
    assert!(num_cached_tokens > 100, "{num_cached_tokens}");
}
