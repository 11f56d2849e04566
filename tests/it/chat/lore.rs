//! Lore in replies: what is called is told, what is told is in the receipt, and what
//! sticks goes with the story.

use dramatis::chat::{
    Arrival, ChatError, EntryChange, KeptLorebook, LoreReport, LorebookDraft, Offered, ReplyReceipt,
};
use dramatis::domain::{CharacterSheet, GuildId, SceneId};
use dramatis::store::LoreScope;

use super::house::House;
use super::models::tiny;

/// World info as SillyTavern writes it, cut down to what it says.
const HARBOUR: &str = r#"{"entries": {
  "0": {"uid": 0, "key": ["harbour"], "keysecondary": [], "comment": "Harbour",
        "content": "The harbour of {{char}} freezes in winter.", "constant": false,
        "selective": true, "order": 100, "position": 0, "disable": false, "sticky": 4,
        "x_other": 1.50},
  "1": {"uid": 1, "key": ["freezes"], "comment": "Ice", "content": "Ice sings at night.",
        "order": 90, "position": 4, "depth": 1, "disable": false},
  "2": {"uid": 2, "key": ["harbour"], "comment": "Off", "content": "Never.", "disable": true}
}}"#;

async fn told(house: &House, scene: SceneId) -> LoreReport {
    house.chat.preview_prompt(house.guild, scene).await.unwrap().lore
}

/// Says something and gives the receipt of what was answered.
async fn receipt_after(house: &House, scene: SceneId, text: &str) -> ReplyReceipt {
    let turn = house.exchange(scene, text).await;
    ReplyReceipt::of(&turn.swipe).expect("a model wrote it")
}

fn names(report: &LoreReport) -> Vec<&str> {
    report.told.iter().map(|told| told.name.as_str()).collect()
}

async fn bring_in(house: &House, name: &str, text: &str) -> dramatis::domain::LorebookId {
    let library = house.chat.library();
    let read = library.read_lorebook(text.into(), Some(name)).await.unwrap();
    let (guild, me) = (house.guild, house.me.person.id);
    library.import_lorebook(guild, me, read, false).await.unwrap().id
}

/// Keeps what nobody has to look at first.
pub(super) async fn offer(house: &House, draft: LorebookDraft) -> Result<KeptLorebook, ChatError> {
    let who = Arrival { person: house.me.person.id, by_moderator: false, place: "lobby" };
    match house.chat.offer_lorebook(house.guild, who, draft).await? {
        Offered::Kept(kept) => Ok(kept),
        Offered::Waits(case) => panic!("it waits under case {case}"),
    }
}

async fn put_to_use(house: &House, book: dramatis::domain::LorebookId, scope: LoreScope, on: bool) {
    let (guild, me) = (house.guild, house.me.person.id);
    house.chat.library().use_lorebook(guild, me, book, scope, on).await.unwrap();
}

#[tokio::test]
async fn a_word_calls_lore_and_lore_calls_more() {
    let mut house = House::open(tiny()).await;
    let mira = house.named("Mira").await;
    let scene = house.open_scene(std::slice::from_ref(&mira)).await.unwrap().id;
    let book = bring_in(&house, "Harbour", HARBOUR).await;
    house.say(scene, "We walk to the harbour.").await;
    assert!(names(&told(&house, scene).await).is_empty(), "no scene uses the book yet");
    put_to_use(&house, book, LoreScope::Scene(scene), true).await;

    let preview = house.chat.preview_prompt(house.guild, scene).await.unwrap();
    assert_eq!(names(&preview.lore), ["Ice", "Harbour"]);
    let text = &preview.prompt.text;
    let before = text.find("The harbour of Mira freezes in winter.").expect("macros are filled in");
    assert!(before < text.find("Mira's Persona").unwrap(), "{text}");
    let deep = text.find("Ice sings at night.").unwrap();
    assert!(deep < text.find("We walk to the harbour.").unwrap(), "a turn stands after it: {text}");
    assert!(!text.contains("Never."));
    assert!(preview.lore.told[0].cause.contains("level 1"), "{:?}", preview.lore.told);
    let sections = &preview.prompt.receipt.sections;
    assert!(sections.iter().any(|section| section.label == "Harbour: Harbour"), "{sections:?}");

    // The reply's receipt says it too, and the harbour sticks for four turns.
    house.say(scene, "And now?").await;
    house.run();
    house.settled(scene).await;
    let receipt = ReplyReceipt::of(&house.latest(scene).await.swipe).expect("a model wrote it");
    assert_eq!(names(&receipt.lore), ["Ice", "Harbour"]);
    let receipt = receipt_after(&house, scene, "Something else entirely.").await;
    assert!(names(&receipt.lore).contains(&"Harbour"), "it sticks: {:?}", receipt.lore);
    let cause = &receipt.lore.told.iter().find(|told| told.name == "Harbour").unwrap().cause;
    assert!(cause.contains("stays"), "{cause}");
    for text in ["One.", "Two.", "Three."] {
        receipt_after(&house, scene, text).await;
    }
    assert!(names(&told(&house, scene).await).is_empty(), "it came to its end");
    house.stop().await;
}

#[tokio::test]
async fn lore_goes_with_characters_scenes_and_the_guild() {
    let house = House::open(tiny()).await;
    let (mira, odo) = (house.named("Mira").await, house.named("Odo").await);
    let scene = house.open_scene(&[mira.clone(), odo.clone()]).await.unwrap().id;
    let book = bring_in(&house, "Harbour", HARBOUR).await;
    house.say(scene, "The harbour!").await;
    for scope in [LoreScope::Guild, LoreScope::Scene(scene), LoreScope::Character(mira.id)] {
        put_to_use(&house, book, scope, true).await;
        assert_eq!(names(&told(&house, scene).await), ["Ice", "Harbour"], "{scope:?}");
        put_to_use(&house, book, scope, false).await;
        assert!(names(&told(&house, scene).await).is_empty(), "{scope:?}");
    }
    // Another character's lore is not told by Mira, who answers first.
    put_to_use(&house, book, LoreScope::Character(odo.id), true).await;
    assert!(names(&told(&house, scene).await).is_empty());
}

#[tokio::test]
async fn a_changed_entry_is_told_from_the_next_reply_on_and_the_rest_stays_as_it_was() {
    let house = House::open(tiny()).await;
    let mira = house.named("Mira").await;
    let scene = house.open_scene(std::slice::from_ref(&mira)).await.unwrap().id;
    let (library, guild, me) = (house.chat.library(), house.guild, house.me.person.id);
    let book = bring_in(&house, "Harbour", HARBOUR).await;
    put_to_use(&house, book, LoreScope::Guild, true).await;
    house.say(scene, "The lantern!").await;
    assert!(names(&told(&house, scene).await).is_empty());

    let change = EntryChange { keys: Some("lantern, /lamp/i".into()), ..EntryChange::default() };
    let kept = library.find_lorebook(guild, "harbour").await.unwrap();
    let stale = kept.clone();
    let (draft, uid) = library.draft_change(kept, "Harbour", &change).unwrap();
    let kept = offer(&house, draft).await.unwrap();
    let entry = kept.entry(&uid).unwrap();
    assert_eq!(entry.keys, ["lantern", "/lamp/i"]);
    assert_eq!(names(&told(&house, scene).await), ["Ice", "Harbour"]);
    let (late, _) = library.draft_change(stale, "Harbour", &change).unwrap();
    let late = offer(&house, late).await.unwrap_err();
    assert!(late.to_string().contains("somebody else changed"), "{late}");
    let kept = library.find_lorebook(guild, "Harbour").await.unwrap();
    let file = library.export_lorebook(&kept, None).unwrap();
    assert_eq!(file.name, "harbour.json");
    let text = String::from_utf8(file.bytes).unwrap();
    assert!(text.contains(r#""x_other":1.50"#), "what we have no use for stays: {text}");

    let refused = EntryChange { keys: Some(" ".into()), ..EntryChange::default() };
    let refused = library.draft_change(kept.clone(), "Ice", &refused).unwrap_err();
    assert!(refused.to_string().contains("nothing would ever call"), "{refused}");
    library.remove_lore(guild, me, kept, "Ice").await.unwrap();
    assert_eq!(names(&told(&house, scene).await), ["Harbour"]);

    // A book that is not there yet is made by its first entry.
    let change = EntryChange {
        keys: Some("lantern".into()),
        content: Some("Lanterns are blue.".into()),
        ..EntryChange::default()
    };
    let (draft, _) = library.draft_entry(guild, "Lights", &change).await.unwrap();
    let made = offer(&house, draft).await.unwrap();
    assert_eq!(made.book.entries.len(), 1);
    let report = house.chat.test_lore(guild, None, Some(&made), "A lantern, and more.").await;
    assert_eq!(names(&report.unwrap()), ["lantern"]);
}

#[tokio::test]
async fn a_test_names_what_stays_silent_and_why() {
    let house = House::open(tiny()).await;
    let mira = house.named("Mira").await;
    let scene = house.open_scene(std::slice::from_ref(&mira)).await.unwrap().id;
    let book = bring_in(&house, "Harbour", HARBOUR).await;
    put_to_use(&house, book, LoreScope::Guild, true).await;
    let report = house.chat.test_lore(house.guild, Some(scene), None, "A gull.").await.unwrap();
    assert!(report.told.is_empty());
    let silent: Vec<_> = report.left_out.iter().map(|left| left.name.as_str()).collect();
    assert_eq!(silent.len(), 3, "{silent:?}");
    let off = report.left_out.iter().find(|left| left.name == "Off").unwrap();
    assert!(off.reason.contains("switched off"), "{}", off.reason);
}

#[tokio::test]
async fn no_guild_is_told_anothers_lore() {
    let house = House::open(tiny()).await;
    let mira = house.named("Mira").await;
    let scene = house.open_scene(std::slice::from_ref(&mira)).await.unwrap().id;
    house.say(scene, "The harbour!").await;
    let store = &house.db.store;
    let other = store.upsert_guild("test", "other", "Other").await.unwrap().id;
    let sheet = CharacterSheet { name: "Mira".into(), ..CharacterSheet::default() };
    store.insert_character(other, &sheet).await.unwrap();
    let foreign = store.insert_lorebook(other, "Harbour", HARBOUR).await.unwrap();
    let use_it = |guild: GuildId| store.set_lorebook_use(guild, foreign.id, LoreScope::Guild, true);
    use_it(other).await.unwrap();
    assert!(use_it(house.guild).await.is_err());
    assert!(names(&told(&house, scene).await).is_empty());
}
