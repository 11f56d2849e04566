//! Other texts of a turn: more of them, choosing among them, going on, editing.

use dramatis::chat::{ChatError, SwipeTo};
use dramatis::domain::{CharacterSheet, Length, SwipeOrigin};

use super::house::{House, receipt};
use super::models::tiny;
use super::stage::Shown;

#[tokio::test]
async fn a_swipe_is_another_text_from_the_same_prompt() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    let (guild, me) = (house.guild, house.me.person.id);
    house.run();
    let first = house.exchange(scene, "Hello.").await;
    house.exchange(scene, "And then?").await;

    // An earlier turn, so that what follows it must stay out of the prompt.
    house.chat.ask_swipe(guild, scene, me, first.id, Some(Length::Tiny)).await.unwrap();
    house.settled(scene).await;
    let line = house.line(scene).await;
    assert_eq!(line.len(), 4, "what follows stays");
    let second = &line[1];
    assert_eq!((second.id, second.num_swipes, second.swipe.ordinal), (first.id, 2, 1));
    assert_eq!(second.swipe.origin, SwipeOrigin::Generated);
    assert_ne!(second.swipe.text, first.swipe.text);
    let prompt = house.prompt_of(&first).await;
    let tiny = prompt.replace("(length = medium)", "(length = tiny)");
    assert_eq!(house.prompt_of(second).await, tiny);
    assert_eq!(receipt(&second.swipe).length, Some(Length::Tiny));
    let numbers: Vec<_> =
        house.stage.finished(scene).into_iter().map(|reply| reply.turn.swipe.ordinal + 1).collect();
    assert_eq!(numbers, [1, 1, 2]);
}

#[tokio::test]
async fn one_of_the_texts_is_chosen() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    let (guild, me) = (house.guild, house.me.person.id);
    house.run();
    let reply = house.exchange(scene, "Hello.").await;
    for _ in 0..2 {
        house.chat.ask_swipe(guild, scene, me, reply.id, None).await.unwrap();
        house.settled(scene).await;
    }
    let choose = async |to| house.chat.choose_swipe(guild, scene, reply.id, to).await;
    assert_eq!(house.latest(scene).await.swipe.ordinal, 2, "the newest stands");
    assert_eq!(choose(SwipeTo::Next).await.unwrap(), None, "there is none after it yet");
    for (to, ordinal) in [
        (SwipeTo::Previous, 1),
        (SwipeTo::Previous, 0),
        (SwipeTo::Next, 1),
        (SwipeTo::Number(3), 2),
        (SwipeTo::Number(1), 0),
    ] {
        assert_eq!(choose(to).await.unwrap().unwrap().swipe.ordinal, ordinal, "{to:?}");
        let standing = house.latest(scene).await;
        assert_eq!(standing.swipe.ordinal, ordinal);
        assert!(house.preview(scene).await.contains(&standing.swipe.text), "{to:?}");
    }
    for to in [SwipeTo::Previous, SwipeTo::Number(0), SwipeTo::Number(4)] {
        let refused = choose(to).await.unwrap_err();
        assert!(matches!(refused, ChatError::Refused(_)), "{to:?}: {refused:?}");
    }
    assert_eq!(house.latest(scene).await.swipe.ordinal, 0);
}

#[tokio::test]
async fn a_turn_is_continued_where_it_stopped() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    let (guild, me) = (house.guild, house.me.person.id);
    house.run();
    let reply = house.exchange(scene, "Hello.").await;
    let standing = reply.swipe.text.clone();
    house.chat.ask_continue(guild, scene, me, reply.id).await.unwrap();
    house.settled(scene).await;

    let longer = house.latest(scene).await;
    assert_eq!((longer.id, longer.num_swipes), (reply.id, 2));
    assert_eq!(longer.swipe.origin, SwipeOrigin::Continued);
    let more = longer.swipe.text.strip_prefix(&standing).expect("it begins with what stood");
    assert!(!more.trim().is_empty());
    assert_eq!(receipt(&longer.swipe).standing_bytes, standing.len());
    let prompt = house.prompt_of(&longer).await;
    assert!(prompt.ends_with(&format!("\nMira: {standing}")), "{prompt}");

    let shown = house.stage.shown(scene);
    let begun = shown.iter().rposition(|shown| matches!(shown, Shown::Begin(_))).unwrap();
    let Shown::Begin(begin) = &shown[begun] else { unreachable!() };
    assert_eq!(begin.standing_text, standing);
    let Shown::Update(first) = &shown[begun + 1] else { panic!("{shown:?}") };
    assert!(first.starts_with(&standing) && first.len() > standing.len());
    let again = house.chat.reproduce(guild, longer.id, longer.swipe.id).await.unwrap();
    assert_eq!((again.original.as_str(), again.again.as_str()), (more, more));
}

#[tokio::test]
async fn an_edit_keeps_what_it_replaces() {
    let mut house = House::open(tiny()).await;
    let scene = house.scene().await;
    let guild = house.guild;
    house.run();
    let reply = house.exchange(scene, "Hello.").await;
    let asked = house.line(scene).await.remove(0);
    for turn in [&reply, &asked] {
        let edited = house.chat.edit_turn(guild, scene, turn.id, " Quite\r\nother. ").await;
        let edited = edited.unwrap();
        assert_eq!(edited.swipe.text, "Quite\nother.");
        assert_eq!((edited.swipe.origin, edited.num_swipes), (SwipeOrigin::Edited, 2));
        assert_eq!(edited.swipe.receipt, None, "no model wrote it");
        let swipes = house.db.store.list_swipes(guild, turn.id).await.unwrap();
        assert_eq!(swipes[0].text, turn.swipe.text);
    }
    assert_eq!(house.texts(scene).await, ["Quite\nother.", "Quite\nother."]);
    let refused = house.chat.edit_turn(guild, scene, reply.id, "\u{1b}").await.unwrap_err();
    assert!(matches!(refused, ChatError::Refused(_)), "{refused:?}");
    let edited = house.latest(scene).await;
    let refused = house.chat.reproduce(guild, edited.id, edited.swipe.id).await.unwrap_err();
    assert!(refused.notice().contains("no model wrote"), "{}", refused.notice());
}

#[tokio::test]
async fn only_characters_are_told_in_another_way() {
    let house = House::open(tiny()).await;
    let sheet = CharacterSheet {
        name: "Mira".into(),
        greeting: "Come in.".into(),
        ..CharacterSheet::default()
    };
    let mira = house.character(sheet).await;
    let scene = house.open_scene(std::slice::from_ref(&mira)).await.unwrap().id;
    let (guild, me) = (house.guild, house.me.person.id);
    let greeting = house.latest(scene).await;
    house.chat.ask_swipe(guild, scene, me, greeting.id, None).await.unwrap_err();
    house.say(scene, "Hello.").await;
    let asked = house.latest(scene).await;
    house.chat.ask_swipe(guild, scene, me, asked.id, None).await.unwrap_err();
    house.chat.ask_continue(guild, scene, me, asked.id).await.unwrap_err();
    let elsewhere = house.open_scene(&[mira]).await.unwrap().id;
    house.chat.ask_swipe(guild, elsewhere, me, greeting.id, None).await.unwrap_err();
    house.chat.ask_continue(guild, elsewhere, me, greeting.id).await.unwrap_err();
    assert!(house.db.store.list_open_jobs(guild, elsewhere).await.unwrap().is_empty());
    assert_eq!(house.db.store.list_open_jobs(guild, scene).await.unwrap().len(), 1);
}
