//! The other way to Discord: over TLS, under its own name, with serenity's limiter on,
//! as in production. (Everything else here goes through `discord.api_url`, with that
//! limiter off.)

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dramatis::config::{Config, Environment, LoadOptions, Override};
use dramatis::discord::Connection;
use dramatis::fetch::{FetchOptions, Fetcher};
use dramatis::service::{Ground, Service};
use serde_json::json;

use super::scene::{reply_after, reply_at_end};
use super::serve::PATIENCE;
use crate::support::discord::Discord;
use crate::support::models::small_model;
use crate::support::postgres::TestDatabase;

fn config(discord: &Discord, database: &TestDatabase) -> Config {
    let overrides = [
        "generation.max_tokens.micro=16",
        "engine.kv_cache_mib=128",
        "model.context_tokens=2048",
        "chat.poll_ms=100",
        "discord.stream_edit_ms=500",
    ];
    let (token, url) = (discord.token(), database.url());
    let variables = [
        ("HOME", "/nonexistent"),
        ("DISCORD_TOKEN", token.as_str()),
        ("DRAMATIS_DATABASE__URL", url.as_str()),
    ];
    Config::load(&LoadOptions {
        config_file: None,
        overrides: overrides.map(|text| Override::parse(text).unwrap()).to_vec(),
        environment: Environment::from_pairs(variables),
        working_dir: PathBuf::from("/"),
    })
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_and_with_serenitys_own_limiter_a_scene_is_played() {
    let discord = Discord::start_tls().await;
    let guild = discord.guild("Skerry");
    let harbour = guild.text_channel("harbour");
    let ann = guild.member("ann");
    // Far less than the bot would like, so that the limiter has to wait.
    discord.rate(
        "PATCH /webhooks/{webhook_id}/{webhook_token}/messages/{message_id}",
        2,
        Duration::from_secs(1),
    );
    let database = TestDatabase::fresh().await;
    let config = config(&discord, &database);
    let root = reqwest::Certificate::from_pem(discord.root_certificate_pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder()
        .tls_built_in_root_certs(false)
        .add_root_certificate(root)
        .resolve("discord.com", discord.addr())
        .build()
        .unwrap();
    let ground = Ground {
        fetcher: Fetcher::new(FetchOptions::default()),
        fetch_progress: Arc::new(()),
        on_step: Arc::new(|_| {}),
        metrics: Arc::default(),
    };
    let token = config.discord.token().unwrap().unwrap();
    let metrics = ground.metrics.clone();
    let connection = Connection::open(&config.discord, token, Some(client), metrics).await.unwrap();
    let mut stage = None;
    let set_up = |chat: &_| stage.insert(connection.stage(chat)).clone();
    let service = Service::start(&config, Some(small_model()), set_up, &ground).await.unwrap();
    let bot = connection.listen(&stage.unwrap()).await.unwrap();
    discord.gateway().connected(1, PATIENCE).await;

    let options = json!({ "character": "Tamsin", "length": "micro" });
    ann.command(harbour, "scene start", options).await.settled(PATIENCE).await;
    let newest: String =
        sqlx::query_scalar("SELECT channel FROM scene").fetch_one(&database.pool).await.unwrap();
    let thread = crate::support::discord::ChannelId(newest.parse().unwrap());
    let mut last = reply_at_end(&discord, thread).await.id;
    for words in ["Hello.", "Who else is awake?", "Coffee, then."] {
        ann.say(thread, words);
        last = reply_after(&discord, thread, last).await.id;
    }
    let refused = discord.requests().iter().filter(|entry| entry.status == Some(429)).count();
    assert_eq!(refused, 0, "waiting is cheaper than being refused");

    let farewell = bot.deafen().await;
    service.stop().await;
    farewell.end(Duration::from_secs(10)).await;
}
