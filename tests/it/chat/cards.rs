//! Characters that come as cards and go as cards.

use dramatis::chat::ImportedCharacter;
use dramatis::domain::{CharacterSheet, DepthPrompt, PromptRole};
use dramatis::formats::Limits;
use dramatis::formats::card::{CardFile, Container, Version};
use serde_json::{Value, json};

use super::house::House;
use super::models::tiny;

/// A card of V3 with something of everything, and keys that nobody knows.
fn card() -> String {
    json!({
        "spec": "chara_card_v3",
        "spec_version": "3.0",
        "x_top": [1.5, "\u{e9}"],
        "data": {
            "name": " Seren ",
            "nickname": "Ren",
            "description": "{{char}} keeps bees.\r\n",
            "personality": "patient",
            "scenario": "A garden.",
            "first_mes": "*looks up* Hello, {{user}}.",
            "mes_example": "<START>\n{{user}}: Hi.\n{{char}}: Mind the bees.",
            "alternate_greetings": ["Oh, it is you."],
            "group_only_greetings": ["All of you?"],
            "system_prompt": "{{original}} Speak slowly.",
            "post_history_instructions": "Mention bees.",
            "creator_notes": "For gardeners.",
            "creator": "me",
            "character_version": "1.0",
            "tags": ["bees", "calm"],
            "extensions": {
                "talkativeness": "0.8",
                "depth_prompt": { "prompt": "Ren hums.", "depth": 1, "role": "system" },
                "x_other": { "a": null }
            },
            "character_book": {
                "name": "Hive",
                "extensions": {},
                "entries": [{
                    "keys": ["honey"], "content": "Honey is money here.", "extensions": {},
                    "enabled": true, "insertion_order": 5, "use_regex": false, "x_entry": 1.0
                }]
            },
            "assets": [],
            "x_data": "kept"
        }
    })
    .to_string()
}

async fn import(house: &House, bytes: Vec<u8>) -> ImportedCharacter {
    let library = house.chat.library();
    let card = library.read_card(bytes).await.unwrap();
    library.import_character(house.guild, house.me.person.id, card, None).await.unwrap()
}

async fn exported(house: &House, of: &ImportedCharacter, container: Container) -> CardFile {
    let library = house.chat.library();
    let id = of.character.id;
    let file = library.export_character(house.guild, id, container, Version::V3).await.unwrap();
    CardFile::read(&file.bytes, &Limits::default()).unwrap()
}

#[tokio::test]
async fn everything_in_a_card_does_what_it_says() {
    let mut house = House::open(tiny()).await;
    let imported = import(&house, card().into_bytes()).await;
    assert_eq!(imported.num_lore_entries, 1);
    let sheet = &imported.character.sheet;
    assert_eq!((sheet.name.as_str(), sheet.stage_name()), ("Seren", "Ren"));
    assert_eq!((sheet.talkativeness, sheet.tags.len()), (0.8, 2));
    let prompt = DepthPrompt { text: "Ren hums.".into(), depth: 1, role: PromptRole::System };
    assert_eq!(sheet.depth_prompt, Some(prompt));

    let scene = house.open_scene(std::slice::from_ref(&imported.character)).await.unwrap().id;
    let greeting = house.latest(scene).await;
    assert_eq!((greeting.swipe.text.as_str(), greeting.num_swipes), ("*looks up* Hello, Ann.", 2));
    house.say(scene, "Is there honey?").await;
    let text = house.preview(scene).await;
    for told in [
        "Ren's Persona: Ren keeps bees.",
        "Speak slowly.",
        "Mention bees.",
        "Ren hums.",
        "Honey is money here.",
        "Mind the bees.",
    ] {
        assert!(text.contains(told), "{told}\n{text}");
    }
    assert!(!text.contains("For gardeners"), "notes to people are no prompt");
    house.run();
    house.settled(scene).await;
    house.stop().await;

    // In company there are more ways to begin.
    let odo = house.named("Odo").await;
    let opening = dramatis::chat::Opening::new(house.guild, "2", &[], "Ann");
    let cast = [imported.character.clone(), odo];
    let opening = dramatis::chat::Opening { cast: &cast, ..opening };
    let both = house.chat.open_scene(opening).await.unwrap();
    assert_eq!(house.latest(both.id).await.num_swipes, 3);
}

#[tokio::test]
async fn a_card_goes_out_as_it_came_and_only_changes_are_changed() {
    let house = House::open(tiny()).await;
    let imported = import(&house, card().into_bytes()).await;
    let came: Value = serde_json::from_str(&card()).unwrap();
    for container in [Container::Json, Container::Png, Container::Charx] {
        let out = exported(&house, &imported, container).await;
        let went: Value = serde_json::from_str(&out.card.to_json()).unwrap();
        assert_eq!(went["data"]["x_data"], "kept");
        if container == Container::Json {
            assert_eq!(went, came, "as it came, untidy spaces included");
        }
        assert_eq!(out.card.to_sheet().name, " Seren ");
    }
    // Once more into a library: the same character.
    let png = house
        .chat
        .library()
        .export_character(house.guild, imported.character.id, Container::Png, Version::V3)
        .await
        .unwrap();
    let other = House::open(tiny()).await;
    let again = import(&other, png.bytes).await;
    assert_eq!(again.character.sheet, imported.character.sheet);
    assert_eq!(again.num_lore_entries, 1);

    let (guild, me) = (house.guild, house.me.person.id);
    let sheet =
        CharacterSheet { personality: "less patient".into(), ..imported.character.sheet.clone() };
    house.chat.update_character(guild, me, imported.character.id, &sheet).await.unwrap();
    let library = house.chat.library();
    let kept = library.find_lorebook(guild, "Hive").await.unwrap();
    let change = dramatis::chat::EntryChange { order: Some(9), ..Default::default() };
    let (draft, _) = library.draft_change(kept, "honey", &change).unwrap();
    super::lore::offer(&house, draft).await.unwrap();
    let out = exported(&house, &imported, Container::Json).await;
    let went: Value = serde_json::from_str(&out.card.to_json()).unwrap();
    let mut wanted = came;
    wanted["data"]["personality"] = "less patient".into();
    wanted["data"]["character_book"]["entries"][0]["insertion_order"] = 9.into();
    assert_eq!(went, wanted);
}

#[tokio::test]
async fn what_is_no_card_is_refused_and_nothing_is_kept() {
    let house = House::open(tiny()).await;
    let library = house.chat.library();
    for bytes in [&b"not a card"[..], b"{}", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04", b""] {
        library.read_card(bytes.to_vec()).await.unwrap_err();
    }
    let nameless = card().replace(" Seren ", " ").replace("\"Ren\"", "\"\"");
    library.read_card(nameless.into_bytes()).await.unwrap_err();
    import(&house, card().into_bytes()).await;
    let again = library.read_card(card().into_bytes()).await.unwrap();
    let namesake = library.namesake(house.guild, &again).await.unwrap().unwrap();
    let (guild, me) = (house.guild, house.me.person.id);
    let refused = library.import_character(guild, me, again, None).await;
    assert!(refused.is_err(), "the name is taken");
    assert_eq!(library.lorebooks(guild).await.unwrap().len(), 1, "not a second book");
    let again = library.read_card(card().into_bytes()).await.unwrap();
    library.import_character(guild, me, again, Some(namesake.id)).await.unwrap();
    assert_eq!(library.lorebooks(guild).await.unwrap().len(), 1, "the old one went");
}
