//! Going back, branching off, and leaving turns out.

use dramatis::chat::{Answer, Message, SwipeTo, Undone};
use dramatis::domain::{CharacterSheet, Length, SceneState, SwipeOrigin};
use dramatis::store::{Accepted, JobState};

use super::house::{House, receipt};
use super::models::tiny;
use super::stage::Shown;

#[tokio::test]
async fn going_back_is_taken_back_like_anything_else() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    let (guild, chat) = (house.guild, house.chat.clone());
    house.run();
    let first = house.exchange(scene, "One.").await;
    house.exchange(scene, "Two.").await;
    let all = house.texts(scene).await;
    chat.rewind(guild, scene, Some(first.id)).await.unwrap();
    assert_eq!(house.texts(scene).await, all[..2]);
    assert_eq!(chat.undo(guild, scene).await.unwrap(), Some(Undone::Turns(1)));
    assert_eq!(house.texts(scene).await, all);
    chat.rewind(guild, scene, None).await.unwrap();
    assert!(house.line(scene).await.is_empty());
    assert_eq!(chat.latest_reply(guild, scene).await.unwrap(), None);

    let elsewhere = house.scene().await;
    let refused = chat.rewind(guild, elsewhere, Some(first.id)).await.unwrap_err();
    assert!(refused.notice().contains("no such turn"), "{refused}");
}

#[tokio::test]
async fn going_back_calls_off_the_reply_that_is_being_written() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    let (guild, chat) = (house.guild, house.chat.clone());
    house.run();
    let first = house.exchange(scene, "One.").await;
    house.stage.hold();
    house.say(scene, "Two.").await;
    house.stage.wait_for(scene, 2, |shown| matches!(shown, Shown::Begin(_))).await;
    chat.rewind(guild, scene, Some(first.id)).await.unwrap();
    house.stage.release();
    house.settled(scene).await;
    assert_eq!(house.texts(scene).await.len(), 2);
}

#[tokio::test]
async fn a_message_that_is_deleted_takes_the_reply_to_it_along_at_once() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    let (guild, chat) = (house.guild, house.chat.clone());
    chat.set_length(guild, scene, Some(Length::Unlimited)).await.unwrap();
    house.run();
    let Accepted::New { turn, .. } = house.say(scene, "Tell me everything.").await else {
        panic!()
    };
    house.stage.wait_for_words(scene).await;
    let began = std::time::Instant::now();
    assert!(chat.remove_turn(guild, scene, turn).await.unwrap());
    house.stage.wait_for(scene, 1, |shown| *shown == Shown::Withdrawn).await;
    assert!(began.elapsed() < std::time::Duration::from_secs(4), "not by a late heartbeat");
    house.settled(scene).await;
    assert!(house.line(scene).await.is_empty());
    assert!(!chat.remove_turn(guild, scene, turn).await.unwrap());
    assert_eq!(chat.undo(guild, scene).await.unwrap(), Some(Undone::Turns(1)));
    assert_eq!(house.texts(scene).await, ["Tell me everything."]);
}

#[tokio::test]
async fn a_reply_forgets_a_message_that_is_deleted_while_it_is_written() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    let (guild, chat) = (house.guild, house.chat.clone());
    house.say(scene, "The first.").await;
    let Accepted::New { turn, .. } = house.say(scene, "A secret.").await else { panic!() };
    house.stage.hold();
    house.run();
    house.stage.wait_for_words(scene).await;
    assert!(chat.remove_turn(guild, scene, turn).await.unwrap());
    house.stage.release();
    house.settled(scene).await;
    let reply = house.latest(scene).await;
    assert_eq!(house.speakers(scene).await, ["Ann", "Mira"]);
    let prompt = house.prompt_of(&reply).await;
    assert!(prompt.contains("The first.") && !prompt.contains("secret"), "{prompt}");
    assert_eq!(house.stage.finished(scene).len(), 1);
}

#[tokio::test]
async fn an_edit_that_changes_nothing_is_none() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    let (guild, chat) = (house.guild, house.chat.clone());
    house.run();
    house.exchange(scene, "One.").await;
    let mine = house.line(scene).await[0].id;
    let same = chat.edit_turn(guild, scene, mine, " One. ").await.unwrap();
    assert_eq!(same.num_swipes, 1);
    let other = chat.edit_turn(guild, scene, mine, "Two.").await.unwrap();
    assert_eq!((other.num_swipes, other.swipe.origin), (2, SwipeOrigin::Edited));
    let elsewhere = house.scene().await;
    chat.edit_turn(guild, elsewhere, mine, "Two.").await.unwrap_err();
}

#[tokio::test]
async fn the_latest_reply_and_its_receipt_are_found_behind_what_people_said() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    let (guild, chat) = (house.guild, house.chat.clone());
    house.run();
    let reply = house.exchange(scene, "One.").await;
    chat.pause_scene(guild, scene).await.unwrap();
    for n in 0..6 {
        house.say(scene, &format!("Still here, {n}.")).await;
    }
    let found = chat.latest_reply(guild, scene).await.unwrap().unwrap();
    assert_eq!(found.id, reply.id);
    let made = chat.receipt(guild, reply.id).await.unwrap().unwrap();
    assert_eq!(made, receipt(&reply.swipe));
    let mine = house.line(scene).await[0].id;
    assert_eq!(chat.receipt(guild, mine).await.unwrap(), None);
}

#[tokio::test]
async fn a_branch_is_played_on_by_itself() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    let (guild, me, chat) = (house.guild, house.me.person.id, house.chat.clone());
    house.run();
    let first = house.exchange(scene, "One.").await;
    house.exchange(scene, "Two.").await;
    let before = house.texts(scene).await;
    let branch =
        chat.branch_scene(guild, scene, first.id, "aside", " Another\nway ").await.unwrap();
    assert_eq!((branch.title.as_str(), branch.state), ("Another way", SceneState::Active));
    house.exchange(branch.id, "Three.").await;
    let texts = house.texts(branch.id).await;
    assert_eq!((texts.len(), &texts[..2]), (4, &before[..2]));
    let last = house.latest(branch.id).await;
    chat.ask_swipe(guild, branch.id, me, last.id, None).await.unwrap();
    house.settled(branch.id).await;
    chat.choose_swipe(guild, branch.id, last.id, SwipeTo::Previous).await.unwrap();
    assert_eq!(house.texts(scene).await, before);
    assert!(chat.branch_scene(guild, scene, first.id, "aside", "x").await.is_err(), "taken");
    assert!(chat.branch_scene(guild, scene, first.id, "other", " ").await.is_err());
}

#[tokio::test]
async fn a_message_can_say_who_is_to_answer_and_how_long() {
    let mut house = House::open(tiny()).await;
    let silent = |name: &str| CharacterSheet {
        name: name.into(),
        talkativeness: 0.0,
        ..CharacterSheet::default()
    };
    let mira = house.character(silent("Mira")).await;
    let odo = house.character(silent("Odo")).await;
    let cast = [mira, odo.clone()];
    let scene = house.open_scene(&cast).await.unwrap().id;
    house.run();
    let answer = Answer { character: Some(odo.id), length: Some(Length::Tiny) };
    let message = Message {
        guild: house.guild,
        scene,
        author: &house.me,
        external_id: "1".into(),
        text: "Mira, look away.",
        answer: Some(answer),
    };
    let Accepted::New { queued: Some(queued), .. } = house.chat.accept_turn(message).await.unwrap()
    else {
        panic!()
    };
    house.settled(scene).await;
    let job = house.db.store.get_job(house.guild, queued.job).await.unwrap().unwrap();
    assert_eq!(job.state, JobState::Sent);
    let reply = house.latest(scene).await;
    assert_eq!(reply.speaker.name(), "Odo");
    assert_eq!(receipt(&reply.swipe).length, Some(Length::Tiny));
}
