//! `dramatis card`: character cards, as files and in the library of `play`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};

use super::Session;
use super::library::{read, with_library, write};
use super::output::{bytes, line, note, plain};
use crate::chat::FileOut;
use crate::formats::card::{CardFile, Container, Version};
use crate::formats::{Finding, Limits, Severity};

/// Character cards: show, check, bring in, take out.
#[derive(Debug, Subcommand)]
pub enum CardCommand {
    /// Show what is in a card
    Show {
        /// A card: PNG, APNG, CHARX, JPEG with a CHARX behind it, or JSON
        file: PathBuf,
        /// The whole card as JSON
        #[arg(long)]
        json: bool,
    },
    /// Check cards and say what is wrong, where, and what to do
    Validate {
        /// Cards
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Bring characters into the library of `play`
    #[command(after_help = IMPORT_EXAMPLES)]
    Import {
        /// Cards
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Put them in the place of characters of the same name
        #[arg(long)]
        replace: bool,
    },
    /// Write a character of the library as a card, or a card in another form
    #[command(after_help = EXPORT_EXAMPLES)]
    Export(ExportArgs),
}

/// What is written, and as what.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// A character of the library by name, or a card's file
    what: String,
    /// Which kind of file
    #[arg(long = "as", value_enum, default_value = "png")]
    container: ContainerChoice,
    /// Which version of the card
    #[arg(long, value_enum, default_value = "v3")]
    spec: VersionChoice,
    /// Where to: a file, a directory, or - for standard output
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Write over a file that is there
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ContainerChoice {
    /// A picture with the card in it
    Png,
    /// A zip with the card and all its files
    Charx,
    /// Text
    Json,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum VersionChoice {
    V1,
    V2,
    V3,
}

const IMPORT_EXAMPLES: &str = "\
Examples:
  dramatis card import seraphina.png
  dramatis card import cards/*.png --replace
  dramatis play --character Seraphina";

const EXPORT_EXAMPLES: &str = "\
Examples:
  dramatis card export Maren                      maren-holt.png
  dramatis card export Maren --as charx -o out/   with all its files
  dramatis card export old.png --as json --spec v2 -o -";

impl From<ContainerChoice> for Container {
    fn from(choice: ContainerChoice) -> Self {
        match choice {
            ContainerChoice::Png => Self::Png,
            ContainerChoice::Charx => Self::Charx,
            ContainerChoice::Json => Self::Json,
        }
    }
}

impl From<VersionChoice> for Version {
    fn from(choice: VersionChoice) -> Self {
        match choice {
            VersionChoice::V1 => Self::V1,
            VersionChoice::V2 => Self::V2,
            VersionChoice::V3 => Self::V3,
        }
    }
}

pub(super) fn run(session: &Session, command: &CardCommand) -> anyhow::Result<ExitCode> {
    match command {
        CardCommand::Show { file, json } => {
            let card = CardFile::read(&read(file)?, &Limits::default())?;
            if *json {
                line(card.card.to_json())
            } else {
                show(&card)
            }
            Ok(ExitCode::SUCCESS)
        }
        CardCommand::Validate { files } => validate(files),
        CardCommand::Import { files, replace } => import(session, files, *replace),
        CardCommand::Export(args) => export(session, args),
    }
}

fn show(file: &CardFile) {
    let sheet = file.card.to_sheet();
    let row = |name: &str, value: String| {
        if !value.is_empty() {
            line(format_args!("{name:<18} {}", plain(&value)));
        }
    };
    let text = |text: &str| match text.chars().count() {
        0 => String::new(),
        count => format!("{count} characters"),
    };
    row("name", sheet.name.clone());
    row("nickname", sheet.nickname.clone().unwrap_or_default());
    row("card", format!("{:?} in {}", file.card.version(), file.container().extension()));
    row("creator", sheet.creator.clone());
    row("version", sheet.character_version.clone());
    row("tags", sheet.tags.join(", "));
    row("description", text(&sheet.description));
    row("personality", text(&sheet.personality));
    row("scenario", text(&sheet.scenario));
    row("examples", text(&sheet.example_dialogue));
    row("system prompt", text(&sheet.system_prompt));
    row("post-history", text(&sheet.post_history_instructions));
    let depth_prompt = sheet.depth_prompt.as_ref();
    row(
        "reminder",
        depth_prompt
            .map_or_else(String::new, |it| format!("{} at depth {}", text(&it.text), it.depth)),
    );
    row("talkativeness", sheet.talkativeness.to_string());
    let (greetings, group) = (sheet.greetings().count(), sheet.group_only_greetings.len());
    row("greetings", format!("{greetings}, and {group} for groups"));
    if let Some(book) = file.card.book() {
        row("lore", format!("{} entries", book.entries.len()));
    }
    for asset in &file.assets {
        let size = asset.bytes.as_ref().map_or(asset.uri.clone(), |it| bytes(it.len() as u64));
        row("file", format!("{} {} ({}), {size}", asset.kind, asset.name, asset.ext));
    }
    if !sheet.creator_notes.trim().is_empty() {
        line(format_args!("\n{}", plain(sheet.creator_notes.trim())));
    }
}

fn validate(files: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let mut is_good = true;
    for path in files {
        let card = read(path).and_then(|it| Ok(CardFile::read(&it, &Limits::default())?));
        let findings = match card {
            Ok(card) => card.validate(),
            Err(error) => {
                line(format_args!("{}: error: {error:#}", path.display()));
                is_good = false;
                continue;
            }
        };
        is_good &= !findings.iter().any(|it| it.severity == Severity::Error);
        report(&path.display().to_string(), &findings);
    }
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What was found in a file, a line each.
pub(super) fn report(file: &str, findings: &[Finding]) {
    if findings.is_empty() {
        line(format_args!("{file}: ok"));
    }
    for finding in findings {
        line(format_args!("{file}: {}", plain(&finding.to_string())));
    }
}

fn import(session: &Session, files: &[PathBuf], replace: bool) -> anyhow::Result<ExitCode> {
    with_library(session, |library, local| async move {
        let (guild, person) = (local.guild.id, local.person.id);
        let mut failed = 0;
        for path in files {
            let imported = async {
                let card = library.read_card(read(path)?).await?;
                let namesake = library.namesake(guild, &card).await?;
                if let (Some(old), false) = (&namesake, replace) {
                    anyhow::bail!(
                        "there is a character {} already; --replace puts this one in its place",
                        old.sheet.name
                    );
                }
                for finding in &card.findings {
                    note(format_args!("{}: {}", path.display(), plain(finding)));
                }
                let replaces = namesake.map(|old| old.id);
                Ok(library.import_character(guild, person, card, replaces).await?)
            };
            match imported.await {
                Ok(imported) => line(format_args!(
                    "{}: {} entries of lore, {} files",
                    imported.character.sheet.name, imported.num_lore_entries, imported.num_assets
                )),
                Err(error) => {
                    note(format_args!("{}: error: {error:#}", path.display()));
                    failed += 1;
                }
            }
        }
        Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

fn export(session: &Session, args: &ExportArgs) -> anyhow::Result<ExitCode> {
    let (container, version) = (args.container.into(), args.spec.into());
    let path = PathBuf::from(&args.what);
    let file = if path.is_file() {
        let card = CardFile::read(&read(&path)?, &Limits::default())?;
        let name = crate::chat::file_name(&card.card.name(), Container::extension(container));
        FileOut { name, bytes: card.write(container, version, &Limits::default())? }
    } else {
        with_library(session, |library, local| async move {
            let character = library.find_character(local.guild.id, &args.what).await?;
            let guild = local.guild.id;
            Ok(library.export_character(guild, character.id, container, version).await?)
        })?
    };
    write(&file, args.output.as_deref(), args.force)?;
    Ok(ExitCode::SUCCESS)
}
