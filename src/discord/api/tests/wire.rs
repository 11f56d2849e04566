//! Both wirings over real connections.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::{Certificate, Client};
use serenity::model::id::{ApplicationId, ChannelId, GuildId, MessageId};

use super::super::calls::{Api, ApiOptions};
use super::super::payload::{File, Mentions, Payload};
use super::server::{Does, Server, answers, made};
use crate::telemetry::metrics::{DISCORD_RATE_LIMITED, Metrics};

const CHANNEL: ChannelId = ChannelId::new(10);
const MESSAGE: MessageId = MessageId::new(20);

fn hello() -> Payload {
    Payload::new("Hello", Mentions::NONE).unwrap()
}

fn elsewhere(server: &Server) -> Api {
    let options = ApiOptions { base: Some(server.base()), ..ApiOptions::default() };
    Api::new(&"abc.def".into(), &options).unwrap()
}

/// To Discord, which happens to be here.
fn discord(server: &Server, metrics: Arc<Metrics>) -> Api {
    let root = Certificate::from_pem(server.root_pem.as_bytes()).unwrap();
    let client = Client::builder()
        .tls_built_in_root_certs(false)
        .add_root_certificate(root)
        .no_proxy()
        .resolve("discord.com", server.addr)
        .build()
        .unwrap();
    let options = ApiOptions { client: Some(client), metrics, ..ApiOptions::default() };
    Api::new(&"abc.def".into(), &options).unwrap()
}

fn too_many(seconds: &str) -> Does {
    let body = format!(r#"{{"message": "slow", "retry_after": {seconds}, "global": false}}"#);
    let headers = vec![
        ("retry-after", seconds.to_owned()),
        ("x-ratelimit-scope", "user".to_owned()),
        ("x-ratelimit-remaining", "0".to_owned()),
        ("x-ratelimit-reset-after", seconds.to_owned()),
    ];
    Does::Answers(429, headers, body)
}

#[tokio::test]
async fn a_request_is_as_discord_wants_it() {
    let server = Server::start(|_, _| made()).await;
    let api = elsewhere(&server);
    api.create_message(CHANNEL, &hello(), Some("d1")).await.unwrap();
    api.messages_after(CHANNEL, MESSAGE, 200).await.unwrap_err();
    let came = server.came.lock().unwrap();
    assert_eq!(came[0].line, "POST /api/v10/channels/10/messages HTTP/1.1");
    let head = came[0].head.to_ascii_lowercase();
    assert!(head.contains("authorization: bot abc.def"), "{head}");
    assert!(head.contains("user-agent: discordbot ("), "{head}");
    assert!(head.contains("content-type: application/json"), "{head}");
    let body: serde_json::Value = serde_json::from_slice(&came[0].body).unwrap();
    assert_eq!(body["enforce_nonce"], true);
    assert!(came[1].line.contains("messages?&after=20&limit=100 "), "{}", came[1].line);
}

#[tokio::test]
async fn files_go_beside_the_message_in_both_wirings() {
    let file = |name: &str| File { name: name.into(), bytes: b"# Story".to_vec() };
    let payload = hello().with_file(file("story.md")).with_file(file("story.json"));
    let check = |server: &Server| {
        let came = server.came.lock().unwrap();
        let body = String::from_utf8(came[0].body.clone()).unwrap();
        for part in
            ["\"payload_json\"", "\"files[0]\"", "\"files[1]\"", "\"story.json\"", "# Story"]
        {
            assert!(body.contains(part), "{part} in {body}");
        }
        let head = came[0].head.to_ascii_lowercase();
        assert_eq!(head.matches("content-length").count(), 1, "{head}");
        assert!(head.contains("multipart/form-data"), "{head}");
        assert!(head.contains("authorization: bot abc.def"), "{head}");
    };
    let server = Server::start(|_, _| made()).await;
    elsewhere(&server).create_message(CHANNEL, &payload, None).await.unwrap();
    check(&server);
    let server = Server::start_tls(|_, _| made()).await;
    let api = discord(&server, Arc::default());
    api.create_message(CHANNEL, &payload, None).await.unwrap();
    check(&server);
}

#[tokio::test]
async fn a_cut_line_is_doubtful_for_what_is_new_and_tried_again_for_the_rest() {
    for how in [Does::Cuts, Does::CutsBody] {
        let server = Server::start(move |_, number| match number {
            0 | 1 => how.clone(),
            _ => made(),
        })
        .await;
        let api = elsewhere(&server);
        let error = api.create_message(CHANNEL, &hello(), None).await.unwrap_err();
        assert_eq!(error.kind(), "ambiguous", "{error}");
        api.edit_message(CHANNEL, MESSAGE, &hello()).await.unwrap();
        assert_eq!(server.lines().len(), 3);
    }
}

#[tokio::test]
async fn a_closed_port_was_surely_not_reached() {
    let server = Server::start(|_, _| made()).await;
    let addr = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let api = elsewhere(&Server { addr, ..server });
    let error = api.create_message(CHANNEL, &hello(), None).await.unwrap_err();
    assert_eq!(error.kind(), "not_sent", "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_limit_is_waited_for() {
    let server = Server::start(|_, number| match number {
        0 => too_many("0.3"),
        _ => made(),
    })
    .await;
    let start = Instant::now();
    elsewhere(&server).create_message(CHANNEL, &hello(), None).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert_eq!(server.lines().len(), 2);
}

#[tokio::test]
async fn the_way_to_discord_waits_too_and_counts_what_its_limiter_met() {
    let server = Server::start_tls(|_, number| match number {
        0 => too_many("0.3"),
        _ => made(),
    })
    .await;
    let metrics: Arc<Metrics> = Arc::default();
    let api = discord(&server, metrics.clone());
    let start = Instant::now();
    api.create_message(CHANNEL, &hello(), None).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert_eq!(server.lines().len(), 2);
    assert_eq!(metrics.counted(DISCORD_RATE_LIMITED, "user"), 1);
    assert!(server.came.lock().unwrap()[0].head.to_ascii_lowercase().contains("discord.com"));
}

#[tokio::test]
async fn the_way_to_discord_gives_up_a_wait_that_is_too_long() {
    let server = Server::start_tls(|_, _| too_many("3600")).await;
    let api = discord(&server, Arc::default());
    let start = Instant::now();
    for _ in 0..3 {
        let error = api.create_message(CHANNEL, &hello(), None).await.unwrap_err();
        assert_eq!(error.kind(), "rate_limited", "{error}");
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(server.lines().len(), 1, "the others did not ask");
}

#[tokio::test]
async fn the_way_to_discord_never_sends_into_an_empty_bucket() {
    let server = Server::start_tls(|_, number| {
        let headers = vec![
            ("x-ratelimit-bucket", "abc".to_owned()),
            ("x-ratelimit-remaining", (4 - number % 5).to_string()),
            ("x-ratelimit-reset-after", "0.4".to_owned()),
        ];
        let Does::Answers(status, _, body) = made() else { unreachable!("it answers") };
        Does::Answers(status, headers, body)
    })
    .await;
    let api = discord(&server, Arc::default());
    let start = Instant::now();
    let payload = hello();
    let sends = (0..12).map(|_| api.create_message(CHANNEL, &payload, None));
    for sent in futures_util::future::join_all(sends).await {
        sent.unwrap();
    }
    assert!(start.elapsed() >= Duration::from_millis(800), "{:?}", start.elapsed());
    assert_eq!(server.lines().len(), 12);
}

#[tokio::test]
async fn who_we_are_is_two_questions() {
    let server = Server::start(|came, _| match came.line.contains("/users/@me") {
        true => answers(200, r#"{"id": "5", "username": "dramatis", "bot": true}"#),
        false => answers(200, r#"{"id": "4", "name": "Dramatis", "flags": 557056}"#),
    })
    .await;
    let application = elsewhere(&server).current_application().await.unwrap();
    assert_eq!((application.id, application.user.get()), (ApplicationId::new(4), 5));
    assert_eq!((application.flags, application.name.as_str()), (557_056, "dramatis"));
}

#[tokio::test]
async fn a_forum_post_is_a_thread_and_its_message() {
    let server = Server::start(|_, _| {
        let message = r#"{"id": "8", "channel_id": "8", "author": {"id": "3"}}"#;
        answers(201, &format!(r#"{{"id": "8", "type": 11, "message": {message}}}"#))
    })
    .await;
    let tags = [serenity::model::id::ForumTagId::new(6)];
    let begun = elsewhere(&server).create_forum_post(CHANNEL, "Story", &hello(), &tags).await;
    let (channel, message) = begun.unwrap();
    assert!(channel.is_thread());
    assert_eq!(message.id.get(), 8);
    let body = server.came.lock().unwrap()[0].body.clone();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["applied_tags"], serde_json::json!(["6"]));
    assert_eq!(body["message"]["allowed_mentions"]["parse"], serde_json::json!([]));
}

#[tokio::test]
async fn threads_of_a_guild_are_read_one_by_one() {
    let server = Server::start(|_, _| {
        answers(200, r#"{"threads": [{"id": "8", "type": 11}, {"type": 11}], "members": []}"#)
    })
    .await;
    let threads = elsewhere(&server).active_threads(GuildId::new(1)).await.unwrap();
    assert_eq!(threads.len(), 1);
}
