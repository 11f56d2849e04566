//! Taking messages: once each, coalesced while a lane waits.

use dramatis::domain::SceneState;
use dramatis::domain::SwipeOrigin;
use dramatis::store::{
    Accepted, Generated, Line, MessageOrigin, NewMessage, QueueLimits, Target, Work,
};

use super::{Stage, stage};
use crate::support::postgres::TestDatabase;

impl Stage {
    fn message(&self, id: &str) -> NewMessage {
        NewMessage {
            external_id: id.into(),
            person: self.person.id,
            name: "Ann".into(),
            text: format!("message {id}"),
            work: Some(Work::REPLY),
            limits: QueueLimits::NONE,
        }
    }
}

#[tokio::test]
async fn a_second_delivery_changes_nothing() {
    let db = TestDatabase::fresh().await;
    let stage = stage(&db.store, "one").await;
    let accept = async || {
        db.store.accept_message(stage.guild, stage.scene.id, &stage.message("1")).await.unwrap()
    };
    let Accepted::New { turn, queued: Some(queued), .. } = accept().await else { panic!() };
    assert!(!queued.coalesced);
    assert_eq!(accept().await, Accepted::Duplicate { turn });
    let line = db.store.list_line(stage.guild, stage.scene.id, Line::default()).await.unwrap();
    assert_eq!(line.len(), 1);
    let jobs = db.store.list_open_jobs(stage.guild, stage.scene.id).await.unwrap();
    assert_eq!((jobs.len(), jobs[0].id, jobs[0].person), (1, queued.job, Some(stage.person.id)));
    let (found, origin) = db.store.get_turn_by_message(stage.guild, "1").await.unwrap().unwrap();
    assert_eq!((found.id, origin), (turn, MessageOrigin::Person));
    let people = db.store.list_participants(stage.guild, stage.scene.id).await.unwrap();
    assert_eq!(people[0].person, stage.person);
}

#[tokio::test]
async fn a_message_delivered_many_times_at_once_is_one_turn() {
    let db = TestDatabase::fresh().await;
    let stage = std::sync::Arc::new(stage(&db.store, "one").await);
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..40 {
        let (store, stage) = (db.store.clone(), stage.clone());
        tasks.spawn(async move {
            let message = stage.message(&(n % 10).to_string());
            store.accept_message(stage.guild, stage.scene.id, &message).await.unwrap()
        });
    }
    let outcomes = tasks.join_all().await;
    let fresh = outcomes.iter().filter(|o| matches!(o, Accepted::New { .. })).count();
    assert_eq!(fresh, 10);
    let line = db.store.list_line(stage.guild, stage.scene.id, Line::default()).await.unwrap();
    assert_eq!(line.len(), 10);
    assert_eq!(db.store.list_open_jobs(stage.guild, stage.scene.id).await.unwrap().len(), 1);
}

#[tokio::test]
async fn messages_coalesce_until_their_reply_is_begun() {
    let db = TestDatabase::fresh().await;
    let stage = stage(&db.store, "one").await;
    let accept = async |id: &str| {
        let taken = db.store.accept_message(stage.guild, stage.scene.id, &stage.message(id)).await;
        match taken.unwrap() {
            Accepted::New { queued: Some(queued), .. } => queued,
            other => panic!("{other:?}"),
        }
    };
    let first = accept("1").await;
    let second = accept("2").await;
    assert_eq!((second.job, second.coalesced), (first.job, true));
    let claim = db.store.claim_lane().await.unwrap().unwrap();
    assert_eq!(claim.job.id, first.job);
    let third = accept("3").await;
    assert!(!third.coalesced, "the reply being made does not know of this message");
    assert_eq!(db.store.claim_lane().await.unwrap(), None, "one at a time in a scene");

    let reply = Generated {
        target: Target::Turn(stage.speaks()),
        text: "Well met.".into(),
        origin: SwipeOrigin::Generated,
        receipt: serde_json::json!({}),
        prompt_ids: Vec::new(),
    };
    db.store.store_generated(&claim, reply).await.unwrap();
    db.store.finish_job(&claim).await.unwrap();
    let claim = db.store.claim_lane().await.unwrap().unwrap();
    assert_eq!(claim.job.id, third.job);
}

#[tokio::test]
async fn a_message_joins_a_reply_whose_worker_is_gone() {
    let db = TestDatabase::fresh().await;
    let stage = stage(&db.store, "one").await;
    let first = stage.message("1");
    db.store.accept_message(stage.guild, stage.scene.id, &first).await.unwrap();
    let claim = db.store.claim_lane().await.unwrap().unwrap();
    db.execute("UPDATE lane SET lease_until = now() - interval '1 ms'").await;
    let second = stage.message("2");
    let taken = db.store.accept_message(stage.guild, stage.scene.id, &second).await.unwrap();
    let Accepted::New { queued: Some(queued), .. } = taken else { panic!() };
    assert_eq!((queued.job, queued.coalesced), (claim.job.id, true));
}

#[tokio::test]
async fn a_paused_scene_keeps_turns_and_answers_none() {
    let db = TestDatabase::fresh().await;
    let stage = stage(&db.store, "one").await;
    let (guild, scene) = (stage.guild, stage.scene.id);
    db.store.accept_message(guild, scene, &stage.message("1")).await.unwrap();
    db.store.set_scene_state(guild, scene, SceneState::Paused).await.unwrap();
    assert_eq!(db.store.claim_lane().await.unwrap(), None);
    let silent = NewMessage { work: None, ..stage.message("2") };
    let taken = db.store.accept_message(guild, scene, &silent).await.unwrap();
    assert!(matches!(taken, Accepted::New { queued: None, .. }));
    db.store.set_scene_state(guild, scene, SceneState::Active).await.unwrap();
    assert!(db.store.claim_lane().await.unwrap().is_some());
}
