//! An engine stepped by hand, and what its steps took.
//!
//! Only the engine's own steps are timed: no queue, no thread, no text. Random ids
//! stand for words; a fixed seed makes every run ask for the same.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::engine::{
    Engine, EngineError, EngineOptions, GenerationRequest, KvCacheSize, StepStats,
};
use crate::model::Model;
use crate::tokenizer::Tokenizer;

const SEED: u64 = 2024;

/// What is measured.
#[derive(Debug, Clone)]
pub(super) struct Workload {
    /// Tokens of the prompts that are computed, each in its turn.
    pub(super) prompts: Vec<usize>,
    /// Tokens that each sequence writes.
    pub(super) decode_tokens: usize,
    /// How many sequences write at once, each in its turn.
    pub(super) batches: Vec<usize>,
    /// Tokens that stand before those that are written.
    pub(super) depth: usize,
}

impl Workload {
    fn max_batch(&self) -> usize {
        self.batches.iter().copied().max().unwrap_or(1)
    }

    fn longest_prompt(&self) -> usize {
        self.prompts.iter().copied().max().unwrap_or(1)
    }

    /// The tokens before the first that is written; a model needs one.
    fn prefix_tokens(&self) -> usize {
        self.depth.max(1)
    }

    /// The longest sequence that there will be.
    fn longest(&self) -> usize {
        let decode = self.prefix_tokens() + self.decode_tokens + 1;
        decode.max(self.longest_prompt() + 1)
    }

    /// Whether a sequence may become as long as this work needs.
    ///
    /// # Errors
    /// It may not, and what to ask for.
    pub(super) fn check(&self, context_tokens: usize) -> anyhow::Result<()> {
        let longest = self.longest();
        ensure!(
            longest <= context_tokens,
            "the longest sequence would have {longest} tokens, and the model takes \
             {context_tokens}: ask for fewer --prompt-tokens, --decode-tokens or less --depth"
        );
        Ok(())
    }

    /// The configured engine, made large enough for this work.
    fn options(&self, configured: &EngineOptions) -> EngineOptions {
        let block = configured.block_size;
        let blocks = |tokens: usize| tokens.div_ceil(block) + 1;
        let batch = self.max_batch();
        let decodes = batch * (blocks(self.prefix_tokens()) + 2 * blocks(self.decode_tokens + 1));
        let room = decodes + 2 * blocks(self.longest_prompt() + 1) + batch;
        EngineOptions {
            kv_cache: KvCacheSize::Blocks(room),
            max_batch_sequences: batch,
            // A prompt of 512 in one step, and in one step the last block of each prefix.
            max_batch_tokens: configured.max_batch_tokens.max(512).max(batch * block),
            max_waiting: batch,
            max_step: None,
            host_cache_bytes: 0,
            disk_cache: None,
            ..configured.clone()
        }
    }
}

/// An engine at work.
pub(super) struct Measured {
    engine: Engine,
    workload: Workload,
    /// What stands before the tokens that are written, one for each sequence.
    prefixes: Vec<Vec<u32>>,
    vocab_size: u32,
    rng: ChaCha8Rng,
}

impl Measured {
    /// Makes the engine for a work that was checked, and has the prefixes computed.
    ///
    /// # Errors
    /// Memory does not suffice, or the model fails.
    pub(super) fn start(
        model: Arc<Model>,
        configured: &EngineOptions,
        workload: Workload,
    ) -> anyhow::Result<Self> {
        let vocab_size = u32::try_from(model.config().vocab_size)?;
        let options = workload.options(configured);
        // Ids alone count here: the tokenizer of bytes fits every model.
        let engine = Engine::new(model, Arc::new(Tokenizer::bytes()), &options).context(
            "no room for this work; a smaller --batch, --depth or --prompt-tokens needs less",
        )?;
        let rng = ChaCha8Rng::seed_from_u64(SEED);
        let mut measured = Self { engine, workload, prefixes: Vec::new(), vocab_size, rng };
        measured.lay_prefixes()?;
        Ok(measured)
    }

    /// Tokens a second while one prompt is computed that nobody has seen before.
    ///
    /// # Errors
    /// The model fails.
    pub(super) fn prefill(&mut self, num_tokens: usize) -> anyhow::Result<f64> {
        let prompt = self.random_ids(num_tokens);
        let steps = self.run(vec![request(prompt, 1)])?;
        let took: Duration = steps.iter().map(|step| step.duration).sum();
        Ok(num_tokens as f64 / took.as_secs_f64())
    }

    /// Tokens a second of `batch` sequences together, each writing one token a step.
    ///
    /// # Errors
    /// The model fails, or the sequences never ran together.
    pub(super) fn decode(&mut self, batch: usize) -> anyhow::Result<f64> {
        // The step that computes the end of the prefixes writes the first token.
        let max_tokens = self.workload.decode_tokens + 1;
        let prompts: Vec<_> = (0..batch).map(|index| self.prefix(index)).collect();
        let requests = prompts.into_iter().map(|prompt| request(prompt, max_tokens)).collect();
        let steps = self.run(requests)?;
        let together =
            |step: &&StepStats| step.num_sampled_tokens == batch && step.num_batch_tokens == batch;
        let decodes = steps.iter().skip(1).filter(together);
        let took: Duration = decodes.clone().map(|step| step.duration).sum();
        let num_steps = decodes.count();
        if num_steps == 0 {
            bail!(
                "the engine never ran {batch} sequences in one step, so that there is no figure \
                 for this batch: give more --decode-tokens or a smaller --batch"
            );
        }
        Ok((num_steps * batch) as f64 / took.as_secs_f64())
    }

    /// Computes what stands before the tokens that are written: later requests
    /// that begin alike find it in the prefix cache.
    fn lay_prefixes(&mut self) -> anyhow::Result<()> {
        let Workload { depth, .. } = self.workload;
        if depth == 0 {
            return Ok(());
        }
        for _ in 0..self.workload.max_batch() {
            let prefix = self.random_ids(depth);
            self.run(vec![request(prefix.clone(), 1)])?;
            self.prefixes.push(prefix);
        }
        Ok(())
    }

    fn prefix(&mut self, index: usize) -> Vec<u32> {
        match self.prefixes.get(index) {
            Some(prefix) => prefix.clone(),
            None => self.random_ids(1),
        }
    }

    fn random_ids(&mut self, count: usize) -> Vec<u32> {
        (0..count).map(|_| self.rng.random_range(0..self.vocab_size)).collect()
    }

    /// Runs these together to their end.
    fn run(&mut self, requests: Vec<GenerationRequest>) -> Result<Vec<StepStats>, EngineError> {
        let submit = |request| self.engine.submit(request);
        let streams = requests.into_iter().map(submit).collect::<Result<Vec<_>, _>>()?;
        let mut steps = Vec::new();
        while !self.engine.is_idle() {
            steps.push(self.engine.step());
        }
        for stream in streams {
            stream.blocking_finish()?;
        }
        Ok(steps)
    }
}

/// A greedy reply of exactly so many tokens.
fn request(prompt: Vec<u32>, max_tokens: usize) -> GenerationRequest {
    let mut request =
        GenerationRequest { max_tokens, ignore_eos: true, ..GenerationRequest::new(prompt) };
    request.sampler.temperature = 0.0;
    request
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LoadOptions, ModelConfig};

    fn measured(workload: Workload) -> anyhow::Result<Measured> {
        let model =
            Arc::new(Model::random(&ModelConfig::tiny(), 0, &LoadOptions::default()).unwrap());
        Measured::start(model, &EngineOptions::default(), workload)
    }

    fn workload() -> Workload {
        Workload { prompts: vec![40], decode_tokens: 3, batches: vec![1, 4], depth: 70 }
    }

    #[test]
    fn every_figure_is_a_positive_number() {
        for depth in [0, 70] {
            let mut measured = measured(Workload { depth, ..workload() }).unwrap();
            for _ in 0..2 {
                assert!(measured.prefill(40).unwrap() > 0.0);
                assert!(measured.decode(1).unwrap() > 0.0);
                assert!(measured.decode(4).unwrap() > 0.0);
            }
        }
    }

    #[test]
    fn a_prompt_is_new_each_time_and_a_prefix_is_not() {
        let mut measured = measured(workload()).unwrap();
        let laid = measured.engine.stats().totals.num_cached_tokens;
        measured.prefill(40).unwrap();
        measured.prefill(40).unwrap();
        assert_eq!(measured.engine.stats().totals.num_cached_tokens, laid);
        measured.decode(4).unwrap();
        assert!(measured.engine.stats().totals.num_cached_tokens >= laid + 4 * 64);
    }

    #[test]
    fn a_prompt_of_512_tokens_takes_one_step() {
        let work = Workload { prompts: vec![40, 512], ..workload() };
        let mut measured = measured(work).unwrap();
        for (num_tokens, num_steps) in [(512, 1), (513, 2)] {
            let prompt = measured.random_ids(num_tokens);
            assert_eq!(measured.run(vec![request(prompt, 1)]).unwrap().len(), num_steps);
        }
    }

    #[test]
    fn what_cannot_fit_says_what_to_ask_for() {
        let deep = Workload { depth: 5000, ..workload() };
        let error = deep.check(4096).unwrap_err().to_string();
        assert!(error.contains("5004") && error.contains("--depth"), "{error}");
        deep.check(5004).unwrap();
    }
}
