//! `dramatis play`: a scene in the terminal.

use std::io::{IsTerminal as _, stdin, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::{LogDestination, Session, model};
use crate::domain::Length;
use crate::service::Service;
use crate::terminal::{PlayOptions, play, stage};

/// Lines are as wide as the screen, up to what reads well.
const MAX_COLUMNS: usize = 100;

/// Play a scene in the terminal
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct PlayArgs {
    /// With whom: a name or its beginning; without it, the scene played last goes on
    #[arg(long, value_name = "NAME")]
    character: Option<String>,
    /// How long replies are: micro tiny short medium long massive huge enormous humongous
    /// unlimited, or auto to let the model choose
    #[arg(long, value_name = "TAG", value_parser = length)]
    length: Option<LengthChoice>,
    /// What you are called in the story
    #[arg(long = "as", value_name = "NAME", default_value = "Traveller")]
    user: String,
    /// Begin a new scene; the old one is kept, ended
    #[arg(long)]
    new: bool,
}

/// clap tells `Option<Option<_>>` apart by itself; this keeps it from trying.
#[derive(Debug, Clone, Copy)]
struct LengthChoice(Option<Length>);

fn length(word: &str) -> Result<LengthChoice, crate::domain::ParseLengthError> {
    match word {
        "auto" => Ok(LengthChoice(None)),
        tag => tag.parse().map(|length| LengthChoice(Some(length))),
    }
}

const EXAMPLES: &str = "\
Examples:
  dramatis play
  dramatis play --character Tamsin --length long
  printf 'Hello there.\\n' | dramatis play --character Maren --length short

The first start fetches the configured model and sets up a private database.
In the scene, /help lists the commands.";

pub(super) fn run(session: &Session, args: &PlayArgs) -> anyhow::Result<ExitCode> {
    session.start_logging(LogDestination::File("play.log"))?;
    let model_path = model::needed_path(session)?;
    let interactive = stdin().is_terminal() && stdout().is_terminal();
    let options = PlayOptions {
        user: args.user.clone(),
        character: args.character.clone(),
        length: args.length.map(|choice| choice.0),
        new_scene: args.new,
        interactive,
        colour: !session.environment.no_color(),
        columns: columns(),
    };
    let runtime = super::database::runtime()?;
    let played = runtime.block_on(evening(session, model_path, &options));
    // A thread may still wait for a line that nobody will write.
    runtime.shutdown_timeout(Duration::from_secs(1));
    played
}

async fn evening(
    session: &Session,
    model_path: Option<PathBuf>,
    options: &PlayOptions,
) -> anyhow::Result<ExitCode> {
    let mut terminated = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    let mut hung_up = signal(SignalKind::hangup()).context("cannot listen for signals")?;
    let (stage, events) = stage();
    let ground = session.ground();
    let service = Service::start(&session.config, model_path, |_| stage, &ground).await?;
    let outcome = tokio::select! {
        outcome = play(service.chat.clone(), events, options) => outcome.map_err(Into::into),
        _ = terminated.recv() => Ok(()),
        _ = hung_up.recv() => Ok(()),
    };
    service.stop().await;
    outcome.map(|()| ExitCode::SUCCESS)
}

fn columns() -> usize {
    let (_, columns) = console::Term::stdout().size();
    usize::from(columns).clamp(20, MAX_COLUMNS)
}
