//! What is set for a scene, and that the model is told.

use dramatis::chat::PersonaScope;
use dramatis::domain::{CharacterSheet, Length, Note};
use dramatis::store::Preset;
use serde_json::json;

use super::house::{House, receipt};
use super::models::tiny;

#[tokio::test]
async fn what_is_set_stands_in_the_prompt() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    let (guild, me) = (house.guild, house.me.person.id);
    house.run();
    house.exchange(scene, "Hello.").await;

    let chat = &house.chat;
    chat.set_scenario(guild, scene, "A storm; {{user}} is wet.").await.unwrap();
    assert!(house.preview(scene).await.contains("\n\nScenario: A storm; Ann is wet.\n"));
    chat.set_length(guild, scene, Some(Length::Huge)).await.unwrap();
    assert!(house.preview(scene).await.ends_with("\n### Response: (length = huge)\nMira:"));
    chat.set_length(guild, scene, None).await.unwrap();
    assert!(house.preview(scene).await.ends_with("\n### Response:\nMira:"));

    let note = Note { text: "Mira is tired.".into(), depth: 1 };
    chat.set_note(guild, scene, Some(note)).await.unwrap();
    let preview = house.preview(scene).await;
    let place = |text: &str| preview.find(text).unwrap_or_else(|| panic!("{text}: {preview}"));
    let note = place("\n### Instruction:\nMira is tired.\n\n### Response:\nMira: ");
    assert!(place("Ann: Hello.") < note);
    chat.set_note(guild, scene, None).await.unwrap();
    assert!(!house.preview(scene).await.contains("tired"));

    chat.set_persona(guild, PersonaScope::Scene(scene), me, " Sir \n Edric ", "A knight.")
        .await
        .unwrap();
    let preview = house.preview(scene).await;
    assert!(preview.contains("\n\nSir Edric's Persona: A knight.\n"), "{preview}");
    assert!(preview.contains("\nAnn: Hello."), "what was said stays under its name: {preview}");
}

#[tokio::test]
async fn the_cast_changes_and_is_told() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    let (guild, me) = (house.guild, house.me.person.id);
    house.run();
    let mira = house.db.store.list_cast(guild, scene).await.unwrap()[0].character.clone();
    let refused = house.chat.remove_from_cast(guild, scene, mira.id).await.unwrap_err();
    assert!(refused.notice().contains("nobody"), "{}", refused.notice());

    let bastian = house.named("Bastian").await;
    house.chat.add_to_cast(guild, scene, &bastian).await.unwrap();
    assert!(house.preview(scene).await.contains("\n\nBastian's Persona: Bastian keeps"));
    house.chat.ask_reply(guild, scene, me, Some(bastian.id), None).await.unwrap();
    house.settled(scene).await;
    house.chat.remove_from_cast(guild, scene, mira.id).await.unwrap();
    house.chat.remove_from_cast(guild, scene, mira.id).await.unwrap_err();
    let preview = house.preview(scene).await;
    assert!(!preview.contains("Mira's Persona"), "{preview}");
    assert!(preview.ends_with("\nBastian:"), "{preview}");
    assert!(preview.contains("### Response:\nBastian: "), "{preview}");
}

#[tokio::test]
async fn two_under_one_name_are_refused() {
    let house = House::open(tiny()).await;
    let scene = house.scene().await;
    let (guild, me) = (house.guild, house.me.person.id);
    let chat = &house.chat;
    let bob = house.db.store.upsert_person(guild, "bob", "Bob").await.unwrap();
    house.db.store.set_scene_persona(guild, scene, bob.id, None).await.unwrap();
    for taken in ["Mira", "mira ", "ＭＩＲＡ", "bob"] {
        let refused =
            chat.set_persona(guild, PersonaScope::Scene(scene), me, taken, "").await.unwrap_err();
        assert!(refused.notice().contains("already"), "{taken}: {}", refused.notice());
    }
    for nothing in ["", " \n", "x".repeat(200).as_str()] {
        chat.set_persona(guild, PersonaScope::Scene(scene), me, nothing, "").await.unwrap_err();
    }
    chat.set_persona(guild, PersonaScope::Scene(scene), me, "Bastian", "").await.unwrap();
    chat.set_persona(guild, PersonaScope::Scene(scene), me, "Bastian", "Changed.").await.unwrap();
    let bastian = house.named("Bastian").await;
    let refused = chat.add_to_cast(guild, scene, &bastian).await.unwrap_err();
    assert!(refused.notice().contains("Bastian"), "{}", refused.notice());
    let other_mira = CharacterSheet {
        name: "Mira of the Hill".into(),
        nickname: Some("MIRA".into()),
        ..CharacterSheet::default()
    };
    let other_mira = house.character(other_mira).await;
    let refused = chat.add_to_cast(guild, scene, &other_mira).await.unwrap_err();
    assert!(refused.notice().contains("MIRA"), "{}", refused.notice());
    assert_eq!(house.db.store.list_cast(guild, scene).await.unwrap().len(), 1);
    let mira = house.db.store.list_cast(guild, scene).await.unwrap()[0].character.clone();
    chat.add_to_cast(guild, scene, &mira).await.expect("who is in it already may stay");
}

#[tokio::test]
async fn a_preset_is_known_before_it_is_chosen_and_kept_with_the_reply() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    let guild = house.guild;
    let refused = house.chat.set_preset(guild, scene, "loud").await.unwrap_err();
    assert!(refused.notice().contains("limarp, neutral, creative"), "{}", refused.notice());
    let loud = Preset { name: "Loud".into(), params: json!({ "temperature": 1.75 }), source: None };
    house.db.store.upsert_preset(guild, &loud).await.unwrap();
    house.chat.set_preset(guild, scene, "loud").await.unwrap();
    house.run();
    let receipt = receipt(&house.exchange(scene, "Hello.").await.swipe);
    assert_eq!((receipt.preset.as_str(), receipt.sampler.temperature), ("loud", 1.75));

    // It goes, or becomes impossible, after it was chosen.
    house.db.store.delete_preset(guild, "loud").await.unwrap();
    house.say(scene, "And now?").await;
    house.settled(scene).await;
    let notice = house.stage.notice(scene, 1).await;
    assert!(notice.contains("there is no preset “loud”"), "{notice}");
    let broken = Preset { name: "Loud".into(), params: json!({ "temperature": -3 }), source: None };
    house.db.store.upsert_preset(guild, &broken).await.unwrap();
    house.say(scene, "And now?").await;
    house.settled(scene).await;
    let notice = house.stage.notice(scene, 2).await;
    assert!(notice.contains("“loud” cannot be used"), "{notice}");
    house.chat.set_preset(guild, scene, "neutral").await.unwrap();
    assert_eq!(house.exchange(scene, "Better?").await.speaker.name(), "Mira");
    assert_eq!(house.speakers(scene).await, ["Ann", "Mira", "Ann", "Ann", "Ann", "Mira"]);
}
