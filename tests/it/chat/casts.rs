//! Several characters in one scene: who answers, in which order, and once each.

use dramatis::domain::{Character, CharacterSheet, SceneId, Speaker};

use super::house::{EXPIRE, House};
use super::models::tiny;

/// A scene with three who speak only when they are spoken to.
async fn three(house: &House) -> (SceneId, Vec<Character>) {
    let mut cast = Vec::new();
    for name in ["Mira", "Bastian", "Tamsin"] {
        let sheet =
            CharacterSheet { name: name.into(), talkativeness: 0.0, ..CharacterSheet::default() };
        cast.push(house.character(sheet).await);
    }
    let scene = house.open_scene(&cast).await.unwrap().id;
    (scene, cast)
}

#[tokio::test]
async fn those_who_are_mentioned_answer_in_order_each_once() {
    let mut house = House::open(tiny()).await;
    let (scene, _) = three(&house).await;
    house.run();
    house.say(scene, "Tamsin, and you, Mira: what now? Tamsin?").await;
    house.settled(scene).await;
    assert_eq!(house.speakers(scene).await, ["Ann", "Tamsin", "Mira"]);
    let line = house.line(scene).await;
    let second = house.prompt_of(&line[2]).await;
    assert!(second.contains("### Response:\nTamsin: "), "the second has heard the first: {second}");
    assert!(second.ends_with("\nMira:"), "{second}");
    let shown: Vec<_> = house
        .stage
        .finished(scene)
        .into_iter()
        .map(|reply| reply.turn.speaker.name().to_owned())
        .collect();
    assert_eq!(shown, ["Tamsin", "Mira"]);
}

#[tokio::test]
async fn a_crash_during_the_first_answer_doubles_no_second() {
    let mut house = House::open(tiny()).await;
    let (scene, _) = three(&house).await;
    house.stage.hold();
    house.run();
    house.say(scene, "Bastian? Mira?").await;
    house.stage.wait_for_words(scene).await;
    house.kill().await;
    house.db.execute(EXPIRE).await;
    house.stage.release();
    house.run();
    house.settled(scene).await;
    assert_eq!(house.speakers(scene).await, ["Ann", "Bastian", "Mira"]);
}

#[tokio::test]
async fn a_crash_between_two_answers_loses_no_second() {
    let mut house = House::open(tiny()).await;
    let (scene, cast) = three(&house).await;
    // One reply at a time is made and held at its first words: the first is let
    // through, the second is cut off.
    house.run_at_most(1);
    house.stage.hold();
    house.say(scene, "Bastian? Mira?").await;
    house.stage.wait_for_words(scene).await;
    let (first, second) = (cast[1].id, cast[0].id);
    house.stage.release();
    house.stage.wait_for(scene, 1, |shown| matches!(shown, super::stage::Shown::Finished(_))).await;
    house.stage.hold();
    house.kill().await;
    house.db.execute(EXPIRE).await;
    house.stage.release();
    house.run();
    house.settled(scene).await;
    let ids: Vec<_> = house
        .line(scene)
        .await
        .into_iter()
        .filter_map(|turn| match turn.speaker {
            Speaker::Character { id, .. } => Some(id),
            Speaker::Person { .. } => None,
        })
        .collect();
    assert_eq!(ids, [first, second]);
}

#[tokio::test]
async fn somebody_always_answers_and_nobody_answers_themselves() {
    let mut house = House::open(tiny()).await;
    let (scene, cast) = three(&house).await;
    house.run();
    house.exchange(scene, "Anybody?").await;
    assert_eq!(house.line(scene).await.len(), 2, "all are silent folk, so one was chosen");
    let (guild, me) = (house.guild, house.me.person.id);
    house.chat.ask_reply(guild, scene, me, None, None).await.unwrap();
    house.settled(scene).await;
    let speakers = house.speakers(scene).await;
    assert_eq!(speakers.len(), 3);
    assert_ne!(speakers[1], speakers[2]);
    house.chat.ask_reply(guild, scene, me, Some(cast[0].id), None).await.unwrap();
    house.settled(scene).await;
    assert_eq!(house.speakers(scene).await[3], "Mira", "whoever is asked by name speaks");
}
