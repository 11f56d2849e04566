//! `dramatis preset`: sampling presets, as files and in the library of `play`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::Session;
use super::library::{read, with_library, write};
use super::output::{line, note};
use crate::sampling::SamplerParams;

/// Sampling presets: list, bring in, take out.
#[derive(Debug, Subcommand)]
pub enum PresetCommand {
    /// List the presets that `play` can choose from
    List,
    /// Bring a preset of SillyTavern or KoboldCpp into the library of `play`
    Import {
        /// The preset, as JSON
        file: PathBuf,
        /// What it is called; without it, as its file
        #[arg(long)]
        name: Option<String>,
    },
    /// Write a preset as a file that SillyTavern reads
    Export {
        /// Which preset
        name: String,
        /// Where to: a file, a directory, or - for standard output
        #[arg(short, long, value_name = "PATH")]
        output: Option<PathBuf>,
        /// Write over a file that is there
        #[arg(long)]
        force: bool,
    },
}

pub(super) fn run(session: &Session, command: &PresetCommand) -> anyhow::Result<ExitCode> {
    match command {
        PresetCommand::List => list(session),
        PresetCommand::Import { file, name } => {
            let bytes = read(file)?;
            let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
            let name = name.clone().or(stem).unwrap_or_default();
            let imported = with_library(session, |library, local| async move {
                let (guild, person) = (local.guild.id, local.person.id);
                Ok(library.import_preset(guild, person, &bytes, &name).await?)
            })?;
            for lacking in &imported.lacking {
                note(format_args!("no effect here: {lacking}"));
            }
            line(format_args!("{}: /preset {} chooses it", imported.name, imported.name));
            Ok(ExitCode::SUCCESS)
        }
        PresetCommand::Export { name, output, force } => {
            let file = with_library(session, |library, local| async move {
                Ok(library.export_preset(local.guild.id, name).await?)
            })?;
            write(&file, output.as_deref(), *force)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn list(session: &Session) -> anyhow::Result<ExitCode> {
    let own = with_library(session, |library, local| async move {
        Ok(library.store().list_presets(local.guild.id).await?)
    })?;
    let own = own.iter().map(|preset| (preset.name.as_str(), "yours"));
    let configured = session.config.generation.presets.keys();
    let configured = configured.map(|name| (name.as_str(), "of the settings"));
    let shipped = SamplerParams::PRESETS.map(|name| (name, "shipped"));
    for (name, whose) in own.chain(configured).chain(shipped) {
        line(format_args!("{name:<32} {whose}"));
    }
    Ok(ExitCode::SUCCESS)
}
