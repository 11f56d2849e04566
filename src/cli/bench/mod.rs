//! `dramatis bench`: how fast the engine is, its kernels on a GPU, and the whole service;
//! what a model costs to load; whether it computes what it should, and how its replies are.
//!
//! Each command measures on this machine, writes no setting and leaves nothing behind, but
//! for `lengths`, which keeps what it measured to go on from there. Speeds, times and memory
//! are medians, with every sample beside them in JSON.

mod channels;
mod chosen;
mod drafts;
mod engine;
mod gpu;
mod greedy;
mod intake;
mod lengths;
mod load;
mod loaded;
mod lore;
mod measure;
mod memory;
mod moderation;
mod perplexity;
mod play;
mod plot;
mod repetition;
mod rows;
mod samples;
mod sampling;
mod scenes;
mod shape;
mod subject;
mod table;

use std::process::ExitCode;

use clap::Subcommand;

use super::progress::ShownProgress;
use super::{GlobalArgs, Session};
use crate::service;

/// Measure how fast it is on this machine.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Measure the engine alone: computing prompts, and writing at each batch size
    Engine(engine::EngineArgs),
    /// Measure each kernel on a GPU of NVIDIA's, beside what the GPU can do at most
    Gpu(gpu::GpuArgs),
    /// Measure the whole service: several channels, from a person's turn to the reply
    Channels(channels::ChannelsArgs),
    /// Measure how fast what people say is checked and stored
    Intake(intake::IntakeArgs),
    /// Measure loading: time and memory, each time in a process of its own
    Load(load::LoadArgs),
    /// Measure how well the model foresees a text, as llama-perplexity does
    Perplexity(perplexity::PerplexityArgs),
    /// Write greedy continuations, with the two best logits at each token
    Greedy(greedy::GreedyArgs),
    /// Measure whether drafts from the text so far would make replies faster
    Drafts(drafts::DraftsArgs),
    /// Measure how long replies are for each length that is asked for
    Lengths(lengths::LengthsArgs),
    /// Measure how often replies say what was said before, or speak for others
    Repetition(repetition::RepetitionArgs),
    /// Measure what a large lorebook costs before each reply
    Lore(lore::LoreArgs),
    /// Measure what choosing a token costs
    Sampling(sampling::SamplingArgs),
    /// Measure what checking texts costs
    Moderation(moderation::ModerationArgs),
    /// What `load` runs in a process of its own
    #[command(hide = true)]
    LoadOnce(chosen::ModelArgs),
}

pub(super) fn run(
    session: &Session,
    global: &GlobalArgs,
    command: &BenchCommand,
) -> anyhow::Result<ExitCode> {
    service::fetch_nvrtc(&session.config, &session.fetcher(), &ShownProgress::new())?;
    match command {
        BenchCommand::Engine(args) => engine::run(session, args)?,
        BenchCommand::Gpu(args) => gpu::run(session, args)?,
        BenchCommand::Channels(args) => channels::run(session, args)?,
        BenchCommand::Intake(args) => intake::run(session, args)?,
        BenchCommand::Load(args) => load::run(session, global, args)?,
        BenchCommand::Perplexity(args) => perplexity::run(session, args)?,
        BenchCommand::Greedy(args) => greedy::run(session, args)?,
        BenchCommand::Drafts(args) => drafts::run(session, args)?,
        BenchCommand::Lengths(args) => lengths::run(session, args)?,
        BenchCommand::Repetition(args) => repetition::run(session, args)?,
        BenchCommand::Lore(args) => lore::run(args)?,
        BenchCommand::Sampling(args) => sampling::run(args)?,
        BenchCommand::Moderation(args) => moderation::run(args)?,
        BenchCommand::LoadOnce(args) => load::once(session, args)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The most of anything that may be asked for: more is a slip of the finger, and sums of
/// such numbers do not overflow.
const MOST: usize = 1_000_000;

/// A whole number within these bounds.
fn whole<const LEAST: usize, const GREATEST: usize>(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (LEAST..=GREATEST).contains(number));
    number.ok_or_else(|| format!("a whole number from {LEAST} to {GREATEST} is needed"))
}

/// A number of things, of which there must be one.
fn at_least_one(text: &str) -> Result<usize, String> {
    whole::<1, MOST>(text)
}

/// A number of things, of which there may be none.
fn any_number(text: &str) -> Result<usize, String> {
    whole::<0, MOST>(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_bounds_on_both_sides() {
        assert_eq!((whole::<2, 9>("2"), whole::<2, 9>("9")), (Ok(2), Ok(9)));
        for text in ["1", "10", "-3", "2.5", "", "99999999999999999999999"] {
            assert_eq!(whole::<2, 9>(text), Err("a whole number from 2 to 9 is needed".into()));
        }
        assert!(at_least_one("1000000").is_ok() && at_least_one("1000001").is_err());
        assert!(any_number("0").is_ok() && at_least_one("0").is_err());
    }
}
