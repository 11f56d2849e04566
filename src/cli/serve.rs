//! `dramatis serve`: the bot on Discord.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::doctor::{self, Finding};
use super::output::{self, note};
use super::{LogDestination, Session, model};
use crate::chat::Chat;
use crate::config::check_token_shape;
use crate::discord::{self, Connection, Discord, Verdict};
use crate::pool::Pool;
use crate::service::{self, Ground, Service};

/// Run the bot on Discord
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ServeArgs {
    /// Look whether a start would succeed (token, intents, permissions); posts nothing
    #[arg(long)]
    check: bool,
}

const EXAMPLES: &str = "\
Examples:
  DISCORD_TOKEN=… dramatis serve --check
  DISCORD_TOKEN=… dramatis serve

The token comes from DISCORD_TOKEN, from `discord.token` in the configuration file, or
from the file that `discord.token_file` names; never from the command line, where other
users of the machine could read it. deploy/discord.md tells how to get one.

On SIGHUP the settings are read again, and the workers take up the model and the options
that they name, one after another, without a stop; other sections need a restart.";

const NO_TOKEN: &str = "\
there is no bot token. To get one:
  1. open https://discord.com/developers/applications and create an application
  2. under Bot, press Reset Token and copy it; switch on Message Content Intent there
  3. put it into the environment variable DISCORD_TOKEN, or into a file and its path into
     `discord.token_file` of dramatis.toml
  4. run `dramatis serve --check`
deploy/discord.md says more";

pub(super) fn run(session: &Session, args: &ServeArgs) -> anyhow::Result<ExitCode> {
    session.start_logging(LogDestination::Stderr)?;
    let token = token(session)?;
    let runtime = super::database::runtime()?;
    if args.check {
        return runtime.block_on(check(session, token));
    }
    let ground = session.ground();
    // Before anything heavy: a wrong token is known at once.
    let settings = &session.config.discord;
    let connection = Connection::open(settings, token, None, ground.metrics.clone());
    let connection = runtime.block_on(connection)?;
    let model_path = model::needed_path(session)?;
    let served = runtime.block_on(serve(session, connection, model_path, ground));
    runtime.shutdown_timeout(Duration::from_secs(1));
    served
}

fn token(session: &Session) -> anyhow::Result<SecretString> {
    let Some(token) = session.config.discord.token()? else { bail!(NO_TOKEN) };
    if let Err(error) = check_token_shape(token.expose_secret()) {
        bail!("what was given as the bot's token is none: {error}; copy it again under Bot");
    }
    Ok(token)
}

async fn check(session: &Session, token: SecretString) -> anyhow::Result<ExitCode> {
    let found = discord::check(&session.config.discord, &token).await;
    let mut failed = false;
    for found in found {
        failed |= found.verdict == Verdict::Failed;
        doctor::show(&match found.verdict {
            Verdict::Ok => Finding::ok(found.subject, found.detail),
            Verdict::Warning => Finding::warning(found.subject, found.detail, found.advice),
            Verdict::Failed => Finding::failed(found.subject, found.detail, found.advice),
        });
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The signals by which a service is told to stop, or to read its settings again.
pub(super) struct Stop {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Stop {
    pub(super) fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    pub(super) async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// The same, and meanwhile does at each SIGHUP what it is for.
    pub(super) async fn asked_but(&mut self, mut at_hangup: impl FnMut()) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => at_hangup(),
            }
        }
    }
}

async fn serve(
    session: &Session,
    connection: Connection,
    model_path: Option<PathBuf>,
    ground: Ground,
) -> anyhow::Result<ExitCode> {
    let mut stop = Stop::listen()?;
    let grace = session.config.discord.stop_grace();
    let mut stage = None;
    let set_up = |chat: &Arc<Chat>| stage.insert(connection.stage(chat)).clone();
    let service = Service::start(&session.config, model_path, set_up, &ground).await?;
    let stage = stage.expect("a service that started has set up its stage");
    let invite = connection.invite_link();
    let ended = match connection.listen(&stage).await {
        Ok(discord) => {
            note("ready; Ctrl-C stops it");
            note(format_args!("invite it with {invite}"));
            let ended = tokio::select! {
                error = discord.ended() => Some(error),
                () = stop.asked_but(|| reload(session.clone(), service.chat.pool().clone())) => None,
            };
            note("stopping …");
            let stopped = tokio::time::timeout(grace, take_down(service, discord, grace));
            tokio::select! {
                stopped = stopped => {
                    if stopped.is_err() {
                        tracing::warn!("serve.stop.late");
                    }
                }
                // Somebody does not want to wait.
                () = stop.asked() => tracing::warn!("serve.stop.at_once"),
            }
            ended
        }
        Err(error) => {
            service.stop().await;
            Some(error)
        }
    };
    match ended {
        Some(error) => Err(error.into()),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// Reads the settings again and exchanges the workers' model, beside everything else.
pub(super) fn reload(session: Session, pool: Pool) {
    note("reading the settings again …");
    let read = move || -> anyhow::Result<_> {
        let session = session.reopened()?;
        let model_path = model::needed_path(&session)?;
        Ok((session, model_path))
    };
    tokio::spawn(async move {
        let reloaded = async {
            let (session, model_path) =
                tokio::task::spawn_blocking(read).await.context("reading them broke down")??;
            service::reload_pool(&pool, &session.config, model_path.as_deref()).await
        };
        match reloaded.await {
            Ok(()) => note(format_args!("the workers have {} now", pool.model().name)),
            Err(error) => output::error(&error.context("the workers go on as they were")),
        }
    });
}

/// First nothing more is heard, then the jobs end or go back to their lanes, then
/// what is on its way to Discord arrives.
async fn take_down(service: Service, discord: Discord, grace: Duration) {
    let farewell = discord.deafen().await;
    service.stop().await;
    farewell.end(grace).await;
}
