//! Trouble on demand.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;

use super::{Rest, SOON, text};
use crate::support::discord::Discord;
use crate::support::discord::faults::{Fault, Trouble};
use crate::support::discord::rates::Scope;
use crate::support::discord::refusal::Refusal;

const POSTS: &str = "POST /channels/*/messages";

#[tokio::test]
async fn cut_before_is_nothing_and_cut_after_is_done() {
    let discord = Discord::start().await;
    let harbour = discord.guild("Skerry").text_channel("harbour");
    let rest = Rest::new(&discord);
    let path = format!("/channels/{}/messages", harbour.0);
    discord.fault(Fault::on(POSTS, Trouble::CutBefore).containing("lost").times(1));
    discord.fault(Fault::on(POSTS, Trouble::CutAfter).nth(2));
    assert!(rest.send(Method::POST, &path, text("lost")).await.is_err());
    assert!(discord.messages(harbour).is_empty());
    assert!(rest.send(Method::POST, &path, text("done")).await.is_err());
    assert_eq!(discord.messages(harbour)[0].content, "done");
    rest.post(&path, text("fine")).await;
    let requests = discord.requests();
    let said: Vec<(Option<u16>, bool)> =
        requests.iter().map(|entry| (entry.status, entry.applied)).collect();
    assert_eq!(said, [(None, false), (None, true), (Some(200), true)]);
}

#[tokio::test]
async fn every_kind_of_429_and_other_refusals() {
    let discord = Discord::start().await;
    discord.without_rate_limits();
    let harbour = discord.guild("Skerry").text_channel("harbour");
    let rest = Rest::new(&discord);
    let path = format!("/channels/{}/messages", harbour.0);
    let wait = Duration::from_millis(30);
    for scope in [Scope::User, Scope::Shared, Scope::Global, Scope::Cloudflare] {
        discord.fault(Fault::on(POSTS, Trouble::RateLimit(scope, wait)).times(1));
        let response = rest.send(Method::POST, &path, text("x")).await.unwrap();
        assert_eq!(response.status(), 429);
        assert!(response.headers().contains_key("retry-after"));
        let is_global = response.headers().get("x-ratelimit-global").is_some();
        assert_eq!(is_global, scope == Scope::Global);
        let body: Result<Value, _> = response.json().await;
        assert_eq!(body.is_err(), scope == Scope::Cloudflare);
        tokio::time::sleep(wait).await;
    }
    discord.fault(Fault::on(POSTS, Trouble::Refuse(Refusal::of(200_000))).times(1));
    assert_eq!(rest.refused(Method::POST, &path, text("x")).await, 200_000);
    discord.fault(Fault::on("* **", Trouble::ServerError(502)).times(1));
    assert_eq!(rest.call(Method::POST, &path, text("x")).await.0, 502);
    discord.fault(Fault::on(POSTS, Trouble::AppliedServerError(500)).times(1));
    assert_eq!(rest.call(Method::POST, &path, text("shown")).await.0, 500);
    assert_eq!(discord.messages(harbour).len(), 1);
}

#[tokio::test]
async fn a_request_waits_for_the_test() {
    let discord = Discord::start().await;
    let harbour = discord.guild("Skerry").text_channel("harbour");
    let rest = Rest::new(&discord);
    let path = format!("/channels/{}/messages", harbour.0);
    let pause = discord.pause_after(POSTS);
    let test = async {
        let number = pause.reached(SOON).await;
        assert!(discord.requests()[number].applied);
        assert_eq!(discord.messages(harbour).len(), 1);
        pause.release();
    };
    tokio::join!(rest.post(&path, text("seen before it is answered")), test);

    discord.clear_faults();
    discord.fault(Fault::on(POSTS, Trouble::DelayBefore(Duration::from_millis(50))));
    let began = Instant::now();
    rest.post(&path, text("slow")).await;
    assert!(began.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn chance_is_the_same_every_time() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let discord = Discord::start().await;
        discord.without_rate_limits();
        let harbour = discord.guild("Skerry").text_channel("harbour");
        let rest = Rest::new(&discord);
        discord.fault(Fault::on(POSTS, Trouble::ServerError(503)).chance(0.3, 7));
        let mut statuses = Vec::new();
        for n in 0..20 {
            let path = format!("/channels/{}/messages", harbour.0);
            statuses.push(rest.call(Method::POST, &path, text(&n.to_string())).await.0);
        }
        runs.push(statuses);
    }
    assert_eq!(runs[0], runs[1]);
    assert!(runs[0].contains(&503) && runs[0].contains(&200));
}

#[tokio::test]
#[should_panic(expected = "no such path")]
async fn violations_fail_the_test_in_the_end() {
    let discord = Discord::start().await;
    let rest = Rest::new(&discord);
    rest.call(Method::GET, "/no/such/path", Value::Null).await;
}
