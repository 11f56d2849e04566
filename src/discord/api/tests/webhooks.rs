//! Webhooks are found, made once, kept and healed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use serenity::http::LightMethod;
use serenity::model::id::{ApplicationId, ChannelId};

use super::super::transport::{Answer, Request, SendError};
use super::fake::{Desk, answer, cut, refused};
use crate::discord::webhooks::Webhooks;

const CHANNEL: ChannelId = ChannelId::new(10);

fn webhooks() -> Webhooks {
    Webhooks::new(ApplicationId::new(77))
}

fn webhook(id: u64, application: Option<&str>, token: Option<&str>) -> Value {
    json!({ "id": id.to_string(), "application_id": application, "token": token })
}

const LIST: &str = "GET /channels/{channel}/webhooks";
const MAKE: &str = "POST /channels/{channel}/webhooks";

#[tokio::test(start_paused = true)]
async fn the_oldest_of_ours_is_taken_and_kept() {
    let list = json!([
        webhook(9, Some("77"), Some("t9")),
        webhook(3, Some("77"), None),
        webhook(2, Some("1"), Some("t2")),
        webhook(1, None, Some("t1")),
        webhook(5, Some("77"), Some("t5")),
    ]);
    let desk = Desk::new(move |_, _| Ok(answer(200, &list)));
    let webhooks = webhooks();
    for _ in 0..3 {
        let found = webhooks.for_channel(&desk.api, CHANNEL).await.unwrap().unwrap();
        assert_eq!(found.id.get(), 5);
    }
    assert_eq!(desk.requests(), [LIST]);
}

/// Has none at first; those that are made are there.
fn empty() -> impl Fn(&Request, usize) -> Result<Answer, SendError> + Send + Sync {
    let made = AtomicUsize::new(0);
    move |request, _| {
        let number = made.load(Ordering::Relaxed) as u64;
        let all = (1..=number).map(|id| webhook(id, Some("77"), Some("t"))).collect();
        match request.method {
            LightMethod::Get => Ok(answer(200, &Value::Array(all))),
            _ => {
                made.fetch_add(1, Ordering::Relaxed);
                Ok(answer(200, &webhook(number + 1, Some("77"), Some("t"))))
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn two_at_once_make_one() {
    let desk = Desk::new(empty());
    let webhooks = webhooks();
    let both = (0..2).map(|_| webhooks.for_channel(&desk.api, CHANNEL));
    for found in futures_util::future::join_all(both).await {
        assert_eq!(found.unwrap().unwrap().id.get(), 1);
    }
    assert_eq!(desk.requests(), [LIST, MAKE]);
    assert_eq!(desk.seen.lock().unwrap().bodies[1], json!({ "name": "Dramatis" }));
}

#[tokio::test(start_paused = true)]
async fn one_that_may_have_been_made_is_looked_for() {
    let inner = empty();
    let desk = Desk::new(move |request, number| {
        let given = inner(request, number);
        if request.method == LightMethod::Post { Err(cut()) } else { given }
    });
    let found = webhooks().for_channel(&desk.api, CHANNEL).await.unwrap().unwrap();
    assert_eq!(found.id.get(), 1);
    assert_eq!(desk.requests(), [LIST, MAKE, LIST]);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_gone_is_made_anew() {
    let desk = Desk::new(move |request, _| match request.method {
        LightMethod::Get => Ok(answer(200, &json!([]))),
        _ => Ok(answer(200, &webhook(8, Some("77"), Some("t")))),
    });
    let webhooks = webhooks();
    webhooks.for_channel(&desk.api, CHANNEL).await.unwrap().unwrap();
    webhooks.heal(&desk.api, CHANNEL).await.unwrap();
    assert_eq!(desk.requests(), [LIST, MAKE, LIST, MAKE]);
}

#[tokio::test(start_paused = true)]
async fn healing_by_many_and_news_in_between_make_one() {
    let desk = Desk::new(empty());
    let webhooks = webhooks();
    let heal = (0..5).map(|_| webhooks.heal(&desk.api, CHANNEL));
    let news = async {
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_millis(7)).await;
            webhooks.forget(CHANNEL);
            webhooks.for_channel(&desk.api, CHANNEL).await.unwrap().unwrap();
        }
    };
    let (healed, ()) = tokio::join!(futures_util::future::join_all(heal), news);
    assert!(healed.iter().all(|webhook| webhook.as_ref().is_some_and(|of| of.id.get() == 1)));
    let made = desk.requests().iter().filter(|request| *request == MAKE).count();
    assert_eq!(made, 1);
}

#[tokio::test(start_paused = true)]
async fn where_there_can_be_none_nobody_asks_for_a_while() {
    for (step, status, code) in [(0, 403, 50_013), (1, 400, 30_007)] {
        let desk = Desk::new(move |_, number| match number == step {
            false => Ok(answer(200, &json!([]))),
            true => Ok(refused(status, code)),
        });
        let webhooks = webhooks();
        for _ in 0..20 {
            assert!(webhooks.for_channel(&desk.api, CHANNEL).await.unwrap().is_none());
        }
        assert_eq!(desk.requests().len(), step + 1);
        webhooks.forget_refused();
        desk.api.forgive_all();
        // The list is empty, and what is made has no id here: it is looked for again.
        webhooks.for_channel(&desk.api, CHANNEL).await.unwrap_err();
        assert_eq!(desk.requests()[step + 1..], [LIST, MAKE, LIST]);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_may_not_be_used_rests() {
    let desk = Desk::new(empty());
    let webhooks = webhooks();
    webhooks.for_channel(&desk.api, CHANNEL).await.unwrap().unwrap();
    webhooks.refuse(CHANNEL);
    assert!(webhooks.for_channel(&desk.api, CHANNEL).await.unwrap().is_none());
    tokio::time::sleep(Duration::from_secs(601)).await;
    assert!(webhooks.for_channel(&desk.api, CHANNEL).await.unwrap().is_some());
}
