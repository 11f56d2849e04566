//! What the rules hold waits for a moderator, and nothing of it is lost meanwhile.

use dramatis::chat::{Arrival, ChatError, EntryChange, KeptLorebook, Offered, Upon};
use dramatis::domain::{CharacterSheet, PersonId, SceneId};
use dramatis::moderation::{Arrivals, Policy, Verdict, WordRule};
use dramatis::store::{Accepted, Consent, Held, Surroundings};

use super::house::House;
use super::models::tiny;
use super::proofreading::{house, shown};
use crate::support::script::Script;

/// Holds the words “black salt”, and refuses “red salt”.
async fn rules(house: &House) -> PersonId {
    let rule = |term: &str, verdict| WordRule {
        terms: vec![term.to_owned()],
        verdict,
        ..WordRule::default()
    };
    let words = vec![rule("black salt", Verdict::Hold), rule("red salt", Verdict::Refuse)];
    let mo = house.db.store.upsert_person(house.guild, "mo", "Mo").await.unwrap().id;
    let policy = Policy { words, ..Policy::default() };
    house.chat.set_policy(house.guild, "", Some(&policy), mo).await.unwrap();
    mo
}

fn held(refused: ChatError) -> i64 {
    let ChatError::Held { case } = refused else { panic!("{refused}") };
    case
}

async fn say_held(house: &House, scene: SceneId, id: &str, text: &str) -> i64 {
    held(house.deliver(scene, id.to_owned(), text).await.unwrap_err())
}

#[tokio::test]
async fn a_held_message_comes_in_when_it_is_approved_and_stays_out_when_it_is_not() {
    let house = House::open(tiny()).await;
    let scene = house.scene().await;
    let (guild, chat, store) = (house.guild, house.chat.clone(), &house.db.store);
    let mo = rules(&house).await;
    house.say(scene, "Good evening.").await;
    let first = say_held(&house, scene, "h1", "Some black salt, please.").await;
    assert_eq!(say_held(&house, scene, "h1", "Some black salt, please.").await, first);
    house.say(scene, "Or some bread.").await;
    let case = store.get_case(guild, first).await.unwrap().unwrap();
    assert_eq!((case.kind.as_str(), case.reason.as_str()), ("hold", "message: black salt"));
    assert_eq!(case.person, Some(house.me.person.id));
    assert_eq!(store.list_waiting_cases(guild).await.unwrap().len(), 1);
    assert_eq!(house.texts(scene).await, ["Good evening.", "Or some bread."]);

    let decided = chat.approve_case(guild, first, mo, None).await.unwrap();
    assert!(matches!(decided.accepted, Some(Accepted::New { queued: Some(_), .. })), "{decided:?}");
    let texts = ["Good evening.", "Or some bread.", "Some black salt, please."];
    assert_eq!(house.texts(scene).await, texts);
    // Once, whoever asks again and however often it is delivered.
    let again = chat.approve_case(guild, first, mo, None).await.unwrap_err().notice();
    assert!(again.contains("closed already"), "{again}");
    chat.reject_case(guild, first, mo, "rejected").await.unwrap_err();
    let twice = house.deliver(scene, "h1".into(), "Some black salt, please.").await.unwrap();
    assert!(matches!(twice, Accepted::Duplicate { .. }));
    assert_eq!(house.texts(scene).await, texts);

    // Nothing comes in while everything is stopped, nor from whoever takes their word back.
    let waits = say_held(&house, scene, "h0", "Black salt, I said.").await;
    chat.freeze_guild(guild, mo, "").await.unwrap();
    let frozen = chat.approve_case(guild, waits, mo, None).await.unwrap_err().notice();
    assert!(frozen.contains("frozen"), "{frozen}");
    chat.unfreeze_guild(guild, mo).await.unwrap();
    store.set_guild_consent(guild, Consent::Asked).await.unwrap();
    let absent = chat.approve_case(guild, waits, mo, None).await.unwrap_err().notice();
    assert!(absent.contains("not heard"), "{absent}");
    store.set_guild_consent(guild, Consent::Assumed).await.unwrap();
    chat.reject_case(guild, waits, mo, "rejected").await.unwrap();

    let second = say_held(&house, scene, "h2", "More black salt!").await;
    chat.reject_case(guild, second, mo, "rejected").await.unwrap();
    assert_eq!(house.texts(scene).await, texts);
    // An appeal opens it again, and then it may come in after all; edited it is read again.
    chat.appeal_case(guild, second, house.me.person.id, "It is for the soup.").await.unwrap();
    let refused = chat.approve_case(guild, second, mo, Some("More red salt!")).await.unwrap_err();
    assert!(refused.notice().contains("red salt"), "{refused}");
    chat.approve_case(guild, second, mo, Some("More salt!")).await.unwrap();
    assert_eq!(house.texts(scene).await.last().unwrap(), "More salt!");
    assert!(store.list_waiting_cases(guild).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_waits_follows_its_person_and_goes_with_them() {
    let house = House::open(tiny()).await;
    let scene = house.scene().await;
    let (guild, chat, store) = (house.guild, house.chat.clone(), &house.db.store);
    let mo = rules(&house).await;
    let case = say_held(&house, scene, "h1", "Black salt.").await;
    assert!(chat.edit_held(guild, "h1", "Black salt, a little.").await.unwrap());
    assert!(!chat.edit_held(guild, "other", "x").await.unwrap());
    let waits = store.get_held(guild, case).await.unwrap().unwrap();
    assert_eq!(waits.held.text(), Some("Black salt, a little."));
    assert!(chat.withdraw_held(guild, "h1").await.unwrap());
    assert!(!chat.withdraw_held(guild, "h1").await.unwrap());
    chat.approve_case(guild, case, mo, None).await.unwrap_err();
    assert!(house.texts(scene).await.is_empty());

    // Whoever is not heard says nothing through the queue, either.
    let case = say_held(&house, scene, "h2", "Black salt.").await;
    let me = house.me.person.id;
    let muted = chat.act_upon_case(guild, case, Upon::Block, mo).await.unwrap();
    let refused = chat.approve_case(guild, case, mo, None).await.unwrap_err().notice();
    assert!(refused.contains("not heard"), "{refused}");
    let warned = chat.act_upon_case(guild, case, Upon::Warn, mo).await.unwrap();
    let twice = chat.act_upon_case(guild, case, Upon::Warn, mo).await.unwrap_err().notice();
    assert!(twice.contains(&format!("case {warned}")), "{twice}");
    let done = store.list_following_cases(guild, case).await.unwrap();
    let done: Vec<(i64, &str)> = done.iter().map(|it| (it.number, it.kind.as_str())).collect();
    assert_eq!(done, [(muted, "block"), (warned, "warn")]);
    chat.block_person(guild, me, false, mo, "").await.unwrap();
    chat.act_upon_case(guild, case, Upon::Freeze, mo).await.unwrap();
    let refused = chat.approve_case(guild, case, mo, None).await.unwrap_err().notice();
    assert!(refused.contains("frozen"), "{refused}");
    chat.unfreeze_scene(guild, scene, mo).await.unwrap();

    chat.forget_person(guild, me).await.unwrap();
    assert_eq!(store.get_held(guild, case).await.unwrap(), None);
    let gone = chat.approve_case(guild, case, mo, None).await.unwrap_err().notice();
    assert!(gone.contains("its person left"), "{gone}");
}

#[tokio::test]
async fn a_held_edit_leaves_the_turn_as_it_was() {
    let house = House::open(tiny()).await;
    let scene = house.scene().await;
    let (guild, chat) = (house.guild, house.chat.clone());
    let mo = rules(&house).await;
    house.say(scene, "Bread, please.").await;
    let turn = house.latest(scene).await.id;
    let edit = async |text: &str| held(chat.edit_turn(guild, scene, turn, text).await.unwrap_err());
    let first = edit("Black salt, please.").await;
    assert_eq!(edit("Black salt, please.").await, first, "the same is held once");
    let second = edit("Black salt!").await;
    assert_eq!(house.texts(scene).await, ["Bread, please."]);
    chat.reject_case(guild, second, mo, "rejected").await.unwrap();
    assert_eq!(house.texts(scene).await, ["Bread, please."]);
    chat.approve_case(guild, first, mo, None).await.unwrap();
    assert_eq!(house.texts(scene).await, ["Black salt, please."]);
}

#[tokio::test]
async fn a_held_reply_is_seen_by_nobody_until_it_is_approved() {
    let script = Script::start(&[
        "She opens the chest and shows him the black salt that came with the last ship.",
        "She closes the chest again, sits down on it, and waits for him to say something.",
        "There is black salt behind it, too, and a dog that has slept there since the morning.",
    ])
    .await;
    let mut house = house(&script, &[]).await;
    let scene = house.scene().await;
    let (guild, chat) = (house.guild, house.chat.clone());
    let mo = rules(&house).await;
    house.say(scene, "What is in it?").await;
    house.settled(scene).await;
    let notice = house.stage.notice(scene, 1).await;
    assert!(notice.contains("moderators look at that first (case 1)"), "{notice}");
    assert!(shown(&house, scene).iter().all(|text| !text.contains("black")));
    assert_eq!(house.speakers(scene).await, ["Ann"]);
    // The scene goes on, and it comes at its end once it may.
    house.exchange(scene, "And then?").await;
    chat.approve_case(guild, 1, mo, None).await.unwrap();
    house.settled(scene).await;
    assert_eq!(house.speakers(scene).await, ["Ann", "Ann", "Mira", "Mira"]);
    let turn = house.latest(scene).await;
    assert!(turn.swipe.text.contains("black salt") && turn.swipe.receipt.is_some());
    assert_eq!(script.asked().len(), 2, "nothing was written again");

    house.say(scene, "And behind it?").await;
    house.settled(scene).await;
    chat.reject_case(guild, 2, mo, "rejected").await.unwrap();
    assert_eq!(house.speakers(scene).await.last().unwrap(), "Ann");
    house.stop().await;
}

#[tokio::test]
async fn what_cannot_be_checked_waits_among_adults_and_is_refused_elsewhere() {
    let house = House::open(tiny()).await;
    let scene = house.scene().await;
    let (guild, chat, store) = (house.guild, house.chat.clone(), &house.db.store);
    let mo = rules(&house).await;
    let broken = serde_json::json!({ "rating": "everything" });
    store.upsert_policy(guild, "", &broken).await.unwrap();
    let refused = house.try_say(scene, "Hello?").await.unwrap_err();
    assert!(matches!(refused, ChatError::Refused(_)), "{refused}");
    let adults = Surroundings { places: Vec::new(), age_restricted: true };
    store.set_surroundings(guild, scene, &adults).await.unwrap();
    let case = say_held(&house, scene, "h1", "Hello?").await;
    let kept = store.get_case(guild, case).await.unwrap().unwrap();
    assert!(kept.reason.contains("cannot be read"), "{}", kept.reason);
    let always = house.try_say(scene, "Draw a lewd schoolgirl.").await.unwrap_err();
    assert!(always.notice().contains("minors"), "{always}");
    chat.approve_case(guild, case, mo, None).await.unwrap();
    assert_eq!(house.texts(scene).await, ["Hello?"]);
}

#[tokio::test]
async fn characters_of_members_wait_and_the_approved_version_stays_in_play() {
    let house = House::open(tiny()).await;
    let (guild, chat, store) = (house.guild, house.chat.clone(), &house.db.store);
    let mo = rules(&house).await;
    let policy = Policy { characters: Arrivals::Reviewed, ..Policy::default() };
    chat.set_policy(guild, "", Some(&policy), mo).await.unwrap();
    let ann = Arrival { person: house.me.person.id, by_moderator: false, place: "lobby" };
    let by_mo = Arrival { person: mo, by_moderator: true, place: "lobby" };
    let sheet = |description: &str| CharacterSheet {
        name: "Ada".into(),
        description: description.into(),
        ..CharacterSheet::default()
    };
    let waits = |offered: Offered<dramatis::domain::Character>| match offered {
        Offered::Waits(case) => case,
        Offered::Kept(character) => panic!("{character:?} was looked at by nobody"),
    };
    let first = chat.offer_character(guild, ann, None, &sheet("She hums. She mends nets.")).await;
    let first = waits(first.unwrap());
    assert!(chat.find_character(guild, "Ada").await.is_err(), "nobody can cast her");
    assert!(store.list_characters(guild).await.unwrap().is_empty());
    chat.approve_case(guild, first, mo, None).await.unwrap();
    let ada = chat.find_character(guild, "Ada").await.unwrap();
    let maker = serde_json::json!({ "character": ada.id });
    let maker = store.get_audit_person(guild, &["character.insert"], &maker).await.unwrap();
    assert_eq!(maker, Some(ann.person), "she is whose she is");

    let edit = sheet("She sings. She mends nets.");
    let second = waits(chat.offer_character(guild, ann, Some(ada.id), &edit).await.unwrap());
    assert_eq!(chat.find_character(guild, "Ada").await.unwrap(), ada);
    let case = store.get_case(guild, second).await.unwrap().unwrap();
    let difference = case.evidence.unwrap()["text"].as_str().unwrap().to_owned();
    assert!(difference.contains("-She hums.\n+She sings.\n"), "{difference}");
    chat.reject_case(guild, second, mo, "rejected").await.unwrap();
    assert_eq!(chat.find_character(guild, "Ada").await.unwrap(), ada);
    let third = waits(chat.offer_character(guild, ann, Some(ada.id), &edit).await.unwrap());
    chat.approve_case(guild, third, mo, None).await.unwrap();
    assert_eq!(chat.find_character(guild, "Ada").await.unwrap().sheet, edit);

    // A card in her place waits as a whole, its lore included.
    let card = br#"{"spec": "chara_card_v2", "spec_version": "2.0", "data": {"name": "Ada",
        "description": "She whistles.", "character_book": {"entries": [
        {"keys": ["net"], "content": "Nets are holy.", "extensions": {}, "enabled": true,
         "insertion_order": 1}], "extensions": {}}}}"#;
    let card = chat.library().read_card(card.to_vec()).await.unwrap();
    let Offered::Waits(fourth) = chat.offer_card(guild, ann, card, Some(ada.id)).await.unwrap()
    else {
        panic!("it was looked at by nobody")
    };
    assert_eq!(chat.find_character(guild, "Ada").await.unwrap().sheet, edit);
    assert!(store.list_lorebooks(guild).await.unwrap().is_empty());
    chat.approve_case(guild, fourth, mo, None).await.unwrap();
    assert_eq!(chat.find_character(guild, "Ada").await.unwrap().sheet.description, "She whistles.");
    assert_eq!(store.list_lorebooks(guild).await.unwrap().len(), 1);
    assert_eq!(store.list_characters(guild).await.unwrap().len(), 1);

    let kept = chat.offer_character(guild, by_mo, Some(ada.id), &edit).await.unwrap();
    assert!(matches!(kept, Offered::Kept(_)), "moderators wait for nobody");
    let held = store.get_held(guild, fourth).await.unwrap().unwrap();
    assert!(held.is_approved && matches!(held.held, Held::Character { .. }), "{held:?}");
}

#[tokio::test]
async fn lorebooks_wait_and_the_approved_version_is_told_meanwhile() {
    let house = House::open(tiny()).await;
    let (guild, chat, store) = (house.guild, house.chat.clone(), &house.db.store);
    let library = chat.library();
    let mo = rules(&house).await;
    let ann = Arrival { person: house.me.person.id, by_moderator: false, place: "lobby" };
    let waits = |offered: Offered<KeptLorebook>| match offered {
        Offered::Waits(case) => case,
        Offered::Kept(kept) => panic!("{} was looked at by nobody", kept.name),
    };
    let told = |keys: &str, text: &str| EntryChange {
        keys: Some(keys.into()),
        content: Some(text.into()),
        ..EntryChange::default()
    };
    let new = told("salt", "Black salt is mined at night.");
    let (draft, _) = library.draft_entry(guild, "Mines", &new).await.unwrap();
    let first = waits(chat.offer_lorebook(guild, ann, draft.clone()).await.unwrap());
    assert!(store.list_lorebooks(guild).await.unwrap().is_empty());
    let case = store.get_case(guild, first).await.unwrap().unwrap();
    let difference = case.evidence.unwrap()["text"].as_str().unwrap().to_owned();
    assert!(difference.contains("salt\n+Black salt is mined at night.\n"), "{difference}");
    let refused = chat.approve_case(guild, first, mo, Some("else")).await.unwrap_err().notice();
    assert!(refused.contains("/lore edit"), "{refused}");
    chat.approve_case(guild, first, mo, None).await.unwrap();
    let mines = library.find_lorebook(guild, "mines").await.unwrap();
    assert_eq!(mines.book.entries.len(), 1);
    let maker = serde_json::json!({ "lorebook": mines.id });
    let maker = store.get_audit_person(guild, &["lorebook.insert"], &maker).await.unwrap();
    assert_eq!(maker, Some(ann.person), "it is whose it is");

    // A change waits and shows what is other; a second one comes too late.
    let (change, late) = ("Black salt is white.", "Black salt is grey.");
    let draft = |text| library.draft_change(mines.clone(), "salt", &told("salt", text)).unwrap().0;
    let second = waits(chat.offer_lorebook(guild, ann, draft(change)).await.unwrap());
    let third = waits(chat.offer_lorebook(guild, ann, draft(late)).await.unwrap());
    let case = store.get_case(guild, second).await.unwrap().unwrap();
    let difference = case.evidence.unwrap()["text"].as_str().unwrap().to_owned();
    let wanted = "-Black salt is mined at night.\n+Black salt is white.\n";
    assert!(difference.contains(wanted), "{difference}");
    assert_eq!(library.find_lorebook(guild, "Mines").await.unwrap().book, mines.book);
    chat.approve_case(guild, second, mo, None).await.unwrap();
    let refused = chat.approve_case(guild, third, mo, None).await.unwrap_err().notice();
    assert!(refused.contains("changed since"), "{refused}");
    chat.reject_case(guild, third, mo, "rejected").await.unwrap();
    let mines = library.find_lorebook(guild, "Mines").await.unwrap();
    assert_eq!(mines.book.entries[0].content, change);

    // The rules hold for moderators too, and what they refuse nobody is asked about. Taking
    // an entry out is asked of nobody.
    let by_mo = Arrival { person: mo, by_moderator: true, place: "lobby" };
    let (draft, _) = library.draft_entry(guild, "Mines", &told("red", "Red salt.")).await.unwrap();
    let refused = chat.offer_lorebook(guild, by_mo, draft).await.unwrap_err().notice();
    assert!(refused.contains("red salt"), "{refused}");
    library.remove_lore(guild, ann.person, mines, "salt").await.unwrap();

    // A card waits for the sake of its lore alone, which moderators read.
    let card = br#"{"spec": "chara_card_v2", "spec_version": "2.0", "data": {"name": "Ada",
        "description": "She whistles.", "character_book": {"entries": [
        {"keys": ["salt"], "content": "Black salt is hers.", "extensions": {}, "enabled": true,
         "insertion_order": 1}], "extensions": {}}}}"#;
    let card = library.read_card(card.to_vec()).await.unwrap();
    let Offered::Waits(fourth) = chat.offer_card(guild, ann, card, None).await.unwrap() else {
        panic!("it was looked at by nobody")
    };
    let case = store.get_case(guild, fourth).await.unwrap().unwrap();
    let difference = case.evidence.unwrap()["text"].as_str().unwrap().to_owned();
    assert!(difference.contains("+Black salt is hers."), "{difference}");
    chat.approve_case(guild, fourth, mo, None).await.unwrap();
    assert!(chat.find_character(guild, "Ada").await.is_ok());
}
