//! Settings of whole guilds, reports, and the gateway's shards.

use std::time::Duration;

use dramatis::clock::{Clock as _, SystemClock};
use dramatis::store::{GuildSettings, IdentifyGrant};

use super::stage;
use crate::support::postgres::TestDatabase;

#[tokio::test]
async fn a_guild_keeps_its_settings_and_its_commands_apart() {
    let db = TestDatabase::fresh().await;
    let (store, stage) = (&db.store, stage(&db.store, "one").await);
    let guild = stage.guild;
    assert_eq!(store.get_guild_settings(guild).await.unwrap(), GuildSettings::default());
    store.set_commands_hash(guild, "abc").await.unwrap();
    let settings = GuildSettings {
        moderator_roles: vec!["7".into(), "8".into()],
        reports_channel: Some("9".into()),
        locale: Some("de".into()),
        commands_hash: None,
    };
    store.upsert_guild_settings(guild, &settings).await.unwrap();
    let kept = store.get_guild_settings(guild).await.unwrap();
    assert_eq!(kept, GuildSettings { commands_hash: Some("abc".into()), ..settings });
    store.upsert_guild_settings(guild, &GuildSettings::default()).await.unwrap();
    store.set_commands_hash(guild, "def").await.unwrap();
    let kept = store.get_guild_settings(guild).await.unwrap();
    let only_commands = Some("def".to_owned());
    assert_eq!(kept, GuildSettings { commands_hash: only_commands, ..GuildSettings::default() });
}

#[tokio::test]
async fn a_report_is_open_once_until_somebody_settles_it() {
    let db = TestDatabase::fresh().await;
    let (store, stage) = (&db.store, stage(&db.store, "one").await);
    let (guild, scene, ann) = (stage.guild, stage.scene.id, stage.person.id);
    let bob = store.upsert_person(guild, "bob", "Bob").await.unwrap().id;
    let turn = store.append_turn(guild, scene, &stage.said("a")).await.unwrap();
    let swipe = turn.swipe.id;
    let first = store.insert_report(guild, scene, turn.id, swipe, ann, "rude").await.unwrap();
    let again = store.insert_report(guild, scene, turn.id, swipe, ann, "very rude").await.unwrap();
    assert_eq!(again, first);
    let others = store.insert_report(guild, scene, turn.id, swipe, bob, "").await.unwrap();
    let open = store.list_reports(guild, true).await.unwrap();
    assert_eq!(open.iter().map(|report| report.id).collect::<Vec<_>>(), [others, first]);
    assert_eq!((open[1].reason.as_str(), open[1].person), ("very rude", ann));

    assert!(store.resolve_report(guild, first, bob).await.unwrap());
    assert!(!store.resolve_report(guild, first, ann).await.unwrap(), "settled already");
    assert_eq!(store.list_reports(guild, true).await.unwrap().len(), 1);
    let all = store.list_reports(guild, false).await.unwrap();
    assert_eq!((all[1].resolved_by, all[1].resolved_at.is_some()), (Some(bob), true));
    let anew = store.insert_report(guild, scene, turn.id, swipe, ann, "again").await.unwrap();
    assert_ne!(anew, first);
}

#[tokio::test]
async fn sessions_begin_one_by_one_and_within_the_days_budget() {
    let db = TestDatabase::fresh().await;
    let store = &db.store;
    let every = Duration::from_secs(5);
    let take = async |bucket| store.take_identify(bucket, every, 3).await.unwrap();
    assert_eq!(take(0).await, IdentifyGrant::Granted);
    assert!(matches!(take(0).await, IdentifyGrant::WaitFor(wait) if wait <= every));
    assert_eq!(take(1).await, IdentifyGrant::Granted, "buckets do not wait for each other");
    db.execute("UPDATE identify SET at = at - interval '6 s'").await;
    assert_eq!(take(0).await, IdentifyGrant::Granted);
    db.execute("UPDATE identify SET at = at - interval '6 s'").await;
    let IdentifyGrant::Exhausted { until } = take(1).await else { panic!("three are spent") };
    let wait = until - SystemClock.now();
    assert!((86_300..86_400).contains(&wait.num_seconds()), "{wait}");
    db.execute("UPDATE identify SET at = at - interval '24 h'").await;
    assert_eq!(take(1).await, IdentifyGrant::Granted);
}

#[tokio::test]
async fn processes_that_ask_at_once_share_the_budget() {
    let db = TestDatabase::fresh().await;
    let mut tasks = tokio::task::JoinSet::new();
    let second = db.second_store().await;
    for n in 0..20 {
        let store = if n % 2 == 0 { db.store.clone() } else { second.clone() };
        tasks.spawn(async move {
            store.take_identify(n % 10, Duration::from_secs(60), 6).await.unwrap()
        });
    }
    let grants = tasks.join_all().await;
    let granted = grants.iter().filter(|grant| **grant == IdentifyGrant::Granted).count();
    assert_eq!(granted, 6);
}

#[tokio::test]
async fn shards_say_how_they_are() {
    let db = TestDatabase::fresh().await;
    let store = &db.store;
    for (shard, num_guilds) in [(1, 20), (0, 10), (0, 11)] {
        store.upsert_shard(shard, 2, num_guilds).await.unwrap();
    }
    let shards = store.list_shards().await.unwrap();
    let said: Vec<_> = shards.iter().map(|s| (s.shard, s.shard_count, s.num_guilds)).collect();
    assert_eq!(said, [(0, 2, 11), (1, 2, 20)]);
    assert!(shards[0].silent_for < Duration::from_secs(60));
}
