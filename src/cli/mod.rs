//! The command line: parses it, loads the settings, starts logging, dispatches.
//!
//! One file a command. The only room, besides `terminal`, that prints. Exit code
//! 0 is done, 1 is failed with one message on standard error, 2 is wrong usage.

mod audit;
mod bench;
mod card;
mod chat;
mod config;
mod database;
mod dataset;
mod doctor;
mod library;
mod lore;
mod merge;
mod model;
mod output;
mod play;
mod preset;
mod progress;
mod seal;
mod serve;
mod session;
mod template;
mod worker;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

pub use database::runtime;
pub use session::{LogDestination, Session};

/// Roleplay with characters: people write a story together, a language model
/// plays the characters.
#[derive(Debug, Parser)]
#[command(name = "dramatis", version, max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  dramatis play                              play a scene; fetches what it needs
  dramatis serve                             run the bot on Discord
  dramatis worker                            serve the engine over HTTP
  dramatis model pull                        fetch the model that is configured
  dramatis card import seraphina.png         bring a character into `play`
  dramatis doctor                            check everything that a start needs
  dramatis --set engine.threads=4 doctor     the same with another setting
  dramatis config defaults > dramatis.toml   begin a configuration file
  dramatis bench engine                      measure how fast it is here

Settings come from --config, $DRAMATIS_CONFIG or ./dramatis.toml, then from
DRAMATIS_SECTION__KEY variables, then from --set; `dramatis config show` tells
which value came from where.";

/// What holds for every command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Settings")]
pub struct GlobalArgs {
    /// Read settings from this file
    #[arg(long, global = true, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// Change one setting, for example engine.threads=4; may be repeated
    #[arg(long = "set", global = true, value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<String>,
    /// Keep models, database and histories in this directory
    #[arg(long, global = true, value_name = "PATH")]
    pub data_dir: Option<PathBuf>,
    /// Log more to standard error; twice for everything of ours
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Play a scene in the terminal
    Play(play::PlayArgs),
    /// Run the bot on Discord
    Serve(serve::ServeArgs),
    /// Serve the engine over HTTP
    Worker(worker::WorkerArgs),
    /// Fetch models, list them, look into them
    #[command(subcommand)]
    Model(model::ModelCommand),
    /// Character cards: show, check, bring in, take out
    #[command(subcommand)]
    Card(card::CardCommand),
    /// Lorebooks: list, check, bring in, take out
    #[command(subcommand)]
    Lore(lore::LoreCommand),
    /// Chats: bring in, take out
    #[command(subcommand)]
    Chat(chat::ChatCommand),
    /// Training data: scenes whose people agreed
    #[command(subcommand)]
    Dataset(dataset::DatasetCommand),
    /// Sampling presets: list, bring in, take out
    #[command(subcommand)]
    Preset(preset::PresetCommand),
    /// Prompt templates: list, show, write
    #[command(subcommand)]
    Template(template::TemplateCommand),
    /// What people did: list it, and check that nobody changed it since
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Keys that texts are sealed with in the database
    #[command(subcommand)]
    Seal(seal::SealCommand),
    /// Check everything that a start needs, and say what to do
    Doctor(doctor::DoctorArgs),
    /// Bring the database up to date
    Migrate,
    /// Show the settings
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Measure how fast it is on this machine
    #[command(subcommand)]
    Bench(bench::BenchCommand),
}

/// Runs the command that `arguments` ask for, the program's name first.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too, with code 0.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match dispatch(&cli) {
        Ok(code) => code,
        Err(error) => {
            output::error(&error);
            ExitCode::FAILURE
        }
    }
}

fn dispatch(cli: &Cli) -> anyhow::Result<ExitCode> {
    // The first two must work where the settings are broken.
    match &cli.command {
        Command::Doctor(args) => return doctor::run(&cli.global, args),
        Command::Config(config::ConfigCommand::Defaults) => return config::defaults(),
        // Some of its settings have arguments of their own.
        Command::Worker(args) => return worker::run(&args.session(&cli.global)?),
        _ => {}
    }
    let session = Session::open(&cli.global)?;
    match &cli.command {
        Command::Play(args) => return play::run(&session, args),
        Command::Serve(args) => return serve::run(&session, args),
        _ => {}
    }
    session.start_logging(LogDestination::Quiet)?;
    match &cli.command {
        Command::Model(command) => model::run(&session, command),
        Command::Card(command) => card::run(&session, command),
        Command::Lore(command) => lore::run(&session, command),
        Command::Chat(command) => chat::run(&session, command),
        Command::Dataset(command) => dataset::run(&session, command),
        Command::Preset(command) => preset::run(&session, command),
        Command::Template(command) => template::run(&session, command),
        Command::Audit(command) => audit::run(&session, command),
        Command::Seal(command) => seal::run(&session, command),
        Command::Migrate => database::migrate(&session),
        Command::Config(command) => config::run(&session, command),
        Command::Bench(command) => bench::run(&session, &cli.global, command),
        Command::Play(_) | Command::Serve(_) | Command::Worker(_) | Command::Doctor(_) => {
            unreachable!("dispatched above")
        }
    }
}
