//! A scene taken out: the story to read, and all that is known of it.

use dramatis::chat::PersonaScope;
use dramatis::domain::{CharacterSheet, Length, Note, Speaker, SwipeOrigin};
use dramatis::store::NewTurn;
use serde_json::{Value, json};

use super::house::House;
use super::models::tiny;

#[tokio::test]
async fn the_story_reads_as_it_was_told_and_nothing_of_the_tree_is_lost() {
    let house = House::open(tiny()).await;
    let (chat, store, guild) = (&house.chat, &house.db.store, house.guild);
    let mira = CharacterSheet {
        name: "Mira".into(),
        greeting: "Come in.".into(),
        alternate_greetings: vec!["Stay out.".into()],
        scenario: "{{char}} meets {{user}}.".into(),
        tags: vec!["inn".into()],
        ..CharacterSheet::default()
    };
    let mira = house.character(mira).await;
    let odo = house.named("Odo").await;
    let scene = house.open_scene(&[mira.clone(), odo.clone()]).await.unwrap();
    let scene = scene.id;
    let me = house.me.person.id;
    chat.set_persona(guild, PersonaScope::Scene(scene), me, "Ash", "Tall.").await.unwrap();
    chat.set_length(guild, scene, Some(Length::Short)).await.unwrap();
    let note = Note { text: "Rain.".into(), depth: 2 };
    chat.set_note(guild, scene, Some(note)).await.unwrap();

    house.say(scene, "*knocks*\n> Hello, **you**?").await;
    let spoken = NewTurn {
        speaker: Speaker::Character { id: odo.id, name: "Odo".into() },
        text: "Who is there?".into(),
        origin: SwipeOrigin::Generated,
        receipt: Some(json!({ "seed": 7 })),
        alternates: vec!["Go away.".into()],
    };
    store.append_turn(guild, scene, &spoken).await.unwrap();
    chat.remove_from_cast(guild, scene, odo.id).await.unwrap();
    house.say(scene, "Undone words.").await;
    chat.undo(guild, scene).await.unwrap();
    house.say(scene, "Removed words.").await;
    let removed = house.latest(scene).await.id;
    assert!(chat.remove_turn(guild, scene, removed).await.unwrap());
    house.say(scene, "The end.").await;

    let export = chat.export_scene(guild, scene).await.unwrap();
    assert_eq!(export.title, "Mira");
    assert_eq!(
        export.markdown,
        "# Mira\n\n## Scenario\n\nMira meets Ash.\n\n## Cast\n\n- Mira\n\n## Story\n\n\
         **Mira**\n\nCome in.\n\n**Ann**\n\n*knocks*\n> Hello, **you**?\n\n\
         **Odo**\n\nWho is there?\n\n**Ann**\n\nThe end.\n"
    );

    let json: Value = serde_json::from_str(&export.json).unwrap();
    assert_eq!((&json["version"], &json["length"]), (&json!(1), &json!("short")));
    assert_eq!(json["note"], json!({ "text": "Rain.", "depth": 2 }));
    assert_eq!(json["scenario"], "{{char}} meets {{user}}.");
    assert_eq!(json["cast"].as_array().unwrap().len(), 1);
    let sheet: CharacterSheet = serde_json::from_value(json["cast"][0]["sheet"].clone()).unwrap();
    assert_eq!(sheet, mira.sheet);
    assert_eq!(json["former_cast"][0]["id"], json!(odo.id));
    assert_eq!(json["people"][0]["name"], "Ash");
    assert!(!export.json.contains("\"ann\""), "whose words they are elsewhere stays here");

    let turns = json["turns"].as_array().unwrap();
    let texts: Vec<&Value> = turns.iter().map(|turn| &turn["swipes"][0]["text"]).collect();
    assert_eq!(texts.len(), 6, "{texts:?}");
    assert_eq!(turns[0]["swipes"][1]["text"], "Stay out.");
    assert_eq!(turns[2]["swipes"][0]["receipt"], json!({ "seed": 7 }));
    assert_eq!(turns[2]["standing"], 0);
    let removed: Vec<bool> = turns.iter().map(|turn| turn["removed"].as_bool().unwrap()).collect();
    assert_eq!(removed, [false, false, false, false, true, false]);
    for turn in &turns[1..] {
        let parent = turns.iter().find(|other| other["id"] == turn["parent"]).unwrap();
        assert!(parent["id"].as_i64() < turn["id"].as_i64());
    }
    assert_eq!(json["head"], turns[5]["id"]);
}
