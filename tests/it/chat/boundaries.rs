//! Lines and veils stand in the prompt, and a reply that crosses one is never seen.

use dramatis::domain::{BoundaryKind, BoundaryOf, SceneId};
use dramatis::prompt::SectionKind;
use dramatis::store::NewBranch;

use super::house::House;
use super::models::tiny;
use super::proofreading::{house, shown};
use crate::support::script::Script;

const WOOL: &str = "She opens the chest, and it is full of grey wool and nothing else at all.";
const LINES: &str = "These never happen in the story and are never mentioned: ";
const VEILS: &str = "These may happen in the story, but only off-screen: ";

async fn draw(house: &House, of: BoundaryOf, kind: BoundaryKind, text: &str) {
    let me = house.me.person.id;
    house.chat.add_boundary(house.guild, me, of, kind, text).await.unwrap();
}

fn mine(house: &House) -> BoundaryOf {
    BoundaryOf::Person(house.me.person.id)
}

#[tokio::test]
async fn a_reply_that_crosses_a_line_is_written_anew_unseen() {
    let script = Script::start(&[
        "A spider as large as a hand runs over the table, and nobody at all dares to move.",
        WOOL,
        "Spiders.",
        "Spiders, and more spiders.",
        "S-p-i-d-e-r-s.",
    ])
    .await;
    let mut house = house(&script, &[]).await;
    let scene = house.scene().await;
    draw(&house, mine(&house), BoundaryKind::Line, "spiders").await;
    // Her own words cross nothing: lines bind what the model writes.
    let turn = house.exchange(scene, "Are there spiders in it?").await;
    assert_eq!(turn.swipe.text, WOOL);
    let asked = script.asked();
    assert_eq!(asked.len(), 2, "it was asked once more");
    let prompt = asked[0]["prompt"].as_str().unwrap();
    assert!(prompt.contains(&format!("{LINES}spiders.")), "{prompt}");
    // Where it writes nothing else nobody sees any of it, and people are told.
    house.exchange(scene, "And behind it?").await;
    let notice = house.stage.notice(scene, 1).await;
    assert!(notice.contains("(a line of this scene)") && notice.contains("/reply"), "{notice}");
    for text in shown(&house, scene) {
        assert!(!text.to_lowercase().contains("spider"), "{text:?} was seen");
    }
    assert_eq!(house.speakers(scene).await, ["Ann", "Mira", "Ann"]);
    house.stop().await;
}

#[tokio::test]
async fn a_theme_has_its_own_words_and_a_veil_is_lifted_by_explicit_ones() {
    let script = Script::start(&[
        "He disembowels the stranger on the quay while everybody watches, and then he laughs.",
        WOOL,
        "They carry him to surgery, and the door closes behind them; in the morning he smiles.",
    ])
    .await;
    let mut house = house(&script, &[]).await;
    let scene = house.scene().await;
    let of_scene = BoundaryOf::Scene(scene);
    draw(&house, of_scene, BoundaryKind::Veil, "Graphic violence").await;
    draw(&house, of_scene, BoundaryKind::Veil, "surgery").await;
    assert_eq!(house.exchange(scene, "What is in it?").await.swipe.text, WOOL);
    let prompt = script.asked()[0]["prompt"].as_str().unwrap().to_owned();
    assert!(prompt.contains(&format!("{VEILS}Graphic violence; surgery.")), "{prompt}");
    // Of a veil in words of one's own nobody can tell whether it is lifted.
    let turn = house.exchange(scene, "And the stranger?").await;
    assert!(turn.swipe.text.contains("surgery"), "{}", turn.swipe.text);
    house.stop().await;
}

#[tokio::test]
async fn a_line_that_is_drawn_in_mid_reply_counts_when_it_is_shown() {
    let script = Script::start(&[WOOL]).await;
    let mut house = house(&script, &[]).await;
    let scene = house.scene().await;
    house.stage.hold();
    house.say(scene, "What is in it?").await;
    house.stage.wait_for_words(scene).await;
    draw(&house, BoundaryOf::Scene(scene), BoundaryKind::Line, "wool").await;
    house.stage.release();
    let notice = house.stage.notice(scene, 1).await;
    assert!(notice.contains("not shown") && notice.contains("a line of this scene"), "{notice}");
    assert_eq!(house.speakers(scene).await, ["Ann"]);
    house.stop().await;
}

/// Whether the scene's prompts hold that.
async fn holds(house: &House, scene: SceneId, text: &str) -> bool {
    house.preview(scene).await.contains(text)
}

#[tokio::test]
async fn a_persons_lines_go_with_them_and_a_scenes_into_its_branches() {
    let house = House::open(tiny()).await;
    let (guild, chat, me) = (house.guild, &house.chat, house.me.person.id);
    let (here, elsewhere) = (house.scene().await, house.scene().await);
    draw(&house, mine(&house), BoundaryKind::Line, "needles").await;
    draw(&house, BoundaryOf::Scene(here), BoundaryKind::Line, "fire").await;
    assert!(!holds(&house, here, "needles").await, "she takes no part yet");
    house.say(here, "Hello.").await;
    house.say(elsewhere, "Hello.").await;
    assert!(holds(&house, here, &format!("{LINES}needles; fire.")).await);
    assert!(holds(&house, elsewhere, &format!("{LINES}needles.")).await);
    // Every token is accounted for.
    let receipt = chat.preview_prompt(guild, here).await.unwrap().prompt.receipt;
    assert!(receipt.sections.iter().any(|it| it.kind == SectionKind::Boundaries));
    let sum: usize = receipt.sections.iter().map(|it| it.num_tokens).sum();
    assert_eq!(sum, receipt.num_tokens);

    let said = house.latest(here).await;
    let branch = NewBranch { channel: "branch".into(), title: "Branch".into() };
    let branch = house.db.store.branch_scene(guild, here, said.id, &branch).await.unwrap().id;
    assert!(holds(&house, branch, &format!("{LINES}needles; fire.")).await);

    chat.opt_out(guild, me, true).await.unwrap();
    assert!(holds(&house, here, &format!("{LINES}fire.")).await);
    assert!(!holds(&house, elsewhere, LINES).await);
    chat.opt_out(guild, me, false).await.unwrap();
    assert!(holds(&house, elsewhere, "needles").await);
    let own = chat.boundaries_of(guild, mine(&house)).await.unwrap();
    chat.remove_boundary(guild, me, mine(&house), own[0].id).await.unwrap();
    assert!(!holds(&house, elsewhere, "needles").await);
}

#[tokio::test]
async fn what_is_no_line_is_refused_and_none_stops_a_scene() {
    let house = House::open(tiny()).await;
    let (guild, chat, me) = (house.guild, &house.chat, house.me.person.id);
    let scene = house.scene().await;
    let own = mine(&house);
    let long = "long ".repeat(30);
    for text in ["", " ", "x", "a*b", long.as_str(), "a lewd schoolgirl"] {
        let refused = chat.add_boundary(guild, me, own, BoundaryKind::Line, text).await;
        assert!(refused.is_err(), "{text:?}");
    }
    // Harmless each; together they name what is refused everywhere, and are no scene of it.
    for text in ["lewd drawings", "schoolgirls"] {
        draw(&house, own, BoundaryKind::Line, text).await;
    }
    draw(&house, own, BoundaryKind::Line, "schoolgirls").await;
    assert_eq!(chat.boundaries_of(guild, own).await.unwrap().len(), 2, "each once");
    let mut house = house;
    house.run();
    let turn = house.exchange(scene, "Good morning.").await;
    assert!(turn.speaker.is_character(), "the scene is played on");
    let chat = house.chat.clone();
    for n in 0..8 {
        draw(&house, own, BoundaryKind::Veil, &format!("veil {n}")).await;
    }
    let full = chat.add_boundary(guild, me, own, BoundaryKind::Veil, "one more").await;
    assert!(full.unwrap_err().notice().contains("10 already"));
    // Nobody takes away what is not theirs.
    let mo = house.db.store.upsert_person(guild, "mo", "Mo").await.unwrap().id;
    let id = chat.boundaries_of(guild, own).await.unwrap()[0].id;
    let foreign = chat.remove_boundary(guild, mo, BoundaryOf::Person(mo), id).await;
    assert!(foreign.unwrap_err().notice().contains("/lines show"));
    house.stop().await;
}
