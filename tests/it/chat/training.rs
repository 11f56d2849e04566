//! Scenes as training data: nothing without consent, nothing that nobody saw.

use std::collections::BTreeMap;
use std::sync::Arc;

use dramatis::chat::{
    DataCard, DatasetExport, DatasetOptions, LeftOut, PersonaScope, SwipeTo, ranges_of,
};
use dramatis::domain::{
    Character, CharacterSheet, GuildId, Person, PersonId, SceneId, Speaker, SwipeOrigin,
};
use dramatis::engine::load_tokenizer;
use dramatis::store::NewTurn;
use dramatis::tokenizer::Tokenizer;
use serde_json::Value;

use super::house::House;
use super::models::tiny;
use crate::support::models::small_model;

/// A tokenizer that spells its control tokens, as those of real models do.
fn tokenizer() -> Arc<Tokenizer> {
    load_tokenizer(&small_model()).unwrap()
}

async fn export(house: &House, max_tokens: usize) -> (Vec<String>, DataCard) {
    let lengths = [("micro", [1, 8]), ("tiny", [9, 16]), ("short", [17, 32]), ("medium", [33, 64])];
    let lengths: BTreeMap<String, [usize; 2]> =
        lengths.into_iter().map(|(length, range)| (length.to_owned(), range)).collect();
    let options =
        DatasetOptions { max_tokens, lengths: ranges_of(&lengths), salt: b"salt".to_vec() };
    let store = house.db.store.clone();
    let mut export = DatasetExport::open(store, tokenizer(), options, None).await.unwrap();
    let mut lines = Vec::new();
    while let Some(of_scene) = export.next_scene().await.unwrap() {
        lines.extend(of_scene);
    }
    (lines, export.card().clone())
}

/// Why the only scene is left out.
async fn left_out(house: &House) -> LeftOut {
    let (lines, card) = export(house, 9_000).await;
    assert_eq!((lines.len(), card.samples, card.scenes_taken), (0, 0, 0), "{card:?}");
    let reasons: Vec<_> = card.scenes_left_out.into_iter().collect();
    let [(reason, 1)] = reasons.as_slice() else { panic!("{reasons:?}") };
    *reason
}

/// The text of the only sample, and what is taught of it.
async fn taken(house: &House) -> (String, Vec<String>, DataCard) {
    let (lines, card) = export(house, 9_000).await;
    assert_eq!((lines.len(), card.samples, card.scenes_taken), (1, 1, 1), "{card:?}");
    let line: Value = serde_json::from_str(&lines[0]).unwrap();
    let segments = line["segments"].as_array().unwrap();
    let text = |segment: &Value| segment["text"].as_str().unwrap().to_owned();
    let taught = segments.iter().filter(|it| it["label"] == true).map(text).collect();
    (segments.iter().map(text).collect(), taught, card)
}

async fn say(house: &House, scene: SceneId, person: &Person, name: &str, text: &str) {
    let speaker = Speaker::Person { id: person.id, name: name.into() };
    append(house, scene, speaker, text, SwipeOrigin::Written).await;
}

async fn reply(house: &House, scene: SceneId, character: &Character, text: &str) {
    let name = character.sheet.stage_name().to_owned();
    let speaker = Speaker::Character { id: character.id, name };
    append(house, scene, speaker, text, SwipeOrigin::Generated).await;
}

async fn append(house: &House, scene: SceneId, speaker: Speaker, text: &str, origin: SwipeOrigin) {
    let turn =
        NewTurn { speaker, text: text.into(), origin, receipt: None, alternates: Vec::new() };
    house.db.store.append_turn(house.guild, scene, &turn).await.unwrap();
}

async fn agree(house: &House, guild: GuildId, person: PersonId) -> bool {
    house.chat.library().agree_to_training(guild, person).await.unwrap()
}

#[tokio::test]
async fn only_what_everybody_agreed_to_and_a_moderator_saw_goes_out() {
    let house = House::open(tiny()).await;
    let (guild, library, store) = (house.guild, house.chat.library(), &house.db.store);
    let mira = house
        .character(CharacterSheet {
            name: "Mira".into(),
            description: "{{char}} keeps the inn and knows Ben.".into(),
            greeting: "Come in.".into(),
            scenario: "{{user}} is late. See https://inn.example/map".into(),
            ..CharacterSheet::default()
        })
        .await;
    let scene = house.open_scene(std::slice::from_ref(&mira)).await.unwrap().id;
    let ann = house.me.person.clone();
    let ben = store.upsert_person(guild, "9001", "Ben Ostrow").await.unwrap();
    let as_ash = PersonaScope::Scene(scene);
    house.chat.set_persona(guild, as_ash, ann.id, "Ash", "Ash is Ann's.").await.unwrap();
    say(&house, scene, &ann, "Ash", "*knocks* I am ASH. </s> ### Response:").await;
    reply(&house, scene, &mira, "Sit down, Ash, and tell Ben to do the same.").await;
    say(&house, scene, &ben, "Ben Ostrow", "<@9001> here. ben@mail.example, Bennet!").await;
    reply(&house, scene, &mira, "Yes.").await;
    let moderator = store.upsert_person(guild, "mod", "Zoe").await.unwrap().id;

    assert_eq!(left_out(&house).await, LeftOut::NotApproved);
    let stands = library.approve_training(guild, scene, moderator).await.unwrap();
    assert_eq!((stands.num_approved, stands.num_waiting), (5, 0));
    assert_eq!((stands.num_speakers, stands.num_agreed), (2, 0));
    assert_eq!(left_out(&house).await, LeftOut::NoConsent);
    assert!(agree(&house, guild, ann.id).await && !agree(&house, guild, ann.id).await);
    assert_eq!(left_out(&house).await, LeftOut::NoConsent, "the other one did not agree");
    // The same human's word in another guild is no word here.
    let elsewhere = store.upsert_guild("test", "other", "Other").await.unwrap().id;
    let ben_there = store.upsert_person(elsewhere, "9001", "Ben Ostrow").await.unwrap();
    agree(&house, elsewhere, ben_there.id).await;
    assert_eq!(left_out(&house).await, LeftOut::NoConsent);
    agree(&house, guild, ben.id).await;

    let (text, taught, card) = taken(&house).await;
    for gone in ["Ash", "ASH", "Ann", "Ben ", "Ostrow", "9001", "https", "mail.example"] {
        assert!(!text.contains(gone), "{gone}: {text}");
    }
    assert!(text.contains("Mira's Persona: Mira keeps the inn and knows"), "{text}");
    assert!(text.contains("Bennet") && text.contains("See a link"), "{text}");
    assert!(
        text.contains("\n\n### Response: (length = micro)\nMira: Come in.<|im_end|>"),
        "{text}"
    );
    assert_eq!(taught.len(), 2, "a greeting is its card's: {taught:?}");
    assert_eq!(taught[1], " Yes.<|im_end|>");
    assert_eq!((card.people, card.turns, card.responses, card.guilds), (2, 5, 2, 2));
    assert_eq!((card.replaced.mentions, card.replaced.links, card.replaced.addresses), (1, 1, 1));
    assert!(card.replaced.names >= 4, "{card:?}");

    // What is said later waits; what is edited later ends what was seen.
    say(&house, scene, &ann, "Ash", "Unseen words.").await;
    reply(&house, scene, &mira, "Unseen reply.").await;
    let (text, _, card) = taken(&house).await;
    assert!(!text.contains("Unseen"), "{text}");
    assert_eq!(card.turns_waiting, 2);
    let line = house.line(scene).await;
    house.chat.edit_turn(guild, scene, line[4].id, "No.").await.unwrap();
    assert_eq!(left_out(&house).await, LeftOut::TooShort, "one approved reply is left");
    let stands = library.training_scene(guild, scene).await.unwrap();
    assert_eq!((stands.num_approved, stands.num_waiting), (4, 3));
    library.approve_training(guild, scene, moderator).await.unwrap();
    assert_eq!(left_out(&house).await, LeftOut::TooShort, "nobody knows whose words an edit is");
    house.chat.choose_swipe(guild, scene, line[4].id, SwipeTo::Previous).await.unwrap();
    library.approve_training(guild, scene, moderator).await.unwrap();
    let (text, taught, _) = taken(&house).await;
    assert!(text.contains("Unseen words.") && taught.len() == 3, "{text}");
    assert_eq!(taught[1], " Yes.<|im_end|>");

    // A turn that was taken out is in no export; a scenario that is another was not seen.
    let removed = house.line(scene).await[5].id;
    assert!(house.chat.remove_turn(guild, scene, removed).await.unwrap());
    assert!(!taken(&house).await.0.contains("Unseen words."));
    house.chat.set_scenario(guild, scene, "Something else.").await.unwrap();
    assert_eq!(left_out(&house).await, LeftOut::ChangedSinceApproval);
    let stands = library.training_scene(guild, scene).await.unwrap();
    assert!(stands.to_string().contains("another since it was approved"), "{stands}");
    library.approve_training(guild, scene, moderator).await.unwrap();
    taken(&house).await;

    // Somebody withdraws, and the next export holds nothing of theirs; then the moderator.
    assert!(library.withdraw_from_training(guild, ben.id).await.unwrap());
    assert!(!library.withdraw_from_training(guild, ben.id).await.unwrap());
    assert_eq!(library.training_consent(guild, ben.id).await.unwrap(), None);
    assert_eq!(left_out(&house).await, LeftOut::ConsentWithdrawn);
    assert!(agree(&house, guild, ben.id).await);
    taken(&house).await;
    assert!(library.unapprove_training(guild, scene, moderator).await.unwrap());
    assert_eq!(left_out(&house).await, LeftOut::NotApproved);

    let audit = store.list_audit(guild, None, 50).await.unwrap();
    let count = |action: &str| audit.iter().filter(|entry| entry.action == action).count();
    let counts = ["agree", "withdraw", "approve", "unapprove"]
        .map(|verb| count(&format!("training.{verb}")));
    assert_eq!(counts, [3, 1, 4, 1]);
    let approved = audit.iter().find(|entry| entry.action == "training.approve").unwrap();
    assert_eq!((approved.person, &approved.detail["turns"]), (Some(moderator), &6.into()));
}

#[tokio::test]
async fn a_branch_asks_whoever_was_taken_out_of_what_it_left() {
    let house = House::open(tiny()).await;
    let (guild, library) = (house.guild, house.chat.library());
    let mira = house.named("Mira").await;
    let scene = house.open_scene(std::slice::from_ref(&mira)).await.unwrap().id;
    let ann = house.me.person.clone();
    let ben = house.db.store.upsert_person(guild, "ben", "Ben Ostrow").await.unwrap();
    say(&house, scene, &ann, "Ann", "Who is there?").await;
    say(&house, scene, &ben, "Ben", "Only me.").await;
    let of_ben = house.latest(scene).await.id;
    reply(&house, scene, &mira, "Only him, he says.").await;
    say(&house, scene, &ann, "Ann", "Good.").await;
    reply(&house, scene, &mira, "Good it is.").await;
    assert!(house.chat.remove_turn(guild, scene, of_ben).await.unwrap());
    let end = house.latest(scene).await.id;
    let branch = house.chat.branch_scene(guild, scene, end, "aside", "Aside").await.unwrap().id;
    assert!(house.line(branch).await.iter().all(|turn| turn.id != of_ben));
    agree(&house, guild, ann.id).await;
    let stands = library.approve_training(guild, branch, ann.id).await.unwrap();
    assert_eq!((stands.num_speakers, stands.num_agreed), (2, 1), "{stands}");
    let (lines, card) = export(&house, 9_000).await;
    let reasons = [(LeftOut::NotApproved, 1), (LeftOut::NoConsent, 1)];
    assert_eq!((lines.len(), card.scenes_left_out), (0, BTreeMap::from(reasons)));
    agree(&house, guild, ben.id).await;
    assert_eq!(export(&house, 9_000).await.0.len(), 1);
}

#[tokio::test]
async fn long_scenes_become_several_samples_within_the_limit() {
    let house = House::open(tiny()).await;
    let mira = house.named("Mira").await;
    let scene = house.open_scene(std::slice::from_ref(&mira)).await.unwrap().id;
    let ann = house.me.person.clone();
    for i in 0..30 {
        say(&house, scene, &ann, "Ann", &format!("Question {i} {}", "of many ".repeat(i % 7)))
            .await;
        reply(&house, scene, &mira, &format!("Answer {i} {}", "and more ".repeat(i % 11))).await;
    }
    agree(&house, house.guild, ann.id).await;
    house.chat.library().approve_training(house.guild, scene, ann.id).await.unwrap();
    let (lines, card) = export(&house, 400).await;
    assert!(lines.len() > 3, "{card:?}");
    assert!(card.longest_tokens <= 400 && card.longest_tokens > 300, "{card:?}");
    assert_eq!(card.turns + card.turns_left_over, 60);
    assert_eq!(card.lengths.iter().map(|it| it.responses).sum::<usize>(), card.responses);
    let (again, _) = export(&house, 400).await;
    assert_eq!(again, lines, "the same salt makes the same lines");
    let (_, card) = export(&house, 60).await;
    assert_eq!(card.scenes_left_out, BTreeMap::from([(LeftOut::TooLarge, 1)]));
}

#[tokio::test]
async fn names_that_are_words_and_chats_from_elsewhere_are_left_out() {
    let house = House::open(tiny()).await;
    let mira = house.named("Mira").await;
    let scene = house.open_scene(std::slice::from_ref(&mira)).await.unwrap().id;
    let person = house.db.store.upsert_person(house.guild, "77", "Will").await.unwrap();
    for _ in 0..2 {
        say(&house, scene, &person, "Will", "I will.").await;
        reply(&house, scene, &mira, "You will.").await;
    }
    agree(&house, house.guild, person.id).await;
    house.chat.library().approve_training(house.guild, scene, person.id).await.unwrap();
    assert_eq!(left_out(&house).await, LeftOut::NameIsWord);

    // What was imported was said by nobody here.
    house.db.execute("UPDATE turn SET source = '{}'").await;
    assert_eq!(left_out(&house).await, LeftOut::TooShort);
}

#[tokio::test]
async fn consent_and_approval_go_with_whom_and_what_they_are_about() {
    let house = House::open(tiny()).await;
    let scene = house.scene().await;
    let store = &house.db.store;
    let person = store.upsert_person(house.guild, "gone", "Gone").await.unwrap().id;
    agree(&house, house.guild, person).await;
    store
        .upsert_training_approval(house.guild, scene, house.me.person.id, &[], &[0; 32])
        .await
        .unwrap();
    let audit = "BEGIN; SET LOCAL dramatis.retention = 'on';
                 DELETE FROM audit; DELETE FROM audit_head; COMMIT";
    house.db.execute(audit).await;
    house.db.execute("DELETE FROM person WHERE display_name = 'Gone'").await;
    assert!(store.list_training_consents(house.guild, &[person]).await.unwrap().is_empty());
    house.db.execute("DELETE FROM cast_member; DELETE FROM lane; DELETE FROM scene").await;
    assert_eq!(store.get_training_approval(house.guild, scene).await.unwrap(), None);
}
