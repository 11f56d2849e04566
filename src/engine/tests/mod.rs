//! The engine on a real, tiny model with random weights and a tokenizer of bytes.
//!
//! The harness checks the invariants after every step, and on drop that no sequence
//! and no block is left over.

mod background;
mod block_accounting;
mod bounds;
mod disk_tier;
mod equality;
mod governor;
mod gpu;
mod handle;
mod host_tier;
mod random_load;
mod reply_text;
mod scheduling;
mod text;
mod tiered_load;
mod tracing;

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, LazyLock};

use super::*;
use crate::model::{LoadOptions, ModelConfig};
use crate::sampling::SamplerParams;

static MODEL: LazyLock<Arc<Model>> = LazyLock::new(|| {
    Arc::new(Model::random(&ModelConfig::tiny(), 11, &LoadOptions::default()).unwrap())
});
static TOKENIZER: LazyLock<Arc<Tokenizer>> = LazyLock::new(|| Arc::new(Tokenizer::bytes()));

const EOS: u32 = 257;

/// 64 blocks of 16 tokens, steps of at most 64.
fn options() -> EngineOptions {
    EngineOptions {
        kv_cache: KvCacheSize::Blocks(64),
        block_size: 16,
        max_batch_tokens: 64,
        max_waiting: 16,
        ..EngineOptions::default()
    }
}

struct TestEngine(Engine);

impl TestEngine {
    fn new(options: &EngineOptions) -> Self {
        Self(Engine::new(MODEL.clone(), TOKENIZER.clone(), options).unwrap())
    }

    fn step(&mut self) -> StepStats {
        let stats = self.0.step();
        self.0.check_integrity().unwrap();
        stats
    }

    fn steps(&mut self, num_steps: usize) {
        for _ in 0..num_steps {
            self.step();
        }
    }

    /// Steps until nobody is left, and returns how many steps that took.
    fn run(&mut self) -> usize {
        for num_steps in 0..100_000 {
            if self.is_idle() {
                return num_steps;
            }
            self.step();
        }
        panic!("the engine does not come to an end");
    }

    /// The summary of one request, run alone.
    fn complete(&mut self, request: &GenerationRequest) -> GenerationSummary {
        let mut stream = self.submit(request.clone()).unwrap();
        self.run();
        match std::iter::from_fn(|| stream.try_recv()).last() {
            Some(GenerationEvent::Finished(summary)) => summary,
            other => panic!("the reply ended with {other:?}"),
        }
    }

    fn num_held_blocks(&self) -> usize {
        self.stats().num_blocks - self.stats().num_available_blocks
    }
}

impl Deref for TestEngine {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        &self.0
    }
}

impl DerefMut for TestEngine {
    fn deref_mut(&mut self) -> &mut Engine {
        &mut self.0
    }
}

impl Drop for TestEngine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.end_all(None);
        self.check_integrity().unwrap();
        assert_eq!(self.num_held_blocks(), 0, "blocks are left over");
        assert_eq!(self.stats().num_waiting, 0, "places in the queue are left over");
    }
}

/// A reply of 40 tokens, plain letters and punctuation so that its text is readable.
fn request(prompt: &str) -> GenerationRequest {
    GenerationRequest {
        max_tokens: 40,
        seed: 5,
        sampler: SamplerParams {
            banned_tokens: (0..32).chain(127..258).collect(),
            ..SamplerParams::default()
        },
        ..GenerationRequest::new(TOKENIZER.encode(prompt))
    }
}

fn greedy(prompt: &str) -> GenerationRequest {
    let mut request = request(prompt);
    request.sampler.temperature = 0.0;
    request
}

/// A request whose model is all but certain of the next token.
fn certain_of(token: u32, prompt: &str) -> GenerationRequest {
    let mut request = GenerationRequest::new(TOKENIZER.encode(prompt));
    request.sampler.logit_bias.insert(token, 100.0);
    request
}

/// The text of all deltas so far.
fn deltas(stream: &mut GenerationStream) -> Vec<String> {
    std::iter::from_fn(|| stream.try_recv())
        .filter_map(|event| match event {
            GenerationEvent::Text(delta) => Some(delta),
            _ => None,
        })
        .collect()
}
