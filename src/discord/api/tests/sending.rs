//! What is tried again, what waits, and what is not sent.

use std::sync::Mutex;
use std::time::Duration;

use serde_json::json;
use serenity::model::id::{ApplicationId, ChannelId, GuildId, InteractionId, MessageId};
use tokio::time::{Instant, sleep};

use super::super::error::ApiError;
use super::super::payload::{Mentions, Payload};
use super::super::response::Response;
use super::super::transport::{Answer, Limits, Request, SendError};
use super::fake::{Desk, answer, cut, made, refused, too_many};
use crate::telemetry::metrics::{DISCORD_RATE_LIMITED, DISCORD_REQUESTS};

const CHANNEL: ChannelId = ChannelId::new(10);
const MESSAGE: MessageId = MessageId::new(20);

fn hello() -> Payload {
    Payload::new("Hello", Mentions::NONE).unwrap()
}

/// A limit of five in two seconds, as Discord keeps it.
fn five_in_two_seconds() -> impl Fn(&Request, usize) -> Result<Answer, SendError> {
    let window = Mutex::new((Instant::now(), 0));
    move |_, _| {
        let (now, mut window) = (Instant::now(), window.lock().unwrap());
        if now >= window.0 + Duration::from_secs(2) {
            *window = (now, 0);
        }
        window.1 += 1;
        let reset_after = window.0 + Duration::from_secs(2) - now;
        if window.1 > 5 {
            return Ok(too_many(reset_after.as_secs() + 1, "user"));
        }
        let limits = Limits {
            bucket: Some("abc".into()),
            remaining: Some(5 - window.1),
            reset_after: Some(reset_after),
            ..Limits::default()
        };
        Ok(Answer { limits, ..made() })
    }
}

#[tokio::test(start_paused = true)]
async fn forty_at_once_go_one_by_one_and_none_is_refused() {
    let desk = Desk::new(five_in_two_seconds());
    let start = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..40 {
        let api = desk.api.clone();
        tasks.push(tokio::spawn(async move { api.create_message(CHANNEL, &hello(), None).await }));
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(desk.seen.lock().unwrap().most, 1);
    assert_eq!(desk.requests().len(), 40, "each was sent once");
    assert!(start.elapsed() < Duration::from_millis(14_500), "{:?}", start.elapsed());
    assert_eq!(desk.metrics.counted(DISCORD_REQUESTS, "done"), 40);
}

#[tokio::test(start_paused = true)]
async fn channels_do_not_wait_for_each_other() {
    let desk = Desk::new(|_, _| Ok(made()));
    let payload = hello();
    let sends = (1..=10).map(|id| desk.api.create_message(ChannelId::new(id), &payload, None));
    for sent in futures_util::future::join_all(sends).await {
        sent.unwrap();
    }
    assert_eq!(desk.seen.lock().unwrap().most, 10);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_now_is_waited_for() {
    let desk = Desk::new(|_, number| match number {
        0 => Ok(too_many(7, "user")),
        1 => Ok(too_many(2, "shared")),
        _ => Ok(made()),
    });
    let start = Instant::now();
    desk.api.create_message(CHANNEL, &hello(), None).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 9);
    assert_eq!(desk.metrics.counted(DISCORD_RATE_LIMITED, "user"), 1);
    assert_eq!(desk.metrics.counted(DISCORD_RATE_LIMITED, "shared"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_global_refusal_holds_all_but_callbacks() {
    let desk = Desk::new(|_, number| match number {
        0 => Ok(too_many(5, "global")),
        _ => Ok(made()),
    });
    let start = Instant::now();
    let (api, late) = (desk.api.clone(), desk.api.clone());
    let refused = tokio::spawn(async move { api.create_message(CHANNEL, &hello(), None).await });
    sleep(Duration::from_millis(100)).await;
    let other = tokio::spawn(async move {
        late.create_message(ChannelId::new(99), &hello(), None).await.unwrap();
        start.elapsed()
    });
    sleep(Duration::from_millis(100)).await;
    let id = InteractionId::new(1);
    desk.api.respond(id, "token", &Response::DeferUpdate).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(other.await.unwrap().as_secs(), 5);
    refused.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn too_long_a_wait_is_told_at_once() {
    let desk = Desk::new(|_, _| Ok(too_many(3_600, "user")));
    let start = Instant::now();
    let error = desk.api.create_message(CHANNEL, &hello(), None).await.unwrap_err();
    assert_eq!(error, ApiError::RateLimited { wait: Duration::from_secs(3_600) });
    let error = desk.api.create_message(CHANNEL, &hello(), None).await.unwrap_err();
    assert_eq!(error.kind(), "rate_limited");
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(desk.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_makes_something_new_is_not_tried_again_in_doubt() {
    for doubtful in [Err(cut()), Ok(answer(502, &json!("bad gateway")))] {
        let desk = Desk::new(move |_, _| doubtful.clone());
        let error = desk.api.create_message(CHANNEL, &hello(), Some("d1")).await.unwrap_err();
        assert!(error.may_have_been_applied(), "{error}");
        assert_eq!(desk.requests().len(), 1);
        desk.api.edit_message(CHANNEL, MESSAGE, &hello()).await.unwrap_err();
        assert_eq!(desk.requests().len(), 5, "an edit is the same twice");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_not_sent_is_tried_again() {
    let desk = Desk::new(|_, number| match number {
        0..3 => Err(SendError::NotSent("no connection".into())),
        _ => Ok(made()),
    });
    desk.api.create_message(CHANNEL, &hello(), None).await.unwrap();
    assert_eq!(desk.requests().len(), 4);
    let desk = Desk::new(|_, _| Err(SendError::NotSent("no connection".into())));
    let error = desk.api.create_message(CHANNEL, &hello(), None).await.unwrap_err();
    assert_eq!(error, ApiError::not_sent("no connection"));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_read_was_applied() {
    let desk = Desk::new(|_, _| Ok(answer(200, &json!({ "secret": "words" }))));
    let error = desk.api.create_message(CHANNEL, &hello(), None).await.unwrap_err();
    assert_eq!(error.kind(), "unreadable");
    assert!(error.may_have_been_applied() && !error.to_string().contains("words"));
}

#[tokio::test(start_paused = true)]
async fn one_strange_message_hides_no_page() {
    let page = json!([
        { "id": "5", "channel_id": "2", "author": { "id": "3" }, "content": "b" },
        { "channel_id": "2" },
        { "id": "4", "channel_id": "2", "author": { "id": "3" }, "content": 7 },
    ]);
    let desk = Desk::new(move |_, _| Ok(answer(200, &page)));
    let page = desk.api.messages_after(CHANNEL, MESSAGE, 100).await.unwrap();
    let ids: Vec<u64> = page.iter().map(|message| message.id.get()).collect();
    assert_eq!(ids, [4, 5]);
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_is_deleted() {
    let desk = Desk::new(|_, number| match number {
        0 => Ok(refused(404, 10_008)),
        _ => Ok(answer(204, &json!(null))),
    });
    desk.api.delete_message(CHANNEL, MESSAGE).await.unwrap();
    desk.api.delete_message(CHANNEL, MESSAGE).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_ends_everything() {
    let desk = Desk::new(|_, _| Ok(refused(401, 0)));
    let api = desk.api.clone();
    let closed = tokio::spawn(async move { api.closed().await });
    let error = desk.api.create_message(CHANNEL, &hello(), None).await.unwrap_err();
    assert_eq!(error, ApiError::Unauthorized);
    assert_eq!(closed.await.unwrap(), ApiError::Unauthorized);
    let error = desk.api.typing(CHANNEL).await.unwrap_err();
    assert_eq!(error, ApiError::not_sent("the token is not accepted any more"));
    assert_eq!(desk.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stale_interaction_is_not_a_refused_token() {
    let desk = Desk::new(|_, _| Ok(refused(401, 50_027)));
    let error = desk.api.follow_up(ApplicationId::new(1), "t", &hello(), true).await;
    assert_eq!(error.unwrap_err().kind(), "not_found");
    let error = desk.api.guild(GuildId::new(1)).await.unwrap_err();
    assert_eq!(error.kind(), "not_found", "and not not_sent");
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_refuses_is_asked_once() {
    let desk = Desk::new(|_, _| Ok(refused(403, 50_013)));
    for _ in 0..100 {
        let error = desk.api.create_message(CHANNEL, &hello(), None).await.unwrap_err();
        assert_eq!(error.kind(), "forbidden");
    }
    assert_eq!(desk.requests().len(), 1);
    desk.api.forgive(CHANNEL);
    desk.api.create_message(CHANNEL, &hello(), None).await.unwrap_err();
    assert_eq!(desk.requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_refusals_is_slowed_and_stopped() {
    let desk = Desk::new(|_, _| Ok(refused(403, 20_012)));
    let start = Instant::now();
    for _ in 0..1_000 {
        desk.api.delete_message(CHANNEL, MESSAGE).await.unwrap_err();
    }
    let fast = start.elapsed();
    for _ in 0..1_000 {
        desk.api.delete_message(CHANNEL, MESSAGE).await.unwrap_err();
    }
    let slow = start.elapsed() - fast;
    assert!(slow > 5 * fast, "{fast:?} {slow:?}");
    let api = desk.api.clone();
    let storm = (0..6_000).map(|number| {
        let api = api.clone();
        async move { api.respond(InteractionId::new(number + 1), "t", &Response::Pong).await }
    });
    let sent = futures_util::future::join_all(storm).await;
    assert!(sent.iter().any(|sent| sent.as_ref().is_err_and(|error| error.kind() == "forbidden")));
    let error = desk.api.typing(CHANNEL).await.unwrap_err();
    assert_eq!(error.kind(), "not_sent");
    sleep(Duration::from_secs(606)).await;
    let error = desk.api.typing(CHANNEL).await.unwrap_err();
    assert_eq!(error.kind(), "forbidden", "asked again after ten minutes");
}

#[tokio::test(start_paused = true)]
async fn stopping_makes_nothing_new_and_waits_for_the_rest() {
    let desk = Desk::new(|_, _| Ok(made()));
    let api = desk.api.clone();
    let sent = tokio::spawn(async move { api.create_message(CHANNEL, &hello(), None).await });
    sleep(Duration::from_millis(5)).await;
    assert!(desk.api.close(Duration::from_secs(1)).await);
    assert!(sent.is_finished(), "it waited");
    sent.await.unwrap().unwrap();
    let error = desk.api.create_message(CHANNEL, &hello(), None).await.unwrap_err();
    assert_eq!(error, ApiError::not_sent("the service is stopping"));
    desk.api.edit_message(CHANNEL, MESSAGE, &hello()).await.unwrap();
    desk.api.respond(InteractionId::new(1), "t", &Response::DeferUpdate).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn stopping_does_not_wait_for_ever() {
    let desk = Desk::new(|_, _| Ok(too_many(60, "user")));
    let api = desk.api.clone();
    tokio::spawn(async move { api.edit_message(CHANNEL, MESSAGE, &hello()).await });
    sleep(Duration::from_millis(5)).await;
    assert!(!desk.api.close(Duration::from_secs(1)).await);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_leaves_no_overlap() {
    let desk = Desk::new(|_, _| Ok(made()));
    for _ in 0..5 {
        let payload = hello();
        let sent = desk.api.create_message(CHANNEL, &payload, None);
        assert!(tokio::time::timeout(Duration::from_millis(5), sent).await.is_err());
    }
    desk.api.create_message(CHANNEL, &hello(), None).await.unwrap();
    let seen = desk.seen.lock().unwrap();
    assert_eq!(seen.most, 1);
    // The first was on its way; those behind it had not left.
    assert!(seen.requests.len() <= 3, "{}", seen.requests.len());
}
