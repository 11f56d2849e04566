//! What is kept for a time only goes when it is over, and nothing else does.

use dramatis::chat::Swept;
use dramatis::domain::{GuildId, SceneId};
use dramatis::moderation::{Policy, Retention};
use dramatis::store::NewBranch;
use serde_json::json;

use super::house::House;
use super::models::tiny;

const CANARY: &str = "the gannet of Orsolo dives";

async fn keep(house: &House, retention: Retention) {
    let policy = Policy { retention, ..Policy::default() };
    house.chat.set_policy(house.guild, "", Some(&policy), house.me.person.id).await.unwrap();
}

async fn rows_with(house: &House, column: &str, value: i64) -> Vec<String> {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT table_name::text FROM information_schema.columns
         WHERE table_schema = 'public' AND column_name = $1
           AND table_name NOT IN (SELECT table_name FROM information_schema.views) ORDER BY 1",
    )
    .bind(column)
    .fetch_all(&house.db.pool)
    .await
    .unwrap();
    assert!(tables.len() > 8, "{tables:?}");
    let mut found = Vec::new();
    for table in tables {
        let sql = format!("SELECT count(*) FROM {table} WHERE {column} = $1");
        let rows: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(value)
            .fetch_one(&house.db.pool)
            .await
            .unwrap();
        if rows > 0 {
            found.push(table);
        }
    }
    found
}

async fn texts(house: &House, scene: SceneId) -> Vec<String> {
    house.line(scene).await.into_iter().map(|turn| turn.swipe.text).collect()
}

#[tokio::test]
async fn old_texts_go_and_the_scene_goes_on() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    house.run();
    house.exchange(scene, &format!("Once {CANARY}.")).await;
    let first = house.line(scene).await;
    house.exchange(scene, "And then?").await;
    house.settled(scene).await;
    let newer = texts(&house, scene).await.split_off(2);

    house.db.execute("UPDATE turn SET created_at = now() - interval '31 days'").await;
    assert_eq!(house.chat.sweep().await.unwrap(), Swept::default(), "nobody said so");
    let ids: Vec<i64> = first.iter().map(|turn| turn.id.0).collect();
    sqlx::query("UPDATE turn SET created_at = now() WHERE id <> ALL ($1)")
        .bind(ids)
        .execute(&house.db.pool)
        .await
        .unwrap();
    keep(&house, Retention { texts_days: Some(32), ..Retention::default() }).await;
    assert_eq!(house.chat.sweep().await.unwrap(), Swept::default(), "it is not yet time");
    assert!(house.db.dump().await.contains(CANARY));

    keep(&house, Retention { texts_days: Some(30), ..Retention::default() }).await;
    let swept = house.chat.sweep().await.unwrap();
    assert_eq!(swept, Swept { num_turns: 2, ..Swept::default() });
    let left = house.db.dump().await;
    assert_eq!(left.lines().find(|line| line.contains(CANARY)), None);
    assert_eq!(texts(&house, scene).await, newer, "the others are as they were");
    assert_eq!(house.chat.sweep().await.unwrap(), Swept::default(), "there is no more");
    house.exchange(scene, "Go on.").await;
    assert!(!house.preview(scene).await.contains("Once"));
    while house.chat.undo(house.guild, scene).await.is_ok_and(|undone| undone.is_some()) {}
    assert!(texts(&house, scene).await.iter().all(|text| !text.is_empty()));
    house.stop().await;
}

#[tokio::test]
async fn an_ended_scene_goes_whole_and_what_branched_from_it_stays() {
    let mut house = House::open(tiny()).await;
    let (scene, other) = (house.scene().await, house.scene().await);
    let (guild, me, store) = (house.guild, house.me.person.id, house.db.store.clone());
    house.run();
    let turn = house.exchange(scene, &format!("Listen: {CANARY}.")).await;
    house.exchange(other, "Hello.").await;
    house.settled(scene).await;
    house.chat.report_turn(guild, scene, turn.id, me, "odd").await.unwrap();
    let branch = NewBranch { channel: "branch".into(), title: "Branch".into() };
    let branch = store.branch_scene(guild, scene, turn.id, &branch).await.unwrap().id;
    let kept = (texts(&house, branch).await, texts(&house, other).await);
    house.chat.end_scene(guild, scene).await.unwrap();
    house.settled(scene).await;
    keep(&house, Retention { ended_scenes_days: Some(7), ..Retention::default() }).await;
    assert_eq!(house.chat.sweep().await.unwrap(), Swept::default());

    house.db.execute("UPDATE scene SET ended_at = ended_at - interval '8 days'").await;
    let swept = house.chat.sweep().await.unwrap();
    assert_eq!(swept, Swept { num_scenes: 1, ..Swept::default() });
    let left = rows_with(&house, "scene_id", scene.0).await;
    assert_eq!(left, ["forgotten_scene", "moderation_case"], "a number, for those who cached it");
    assert_eq!((texts(&house, branch).await, texts(&house, other).await), kept);
    let cases = store.list_cases(guild, None).await.unwrap();
    assert!(cases[0].evidence.is_some(), "what moderators pinned stays: {cases:?}");
    house.exchange(branch, "Go on.").await;
    house.stop().await;
}

#[tokio::test]
async fn who_left_is_forgotten_when_the_guild_says_so() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    let (guild, chat) = (house.guild, house.chat.clone());
    house.run();
    house.exchange(scene, &format!("I know: {CANARY}.")).await;
    house.settled(scene).await;
    let her = house.me.person.id;
    assert!(chat.missed_people("test").await.unwrap().is_empty(), "nobody asks after anybody");
    keep(&house, Retention { departed_people_days: Some(14), ..Retention::default() }).await;
    let missed = chat.missed_people("test").await.unwrap();
    assert_eq!(missed.iter().map(|it| it.external_id.as_str()).collect::<Vec<_>>(), ["ann"]);
    assert!(chat.missed_people("elsewhere").await.unwrap().is_empty());

    chat.note_member(guild, her, false).await.unwrap();
    assert!(chat.missed_people("test").await.unwrap().is_empty(), "once a day is enough");
    let long_ago = "UPDATE person SET left_at = left_at - interval '15 days'";
    // Whoever comes back and speaks is there again.
    house.db.execute(long_ago).await;
    house.db.store.upsert_person(guild, "ann", "Ann").await.unwrap();
    assert_eq!(chat.sweep().await.unwrap(), Swept::default());
    chat.note_member(guild, her, false).await.unwrap();
    assert_eq!(chat.sweep().await.unwrap(), Swept::default(), "it is not yet time");
    house.db.execute(long_ago).await;
    let swept = chat.sweep().await.unwrap();
    assert_eq!(swept, Swept { num_people: 1, ..Swept::default() });
    house.settled(scene).await;
    assert!(!house.db.dump().await.contains(CANARY));
    assert_eq!(house.speakers(scene).await, ["Mira"]);
    house.stop().await;
}

#[tokio::test]
async fn of_a_guild_that_removed_us_nothing_stays_after_its_grace() {
    let mut house = House::open_with(tiny(), &[("privacy.guild_grace_days", "10")]).await;
    let scene = house.scene().await;
    let (guild, store) = (house.guild, house.db.store.clone());
    house.run();
    let turn = house.exchange(scene, &format!("It is said: {CANARY}.")).await;
    house.settled(scene).await;
    house.chat.report_turn(guild, scene, turn.id, house.me.person.id, "odd").await.unwrap();
    house.stop().await;
    let neighbour = store.upsert_guild("test", "next door", "Next door").await.unwrap().id;
    store.upsert_person(neighbour, "ann", "Ann").await.unwrap();
    store.insert_audit(neighbour, None, "x.y", &json!({})).await.unwrap();
    let next_door = async |guild: GuildId| rows_with(&house, "guild_id", guild.0).await;
    let kept = next_door(neighbour).await;

    let long_ago = "UPDATE guild SET left_at = left_at - interval '11 days'";
    store.set_guild_left(guild, true).await.unwrap();
    assert_eq!(house.chat.sweep().await.unwrap(), Swept::default(), "it is not yet time");
    house.db.execute(long_ago).await;
    store.set_guild_left(guild, false).await.unwrap();
    assert_eq!(house.chat.sweep().await.unwrap(), Swept::default(), "we are back");
    store.set_guild_left(guild, true).await.unwrap();
    house.db.execute(long_ago).await;
    let swept = house.chat.sweep().await.unwrap();
    assert_eq!(swept, Swept { num_guilds: 1, ..Swept::default() });
    assert!(next_door(guild).await.is_empty());
    assert_eq!(store.get_guild(guild).await.unwrap(), None);
    assert!(!house.db.dump().await.contains(CANARY));
    assert_eq!(next_door(neighbour).await, kept);
    assert!(store.verify_audit(neighbour, None).await.unwrap().fault.is_none());
}
