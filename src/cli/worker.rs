//! `dramatis worker`: our engine over HTTP, for pools and programs elsewhere.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::output::{line, note};
use super::serve::{self, Stop};
use super::{GlobalArgs, LogDestination, Session, model};
use crate::config::Override;
use crate::http::{Server, ServerOptions};
use crate::service::{self, Ground};

/// Serve the engine over HTTP
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct WorkerArgs {
    /// Where to listen, for example 127.0.0.1:8177; port 0 is any that is free
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  dramatis worker
  DRAMATIS_API_KEY=$(openssl rand -hex 32) dramatis worker --listen 0.0.0.0:8177
  curl http://127.0.0.1:8177/v1/completions -H 'Content-Type: application/json' \\
       -d '{\"prompt\": \"Once upon a time\", \"max_tokens\": 32}'

It speaks the OpenAI-compatible completions protocol, so that a pool on another machine,
SillyTavern and OpenAI's own clients can use it, and needs no database. The first start
fetches the configured model. The key comes from DRAMATIS_API_KEY, from `worker.api_key` in
the configuration file, or from the file that `worker.api_key_file` names; never from the
command line. On SIGHUP the settings are read again and the model is exchanged without a
stop. deploy/worker.md says more.";

impl WorkerArgs {
    /// The settings, with what this command's own arguments change.
    pub(super) fn session(&self, global: &GlobalArgs) -> anyhow::Result<Session> {
        let listen = |listen: &String| Override::flag("--listen", "worker.listen", listen);
        Ok(Session::open_with(global, self.listen.iter().map(listen).collect())?)
    }
}

pub(super) fn run(session: &Session) -> anyhow::Result<ExitCode> {
    session.start_logging(LogDestination::Stderr)?;
    let worker = &session.config.worker;
    // Before anything heavy: a missing key is known at once.
    let options = ServerOptions {
        listen: worker.listen(),
        api_key: worker.api_key()?,
        stop_grace: worker.stop_grace(),
        max_body_bytes: worker.max_body_bytes(),
    };
    let ground = session.ground();
    let model_path = model::needed_path(session)?;
    let runtime = super::database::runtime()?;
    let served = runtime.block_on(serve(session, options, model_path, ground));
    runtime.shutdown_timeout(Duration::from_secs(1));
    served
}

async fn serve(
    session: &Session,
    options: ServerOptions,
    model_path: Option<PathBuf>,
    ground: Ground,
) -> anyhow::Result<ExitCode> {
    let (mut stop, mut at_once) = (Stop::listen()?, Stop::listen()?);
    let starting = service::start_pool(&session.config, model_path.as_deref(), &ground);
    let pool = tokio::select! {
        pool = starting => pool?,
        () = stop.asked() => return Ok(ExitCode::SUCCESS),
    };
    let server = Server::bind(&options, pool.clone(), ground.metrics).await?;
    if options.api_key.is_none() {
        note("no key is set: every user of this machine can use it");
    }
    line(format_args!("ready at http://{}", server.address()));
    let stopping = async {
        stop.asked_but(|| serve::reload(session.clone(), pool.clone())).await;
        note("stopping …");
    };
    let impatient = async {
        at_once.asked().await;
        at_once.asked().await;
    };
    tokio::select! {
        () = server.run(stopping) => {}
        // Somebody does not want to wait.
        () = impatient => tracing::warn!("worker.stop.at_once"),
    }
    // What the disk cache has to write is written.
    tokio::task::spawn_blocking(move || pool.shutdown()).await?;
    Ok(ExitCode::SUCCESS)
}
