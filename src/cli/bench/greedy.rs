//! `dramatis bench greedy`: what the engine writes when it always takes the likeliest
//! token, and by how much each was the likeliest.
//!
//! The engine writes; the logits are computed a second time, from its text. Where the
//! two do not agree, the command fails: that would be a bug of ours.

use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::Session;
use super::super::output::line;
use super::super::progress::Counted;
use super::at_least_one;
use super::chosen::ModelArgs;
use super::loaded::Loaded;
use super::rows::{Rows, best_two};
use crate::engine::{Engine, EngineError, EngineOptions, GenerationRequest, GenerationSummary};

/// Write greedy continuations, with the two best logits at each token
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct GreedyArgs {
    /// A JSON array of prompts: texts, or arrays of token ids
    #[arg(long, value_name = "FILE")]
    prompts: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    /// The most tokens of a continuation
    #[arg(long, value_name = "N", default_value = "64", value_parser = at_least_one)]
    tokens: usize,
    /// As JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  dramatis bench greedy --prompts prompts.json
  dramatis bench greedy --prompts prompts.json --model ./model.gguf --weights stored --json

benches/agreement.py lays these continuations beside those of llama-server.";

/// As it stands in the file.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Prompt {
    Text(String),
    Ids(Vec<u32>),
}

/// One prompt's continuation.
#[derive(Debug, Serialize)]
struct Continuation {
    prompt_ids: Vec<u32>,
    token_ids: Vec<u32>,
    text: String,
    /// In a word.
    finish_reason: &'static str,
    steps: Vec<Step>,
}

/// The choice at one token.
#[derive(Debug, Serialize)]
struct Step {
    token: u32,
    logit: f32,
    second: u32,
    second_logit: f32,
}

impl Step {
    fn gap(&self) -> f32 {
        self.logit - self.second_logit
    }
}

pub(super) fn run(session: &Session, args: &GreedyArgs) -> anyhow::Result<()> {
    let file = args.prompts.display();
    let text =
        std::fs::read_to_string(&args.prompts).with_context(|| format!("cannot read {file}"))?;
    let prompts: Vec<Prompt> = serde_json::from_str(&text)
        .with_context(|| format!("{file} is no JSON array of texts or arrays of ids"))?;
    ensure!(
        !prompts.is_empty(),
        "{file} holds no prompt: put texts or arrays of ids into its array"
    );
    let loaded = Loaded::load(session, &args.model)?;
    let prompts: Vec<_> = prompts
        .into_iter()
        .map(|prompt| match prompt {
            Prompt::Text(text) => loaded.encode(&text),
            Prompt::Ids(ids) => ids,
        })
        .collect();
    check(&prompts, args.tokens, loaded.engine.context_tokens_of(&loaded.model)?)?;
    let written = write(&loaded, &prompts, args.tokens)?;
    let continuations = explain(&loaded, prompts, written)?;
    if args.json {
        let results = json!({ "tokens": args.tokens, "continuations": continuations });
        line(serde_json::to_string_pretty(&loaded.subject.report("greedy", results))?);
    } else {
        show(&loaded, &continuations);
    }
    Ok(())
}

/// Whether each prompt and its continuation may stand in one sequence.
fn check(prompts: &[Vec<u32>], max_tokens: usize, context_tokens: usize) -> anyhow::Result<()> {
    for (number, prompt) in (1..).zip(prompts) {
        let num_tokens = prompt.len();
        ensure!(num_tokens > 0, "prompt {number} is empty: give it a token at least");
        ensure!(
            num_tokens + max_tokens <= context_tokens,
            "prompt {number} has {num_tokens} tokens, which with {max_tokens} more are too many \
             for a context of {context_tokens}: shorten it, or ask for fewer --tokens"
        );
    }
    Ok(())
}

/// Has the engine write them all, together.
fn write(
    loaded: &Loaded,
    prompts: &[Vec<u32>],
    max_tokens: usize,
) -> anyhow::Result<Vec<GenerationSummary>> {
    let options = EngineOptions { max_waiting: prompts.len(), ..loaded.engine.clone() };
    let mut engine = Engine::new(loaded.model.clone(), loaded.tokenizer.clone(), &options)?;
    let progress = Counted::new(prompts.len(), "continuations");
    let mut submit = |(number, prompt): (usize, &Vec<u32>)| {
        let mut request =
            GenerationRequest { max_tokens, ..GenerationRequest::new(prompt.clone()) };
        request.sampler.temperature = 0.0;
        engine.submit(request).with_context(|| format!("prompt {number}"))
    };
    let streams = (1..).zip(prompts).map(&mut submit).collect::<Result<Vec<_>, _>>()?;
    while !engine.is_idle() {
        let finished = engine.step().num_finished;
        (0..finished).for_each(|_| progress.advance());
    }
    let summaries = streams.into_iter().map(|stream| stream.blocking_finish());
    Ok(summaries.collect::<Result<_, EngineError>>()?)
}

/// Puts the two best logits beside each token.
fn explain(
    loaded: &Loaded,
    prompts: Vec<Vec<u32>>,
    written: Vec<GenerationSummary>,
) -> anyhow::Result<Vec<Continuation>> {
    let longest = prompts.iter().zip(&written).map(|(p, w)| p.len() + w.token_ids.len()).max();
    let mut rows = Rows::new(loaded.model.clone(), longest.unwrap_or(1))?;
    // Rows may be padded beyond the tokens that exist.
    let vocab_size = loaded.tokenizer.vocab_size().min(loaded.model.config().vocab_size);
    let pairs = (1..).zip(prompts.into_iter().zip(written));
    let explained = pairs.map(|(number, (prompt_ids, written))| {
        let GenerationSummary { token_ids, text, finish_reason, .. } = written;
        let tokens = [&prompt_ids[..], &token_ids].concat();
        let mut steps = Vec::new();
        rows.read(&tokens[..tokens.len() - 1], prompt_ids.len() - 1, |_, row| {
            let [(token, logit), (second, second_logit)] = best_two(&row[..vocab_size]);
            steps.push(Step { token, logit, second, second_logit });
        })?;
        let likeliest = steps.iter().map(|step| &step.token);
        if let Some(place) = likeliest.zip(&token_ids).position(|(likeliest, id)| likeliest != id) {
            bail!(
                "token {} after prompt {number} is not the likeliest one: the engine and the model \
                 disagree, which is a bug of ours; please report it with the model and the prompt",
                place + 1
            );
        }
        let finish_reason = finish_reason.kind();
        Ok(Continuation { prompt_ids, token_ids, text, finish_reason, steps })
    });
    explained.collect()
}

fn show(loaded: &Loaded, continuations: &[Continuation]) {
    line(loaded.subject.heading());
    for (index, continuation) in continuations.iter().enumerate() {
        let Continuation { text, token_ids, steps, .. } = continuation;
        let gap = steps.iter().map(Step::gap).fold(f32::INFINITY, f32::min);
        let tokens = token_ids.len();
        line(format_args!("{}: {tokens} tokens, least gap of logits {gap:.3}", index + 1));
        line(format_args!("   {}", text.escape_debug()));
    }
}
