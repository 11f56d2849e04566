//! What a reply is read for before anybody sees it: another's line, what was said before,
//! a sentence that has no end.

use dramatis::chat::ReplyReceipt;
use dramatis::domain::SceneId;
use dramatis::pool::{Place, Pool, PoolOptions};

use super::house::House;
use super::remote::remote_at;
use super::stage::{PATIENCE, Shown};
use crate::support::script::Script;

const SAID: &str = "Mira wipes the lamp with her sleeve and looks at the grey sea, where a boat \
    with one red sail is fighting its way around the point, as it has done every evening.";
const FRESH: &str = "She puts the kettle on the stove and says nothing for quite some time.";

pub(super) async fn house(script: &Script, settings: &[(&str, &str)]) -> House {
    let place = Place::Remote(remote_at(&script.url()));
    let options = PoolOptions { patience: PATIENCE, ..PoolOptions::new("script", vec![place]) };
    let pool = tokio::task::spawn_blocking(|| Pool::start(options)).await.unwrap().unwrap();
    let usual = [("generation.max_tokens.medium", "320")];
    let settings: Vec<_> = usual.iter().chain(settings).copied().collect();
    let mut house = House::open_with(pool, &settings).await;
    house.run();
    house
}

/// Everything that was shown of a scene's replies while they grew.
pub(super) fn shown(house: &House, scene: SceneId) -> Vec<String> {
    let all = house.stage.shown(scene).into_iter();
    all.filter_map(|shown| if let Shown::Update(text) = shown { Some(text) } else { None })
        .collect()
}

#[tokio::test]
async fn a_reply_never_holds_anothers_line() {
    let script = Script::start(&[
        "A gull cries.\n\n**Ann (softly):** I heard it.\nMira: So did I.",
        "Ann: I will speak for you.",
        "Nothing more is to be seen.",
    ])
    .await;
    let mut house = house(&script, &[]).await;
    let scene = house.scene().await;
    let turn = house.exchange(scene, "What was that?").await;
    assert_eq!(turn.swipe.text, "A gull cries.");
    let receipt = ReplyReceipt::of(&turn.swipe).unwrap();
    assert!(receipt.impersonation_tokens > 0);
    for text in shown(&house, scene) {
        assert!(!text.contains("Ann") && !text.contains('*'), "{text:?}");
    }
    // A reply that is another's from its first word on is no reply: it is asked for again.
    let turn = house.exchange(scene, "And now?").await;
    assert_eq!(turn.swipe.text, "Nothing more is to be seen.");
    assert_eq!(script.asked().len(), 3);
    house.stop().await;
}

#[tokio::test]
async fn what_was_said_before_is_written_anew_before_anybody_sees_it() {
    let again = format!("{SAID} Then she nods.");
    let script = Script::start(&[SAID, &again, FRESH]).await;
    let mut house = house(&script, &[]).await;
    let scene = house.scene().await;
    assert_eq!(house.exchange(scene, "Where is he?").await.swipe.text, SAID);
    let before = house.stage.shown(scene).len();
    let turn = house.exchange(scene, "Will he come?").await;
    assert_eq!(turn.swipe.text, FRESH);
    let seen = &house.stage.shown(scene)[before..];
    for shown in seen {
        if let Shown::Update(text) = shown {
            assert!(FRESH.starts_with(text), "{text:?} was seen");
        }
    }
    assert_eq!(seen.iter().filter(|shown| **shown == Shown::Anew).count(), 1);
    let receipt = ReplyReceipt::of(&turn.swipe).unwrap();
    assert!(receipt.repetition.first_overlap.unwrap() > 0.8, "{:?}", receipt.repetition);
    assert!(receipt.repetition.overlap < 0.1);
    // The receipt tells how what stands was drawn.
    assert!(receipt.sampler.repetition_penalty > 1.2 && receipt.sampler.dry.multiplier > 0.7);
    let asked = script.asked();
    let penalty = |index: usize| asked[index]["rep_pen"].as_f64().unwrap();
    assert!(penalty(2) > penalty(1) + 0.05, "{} and {}", penalty(1), penalty(2));
    assert_ne!(asked[1]["seed"], asked[2]["seed"]);
    house.stop().await;
}

#[tokio::test]
async fn once_is_enough_and_it_can_be_switched_off() {
    // The second try repeats as much: it is not asked for a third time.
    let script = Script::start(&[SAID, SAID, SAID]).await;
    let mut house = house(&script, &[]).await;
    let scene = house.scene().await;
    house.exchange(scene, "Where is he?").await;
    let turn = house.exchange(scene, "Will he come?").await;
    assert_eq!(turn.swipe.text, SAID);
    assert_eq!(script.asked().len(), 3);
    house.stop().await;

    let script = Script::start(&[SAID, SAID]).await;
    let mut house = self::house(&script, &[("generation.repetition.replies", "0")]).await;
    let scene = house.scene().await;
    house.exchange(scene, "Where is he?").await;
    assert_eq!(house.exchange(scene, "Will he come?").await.swipe.text, SAID);
    assert_eq!(script.asked().len(), 2);
    house.stop().await;
}

#[tokio::test]
async fn a_server_that_does_not_end_is_ended_with_its_sentence() {
    let rambling = "One word after another. ".repeat(60);
    let script = Script::start(&[&rambling]).await;
    let mut house = house(&script, &[("generation.lengths.medium", "[8, 20]")]).await;
    let scene = house.scene().await;
    let turn = house.exchange(scene, "Tell me.").await;
    assert!(turn.swipe.text.ends_with("another."), "{:?}", turn.swipe.text);
    let words = turn.swipe.text.split_whitespace().count();
    assert!((8..=20).contains(&words), "{words} words, each a token");
    let receipt = ReplyReceipt::of(&turn.swipe).unwrap();
    assert_eq!(receipt.finish, "sentence");
    assert_eq!(receipt.length_range.unwrap().max_tokens, 20);
    house.stop().await;
}
