//! `dramatis config`: what is set, and where.

use std::process::ExitCode;

use clap::Subcommand;

use super::Session;
use super::output::line;
use crate::config::{Config, Setting};

/// Show the settings.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// The values in force and where each came from; secrets are masked
    Show {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// The documented defaults, as a file to begin with
    Defaults,
}

/// Prints the documented defaults; needs no valid settings.
pub(super) fn defaults() -> anyhow::Result<ExitCode> {
    line(Config::DEFAULTS.trim_end());
    Ok(ExitCode::SUCCESS)
}

pub(super) fn run(session: &Session, command: &ConfigCommand) -> anyhow::Result<ExitCode> {
    match command {
        ConfigCommand::Show { json: true } => {
            line(serde_json::to_string_pretty(session.config.describe())?);
            Ok(ExitCode::SUCCESS)
        }
        ConfigCommand::Show { json: false } => {
            show(session.config.describe());
            line(format_args!("# the data directory is {}", session.config.data_dir.display()));
            Ok(ExitCode::SUCCESS)
        }
        ConfigCommand::Defaults => defaults(),
    }
}

/// TOML again, so that it can be pasted, with the origin of what was changed.
fn show(settings: &[Setting]) {
    for Setting { key, value, origin } in settings {
        match origin.as_str() {
            "default" => line(format_args!("{key} = {value}")),
            _ => line(format_args!("{key} = {value}  # {origin}")),
        }
    }
}
