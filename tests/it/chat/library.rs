//! Characters, personas, openings and reports.

use dramatis::chat::{Opening, PersonaScope};
use dramatis::domain::{CharacterSheet, Length, Participant};

use super::house::House;
use super::models::tiny;

fn sheet(name: &str) -> CharacterSheet {
    CharacterSheet { name: name.into(), ..CharacterSheet::default() }
}

#[tokio::test]
async fn characters_are_made_changed_found_and_put_away_and_who_did_it_is_known() {
    let house = House::open(tiny()).await;
    let (chat, guild, me) = (&house.chat, house.guild, house.me.person.id);
    let wild = CharacterSheet {
        nickname: Some("  ".into()),
        description: " Tall.\r\nQuiet.\u{7} ".into(),
        talkativeness: 7.0,
        ..sheet(" Maren \n Holt ")
    };
    let maren = chat.create_character(guild, me, &wild).await.unwrap();
    assert_eq!((maren.sheet.name.as_str(), &maren.sheet.nickname), ("Maren Holt", &None));
    assert_eq!(maren.sheet.description, "Tall.\nQuiet.");
    assert_eq!(maren.sheet.talkativeness, 1.0);
    let taken = chat.create_character(guild, me, &sheet("maren holt")).await.unwrap_err();
    assert!(taken.notice().contains("choose another name"), "{taken}");
    assert!(chat.create_character(guild, me, &sheet(" \n")).await.is_err());
    chat.create_character(guild, me, &sheet("Bastian Quill")).await.unwrap();

    let renamed = chat.update_character(guild, me, maren.id, &sheet("Mara Holt")).await.unwrap();
    assert_eq!(renamed.id, maren.id);
    assert_eq!(chat.find_character(guild, "MARA").await.unwrap().id, maren.id);
    assert_eq!(chat.find_character(guild, "holt").await.unwrap().id, maren.id);
    let refused = chat.find_character(guild, "Marla Holt").await.unwrap_err();
    assert!(refused.notice().contains("did you mean Mara Holt?"), "{refused}");
    assert_eq!(chat.complete_characters(guild, "").await.unwrap(), ["Bastian Quill", "Mara Holt"]);
    assert_eq!(chat.complete_characters(guild, "h").await.unwrap(), ["Mara Holt"]);
    assert_eq!(chat.complete_characters(guild, "QUI").await.unwrap(), ["Bastian Quill"]);

    chat.archive_character(guild, me, maren.id).await.unwrap();
    assert!(chat.archive_character(guild, me, maren.id).await.is_err());
    assert!(chat.find_character(guild, "Mara").await.is_err());
    let audit = house.db.store.list_audit(guild, None, 9).await.unwrap();
    let actions: Vec<_> = audit.iter().rev().map(|entry| entry.action.as_str()).collect();
    assert_eq!(
        actions,
        ["character.insert", "character.insert", "character.update", "character.archive"]
    );
    assert!(audit.iter().all(|entry| entry.person == Some(me)));

    let other = house.db.store.upsert_guild("test", "other", "Other").await.unwrap().id;
    assert!(chat.find_character(other, "Bastian").await.is_err());
    assert!(chat.complete_characters(other, "").await.unwrap().is_empty());
}

#[tokio::test]
async fn at_most_as_many_names_are_offered_as_platforms_take() {
    let house = House::open(tiny()).await;
    for n in 0..30 {
        house.named(&format!("Guard {n:02}")).await;
    }
    let offered = house.chat.complete_characters(house.guild, "g").await.unwrap();
    assert_eq!((offered.len(), offered[0].as_str()), (25, "Guard 00"));
}

#[tokio::test]
async fn a_persona_is_played_in_the_guild_or_in_one_scene() {
    let house = House::open(tiny()).await;
    let scene = house.scene().await;
    let (chat, guild, me) = (&house.chat, house.guild, house.me.person.id);
    let (everywhere, here) = (PersonaScope::Guild, PersonaScope::Scene(scene));
    let name = async |scope| {
        let persona = chat.persona_of(guild, scope, me).await.unwrap();
        persona.map(|persona| persona.name)
    };
    assert_eq!(name(here).await, None);
    chat.set_persona(guild, everywhere, me, "Ash", "A stranger.").await.unwrap();
    assert_eq!(
        (name(everywhere).await, name(here).await),
        (Some("Ash".into()), Some("Ash".into()))
    );
    chat.set_persona(guild, here, me, "Sir Edric", "").await.unwrap();
    assert_eq!(name(here).await, Some("Sir Edric".into()));
    let me_here = house.db.store.insert_participant(guild, scene, me).await.unwrap();
    assert_eq!(me_here.name(), "Sir Edric");
    assert_eq!(name(everywhere).await, Some("Ash".into()));
    chat.clear_persona(guild, here, me).await.unwrap();
    assert_eq!(name(here).await, Some("Ash".into()));

    // The scene has a Mira, whom nobody may play who is there as in the guild.
    let refused = chat.set_persona(guild, everywhere, me, "mira", "").await.unwrap_err();
    assert!(refused.notice().contains("Mira is in the scene already"), "{refused}");
    chat.clear_persona(guild, everywhere, me).await.unwrap();
    assert_eq!((name(everywhere).await, name(here).await), (None, None));
    let bob = house.db.store.upsert_person(guild, "bob", "Bob").await.unwrap();
    chat.set_persona(guild, everywhere, bob.id, "Mira", "").await.expect("he is in no scene");
    let plain = Participant { person: bob, persona: None };
    assert_eq!(plain.name(), "Bob");
}

#[tokio::test]
async fn a_scene_opens_with_what_is_asked_for_or_as_the_house_has_it() {
    let house = House::open(tiny()).await;
    let (chat, guild) = (&house.chat, house.guild);
    let mira = CharacterSheet { scenario: "An inn.".into(), ..sheet("Mira") };
    let mira = house.character(mira).await;
    let other = CharacterSheet { nickname: Some("MIRA".into()), ..sheet("Mirabel") };
    let other = house.character(other).await;
    let alone = [mira.clone()];
    let plain = chat.open_scene(Opening::new(guild, "1", &alone, "Ann")).await.unwrap();
    assert_eq!((plain.title.as_str(), plain.scenario.as_str()), ("Mira", "An inn."));
    assert_eq!((plain.preset.as_str(), plain.length), ("limarp", Some(Length::Medium)));
    let opening = Opening {
        title: Some(format!(" A\n{}", "long ".repeat(40))),
        scenario: Some("A storm.".into()),
        preset: Some("neutral".into()),
        length: Some(None),
        ..Opening::new(guild, "2", &alone, "Ann")
    };
    let scene = chat.open_scene(opening.clone()).await.unwrap();
    assert!(scene.title.starts_with("A long long") && scene.title.chars().count() == 100);
    assert_eq!((scene.scenario.as_str(), scene.preset.as_str()), ("A storm.", "neutral"));
    assert_eq!(scene.length, None);
    assert_eq!(chat.clear_scenario(guild, scene.id).await.unwrap().scenario, "");

    let unknown = Opening { preset: Some("loud".into()), channel: "3".into(), ..opening };
    assert!(chat.open_scene(unknown).await.unwrap_err().notice().contains("“loud”"));
    let both = [mira, other];
    for opening in
        [Opening::new(guild, "3", &both, "Ann"), Opening::new(guild, "3", &alone, "mira")]
    {
        let refused = chat.open_scene(opening).await.unwrap_err();
        assert!(refused.notice().to_lowercase().contains("called mira"), "{refused}");
    }
    assert_eq!(house.db.store.get_scene_by_channel(guild, "3").await.unwrap(), None);
}

#[tokio::test]
async fn a_characters_own_length_is_set_only_where_it_plays() {
    let house = House::open(tiny()).await;
    let scene = house.scene().await;
    let (chat, guild) = (&house.chat, house.guild);
    let mira = house.db.store.list_cast(guild, scene).await.unwrap()[0].character.id;
    chat.set_cast_length(guild, scene, mira, Some(Length::Tiny)).await.unwrap();
    assert!(house.preview(scene).await.ends_with("(length = tiny)\nMira:"));
    chat.set_cast_length(guild, scene, mira, None).await.unwrap();
    assert!(house.preview(scene).await.ends_with("(length = medium)\nMira:"));
    let odo = house.named("Odo").await.id;
    let refused = chat.set_cast_length(guild, scene, odo, None).await.unwrap_err();
    assert!(refused.notice().contains("not in the scene"), "{refused}");
}

#[tokio::test]
async fn a_report_keeps_which_text_it_was_about() {
    let house = House::open(tiny()).await;
    let scene = house.scene().await;
    let (chat, guild, me) = (&house.chat, house.guild, house.me.person.id);
    house.say(scene, "Rude words.").await;
    let turn = house.latest(scene).await;
    let report = chat.report_turn(guild, scene, turn.id, me, " rude \u{7}").await.unwrap();
    chat.edit_turn(guild, scene, turn.id, "Kind words.").await.unwrap();
    let open = house.db.store.list_reports(guild, true).await.unwrap();
    assert_eq!((open[0].id, open[0].swipe, open[0].reason.as_str()), {
        (report, turn.swipe.id, "rude")
    });
    let elsewhere = house.scene().await;
    assert!(chat.report_turn(guild, elsewhere, turn.id, me, "").await.is_err());
    let audit = house.db.store.list_audit(guild, None, 1).await.unwrap();
    assert_eq!(audit[0].action, "report.insert");
}
