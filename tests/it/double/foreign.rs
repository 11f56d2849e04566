//! Clients that we did not write: discord.js and discord.py log in, register a
//! command, hear and answer people, speak through a webhook and resume. Skipped where
//! they are not installed; see `tests/foreign/README.md`.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tokio::process::Command;

use crate::support::discord::Discord;

/// Interpreters take a while on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[expect(clippy::disallowed_methods, reason = "where software outside the project is")]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn installed(variable: &str) -> Option<String> {
    let found = std::env::var(variable).ok();
    if found.is_none() {
        eprintln!("SKIPPED: {variable} is not set; see tests/foreign/README.md");
    }
    found
}

#[tokio::test]
async fn discord_js_takes_it_for_discord() {
    if installed("DOUBLE_DISCORD_JS").is_some() {
        an_evening_with(Command::new("node"), "discord.mjs").await;
    }
}

#[tokio::test]
async fn discord_py_takes_it_for_discord() {
    if let Some(python) = installed("DOUBLE_DISCORD_PY") {
        an_evening_with(Command::new(python), "discord.py").await;
    }
}

async fn an_evening_with(mut interpreter: Command, script: &str) {
    let discord = Discord::start().await;
    // These libraries mention whom they like, and are not ours to mend.
    discord.limits(|limits| limits.demand_allowed_mentions = false);
    let guild = discord.guild("Skerry");
    let harbour = guild.text_channel("harbour");
    let ann = guild.member("ann");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign").join(script);
    let gateway = discord.lock().world.gateway_url.clone();
    let mut client = interpreter
        .arg(script)
        .env("DISCORD_URL", discord.url())
        .env("DISCORD_GATEWAY", gateway)
        .env("DISCORD_TOKEN", discord.token())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();

    let says = async |name: &str, text: &str| {
        let seen = |world: &crate::support::discord::world::World| {
            world.seen(harbour).iter().any(|one| one.author == name && one.content == text)
        };
        discord.wait_until(PATIENCE, seen).await;
    };
    says("dramatis", "ready").await;
    says("Maren", "The light holds.").await;
    ann.say(harbour, "the tide");
    says("dramatis", "heard the tide").await;
    let pong = ann.command(harbour, "ping", json!({})).await.settled(PATIENCE).await;
    assert_eq!(pong.content, "pong");
    assert!(pong.is_ephemeral);

    discord.gateway().drop_all();
    ann.say(harbour, "a gap");
    says("dramatis", "heard a gap").await;
    assert_eq!(discord.gateway().num_resumes(), 1);
    ann.say(harbour, "bye");
    let ended = tokio::time::timeout(PATIENCE, client.wait()).await.unwrap().unwrap();
    assert!(ended.success(), "{ended}");
    // What the libraries do is theirs; what the double answered is to be in order.
    let violations = discord.take_violations();
    let own: Vec<_> = violations.iter().filter(|one| one.contains("the double's own")).collect();
    assert!(own.is_empty(), "{own:#?}");
}
