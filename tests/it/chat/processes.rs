//! Two processes on one database: one hears people, the other writes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dramatis::chat::{Chat, run_forgetting};
use dramatis::domain::{Length, SceneId};
use dramatis::engine::{DiskCacheOptions, EngineOptions, EngineStats, GenerationRequest};
use dramatis::store::HEARTBEAT;
use tokio::sync::watch;

use super::house::{House, chat_with, receipt};
use super::models::{engine, narrow, start_tiny, start_tiny_from, tiny, write_tiny};
use super::stage::{PATIENCE, Shown};

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

/// Waits until the workers' figures are like that, which they tell at each step.
async fn until(chat: &Chat, wanted: impl Fn(&EngineStats) -> bool) {
    let pool = chat.pool();
    let waiting = async {
        while !wanted(&pool.stats()) {
            let step = GenerationRequest { max_tokens: 1, ..GenerationRequest::new(vec![1]) };
            pool.generate(&pool.model(), step).unwrap().finish().await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("the workers get there in time");
}

/// A long text, so that it fills blocks.
const LONG: &str = "The heron of Velmora sleeps where the river bends, and nobody who saw it told. \
    The heron of Velmora wakes when the bells are rung, and nobody who heard it stayed.";

#[tokio::test]
async fn what_one_process_deletes_all_forget() {
    let mut house = House::open_with(start_tiny(&engine()), &NO_POLL).await;
    let front = chat_with(house.db.second_store().await, tiny(), &NO_POLL);
    let (scene, other) = (house.scene().await, house.scene().await);
    house.run();
    let (_stopping, stopped) = watch::channel(false);
    let forgetting = tokio::spawn(run_forgetting(house.chat.clone(), stopped));
    house.exchange(other, LONG).await;
    let of_other = house.chat.pool().stats().num_cached_blocks;
    assert!(of_other > 0);
    let ben = house.db.store.upsert_person(house.guild, "ben", "Ben").await.unwrap();
    let ben = dramatis::domain::Participant { person: ben, persona: None };
    let me = std::mem::replace(&mut house.me, ben);
    house.exchange(scene, LONG).await;
    assert!(house.chat.pool().stats().num_cached_blocks > of_other);
    let began = Instant::now();
    front.forget_person(house.guild, house.me.person.id).await.unwrap();
    until(&house.chat, |stats| stats.num_cached_blocks == of_other).await;
    let heard = began.elapsed();
    assert!(heard < Duration::from_secs(15), "by the bell, not by looking: {heard:?}");
    // What is another's stays.
    house.me = me;
    let cached = house.exchange(other, "And then?").await;
    assert!(receipt(&cached.swipe).timings.num_cached_tokens > 0);
    house.stop().await;
    forgetting.abort();
}

#[tokio::test]
async fn what_was_deleted_while_a_process_was_away_is_not_on_its_disk_for_long() {
    let dir = tempfile::tempdir().unwrap();
    // One file: another one is another model, of which nothing is found.
    let model = dir.path().join("tiny.gguf");
    write_tiny(&model);
    let disk_cache =
        DiskCacheOptions { dir: dir.path().join("kv"), capacity_bytes: 16 << 20, key: None };
    let engine = EngineOptions { disk_cache: Some(disk_cache), ..engine() };
    let mut house = House::open_with(start_tiny_from(&model, &engine), &NO_POLL).await;
    let scene = house.scene().await;
    house.run();
    house.exchange(scene, LONG).await;
    let on_disk = |stats: &EngineStats| stats.disk_cache.as_ref().unwrap().num_blocks;
    until(&house.chat, |stats| on_disk(stats) > 0).await;
    house.stop().await;
    house.chat.pool().shutdown();

    let front = chat_with(house.db.second_store().await, tiny(), &NO_POLL);
    front.forget_person(house.guild, house.me.person.id).await.unwrap();
    let back = chat_with(house.db.second_store().await, start_tiny_from(&model, &engine), &NO_POLL);
    until(&back, |stats| on_disk(stats) > 0).await;
    let (stopping, stopped) = watch::channel(false);
    let forgetting = tokio::spawn(run_forgetting(back.clone(), stopped));
    until(&back, |stats| on_disk(stats) == 0).await;
    stopping.send_replace(true);
    tokio::time::timeout(PATIENCE, forgetting).await.expect("it stops in time").unwrap();
}
