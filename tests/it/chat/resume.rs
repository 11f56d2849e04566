//! A crash at every step of a reply: whoever starts next goes on from there.

use std::time::{Duration, Instant};

use dramatis::chat::{SwipeTo, run_jobs};
use dramatis::domain::{SceneId, Speaker, SwipeOrigin};
use dramatis::store::{Claim, Generated, JobState, LEASE, Target};
use serde_json::json;

use super::house::{EXPIRE, House, chat};
use super::models::tiny;
use super::stage::{PATIENCE, Shown, TestStage};

const STORED: &str = "Stored before the crash.";

/// How far a reply has come when its process dies.
#[derive(Debug, Clone, Copy)]
enum Step {
    Claimed,
    Generated,
    Sending,
}

/// Brings a scene's job to a step, by hand.
async fn bring_to(house: &House, scene: SceneId, step: Step) -> Claim {
    let store = house.chat.store();
    let claim = store.claim_lane().await.unwrap().expect("the lane is ready");
    assert_eq!(claim.scene_id, scene);
    if matches!(step, Step::Claimed) {
        return claim;
    }
    let mira = store.list_cast(house.guild, scene).await.unwrap().remove(0).character;
    let generated = Generated {
        target: Target::Turn(Speaker::Character { id: mira.id, name: "Mira".into() }),
        text: STORED.into(),
        origin: SwipeOrigin::Generated,
        receipt: json!({}),
        prompt_ids: vec![1],
    };
    store.store_generated(&claim, generated).await.unwrap();
    if matches!(step, Step::Sending) {
        store.begin_sending(&claim).await.unwrap();
    }
    claim
}

/// How many processes the database knows to be alive.
async fn num_processes(house: &House) -> i64 {
    let alive = "SELECT count(*) FROM pg_locks
                 WHERE locktype = 'advisory' AND objsubid = 2 AND database = (
                    SELECT oid FROM pg_database WHERE datname = current_database())";
    sqlx::query_scalar(alive).fetch_one(&house.db.pool).await.unwrap()
}

/// The reply was finished once, from the step it had reached.
async fn assert_finished_once(house: &House, scene: SceneId, claim: &Claim, step: Step) {
    let job = house.db.store.get_job(house.guild, claim.job.id).await.unwrap().unwrap();
    assert_eq!(job.state, JobState::Sent, "{step:?}");
    assert_eq!(house.speakers(scene).await, ["Ann", "Mira"], "{step:?}");
    let finished = house.stage.finished(scene);
    assert_eq!(finished.len(), 1, "{step:?}: {finished:?}");
    assert_eq!(
        (finished[0].job, &finished[0].turn.swipe.text),
        (claim.job.id, &house.latest(scene).await.swipe.text)
    );
    let began = house.stage.shown(scene).iter().any(|shown| matches!(shown, Shown::Begin(_)));
    match step {
        Step::Claimed => assert!(began && finished[0].turn.swipe.text != STORED),
        _ => assert!(!began && finished[0].turn.swipe.text == STORED, "{step:?}: generated again"),
    }
    let late = house.db.store.renew_claim(claim).await;
    assert!(late.is_err(), "{step:?}: the dead hold nothing");
}

#[tokio::test]
async fn a_silent_worker_is_succeeded_at_every_step() {
    for step in [Step::Claimed, Step::Generated, Step::Sending] {
        let mut house = House::open(tiny()).await;
        let scene = house.scene().await;
        house.say(scene, "Hello.").await;
        let claim = bring_to(&house, scene, step).await;
        house.run();
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(house.stage.shown(scene).is_empty(), "{step:?}: its lease still holds");
        house.db.execute(EXPIRE).await;
        house.settled(scene).await;
        assert_finished_once(&house, scene, &claim, step).await;
    }
}

#[tokio::test]
async fn a_dead_process_is_succeeded_at_once_at_every_step() {
    for step in [Step::Claimed, Step::Generated, Step::Sending] {
        let mut house = House::open(tiny()).await;
        house.chat = chat(house.db.second_store().await, tiny());
        let scene = house.scene().await;
        house.say(scene, "Hello.").await;
        let claim = bring_to(&house, scene, step).await;
        let num_alive = num_processes(&house).await;
        house.chat = chat(house.db.store.clone(), tiny());
        while num_processes(&house).await == num_alive {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }

        house.chat = chat(house.db.second_store().await, tiny());
        let started = Instant::now();
        house.run();
        house.settled(scene).await;
        assert!(started.elapsed() < LEASE, "{step:?}: nobody waits for the lease of the dead");
        assert_finished_once(&house, scene, &claim, step).await;
    }
}

#[tokio::test]
async fn a_reply_cut_off_in_the_middle_comes_out_the_same() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    house.stage.hold();
    house.run();
    house.say(scene, "Hello.").await;
    house.stage.wait_for_words(scene).await;
    house.kill().await;
    let shown = house.stage.shown(scene);
    let Some(Shown::Update(begun)) = shown.last() else { panic!("{shown:?}") };
    assert_eq!(house.line(scene).await.len(), 1, "half a reply is none");

    house.stage = TestStage::new();
    house.db.execute(EXPIRE).await;
    house.run();
    house.settled(scene).await;
    let reply = house.latest(scene).await;
    assert!(reply.swipe.text.starts_with(begun.trim_end()), "{begun} … {}", reply.swipe.text);
    assert_eq!(house.speakers(scene).await, ["Ann", "Mira"]);
}

#[tokio::test]
async fn a_stop_in_order_gives_the_reply_back_untouched() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    house.stage.hold();
    house.run();
    house.say(scene, "Hello.").await;
    house.stage.wait_for_words(scene).await;
    let job = house.db.store.list_open_jobs(house.guild, scene).await.unwrap()[0].id;
    let shown = house.stage.shown(scene);
    let Some(Shown::Update(begun)) = shown.last() else { panic!("{shown:?}") };
    house.stage.release();
    house.stop().await;
    let job = house.db.store.get_job(house.guild, job).await.unwrap().unwrap();
    assert_eq!((job.state, job.attempts), (JobState::Queued, 0));
    assert_eq!(house.line(scene).await.len(), 1);
    assert!(house.stage.finished(scene).is_empty() && house.stage.notices(scene).is_empty());

    house.run();
    house.settled(scene).await;
    let reply = house.latest(scene).await;
    assert!(reply.swipe.text.starts_with(begun.trim_end()), "{begun} … {}", reply.swipe.text);
    assert_eq!(house.speakers(scene).await, ["Ann", "Mira"]);
}

#[tokio::test]
async fn jobs_that_nobody_can_stop_any_more_stop_by_themselves() {
    let house = House::open(tiny()).await;
    let (_, stopped) = tokio::sync::watch::channel(false);
    let jobs = run_jobs(house.chat.clone(), house.stage.clone(), Some(1), stopped);
    tokio::time::timeout(PATIENCE, jobs).await.expect("they end");
}

#[tokio::test]
async fn a_swipe_cut_off_is_made_once() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    let (guild, me) = (house.guild, house.me.person.id);
    house.run();
    let reply = house.exchange(scene, "Hello.").await;
    house.stage.hold();
    house.chat.ask_swipe(guild, scene, me, reply.id, None).await.unwrap();
    house.stage.wait_for(scene, 2, |shown| matches!(shown, Shown::Begin(_))).await;
    house.kill().await;
    house.stage.release();
    house.db.execute(EXPIRE).await;
    house.run();
    house.settled(scene).await;
    let swiped = house.latest(scene).await;
    assert_eq!((swiped.id, swiped.num_swipes, swiped.swipe.ordinal), (reply.id, 2, 1));
    let first = house.chat.choose_swipe(guild, scene, reply.id, SwipeTo::Previous).await.unwrap();
    assert_eq!(first.unwrap().swipe.text, reply.swipe.text);
}
