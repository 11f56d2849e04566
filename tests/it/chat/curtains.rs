//! Pausing, ending, stopping, and showing anew.

use dramatis::domain::{Length, SceneState};
use dramatis::store::JobState;

use super::house::{House, receipt};
use super::models::tiny;
use super::stage::Shown;

#[tokio::test]
async fn a_paused_scene_keeps_what_is_written_and_answers_when_it_is_resumed() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    let (guild, chat) = (house.guild, house.chat.clone());
    chat.set_length(guild, scene, Some(Length::Unlimited)).await.unwrap();
    house.run();
    house.say(scene, "Tell me everything.").await;
    house.stage.wait_for_words(scene).await;
    chat.pause_scene(guild, scene).await.unwrap();
    house.settled(scene).await;
    let reply = house.latest(scene).await;
    assert_eq!((reply.speaker.name(), receipt(&reply.swipe).finish.as_str()), ("Mira", "aborted"));
    house.say(scene, "Anybody?").await;
    house.settled(scene).await;
    assert_eq!(house.speakers(scene).await, ["Ann", "Mira", "Ann"]);
    chat.set_length(guild, scene, None).await.unwrap();
    chat.resume_scene(guild, scene).await.unwrap();
    house.exchange(scene, "And now?").await;
    assert_eq!(house.speakers(scene).await, ["Ann", "Mira", "Ann", "Ann", "Mira"]);
}

#[tokio::test]
async fn an_ended_scene_is_over_for_good() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    let (guild, chat) = (house.guild, house.chat.clone());
    house.run();
    house.stage.hold();
    house.say(scene, "Tell me everything.").await;
    house.stage.wait_for_words(scene).await;
    chat.end_scene(guild, scene).await.unwrap();
    house.stage.release();
    house.stage.wait_for(scene, 1, |shown| *shown == Shown::Withdrawn).await;
    assert_eq!(house.speakers(scene).await, ["Ann"]);
    assert_eq!(chat.scene(guild, scene).await.unwrap().state, SceneState::Ended);
    for refused in [
        chat.pause_scene(guild, scene).await.unwrap_err(),
        chat.resume_scene(guild, scene).await.unwrap_err(),
        house.try_say(scene, "Hello?").await.unwrap_err(),
    ] {
        assert!(refused.notice().contains("over"), "{refused}");
    }
    assert!(chat.export_scene(guild, scene).await.unwrap().markdown.contains("everything"));
}

#[tokio::test]
async fn stopping_keeps_the_words_so_far_and_calls_off_the_rest() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    let (guild, me, chat) = (house.guild, house.me.person.id, house.chat.clone());
    assert!(!chat.stop(guild, scene).await.unwrap(), "nothing to stop");
    chat.set_length(guild, scene, Some(Length::Unlimited)).await.unwrap();
    house.run();
    house.say(scene, "Tell me everything.").await;
    house.stage.wait_for_words(scene).await;
    let waiting = chat.ask_reply(guild, scene, me, None, None).await.unwrap().job;
    assert!(chat.stop(guild, scene).await.unwrap());
    house.settled(scene).await;
    assert_eq!(receipt(&house.latest(scene).await.swipe).finish, "aborted");
    let job = house.db.store.get_job(guild, waiting).await.unwrap().unwrap();
    assert_eq!(job.state, JobState::Cancelled);
    assert_eq!(house.line(scene).await.len(), 2);

    house.stop().await;
    house.say(scene, "And?").await;
    assert!(chat.stop(guild, scene).await.unwrap(), "what nobody has begun");
    assert!(house.db.store.list_open_jobs(guild, scene).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_scene_is_shown_anew_when_it_is_asked_for_even_while_paused() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    let (guild, chat) = (house.guild, house.chat.clone());
    chat.pause_scene(guild, scene).await.unwrap();
    house.say(scene, "One.").await;
    chat.ask_show(guild, scene).await.unwrap();
    assert!(chat.ask_show(guild, scene).await.unwrap().coalesced);
    house.run();
    house.stage.wait_for(scene, 1, |shown| *shown == Shown::Redrawn).await;
    house.settled(scene).await;
    assert_eq!(house.stage.shown(scene), [Shown::Redrawn]);
    assert_eq!(house.speakers(scene).await, ["Ann"]);
}
