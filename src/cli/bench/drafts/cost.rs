//! What a step costs by its rows, and the drawing of one token.

use std::sync::Arc;
use std::time::Instant;

use super::super::loaded::Loaded;
use super::super::rows::Rows;
use super::super::samples::Samples;
use super::lookup::{MAX_DRAFT, Reply};
use crate::model::LogitRows;
use crate::sampling::{Sampler, SamplerParams, Vocabulary};

/// Times in seconds.
pub(super) struct Costs {
    /// How many tokens stood before those that were computed.
    pub(super) depth: usize,
    /// A step of one sequence, from one row to as many as a draft may have and one.
    pub(super) steps: Vec<Samples>,
    pub(super) sampling: Samples,
}

impl Costs {
    /// The medians.
    pub(super) fn step_s(&self) -> [f64; MAX_DRAFT + 1] {
        std::array::from_fn(|index| self.steps[index].median())
    }

    /// Measures at the middle of a reply; each figure once in each repeat, so that a
    /// disturbance hits all of them alike.
    ///
    /// # Errors
    /// The model fails.
    pub(super) fn measure(
        loaded: &Loaded,
        reply: &Reply,
        sampler: &SamplerParams,
        repeats: usize,
    ) -> anyhow::Result<Self> {
        let depth = reply.num_prompt_tokens.midpoint(reply.tokens.len());
        let new_tokens: Vec<_> = reply.tokens.iter().copied().cycle().take(MAX_DRAFT + 1).collect();
        let mut rows = Rows::new(loaded.model.clone(), depth + new_tokens.len())?;
        rows.read(&reply.tokens[..depth], depth, |_, _| {})?;
        let ids = 0..u32::try_from(loaded.tokenizer.vocab_size())?;
        let spelled = ids.map(|id| loaded.tokenizer.token_bytes(id));
        let mut sampler = Sampler::new(sampler, 0, &Arc::new(Vocabulary::new(spelled)))?;
        let mut steps = vec![Vec::new(); MAX_DRAFT + 1];
        let mut sampling = Vec::new();
        // The first time warms memory and caches up, and does not count.
        for repeat in 0..=repeats {
            for (index, times) in steps.iter_mut().enumerate() {
                let mut last = Vec::new();
                let began = Instant::now();
                rows.run(&new_tokens[..=index], depth, LogitRows::All, |at, row| {
                    if at == depth {
                        last = row.to_vec();
                    }
                })?;
                times.extend((repeat > 0).then(|| began.elapsed().as_secs_f64()));
                let began = Instant::now();
                sampler.sample(&last, &reply.tokens[..depth]);
                sampling.extend((repeat > 0).then(|| began.elapsed().as_secs_f64()));
            }
        }
        let samples = |times| Samples::new(times).expect("there is one repeat at least");
        Ok(Self {
            depth,
            steps: steps.into_iter().map(samples).collect(),
            sampling: samples(sampling),
        })
    }
}
