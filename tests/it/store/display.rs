//! What a front end finds again: scenes that are live, scenes that are not shown as
//! they stand, and jobs that only show.

use dramatis::domain::{SceneId, SceneState, Speaker, SwipeOrigin};
use dramatis::store::{
    Claim, Generated, JobState, LiveScene, NewBranch, NewMessage, NewScene, NewSwipe, NewTurn,
    QueueLimits, Target, Work,
};
use serde_json::json;

use super::{Stage, scene, stage};
use crate::support::postgres::TestDatabase;

impl Stage {
    async fn is_stale(&self, db: &TestDatabase) -> bool {
        !db.store.list_stale_scenes("test", None, 99).await.unwrap().is_empty()
    }

    /// Whether the scene was stale; it is not afterwards.
    async fn was_stale(&self, db: &TestDatabase) -> bool {
        let stale = self.is_stale(db).await;
        db.store.set_fresh(self.guild, self.scene.id).await.unwrap();
        stale
    }

    async fn ask_show(&self, db: &TestDatabase) {
        db.store.insert_job(self.guild, self.scene.id, None, &Work::Show).await.unwrap();
    }

    async fn ask_reply(&self, db: &TestDatabase) {
        db.store.insert_job(self.guild, self.scene.id, None, &Work::REPLY).await.unwrap();
    }

    fn said_by_model(&self) -> Generated {
        Generated {
            target: Target::Turn(self.speaks()),
            text: "Well.".into(),
            origin: SwipeOrigin::Generated,
            receipt: json!({}),
            prompt_ids: Vec::new(),
        }
    }
}

async fn claim(db: &TestDatabase) -> Claim {
    db.store.claim_lane().await.unwrap().expect("a lane is ready")
}

#[tokio::test]
async fn what_moves_the_line_by_hand_makes_the_scene_stale() {
    let db = TestDatabase::fresh().await;
    let (store, stage) = (&db.store, stage(&db.store, "one").await);
    let (guild, scene) = (stage.guild, stage.scene.id);
    assert!(!stage.is_stale(&db).await, "nothing is there to be shown");
    let turn = store.append_turn(guild, scene, &stage.said("a")).await.unwrap();
    assert!(!stage.is_stale(&db).await, "whoever says something has shown it");
    let edit = NewSwipe { text: "b".into(), origin: SwipeOrigin::Edited, receipt: None };
    store.insert_swipe(guild, scene, turn.id, &edit).await.unwrap();
    assert!(stage.was_stale(&db).await && !stage.is_stale(&db).await);
    store.select_swipe(guild, scene, turn.id, turn.swipe.id).await.unwrap();
    assert!(stage.was_stale(&db).await);
    store.undo(guild, scene).await.unwrap();
    assert!(stage.was_stale(&db).await);
    store.redo(guild, scene).await.unwrap();
    assert!(stage.was_stale(&db).await);
    store.remove_turn(guild, scene, turn.id).await.unwrap().unwrap();
    assert!(stage.was_stale(&db).await);
    store.rewind(guild, scene, None).await.unwrap();
    assert!(stage.was_stale(&db).await);
    store.rewind(guild, scene, None).await.unwrap();
    assert!(!stage.is_stale(&db).await, "no move, no change");

    store.set_stale(guild, scene, true).await.unwrap();
    assert!(stage.was_stale(&db).await);
    let branch = NewBranch { channel: "there".into(), title: "b".into() };
    let branch = store.branch_scene(guild, scene, turn.id, &branch).await.unwrap();
    let stale = store.list_stale_scenes("test", None, 9).await.unwrap();
    assert_eq!(stale.iter().map(|scene| scene.scene).collect::<Vec<_>>(), [branch.id]);
    assert!(store.list_stale_scenes("test", Some(branch.id), 9).await.unwrap().is_empty());
    assert!(store.list_stale_scenes("other", None, 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_scene_that_begins_with_a_greeting_is_stale_until_it_is_shown() {
    let db = TestDatabase::fresh().await;
    let stage = stage(&db.store, "one").await;
    let Speaker::Character { id, name } = stage.speaks() else { panic!() };
    let greeting = NewTurn {
        speaker: Speaker::Character { id, name },
        text: "Come in.".into(),
        origin: SwipeOrigin::Greeting,
        receipt: None,
        alternates: Vec::new(),
    };
    let new = NewScene { channel: "x".into(), greetings: vec![greeting], ..NewScene::default() };
    let begun = db.store.insert_scene(stage.guild, &new).await.unwrap();
    let stale = db.store.list_stale_scenes("test", None, 9).await.unwrap();
    assert_eq!(stale.len(), 1);
    assert_eq!((stale[0].scene, stale[0].channel.as_str()), (begun.id, "x"));
}

#[tokio::test]
async fn a_text_that_is_given_up_leaves_the_scene_stale() {
    let db = TestDatabase::fresh().await;
    let stage = stage(&db.store, "one").await;
    stage.ask_reply(&db).await;
    db.store.fail_job(&claim(&db).await, "no text").await.unwrap();
    assert!(!stage.is_stale(&db).await);
    stage.ask_reply(&db).await;
    let held = claim(&db).await;
    db.store.store_generated(&held, stage.said_by_model()).await.unwrap();
    db.store.fail_job(&held, "not shown").await.unwrap();
    assert!(stage.was_stale(&db).await);
    stage.ask_show(&db).await;
    db.store.fail_job(&claim(&db).await, "not shown").await.unwrap();
    assert!(stage.is_stale(&db).await);
}

#[tokio::test]
async fn a_job_that_shows_ends_without_a_text_and_nobody_calls_it_off() {
    let db = TestDatabase::fresh().await;
    let (store, stage) = (&db.store, stage(&db.store, "one").await);
    let (guild, scene) = (stage.guild, stage.scene.id);
    stage.ask_show(&db).await;
    stage.ask_show(&db).await;
    stage.ask_reply(&db).await;
    assert_eq!(store.list_open_jobs(guild, scene).await.unwrap().len(), 2, "asked for once");
    let held = claim(&db).await;
    assert_eq!(held.job.work, Work::Show);
    assert_eq!(store.cancel_jobs(guild, scene).await.unwrap(), 1);
    store.finish_job(&held).await.unwrap();
    let job = store.get_job(guild, held.job.id).await.unwrap().unwrap();
    assert_eq!((job.state, job.text), (JobState::Sent, None));
    assert!(job.state.is_over() && store.claim_lane().await.unwrap().is_none());
}

#[tokio::test]
async fn waiting_jobs_are_called_off_and_the_begun_one_goes_on() {
    let db = TestDatabase::fresh().await;
    let (store, stage) = (&db.store, stage(&db.store, "one").await);
    let (guild, scene) = (stage.guild, stage.scene.id);
    stage.ask_reply(&db).await;
    let held = claim(&db).await;
    stage.ask_reply(&db).await;
    assert_eq!(store.cancel_waiting_jobs(guild, scene).await.unwrap(), 1);
    store.store_generated(&held, stage.said_by_model()).await.unwrap();
    store.finish_job(&held).await.unwrap();
    assert_eq!(store.claim_lane().await.unwrap(), None);
}

#[tokio::test]
async fn a_paused_scene_shows_and_writes_nothing() {
    let db = TestDatabase::fresh().await;
    let (store, stage) = (&db.store, stage(&db.store, "one").await);
    let (guild, scene) = (stage.guild, stage.scene.id);
    stage.ask_reply(&db).await;
    store.set_scene_state(guild, scene, SceneState::Paused).await.unwrap();
    assert_eq!(store.claim_lane().await.unwrap(), None);
    stage.ask_show(&db).await;
    let held = claim(&db).await;
    assert_eq!(held.job.work, Work::Show);
    store.finish_job(&held).await.unwrap();
    assert_eq!(store.claim_lane().await.unwrap(), None);

    store.set_scene_state(guild, scene, SceneState::Active).await.unwrap();
    let held = claim(&db).await;
    store.store_generated(&held, stage.said_by_model()).await.unwrap();
    store.set_scene_state(guild, scene, SceneState::Ended).await.unwrap();
    store.retry_job(&held, std::time::Duration::ZERO, "not shown").await.unwrap();
    let held = claim(&db).await;
    assert_eq!(held.job.state, JobState::Generated, "what is written is shown");
    store.finish_job(&held).await.unwrap();
}

#[tokio::test]
async fn lanes_of_a_guild_that_we_left_wait_for_our_return() {
    let db = TestDatabase::fresh().await;
    let (store, stage) = (&db.store, stage(&db.store, "one").await);
    stage.ask_reply(&db).await;
    store.set_guild_left(stage.guild, true).await.unwrap();
    store.upsert_guild("test", "one", "Renamed").await.unwrap();
    assert_eq!(store.claim_lane().await.unwrap(), None);
    assert!(store.list_live_scenes("test", None, None, 9).await.unwrap().is_empty());
    store.set_guild_left(stage.guild, false).await.unwrap();
    assert!(store.claim_lane().await.unwrap().is_some());
    assert_eq!(store.list_live_scenes("test", None, None, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn live_scenes_come_page_by_page() {
    let db = TestDatabase::fresh().await;
    let store = &db.store;
    let (one, two) = (stage(store, "one").await, stage(store, "two").await);
    let mut ids = vec![one.scene.id, two.scene.id];
    for n in 0..5 {
        let of = if n % 2 == 0 { &one } else { &two };
        ids.push(scene(store, of.guild, &of.character, &n.to_string()).await.id);
    }
    store.set_scene_state(one.guild, ids.remove(2), SceneState::Ended).await.unwrap();
    store.set_scene_state(two.guild, ids[1], SceneState::Paused).await.unwrap();
    let page = async |guilds: Option<&[String]>, after: Option<SceneId>| {
        store.list_live_scenes("test", guilds, after, 4).await.unwrap()
    };
    let numbers = |page: &[LiveScene]| page.iter().map(|live| live.scene).collect::<Vec<_>>();
    let first = page(None, None).await;
    assert_eq!(numbers(&first), ids[..4]);
    assert_eq!((first[1].state, first[1].external_guild.as_str()), (SceneState::Paused, "two"));
    assert_eq!(numbers(&page(None, Some(ids[3])).await), ids[4..]);
    let only_two = ["two".to_owned(), "three".to_owned()];
    let theirs = page(Some(&only_two), None).await;
    assert!(theirs.len() == 3 && theirs.iter().all(|live| live.guild == two.guild));
    assert!(store.list_live_scenes("other", None, None, 9).await.unwrap().is_empty());
    let known = store.get_guild_by_external("test", "one").await.unwrap().unwrap();
    assert_eq!(known.id, one.guild);
    assert_eq!(store.get_guild_by_external("other", "one").await.unwrap(), None);
}

#[tokio::test]
async fn the_cursor_only_rises_and_messages_raise_it() {
    let db = TestDatabase::fresh().await;
    let (store, stage) = (&db.store, stage(&db.store, "one").await);
    let (guild, scene) = (stage.guild, stage.scene.id);
    let seen = async || store.list_live_scenes("test", None, None, 9).await.unwrap()[0].last_seen;
    assert_eq!(seen().await, None);
    store.raise_cursor(guild, scene, 50).await.unwrap();
    store.raise_cursor(guild, scene, 40).await.unwrap();
    assert_eq!(seen().await, Some(50));
    for (id, expected) in
        [("60", 60), ("55", 60), ("word", 60), ("1300000000000000000", 13e17 as i64)]
    {
        let message = NewMessage {
            external_id: id.into(),
            person: stage.person.id,
            name: "Ann".into(),
            text: "x".into(),
            work: None,
            limits: QueueLimits::NONE,
        };
        store.accept_message(guild, scene, &message).await.unwrap();
        assert_eq!(seen().await, Some(expected), "{id}");
    }
}
