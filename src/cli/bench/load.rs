//! `dramatis bench load`: what a model costs to load.
//!
//! Each time in a process of its own, this program again, so that its memory is
//! that of one load and nothing else.

use std::ffi::OsString;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::output::{bytes, line};
use super::super::progress::Counted;
use super::super::{GlobalArgs, Session};
use super::at_least_one;
use super::chosen::{ModelArgs, model_path};
use super::memory::Memory;
use super::samples::Samples;
use super::subject::Subject;
use super::table::{number, table};
use crate::model::{ModelInfo, inspect};
use crate::pool::Pool;
use crate::service;

/// Measure loading: time and memory, each time in a process of its own
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct LoadArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// How often it is loaded
    #[arg(long, value_name = "N", default_value = "3", value_parser = at_least_one)]
    repeats: usize,
    /// As JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  dramatis bench load
  dramatis bench load --model ./model.gguf --weights q8_0 --json

Loaded is what a start of the service loads: weights, tokenizer, KV cache. The file is in
the system's cache from the second time on. Memory is measured on Linux only.";

/// What one process found.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Load {
    fingerprint: String,
    backend: String,
    seconds: f64,
    /// `None` where the system does not tell it.
    resident_bytes: Option<u64>,
    peak_bytes: Option<u64>,
    /// The packed matrices.
    weights_bytes: Option<usize>,
    /// Keys and values, once all blocks are used.
    kv_cache_bytes: usize,
}

/// Loads once and tells what that cost, for the process that asked.
pub(super) fn once(session: &Session, args: &ModelArgs) -> anyhow::Result<()> {
    let session = args.session(session);
    let path = model_path(&session)?;
    let started_at = Instant::now();
    let options = service::local_options(&session.config, path)?;
    let pool = Pool::start(options)?;
    let seconds = started_at.elapsed().as_secs_f64();
    let memory = Memory::now();
    let load = Load {
        fingerprint: pool.model().fingerprint.clone(),
        backend: pool.backend_names(),
        seconds,
        resident_bytes: memory.map(|memory| memory.resident_bytes),
        peak_bytes: memory.map(|memory| memory.peak_bytes),
        weights_bytes: pool.memory().weight_bytes,
        kv_cache_bytes: pool.memory().kv_cache_bytes,
    };
    line(serde_json::to_string(&load)?);
    Ok(())
}

pub(super) fn run(session: &Session, global: &GlobalArgs, args: &LoadArgs) -> anyhow::Result<()> {
    let session = args.model.session(session);
    let options = service::local_options(&session.config, model_path(&session)?)?;
    let info = inspect(&options.model_path)?;
    let progress = Counted::new(args.repeats, "loads");
    let mut loads = Vec::new();
    for _ in 0..args.repeats {
        loads.push(in_a_process(global, &args.model)?);
        progress.advance();
    }
    drop(progress);
    let load = loads.first().expect("it is loaded once at least");
    let (fingerprint, backend) = (&load.fingerprint, load.backend.clone());
    let subject = Subject::of_session(&session, &options, fingerprint, backend)?;
    if args.json {
        let report = subject.report("load", results(&info, load, &loads));
        line(serde_json::to_string_pretty(&report)?);
    } else {
        line(subject.heading());
        show(&info, load, &loads);
    }
    Ok(())
}

/// Runs this program again, for one load with the same settings.
fn in_a_process(global: &GlobalArgs, model: &ModelArgs) -> anyhow::Result<Load> {
    let program = std::env::current_exe()
        .context("cannot find this program's file, which is to load in a process of its own")?;
    let output = Command::new(program)
        .args(global_arguments(global))
        .args(["bench", "load-once"])
        .args(model.to_arguments())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start a process of its own for the load")?;
    ensure!(
        output.status.success(),
        "the process that loads the model failed ({}); it says why above",
        output.status
    );
    serde_json::from_slice(&output.stdout).context(
        "the process that loads the model told no figures; was this program replaced meanwhile? \
         Start it again",
    )
}

fn global_arguments(global: &GlobalArgs) -> Vec<OsString> {
    let GlobalArgs { config, set, data_dir, verbose } = global;
    let mut arguments = Vec::new();
    let mut push = |flag: &str, value: OsString| arguments.extend([flag.into(), value]);
    config.iter().for_each(|path| push("--config", path.into()));
    set.iter().for_each(|setting| push("--set", setting.into()));
    data_dir.iter().for_each(|path| push("--data-dir", path.into()));
    arguments.extend((0..*verbose).map(|_| "-v".into()));
    arguments
}

fn results(info: &ModelInfo, load: &Load, loads: &[Load]) -> Value {
    let resident = samples(loads, |load| load.resident_bytes);
    let peak = samples(loads, |load| load.peak_bytes);
    let seconds = times(loads);
    json!({
        "repeats": loads.len(),
        "load_s": seconds.median(),
        "resident_bytes": resident.as_ref().map(Samples::median),
        "peak_resident_bytes": peak.as_ref().map(Samples::median),
        "file_bytes": info.size_bytes,
        "weights_bytes": load.weights_bytes,
        "kv_cache_bytes": load.kv_cache_bytes,
        "samples": {"load_s": seconds, "resident_bytes": resident, "peak_resident_bytes": peak},
    })
}

fn times(loads: &[Load]) -> Samples {
    let seconds = loads.iter().map(|load| load.seconds).collect();
    Samples::new(seconds).expect("it is loaded once at least")
}

/// `None` where the system does not tell.
fn samples(loads: &[Load], of: impl Fn(&Load) -> Option<u64>) -> Option<Samples> {
    let samples: Option<Vec<_>> = loads.iter().map(|load| Some(of(load)? as f64)).collect();
    Samples::new(samples?)
}

fn show(info: &ModelInfo, load: &Load, loads: &[Load]) {
    let mut table = table(["", "median", "min", "max"]);
    let mut row = |name: &str, samples: &Samples, shown: &dyn Fn(f64) -> String| {
        let figures = [samples.median(), samples.min(), samples.max()].map(shown);
        table.add_row([&[name.to_owned()][..], &figures].concat());
    };
    row("time to load", &times(loads), &|seconds| format!("{} s", number(seconds)));
    let memory = |count: f64| bytes(count as u64);
    let resident = samples(loads, |load| load.resident_bytes);
    let peak = samples(loads, |load| load.peak_bytes);
    match (&resident, &peak) {
        (Some(resident), Some(peak)) => {
            row("resident after the load", resident, &memory);
            row("most that was resident", peak, &memory);
        }
        _ => {
            table.add_row(["resident memory", "not measured on this system", "", ""]);
        }
    }
    for (name, size) in [
        ("size of the file", Some(info.size_bytes)),
        ("size of the weights", load.weights_bytes.map(|count| count as u64)),
        ("KV cache, when full", Some(load.kv_cache_bytes as u64)),
    ] {
        table.add_row([name.to_owned(), size.map_or("not known".into(), bytes)]);
    }
    line(table);
}
