//! The turn tree: lines, swipes, undo and redo, branches.

use dramatis::domain::{Length, Note, SwipeOrigin, Turn, TurnId};
use dramatis::store::{
    Line, Move, NewBranch, NewScene, NewSwipe, NewTurn, SceneUpdate, Store, StoreError,
};

use super::{Stage, stage};
use crate::support::postgres::TestDatabase;

impl Stage {
    async fn say(&self, store: &Store, text: &str) -> TurnId {
        store.append_turn(self.guild, self.scene.id, &self.said(text)).await.unwrap().id
    }

    async fn line(&self, store: &Store) -> String {
        texts(&store.list_line(self.guild, self.scene.id, Line::default()).await.unwrap())
    }

    async fn undo(&self, store: &Store) -> Option<Move> {
        store.undo(self.guild, self.scene.id).await.unwrap()
    }

    async fn redo(&self, store: &Store) -> Option<Move> {
        store.redo(self.guild, self.scene.id).await.unwrap()
    }
}

fn texts(line: &[Turn]) -> String {
    line.iter().map(|turn| turn.swipe.text.as_str()).collect::<Vec<_>>().join(" ")
}

fn edit(text: &str) -> NewSwipe {
    NewSwipe { text: text.into(), origin: SwipeOrigin::Edited, receipt: None }
}

#[tokio::test]
async fn a_line_runs_from_the_first_turn_to_the_head() {
    let db = TestDatabase::fresh().await;
    let stage = stage(&db.store, "one").await;
    let a = stage.say(&db.store, "a").await;
    let b = stage.say(&db.store, "b").await;
    let c = stage.say(&db.store, "c").await;
    assert_eq!(stage.line(&db.store).await, "a b c");
    let read =
        async |line| texts(&db.store.list_line(stage.guild, stage.scene.id, line).await.unwrap());
    assert_eq!(read(Line { end: Some(b), ..Line::default() }).await, "a b");
    assert_eq!(read(Line { start: Some(b), ..Line::default() }).await, "b c");
    assert_eq!(read(Line { limit: Some(1), ..Line::default() }).await, "c");
    assert_eq!(read(Line { start: Some(a), limit: Some(2), end: None }).await, "b c");
    let scene = db.store.get_scene(stage.guild, stage.scene.id).await.unwrap().unwrap();
    assert_eq!(scene.head, Some(c));
    let turn = db.store.get_turn(stage.guild, c).await.unwrap().unwrap();
    assert_eq!((turn.parent, turn.num_swipes, turn.swipe.ordinal), (Some(b), 1, 0));
    assert_eq!(turn.speaker, stage.said("c").speaker);
}

#[tokio::test]
async fn a_greeting_comes_with_its_alternates() {
    let db = TestDatabase::fresh().await;
    let stage = stage(&db.store, "one").await;
    let greeting = NewTurn {
        speaker: stage.speaks(),
        origin: SwipeOrigin::Greeting,
        alternates: vec!["Hullo.".into(), "Good evening.".into()],
        ..stage.said("Hello.")
    };
    let new = NewScene {
        channel: "elsewhere".into(),
        preset: "limarp".into(),
        cast: vec![stage.character.id],
        greetings: vec![greeting],
        ..NewScene::default()
    };
    let scene = db.store.insert_scene(stage.guild, &new).await.unwrap();
    let head = db.store.get_turn(stage.guild, scene.head.unwrap()).await.unwrap().unwrap();
    assert_eq!((head.swipe.text.as_str(), head.num_swipes), ("Hello.", 3));
    let swipes = db.store.list_swipes(stage.guild, head.id).await.unwrap();
    assert!(swipes.iter().all(|swipe| swipe.origin == SwipeOrigin::Greeting));
    let third = swipes[2].id;
    let turn = db.store.select_swipe(stage.guild, scene.id, head.id, third).await.unwrap();
    assert_eq!(turn.swipe.text, "Good evening.");
}

#[tokio::test]
async fn undo_and_redo_walk_through_every_kind_of_move() {
    let db = TestDatabase::fresh().await;
    let store = &db.store;
    let stage = stage(store, "one").await;
    let (guild, scene) = (stage.guild, stage.scene.id);
    let mut seen = vec![stage.line(store).await];
    let a = stage.say(store, "a").await;
    seen.push(stage.line(store).await);
    stage.say(store, "b").await;
    seen.push(stage.line(store).await);
    store.insert_swipe(guild, scene, a, &edit("A")).await.unwrap();
    seen.push(stage.line(store).await);
    store.rewind(guild, scene, Some(a)).await.unwrap();
    seen.push(stage.line(store).await);
    let c = stage.say(store, "c").await;
    seen.push(stage.line(store).await);
    assert!(store.remove_turn(guild, scene, a).await.unwrap().is_some());
    seen.push(stage.line(store).await);
    store.rewind(guild, scene, None).await.unwrap();
    seen.push(stage.line(store).await);
    assert_eq!(seen, ["", "a", "a b", "A b", "A", "A c", "c", ""]);

    for expected in seen.iter().rev().skip(1) {
        assert!(stage.undo(store).await.is_some());
        assert_eq!(&stage.line(store).await, expected);
    }
    assert_eq!(stage.undo(store).await, None);
    for expected in seen.iter().skip(1) {
        assert!(stage.redo(store).await.is_some());
        assert_eq!(&stage.line(store).await, expected);
    }
    assert_eq!(stage.redo(store).await, None);

    stage.undo(store).await;
    assert_eq!(stage.undo(store).await, Some(Move::Remove { turn: a }));
    assert_eq!(stage.undo(store).await, Some(Move::Append { from: Some(a), turn: c }));
    stage.say(store, "d").await;
    assert_eq!(stage.redo(store).await, None, "what was undone before is out of redo's reach");
    assert_eq!(stage.line(store).await, "A d");
    let children = store.list_children(guild, scene, Some(a)).await.unwrap();
    assert_eq!(texts(&children), "b c d", "and yet nothing is lost");
}

#[tokio::test]
async fn moves_that_change_nothing_are_not_recorded() {
    let db = TestDatabase::fresh().await;
    let stage = stage(&db.store, "one").await;
    let (guild, scene) = (stage.guild, stage.scene.id);
    let a = stage.say(&db.store, "a").await;
    let swipe = db.store.get_turn(guild, a).await.unwrap().unwrap().swipe.id;
    db.store.rewind(guild, scene, Some(a)).await.unwrap();
    db.store.select_swipe(guild, scene, a, swipe).await.unwrap();
    assert_eq!(stage.undo(&db.store).await, Some(Move::Append { from: None, turn: a }));
}

#[tokio::test]
async fn an_edit_keeps_the_earlier_text() {
    let db = TestDatabase::fresh().await;
    let stage = stage(&db.store, "one").await;
    let a = stage.say(&db.store, "a").await;
    let turn = db.store.insert_swipe(stage.guild, stage.scene.id, a, &edit("A")).await.unwrap();
    assert_eq!((turn.swipe.text.as_str(), turn.swipe.ordinal, turn.num_swipes), ("A", 1, 2));
    assert_eq!(turn.swipe.origin, SwipeOrigin::Edited);
    let swipes = db.store.list_swipes(stage.guild, a).await.unwrap();
    assert_eq!(swipes[0].text, "a");
    let missing =
        db.store.insert_swipe(stage.guild, stage.scene.id, TurnId(9999), &edit("x")).await;
    assert!(matches!(missing, Err(StoreError::NotFound(_))));
}

#[tokio::test]
async fn a_branch_is_a_scene_of_its_own() {
    let db = TestDatabase::fresh().await;
    let store = &db.store;
    let stage = stage(store, "one").await;
    let (guild, scene) = (stage.guild, stage.scene.id);
    let note = Note { text: "Rain.".into(), depth: 2 };
    let update = SceneUpdate {
        note: Some(Some(note.clone())),
        length: Some(Some(Length::Short)),
        scenario: Some("An inn.".into()),
        ..SceneUpdate::default()
    };
    store.update_scene(guild, scene, &update).await.unwrap();
    store.insert_participant(guild, scene, stage.person.id).await.unwrap();
    let a = stage.say(store, "a").await;
    let removed = stage.say(store, "gone").await;
    let b = stage.say(store, "b").await;
    stage.say(store, "c").await;
    store.insert_swipe(guild, scene, a, &edit("A")).await.unwrap();
    store.remove_turn(guild, scene, removed).await.unwrap();

    let there = NewBranch { channel: "there".into(), title: "Another way".into() };
    let branch = store.branch_scene(guild, scene, b, &there).await.unwrap();
    let line = store.list_line(guild, branch.id, Line::default()).await.unwrap();
    assert_eq!(texts(&line), "A b");
    assert_eq!(branch.head, Some(line[1].id));
    assert_eq!((line[0].num_swipes, line[0].parent, line[1].parent), (2, None, Some(line[0].id)));
    assert_eq!((branch.scenario.as_str(), branch.length), ("An inn.", Some(Length::Short)));
    assert_eq!(branch.note, Some(note));
    assert_eq!(store.list_cast(guild, branch.id).await.unwrap().len(), 1);
    assert_eq!(store.list_participants(guild, branch.id).await.unwrap().len(), 1);

    store.insert_swipe(guild, branch.id, line[0].id, &edit("α")).await.unwrap();
    assert_eq!(stage.line(store).await, "A b c");
    let taken = store.branch_scene(guild, scene, b, &there).await;
    assert!(matches!(taken, Err(StoreError::Taken(_))), "{taken:?}");
    let foreign = store.branch_scene(guild, branch.id, a, &there).await;
    assert!(matches!(foreign, Err(StoreError::NotFound(_))), "{foreign:?}");
}

#[tokio::test]
async fn turns_said_at_once_stand_in_one_line() {
    let db = TestDatabase::fresh().await;
    let stage = std::sync::Arc::new(stage(&db.store, "one").await);
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..24 {
        let (store, stage) = (db.store.clone(), stage.clone());
        tasks.spawn(async move { stage.say(&store, &n.to_string()).await });
    }
    tasks.join_all().await;
    let line = db.store.list_line(stage.guild, stage.scene.id, Line::default()).await.unwrap();
    assert_eq!(line.len(), 24);
}
