//! `dramatis lore`: lorebooks, as files and in the library of `play`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};

use super::Session;
use super::card::report;
use super::library::{read, with_library, write};
use super::output::{line, note, plain};
use crate::formats::Severity;
use crate::formats::book::BookFormat;
use crate::store::LoreScope;

/// Lorebooks: list, check, bring in, take out.
#[derive(Debug, Subcommand)]
pub enum LoreCommand {
    /// List the lorebooks of the library of `play`, or the entries of one
    List {
        /// Which lorebook
        book: Option<String>,
    },
    /// Check lorebooks and say what is wrong, where, and what to do
    Validate {
        /// World info of SillyTavern, or books of cards
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Bring a lorebook into the library of `play`
    #[command(after_help = IMPORT_EXAMPLES)]
    Import {
        /// World info of SillyTavern, a book of V2 or V3, or a card with one in it
        file: PathBuf,
        /// What it is called; without it, as its file says
        #[arg(long)]
        name: Option<String>,
        /// Use it wherever this character plays
        #[arg(long, value_name = "NAME", conflicts_with = "everywhere")]
        character: Option<String>,
        /// Use it in every scene
        #[arg(long)]
        everywhere: bool,
        /// Put it in the place of one of the same name
        #[arg(long)]
        replace: bool,
    },
    /// Write a lorebook of the library as a file
    Export {
        /// Which lorebook
        book: String,
        /// For which program; without it, as it came
        #[arg(long = "as", value_enum)]
        format: Option<FormatChoice>,
        /// Where to: a file, a directory, or - for standard output
        #[arg(short, long, value_name = "PATH")]
        output: Option<PathBuf>,
        /// Write over a file that is there
        #[arg(long)]
        force: bool,
    },
    /// Take a lorebook out of the library
    Remove {
        /// Which lorebook
        book: String,
    },
}

/// A program's way of writing lorebooks.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum FormatChoice {
    /// SillyTavern's world info
    World,
    /// A lorebook of V3
    V3,
}

const IMPORT_EXAMPLES: &str = "\
Examples:
  dramatis lore import harbour.json --everywhere
  dramatis lore import seraphina.png --name \"The glade\" --character Seraphina";

pub(super) fn run(session: &Session, command: &LoreCommand) -> anyhow::Result<ExitCode> {
    match command {
        LoreCommand::List { book } => list(session, book.as_deref()),
        LoreCommand::Validate { files } => validate(files),
        LoreCommand::Import { file, name, character, everywhere, replace } => {
            let scope = match (character, everywhere) {
                (Some(name), _) => Some(Wanted::Character(name)),
                (None, true) => Some(Wanted::Everywhere),
                (None, false) => None,
            };
            import(session, file, name.as_deref(), scope, *replace)
        }
        LoreCommand::Export { book, format, output, force } => {
            let format = format.map(|format| match format {
                FormatChoice::World => BookFormat::WorldInfo,
                FormatChoice::V3 => BookFormat::Standalone,
            });
            let file = with_library(session, |library, local| async move {
                let kept = library.find_lorebook(local.guild.id, book).await?;
                Ok(library.export_lorebook(&kept, format)?)
            })?;
            write(&file, output.as_deref(), *force)?;
            Ok(ExitCode::SUCCESS)
        }
        LoreCommand::Remove { book } => with_library(session, |library, local| async move {
            let (guild, person) = (local.guild.id, local.person.id);
            let kept = library.find_lorebook(guild, book).await?;
            library.delete_lorebook(guild, person, kept.id).await?;
            note(format_args!("{} is gone", kept.name));
            Ok(ExitCode::SUCCESS)
        }),
    }
}

/// Where a lorebook is to be used.
enum Wanted<'a> {
    Character(&'a str),
    Everywhere,
}

fn list(session: &Session, book: Option<&str>) -> anyhow::Result<ExitCode> {
    with_library(session, |library, local| async move {
        let Some(name) = book else {
            for book in library.lorebooks(local.guild.id).await? {
                let with = book.characters.join(", ");
                let used = match (book.everywhere, with.is_empty()) {
                    (true, _) => "used everywhere".to_owned(),
                    (false, false) => format!("used with {with}"),
                    (false, true) if book.num_scenes > 0 => "used in a scene".to_owned(),
                    (false, true) => "used nowhere".to_owned(),
                };
                line(format_args!("{:<32} {used}", book.name));
            }
            return Ok(ExitCode::SUCCESS);
        };
        let kept = library.find_lorebook(local.guild.id, name).await?;
        for (entry, (_, title)) in kept.book.entries.iter().zip(kept.titles()) {
            let called = if entry.constant { "always".to_owned() } else { entry.keys.join(", ") };
            let off = if entry.enabled { "" } else { "  (off)" };
            line(plain(&format!("{title:<32} {called}{off}")));
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn validate(files: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let mut is_good = true;
    for path in files {
        let book = read(path).and_then(|bytes| Ok(crate::chat::read_book(&bytes)?));
        match book {
            Ok(book) => {
                let findings = book.validate();
                is_good &= !findings.iter().any(|it| it.severity == Severity::Error);
                report(&path.display().to_string(), &findings);
            }
            Err(error) => {
                line(format_args!("{}: error: {error:#}", path.display()));
                is_good = false;
            }
        }
    }
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn import(
    session: &Session,
    file: &std::path::Path,
    name: Option<&str>,
    wanted: Option<Wanted<'_>>,
    replace: bool,
) -> anyhow::Result<ExitCode> {
    let bytes = read(file)?;
    // Many files are called what the book is called, and say it nowhere else.
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    with_library(session, |library, local| async move {
        let (guild, person) = (local.guild.id, local.person.id);
        let scope = match wanted {
            Some(Wanted::Everywhere) => Some(LoreScope::Guild),
            Some(Wanted::Character(name)) => {
                Some(LoreScope::Character(library.find_character(guild, name).await?.id))
            }
            None => None,
        };
        let read = match library.read_lorebook(bytes.clone(), name).await {
            Err(_) if name.is_none() => library.read_lorebook(bytes, stem.as_deref()).await?,
            read => read?,
        };
        for finding in read.findings() {
            note(plain(finding));
        }
        let kept = library.import_lorebook(guild, person, read, replace).await?;
        if let Some(scope) = scope {
            library.use_lorebook(guild, person, kept.id, scope, true).await?;
        } else {
            note("it is used nowhere yet; --everywhere or --character NAME says where");
        }
        line(format_args!("{}: {} entries", kept.name, kept.book.entries.len()));
        Ok(ExitCode::SUCCESS)
    })
}
