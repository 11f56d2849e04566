//! Two processes on one database: one hears people, the other writes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dramatis::chat::Chat;
use dramatis::domain::{Length, SceneId};
use dramatis::store::HEARTBEAT;

use super::house::{House, chat_with, receipt};
use super::models::{narrow, start_tiny, tiny};
use super::stage::Shown;

/// Nobody looks at the queue unasked.
const NO_POLL: [(&str, &str); 1] = [("chat.poll_ms", "60000")];

/// A house that writes, and the chat room of another process.
async fn two_processes() -> (House, Arc<Chat>, SceneId) {
    let mut house = House::open_with(start_tiny(&narrow()), &NO_POLL).await;
    let front = chat_with(house.db.second_store().await, tiny(), &NO_POLL);
    let scene = house.scene().await;
    front.set_length(house.guild, scene, Some(Length::Unlimited)).await.unwrap();
    // Its first look at the queue finds nothing.
    house.run();
    tokio::time::sleep(Duration::from_millis(300)).await;
    (house, front, scene)
}

/// Somebody says something to the other process; gives how long until words came.
async fn say(house: &mut House, front: &Arc<Chat>, scene: SceneId, text: &str) -> Duration {
    let began = Instant::now();
    let chat = std::mem::replace(&mut house.chat, front.clone());
    house.say(scene, text).await;
    house.chat = chat;
    house.stage.wait_for_words(scene).await;
    began.elapsed()
}

#[tokio::test]
async fn work_that_another_process_put_in_is_begun_without_looking() {
    let (mut house, front, scene) = two_processes().await;
    let took = say(&mut house, &front, scene, "Hello.").await;
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[tokio::test]
async fn a_reply_that_is_stopped_or_paused_elsewhere_keeps_its_words() {
    for pauses in [true, false] {
        let (mut house, front, scene) = two_processes().await;
        say(&mut house, &front, scene, "Tell me everything.").await;
        if pauses {
            front.pause_scene(house.guild, scene).await.unwrap();
        } else {
            assert!(front.stop(house.guild, scene).await.unwrap());
        }
        house.settled(scene).await;
        let reply = house.latest(scene).await;
        assert_eq!(reply.speaker.name(), "Mira", "its words stay");
        assert_eq!(receipt(&reply.swipe).finish, "aborted");
    }
}

#[tokio::test]
async fn a_reply_that_is_called_off_elsewhere_frees_its_place_before_the_heartbeat() {
    let (mut house, front, scene) = two_processes().await;
    let took = say(&mut house, &front, scene, "Tell me everything.").await;
    let began = Instant::now();
    front.call_off(house.guild, scene).await.unwrap();
    let engine = house.chat.pool().clone();
    while engine.stats().num_running > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let freed = began.elapsed();
    assert!(took + freed < HEARTBEAT, "{took:?} until it was called off, {freed:?} until it ended");
    house.stage.wait_for(scene, 1, |shown| *shown == Shown::Withdrawn).await;
    assert_eq!(house.speakers(scene).await, ["Ann"]);
    // It did not come to its end by itself.
    let sampled = engine.stats().totals.num_sampled_tokens;
    assert!(sampled < 1_000, "{sampled} tokens");
    #[expect(clippy::print_stdout, reason = "the figure that was measured")]
    {
        println!("a reply called off by another process: its place free after {freed:?}");
    }
}
