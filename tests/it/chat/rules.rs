//! What the rules of a place forbid is neither taken, nor read by the model, nor shown.

use dramatis::chat::{Arrival, ChatError, EntryChange, Message, PersonaScope, SwipeTo, roll};
use dramatis::domain::{CharacterSheet, Note, PersonId, SwipeOrigin};
use dramatis::moderation::{Door, Policy, QuietHours, Verdict, WordRule};
use dramatis::store::{NewSwipe, RuleHits, Surroundings};

use super::house::House;
use super::models::tiny;
use super::proofreading::{house, shown};
use crate::support::script::Script;

/// A policy that has this verdict on the words “black salt”.
fn salt(verdict: Verdict) -> Policy {
    let words = WordRule { terms: vec!["black salt".into()], verdict, ..WordRule::default() };
    Policy { words: vec![words], ..Policy::default() }
}

async fn write_down(house: &House, place: &str, policy: &Policy) -> PersonId {
    let mo = house.db.store.upsert_person(house.guild, "mo", "Mo").await.unwrap().id;
    house.chat.set_policy(house.guild, place, Some(policy), mo).await.unwrap();
    mo
}

#[tokio::test]
async fn a_forbidden_message_is_refused_and_the_stricter_of_all_places_counts() {
    let house = House::open(tiny()).await;
    let scene = house.scene().await;
    let mo = write_down(&house, "", &salt(Verdict::Redact)).await;
    house.say(scene, "We trade in black salt here.").await;
    let covered = house.texts(scene).await.pop().unwrap();
    assert_eq!(covered, "We trade in ▒▒▒▒▒ ▒▒▒▒ here.");
    // In another place it says nothing here; in the scene's own or around it, it does.
    write_down(&house, "elsewhere", &salt(Verdict::Refuse)).await;
    house.say(scene, "More black salt.").await;
    write_down(&house, "harbour", &salt(Verdict::Refuse)).await;
    let around = Surroundings { places: vec!["harbour".into()], age_restricted: false };
    house.db.store.set_surroundings(house.guild, scene, &around).await.unwrap();
    for text in ["Even more black salt.", "b l a c k s a l t", "bl\u{430}ck-s4lt"] {
        let refused = house.try_say(scene, text).await.unwrap_err().notice();
        assert!(refused.contains("the rules here do not allow that (black salt)"), "{refused}");
    }
    let turn = house.latest(scene).await;
    let edit = house.chat.edit_turn(house.guild, scene, turn.id, "Black salt!").await;
    assert!(edit.unwrap_err().notice().contains("black salt"));
    // No other way in is open: what dice fall for, reposts, notes, names.
    let (guild, chat) = (house.guild, &house.chat);
    let dice = roll("1d6", Some("black salt")).unwrap();
    let rolled = chat.accept_roll(guild, scene, &house.me, "roll".into(), &dice).await;
    assert!(rolled.unwrap_err().notice().contains("black salt"));
    let repost = Message {
        guild,
        scene,
        author: &house.me,
        external_id: "repost".into(),
        text: "Black salt again.",
        answer: None,
    };
    let repost = chat.accept_unanswered(repost).await;
    assert!(repost.unwrap_err().notice().contains("black salt"));
    let note = Note { text: "Mind the black salt.".into(), depth: 2 };
    let note = chat.set_note(guild, scene, Some(note)).await;
    assert!(note.unwrap_err().notice().contains("black salt"));
    write_down(&house, "", &salt(Verdict::Refuse)).await;
    let persona = chat.set_persona(guild, PersonaScope::Guild, mo, "Black Salt", "").await;
    assert!(persona.unwrap_err().notice().contains("black salt"));
    write_down(&house, "", &salt(Verdict::Redact)).await;
    let trial = house.chat.try_rules(house.guild, scene).await.unwrap();
    assert_eq!(trial.num_met, 0, "what was covered is not met again: {trial:?}");
    house.chat.set_policy(house.guild, "harbour", None, mo).await.unwrap();
    house.chat.set_policy(house.guild, "", None, mo).await.unwrap();
    house.say(scene, "Black salt!").await;
}

#[tokio::test]
async fn what_the_model_writes_is_checked_before_anybody_sees_it() {
    let script = Script::start(&[
        "She opens the chest and shows him the black salt that came with the last ship.",
        "She opens the chest, and it is full of grey wool and nothing else at all, she says.",
        "Only black salt.",
        "Black salt, black salt.",
        "B-l-a-c-k s-a-l-t.",
    ])
    .await;
    let mut house = house(&script, &[]).await;
    let scene = house.scene().await;
    write_down(&house, "", &salt(Verdict::Reroll)).await;
    let turn = house.exchange(scene, "What is in it?").await;
    assert!(turn.swipe.text.contains("grey wool"), "{}", turn.swipe.text);
    assert_eq!(script.asked().len(), 2, "it was asked once more, unseen");
    // Where it writes nothing else nobody sees any of it, and people are told.
    house.exchange(scene, "And behind it?").await;
    let notice = house.stage.notice(scene, 1).await;
    assert!(
        notice.contains("what may not be shown") && notice.contains("(black salt)"),
        "{notice}"
    );
    for text in shown(&house, scene) {
        assert!(!text.to_lowercase().contains("black"), "{text:?} was seen");
    }
    assert_eq!(house.speakers(scene).await, ["Ann", "Mira", "Ann"]);
    let hits = house.chat.rule_hits(house.guild, 1).await.unwrap();
    assert_eq!(hits, [hit("black salt", "reroll", false, 4)], "once for each text it wrote");
    house.stop().await;
}

fn hit(rule: &str, verdict: &str, dry_run: bool, texts: u64) -> RuleHits {
    RuleHits { rule: rule.into(), verdict: verdict.into(), dry_run, texts }
}

#[tokio::test]
async fn it_is_counted_how_often_rules_are_met_and_numbers_are_kept_for_a_time() {
    let house = House::open(tiny()).await;
    let scene = house.scene().await;
    let (guild, chat, store) = (house.guild, &house.chat, &house.db.store);
    let tide = WordRule {
        name: "tides".into(),
        terms: vec!["tide".into()],
        verdict: Verdict::Refuse,
        dry_run: true,
        ..WordRule::default()
    };
    let ash = WordRule { terms: vec!["ash".into()], ..tide.clone() };
    let ash = WordRule { name: String::new(), dry_run: false, ..ash };
    let mut policy = salt(Verdict::Hold);
    policy.words.extend([tide, ash]);
    write_down(&house, "", &policy).await;
    assert_eq!(chat.rule_hits(guild, 7).await.unwrap(), []);
    house.say(scene, "The tide, the tide, the tide.").await;
    for text in ["Ash on the tide.", "ash", "Ash, ash, a-s-h.", "Black salt."] {
        house.try_say(scene, text).await.unwrap_err();
    }
    // To try a text out is not to say it, nor is to look through what was said.
    let rules = chat.library().rules(guild, Some(scene)).await.unwrap();
    rules.examine(Door::Message, "ash").await.unwrap();
    chat.try_rules(guild, scene).await.unwrap();
    let expected = [
        hit("ash", "refuse", false, 3),
        hit("tides", "refuse", true, 2),
        hit("black salt", "hold", false, 1),
    ];
    assert_eq!(chat.rule_hits(guild, 7).await.unwrap(), expected);
    // A character counts once, however often its sheet is looked at on its way in.
    let sheet = CharacterSheet { name: "Tide".into(), ..CharacterSheet::default() };
    let who = Arrival { person: house.me.person.id, by_moderator: false, place: "here" };
    chat.offer_character(guild, who, None, &sheet).await.unwrap();
    let tides = chat.rule_hits(guild, 7).await.unwrap().remove(1);
    assert_eq!(tides, hit("tides", "refuse", true, 3));
    // So does a lorebook, whether it comes or waits.
    for (times, content) in [(4, "The tide turns."), (5, "Black salt of the tide.")] {
        let change = EntryChange {
            keys: Some(format!("key {times}")),
            content: Some(content.into()),
            ..EntryChange::default()
        };
        let name = format!("Book {times}");
        let (draft, _) = chat.library().draft_entry(guild, &name, &change).await.unwrap();
        chat.offer_lorebook(guild, who, draft).await.unwrap();
        let tides = chat.rule_hits(guild, 7).await.unwrap();
        assert!(tides.contains(&hit("tides", "refuse", true, times)), "{tides:?}");
    }
    let other = store.upsert_guild("test", "other", "Other").await.unwrap().id;
    assert_eq!(chat.rule_hits(other, 7).await.unwrap(), [], "another guild has its own");

    house.db.execute("UPDATE rule_hit SET day = day - 89").await;
    assert_eq!(chat.rule_hits(guild, 7).await.unwrap(), []);
    chat.sweep().await.unwrap();
    assert_eq!(chat.rule_hits(guild, 90).await.unwrap().len(), 3);
    house.db.execute("UPDATE rule_hit SET day = day - 1").await;
    chat.sweep().await.unwrap();
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM rule_hit")
        .fetch_one(&house.db.pool)
        .await
        .unwrap();
    assert_eq!(left, 0);
    house.try_say(scene, "ash").await.unwrap_err();
    chat.write_rule_hits().await;
    assert_eq!(chat.rule_hits(guild, 1).await.unwrap(), [hit("ash", "refuse", false, 1)]);
}

#[tokio::test]
async fn rules_and_places_that_change_in_mid_reply_count_when_it_is_shown() {
    let script = Script::start(&[
        "They talk of nothing but masturbation, she says, and of the weather on the point.",
        "Every verse has an orgasm in it, and a chorus that the whole harbour knows by heart.",
        "There is black salt in the hold, says the captain, and looks at the sea again.",
    ])
    .await;
    let mut house = house(&script, &[]).await;
    let scene = house.scene().await;
    let adults = Surroundings { places: vec!["quay".into()], age_restricted: true };
    house.db.store.set_surroundings(house.guild, scene, &adults).await.unwrap();
    house.stage.move_scenes(adults.clone());
    let turn = house.exchange(scene, "What do they talk of?").await;
    assert!(turn.speaker.is_character(), "for adults it may be shown");
    // Between the asking and the showing the place is opened to everybody.
    house.stage.move_scenes(Surroundings { age_restricted: false, ..adults.clone() });
    house.exchange(scene, "And now?").await;
    let notice = house.stage.notice(scene, 1).await;
    assert!(notice.contains("the reply is not shown") && notice.contains("sexual"), "{notice}");
    assert_eq!(house.speakers(scene).await, ["Ann", "Mira", "Ann"]);
    assert_eq!(house.stage.finished(scene).len(), 1);
    // Nobody who plays brings it back.
    let (guild, chat) = (house.guild, house.chat.clone());
    while chat.undo(guild, scene).await.unwrap().is_some() {}
    while chat.redo(guild, scene).await.unwrap().is_some() {}
    assert_eq!(house.speakers(scene).await, ["Ann", "Mira", "Ann"]);
    // The rules of the place that it was moved to hold as well.
    write_down(&house, "cellar", &salt(Verdict::Refuse)).await;
    house.stage.move_scenes(Surroundings { places: vec!["cellar".into()], ..adults });
    house.exchange(scene, "What is in the hold?").await;
    let notice = house.stage.notice(scene, 2).await;
    assert!(notice.contains("black salt"), "{notice}");
    house.stop().await;
}

#[tokio::test]
async fn a_text_that_rules_forbid_by_now_is_stepped_over() {
    let script = Script::start(&["The tide is out."]).await;
    let mut house = house(&script, &[]).await;
    let scene = house.scene().await;
    let (guild, chat) = (house.guild, house.chat.clone());
    let turn = house.exchange(scene, "What now?").await;
    house.settled(scene).await;
    for text in ["There is black salt on it.", "The gulls are back."] {
        let new = NewSwipe { text: text.into(), origin: SwipeOrigin::Generated, receipt: None };
        house.db.store.insert_swipe(guild, scene, turn.id, &new).await.unwrap();
    }
    write_down(&house, "", &salt(Verdict::Refuse)).await;
    let choose = async |to| {
        let chosen = chat.choose_swipe(guild, scene, turn.id, to).await?;
        Ok::<_, ChatError>(chosen.map(|turn| turn.swipe.text))
    };
    assert_eq!(choose(SwipeTo::Previous).await.unwrap().unwrap(), turn.swipe.text);
    assert_eq!(choose(SwipeTo::Next).await.unwrap().unwrap(), "The gulls are back.");
    assert_eq!(choose(SwipeTo::Next).await.unwrap(), None);
    let refused = choose(SwipeTo::Number(2)).await.unwrap_err().notice();
    assert!(refused.contains("black salt"), "{refused}");
    house.stop().await;
}

#[tokio::test]
async fn minors_are_not_sexualised_whatever_is_set() {
    let script = Script::start(&["A lewd drawing of a schoolgirl.", "Nothing of the sort."]).await;
    let mut house = house(&script, &[]).await;
    let open = Policy::preset("mature").unwrap();
    write_down(&house, "", &open).await;
    let scene = house.scene().await;
    let adults = Surroundings { places: Vec::new(), age_restricted: true };
    house.db.store.set_surroundings(house.guild, scene, &adults).await.unwrap();
    let refused = house.try_say(scene, "Draw a lewd schoolgirl.").await.unwrap_err().notice();
    assert!(refused.contains("minors"), "{refused}");
    let turn = house.exchange(scene, "What is on the wall?").await;
    assert_eq!(turn.swipe.text, "Nothing of the sort.");
    // A character under age makes every explicit word one too many.
    let ida = CharacterSheet {
        name: "Ida".into(),
        description: "Age: 15. The keeper's niece.".into(),
        ..CharacterSheet::default()
    };
    let ida = house.character(ida).await;
    house.chat.add_to_cast(house.guild, scene, &ida).await.unwrap();
    let refused = house.try_say(scene, "Something lewd is said.").await.unwrap_err().notice();
    assert!(refused.contains("minors"), "{refused}");
    let card = CharacterSheet {
        name: "Bad".into(),
        description: "A 14 years old, always lewd.".into(),
        ..CharacterSheet::default()
    };
    let mo = house.db.store.upsert_person(house.guild, "mo", "Mo").await.unwrap().id;
    let refused = house.chat.create_character(house.guild, mo, &card).await.unwrap_err().notice();
    assert!(refused.contains("minors"), "{refused}");
    house.stop().await;
}

#[tokio::test]
async fn quiet_hours_and_rules_that_cannot_be_read_let_nothing_through() {
    let house = House::open(tiny()).await;
    let scene = house.scene().await;
    let all_day = |from: &str, to: &str| QuietHours {
        from: from.into(),
        to: to.into(),
        utc_offset_minutes: 0,
    };
    let hours = vec![all_day("00:00", "12:00"), all_day("12:00", "00:00")];
    write_down(&house, "", &Policy { quiet_hours: hours, ..Policy::default() }).await;
    let refused = house.try_say(scene, "Psst!").await.unwrap_err().notice();
    assert!(refused.contains("quiet hours"), "{refused}");
    let broken = serde_json::json!({ "rating": "everything" });
    house.db.store.upsert_policy(house.guild, "", &broken).await.unwrap();
    let refused = house.try_say(scene, "Hello?").await.unwrap_err().notice();
    assert!(refused.contains("cannot be read, so nothing is let through"), "{refused}");
}
