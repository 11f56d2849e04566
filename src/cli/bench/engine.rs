//! `dramatis bench engine`: the engine alone, without a database and without text.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::{Map, Value, json};

use super::super::Session;
use super::super::output::{line, note};
use super::super::progress::Counted;
use super::chosen::{ModelArgs, allowed_context, context_tokens, model_path};
use super::measure::{Measured, Workload};
use super::plot::{self, Chart, Point, Series};
use super::samples::Samples;
use super::shape::Shape;
use super::subject::Subject;
use super::table::{row, table};
use super::{any_number, at_least_one, whole};
use crate::engine::EngineOptions;
use crate::model::{LoadOptions, Model};
use crate::service;

const RANDOM_SEED: u64 = 7;

/// Measure the engine alone: computing prompts, and writing at each batch size
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct EngineArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Random weights in place of a model: tiny, mistral-7b or mistral-7b:LAYERS
    #[arg(long, value_name = "SHAPE", conflicts_with = "model")]
    random: Option<Shape>,
    /// Tokens of the prompt that is computed, one figure for each
    #[arg(long, value_name = "N,…", default_value = "512", value_delimiter = ',',
        value_parser = at_least_one)]
    prompt_tokens: Vec<usize>,
    /// Tokens that each sequence writes
    #[arg(long, value_name = "N", default_value = "64", value_parser = at_least_one)]
    decode_tokens: usize,
    /// How many sequences write at once, one figure for each
    #[arg(long, value_name = "N,…", default_value = "1,2,4,8,16", value_delimiter = ',',
        value_parser = whole::<1, 4096>)]
    batch: Vec<usize>,
    /// Tokens that stand before those that are written
    #[arg(long, value_name = "N", default_value = "0", value_parser = any_number)]
    depth: usize,
    /// How often each figure is measured
    #[arg(long, value_name = "N", default_value = "5", value_parser = at_least_one)]
    repeats: usize,
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Draw a chart into this SVG file
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  dramatis bench engine
  dramatis bench engine --model ./model.gguf --threads 4 --json
  dramatis bench engine --random mistral-7b:4 --weights q8_0 --batch 1,8
  dramatis bench engine --depth 3584 --batch 1 --plot deep.svg
  dramatis bench engine --prompt-tokens 512,4096 --batch 1

Only the engine's steps are timed. Prompts are random ids, another each time, so that the
prefix cache never helps. A prompt of up to 512 tokens is computed in one step; a longer one
in several, unless --set engine.max_batch_tokens=N or a large --batch makes steps longer.";

/// A model about to be measured, with the configured engine.
struct Made {
    model: Arc<Model>,
    options: EngineOptions,
    subject: Subject,
}

/// What was measured: a name for JSON, one for people, and the samples.
struct Figure {
    key: String,
    name: String,
    samples: Samples,
}

pub(super) fn run(session: &Session, args: &EngineArgs) -> anyhow::Result<()> {
    args.plot.as_deref().map_or(Ok(()), plot::check)?;
    let workload = Workload {
        prompts: args.prompt_tokens.clone(),
        decode_tokens: args.decode_tokens,
        batches: args.batch.clone(),
        depth: args.depth,
    };
    let made = make(&args.model.session(session), args.random, &workload)?;
    let (prefills, decodes) = measure(&made, args, workload)?;
    let subject = &made.subject;
    let figures: Vec<&Figure> = prefills.iter().chain(&decodes).collect();
    if args.json {
        line(serde_json::to_string_pretty(&report(subject, args, &figures))?);
    } else {
        show(subject, &figures);
    }
    if let Some(path) = &args.plot {
        chart(subject, args, &prefills, &decodes).write(path)?;
        note(format_args!("the chart is in {}", path.display()));
    }
    Ok(())
}

/// The model, once it is known to have room for the work.
fn make(session: &Session, random: Option<Shape>, workload: &Workload) -> anyhow::Result<Made> {
    let Some(shape) = random else {
        let options = service::local_options(&session.config, model_path(session)?)?;
        workload.check(context_tokens(session, &options.model_path)?)?;
        note("loading the model …");
        let model = Arc::new(Model::load(&options.model_path, &options.load)?);
        let (fingerprint, backend) = (model.fingerprint(), model.backend_name());
        let subject = Subject::of_session(session, &options, fingerprint, backend)?;
        return Ok(Made { model, options: options.engine, subject });
    };
    workload.check(allowed_context(session, shape.config().context_length))?;
    note("making the model …");
    let threads = session.config.engine.num_threads();
    let weight_type = service::weight_type(session.config.model.weights);
    let load = LoadOptions {
        weight_type,
        backend: service::local_backend(&session.config)?,
        ..LoadOptions::default()
    };
    let model = Arc::new(Model::random(&shape.config(), RANDOM_SEED, &load)?);
    let subject = Subject {
        model: format!("random {shape}"),
        fingerprint: model.fingerprint().to_owned(),
        weights: weight_type.map_or("F32".into(), |weight_type| format!("{weight_type:?}")),
        backend: model.backend_name(),
        threads,
    };
    Ok(Made { model, options: service::engine_options(&session.config, &load.backend)?, subject })
}

/// Every figure once in each repeat, so that a disturbance hits all of them alike.
fn measure(
    made: &Made,
    args: &EngineArgs,
    workload: Workload,
) -> anyhow::Result<(Vec<Figure>, Vec<Figure>)> {
    let mut measured = Measured::start(made.model.clone(), &made.options, workload)?;
    let num_figures = args.prompt_tokens.len() + args.batch.len();
    let progress = Counted::new((args.repeats + 1) * num_figures, "measurements");
    let mut prefills = vec![Vec::new(); args.prompt_tokens.len()];
    let mut decodes = vec![Vec::new(); args.batch.len()];
    // The first time of each warms memory and caches up, and does not count.
    for repeat in 0..=args.repeats {
        let counts = repeat > 0;
        for (rates, &num_tokens) in prefills.iter_mut().zip(&args.prompt_tokens) {
            let rate = measured.prefill(num_tokens)?;
            rates.extend(counts.then_some(rate));
            progress.advance();
        }
        for (rates, &batch) in decodes.iter_mut().zip(&args.batch) {
            let rate = measured.decode(batch)?;
            rates.extend(counts.then_some(rate));
            progress.advance();
        }
    }
    let figure = |key: String, name: String, rates: Vec<f64>| {
        let samples = Samples::new(rates).expect("a step takes time, and each figure repeats");
        Figure { key, name, samples }
    };
    let prefill = |(rates, num_tokens): (Vec<f64>, &usize)| {
        let key = format!("prefill_{num_tokens}_tokens_per_s");
        figure(key, format!("prefill of {num_tokens} tokens"), rates)
    };
    let decode = |(rates, batch): (Vec<f64>, &usize)| {
        figure(format!("decode_{batch}_tokens_per_s"), format!("decode, batch of {batch}"), rates)
    };
    let prefills = prefills.into_iter().zip(&args.prompt_tokens).map(prefill).collect();
    Ok((prefills, decodes.into_iter().zip(&args.batch).map(decode).collect()))
}

fn report(subject: &Subject, args: &EngineArgs, figures: &[&Figure]) -> Value {
    let mut results = Map::new();
    let mut put = |key: &str, value: Value| results.insert(key.to_owned(), value);
    put("depth", json!(args.depth));
    put("prompt_tokens", json!(args.prompt_tokens));
    put("decode_tokens", json!(args.decode_tokens));
    put("repeats", json!(args.repeats));
    for figure in figures {
        put(&figure.key, json!(figure.samples.median()));
    }
    let samples = figures.iter().map(|figure| (figure.key.clone(), json!(figure.samples)));
    put("samples", Value::Object(samples.collect()));
    subject.report("engine", Value::Object(results))
}

fn show(subject: &Subject, figures: &[&Figure]) {
    line(subject.heading());
    let mut table = table(["tokens per second", "median", "min", "max"]);
    for figure in figures {
        table.add_row(row(&figure.name, &figure.samples));
    }
    line(table);
}

fn chart(subject: &Subject, args: &EngineArgs, prefills: &[Figure], decodes: &[Figure]) -> Chart {
    let mut decode: Vec<_> = args
        .batch
        .iter()
        .zip(decodes)
        .map(|(&batch, figure)| (batch, Point::of(batch, &figure.samples)))
        .collect();
    decode.sort_by_key(|&(batch, _)| batch);
    // Levels to compare with, over the whole width.
    let level = |prefill: &Figure| Series {
        name: prefill.name.clone(),
        points: decode.iter().map(|&(batch, _)| Point::of(batch, &prefill.samples)).collect(),
    };
    let levels: Vec<_> = prefills.iter().map(level).collect();
    let points = decode.into_iter().map(|(_, point)| point).collect();
    let decode = Series { name: format!("decode at depth {}", args.depth), points };
    Chart {
        title: format!("{}, {}, {} threads", subject.model, subject.weights, subject.threads),
        x_label: "batch size (sequences that write at once)",
        x_names: Vec::new(),
        y_label: "tokens per second",
        series: std::iter::once(decode).chain(levels).collect(),
    }
}
