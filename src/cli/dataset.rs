//! `dramatis dataset`: scenes as training data.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::database::runtime;
use super::output::{line, note};
use super::progress::Counted;
use super::{Session, model};
use crate::chat::{DataCard, DatasetExport, DatasetOptions, MAX_SAMPLE_TOKENS, ranges_of};
use crate::domain::Guild;
use crate::engine::load_tokenizer;
use crate::store::Store;

/// Training data: scenes whose people agreed.
#[derive(Debug, Subcommand)]
pub enum DatasetCommand {
    /// Write the scenes that everybody agreed to and a moderator approved
    #[command(after_help = EXPORT_HELP)]
    Export(ExportArgs),
}

/// What an export is made of.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// Where to: a directory that is empty or not there yet
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
    /// Only this guild, by its id on its platform, or by `terminal` for that of `play`
    #[arg(long, value_name = "ID")]
    guild: Option<String>,
    /// The most tokens of a sample
    #[arg(long, value_name = "COUNT", default_value_t = MAX_SAMPLE_TOKENS,
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(256..=1_000_000))]
    max_tokens: usize,
    /// Whose tokens: a model or a tokenizer.json; without it, the configured model's
    #[arg(long, value_name = "PATH")]
    tokenizer: Option<PathBuf>,
    /// Print the data card as JSON
    #[arg(long)]
    json: bool,
    /// Write into a directory that has something in it
    #[arg(long)]
    force: bool,
}

const EXPORT_HELP: &str = "\
People agree with /training agree, moderators approve scenes with /training approve.
deploy/training/README.md tells how a model is trained on what is written.";

/// The lines, one sample each.
const DATA: &str = "train.jsonl";
const CARD: &str = "data-card.md";
const CARD_JSON: &str = "data-card.json";

pub(super) fn run(session: &Session, command: &DatasetCommand) -> anyhow::Result<ExitCode> {
    let DatasetCommand::Export(args) = command;
    let out = OutDir::new(&args.out, args.force)?;
    let tokenizer = match &args.tokenizer {
        Some(path) => path.clone(),
        None => match session.config.workers.tokenizer.set() {
            Some(path) => path.clone(),
            None => model::path(session)?,
        },
    };
    let tokenizer = load_tokenizer(&tokenizer)?;
    let options = DatasetOptions {
        max_tokens: args.max_tokens,
        lengths: ranges_of(&session.config.generation_of_model().lengths),
        salt: rand::random::<[u8; 16]>().to_vec(),
    };
    let store = session.store_options(&session.config.database_dir())?;
    let card = runtime()?.block_on(async {
        let store = Store::open(store).await?;
        let guild = match &args.guild {
            Some(wanted) => Some(find_guild(&store, wanted).await?),
            None => None,
        };
        let export = DatasetExport::open(store.clone(), tokenizer, options, guild).await?;
        let written = write(export, &out).await;
        store.close().await?;
        written
    })?;
    out.put(CARD, card.to_markdown().as_bytes())?;
    let json = serde_json::to_string_pretty(&card)? + "\n";
    out.put(CARD_JSON, json.as_bytes())?;
    if args.json {
        line(json.trim_end());
    }
    if card.samples == 0 {
        anyhow::bail!(
            "nothing was exported; {}. People say /training agree, moderators /training approve",
            card.why_empty()
        );
    }
    if !args.json {
        line(format_args!(
            "{} samples of {} scenes, {} tokens, {} replies",
            card.samples, card.scenes_taken, card.tokens, card.responses
        ));
    }
    note(format_args!("wrote {}", out.path.display()));
    Ok(ExitCode::SUCCESS)
}

/// The guild that is meant.
pub(super) async fn find_guild(store: &Store, wanted: &str) -> anyhow::Result<Guild> {
    let guilds = store.list_guilds().await?;
    let known = || {
        let known = guilds.iter().map(|guild| format!("{} ({})", guild.external_id, guild.name));
        known.collect::<Vec<_>>().join(", ")
    };
    let is_it = |guild: &&Guild| guild.external_id == wanted || guild.platform == wanted;
    let mut found = guilds.iter().filter(is_it);
    match (found.next(), found.next()) {
        (Some(guild), None) => Ok(guild.clone()),
        (Some(_), Some(_)) => anyhow::bail!("several guilds are called {wanted}: {}", known()),
        (None, _) if guilds.is_empty() => anyhow::bail!("no guild is known yet"),
        (None, _) => anyhow::bail!("there is no guild {wanted}; there are {}", known()),
    }
}

/// Writes all scenes; no file where there is nothing in it.
async fn write(export: DatasetExport, out: &OutDir) -> anyhow::Result<DataCard> {
    let written = write_all(export, out).await;
    if written.is_err() {
        // People's words are left nowhere that nobody looks at.
        let _ = fs::remove_file(out.temporary(DATA));
    }
    written
}

async fn write_all(mut export: DatasetExport, out: &OutDir) -> anyhow::Result<DataCard> {
    let path = out.temporary(DATA);
    let shown = || format!("cannot write {}", path.display());
    let mut file = BufWriter::new(File::create(&path).with_context(shown)?);
    let progress = Counted::new(export.num_scenes(), "scenes");
    while let Some(lines) = export.next_scene().await? {
        for line in lines {
            writeln!(file, "{line}").with_context(shown)?;
        }
        progress.advance();
    }
    drop(progress);
    file.into_inner().context("cannot write")?.sync_all().with_context(shown)?;
    let card = export.card().clone();
    if card.samples == 0 {
        fs::remove_file(&path).with_context(shown)?;
        out.remove(DATA)?;
    } else {
        out.place(DATA)?;
    }
    Ok(card)
}

/// Where the files go: each under another name until it is whole.
struct OutDir {
    path: PathBuf,
}

impl OutDir {
    fn new(path: &Path, force: bool) -> anyhow::Result<Self> {
        let shown = path.display();
        fs::create_dir_all(path).with_context(|| format!("cannot make {shown}"))?;
        let mut inside = fs::read_dir(path).with_context(|| format!("cannot read {shown}"))?;
        // An export that found nothing leaves cards alone, and may be tried again.
        let is_card = |name: &std::ffi::OsStr| name == CARD || name == CARD_JSON;
        if !force && inside.any(|entry| !entry.is_ok_and(|entry| is_card(&entry.file_name()))) {
            anyhow::bail!("{shown} has something in it; --force writes into it all the same");
        }
        Ok(Self { path: path.to_owned() })
    }

    fn temporary(&self, name: &str) -> PathBuf {
        self.path.join(format!(".{name}.{}", std::process::id()))
    }

    /// Gives a whole file its name.
    fn place(&self, name: &str) -> anyhow::Result<()> {
        let path = self.path.join(name);
        let shown = || format!("cannot write {}", path.display());
        fs::rename(self.temporary(name), &path).with_context(shown)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.temporary(name);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        self.place(name)
    }

    /// What an earlier export left under that name, and would belie the card.
    fn remove(&self, name: &str) -> anyhow::Result<()> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", path.display()))
            }
            _ => Ok(()),
        }
    }
}
