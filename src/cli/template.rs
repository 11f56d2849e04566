//! `dramatis template`: how prompts are laid out, as files.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::Session;
use super::library::write;
use super::output::line;
use crate::chat::{FileOut, file_name};
use crate::domain::Template;
use crate::formats::template::TemplateFile;
use crate::prompt::shipped_templates;
use crate::service;

/// Prompt templates: list, show, write.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum TemplateCommand {
    /// List the templates that ship
    List,
    /// Show a template: one that ships, or a file's
    Show {
        /// A name, or a file: SillyTavern's instruct, context or both, or ours
        template: String,
    },
    /// Write a template as a file that SillyTavern reads
    Export {
        /// A name, or a file
        template: String,
        /// Where to: a file, a directory, or - for standard output
        #[arg(short, long, value_name = "PATH")]
        output: Option<PathBuf>,
        /// Write over a file that is there
        #[arg(long)]
        force: bool,
    },
}

const EXAMPLES: &str = "\
A model is given its template by the settings:
  dramatis --set model.template=chatml play
  dramatis --set model.template=./my-instruct.json play";

pub(super) fn run(session: &Session, command: &TemplateCommand) -> anyhow::Result<ExitCode> {
    match command {
        TemplateCommand::List => {
            let used = service::template(&session.config)?;
            for name in shipped_templates() {
                let mark = if name == used.name() { "  (configured)" } else { "" };
                line(format_args!("{name}{mark}"));
            }
        }
        TemplateCommand::Show { template } => {
            line(toml::to_string_pretty(&service::named_template(template)?)?.trim_end());
        }
        TemplateCommand::Export { template, output, force } => {
            let Template::Instruct(instruct) = service::named_template(template)? else {
                anyhow::bail!(
                    "LimaRP's template is built in: it knows lengths and cannot be said in \
                     another program's file; `alpaca-names` is the nearest that can"
                );
            };
            let text = TemplateFile::from_template(&instruct).to_json();
            let file =
                FileOut { name: file_name(&instruct.name, "json"), bytes: text.into_bytes() };
            write(&file, output.as_deref(), *force)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
