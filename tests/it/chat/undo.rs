//! Taking back, doing again, and stopping a reply.

use dramatis::chat::{SwipeTo, Undone};
use dramatis::domain::{CharacterSheet, Length};
use dramatis::store::JobState;

use super::house::{House, receipt};
use super::models::tiny;
use super::stage::Shown;

#[tokio::test]
async fn exchanges_are_taken_back_and_done_again_as_wholes() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    let guild = house.guild;
    house.run();
    house.exchange(scene, "One.").await;
    let after_one = house.texts(scene).await;
    house.exchange(scene, "Two.").await;
    let after_two = house.texts(scene).await;

    let undo = async || house.chat.undo(guild, scene).await.unwrap();
    let redo = async || house.chat.redo(guild, scene).await.unwrap();
    assert_eq!(undo().await, Some(Undone::Turns(2)));
    assert_eq!(house.texts(scene).await, after_one);
    assert!(!house.preview(scene).await.contains("Two."));
    assert_eq!(undo().await, Some(Undone::Turns(2)));
    assert!(house.line(scene).await.is_empty());
    assert_eq!(undo().await, None);
    assert_eq!(redo().await, Some(Undone::Turns(2)));
    assert_eq!(house.texts(scene).await, after_one);
    assert_eq!(redo().await, Some(Undone::Turns(2)));
    assert_eq!(house.texts(scene).await, after_two);
    assert_eq!(redo().await, None);
}

#[tokio::test]
async fn a_choice_of_text_is_taken_back_by_itself() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    let (guild, me) = (house.guild, house.me.person.id);
    house.run();
    let reply = house.exchange(scene, "One.").await;
    house.chat.ask_swipe(guild, scene, me, reply.id, None).await.unwrap();
    house.settled(scene).await;
    let swiped = house.texts(scene).await;
    house.chat.choose_swipe(guild, scene, reply.id, SwipeTo::Number(1)).await.unwrap();
    house.exchange(scene, "Two.").await;

    let undo = async || house.chat.undo(guild, scene).await.unwrap();
    let redo = async || house.chat.redo(guild, scene).await.unwrap();
    let choice = Some(Undone::Choice(reply.id));
    assert_eq!(undo().await, Some(Undone::Turns(2)));
    assert_eq!(undo().await, choice);
    assert_eq!(house.texts(scene).await, swiped);
    assert_eq!(undo().await, choice);
    assert_eq!(house.latest(scene).await.swipe.ordinal, 0);
    assert_eq!(undo().await, Some(Undone::Turns(2)));
    for done in [Some(Undone::Turns(2)), choice, choice, Some(Undone::Turns(2)), None] {
        assert_eq!(redo().await, done);
    }
    assert_eq!(house.line(scene).await.len(), 4);
    assert_eq!(house.line(scene).await[1].swipe.ordinal, 0);
}

#[tokio::test]
async fn what_is_said_after_an_undo_takes_its_place() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    let guild = house.guild;
    house.run();
    let lost = house.exchange(scene, "One.").await;
    house.chat.undo(guild, scene).await.unwrap();
    house.exchange(scene, "Two.").await;
    assert_eq!(house.chat.redo(guild, scene).await.unwrap(), None);
    let texts = house.texts(scene).await;
    assert_eq!((texts.len(), texts[0].as_str()), (2, "Two."));
    assert!(!house.prompt_of(&house.latest(scene).await).await.contains("One."));
    let kept = house.db.store.get_turn(guild, lost.id).await.unwrap().unwrap();
    assert_eq!(kept.swipe.text, lost.swipe.text, "nothing is overwritten");

    assert_eq!(house.chat.undo(guild, scene).await.unwrap(), Some(Undone::Turns(2)));
    assert_eq!(house.chat.undo(guild, scene).await.unwrap(), None);
    assert_eq!(house.chat.redo(guild, scene).await.unwrap(), Some(Undone::Turns(2)));
    assert_eq!(house.texts(scene).await, texts);
}

#[tokio::test]
async fn a_greeting_stays() {
    let mut house = House::open(tiny()).await;
    let mira = CharacterSheet {
        name: "Mira".into(),
        greeting: "Come in.".into(),
        alternate_greetings: vec!["Stay out.".into()],
        ..CharacterSheet::default()
    };
    let mira = house.character(mira).await;
    let scene = house.open_scene(&[mira]).await.unwrap().id;
    let (guild, me) = (house.guild, house.me.person.id);
    let undo = async || house.chat.undo(guild, scene).await.unwrap();
    assert_eq!(undo().await, None, "nobody but the house said anything");
    let greeting = house.latest(scene).await;
    house.chat.choose_swipe(guild, scene, greeting.id, SwipeTo::Next).await.unwrap();
    assert_eq!(undo().await, Some(Undone::Choice(greeting.id)));
    assert_eq!(house.texts(scene).await, ["Come in."]);
    assert_eq!(undo().await, None);
    assert_eq!(house.texts(scene).await, ["Come in."]);

    house.run();
    house.chat.ask_reply(guild, scene, me, None, None).await.unwrap();
    house.settled(scene).await;
    assert_eq!(house.line(scene).await.len(), 2);
    assert_eq!(house.chat.undo(guild, scene).await.unwrap(), Some(Undone::Turns(1)));
    assert_eq!(house.texts(scene).await, ["Come in."]);
    assert_eq!(house.chat.redo(guild, scene).await.unwrap(), Some(Undone::Turns(1)));
    assert_eq!(house.line(scene).await.len(), 2);
}

#[tokio::test]
async fn a_reply_that_is_stopped_keeps_what_is_written() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    house.chat.set_length(house.guild, scene, Some(Length::Unlimited)).await.unwrap();
    assert!(!house.chat.stop_reply(scene), "none is being written");
    house.run();
    house.say(scene, "Tell me everything.").await;
    house.stage.wait_for(scene, 3, |shown| matches!(shown, Shown::Update(_))).await;
    assert!(house.chat.stop_reply(scene));
    house.settled(scene).await;
    let reply = house.latest(scene).await;
    let receipt = receipt(&reply.swipe);
    assert_eq!(receipt.finish, "aborted");
    let num_tokens = receipt.timings.num_generated_tokens;
    assert!((3..receipt.max_tokens).contains(&num_tokens), "{num_tokens}");
    assert_eq!(house.stage.finished(scene)[0].turn.swipe.text, reply.swipe.text);
    let shown = house.stage.shown(scene);
    let Some(Shown::Update(words)) = shown.get(3) else { panic!("{shown:?}") };
    assert!(reply.swipe.text.starts_with(words.trim_end()), "{words} … {reply:?}");
    assert!(!house.chat.stop_reply(scene));

    house.chat.set_length(house.guild, scene, None).await.unwrap();
    let next = house.exchange(scene, "Go on.").await;
    assert_eq!(next.speaker.name(), "Mira", "the lane goes on");
}

#[tokio::test]
async fn a_reply_to_what_is_taken_back_never_lands() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    let guild = house.guild;
    house.run();
    house.exchange(scene, "One.").await;
    let before = house.texts(scene).await;
    house.stage.hold();
    house.say(scene, "Two.").await;
    house.stage.wait_for(scene, 2, |shown| matches!(shown, Shown::Begin(_))).await;
    let job = house.db.store.list_open_jobs(guild, scene).await.unwrap()[0].id;
    assert_eq!(house.chat.undo(guild, scene).await.unwrap(), Some(Undone::Turns(1)));
    house.stage.release();
    let next = house.exchange(scene, "Three.").await;

    let job = house.db.store.get_job(guild, job).await.unwrap().unwrap();
    assert_eq!((job.state, job.text), (JobState::Cancelled, None));
    let line = house.texts(scene).await;
    assert_eq!(line[..2], before[..]);
    assert_eq!((line.len(), line[2].as_str()), (4, "Three."));
    assert_eq!(house.stage.finished(scene).len(), 2);
    assert!(!house.prompt_of(&next).await.contains("Two."));
    assert_eq!(house.db.store.list_children(guild, scene, None).await.unwrap().len(), 1);
}
