//! The engine on an emulated GPU: continuous batching, prefix cache, blocks that go and come
//! back, and a device that runs out of memory.

use super::*;
use crate::gpu::{Device as _, Emulator, GpuPlace};
use crate::model::Backend;

/// A model on a device, and the device; `None` where nothing emulates one.
fn model_and_device() -> Option<(Arc<Model>, Arc<Emulator>)> {
    let device = Arc::new(Emulator::new(1 << 28)?);
    let backend = Backend::Gpu(GpuPlace::emulated(device.clone()));
    let load = LoadOptions { backend, ..LoadOptions::default() };
    Some((Arc::new(Model::random(&ModelConfig::tiny(), 11, &load).unwrap()), device))
}

fn engine_and_device(options: &EngineOptions) -> Option<(TestEngine, Arc<Emulator>)> {
    let (model, device) = model_and_device()?;
    Some((TestEngine(Engine::new(model, TOKENIZER.clone(), options).unwrap()), device))
}

fn engine(options: &EngineOptions) -> Option<TestEngine> {
    Some(engine_and_device(options)?.0)
}

fn options() -> EngineOptions {
    EngineOptions { block_size: 32, ..super::options() }
}

const PROMPTS: [&str; 5] = [
    "The fire was low.",
    "On the third day of the long march through the marshes, with the banners soaked and the \
     mules complaining, Captain Ysolde allowed a fire.",
    "On the third day of the long march through the marshes, with the banners soaked, it rained.",
    "x",
    "Nobody spoke of the bridge, and of those who had been on it, until the kettle sang.",
];

#[test]
fn replies_are_the_same_alone_together_and_from_the_cache() {
    let Some(mut alone) = engine(&options()) else { return };
    let expected: Vec<_> = PROMPTS
        .iter()
        .map(|prompt| {
            let salted = GenerationRequest { cache_salt: 7, ..request(prompt) };
            let cold = alone.complete(&salted);
            // Once more, from what is cached of it.
            let warm = alone.complete(&salted);
            assert_eq!(warm.token_ids, cold.token_ids, "{prompt}");
            assert_eq!(warm.num_cached_tokens, (prompt.len() - 1) / 32 * 32);
            cold.token_ids
        })
        .collect();
    let mut together = engine(&options()).unwrap();
    let streams: Vec<_> =
        PROMPTS.iter().map(|prompt| together.submit(request(prompt)).unwrap()).collect();
    together.run();
    for (stream, expected) in streams.into_iter().zip(expected) {
        assert_eq!(stream.blocking_finish().unwrap().token_ids, expected);
    }
}

#[test]
fn memory_that_runs_out_makes_steps_smaller_and_fails_nobody() {
    let Some((mut engine, device)) = engine_and_device(&options()) else { return };
    let long = "A bell rang twice over the water. ".repeat(12);
    let expected = cold(&long);
    let streams: Vec<_> =
        [&*long, "x"].map(|prompt| engine.submit(request(prompt)).unwrap()).into_iter().collect();
    engine.step();
    device.run_out(2);
    engine.run();
    assert_eq!(device.num_refused(), 2);
    let found: Vec<_> =
        streams.into_iter().map(|stream| stream.blocking_finish().unwrap().token_ids).collect();
    assert_eq!(found, [expected, cold("x")]);
}

/// Steps have their memory from the start: what is short is the cache.
#[test]
fn a_cache_is_cut_down_until_steps_fit_beside_it() {
    let Some((model, device)) = model_and_device() else { return };
    let blocks = 4096;
    let wish = KvCacheSize::Bytes((blocks * model.kv_block_bytes(32)) as u64);
    let options = EngineOptions { kv_cache: wish, ..options() };
    device.leave(blocks * model.kv_block_bytes(32) + 4096);
    let engine = TestEngine(Engine::new(model, TOKENIZER.clone(), &options).unwrap());
    assert_eq!(engine.stats().num_blocks, blocks / 2);
    assert!(device.num_refused() > 0);
}

/// A reply of a device that lacks nothing.
fn cold(prompt: &str) -> Vec<u32> {
    engine(&options()).unwrap().complete(&request(prompt)).token_ids
}

#[test]
fn blocks_come_back_from_the_tier_below_as_they_went() {
    let dir = tempfile::tempdir().unwrap();
    let disk_cache =
        DiskCacheOptions { dir: dir.path().into(), capacity_bytes: 16 << 20, key: None };
    let tiered = EngineOptions { disk_cache: Some(disk_cache), ..options() };
    let Some(mut first) = engine(&tiered) else { return };
    let expected = first.complete(&request(PROMPTS[1])).token_ids;
    while first.stats().disk_cache.unwrap().num_pending > 0 {
        first.step();
    }
    drop(first);
    // Another engine, whose memory holds nothing of it.
    let mut second = engine(&tiered).unwrap();
    let summary = second.complete(&request(PROMPTS[1]));
    assert_eq!(summary.token_ids, expected);
    assert!(summary.num_restored_tokens >= 96, "{summary:?}");
}

/// The device brings them when it comes to it, whatever is computed meanwhile.
#[test]
fn blocks_come_back_from_host_memory_as_they_went() {
    let Some((model, _)) = model_and_device() else { return };
    let kv_cache = KvCacheSize::Blocks(40);
    let hosted = EngineOptions { host_cache_bytes: 16 << 20, kv_cache, ..options() };
    let mut engine = TestEngine(Engine::new(model, TOKENIZER.clone(), &hosted).unwrap());
    let expected = engine.complete(&request(PROMPTS[1])).token_ids;
    // Others take its place in the KV cache, while it may still be on its way.
    for other in ["a", "b", "c"] {
        engine.complete(&request(&other.repeat(400)));
    }
    while !engine.is_resting() {
        engine.step();
    }
    for other in ["d", "e", "f"] {
        engine.complete(&request(&other.repeat(400)));
    }
    let summary = engine.complete(&request(PROMPTS[1]));
    assert_eq!(summary.token_ids, expected);
    assert!(summary.num_restored_tokens >= 96, "{summary:?}");
    engine.check_integrity().unwrap();
}

#[test]
fn keys_and_values_take_what_the_device_has_free() {
    let free = EngineOptions { kv_cache: KvCacheSize::Free, ..options() };
    let Some((engine, device)) = engine_and_device(&free) else { return };
    let (left, total) = device.memory().unwrap();
    // Steps are computed in the tenth that stays.
    assert!((total / 20..=total / 10).contains(&left), "{left} of {total}");
    assert_eq!(engine.context_tokens(), 4096);
}

/// The thread ends, so that the worker is made anew, on a device that is opened anew.
#[test]
fn an_engine_whose_device_fails_ends_and_everybody_hears_why() {
    let Some((model, device)) = model_and_device() else { return };
    let handle = EngineHandle::spawn(model, TOKENIZER.clone(), &options()).unwrap();
    let endless = GenerationRequest { max_tokens: 1500, ..request("The fire was low.") };
    let mut stream = handle.submit(endless).unwrap();
    while !matches!(stream.blocking_recv(), Some(GenerationEvent::Text(_))) {}
    device.break_down();
    let waiting = handle.submit(request("x"));
    for stream in [Ok(stream), waiting].into_iter().flatten() {
        let error = stream.blocking_finish().unwrap_err();
        assert!(error.is_retryable(), "{error}");
    }
    let ends = std::iter::repeat_with(|| handle.check_alive()).find_map(Result::err);
    assert!(ends.unwrap().to_string().contains("broken on purpose"));
}
