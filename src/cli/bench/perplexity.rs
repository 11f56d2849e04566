//! `dramatis bench perplexity`: how well a model foresees a text.
//!
//! Defined as the default of llama.cpp's `llama-perplexity` is, so that both numbers
//! can be laid side by side; the windows below are the definition.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use clap::Args;
use serde_json::json;

use super::super::Session;
use super::super::output::line;
use super::super::progress::Counted;
use super::chosen::ModelArgs;
use super::loaded::Loaded;
use super::rows::{Rows, log_probability};
use super::{MOST, at_least_one, whole};

/// Measure how well the model foresees a text, as llama-perplexity does
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct PerplexityArgs {
    /// The text
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    /// Tokens of a window; of fewer than 4 none would count
    #[arg(long, value_name = "N", default_value = "512", value_parser = whole::<4, MOST>)]
    context: usize,
    /// No more than so many windows, the first ones
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    windows: Option<usize>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  dramatis bench perplexity benches/story.txt
  dramatis bench perplexity story.txt --model ./model.gguf --weights stored --json

The text is cut into windows, each begun with the model's BOS token, if it has one, in
place of its own first token. In the second half of each, every token counts that has its
predecessor there. The perplexity is exp of the mean of −ln of their probabilities: 1 is a
model that knows the text by heart.";

/// The sums over all tokens that count.
#[derive(Debug, Clone, Copy, Default)]
struct Likelihood {
    count: usize,
    /// Of −ln of the probabilities.
    sum: f64,
    sum_of_squares: f64,
}

impl Likelihood {
    fn add(&mut self, negative_log: f64) {
        self.count += 1;
        self.sum += negative_log;
        self.sum_of_squares += negative_log * negative_log;
    }

    fn perplexity(&self) -> f64 {
        (self.sum / self.count as f64).exp()
    }

    /// The standard error of the perplexity; none of a single token.
    fn error(&self) -> Option<f64> {
        let mean = self.sum / self.count as f64;
        let variance = (self.sum_of_squares / self.count as f64 - mean * mean).max(0.0);
        let of_mean = (variance / (self.count.checked_sub(1)? as f64)).sqrt();
        of_mean.is_finite().then(|| of_mean * self.perplexity())
    }
}

pub(super) fn run(session: &Session, args: &PerplexityArgs) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(&args.file)
        .with_context(|| format!("cannot read {}", args.file.display()))?;
    let loaded = Loaded::load(session, &args.model)?;
    let context = loaded.model.config().context_length;
    ensure!(
        args.context <= context,
        "a window of {} tokens is longer than the model's context of {context}: give a smaller \
         --context",
        args.context
    );
    // The newline that ends a file is no part of its text, there as here.
    let tokens = loaded.encode(text.strip_suffix('\n').unwrap_or(&text));
    ensure!(
        tokens.len() >= 2 * args.context,
        "the text has {} tokens, and at least two windows of {} are needed: give a longer text \
         or a smaller --context",
        tokens.len(),
        args.context
    );
    let windows: Vec<_> =
        tokens.chunks_exact(args.context).take(args.windows.unwrap_or(usize::MAX)).collect();
    let likelihood = measure(&loaded, &windows, args.context)?;
    if args.json {
        let results = json!({
            "context": args.context,
            "windows": windows.len(),
            "tokens": tokens.len(),
            "counted_tokens": likelihood.count,
            "perplexity": likelihood.perplexity(),
            "standard_error": likelihood.error(),
        });
        line(serde_json::to_string_pretty(&loaded.subject.report("perplexity", results))?);
        return Ok(());
    }
    line(loaded.subject.heading());
    let error = likelihood.error().map_or(String::new(), |error| format!(" ± {error:.4}"));
    line(format_args!(
        "perplexity {:.4}{error}, over {} tokens in {} windows of {}",
        likelihood.perplexity(),
        likelihood.count,
        windows.len(),
        args.context
    ));
    Ok(())
}

fn measure(loaded: &Loaded, windows: &[&[u32]], context: usize) -> anyhow::Result<Likelihood> {
    let mut rows = Rows::new(loaded.model.clone(), context)?;
    let progress = Counted::new(windows.len(), "windows");
    let mut likelihood = Likelihood::default();
    // What comes earlier has too little before it to be judged by.
    let first = context / 2;
    for window in windows {
        let mut tokens = window.to_vec();
        tokens[0] = loaded.tokenizer.bos_id().unwrap_or(tokens[0]);
        // The last token has no successor here.
        rows.read(&tokens[..context - 1], first, |position, row| {
            likelihood.add(-log_probability(row, tokens[position + 1]));
        })?;
        progress.advance();
    }
    Ok(likelihood)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_that_of_the_mean_carried_over() {
        let mut likelihood = Likelihood::default();
        [1.0, 3.0].into_iter().for_each(|value| likelihood.add(value));
        assert!((likelihood.perplexity() - 2f64.exp()).abs() < 1e-12);
        assert!((likelihood.error().unwrap() - 2f64.exp()).abs() < 1e-12);
        assert_eq!(Likelihood { count: 1, ..likelihood }.error(), None);
    }
}
