//! Lanes: claims, fences, leases, the steps of a job, and fairness.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use dramatis::domain::{GuildId, SwipeOrigin};
use dramatis::store::{Claim, Generated, JobState, Line, StoreError, Target, Work};
use serde_json::json;

use super::{Stage, scene, stage};
use crate::support::postgres::TestDatabase;

const EXPIRE: &str = "UPDATE lane SET lease_until = now() - interval '1 ms'";

impl Stage {
    async fn ask(&self, db: &TestDatabase) {
        let (guild, scene) = (self.guild, self.scene.id);
        db.store.insert_job(guild, scene, Some(self.person.id), &Work::REPLY).await.unwrap();
    }

    fn reply(&self, text: &str) -> Generated {
        Generated {
            target: Target::Turn(self.speaks()),
            text: text.into(),
            origin: SwipeOrigin::Generated,
            receipt: json!({ "seed": 7 }),
            prompt_ids: vec![1, 2, u32::MAX],
        }
    }

    async fn num_turns(&self, db: &TestDatabase) -> usize {
        db.store.list_line(self.guild, self.scene.id, Line::default()).await.unwrap().len()
    }
}

async fn claim(db: &TestDatabase) -> Claim {
    db.store.claim_lane().await.unwrap().expect("a lane is ready")
}

#[tokio::test]
async fn a_job_goes_through_its_steps_once() {
    let db = TestDatabase::fresh().await;
    let stage = stage(&db.store, "one").await;
    stage.ask(&db).await;
    let held = claim(&db).await;
    assert_eq!((held.job.state, held.job.attempts), (JobState::Claimed, 1));
    assert_eq!(held.job.work, Work::REPLY);
    db.store.renew_claim(&held).await.unwrap();
    let early = db.store.begin_sending(&held).await;
    assert!(matches!(early, Err(StoreError::OutOfStep { .. })), "{early:?}");
    let early = db.store.finish_job(&held).await;
    assert!(matches!(early, Err(StoreError::OutOfStep { .. })), "{early:?}");

    let (turn, swipe) = db.store.store_generated(&held, stage.reply("One.")).await.unwrap();
    let again = db.store.store_generated(&held, stage.reply("Two.")).await;
    assert!(matches!(again, Err(StoreError::OutOfStep { .. })), "{again:?}");
    assert_eq!(stage.num_turns(&db).await, 1, "a refused step leaves nothing behind");
    db.store.begin_sending(&held).await.unwrap();
    db.store.finish_job(&held).await.unwrap();
    let job = db.store.get_job(stage.guild, held.job.id).await.unwrap().unwrap();
    assert_eq!((job.state, job.text), (JobState::Sent, Some((turn, swipe))));
    assert!(job.sending_for.is_some());
    let late = db.store.renew_claim(&held).await;
    assert!(matches!(late, Err(StoreError::Fenced)), "{late:?}");
    assert_eq!(db.store.claim_lane().await.unwrap(), None);
    let ids = db.store.get_prompt_ids(stage.guild, turn, swipe).await.unwrap();
    assert_eq!(ids, Some(vec![1, 2, u32::MAX]));
    let turn = db.store.get_turn(stage.guild, turn).await.unwrap().unwrap();
    assert_eq!(turn.swipe.receipt, Some(json!({ "seed": 7 })));
}

#[tokio::test]
async fn no_two_workers_hold_one_scene() {
    let db = TestDatabase::fresh().await;
    let stage = stage(&db.store, "one").await;
    stage.ask(&db).await;
    for n in 1..20 {
        let scene = scene(&db.store, stage.guild, &stage.character, &n.to_string()).await;
        db.store.insert_job(stage.guild, scene.id, None, &Work::REPLY).await.unwrap();
    }
    let other = db.second_store().await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..8 {
        let store = if n % 2 == 0 { db.store.clone() } else { other.clone() };
        tasks.spawn(async move {
            let mut held = Vec::new();
            // A lane that another claim is looking at is skipped: ask again.
            for _ in 0..60 {
                held.extend(store.claim_lane().await.unwrap().map(|claim| claim.scene_id));
            }
            held
        });
    }
    let held: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(held.len(), 20);
    assert_eq!(held.iter().collect::<HashSet<_>>().len(), 20);
}

#[tokio::test]
async fn a_lost_claim_writes_nothing() {
    let db = TestDatabase::fresh().await;
    let stage = stage(&db.store, "one").await;
    stage.ask(&db).await;
    let lost = claim(&db).await;
    assert_eq!(db.store.claim_lane().await.unwrap(), None);
    db.execute(EXPIRE).await;
    let held = claim(&db).await;
    assert_eq!((held.job.id, held.job.attempts), (lost.job.id, 2));
    assert!(held.fence > lost.fence);
    let wait = Duration::from_secs(1);
    let fenced = [
        db.store.renew_claim(&lost).await,
        db.store.store_generated(&lost, stage.reply("Late.")).await.map(drop),
        db.store.begin_sending(&lost).await,
        db.store.finish_job(&lost).await,
        db.store.fail_job(&lost, "late").await,
        db.store.retry_job(&lost, wait, "late").await,
        db.store.release_claim(&lost).await,
    ];
    for refused in fenced {
        assert!(matches!(refused, Err(StoreError::Fenced)), "{refused:?}");
    }
    assert_eq!(stage.num_turns(&db).await, 0);
    db.store.store_generated(&held, stage.reply("In time.")).await.unwrap();
    assert_eq!(stage.num_turns(&db).await, 1);
}

#[tokio::test]
async fn a_late_heartbeat_keeps_a_lane_that_nobody_took() {
    let db = TestDatabase::fresh().await;
    let stage = stage(&db.store, "one").await;
    stage.ask(&db).await;
    let held = claim(&db).await;
    db.execute(EXPIRE).await;
    db.store.renew_claim(&held).await.unwrap();
    assert_eq!(db.store.claim_lane().await.unwrap(), None);
}

#[tokio::test]
async fn whoever_dies_at_a_step_is_succeeded_there() {
    let db = TestDatabase::fresh().await;
    let stage = stage(&db.store, "one").await;
    stage.ask(&db).await;
    claim(&db).await;
    db.execute(EXPIRE).await;

    let held = claim(&db).await;
    assert_eq!(held.job.state, JobState::Claimed);
    let text = db.store.store_generated(&held, stage.reply("Once.")).await.unwrap();
    db.execute(EXPIRE).await;

    let held = claim(&db).await;
    assert_eq!((held.job.state, held.job.text), (JobState::Generated, Some(text)));
    assert_eq!(held.job.attempts, 2, "only attempts at the text are counted");
    let again = db.store.store_generated(&held, stage.reply("Twice.")).await;
    assert!(matches!(again, Err(StoreError::OutOfStep { .. })), "{again:?}");
    db.store.begin_sending(&held).await.unwrap();
    db.execute(EXPIRE).await;

    let held = claim(&db).await;
    assert_eq!((held.job.state, held.job.text), (JobState::Sending, Some(text)));
    assert!(held.job.sending_for.unwrap() < Duration::from_secs(60));
    db.store.finish_job(&held).await.unwrap();
    db.execute("UPDATE lane SET lease_until = NULL").await;
    assert_eq!(db.store.claim_lane().await.unwrap(), None);
    assert_eq!(stage.num_turns(&db).await, 1);
}

#[tokio::test]
async fn a_text_can_be_another_swipe_of_a_turn() {
    let db = TestDatabase::fresh().await;
    let stage = stage(&db.store, "one").await;
    let (guild, scene) = (stage.guild, stage.scene.id);
    let turn = db.store.append_turn(guild, scene, &stage.said("a")).await.unwrap();
    let work = Work::Swipe { turn: turn.id, length: None };
    let first = db.store.insert_job(guild, scene, None, &work).await.unwrap();
    let second = db.store.insert_job(guild, scene, None, &work).await.unwrap();
    assert_eq!((second.job, second.coalesced), (first.job, true), "a button pressed twice");
    let other = db.store.insert_job(guild, scene, None, &Work::REPLY).await.unwrap();
    assert!(!other.coalesced);
    let held = claim(&db).await;
    let generated = Generated { target: Target::Swipe(turn.id), ..stage.reply("b") };
    let (same, swipe) = db.store.store_generated(&held, generated).await.unwrap();
    assert_eq!(same, turn.id);
    let turn = db.store.get_turn(guild, turn.id).await.unwrap().unwrap();
    assert_eq!((turn.swipe.id, turn.swipe.text.as_str(), turn.num_swipes), (swipe, "b", 2));
}

#[tokio::test]
async fn failing_retrying_and_releasing_leave_the_lane_in_order() {
    let db = TestDatabase::fresh().await;
    let stage = stage(&db.store, "one").await;
    stage.ask(&db).await;
    let held = claim(&db).await;
    db.store.release_claim(&held).await.unwrap();
    let held = claim(&db).await;
    assert_eq!(held.job.attempts, 1, "stopping counts as no attempt");

    db.store.retry_job(&held, Duration::from_secs(60), "worker lost").await.unwrap();
    assert_eq!(db.store.claim_lane().await.unwrap(), None);
    let job = db.store.get_job(stage.guild, held.job.id).await.unwrap().unwrap();
    assert_eq!((job.state, job.error.as_deref()), (JobState::Queued, Some("worker lost")));
    db.execute("UPDATE lane SET next_at = now()").await;

    let held = claim(&db).await;
    assert_eq!(held.job.attempts, 2);
    db.store.fail_job(&held, "no model").await.unwrap();
    assert_eq!(db.store.claim_lane().await.unwrap(), None);
    assert!(db.store.list_open_jobs(stage.guild, stage.scene.id).await.unwrap().is_empty());
    stage.ask(&db).await;
    assert!(db.store.claim_lane().await.unwrap().is_some(), "the lane goes on");
}

#[tokio::test]
async fn calling_off_stops_what_has_no_text_yet() {
    let db = TestDatabase::fresh().await;
    let stage = stage(&db.store, "one").await;
    let (guild, scene) = (stage.guild, stage.scene.id);
    stage.ask(&db).await;
    let held = claim(&db).await;
    stage.ask(&db).await;
    assert_eq!(db.store.cancel_jobs(guild, scene).await.unwrap(), 2);
    let late = db.store.store_generated(&held, stage.reply("Late.")).await;
    assert!(matches!(late, Err(StoreError::Fenced)), "{late:?}");
    assert_eq!(db.store.claim_lane().await.unwrap(), None);

    stage.ask(&db).await;
    let held = claim(&db).await;
    db.store.store_generated(&held, stage.reply("Stored.")).await.unwrap();
    stage.ask(&db).await;
    assert_eq!(db.store.cancel_jobs(guild, scene).await.unwrap(), 1);
    db.store.begin_sending(&held).await.unwrap();
    db.store.finish_job(&held).await.unwrap();
    assert_eq!(db.store.claim_lane().await.unwrap(), None);
}

#[tokio::test]
async fn work_wakes_whoever_waits() {
    let db = TestDatabase::fresh().await;
    let stage = stage(&db.store, "one").await;
    let start = std::time::Instant::now();
    let wait = db.store.wait_for_work(Duration::from_secs(60));
    tokio::join!(wait, stage.ask(&db));
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn lanes_of_a_process_that_is_gone_are_ready_at_the_next_start() {
    let db = TestDatabase::fresh().await;
    let stage = stage(&db.store, "one").await;
    stage.ask(&db).await;
    let doomed = db.second_store().await;
    let lost = doomed.claim_lane().await.unwrap().unwrap();
    let third = db.second_store().await;
    assert_eq!(third.claim_lane().await.unwrap(), None, "its process lives");
    doomed.close().await.unwrap();
    let fourth = db.second_store().await;
    let held = fourth.claim_lane().await.unwrap().expect("its process is gone");
    assert_eq!(held.job.id, lost.job.id);
    let refused = third.store_generated(&lost, stage.reply("Late.")).await;
    assert!(matches!(refused, Err(StoreError::Fenced)), "{refused:?}");
}

/// How many of the first `n` claims each guild got, and each person.
async fn serve(db: &TestDatabase, n: usize) -> Vec<Claim> {
    let mut served = Vec::new();
    for _ in 0..n {
        let held = claim(db).await;
        db.store.fail_job(&held, "served").await.unwrap();
        served.push(held);
    }
    served
}

#[tokio::test]
async fn a_busy_guild_does_not_keep_a_quiet_one_waiting() {
    let db = TestDatabase::fresh().await;
    let busy = stage(&db.store, "busy").await;
    for n in 0..100 {
        let scene = scene(&db.store, busy.guild, &busy.character, &n.to_string()).await;
        db.store
            .insert_job(busy.guild, scene.id, Some(busy.person.id), &Work::REPLY)
            .await
            .unwrap();
    }
    serve(&db, 20).await;
    let quiet = stage(&db.store, "quiet").await;
    let elsewhere = scene(&db.store, quiet.guild, &quiet.character, "elsewhere").await;
    quiet.ask(&db).await;
    db.store.insert_job(quiet.guild, elsewhere.id, None, &Work::REPLY).await.unwrap();
    let mut counts: HashMap<GuildId, usize> = HashMap::new();
    for claim in serve(&db, 4).await {
        *counts.entry(claim.guild_id).or_default() += 1;
    }
    assert_eq!(counts[&quiet.guild], 2, "{counts:?}");
    serve(&db, 10).await;

    // Quiet for long, it has saved up nothing: the two take turns.
    for n in 0..10 {
        let scene = scene(&db.store, quiet.guild, &quiet.character, &n.to_string()).await;
        db.store.insert_job(quiet.guild, scene.id, None, &Work::REPLY).await.unwrap();
    }
    let served = serve(&db, 10).await;
    let of_quiet = served.iter().filter(|claim| claim.guild_id == quiet.guild).count();
    assert!((4..=6).contains(&of_quiet), "{of_quiet}");
}

#[tokio::test]
async fn a_busy_person_does_not_keep_their_guild_waiting() {
    let db = TestDatabase::fresh().await;
    let stage = stage(&db.store, "one").await;
    let bob = db.store.upsert_person(stage.guild, "bob", "Bob").await.unwrap();
    for n in 0..50 {
        let scene = scene(&db.store, stage.guild, &stage.character, &n.to_string()).await;
        let person = Some(stage.person.id);
        db.store.insert_job(stage.guild, scene.id, person, &Work::REPLY).await.unwrap();
    }
    serve(&db, 10).await;
    let theirs = scene(&db.store, stage.guild, &stage.character, "bob's").await;
    db.store.insert_job(stage.guild, theirs.id, Some(bob.id), &Work::REPLY).await.unwrap();
    let served = serve(&db, 2).await;
    assert!(served.iter().any(|claim| claim.job.person == Some(bob.id)), "{served:?}");
}
