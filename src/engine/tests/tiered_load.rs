//! Few blocks, many conversations of few letters, restarts and forgetting, over every kind
//! of tiers below the KV cache: everyone has the reply it would have alone.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;

use super::disk_tier::cold;
use super::*;

/// Room for 40 blocks.
const SMALL_HOST_BYTES: u64 = 40 * (2 << 10);

#[test]
fn over_the_disk_alone() {
    let (from_host, from_disk) = random_load(0..3, 0, true);
    assert_eq!(from_host, 0);
    assert!(from_disk > 60, "{from_disk}");
}

#[test]
fn over_host_memory_alone() {
    let (from_host, from_disk) = random_load(3..5, 1 << 20, false);
    assert_eq!(from_disk, 0);
    assert!(from_host > 30, "{from_host}");
}

#[test]
fn over_a_little_host_memory_and_the_disk() {
    let (from_host, from_disk) = random_load(5..8, SMALL_HOST_BYTES, true);
    assert!(from_host > 20 && from_disk > 20, "{from_host} {from_disk}");
}

/// Runs the load with each seed; returns how many blocks came back from host memory and from
/// the disk.
fn random_load(seeds: std::ops::Range<u64>, host_cache_bytes: u64, has_disk: bool) -> (u64, u64) {
    let mut num_restored = (0, 0);
    for seed in seeds {
        let dir = TempDir::new().unwrap();
        let mut rng = StdRng::seed_from_u64(seed);
        let scarce = EngineOptions {
            kv_cache: KvCacheSize::Blocks(24),
            block_size: 4,
            max_batch_sequences: 4,
            max_batch_tokens: 16,
            max_waiting: 100,
            host_cache_bytes,
            disk_cache: has_disk.then(|| DiskCacheOptions {
                dir: dir.path().into(),
                capacity_bytes: 300_000,
                key: None,
            }),
            ..options()
        };
        let mut engine = TestEngine::new(&scarce);
        let mut streams = Vec::new();
        for _ in 0..60 {
            let prompt = (0..rng.random_range(1..60)).map(|i| match i % 5 {
                0 => char::from(b'a' + rng.random_range(0..2)),
                _ => 'x',
            });
            let prompt = prompt.collect::<String>();
            let request = GenerationRequest {
                cache_salt: rng.random_range(0..2),
                cache_owner: rng.random_range(0..4),
                max_tokens: rng.random_range(1..30),
                ..greedy(&prompt)
            };
            streams.push((request.clone(), engine.submit(request).unwrap()));
            let num_steps = rng.random_range(0..25);
            engine.steps(num_steps);
            match rng.random_range(0..12) {
                0 => drop(streams.swap_remove(rng.random_range(0..streams.len()))),
                1 => drop(engine.forget_owner(rng.random_range(1..4))),
                2 => drop(engine.forget_salt(1)),
                3 => {
                    engine.run();
                    count(&engine, &mut num_restored);
                    drop(engine);
                    engine = TestEngine::new(&scarce);
                }
                _ => {}
            }
            engine.check_integrity().unwrap();
            let stats = engine.stats();
            assert!(stats.disk_cache.unwrap_or_default().num_bytes <= 300_000);
            assert!(stats.host_cache.unwrap_or_default().num_bytes <= host_cache_bytes);
        }
        engine.run();
        count(&engine, &mut num_restored);
        assert_eq!(engine.stats().disk_cache.unwrap_or_default().num_read_errors, 0);
        for (request, stream) in streams {
            let summary = stream.blocking_finish().unwrap();
            assert!(summary.num_restored_tokens <= summary.num_cached_tokens);
            assert_eq!(summary.token_ids, cold(&request));
        }
    }
    num_restored
}

fn count(engine: &Engine, (from_host, from_disk): &mut (u64, u64)) {
    let stats = engine.stats();
    *from_host += stats.host_cache.unwrap_or_default().num_restored;
    *from_disk += stats.disk_cache.unwrap_or_default().num_restored;
}
