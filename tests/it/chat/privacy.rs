//! Whoever leaves takes everything along, and others keep what is theirs.

use std::io::{Cursor, Read};

use dramatis::chat::PersonaScope;
use dramatis::domain::{BoundaryKind, BoundaryOf, Participant};
use dramatis::store::NewBranch;

use super::house::House;
use super::models::tiny;

const CANARY: &str = "the heron of Velmora sleeps";

/// The texts of a scene's turns that are not hers.
async fn of_others(house: &House) -> Vec<(i64, String)> {
    sqlx::query_as(
        "SELECT swipe.id, swipe.text FROM swipe JOIN turn ON turn.id = swipe.turn_id
         WHERE turn.person_id IS NULL
         ORDER BY swipe.id",
    )
    .fetch_all(&house.db.pool)
    .await
    .unwrap()
}

async fn ann(house: &House, scene: dramatis::domain::SceneId) -> Participant {
    house.db.store.list_participants(house.guild, scene).await.unwrap().remove(0)
}

#[tokio::test]
async fn after_an_erasure_no_table_holds_her_words_or_her_id() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    let (guild, chat) = (house.guild, house.chat.clone());
    house.run();
    house.exchange(scene, &format!("Listen: {CANARY}.")).await;
    let turn = house.exchange(scene, "What now?").await;
    let said = house.line(scene).await;
    let her = ann(&house, scene).await.person;
    chat.edit_turn(guild, scene, said[0].id, &format!("Hear me: {CANARY}!")).await.unwrap();
    let persona = chat
        .set_persona(guild, PersonaScope::Guild, her.id, "Velmora", &format!("Of whom {CANARY}."))
        .await;
    persona.unwrap();
    chat.report_turn(guild, scene, turn.id, her.id, CANARY).await.unwrap();
    chat.report_turn(guild, scene, said[0].id, her.id, "my own").await.unwrap();
    let own = BoundaryOf::Person(her.id);
    chat.add_boundary(guild, her.id, own, BoundaryKind::Line, CANARY).await.unwrap();
    let branch = NewBranch { channel: "branch".into(), title: "Branch".into() };
    house.db.store.branch_scene(guild, scene, turn.id, &branch).await.unwrap();
    let before = of_others(&house).await;
    let whole = house.db.dump().await;
    assert!(whole.contains(CANARY) && whole.contains(&her.external_id), "the search finds it");

    let forgotten = chat.forget_person(guild, her.id).await.unwrap();
    house.settled(scene).await;
    assert_eq!(forgotten.num_turns, 4, "two, and their copies in the branch");
    assert!(!forgotten.messages.is_empty());
    let left = house.db.dump().await;
    let ids = [CANARY, "Velmora"];
    for wanted in ids {
        let at = left.lines().find(|line| line.contains(wanted));
        assert_eq!(at, None, "{wanted}");
    }
    let person: (String, String) =
        sqlx::query_as("SELECT external_id, display_name FROM person WHERE id = $1")
            .bind(her.id.0)
            .fetch_one(&house.db.pool)
            .await
            .unwrap();
    assert!(person.0.starts_with("erased:") && person.1 == "somebody", "{person:?}");
    assert_eq!(of_others(&house).await.len(), before.len());
    for (id, text) in before {
        assert!(of_others(&house).await.contains(&(id, text)), "others' words are as they were");
    }
    assert_eq!(house.speakers(scene).await, ["Mira", "Mira"]);
    // Undo brings nothing of it back, and the scene is played on.
    while chat.undo(guild, scene).await.is_ok_and(|undone| undone.is_some()) {}
    assert!(house.line(scene).await.iter().all(|turn| !turn.swipe.text.is_empty()));
    let again = chat.forget_person(guild, her.id).await.unwrap();
    assert_eq!(again.num_turns, 4, "a second time finds nothing more to empty");
    house.stop().await;
}

#[tokio::test]
async fn what_is_kept_goes_out_as_an_archive() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    let (guild, chat) = (house.guild, house.chat.clone());
    house.run();
    house.exchange(scene, CANARY).await;
    let her = ann(&house, scene).await.person;
    let kept = chat.kept_of(guild, her.id).await.unwrap();
    assert_eq!((kept.num_texts, kept.num_scenes, kept.num_cases), (1, 1, 0));
    let own = BoundaryOf::Person(her.id);
    chat.add_boundary(guild, her.id, own, BoundaryKind::Veil, "surgery").await.unwrap();
    chat.agree(guild, her.id).await.unwrap();
    let file = chat.export_person(guild, her.id).await.unwrap();
    let mut zip = zip::ZipArchive::new(Cursor::new(file.bytes)).unwrap();
    let mut read = |name: &str| {
        let mut text = String::new();
        zip.by_name(name).unwrap().read_to_string(&mut text).unwrap();
        text
    };
    assert!(read("README.txt").contains("What others said"));
    assert!(read("stories.md").contains(CANARY));
    let data: serde_json::Value = serde_json::from_str(&read("data.json")).unwrap();
    assert_eq!(data["texts"][0]["text"], CANARY);
    let veil = serde_json::json!([{ "kind": "veil", "text": "surgery" }]);
    assert_eq!(data["lines_and_veils"], veil);
    assert_eq!(data["agreed"]["to_version"], 1);
    assert_eq!(data["texts"].as_array().unwrap().len(), 1, "replies are not hers");
    house.stop().await;
}

#[tokio::test]
async fn whoever_opted_out_is_neither_heard_nor_remembered() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    let (guild, chat) = (house.guild, house.chat.clone());
    house.run();
    house.exchange(scene, CANARY).await;
    let her = ann(&house, scene).await.person;
    assert!(chat.opt_out(guild, her.id, true).await.unwrap());
    assert!(!chat.opt_out(guild, her.id, true).await.unwrap());
    let refused = house.try_say(scene, "Hello?").await.unwrap_err().notice();
    assert!(refused.contains("/privacy optin"), "{refused}");
    assert!(!house.preview(scene).await.contains(CANARY));
    assert!(chat.opt_out(guild, her.id, false).await.unwrap());
    house.say(scene, "Here I am.").await;
    assert!(house.preview(scene).await.contains(CANARY));
    house.stop().await;
}

#[tokio::test]
async fn leaving_lifts_no_block() {
    let house = House::open(tiny()).await;
    let (guild, chat, store) = (house.guild, &house.chat, &house.db.store);
    let mo = store.upsert_person(guild, "mo", "Mo").await.unwrap().id;
    let her = house.me.person.clone();
    chat.block_person(guild, her.id, true, mo, "").await.unwrap();
    chat.forget_person(guild, her.id).await.unwrap();
    let again = store.upsert_person(guild, &her.external_id, "Ann").await.unwrap();
    assert_ne!(again.id, her.id);
    assert!(store.get_standing(guild, again.id).await.unwrap().is_blocked);
    // Only there, and not for ever.
    let other = store.upsert_guild("test", "elsewhere", "Elsewhere").await.unwrap().id;
    let there = store.upsert_person(other, &her.external_id, "Ann").await.unwrap();
    assert!(!store.get_standing(other, there.id).await.unwrap().is_blocked);
    chat.block_person(guild, again.id, false, mo, "").await.unwrap();
    chat.forget_person(guild, again.id).await.unwrap();
    let third = store.upsert_person(guild, &her.external_id, "Ann").await.unwrap();
    assert!(!store.get_standing(guild, third.id).await.unwrap().is_blocked);
}
