//! What moderators stop stays stopped, at once and for everybody.

use dramatis::chat::roll;
use dramatis::domain::{Length, PersonId, SceneId, SceneState};

use super::house::House;
use super::models::tiny;
use super::stage::Shown;

/// Somebody who moderates.
async fn moderator(house: &House) -> PersonId {
    house.db.store.upsert_person(house.guild, "mo", "Mo").await.unwrap().id
}

/// A scene in which a long reply is being written, and held after its first words.
async fn in_mid_reply() -> (House, SceneId) {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    house.chat.set_length(house.guild, scene, Some(Length::Unlimited)).await.unwrap();
    house.run();
    house.stage.hold();
    house.say(scene, "Tell me everything.").await;
    house.stage.wait_for_words(scene).await;
    (house, scene)
}

#[tokio::test]
async fn a_freeze_in_mid_reply_leaves_nothing_and_nothing_is_taken_until_it_thaws() {
    let (house, scene) = in_mid_reply().await;
    let (guild, chat, mo) = (house.guild, house.chat.clone(), moderator(&house).await);
    let case = chat.freeze_scene(guild, scene, mo, "out of hand").await.unwrap();
    house.stage.release();
    house.stage.wait_for(scene, 1, |shown| *shown == Shown::Withdrawn).await;
    assert_eq!(house.speakers(scene).await, ["Ann"]);
    assert!(house.stage.finished(scene).is_empty());

    let (said, dice) = (house.latest(scene).await, roll("1d6", None).unwrap());
    let refused = house.try_say(scene, "Hello?").await.unwrap_err();
    assert!(refused.notice().contains("froze this scene"), "{}", refused.notice());
    for refused in [
        chat.resume_scene(guild, scene).await.unwrap_err(),
        chat.pause_scene(guild, scene).await.unwrap_err(),
        chat.heed_freeze(guild, scene).await.unwrap_err(),
        chat.edit_turn(guild, scene, said.id, "Tell me nothing.").await.unwrap_err(),
        chat.accept_roll(guild, scene, &house.me, "r".into(), &dice).await.unwrap_err(),
    ] {
        assert!(refused.notice().contains("froze this scene"), "{}", refused.notice());
    }
    let kept = house.db.store.get_case(guild, case).await.unwrap().unwrap();
    assert_eq!((kept.kind.as_str(), kept.reason.as_str()), ("freeze", "out of hand"));
    assert_eq!((kept.scene, kept.opened_by), (Some(scene), Some(mo)));

    assert_eq!(chat.unfreeze_scene(guild, scene, mo).await.unwrap(), case + 1);
    assert_eq!(chat.scene(guild, scene).await.unwrap().state, SceneState::Active);
    chat.set_length(guild, scene, None).await.unwrap();
    house.exchange(scene, "And now?").await;
    assert_eq!(house.speakers(scene).await, ["Ann", "Ann", "Mira"]);
}

#[tokio::test]
async fn the_panic_switch_stops_every_scene_of_the_guild_and_no_other() {
    let (house, scene) = in_mid_reply().await;
    let (guild, chat, mo) = (house.guild, house.chat.clone(), moderator(&house).await);
    let (case, scenes) = chat.freeze_guild(guild, mo, "").await.unwrap();
    house.stage.release();
    house.stage.wait_for(scene, 1, |shown| *shown == Shown::Withdrawn).await;
    assert_eq!((case, scenes), (1, 1));
    let refused = house.try_say(scene, "Hello?").await.unwrap_err();
    assert!(refused.notice().contains("stopped all scenes"), "{}", refused.notice());
    // Whatever still asks waits: no lane of the guild is claimed.
    let reply = dramatis::store::Work::REPLY;
    house.db.store.insert_job(guild, scene, None, &reply).await.unwrap();
    assert!(house.db.store.claim_lane().await.unwrap().is_none());
    let other = house.db.store.upsert_guild("test", "elsewhere", "Elsewhere").await.unwrap().id;
    let theirs = house.db.store.get_standing(other, mo).await.unwrap();
    assert!(!theirs.is_guild_frozen, "{theirs:?}");

    assert_eq!(chat.unfreeze_guild(guild, mo).await.unwrap(), Some(2));
    assert_eq!(chat.unfreeze_guild(guild, mo).await.unwrap(), None);
    house.settled(scene).await;
    assert_eq!(house.speakers(scene).await, ["Ann", "Mira"]);
}

#[tokio::test]
async fn whoever_is_blocked_is_neither_heard_nor_remembered() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    let (guild, chat, mo) = (house.guild, house.chat.clone(), moderator(&house).await);
    house.run();
    house.exchange(scene, "The lighthouse is mine.").await;
    assert!(house.preview(scene).await.contains("The lighthouse is mine."));
    let ann = house.db.store.list_participants(guild, scene).await.unwrap()[0].person.id;
    assert_eq!(chat.block_person(guild, ann, true, mo, "spam").await.unwrap(), Some(1));
    assert_eq!(chat.block_person(guild, ann, true, mo, "spam").await.unwrap(), None);
    let refused = house.try_say(scene, "Hello?").await.unwrap_err();
    assert!(refused.notice().contains("not heard"), "{}", refused.notice());
    let dice = roll("1d6", Some("to be heard")).unwrap();
    let refused = chat.accept_roll(guild, scene, &house.me, "r".into(), &dice).await.unwrap_err();
    assert!(refused.notice().contains("not heard"), "{}", refused.notice());
    let prompt = house.preview(scene).await;
    assert!(!prompt.contains("The lighthouse is mine.") && !prompt.contains("Ann"), "{prompt}");
    assert_eq!(house.speakers(scene).await, ["Ann", "Mira"], "the story stays as it is");

    // They may say something to it, once, and to no other's case.
    chat.appeal_case(guild, 1, ann, "It was a misunderstanding.").await.unwrap();
    chat.appeal_case(guild, 1, ann, "Please!").await.unwrap_err();
    chat.appeal_case(guild, 1, mo, "Mine?").await.unwrap_err();
    chat.decide_case(guild, 1, mo, "lifted").await.unwrap();
    chat.decide_case(guild, 1, mo, "again").await.unwrap_err();
    assert_eq!(chat.block_person(guild, ann, false, mo, "").await.unwrap(), Some(2));
    assert!(house.preview(scene).await.contains("The lighthouse is mine."));
    house.say(scene, "Thank you.").await;
}

#[tokio::test]
async fn a_report_pins_its_evidence() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    let (guild, chat) = (house.guild, house.chat.clone());
    house.run();
    let turn = house.exchange(scene, "Say something rude.").await;
    let ann = house.db.store.list_participants(guild, scene).await.unwrap()[0].person.id;
    chat.report_turn(guild, scene, turn.id, ann, "rude").await.unwrap();
    chat.report_turn(guild, scene, turn.id, ann, "very rude").await.unwrap();
    chat.edit_turn(guild, scene, turn.id, "I said nothing.").await.unwrap();
    chat.remove_turn(guild, scene, turn.id).await.unwrap();
    let cases = house.db.store.list_cases(guild, None).await.unwrap();
    let [case] = cases.as_slice() else { panic!("one text, one case: {cases:?}") };
    let evidence = case.evidence.as_ref().unwrap();
    assert_eq!(evidence["text"], turn.swipe.text.as_str());
    assert_eq!(evidence["swipes"].as_array().unwrap().len(), 1);
    assert!(evidence["swipes"][0]["receipt"]["seed"].is_number(), "{evidence}");
    assert_eq!(case.reason, "very rude");
    // Whoever decides the case settles the report.
    let mo = moderator(&house).await;
    assert_eq!(house.db.store.list_reports(guild, true).await.unwrap().len(), 1);
    chat.reject_case(guild, case.number, mo, "taken out").await.unwrap();
    assert!(house.db.store.list_reports(guild, true).await.unwrap().is_empty());
    // And nobody who plays brings it back.
    while chat.undo(guild, scene).await.unwrap().is_some() {}
    while chat.redo(guild, scene).await.unwrap().is_some() {}
    assert_eq!(house.speakers(scene).await, ["Ann"]);
}
