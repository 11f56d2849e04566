//! Who may wait, and whose turn it is: limits, places in the queue, fairness.

use std::time::Duration;

use dramatis::domain::{GuildId, PersonId, SceneId, SceneState};
use dramatis::store::{
    Accepted, Claim, Full, HourlyLimits, JobKey, Limit, Line, NewMessage, QueueLimits, Queued,
    Standing, Store, StoreError, Work,
};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::{scene, stage};
use crate::support::postgres::TestDatabase;

const LIMITS: QueueLimits =
    QueueLimits { per_person: 2, per_guild: 3, in_all: 5, hourly: HourlyLimits::NONE };

fn limit(full: Full) -> Limit {
    match full {
        Full::Waiting { limit, .. } => limit,
        Full::Spent(spent) => panic!("{spent:?}"),
    }
}

/// A guild with some people and scenes.
struct Community {
    guild: GuildId,
    people: Vec<PersonId>,
    scenes: Vec<SceneId>,
}

async fn community(store: &Store, name: &str, num_people: usize, num_scenes: usize) -> Community {
    let stage = stage(store, name).await;
    let (guild, mut people, mut scenes) =
        (stage.guild, vec![stage.person.id], vec![stage.scene.id]);
    for n in 1..num_people {
        let name = format!("person {n}");
        people.push(store.upsert_person(guild, &name, &name).await.unwrap().id);
    }
    for n in 1..num_scenes {
        scenes.push(scene(store, guild, &stage.character, &n.to_string()).await.id);
    }
    Community { guild, people, scenes }
}

impl Community {
    /// A person says something in a scene.
    async fn say(&self, store: &Store, person: usize, scene: usize) -> Result<Queued, Full> {
        let external_id = format!("{}-{scene}-{}", person, rand::random::<u64>());
        let message = NewMessage {
            external_id,
            person: self.people[person],
            name: "Ann".into(),
            text: "x".into(),
            work: Some(Work::REPLY),
            limits: LIMITS,
        };
        match store.accept_message(self.guild, self.scenes[scene], &message).await.unwrap() {
            Accepted::New { queued: Some(queued), refused: None, .. } => Ok(queued),
            Accepted::New { queued: None, refused: Some(full), .. } => Err(full),
            other => panic!("{other:?}"),
        }
    }

    async fn put_in(&self, store: &Store, person: Option<usize>, scene: usize) {
        let person = person.map(|person| self.people[person]);
        store.insert_job(self.guild, self.scenes[scene], person, &Work::REPLY).await.unwrap();
    }

    async fn num_turns(&self, store: &Store, scene: usize) -> usize {
        let line = store.list_line(self.guild, self.scenes[scene], Line::default());
        line.await.unwrap().len()
    }

    async fn standing(&self, store: &Store, scene: usize) -> Standing {
        store.queue_place(self.guild, self.scenes[scene]).await.unwrap().standing
    }
}

async fn claim(store: &Store) -> Claim {
    store.claim_lane().await.unwrap().expect("a lane is ready")
}

async fn give_up(store: &Store, claim: &Claim) {
    store.fail_job(claim, "served").await.unwrap();
}

#[tokio::test]
async fn beyond_each_limit_words_are_kept_and_no_reply_is_queued() {
    let db = TestDatabase::fresh().await;
    let store = &db.store;
    let ours = community(store, "ours", 3, 6).await;
    let theirs = community(store, "theirs", 4, 4).await;
    ours.say(store, 0, 0).await.unwrap();
    ours.say(store, 0, 1).await.unwrap();
    let full = ours.say(store, 0, 2).await.unwrap_err();
    assert_eq!(full, Full::Waiting { limit: Limit::Person, waiting: 2, in_all: 2 });
    assert_eq!(ours.num_turns(store, 2).await, 1, "what was said is kept");
    assert!(store.list_open_jobs(ours.guild, ours.scenes[2]).await.unwrap().is_empty());
    assert!(ours.say(store, 0, 1).await.unwrap().coalesced, "which is no further reply");

    ours.say(store, 1, 3).await.unwrap();
    let full = ours.say(store, 1, 4).await.unwrap_err();
    assert_eq!(full, Full::Waiting { limit: Limit::Guild, waiting: 3, in_all: 3 });
    assert!(ours.say(store, 2, 0).await.unwrap().coalesced);

    theirs.say(store, 0, 0).await.unwrap();
    theirs.say(store, 1, 1).await.unwrap();
    let full = theirs.say(store, 2, 2).await.unwrap_err();
    assert_eq!(full, Full::Waiting { limit: Limit::All, waiting: 5, in_all: 5 });

    // What a command asks for is refused alike.
    let (guild, elsewhere, person) = (theirs.guild, theirs.scenes[3], theirs.people[3]);
    let ask = || store.insert_job_within(guild, elsewhere, person, &Work::REPLY, &LIMITS);
    assert!(matches!(ask().await, Err(StoreError::Full(_))));
    // What is begun waits no more.
    let held = claim(store).await;
    assert!(ask().await.is_ok());
    assert!(matches!(limit(ours.say(store, 0, 5).await.unwrap_err()), Limit::All | Limit::Person));
    // What only shows is no reply, and what the service itself puts in is not refused.
    store.insert_job(guild, theirs.scenes[2], None, &Work::Show).await.unwrap();
    store.insert_job(guild, theirs.scenes[2], None, &Work::REPLY).await.unwrap();
    give_up(store, &held).await;
}

#[tokio::test]
async fn what_nobody_can_begin_keeps_nobody_out() {
    let db = TestDatabase::fresh().await;
    let store = &db.store;
    let ours = community(store, "ours", 1, 5).await;
    let theirs = community(store, "theirs", 3, 5).await;
    ours.say(store, 0, 0).await.unwrap();
    ours.say(store, 0, 1).await.unwrap();
    let set = |scene: usize, state| store.set_scene_state(ours.guild, ours.scenes[scene], state);
    set(0, SceneState::Paused).await.unwrap();
    ours.say(store, 0, 2).await.unwrap();
    assert_eq!(ours.standing(store, 0).await, Standing::Resting);
    set(0, SceneState::Active).await.unwrap();
    assert_eq!(limit(ours.say(store, 0, 3).await.unwrap_err()), Limit::Person);

    store.set_guild_left(ours.guild, true).await.unwrap();
    for n in 0..3 {
        theirs.say(store, n, n).await.unwrap();
    }
    store.cancel_waiting_jobs(theirs.guild, theirs.scenes[0]).await.unwrap();
    let other = community(store, "others", 3, 3).await;
    for n in 0..3 {
        other.say(store, n, n).await.unwrap();
    }
    store.set_guild_left(ours.guild, false).await.unwrap();
    let full = theirs.say(store, 0, 4).await.unwrap_err();
    assert!(matches!(full, Full::Waiting { limit: Limit::All, in_all: 5, .. }), "they count again");
}

#[tokio::test]
async fn nobody_gets_more_by_asking_everywhere_at_once() {
    let db = TestDatabase::fresh().await;
    let ours = std::sync::Arc::new(community(&db.store, "ours", 1, 20).await);
    let other = db.second_store().await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..20 {
        let store = if n % 2 == 0 { db.store.clone() } else { other.clone() };
        let ours = ours.clone();
        tasks.spawn(async move { ours.say(&store, 0, n).await.is_ok() });
    }
    let admitted = tasks.join_all().await.into_iter().filter(|&admitted| admitted).count();
    assert_eq!(admitted, 2);
    let vtime: f64 = sqlx::query_scalar("SELECT vtime FROM person WHERE id = $1")
        .bind(ours.people[0].0)
        .fetch_one(&db.pool)
        .await
        .unwrap();
    assert_eq!(vtime, 2.0, "who is refused pays nothing");
}

/// What happens in a queue.
#[derive(Debug, Clone)]
enum Event {
    Ask {
        guild: usize,
        person: Option<usize>,
        scene: usize,
    },
    /// Somebody claims a lane; some finish it.
    Claim {
        finishes: bool,
    },
    Pause {
        guild: usize,
        scene: usize,
    },
    Leave {
        guild: usize,
    },
}

const GUILDS: usize = 4;
const PEOPLE: usize = 3;
const SCENES: usize = 4;

fn event() -> impl Strategy<Value = Event> {
    let person = prop::option::of(0..PEOPLE);
    prop_oneof![
        12 => (0..GUILDS, person, 0..SCENES)
            .prop_map(|(guild, person, scene)| Event::Ask { guild, person, scene }),
        4 => any::<bool>().prop_map(|finishes| Event::Claim { finishes }),
        1 => (0..GUILDS, 0..SCENES).prop_map(|(guild, scene)| Event::Pause { guild, scene }),
        1 => (0..GUILDS).prop_map(|guild| Event::Leave { guild }),
    ]
}

/// What the queue says of everybody's place is what the claims then come to.
async fn check_places(store: &Store, name: &str, events: Vec<Event>) {
    let mut all = Vec::new();
    for n in 0..GUILDS {
        all.push(community(store, &format!("{name}, {n}"), PEOPLE, SCENES).await);
    }
    let mut held = Vec::new();
    for event in events {
        match event {
            Event::Ask { guild, person, scene } => all[guild].put_in(store, person, scene).await,
            Event::Claim { finishes } => match store.claim_lane().await.unwrap() {
                Some(claim) if finishes => give_up(store, &claim).await,
                claim => held.extend(claim),
            },
            Event::Pause { guild, scene } => {
                let (guild, scene) = (all[guild].guild, all[guild].scenes[scene]);
                store.set_scene_state(guild, scene, SceneState::Paused).await.unwrap();
            }
            Event::Leave { guild } => store.set_guild_left(all[guild].guild, true).await.unwrap(),
        }
    }
    let mut expected = Vec::new();
    let mut num_ready = None;
    for community in &all {
        for &scene in &community.scenes {
            let place = store.queue_place(community.guild, scene).await.unwrap();
            assert_eq!(place.num_in_work as usize, held.len(), "{place:?}");
            assert_eq!(*num_ready.get_or_insert(place.num_ready), place.num_ready);
            match place.standing {
                Standing::Behind(before) => expected.push((before, scene)),
                Standing::InWork => assert!(held.iter().any(|claim| claim.scene_id == scene)),
                Standing::Idle | Standing::Resting => {}
            }
        }
    }
    expected.sort_unstable();
    let mut claimed = Vec::new();
    while let Some(claim) = store.claim_lane().await.unwrap() {
        claimed.push((u32::try_from(claimed.len()).unwrap(), claim.scene_id));
        held.push(claim);
    }
    assert_eq!(claimed, expected);
    assert_eq!(num_ready.map(|n| n as usize), Some(claimed.len()));
    for claim in &held {
        give_up(store, claim).await;
    }
    for community in &all {
        for &scene in &community.scenes {
            store.cancel_jobs(community.guild, scene).await.unwrap();
        }
    }
}

#[test]
fn a_place_in_the_queue_is_the_order_of_claims() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let db = runtime.block_on(TestDatabase::fresh());
    let mut runner = TestRunner::new(ProptestConfig { cases: 24, ..ProptestConfig::default() });
    let number = std::cell::Cell::new(0);
    let events = prop::collection::vec(event(), 1..60);
    let outcome = runner.run(&events, |events| {
        number.set(number.get() + 1);
        runtime.block_on(check_places(&db.store, &number.get().to_string(), events));
        Ok(())
    });
    outcome.unwrap();
}

#[tokio::test]
async fn a_guild_with_a_hundred_jobs_delays_another_by_one_claim() {
    let db = TestDatabase::fresh().await;
    let store = &db.store;
    let busy = community(store, "busy", 5, 100).await;
    for scene in 0..100 {
        busy.put_in(store, Some(scene % 5), scene).await;
    }
    for round in 0..8 {
        for _ in 0..round {
            let held = claim(store).await;
            give_up(store, &held).await;
        }
        let quiet = community(store, &format!("quiet {round}"), 1, 1).await;
        quiet.put_in(store, Some(0), 0).await;
        let before = quiet.standing(store, 0).await;
        assert!(matches!(before, Standing::Behind(0 | 1)), "{before:?}");
        let [first, second] = [claim(store).await, claim(store).await];
        assert!([first.guild_id, second.guild_id].contains(&quiet.guild), "{first:?} {second:?}");
        give_up(store, &first).await;
        give_up(store, &second).await;
    }
}

#[tokio::test]
async fn how_long_it_takes_is_guessed_from_recent_replies() {
    let db = TestDatabase::fresh().await;
    let stage = stage(&db.store, "one").await;
    let (store, guild) = (&db.store, stage.guild);
    let other = scene(store, guild, &stage.character, "there").await.id;
    let place = async |scene| store.queue_place(guild, scene).await.unwrap();
    assert_eq!(place(other).await.standing, Standing::Idle);
    assert_eq!((place(other).await.mean_reply, place(other).await.begins_in()), (None, None));
    store.insert_job(guild, stage.scene.id, None, &Work::REPLY).await.unwrap();
    let held = claim(store).await;
    let reply = dramatis::store::Generated {
        target: dramatis::store::Target::Turn(stage.speaks()),
        text: "x".into(),
        origin: dramatis::domain::SwipeOrigin::Generated,
        receipt: serde_json::json!({}),
        prompt_ids: Vec::new(),
    };
    store.store_generated(&held, reply).await.unwrap();
    store.begin_sending(&held).await.unwrap();
    store.finish_job(&held).await.unwrap();
    db.execute("UPDATE job SET claimed_at = finished_at - interval '30 s'").await;
    for scene in [stage.scene.id, other] {
        store.insert_job(guild, scene, None, &Work::REPLY).await.unwrap();
    }
    let at = place(other).await;
    assert_eq!((at.standing, at.num_in_work), (Standing::Behind(1), 0));
    assert_eq!(at.begins_in().unwrap().as_secs(), 30);
    claim(store).await;
    assert_eq!(place(stage.scene.id).await.standing, Standing::InWork);
    let at = place(other).await;
    assert_eq!((at.standing, at.num_in_work), (Standing::Behind(0), 1));
    assert_eq!(at.begins_in().unwrap().as_secs(), 30);
}

#[tokio::test]
async fn who_waits_is_known_by_the_job() {
    let db = TestDatabase::fresh().await;
    let stage = stage(&db.store, "one").await;
    let (store, guild, scene) = (&db.store, stage.guild, stage.scene.id);
    let job = store.insert_job(guild, scene, None, &Work::REPLY).await.unwrap().job;
    let key = JobKey { guild, job };
    let busy = async || {
        let waiting = store.list_waiting_jobs(&[key]).await.unwrap();
        waiting.first().map(|waiting| (waiting.key, waiting.lane_is_busy))
    };
    assert_eq!(busy().await, Some((key, false)));
    store.set_scene_state(guild, scene, SceneState::Paused).await.unwrap();
    assert_eq!(busy().await, None, "nobody is going to");
    store.set_scene_state(guild, scene, SceneState::Active).await.unwrap();
    let held = claim(store).await;
    assert_eq!(busy().await, None, "it is begun");
    store.retry_job(&held, Duration::from_secs(60), "again").await.unwrap();
    assert_eq!(busy().await, Some((key, false)));
    store.cancel_jobs(guild, scene).await.unwrap();
    assert_eq!(busy().await, None);
}
