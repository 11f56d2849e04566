//! Our messages: reserved once, never sent again, found by their ids.

use std::collections::{HashMap, HashSet};

use dramatis::domain::{GuildId, JobId, SceneId, SwipeId, SwipeOrigin, TurnId};
use dramatis::store::{
    MessageOrigin, NewPost, NewSwipe, OutboxMessage, OutboxState, PostOwner, PostRoute, Store,
    StoreError, Work,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{Stage, stage};
use crate::support::postgres::TestDatabase;

fn post(owner: PostOwner, part: u32) -> NewPost {
    NewPost { owner, part, channel: "here".into(), route: PostRoute::Bot }
}

impl Stage {
    async fn reserve(&self, store: &Store, owner: PostOwner, part: u32) -> OutboxMessage {
        store.reserve_outbox(self.guild, self.scene.id, &post(owner, part)).await.unwrap()
    }

    async fn job(&self, store: &Store) -> JobId {
        let (guild, scene) = (self.guild, self.scene.id);
        store.insert_job(guild, scene, None, &Work::REPLY).await.unwrap().job
    }

    /// A turn with two texts, the second of which stands.
    async fn two_texts(&self, store: &Store) -> (TurnId, SwipeId, SwipeId) {
        let (guild, scene) = (self.guild, self.scene.id);
        let turn = store.append_turn(guild, scene, &self.said("a")).await.unwrap();
        let edit = NewSwipe { text: "b".into(), origin: SwipeOrigin::Edited, receipt: None };
        let edited = store.insert_swipe(guild, scene, turn.id, &edit).await.unwrap();
        (turn.id, turn.swipe.id, edited.swipe.id)
    }
}

fn missing<T: std::fmt::Debug>(result: Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::NotFound(_))), "{result:?}");
}

#[tokio::test]
async fn a_placeholder_becomes_the_message_of_its_text() {
    let db = TestDatabase::fresh().await;
    let (store, stage) = (&db.store, stage(&db.store, "one").await);
    let (guild, scene) = (stage.guild, stage.scene.id);
    let job = stage.job(store).await;
    let (turn, old, new) = stage.two_texts(store).await;
    let owner = PostOwner::Job(job);
    let made = stage.reserve(store, owner, 0).await;
    assert_eq!((made.job, made.turn, made.state), (Some(job), None, OutboxState::Waiting));
    assert_eq!((made.channel.as_str(), &made.route), ("here", &PostRoute::Bot));
    let elsewhere = NewPost { channel: "there".into(), ..post(owner, 0) };
    let again = store.reserve_outbox(guild, scene, &elsewhere).await.unwrap();
    assert_eq!(again, made, "what is there stays as it is");

    let hook = PostRoute::Webhook("7".into());
    store.set_outbox_route(guild, made.id, &hook).await.unwrap();
    store.begin_outbox(guild, made.id).await.unwrap();
    store.begin_outbox(guild, made.id).await.unwrap();
    let begun = stage.reserve(store, owner, 0).await;
    assert_eq!((begun.state, begun.attempts, &begun.route), (OutboxState::Sending, 2, &hook));
    assert!(begun.sending_for.is_some());
    store.finish_outbox(guild, made.id, "m1").await.unwrap();
    assert_eq!(store.get_turn_by_message(guild, "m1").await.unwrap(), None, "no text yet");

    store.bind_outbox(guild, job, turn, old).await.unwrap();
    let bound = store.get_outbox_by_message(guild, "m1").await.unwrap().unwrap();
    assert_eq!((bound.id, bound.job), (made.id, Some(job)));
    assert_eq!((bound.turn, bound.swipe), (Some(turn), Some(old)));
    let found = store.get_turn_by_message(guild, "m1").await.unwrap().unwrap();
    assert_eq!((found.0.id, found.1), (turn, MessageOrigin::Ours));
    for same in [owner, PostOwner::Turn(turn, new)] {
        assert_eq!(stage.reserve(store, same, 0).await.id, made.id);
    }

    store.set_outbox_shown(guild, made.id, None, true).await.unwrap();
    let listed = store.list_turn_outbox(guild, turn).await.unwrap();
    assert_eq!((listed.len(), listed[0].swipe, listed[0].has_controls), (1, None, true));
    store.set_outbox_shown(guild, made.id, Some(new), false).await.unwrap();
    let shown = store.list_scene_outbox(guild, scene).await.unwrap();
    assert_eq!((shown[0].swipe, shown[0].has_controls), (Some(new), false));
    missing(store.set_outbox_shown(guild, made.id, Some(SwipeId(9999)), false).await);
}

#[tokio::test]
async fn what_was_sent_is_not_sent_again_and_what_is_deleted_stays_known() {
    let db = TestDatabase::fresh().await;
    let (store, stage) = (&db.store, stage(&db.store, "one").await);
    let guild = stage.guild;
    let (turn, _, swipe) = stage.two_texts(store).await;
    let owner = PostOwner::Turn(turn, swipe);
    let (first, second) =
        (stage.reserve(store, owner, 0).await.id, stage.reserve(store, owner, 1).await.id);
    store.finish_outbox(guild, second, "m2").await.unwrap();
    store.finish_outbox(guild, second, "m2").await.unwrap();
    missing(store.finish_outbox(guild, second, "m3").await);
    missing(store.begin_outbox(guild, second).await);
    missing(store.set_outbox_route(guild, second, &PostRoute::Bot).await);
    let parts = store.list_turn_outbox(guild, turn).await.unwrap();
    assert_eq!(parts.iter().map(|part| part.part).collect::<Vec<_>>(), [0, 1]);

    for id in [first, second, second] {
        store.delete_outbox(guild, id).await.unwrap();
    }
    missing(store.begin_outbox(guild, first).await);
    missing(store.finish_outbox(guild, first, "m1").await);
    store.set_outbox_shown(guild, second, None, true).await.unwrap();
    let gone = store.get_outbox_by_message(guild, "m2").await.unwrap().unwrap();
    assert_eq!((gone.state, gone.has_controls), (OutboxState::Deleted, false));
    assert_eq!((gone.turn, gone.swipe), (Some(turn), Some(swipe)));
    assert!(store.list_turn_outbox(guild, turn).await.unwrap().is_empty());
    assert_eq!(store.get_turn_by_message(guild, "m2").await.unwrap(), None);
    let next = stage.reserve(store, owner, 0).await;
    assert_ne!(next.id, first, "another takes its place");
    assert_eq!((next.state, next.attempts), (OutboxState::Waiting, 0));
}

#[tokio::test]
async fn a_part_that_the_turn_has_already_stays_the_jobs() {
    let db = TestDatabase::fresh().await;
    let (store, stage) = (&db.store, stage(&db.store, "one").await);
    let job = stage.job(store).await;
    let (turn, _, swipe) = stage.two_texts(store).await;
    let of_turn = stage.reserve(store, PostOwner::Turn(turn, swipe), 0).await.id;
    let mut of_job = Vec::new();
    for part in [0, 1] {
        of_job.push(stage.reserve(store, PostOwner::Job(job), part).await.id);
    }
    store.bind_outbox(stage.guild, job, turn, swipe).await.unwrap();
    let ids = |rows: Vec<OutboxMessage>| rows.iter().map(|row| row.id).collect::<Vec<_>>();
    let turns = store.list_turn_outbox(stage.guild, turn).await.unwrap();
    assert_eq!(ids(turns), [of_turn, of_job[1]]);
    assert_eq!(ids(store.list_job_outbox(stage.guild, job).await.unwrap()), of_job);
}

#[tokio::test]
async fn many_who_reserve_at_once_get_the_same() {
    let db = TestDatabase::fresh().await;
    let stage = std::sync::Arc::new(stage(&db.store, "one").await);
    let job = stage.job(&db.store).await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..24 {
        let (store, stage) = (db.store.clone(), stage.clone());
        tasks.spawn(async move { stage.reserve(&store, PostOwner::Job(job), n % 3).await.id });
    }
    let ids: HashSet<i64> = tasks.join_all().await.into_iter().collect();
    assert_eq!(ids.len(), 3);
}

/// Something that a front end may do, in any order. Numbers choose among what there
/// is.
#[derive(Debug, Clone)]
enum Step {
    Reserve { owner: usize, part: u32 },
    Bind { job: usize, turn: usize },
    Begin(usize),
    Finish(usize, u8),
    Shown(usize, bool),
    Route(usize),
    Delete(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4usize, 0..3u32).prop_map(|(owner, part)| Step::Reserve { owner, part }),
        1 => (0..2usize, 0..2usize).prop_map(|(job, turn)| Step::Bind { job, turn }),
        2 => (0..8usize).prop_map(Step::Begin),
        2 => (0..8usize, 0..3u8).prop_map(|(row, id)| Step::Finish(row, id)),
        1 => (0..8usize, any::<bool>()).prop_map(|(row, known)| Step::Shown(row, known)),
        1 => (0..8usize).prop_map(Step::Route),
        1 => (0..8usize).prop_map(Step::Delete),
    ]
}

/// Two jobs and two turns of a scene.
struct Ground {
    guild: GuildId,
    scene: SceneId,
    jobs: [JobId; 2],
    turns: [(TurnId, SwipeId); 2],
}

impl Ground {
    async fn new(db: &TestDatabase, stage: &Stage) -> Self {
        db.execute("DELETE FROM outbox; UPDATE job SET state = 'cancelled'").await;
        let store = &db.store;
        let mut turns = Vec::new();
        for text in ["a", "b"] {
            let new = stage.said(text);
            let turn = store.append_turn(stage.guild, stage.scene.id, &new).await.unwrap();
            turns.push((turn.id, turn.swipe.id));
        }
        let first = stage.job(store).await;
        let work = Work::Continue { turn: turns[0].0 };
        let second = store.insert_job(stage.guild, stage.scene.id, None, &work).await.unwrap().job;
        let turns = [turns[0], turns[1]];
        Self { guild: stage.guild, scene: stage.scene.id, jobs: [first, second], turns }
    }

    fn owner(&self, index: usize) -> PostOwner {
        match index {
            0 | 1 => PostOwner::Job(self.jobs[index]),
            _ => {
                let (turn, swipe) = self.turns[index - 2];
                PostOwner::Turn(turn, swipe)
            }
        }
    }

    async fn act(&self, store: &Store, step: &Step, rows: &[OutboxMessage]) {
        let row = |index: usize| rows.get(index % rows.len().max(1)).map(|row| row.id);
        let guild = self.guild;
        // Refused or not: what may not happen is looked for afterwards.
        match *step {
            Step::Reserve { owner, part } => {
                let owner = self.owner(owner);
                let got = store.reserve_outbox(guild, self.scene, &post(owner, part)).await;
                assert_ne!(got.unwrap().state, OutboxState::Deleted);
            }
            Step::Bind { job, turn } => {
                let (turn, swipe) = self.turns[turn];
                store.bind_outbox(guild, self.jobs[job], turn, swipe).await.unwrap();
            }
            Step::Begin(index) => {
                if let Some(id) = row(index) {
                    let _ = store.begin_outbox(guild, id).await;
                }
            }
            Step::Finish(index, external_id) => {
                if let Some(id) = row(index) {
                    let _ = store.finish_outbox(guild, id, &external_id.to_string()).await;
                }
            }
            Step::Shown(index, known) => {
                if let Some(row) = rows.get(index % rows.len().max(1)) {
                    let swipe = row.swipe.filter(|_| known);
                    store.set_outbox_shown(guild, row.id, swipe, known).await.unwrap();
                }
            }
            Step::Route(index) => {
                if let Some(id) = row(index) {
                    let route = PostRoute::Webhook("9".into());
                    let _ = store.set_outbox_route(guild, id, &route).await;
                }
            }
            Step::Delete(index) => {
                if let Some(id) = row(index) {
                    store.delete_outbox(guild, id).await.unwrap();
                }
            }
        }
    }

    async fn rows(&self, db: &TestDatabase) -> Vec<OutboxMessage> {
        let ids: Vec<i64> =
            sqlx::query_scalar("SELECT id FROM outbox WHERE guild_id = $1 ORDER BY id")
                .bind(self.guild.0)
                .fetch_all(&db.pool)
                .await
                .unwrap();
        let mut rows = Vec::new();
        for id in ids {
            rows.push(db.store.get_outbox(self.guild, id).await.unwrap().unwrap());
        }
        rows
    }
}

/// What must hold between two looks at the outbox.
fn check(before: &[OutboxMessage], after: &[OutboxMessage]) -> Result<(), TestCaseError> {
    let earlier: HashMap<i64, &OutboxMessage> = before.iter().map(|row| (row.id, row)).collect();
    for row in after {
        let Some(was) = earlier.get(&row.id) else { continue };
        prop_assert!(was.state <= row.state, "back from {:?} to {:?}", was.state, row.state);
        prop_assert!(was.external_id.is_none() || was.external_id == row.external_id);
        prop_assert!(was.attempts <= row.attempts);
        if was.state >= OutboxState::Sent {
            prop_assert_eq!(was.attempts, row.attempts);
            prop_assert_eq!(&was.route, &row.route);
        }
        prop_assert_eq!((was.job, was.part), (row.job, row.part));
    }
    prop_assert!(after.len() >= before.len(), "no row is lost");
    let live: Vec<_> = after.iter().filter(|row| row.state != OutboxState::Deleted).collect();
    let mut places = HashSet::new();
    for row in &live {
        if let Some(job) = row.job {
            prop_assert!(places.insert((Some(job), None, row.part)), "twice in {job}");
        }
        if let Some(turn) = row.turn {
            prop_assert!(places.insert((None, Some(turn), row.part)), "twice in {turn}");
        }
    }
    Ok(())
}

#[test]
fn no_message_goes_back_a_step_and_none_stands_twice() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let db = runtime.block_on(TestDatabase::fresh());
    let stage = runtime.block_on(stage(&db.store, "one"));
    let config = Config { cases: 60, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&prop::collection::vec(step(), 1..30), |steps| {
            runtime.block_on(async {
                let ground = Ground::new(&db, &stage).await;
                let mut before = Vec::new();
                for step in &steps {
                    ground.act(&db.store, step, &before).await;
                    let after = ground.rows(&db).await;
                    check(&before, &after)?;
                    before = after;
                }
                Ok(())
            })
        })
        .unwrap();
    runtime.block_on(async { drop(db) });
}
