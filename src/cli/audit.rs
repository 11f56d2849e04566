//! `dramatis audit`: what people did, and whether it is as it was written.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Session;
use super::database::runtime;
use super::dataset::find_guild;
use super::output::{line, note, plain};
use crate::domain::Guild;
use crate::store::{AuditEntry, AuditHead, AuditVerdict, Store};

/// What people did: list it, and check that nobody changed it since.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check that no row was edited, removed or put in
    #[command(after_help = VERIFY_HELP)]
    Verify(VerifyArgs),
    /// Print the end of each chain, to be kept elsewhere
    Head(HeadArgs),
    /// List the newest rows
    List(ListArgs),
}

/// What is checked.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// Only this guild, by its id on its platform, or by `terminal` for that of `play`
    #[arg(long, value_name = "ID")]
    guild: Option<String>,
    /// A head that `dramatis audit head` printed earlier for this guild
    #[arg(long, value_name = "ORDINAL:HASH", requires = "guild")]
    head: Option<AuditHead>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Whose heads are printed.
#[derive(Debug, Clone, Args)]
pub struct HeadArgs {
    /// Only this guild
    #[arg(long, value_name = "ID")]
    guild: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What is listed.
#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// Of this guild
    #[arg(long, value_name = "ID")]
    guild: String,
    /// Only rows before the one of this number
    #[arg(long, value_name = "ORDINAL")]
    before: Option<i64>,
    /// At most so many
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const VERIFY_HELP: &str = "\
Every row carries a digest of the row before it. Somebody who may write to the whole
database could make all of them anew: keep what `dramatis audit head` prints where they
cannot reach, and hand it to --head. Exit code 1 says that a chain is broken.";

/// What an operator does about a broken chain.
const ADVICE: &str = "somebody wrote to the database past the service: keep a copy of it as it \
                      is, compare it with a backup, and look at who can log in to it";

pub(super) fn run(session: &Session, command: &AuditCommand) -> anyhow::Result<ExitCode> {
    let options = session.store_options(&session.config.database_dir())?;
    runtime()?.block_on(async {
        let store = Store::open(options).await?;
        let done = match command {
            AuditCommand::Verify(args) => verify(&store, args).await,
            AuditCommand::Head(args) => head(&store, args).await,
            AuditCommand::List(args) => list(&store, args).await,
        };
        store.close().await?;
        done
    })
}

async fn verify(store: &Store, args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let mut verdicts = Vec::new();
    for guild in guilds(store, args.guild.as_deref()).await? {
        let verdict = store.verify_audit(guild.id, args.head).await?;
        if !args.json {
            line(told(&guild, &verdict));
        }
        verdicts.push((guild, verdict));
    }
    if args.json {
        line(serde_json::to_string_pretty(&verdicts.iter().map(verdict_json).collect::<Value>())?);
    }
    let num_broken = verdicts.iter().filter(|(_, verdict)| verdict.fault.is_some()).count();
    if num_broken == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    note(format_args!("{num_broken} of {} chains broken; {ADVICE}", verdicts.len()));
    Ok(ExitCode::FAILURE)
}

fn told(guild: &Guild, verdict: &AuditVerdict) -> String {
    let (name, rows) = (named(guild), verdict.head.ordinal);
    match verdict.fault {
        None => format!("{name}: sound, {rows} rows"),
        Some(fault) => format!("{name}: broken after {rows} sound rows: {fault}"),
    }
}

fn verdict_json((guild, verdict): &(Guild, AuditVerdict)) -> Value {
    json!({
        "guild": guild.external_id,
        "platform": guild.platform,
        "sound": verdict.fault.is_none(),
        "rows": verdict.head.ordinal,
        "head": verdict.head.to_string(),
        "fault": verdict.fault.map(|fault| fault.to_string()),
    })
}

async fn head(store: &Store, args: &HeadArgs) -> anyhow::Result<ExitCode> {
    let mut heads = Vec::new();
    for guild in guilds(store, args.guild.as_deref()).await? {
        let head = store.get_audit_head(guild.id).await?;
        if !args.json {
            line(format_args!("{} {head}", plain(&guild.external_id)));
        }
        heads.push(json!({
            "guild": guild.external_id,
            "platform": guild.platform,
            "head": head.to_string(),
        }));
    }
    if args.json {
        line(serde_json::to_string_pretty(&heads)?);
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(store: &Store, args: &ListArgs) -> anyhow::Result<ExitCode> {
    let guild = find_guild(store, &args.guild).await?;
    let entries = store.list_audit(guild.id, args.before, args.limit).await?;
    if args.json {
        line(serde_json::to_string_pretty(&entries.iter().map(entry_json).collect::<Value>())?);
        return Ok(ExitCode::SUCCESS);
    }
    for entry in &entries {
        let who = entry.person.map_or("-".into(), |person| person.to_string());
        let (at, detail) = (entry.at.format("%F %T"), plain(&entry.detail.to_string()));
        line(format_args!("{:>6} {at} {who:>6} {} {detail}", entry.ordinal, plain(&entry.action)));
    }
    Ok(ExitCode::SUCCESS)
}

fn entry_json(entry: &AuditEntry) -> Value {
    let link = AuditHead { ordinal: entry.ordinal, hash: entry.hash };
    json!({
        "link": link.to_string(),
        "person": entry.person.map(|person| person.0),
        "action": entry.action,
        "detail": entry.detail,
        "at": entry.at,
    })
}

/// Those that are asked for: one, or all.
async fn guilds(store: &Store, wanted: Option<&str>) -> anyhow::Result<Vec<Guild>> {
    match wanted {
        Some(wanted) => Ok(vec![find_guild(store, wanted).await?]),
        None => Ok(store.list_guilds().await?),
    }
}

fn named(guild: &Guild) -> String {
    plain(&format!("{} ({})", guild.external_id, guild.name))
}
