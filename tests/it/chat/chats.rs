//! Chats that were played elsewhere go on here, and go out as they came.

use dramatis::chat::{ChatPlace, ImportedChat, PersonaScope};
use dramatis::domain::{Character, Note, SceneId, SwipeOrigin};
use dramatis::store::Surroundings;

use super::house::House;
use super::models::tiny;

/// A chat of SillyTavern with swipes, a hidden message, and keys that nobody knows.
const CHAT: &str = r#"{"user_name":"Ash","character_name":"Mira","create_date":"2024-6-5 @14h 56m 50s 682ms","chat_metadata":{"note_prompt":"Rain.","note_interval":1,"note_depth":3,"note_position":1,"note_role":0,"scenario":"The inn of {{char}}.","x_meta":1.50}}
{"name":"Mira","is_user":false,"is_system":false,"send_date":"June 5, 2024 2:56pm","mes":"Come in.","extra":{"x":1.0},"swipe_id":1,"swipes":["Stay out.","Come in."],"swipe_info":[{"send_date":"","extra":{"y":2.50}},{"send_date":"","extra":{}}]}
{"name":"System","is_user":false,"is_system":true,"send_date":"June 5, 2024 2:57pm","mes":"A remark.","extra":{}}
{"name":"Ash","is_user":true,"is_system":false,"send_date":"June 5, 2024 2:58pm","mes":" *knocks*\r\n","extra":{}}"#;

async fn import(house: &House, chat: &str, lead: Option<Character>, channel: &str) -> ImportedChat {
    let library = house.chat.library();
    let chat = library.read_chat(chat.into()).await.unwrap();
    let place = ChatPlace {
        channel: channel.into(),
        title: None,
        length: None,
        preset: "limarp".into(),
        surroundings: Surroundings::default(),
    };
    library.import_chat(house.guild, &house.me.person, chat, lead, place).await.unwrap()
}

async fn exported(house: &House, scene: SceneId) -> Vec<String> {
    let file = house.chat.library().export_chat(house.guild, scene).await.unwrap();
    assert!(file.name.ends_with(".jsonl"));
    String::from_utf8(file.bytes).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_chat_goes_on_and_goes_out_as_it_came_with_what_was_said_since() {
    let mut house = House::open(tiny()).await;
    let mira = house.named("Mira").await;
    let imported = import(&house, CHAT, Some(mira.clone()), "7").await;
    assert_eq!((imported.num_turns, imported.made.len()), (2, 0));
    let scene = imported.scene;
    assert_eq!(scene.scenario, "The inn of {{char}}.");
    assert_eq!(scene.note, Some(Note { text: "Rain.".into(), depth: 3 }));
    assert_eq!(house.texts(scene.id).await, ["Come in.", "*knocks*"]);
    assert_eq!(house.speakers(scene.id).await, ["Mira", "Ash"]);
    let came: Vec<String> = CHAT.lines().map(str::to_owned).collect();
    assert_eq!(exported(&house, scene.id).await, came, "to the byte");

    // It is read by the model, and answered.
    house.run();
    let me = house.me.person.id;
    let (guild, ash) = (house.guild, PersonaScope::Scene(scene.id));
    house.chat.set_persona(guild, ash, me, "Ash", "").await.unwrap();
    let reply = house.exchange(scene.id, "Hello?").await;
    assert_eq!(reply.swipe.origin, SwipeOrigin::Generated);
    let prompt = house.prompt_of(&reply).await;
    for told in ["Mira: Come in.", "Ash: *knocks*", "The inn of Mira.", "Rain."] {
        assert!(prompt.contains(told), "{told}\n{prompt}");
    }
    assert!(!prompt.contains("A remark."), "what was hidden stays so");
    house.stop().await;
    let went = exported(&house, scene.id).await;
    assert_eq!(went[..4], came, "what came is as it was");
    assert_eq!(went.len(), 6);
    let last: serde_json::Value = serde_json::from_str(&went[5]).unwrap();
    assert_eq!((&last["name"], &last["is_user"]), (&"Mira".into(), &false.into()));
    assert_eq!(last["mes"], reply.swipe.text.as_str());

    // An edit is another swipe of that line, and the rest of the line stays.
    let first = house.line(scene.id).await[0].id;
    house.chat.edit_turn(guild, scene.id, first, "Do come in.").await.unwrap();
    let went = exported(&house, scene.id).await;
    let line: serde_json::Value = serde_json::from_str(&went[1]).unwrap();
    assert_eq!(line["swipes"], serde_json::json!(["Stay out.", "Come in.", "Do come in."]));
    assert_eq!((&line["mes"], &line["swipe_id"]), (&"Do come in.".into(), &2.into()));
    assert!(went[1].contains(r#""extra":{"x":1.0}"#) && went[1].contains(r#"{"y":2.50}"#));
}

#[tokio::test]
async fn everybody_of_a_group_comes_along_and_who_is_unknown_is_made() {
    let house = House::open(tiny()).await;
    let mira = house.named("Mira").await;
    let group = r#"{"user_name":"unused","character_name":"unused","chat_metadata":{}}
{"name":"Mira","is_user":false,"mes":"One.","original_avatar":"mira.png"}
{"name":"Odo","is_user":false,"mes":"Two.","original_avatar":"odo.png"}
{"name":"Ash","is_user":true,"mes":"Three."}"#;
    let imported = import(&house, group, None, "8").await;
    assert_eq!(imported.made, ["Odo"]);
    let scene = imported.scene.id;
    let cast = house.db.store.list_cast(house.guild, scene).await.unwrap();
    assert_eq!(cast[0].character.id, mira.id);
    assert_eq!(cast[1].character.sheet.name, "Odo");
    assert_eq!(house.speakers(scene).await, ["Mira", "Odo", "Ash"]);
    let came: Vec<String> = group.lines().map(str::to_owned).collect();
    assert_eq!(exported(&house, scene).await, came);
}

#[tokio::test]
async fn a_scene_that_began_here_is_a_chat_elsewhere_and_comes_back_the_same() {
    let mut house = House::open(tiny()).await;
    let mira = house.named("Mira").await;
    let scene = house.open_scene(std::slice::from_ref(&mira)).await.unwrap().id;
    house.run();
    house.exchange(scene, "Hello.").await;
    house.exchange(scene, "And?").await;
    house.stop().await;
    let went = exported(&house, scene).await;
    assert_eq!(went.len(), 5, "a head and four turns");
    let other = House::open(tiny()).await;
    let there = other.named("Mira").await;
    let back = import(&other, &went.join("\n"), Some(there), "9").await.scene.id;
    assert_eq!(other.texts(back).await, house.texts(scene).await);
    assert_eq!(exported(&other, back).await, went);
}

#[tokio::test]
async fn what_is_no_chat_is_refused_and_nothing_is_begun() {
    let house = House::open(tiny()).await;
    let library = house.chat.library();
    for text in ["", "{}", "[1, 2]", "not JSON", r#"{"user_name":"a","chat_metadata":{}}"#] {
        library.read_chat(text.into()).await.unwrap_err();
    }
    let broken = format!("{CHAT}\n{{\"name\": \"x\"");
    let error = library.read_chat(broken.into()).await.unwrap_err().to_string();
    assert!(error.contains("line 5"), "it says where: {error}");
    // A text that is too long: nobody is made for a chat that cannot come in.
    let long = format!(
        "{{\"user_name\":\"a\",\"character_name\":\"New\",\"chat_metadata\":{{}}}}\n\
         {{\"name\":\"New\",\"is_user\":false,\"mes\":\"{}\"}}",
        "x".repeat(1 << 20)
    );
    let refused = library.read_chat(long.into()).await;
    assert!(refused.unwrap_err().to_string().contains("message 1"), "it says which");
    let known = house.db.store.list_characters(house.guild).await.unwrap();
    assert!(known.is_empty());
}
