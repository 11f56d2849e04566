//! Where there is a classifier nothing passes that it does not know, or knows to be what the
//! policy forbids.

use std::path::Path;
use std::time::{Duration, Instant};

use dramatis::chat::{ChatError, PersonaScope};
use dramatis::domain::{CharacterSheet, Note, SceneId};
use dramatis::moderation::{Policy, Theme, Verdict};
use dramatis::store::Surroundings;

use super::house::House;
use super::models::tiny;
use super::proofreading::{house, shown};
use crate::support::classes::{Classes, Fault};
use crate::support::script::Script;
use crate::support::{classifier_copy, fixture, spoil_classifier};

/// What the test's classifier tells texts by.
const WORDS: [(&str, &str); 5] = [
    ("jeers", "harassment"),
    ("kisses", "sexual"),
    ("gloom", "self-harm"),
    ("recipe", "illicit"),
    ("cradle", "sexual/minors"),
];

async fn open(classes: &Classes) -> (House, SceneId) {
    let url = classes.url();
    let settings = [("moderation.classifier", url.as_str()), ("moderation.timeout_ms", "500")];
    let house = House::open_with(tiny(), &settings).await;
    let scene = house.scene().await;
    (house, scene)
}

async fn set_themes(house: &House, themes: &[(Theme, Verdict)]) {
    let policy = Policy { themes: themes.iter().copied().collect(), ..Policy::default() };
    let mo = house.db.store.upsert_person(house.guild, "mo", "Mo").await.unwrap().id;
    house.chat.set_policy(house.guild, "", Some(&policy), mo).await.unwrap();
}

async fn for_adults(house: &House, scene: SceneId) {
    let adults = Surroundings { places: Vec::new(), age_restricted: true };
    house.db.store.set_surroundings(house.guild, scene, &adults).await.unwrap();
}

async fn refused(house: &House, scene: SceneId, text: &str) -> String {
    let error = house.try_say(scene, text).await.unwrap_err();
    assert!(matches!(error, ChatError::Refused(_)), "{error}");
    error.notice()
}

#[tokio::test]
async fn the_policy_decides_what_follows_from_what_a_text_is() {
    let classes = Classes::start(&WORDS).await;
    let (house, scene) = open(&classes).await;
    for_adults(&house, scene).await;
    let (guild, chat, store) = (house.guild, &house.chat, &house.db.store);
    set_themes(
        &house,
        &[
            (Theme::Harassment, Verdict::Reroll),
            (Theme::SelfHarm, Verdict::Hold),
            (Theme::Drugs, Verdict::Redact),
        ],
    )
    .await;
    house.say(scene, "He kisses her.").await;
    assert_eq!(classes.asked(), ["He kisses her."]);
    assert!(refused(&house, scene, "The crowd jeers.").await.contains("(harassment)"));
    // It does not say where, so there is nothing to cover.
    assert!(refused(&house, scene, "Here is the recipe.").await.contains("(drugs)"));
    let held = house.try_say(scene, "All is gloom.").await.unwrap_err();
    let ChatError::Held { case } = held else { panic!("{held}") };
    let case = store.get_case(guild, case).await.unwrap().unwrap();
    assert_eq!(case.reason, "message: self_harm");
    // What sexualises minors is refused whatever the policy says, by a threshold of its own.
    assert!(refused(&house, scene, "By the cradle.").await.contains("(minors)"));
    // No other way in is open.
    let turn = house.latest(scene).await;
    let edit = chat.edit_turn(guild, scene, turn.id, "She jeers.").await;
    assert!(edit.unwrap_err().notice().contains("harassment"));
    let note = Note { text: "Everybody jeers.".into(), depth: 2 };
    let note = chat.set_note(guild, scene, Some(note)).await;
    assert!(note.unwrap_err().notice().contains("harassment"));
    let scenario = chat.set_scenario(guild, scene, "A town that jeers.").await;
    assert!(scenario.unwrap_err().notice().contains("harassment"));
    let me = house.me.person.id;
    let persona = chat.set_persona(guild, PersonaScope::Guild, me, "Jo", "Always jeers.").await;
    assert!(persona.unwrap_err().notice().contains("harassment"));
    let sheet = CharacterSheet {
        name: "Ned".into(),
        greeting: "Ned jeers.".into(),
        ..CharacterSheet::default()
    };
    let card = chat.create_character(guild, me, &sheet).await;
    assert!(card.unwrap_err().notice().contains("harassment"));
    // With somebody under age in the scene nothing sexual is said.
    let ida = CharacterSheet {
        name: "Ida".into(),
        description: "Age: 15. The keeper's niece.".into(),
        ..CharacterSheet::default()
    };
    chat.add_to_cast(guild, scene, &house.character(ida).await).await.unwrap();
    assert!(refused(&house, scene, "He kisses her again.").await.contains("(minors)"));
    assert_eq!(house.texts(scene).await, ["He kisses her."]);
}

#[tokio::test]
async fn the_key_is_sent_and_what_is_known_is_not_asked_again() {
    let classes = Classes::start(&WORDS).await;
    let url = format!("{}/v1/", classes.url());
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    std::fs::write(&key, "canary-5a1f0c7d9e\n").unwrap();
    let settings = [
        ("moderation.classifier", url.as_str()),
        ("moderation.api_key_file", key.to_str().unwrap()),
    ];
    let house = House::open_with(tiny(), &settings).await;
    let scene = house.scene().await;
    house.say(scene, "Good evening.").await;
    house.say(scene, "Good evening.").await;
    assert_eq!(classes.asked(), ["Good evening."]);
    let headers = classes.headers();
    assert!(headers.contains("authorization: bearer canary-5a1f0c7d9e"), "{headers}");
    // What the rules refuse by themselves is shown to nobody else.
    set_themes(&house, &[(Theme::Sexual, Verdict::Refuse)]).await;
    refused(&house, scene, "Nothing but masturbation.").await;
    assert_eq!(classes.asked(), ["Good evening."]);
}

#[tokio::test]
async fn what_cannot_be_classified_waits_among_adults_and_is_refused_elsewhere() {
    let classes = Classes::start(&WORDS).await;
    for fault in [Fault::Broken, Fault::Hangs, Fault::Garbage] {
        let (house, scene) = open(&classes).await;
        house.say(scene, "Good evening.").await;
        classes.fail(Some(fault));
        let notice = refused(&house, scene, "First.").await;
        assert!(notice.contains("cannot be checked at the moment"), "{notice}");
        for_adults(&house, scene).await;
        let held = house.try_say(scene, "Second.").await.unwrap_err();
        let ChatError::Held { case } = held else { panic!("{fault:?}: {held}") };
        let kept = house.db.store.get_case(house.guild, case).await.unwrap().unwrap();
        assert_eq!(kept.reason, "message: the classifier does not answer");
        // Where nothing can wait it is refused here, too.
        let note = Note { text: "Slowly.".into(), depth: 2 };
        let note = house.chat.set_note(house.guild, scene, Some(note)).await.unwrap_err();
        assert!(note.notice().contains("cannot be checked at the moment"), "{note}");
        // After some failures it is left alone: nobody waits for it any more.
        let num_asked = classes.asked().len();
        let began = Instant::now();
        for text in ["Third.", "Fourth.", "Fifth."] {
            let held = house.try_say(scene, text).await.unwrap_err();
            assert!(matches!(held, ChatError::Held { .. }), "{held}");
        }
        assert_eq!(classes.asked().len(), num_asked);
        assert!(fault != Fault::Hangs || began.elapsed() < Duration::from_millis(1_500));
        // A moderator has seen it: that is enough.
        let mo = house.db.store.upsert_person(house.guild, "mo", "Mo").await.unwrap().id;
        house.chat.approve_case(house.guild, case, mo, None).await.unwrap();
        assert_eq!(house.texts(scene).await, ["Good evening.", "Second."]);
        let counted = house.chat.metrics().render();
        assert!(counted.contains("dramatis_classifications_total{outcome=\"resting\"}"));
        classes.fail(None);
    }
}

/// A chat room whose model says these, and in which nobody answers before it is told to.
async fn writing(script: &Script, classes: &Classes, timeout_ms: &str) -> (House, SceneId) {
    let url = classes.url();
    let settings = [("moderation.classifier", url.as_str()), ("moderation.timeout_ms", timeout_ms)];
    let mut house = house(script, &settings).await;
    house.stop().await;
    let scene = house.scene().await;
    (house, scene)
}

#[tokio::test]
async fn a_reply_that_may_not_be_shown_is_written_anew_unseen() {
    let script = Script::start(&["He kisses her.", "He waves at her."]).await;
    let classes = Classes::start(&WORDS).await;
    let (mut house, scene) = writing(&script, &classes, "5000").await;
    set_themes(&house, &[(Theme::Sexual, Verdict::Reroll)]).await;
    house.run();
    let turn = house.exchange(scene, "What does he do?").await;
    assert_eq!(turn.swipe.text, "He waves at her.");
    assert_eq!(shown(&house, scene), ["He waves at her."]);
    house.stop().await;
}

#[tokio::test]
async fn nothing_of_a_reply_is_shown_before_it_is_classified() {
    let said = "The wind rose over the harbour, and the gulls went quiet at once; \
        then the lamp was lit. "
        .repeat(12);
    let said = said.trim_end();
    let script = Script::start(&[said, said]).await;
    let classes = Classes::start(&WORDS).await;
    let (mut house, scene) = writing(&script, &classes, "30000").await;
    house.say(scene, "Tell me of the evening.").await;
    classes.hold(true);
    house.run();
    classes.until_asked(said).await;
    assert_eq!(shown(&house, scene), Vec::<String>::new(), "all is written, and nothing is known");
    classes.hold(false);
    house.settled(scene).await;
    assert_eq!(house.latest(scene).await.swipe.text, said);
    let asked = classes.asked();
    assert!(asked.iter().any(|text| text.len() < said.len() && said.starts_with(text.as_str())));
    for text in shown(&house, scene) {
        assert!(asked.contains(&text), "{text:?} was shown unclassified");
    }
    house.stop().await;
}

#[tokio::test]
async fn a_reply_grows_on_the_screen_as_far_as_it_is_classified() {
    let said = "Stone upon stone the wall went up around the garden, while the rain came \
        down as if it would never end. "
        .repeat(10);
    let said = format!("{said}And then he kisses her.");
    let script = Script::start(&[&said, "Nothing more."]).await;
    let classes = Classes::start(&WORDS).await;
    let (mut house, scene) = writing(&script, &classes, "30000").await;
    set_themes(&house, &[(Theme::Sexual, Verdict::Reroll)]).await;
    house.run();
    let turn = house.exchange(scene, "Who built the wall?").await;
    assert_eq!(turn.swipe.text, "Nothing more.");
    let (seen, asked) = (shown(&house, scene), classes.asked());
    assert!(seen.iter().any(|text| text.starts_with("Stone")), "it was to be seen while it grew");
    for text in &seen {
        assert!(asked.contains(text) && !text.contains("kisses"), "{text:?}");
    }
    house.stop().await;
}

#[tokio::test]
async fn a_reply_that_cannot_be_classified_is_held_among_adults_and_given_up_elsewhere() {
    let script = Script::start(&["The lamp is out.", "The lamp is lit."]).await;
    let classes = Classes::start(&WORDS).await;
    let (mut house, scene) = writing(&script, &classes, "500").await;
    house.say(scene, "Is the lamp lit?").await;
    classes.fail(Some(Fault::Broken));
    house.run();
    let notice = house.stage.notice(scene, 1).await;
    assert!(notice.contains("cannot be checked at the moment"), "{notice}");
    house.stop().await;
    classes.fail(None);
    for_adults(&house, scene).await;
    house.say(scene, "And now?").await;
    classes.fail(Some(Fault::Garbage));
    house.run();
    let notice = house.stage.notice(scene, 2).await;
    assert!(notice.contains("moderators look at that first"), "{notice}");
    let waiting = house.db.store.list_waiting_cases(house.guild).await.unwrap();
    assert_eq!(waiting[0].reason, "reply: the classifier does not answer");
    assert_eq!(shown(&house, scene), Vec::<String>::new());
    assert_eq!(house.speakers(scene).await, ["Ann", "Ann"]);
    house.stop().await;
}

/// The settings of a model of this process; it is asked on busy machines, too.
fn local(directory: &Path) -> [(&'static str, &str); 2] {
    let directory = directory.to_str().unwrap();
    [("moderation.classifier", directory), ("moderation.timeout_ms", "30000")]
}

#[tokio::test]
async fn a_model_of_this_process_is_asked_as_a_server_is() {
    // It learned what the server of these tests goes by.
    let house = House::open_with(tiny(), &local(&fixture("classifiers/deberta"))).await;
    let scene = house.scene().await;
    for_adults(&house, scene).await;
    set_themes(&house, &[(Theme::Harassment, Verdict::Refuse), (Theme::SelfHarm, Verdict::Hold)])
        .await;
    house.say(scene, "He kisses her on the old road.").await;
    assert!(refused(&house, scene, "He jeers at her.").await.contains("(harassment)"));
    assert!(refused(&house, scene, "The cradle!").await.contains("(minors)"));
    let held = house.try_say(scene, "All is gloom.").await.unwrap_err();
    let ChatError::Held { case } = held else { panic!("{held}") };
    let case = house.db.store.get_case(house.guild, case).await.unwrap().unwrap();
    assert_eq!(case.reason, "message: self_harm");
    // Wherever in a long text it stands: this one is read in many windows.
    let calm = "the lamp burns low and the sea is calm tonight ".repeat(30);
    house.say(scene, &calm).await;
    for cut in [0, 200, 700, 1_100, calm.len()] {
        let cut = calm[..cut].rfind(' ').map_or(0, |space| space + 1);
        let text = format!("{}jeers {}", &calm[..cut], &calm[cut..]);
        assert!(refused(&house, scene, &text).await.contains("(harassment)"), "at {cut}");
    }
    let texts = ["He kisses her on the old road.", calm.trim_end()];
    assert_eq!(house.texts(scene).await, texts);
    let counted = house.chat.metrics().render();
    assert!(counted.contains("dramatis_classifications_total{outcome=\"answered\"}"), "{counted}");
}

#[tokio::test]
async fn a_reply_is_seen_by_a_model_of_this_process_first() {
    let script = Script::start(&["He kisses her.", "She waves at him."]).await;
    let mut house = house(&script, &local(&fixture("classifiers/deberta"))).await;
    let scene = house.scene().await;
    set_themes(&house, &[(Theme::Sexual, Verdict::Reroll)]).await;
    let turn = house.exchange(scene, "And then?").await;
    assert_eq!(turn.swipe.text, "She waves at him.");
    assert_eq!(shown(&house, scene), ["She waves at him."]);
    house.stop().await;
}

#[tokio::test]
async fn a_model_that_fails_lets_nothing_through() {
    let directory = classifier_copy("deberta");
    spoil_classifier(directory.path());
    let house = House::open_with(tiny(), &local(directory.path())).await;
    let scene = house.scene().await;
    let notice = refused(&house, scene, "Good evening.").await;
    assert!(notice.contains("cannot be checked at the moment"), "{notice}");
    for_adults(&house, scene).await;
    let held = house.try_say(scene, "Good evening.").await.unwrap_err();
    assert!(matches!(held, ChatError::Held { .. }), "{held}");
    assert_eq!(house.texts(scene).await, Vec::<String>::new());
    let counted = house.chat.metrics().render();
    assert!(counted.contains("dramatis_classifications_total{outcome=\"broken\"}"), "{counted}");
}
