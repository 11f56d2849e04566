//! `dramatis seal`: the keys that texts are sealed with in the database.

use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand};

use super::Session;
use super::database::runtime;
use super::output::{line, note};
use super::progress::Counted;
use crate::store::{Keyring, Sealing, Store};

/// Texts in the database sealed with keys of your own: make a key, take up another.
#[derive(Debug, Subcommand)]
pub enum SealCommand {
    /// Print a new key
    #[command(after_help = KEY_HELP)]
    Key(KeyArgs),
    /// Seal everything with the first key of `privacy.key_file`
    #[command(after_help = ROTATE_HELP)]
    Rotate,
    /// Write everything down so that it can be read without a key
    Open,
}

/// Which key is made.
#[derive(Debug, Clone, Args)]
pub struct KeyArgs {
    /// What it is called: letters, digits, - and _
    #[arg(long, default_value = "1")]
    name: String,
}

const KEY_HELP: &str = "\
To seal: dramatis seal key > /etc/dramatis/keys, readable for the service's user alone, then
privacy.key_file = \"/etc/dramatis/keys\", a restart, and dramatis seal rotate for what is there
already. Keep a copy of the key elsewhere: without it what is sealed is lost.";

const ROTATE_HELP: &str = "\
To take up another key: put a new line (dramatis seal key --name 2) before the others in the
file, restart every process, then run this. Afterwards the old lines can go. Old backups need
the old keys.";

pub(super) fn run(session: &Session, command: &SealCommand) -> anyhow::Result<ExitCode> {
    match command {
        SealCommand::Key(args) => {
            let key = Keyring::new_key(&args.name);
            if Keyring::read(&key).is_err() {
                bail!("“{}” is no name for a key; write letters, digits, - and _", args.name);
            }
            line(key);
        }
        SealCommand::Rotate => reseal(session, Sealing::First)?,
        SealCommand::Open => reseal(session, Sealing::Open)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn reseal(session: &Session, as_wished: Sealing) -> anyhow::Result<()> {
    let options = session.store_options(&session.config.database_dir())?;
    let Some(first) = options.keyring.names().next().map(str::to_owned) else {
        bail!("`privacy.key_file` names no file; `dramatis seal key` makes a key for it");
    };
    let num_texts = runtime()?.block_on(async {
        let store = Store::open(options).await?;
        let done = reseal_all(&store, as_wished).await;
        store.close().await?;
        done
    })?;
    note(match as_wished {
        Sealing::First => {
            format!("{num_texts} texts are sealed with “{first}” now, and all others were")
        }
        Sealing::Open => format!(
            "{num_texts} texts can be read without a key now; take `privacy.key_file` out of the \
             settings before the service starts again"
        ),
    });
    Ok(())
}

async fn reseal_all(store: &Store, as_wished: Sealing) -> anyhow::Result<u64> {
    let guilds = store.list_guilds().await?;
    let shown = Counted::new(guilds.len(), "guilds");
    let mut num_texts = 0;
    for guild in guilds {
        num_texts += store.reseal_guild(guild.id, as_wished).await?;
        shown.advance();
    }
    store.forget_seal_keys(as_wished).await?;
    Ok(num_texts)
}
