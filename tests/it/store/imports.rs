//! What comes from files comes in whole, or not at all, and as it was spelled.

use dramatis::domain::CharacterSheet;
use dramatis::store::{
    CharacterAsset, CharacterFile, ImportedMember, ImportedTurn, Line, NewBook, NewImport,
    NewScene, Noun, StoreError,
};

use super::stage;
use crate::support::postgres::TestDatabase;

fn asset(kind: &str, name: &str, byte: u8) -> CharacterAsset {
    CharacterAsset {
        kind: kind.into(),
        name: name.into(),
        ext: "png".into(),
        uri: format!("embeded://{name}.png"),
        sha256: [byte; 32],
        bytes: vec![byte; 3].into(),
    }
}

fn file(name: &str, assets: Vec<CharacterAsset>) -> CharacterFile {
    CharacterFile {
        sheet: CharacterSheet { name: name.into(), ..CharacterSheet::default() },
        card: r#"{"z": 1.50, "a": [1e400, "\u0000"]}"#.into(),
        assets,
        book: Some(NewBook { name: "Town".into(), body: r#"{"b": 2.0}"#.into() }),
    }
}

#[tokio::test]
async fn a_character_file_comes_in_whole_and_another_takes_its_place() {
    let db = TestDatabase::fresh().await;
    let (store, guild) = (&db.store, stage(&db.store, "one").await.guild);
    let mut first = file("Ada", vec![asset("emotion", "joy", 1), asset("card picture", "card", 2)]);
    let ada = store.import_character(guild, &first, None).await.unwrap();
    assert_eq!(ada.sheet, first.sheet);
    assert_eq!(store.get_card(guild, ada.id).await.unwrap().as_deref(), Some(&*first.card));
    assert_eq!(store.list_character_assets(guild, ada.id).await.unwrap(), first.assets);
    assert_eq!(store.get_picture_sum(guild, ada.id).await.unwrap(), Some([2; 32]));
    assert_eq!(store.list_picture_names(guild, ada.id).await.unwrap(), ["joy", "card"]);
    store.set_character_picture(guild, ada.id, Some("joy")).await.unwrap();
    assert_eq!(store.get_picture_sum(guild, ada.id).await.unwrap(), Some([1; 32]), "as chosen");
    let book = store.get_embedded_lorebook(guild, ada.id).await.unwrap().unwrap();
    let kept = store.get_lorebook(guild, book).await.unwrap().unwrap();
    assert_eq!((kept.name.as_str(), kept.body.as_str()), ("Town", r#"{"b": 2.0}"#));

    // Another brings the same picture along, and a book of the same name.
    let other = file("Bo", vec![asset("icon", "main", 2), asset("card picture", "card", 3)]);
    let bo = store.import_character(guild, &other, None).await.unwrap();
    assert_eq!(store.get_picture_sum(guild, bo.id).await.unwrap(), Some([2; 32]), "its icon");
    let theirs = store.get_embedded_lorebook(guild, bo.id).await.unwrap().unwrap();
    assert_eq!(store.get_lorebook(guild, theirs).await.unwrap().unwrap().name, "Town 2");

    // What nobody uses any more goes; what others use stays.
    first.assets = vec![asset("icon", "side", 4)];
    first.book = None;
    let again = store.import_character(guild, &first, Some(ada.id)).await.unwrap();
    assert_eq!(again.id, ada.id);
    assert_eq!(store.list_character_assets(guild, ada.id).await.unwrap(), first.assets);
    assert_eq!(store.get_asset(guild, [1; 32]).await.unwrap(), None);
    assert_eq!(store.get_asset(guild, [2; 32]).await.unwrap(), Some(vec![2; 3]));
    assert_eq!(store.get_embedded_lorebook(guild, ada.id).await.unwrap(), None);
    assert_eq!(store.get_lorebook(guild, book).await.unwrap(), None);
}

#[tokio::test]
async fn of_a_file_that_cannot_come_in_nothing_does() {
    let db = TestDatabase::fresh().await;
    let (store, guild) = (&db.store, stage(&db.store, "one").await.guild);
    let taken = store.import_character(guild, &file("MIRA", vec![]), None).await;
    assert!(matches!(taken, Err(StoreError::Taken(Noun::Character))), "{taken:?}");
    let broken = CharacterFile { card: "{".into(), ..file("Ada", vec![asset("icon", "main", 1)]) };
    assert!(store.import_character(guild, &broken, None).await.is_err());
    let broken = CharacterFile {
        book: Some(NewBook { name: "Town".into(), body: "{".into() }),
        ..file("Ada", vec![asset("icon", "main", 1)])
    };
    assert!(store.import_character(guild, &broken, None).await.is_err());
    assert_eq!(store.list_characters(guild).await.unwrap().len(), 1, "Mira alone");
    assert_eq!(store.get_asset(guild, [1; 32]).await.unwrap(), None);
    assert!(store.list_lorebooks(guild).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_chat_comes_in_with_its_swipes_its_times_and_its_lines() {
    let db = TestDatabase::fresh().await;
    let stage = stage(&db.store, "one").await;
    let (store, guild) = (&db.store, stage.guild);
    let at = "2024-03-01T10:00:00Z".parse().ok();
    let spoken = ImportedTurn {
        member: Some(0),
        name: "Mira".into(),
        swipes: vec!["One.".into(), "Two.".into(), "Three.".into()],
        standing: 1,
        created_at: at,
        is_removed: false,
        source: r#"{"mes": "Two.", "x": 1.0}"#.into(),
    };
    let hidden = ImportedTurn {
        swipes: vec!["Aside.".into()],
        standing: 0,
        is_removed: true,
        ..spoken.clone()
    };
    let said = ImportedTurn {
        member: None,
        name: "Then".into(),
        swipes: vec!["Mine.".into()],
        standing: 0,
        created_at: None,
        ..spoken.clone()
    };
    let new = NewScene {
        channel: "there".into(),
        title: "Then".into(),
        preset: "limarp".into(),
        ..NewScene::default()
    };
    let ada = CharacterSheet { name: "Ada".into(), ..CharacterSheet::default() };
    let import = NewImport {
        scene: new,
        cast: vec![ImportedMember::Known(stage.character.id), ImportedMember::New(Box::new(ada))],
        person: stage.person.id,
        header: r#"{"h": 1.0}"#.into(),
        turns: vec![spoken, hidden, said],
    };
    let broken = NewImport { header: "{".into(), ..import.clone() };
    assert!(store.import_scene(guild, &broken).await.is_err());
    assert!(store.get_character_by_name(guild, "Ada").await.unwrap().is_none(), "nothing of it");
    let scene = store.import_scene(guild, &import).await.unwrap();
    assert_eq!(store.list_cast(guild, scene.id).await.unwrap().len(), 2);
    let turns = import.turns;
    let line = store.list_line(guild, scene.id, Line::default()).await.unwrap();
    let texts: Vec<_> = line.iter().map(|turn| turn.swipe.text.as_str()).collect();
    assert_eq!(texts, ["Two.", "Mine."], "what is hidden is in no line");
    assert_eq!((line[0].num_swipes, line[0].swipe.ordinal), (3, 1));
    assert_eq!(line[1].speaker.name(), "Then");
    let tree = store.list_tree(guild, scene.id).await.unwrap();
    assert_eq!(Some(tree[0].created_at), at);
    assert_eq!(store.list_participants(guild, scene.id).await.unwrap()[0].person, stage.person);
    let source = store.get_scene_source(guild, scene.id).await.unwrap();
    assert_eq!(source.header.as_deref(), Some(r#"{"h": 1.0}"#));
    assert_eq!(source.lines.len(), 3);
    assert_eq!(source.lines[0].1, turns[0].source);
    // It goes on like any other.
    store.append_turn(guild, scene.id, &stage.said("More.")).await.unwrap();
    assert_eq!(store.list_line(guild, scene.id, Line::default()).await.unwrap().len(), 3);
    // A branch knows where it came from, too.
    let branch = dramatis::store::NewBranch { channel: "aside".into(), title: "B".into() };
    let at = line[0].id;
    let branch = store.branch_scene(guild, scene.id, at, &branch).await.unwrap();
    let source = store.get_scene_source(guild, branch.id).await.unwrap();
    assert_eq!((source.header.is_some(), source.lines.len()), (true, 1));
}
