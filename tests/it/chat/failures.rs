//! What goes wrong, what the person is told, and that the scene goes on.

use dramatis::chat::ChatError;
use dramatis::domain::{CharacterSheet, Note};
use dramatis::engine::GenerationRequest;
use dramatis::store::JobState;

use super::house::House;
use super::models::{narrow, start_tiny, tiny};
use super::stage::Shown;

/// More than the whole context.
fn giant() -> String {
    "A very long story about the sea. ".repeat(400)
}

#[tokio::test]
async fn a_prompt_that_cannot_fit_says_which_part_is_too_large() {
    let mut house = House::open(tiny()).await;
    let mira =
        CharacterSheet { name: "Mira".into(), description: giant(), ..CharacterSheet::default() };
    let mira = house.character(mira).await;
    let scene = house.open_scene(std::slice::from_ref(&mira)).await.unwrap().id;
    let refused = house.chat.preview_prompt(house.guild, scene).await.unwrap_err();
    assert!(matches!(refused, ChatError::Prompt(_)), "{refused:?}");
    house.run();
    house.say(scene, "Hello.").await;
    house.stage.wait_for(scene, 1, |shown| matches!(shown, Shown::Failed(_))).await;
    let shown = house.stage.shown(scene);
    let [Shown::Failed(notice)] = &shown[..] else { panic!("{shown:?}") };
    assert!(notice.contains("the largest part is the character (Mira)"), "{notice}");
    assert_eq!(house.texts(scene).await, ["Hello."], "the words are safe");

    let sheet = CharacterSheet { description: "Shorter.".into(), ..mira.sheet };
    house.db.store.update_character(house.guild, mira.id, &sheet).await.unwrap();
    assert_eq!(house.exchange(scene, "Now?").await.speaker.name(), "Mira");
    let prompt = house.prompt_of(&house.latest(scene).await).await;
    assert!(prompt.contains("Ann: Hello.") && prompt.contains("Ann: Now?"), "{prompt}");
}

#[tokio::test]
async fn a_message_or_note_that_cannot_fit_can_be_taken_back() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    let guild = house.guild;
    house.run();
    house.exchange(scene, "Hello.").await;
    house.say(scene, &giant()).await;
    house.settled(scene).await;
    let notice = house.stage.notice(scene, 1).await;
    assert!(notice.contains("the message by Ann"), "{notice}");
    house.chat.undo(guild, scene).await.unwrap();
    assert_eq!(house.exchange(scene, "In short: hello.").await.speaker.name(), "Mira");

    let note = Note { text: giant(), depth: 2 };
    house.chat.set_note(guild, scene, Some(note)).await.unwrap();
    house.say(scene, "And?").await;
    house.settled(scene).await;
    let notice = house.stage.notice(scene, 2).await;
    assert!(notice.contains("the note"), "{notice}");
    house.chat.set_note(guild, scene, None).await.unwrap();
    assert_eq!(house.exchange(scene, "Now?").await.speaker.name(), "Mira");
}

#[tokio::test]
async fn a_busy_engine_is_asked_again() {
    let pool = start_tiny(&narrow());
    let mut house = House::open(pool.clone()).await;
    let scene = house.scene().await;
    let prompt = pool.tokenizer().encode_start("Once upon a time");
    let mut others = Vec::new();
    while let Ok(other) = pool.generate(&pool.model(), GenerationRequest::new(prompt.clone())) {
        others.push(other);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    house.run();
    house.say(scene, "Hello.").await;
    house
        .wait_until(scene, |jobs| jobs.iter().any(|job| job.error.as_deref() == Some("busy")))
        .await;
    let open = house.db.store.list_open_jobs(house.guild, scene).await.unwrap();
    drop(others);
    house.settled(scene).await;
    assert_eq!(house.speakers(scene).await, ["Ann", "Mira"]);
    assert!(house.stage.notices(scene).is_empty());
    let job = house.db.store.get_job(house.guild, open[0].id).await.unwrap().unwrap();
    assert!(job.state == JobState::Sent && job.attempts >= 2, "{job:?}");
}

#[tokio::test]
async fn a_reply_that_could_not_be_shown_is_shown_later_and_not_made_again() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    house.stage.refuse_once(true);
    house.stage.refuse_once(true);
    house.run();
    let reply = house.exchange(scene, "Hello.").await;
    let finished = house.stage.finished(scene);
    assert_eq!((finished.len(), reply.num_swipes), (1, 1));
    assert_eq!(finished[0].turn.swipe.text, reply.swipe.text);
    assert_eq!(house.speakers(scene).await, ["Ann", "Mira"]);
    let begun = house.stage.shown(scene);
    assert_eq!(begun.iter().filter(|shown| matches!(shown, Shown::Begin(_))).count(), 1);

    house.stage.refuse_once(false);
    house.exchange(scene, "Again.").await;
    let notice = house.stage.notice(scene, 1).await;
    assert!(notice.contains("the curtain is stuck"), "{notice}");
    assert_eq!(house.line(scene).await.len(), 4, "what was written stays in the story");
    house.exchange(scene, "Go on.").await;
    assert_eq!(house.stage.finished(scene).len(), 2);
}
