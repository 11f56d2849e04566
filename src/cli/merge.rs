//! `dramatis model merge`: adapters become part of a model.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use anyhow::{Context, bail};
use clap::Args;

use super::Session;
use super::output::{bytes, line, note};
use super::progress::Counted;
use crate::fetch::free_bytes;
use crate::model::{
    AdapterInfo, AdapterOptions, Merge, MergeOptions, MergeReport, MergeType, ModelFile,
    TokenizerSource, is_gguf,
};
use crate::tokenizer::Tokenizer;

/// Add LoRA adapters to a base and write the result
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct MergeArgs {
    /// The base: a name or a path
    base: String,
    /// Directories with adapter_config.json and adapter_model.safetensors; several add up
    #[arg(required = true)]
    adapter: Vec<PathBuf>,
    /// Where the model goes: a name ending in .gguf, or a directory for safetensors
    #[arg(short, long, value_name = "PATH")]
    output: PathBuf,
    /// In which form: f16, bf16, q8_0, q6_k, q4_k_m or q4_0 [default: q8_0 in a GGUF, the
    /// base's half precision in safetensors]
    #[arg(long = "as", value_name = "FORM")]
    form: Option<MergeType>,
    /// What each adapter is multiplied with, in their order
    #[arg(long, value_name = "SCALE,…", value_delimiter = ',', allow_negative_numbers = true)]
    scale: Vec<f32>,
    /// Replace a model that is there already
    #[arg(long)]
    force: bool,
    /// Check everything and say what would be done
    #[arg(long)]
    dry_run: bool,
    /// The report as JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  dramatis model merge ./Mistral-7B-v0.1 ./limarp -o limarp-7b.Q8_0.gguf
  dramatis model merge ./mistral.Q8_0.gguf ./limarp -o limarp-7b.Q4_K_M.gguf --as q4_k_m
  dramatis model merge ./base ./style ./voice --scale 1,0.5 -o ./merged
  dramatis play --set model.name=./limarp-7b.Q8_0.gguf

Merge onto the most exact base there is: what a base of four bits has lost stays lost.";

pub(super) fn run(session: &Session, args: &MergeArgs) -> anyhow::Result<()> {
    let path = session.models().resolve(&args.base)?;
    let base = ModelFile::open(&path)?;
    let options = MergeOptions {
        adapters: adapters(args)?,
        output: args.output.clone(),
        weight_type: args.form,
        overwrite: args.force,
        tokenizer: tokenizer(&base, &args.output)?,
        num_threads: threads(session),
    };
    let merge = Merge::plan(&base, &options)?;
    let planned = merge.report();
    check_room(&args.output, planned.size_bytes)?;
    if args.dry_run {
        show(&planned, args.json)?;
        note("nothing was written");
        return Ok(());
    }
    let progress = Counted::new(merge.num_tensors(), "tensors");
    let report = merge.run(&mut || progress.advance())?;
    drop(progress);
    show(&report, args.json)?;
    note(format_args!("use it with --set model.name={}", args.output.display()));
    Ok(())
}

fn adapters(args: &MergeArgs) -> anyhow::Result<Vec<AdapterOptions>> {
    let (num_adapters, num_scales) = (args.adapter.len(), args.scale.len());
    if num_scales != 0 && num_scales != num_adapters {
        bail!("--scale has {num_scales} numbers, but there are {num_adapters} adapters");
    }
    let scales = args.scale.iter().copied().chain(std::iter::repeat(1.0));
    let adapters = args.adapter.iter().zip(scales);
    Ok(adapters.map(|(path, scale)| AdapterOptions { path: path.clone(), scale }).collect())
}

fn threads(session: &Session) -> NonZeroUsize {
    let set = session.config.engine.threads.set().copied().and_then(NonZeroUsize::new);
    set.or_else(|| available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN)
}

/// The base's tokenizer as a GGUF holds it, where it has to be made.
fn tokenizer(
    base: &ModelFile,
    output: &Path,
) -> anyhow::Result<Vec<(String, crate::model::MetadataValue)>> {
    if !is_gguf(output) || matches!(base.tokenizer(), Some(TokenizerSource::Gguf(_))) {
        return Ok(Vec::new());
    }
    let directory = match base.path().is_dir() {
        true => base.path(),
        false => base.path().parent().unwrap_or(Path::new(".")),
    };
    let made = Tokenizer::gguf_metadata(directory, base.config().vocab_size);
    made.with_context(|| format!("the tokenizer of {}", base.path().display()))
}

/// Refuses a merge that the disk has no room for.
fn check_room(output: &Path, wanted: u64) -> anyhow::Result<()> {
    let there = output.ancestors().skip(1).find(|parent| parent.is_dir());
    let free = free_bytes(there.unwrap_or(Path::new(".")));
    match free {
        Some(free) if free < wanted => bail!(
            "{} takes {}, but only {} are free there; give -o a place with room, or --as a \
             smaller form",
            output.display(),
            bytes(wanted),
            bytes(free)
        ),
        _ => Ok(()),
    }
}

fn show(report: &MergeReport, json: bool) -> anyhow::Result<()> {
    if json {
        line(serde_json::to_string_pretty(report)?);
        return Ok(());
    }
    for adapter in &report.adapters {
        let times = match adapter.scale {
            1.0 => String::new(),
            scale => format!(", times {scale}"),
        };
        let info = &adapter.info;
        line(format_args!("{}: {}{times}", info.path.display(), described(info)));
    }
    for module in &report.modules {
        let list = |values: Vec<String>| values.join(", ");
        let ranks = list(module.ranks.iter().map(ToString::to_string).collect());
        let scales = list(module.scales.iter().map(|scale| format!("{scale:.4}")).collect());
        let mut parts = vec![format!("{:>3} tensors", module.num_layers)];
        if !module.ranks.is_empty() {
            parts.push(format!("rank {ranks}, scale {scales}"));
        }
        if module.num_replaced > 0 {
            parts.push(format!("{} brought whole", module.num_replaced));
        }
        if let Some(norms) = module.relative_norms {
            let (min, median, max) = (norms.min, norms.median, norms.max);
            parts.push(format!("|dW|/|W| {min:.4} to {max:.4}, median {median:.4}"));
        }
        line(format_args!("  {:<13} {}", module.module, parts.join("; ")));
    }
    if report.untied {
        line("  the output matrix, which was the embedding, becomes one of its own");
    }
    line(format_args!(
        "{}: {} {}, {} of {} tensors changed, {}",
        report.path.display(),
        report.format,
        report.weights,
        report.num_changed,
        report.num_tensors,
        bytes(report.size_bytes)
    ));
    Ok(())
}

/// An adapter in a few words.
fn described(info: &AdapterInfo) -> String {
    let base = info.base.as_ref().map(|base| format!(", trained on {base}"));
    format!(
        "rank {}, alpha {}{}, {:.1} M parameters{}",
        info.rank,
        info.alpha,
        if info.rank_stabilized { ", rank-stabilized" } else { "" },
        info.num_parameters as f64 / 1e6,
        base.unwrap_or_default()
    )
}

/// `dramatis model info` of an adapter.
pub(super) fn adapter_info(info: &AdapterInfo) {
    let row = |name: &str, value: String| line(format_args!("{name:<16} {value}"));
    let kinds = |kinds: &[(String, usize)]| {
        let named = kinds.iter().map(|(kind, count)| format!("{kind} ({count})"));
        named.collect::<Vec<_>>().join(", ")
    };
    row("directory", info.path.display().to_string());
    row("format", "LoRA adapter of PEFT: not a model, but a change of one".into());
    row("trained on", info.base.clone().unwrap_or_else(|| "not told".into()));
    let scale = if info.rank_stabilized { "alpha / √rank" } else { "alpha / rank" };
    row("rank", format!("{}, alpha {}, scaled by {scale}", info.rank, info.alpha));
    row("parameters", format!("{:.1} M", info.num_parameters as f64 / 1e6));
    row("size", bytes(info.size_bytes));
    row("changes", kinds(&info.adapted));
    if !info.replaced.is_empty() {
        row("brings whole", kinds(&info.replaced));
    }
    row("to use it", "--set model.adapters=PATH, or `dramatis model merge`".into());
}
