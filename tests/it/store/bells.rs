//! Wake-ups and stops between processes.

use std::time::{Duration, Instant};

use dramatis::store::{Stop, Work};
use sqlx::postgres::PgListener;
use tokio::time::timeout;

use super::{scene, stage};
use crate::support::postgres::TestDatabase;

/// Far more than it takes, far less than any poll or heartbeat that could stand in.
const SOON: Duration = Duration::from_secs(4);
const NEVER: Duration = Duration::from_secs(600);

#[tokio::test]
async fn work_wakes_another_process_also_after_its_connection_was_lost() {
    let db = TestDatabase::fresh().await;
    let stage = stage(&db.store, "one").await;
    let other = db.second_store().await;
    let ask = async || {
        let (guild, scene) = (stage.guild, stage.scene.id);
        db.store.insert_job(guild, scene, None, &Work::REPLY).await.unwrap();
    };
    let woken = async || {
        let waiting = timeout(SOON, other.wait_for_work(NEVER));
        let (woken, ()) = tokio::join!(waiting, ask());
        woken.expect("it is woken");
        db.store.cancel_jobs(stage.guild, stage.scene.id).await.unwrap();
    };
    woken().await;
    let listening = "SELECT count(*) FROM pg_stat_activity
                     WHERE datname = current_database() AND query ILIKE 'LISTEN %'";
    let num_listening =
        async || sqlx::query_scalar::<_, i64>(listening).fetch_one(&db.pool).await.unwrap();
    assert_eq!(num_listening().await, 2, "one connection of each process");
    db.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND query ILIKE 'LISTEN %'",
    )
    .await;
    // What was missed meanwhile is not known: it looks.
    timeout(SOON, other.wait_for_work(NEVER)).await.expect("it is woken");
    while num_listening().await < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    woken().await;
    other.close().await.unwrap();
    assert_eq!(num_listening().await, 1, "a closed store listens no more");
}

#[tokio::test]
async fn a_crowd_of_work_is_announced_a_few_times() {
    let db = TestDatabase::fresh().await;
    let stage = stage(&db.store, "one").await;
    let mut listener = PgListener::connect(&db.url()).await.unwrap();
    listener.listen("dramatis_work").await.unwrap();
    let mut scenes = Vec::new();
    for n in 0..100 {
        scenes.push(scene(&db.store, stage.guild, &stage.character, &n.to_string()).await.id);
    }
    let began = Instant::now();
    for &scene in &scenes {
        db.store.insert_job(stage.guild, scene, None, &Work::REPLY).await.unwrap();
    }
    let mut num_heard = 0;
    while timeout(Duration::from_secs(1), listener.recv()).await.is_ok() {
        num_heard += 1;
    }
    let at_most = began.elapsed().as_millis() / 50 + 1;
    assert!((1..=at_most).contains(&num_heard), "{num_heard} in {:?}", began.elapsed());
    assert!(num_heard < 60, "far fewer than pieces of work: {num_heard}");
}

#[tokio::test]
async fn what_is_called_off_anywhere_is_heard_by_whoever_writes_it() {
    let db = TestDatabase::fresh().await;
    let stage = stage(&db.store, "one").await;
    let (guild, scene) = (stage.guild, stage.scene.id);
    let writer = db.second_store().await;
    let mut stops = writer.stops();
    db.store.insert_job(guild, scene, None, &Work::REPLY).await.unwrap();
    assert!(!db.store.ask_stop(guild, scene).await.unwrap(), "nobody has it");
    db.store.cancel_jobs(guild, scene).await.unwrap();

    db.store.insert_job(guild, scene, None, &Work::REPLY).await.unwrap();
    let held = writer.claim_lane().await.unwrap().unwrap();
    assert!(!writer.ask_stop(guild, scene).await.unwrap(), "it is its own");
    let called = Stop { scene, fence: held.fence };
    assert!(db.store.ask_stop(guild, scene).await.unwrap());
    let mut heard = async || timeout(SOON, stops.recv()).await.expect("it is heard").unwrap();
    assert_eq!(heard().await, called, "what waited only was no reason to call");
    writer.renew_claim(&held).await.unwrap();
    db.store.cancel_jobs(guild, scene).await.unwrap();
    assert_eq!(heard().await, called);

    // The next claim is none of its business.
    db.store.insert_job(guild, scene, None, &Work::REPLY).await.unwrap();
    let next = writer.claim_lane().await.unwrap().unwrap();
    assert!(next.fence > called.fence);
    let turn = db.store.append_turn(guild, scene, &stage.said("x")).await.unwrap().id;
    assert!(db.store.remove_turn(guild, scene, turn).await.unwrap().unwrap().interrupted);
    assert_eq!(heard().await, Stop { scene, fence: next.fence });
}
