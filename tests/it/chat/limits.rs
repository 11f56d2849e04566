//! What a policy says of how much one may have: whoever goes over it is told when it ends,
//! and nothing that was said is lost.

use dramatis::chat::{ChatError, Stopped, unanswered};
use dramatis::domain::{CharacterSheet, SceneId, SceneState, Speaker, SwipeOrigin};
use dramatis::store::{Accepted, Full, HourlyLimit, NewBranch, NewTurn, Spent, StoreError, Work};
use serde_json::{Value, json};

use super::house::House;
use super::models::tiny;

/// An hour later.
const LATER: [&str; 2] = [
    "UPDATE job SET created_at = created_at - interval '1 hour'",
    "UPDATE turn SET created_at = created_at - interval '1 hour'",
];

async fn limit(house: &House, place: &str, limits: Value) {
    let body = json!({ "limits": limits });
    house.db.store.upsert_policy(house.guild, place, &body).await.unwrap();
}

async fn an_hour_passes(house: &House) {
    for sql in LATER {
        house.db.execute(sql).await;
    }
}

fn spent(error: &ChatError) -> Spent {
    match error {
        ChatError::Store(StoreError::Full(Full::Spent(spent))) => *spent,
        error => panic!("{error:?}"),
    }
}

/// Says something that is kept and not answered; what is told of it.
async fn unheard(house: &House, scene: SceneId, text: &str) -> (HourlyLimit, String) {
    match house.say(scene, text).await {
        Accepted::New { refused: Some(Full::Spent(spent)), queued: None, .. } => {
            (spent.limit, unanswered(Full::Spent(spent)))
        }
        accepted => panic!("{accepted:?}"),
    }
}

/// Lets what was said in the first scene be 50 minutes older.
const AGE_FIRST: &str = "UPDATE turn SET created_at = created_at - interval '50 minutes'
     WHERE scene_id = (SELECT min(id) FROM scene)";

#[tokio::test]
async fn replies_of_a_person_and_of_a_guild_have_their_hour() {
    let mut house = House::open(tiny()).await;
    let (here, elsewhere) = (house.scene().await, house.scene().await);
    let ann = house.me.clone();
    let (guild, me) = (house.guild, ann.person.id);
    limit(&house, "", json!({ "replies_per_person_per_hour": 2, "replies_per_guild_per_hour": 3 }))
        .await;
    house.run();
    house.exchange(here, "One.").await;
    let reply = house.exchange(elsewhere, "Two.").await;
    let (which, told) = unheard(&house, here, "Three.").await;
    assert_eq!(which, HourlyLimit::PersonReplies);
    for part in ["is kept", "2 replies an hour", "in 60 minutes", "/reply asks again"] {
        assert!(told.contains(part), "{told}");
    }
    assert_eq!(house.texts(here).await.last().unwrap(), "Three.", "it is kept");
    for asked in [
        house.chat.ask_reply(guild, here, me, None, None).await,
        house.chat.ask_swipe(guild, elsewhere, me, reply.id, None).await,
        house.chat.ask_continue(guild, elsewhere, me, reply.id).await,
    ] {
        assert_eq!(spent(&asked.unwrap_err()).limit, HourlyLimit::PersonReplies);
    }
    let metrics = house.chat.metrics().render();
    assert!(metrics.contains("queue_refusals_total{limit=\"person_replies\"} 4"), "{metrics}");

    // Another person has their own, until the guild had enough.
    house.me.person = house.db.store.upsert_person(guild, "mo", "Mo").await.unwrap();
    house.exchange(here, "Four.").await;
    let (which, told) = unheard(&house, here, "Five.").await;
    assert_eq!(which, HourlyLimit::GuildReplies);
    assert!(told.contains("3 replies an hour may be had in this community"), "{told}");
    house.me = ann;
    an_hour_passes(&house).await;
    assert!(house.exchange(here, "Six.").await.speaker.is_character(), "there is room again");
    house.stop().await;
}

#[tokio::test]
async fn the_stricter_place_counts_and_other_guilds_do_not() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    let channel = house.chat.scene(house.guild, scene).await.unwrap().channel;
    limit(&house, "", json!({ "replies_per_person_per_hour": 9 })).await;
    limit(&house, &channel, json!({ "replies_per_person_per_hour": 1 })).await;
    house.run();
    house.exchange(scene, "One.").await;
    assert_eq!(unheard(&house, scene, "Two.").await.0, HourlyLimit::PersonReplies);
    let elsewhere = house.scene().await;
    house.exchange(elsewhere, "Only the server's limit holds here.").await;
    // What failed and what was called off before it began cost nothing.
    let job = match house.say(elsewhere, "Three.").await {
        Accepted::New { queued: Some(queued), .. } => queued.job,
        accepted => panic!("{accepted:?}"),
    };
    house.settled(elsewhere).await;
    house.stop().await;
    for (state, claimed_at, is_free) in
        [("failed", "now()", true), ("cancelled", "NULL", true), ("cancelled", "now()", false)]
    {
        an_hour_passes(&house).await;
        sqlx::query(sqlx::AssertSqlSafe(format!(
            "UPDATE job SET created_at = now(), state = '{state}', claimed_at = {claimed_at}
             WHERE id = $1"
        )))
        .bind(job.0)
        .execute(&house.db.pool)
        .await
        .unwrap();
        let accepted = house.say(scene, "Again?").await;
        let is_answered = matches!(accepted, Accepted::New { queued: Some(_), .. });
        assert_eq!(is_answered, is_free, "{state} {claimed_at}");
        house.chat.call_off(house.guild, scene).await.unwrap();
    }
}

#[tokio::test]
async fn turns_of_a_person_have_their_hour_and_no_delivery_is_lost() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    limit(&house, "", json!({ "turns_per_person_per_hour": 2 })).await;
    house.deliver(scene, "first".into(), "One.").await.unwrap();
    let second = match house.say(scene, "Two.").await {
        Accepted::New { turn, .. } => turn,
        accepted => panic!("{accepted:?}"),
    };
    let refused = house.deliver(scene, "third".into(), "Three.").await.unwrap_err();
    assert_eq!(spent(&refused).limit, HourlyLimit::PersonTurns);
    let told = refused.notice();
    assert!(told.contains("2 messages an hour") && told.contains("in 60 minutes"), "{told}");
    assert_eq!(house.texts(scene).await, ["One.", "Two."]);
    // What was taken before is no new word; what a branch copies is none either.
    let again = house.deliver(scene, "first".into(), "One.").await.unwrap();
    assert!(matches!(again, Accepted::Duplicate { .. }), "{again:?}");
    let ann = house.me.person.clone();
    house.me.person = house.db.store.upsert_person(house.guild, "mo", "Mo").await.unwrap();
    house.say(scene, "My first.").await;
    let mo = std::mem::replace(&mut house.me.person, ann.clone());
    for channel in ["one", "two"] {
        let branch = NewBranch { channel: channel.into(), title: "Branch".into() };
        let head = house.latest(scene).await.id;
        house.db.store.branch_scene(house.guild, scene, head, &branch).await.unwrap();
    }
    house.me.person = mo;
    house.say(scene, "My second.").await;
    house.me.person = ann;
    // What was taken out leaves room, and so does an hour.
    house.chat.remove_turn(house.guild, scene, second).await.unwrap();
    house.deliver(scene, "third".into(), "Three.").await.unwrap();
    house.try_say(scene, "Four.").await.unwrap_err();
    an_hour_passes(&house).await;
    house.say(scene, "Four.").await;
}

async fn open(house: &House) -> SceneId {
    let scene = house.scene().await;
    let store = &house.db.store;
    store.insert_participant(house.guild, scene, house.me.person.id).await.unwrap();
    scene
}

#[tokio::test]
async fn a_person_has_so_many_scenes_open_at_once() {
    let house = House::open(tiny()).await;
    let (guild, me, chat) = (house.guild, house.me.person.id, &house.chat);
    limit(&house, "", json!({ "scenes_per_person": 2 })).await;
    let first = open(&house).await;
    let may = async || {
        let policy = chat.library().rules(guild, None).await.unwrap().policy;
        chat.heed_scenes_begun(guild, &policy, me).await
    };
    may().await.unwrap();
    open(&house).await;
    let told = may().await.unwrap_err().notice();
    assert!(told.starts_with("2 open scenes") && told.contains("/scene end"), "{told}");
    house.say(first, "Hello.").await;
    let head = house.latest(first).await.id;
    chat.branch_scene(guild, first, head, "branch", "Branch").await.unwrap_err();
    // To take part is not to begin.
    let mo = house.db.store.upsert_person(guild, "mo", "Mo").await.unwrap().id;
    house.db.store.insert_participant(guild, first, mo).await.unwrap();
    assert_eq!(house.db.store.count_scenes_begun(guild, mo).await.unwrap(), 0);
    house.db.store.set_scene_state(guild, first, SceneState::Ended).await.unwrap();
    may().await.unwrap();
}

/// Three who always speak.
async fn cast(house: &House) -> SceneId {
    let mut cast = Vec::new();
    for name in ["Mira", "Odo", "Una"] {
        let sheet =
            CharacterSheet { name: name.into(), talkativeness: 1.0, ..CharacterSheet::default() };
        cast.push(house.character(sheet).await);
    }
    house.open_scene(&cast).await.unwrap().id
}

#[tokio::test]
async fn replies_come_to_an_end_without_a_word_of_a_person() {
    let mut house = House::open_with(tiny(), &[("chat.max_replies_in_a_row", "2")]).await;
    let scene = cast(&house).await;
    let (guild, me) = (house.guild, house.me.person.id);
    house.run();
    house.exchange(scene, "Mira, Odo, Una?").await;
    assert_eq!(house.speakers(scene).await, ["Ann", "Mira", "Odo"], "the third does not speak");
    let refused = house.chat.ask_reply(guild, scene, me, None, None).await.unwrap_err();
    let told = refused.notice();
    assert!(told.contains("2 replies may follow one another"), "{told}");
    // However it came into the queue.
    let store = &house.db.store;
    store.insert_job(guild, scene, Some(me), &Work::REPLY).await.unwrap();
    let told = house.stage.notice(scene, 1).await;
    assert!(told.contains("say something"), "{told}");
    assert_eq!(house.speakers(scene).await.len(), 3);
    // Another text of the last one is none in a row.
    let last = house.latest(scene).await;
    house.chat.ask_swipe(guild, scene, me, last.id, None).await.unwrap();
    house.settled(scene).await;
    // A person's word begins anew, and a policy may ask for fewer, not for more.
    limit(&house, "", json!({ "replies_in_a_row": 1 })).await;
    house.exchange(scene, "Mira, Odo, Una!").await;
    assert_eq!(house.speakers(scene).await[3..], ["Ann", "Mira"]);
    limit(&house, "", json!({ "replies_in_a_row": 9 })).await;
    house.chat.ask_reply(guild, scene, me, None, None).await.unwrap();
    house.settled(scene).await;
    house.chat.ask_reply(guild, scene, me, None, None).await.unwrap_err();
    house.stop().await;
}

#[tokio::test]
async fn a_trial_tells_what_limits_would_have_stopped() {
    let house = House::open(tiny()).await;
    let (first, scene) = (open(&house).await, open(&house).await);
    let (guild, chat, store) = (house.guild, &house.chat, &house.db.store);
    let tried = async |limits: Value| {
        limit(&house, "", limits).await;
        chat.try_rules(guild, scene).await.unwrap()
    };
    assert_eq!(tried(json!({ "turns_per_person_per_hour": 1 })).await.stopped, Stopped::default());
    limit(&house, "", json!({})).await;
    for text in ["One.", "Two.", "Three."] {
        house.say(scene, text).await;
        // As if it had been written: a reply that waits still would be the next one's, too.
        house.db.execute("UPDATE job SET state = 'cancelled', claimed_at = now()").await;
    }
    let none = tried(json!({ "turns_per_person_per_hour": 3, "replies_in_a_row": 9 })).await;
    assert_eq!((none.num_turns, none.stopped), (3, Stopped::default()));
    let turns = Stopped { turns_per_person: 1, ..Stopped::default() };
    assert_eq!(tried(json!({ "turns_per_person_per_hour": 2 })).await.stopped, turns);
    let replies = Stopped { replies_per_person: 2, ..Stopped::default() };
    assert_eq!(tried(json!({ "replies_per_person_per_hour": 1 })).await.stopped, replies);
    let of_guild = Stopped { replies_per_guild: 1, ..Stopped::default() };
    assert_eq!(tried(json!({ "replies_per_guild_per_hour": 2 })).await.stopped, of_guild);
    // What is not said asks for no reply.
    let both = json!({ "turns_per_person_per_hour": 2, "replies_per_person_per_hour": 1 });
    let stopped = Stopped { turns_per_person: 1, replies_per_person: 1, ..Stopped::default() };
    assert_eq!(tried(both).await.stopped, stopped);

    // What they said elsewhere within the hour counts, and is not what is tried.
    limit(&house, "", json!({})).await;
    house.say(first, "Elsewhere.").await;
    house.db.execute(AGE_FIRST).await;
    let more = tried(json!({ "turns_per_person_per_hour": 2 })).await;
    assert_eq!(more.stopped.turns_per_person, 2);
    house.db.execute(AGE_FIRST).await;
    let more = tried(json!({ "turns_per_person_per_hour": 2 })).await;
    assert_eq!(more.stopped.turns_per_person, 1, "that is too long ago");

    let odo = house.character(CharacterSheet { name: "Odo".into(), ..Default::default() }).await;
    for _ in 0..3 {
        let turn = NewTurn {
            speaker: Speaker::Character { id: odo.id, name: "Odo".into() },
            text: "And on.".into(),
            origin: SwipeOrigin::Generated,
            receipt: None,
            alternates: Vec::new(),
        };
        store.append_turn(guild, scene, &turn).await.unwrap();
    }
    let limits = json!({ "replies_in_a_row": 2, "scenes_per_person": 1 });
    let stopped = Stopped { replies_in_a_row: 1, scenes_per_person: 1, ..Stopped::default() };
    assert_eq!(tried(limits).await.stopped, stopped);
    let trial = chat.try_rules(guild, first).await.unwrap();
    assert_eq!(trial.stopped, Stopped::default(), "it was the first that they began");
}
