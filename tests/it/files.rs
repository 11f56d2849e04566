//! The ecosystem's files on the command line: what comes in goes out again.

use std::fs;
use std::path::Path;
use std::process::Command;

use dramatis::chat::Library;
use dramatis::domain::{CharacterSheet, Speaker, SwipeOrigin};
use dramatis::formats::Limits;
use dramatis::formats::card::{Card, CardFile, Container, Version};
use dramatis::store::{NewScene, NewTurn};
use serde_json::{Value, json};

use crate::support::models::small_model;
use crate::support::postgres::TestDatabase;

/// `dramatis` in a directory of its own, with a library in `database`.
struct Home {
    dir: tempfile::TempDir,
    database: TestDatabase,
}

impl Home {
    async fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), database: TestDatabase::fresh().await }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Exit code, standard output and standard error.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dramatis"));
        command.args(["--data-dir", "data"]).args(arguments).current_dir(self.dir.path());
        command.env_clear().env("HOME", self.dir.path()).env("PATH", "/usr/bin:/bin");
        command.env("DRAMATIS_DATABASE__URL", self.database.url());
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    /// The same where it must succeed: standard output.
    fn done(&self, arguments: &[&str]) -> String {
        let (code, stdout, stderr) = self.run(arguments);
        assert_eq!(code, Some(0), "{arguments:?}\n{stdout}\n{stderr}");
        stdout
    }

    /// Where it must fail: standard error.
    fn refused(&self, arguments: &[&str]) -> String {
        let (code, stdout, stderr) = self.run(arguments);
        assert_eq!(code, Some(1), "{arguments:?}\n{stdout}\n{stderr}");
        stdout + &stderr
    }
}

fn card(name: &str) -> CardFile {
    CardFile::new(Card::from_sheet(&CharacterSheet {
        name: name.into(),
        greeting: "Hello.".into(),
        description: "Keeps bees.".into(),
        ..CharacterSheet::default()
    }))
}

fn read(path: &Path) -> CardFile {
    CardFile::read(&fs::read(path).unwrap(), &Limits::default()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn cards_are_shown_checked_brought_in_and_taken_out() {
    let home = Home::new().await;
    let png = card("Seren").write(Container::Png, Version::V3, &Limits::default()).unwrap();
    home.write("seren.png", &png);
    home.write("broken.png", &png[..png.len() / 2]);
    let shown = home.done(&["card", "show", "seren.png"]);
    assert!(shown.contains("Seren") && shown.contains("11 characters"), "{shown}");
    assert!(home.done(&["card", "show", "--json", "seren.png"]).contains("chara_card_v3"));
    let (_, checked, _) = home.run(&["card", "validate", "seren.png", "broken.png"]);
    assert!(checked.contains("broken.png: error"), "{checked}");

    let said = home.done(&["card", "import", "seren.png"]);
    assert!(said.starts_with("Seren: "), "{said}");
    let again = home.refused(&["card", "import", "seren.png"]);
    assert!(again.contains("--replace"), "{again}");
    home.done(&["card", "import", "--replace", "seren.png"]);
    let missing = home.refused(&["card", "import", "nothing.png"]);
    assert!(missing.contains("cannot read nothing.png"), "{missing}");

    home.done(&["card", "export", "seren", "--as", "charx", "-o", "out.charx"]);
    assert_eq!(read(&home.path("out.charx")).card.name(), "Seren");
    let there = home.refused(&["card", "export", "seren", "--as", "charx", "-o", "out.charx"]);
    assert!(there.contains("--force"), "{there}");
    // A file becomes another without a library.
    home.done(&["card", "export", "out.charx", "--as", "json", "--spec", "v2", "-o", "v2.json"]);
    assert_eq!(read(&home.path("v2.json")).card.version(), Version::V2);
}

#[tokio::test(flavor = "multi_thread")]
async fn lorebooks_presets_and_templates_come_and_go() {
    let home = Home::new().await;
    let book = r#"{"entries": {"0": {"uid": 0, "key": ["inn"], "content": "Old.", "x": 1.50}}}"#;
    home.write("town.json", book);
    home.write("broken.json", r#"{"entries": {"0": {"uid": 0, "key": ["/(/"], "content": "x"}}}"#);
    home.done(&["lore", "validate", "town.json"]);
    let (_, checked, _) = home.run(&["lore", "validate", "broken.json"]);
    assert!(checked.contains("no regular expression"), "{checked}");
    assert_eq!(home.done(&["lore", "import", "town.json", "--everywhere"]), "town: 1 entries\n");
    assert!(home.done(&["lore", "list"]).contains("used everywhere"));
    assert!(home.done(&["lore", "list", "town"]).contains("inn"));
    // White space between the outermost keys is nobody's; all else is as it was spelled.
    let wanted = book.replacen("\"entries\": ", "\"entries\":", 1);
    assert_eq!(home.done(&["lore", "export", "town", "-o", "-"]), wanted);
    assert!(
        home.done(&["lore", "export", "town", "--as", "v3", "-o", "-"]).contains("lorebook_v3")
    );
    home.done(&["lore", "remove", "town"]);
    assert!(home.refused(&["lore", "export", "town"]).contains("there is nothing yet"));

    let preset = r#"{"temp": 0.70, "top_p": 0.9, "rep_pen": 1.1, "x_other": [1.0]}"#;
    home.write("calm.json", preset);
    let said = home.done(&["preset", "import", "calm.json"]);
    assert!(said.contains("/preset calm"), "{said}");
    assert!(home.done(&["preset", "list"]).starts_with("calm"));
    assert_eq!(
        home.done(&["preset", "export", "calm", "-o", "-"]),
        preset.replace(", ", ",").replace(": ", ":")
    );
    assert!(home.done(&["preset", "export", "limarp", "-o", "-"]).contains("\"temp\""));
    home.write("none.json", "{}");
    home.refused(&["preset", "import", "none.json"]);

    let listed = home.done(&["template", "list"]);
    assert!(listed.starts_with("limarp  (configured)\n") && listed.contains("chatml"), "{listed}");
    home.done(&["template", "export", "chatml", "-o", "chatml.json"]);
    let shown = home.done(&["template", "show", "chatml.json"]);
    assert!(shown.contains("<|im_start|>"), "{shown}");
    home.refused(&["template", "export", "limarp"]);
    home.refused(&["template", "show", "nothing"]);
    let listed = home.done(&["--set", "model.template=chatml", "template", "list"]);
    assert!(listed.contains("chatml  (configured)"), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_comes_in_and_goes_out() {
    let home = Home::new().await;
    let json = card("Mira").write(Container::Json, Version::V3, &Limits::default()).unwrap();
    home.write("mira.json", json);
    home.done(&["card", "import", "mira.json"]);
    let chat = "{\"user_name\":\"Ash\",\"character_name\":\"Mira\",\"chat_metadata\":{}}\n\
                {\"name\":\"Mira\",\"is_user\":false,\"mes\":\"One.\"}\n\
                {\"name\":\"Ash\",\"is_user\":true,\"mes\":\"Two.\"}";
    home.write("chat.jsonl", chat);
    let said = home.done(&["chat", "import", "chat.jsonl"]);
    assert!(said.starts_with("Mira: 2 turns"), "{said}");
    let again = home.refused(&["chat", "import", "chat.jsonl"]);
    assert!(again.contains("play --new"), "{again}");
    assert_eq!(home.done(&["chat", "export", "-o", "-"]), chat);
    assert_eq!(home.done(&["chat", "export", "--character", "mira", "-o", "-"]), chat);
    assert!(home.done(&["chat", "export", "--as", "markdown", "-o", "-"]).contains("**Ash**"));
    assert!(home.done(&["chat", "export", "--as", "html", "-o", "-"]).starts_with("<!doctype"));
    home.write("none.jsonl", "nothing");
    home.refused(&["chat", "import", "none.jsonl"]);
}

/// A scene of four turns in a guild, its person and its approval as they may be.
async fn scene_in(home: &Home, guild: &str, agrees: Option<bool>, is_approved: bool) {
    let library = Library::new(home.database.store.clone(), 1 << 15, None);
    let store = library.store();
    let guild = store.upsert_guild("discord", guild, "A guild").await.unwrap().id;
    let person = store.upsert_person(guild, "777000111222333444", "Cassia").await.unwrap();
    let sheet = CharacterSheet { name: "Seren".into(), ..CharacterSheet::default() };
    let known = store.get_character_by_name(guild, "Seren").await.unwrap();
    let seren = match known {
        Some(known) => known,
        None => store.insert_character(guild, &sheet).await.unwrap(),
    };
    let channel = store.list_scenes(guild, true, 99).await.unwrap().len().to_string();
    let scene =
        NewScene { channel, title: "A".into(), cast: vec![seren.id], ..NewScene::default() };
    let scene = store.insert_scene(guild, &scene).await.unwrap().id;
    for i in 0..4 {
        let (speaker, origin) = match i % 2 {
            0 => (Speaker::Person { id: person.id, name: "Cassia".into() }, SwipeOrigin::Written),
            _ => {
                (Speaker::Character { id: seren.id, name: "Seren".into() }, SwipeOrigin::Generated)
            }
        };
        let text = format!("Cassia keeps bee number {i}.");
        let turn = NewTurn { speaker, text, origin, receipt: None, alternates: Vec::new() };
        store.append_turn(guild, scene, &turn).await.unwrap();
    }
    if let Some(holds) = agrees {
        library.agree_to_training(guild, person.id).await.unwrap();
        if !holds {
            library.withdraw_from_training(guild, person.id).await.unwrap();
        }
    }
    if is_approved {
        library.approve_training(guild, scene, person.id).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scenes_that_everybody_agreed_to_become_training_data() {
    let home = Home::new().await;
    let model = small_model();
    let model = model.to_str().unwrap();
    let export = |more: &[&'static str]| {
        let mut arguments = vec!["dataset", "export", "--tokenizer", model];
        arguments.extend_from_slice(more);
        home.run(&arguments)
    };
    let (code, _, stderr) = export(&["--out", "none"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("nothing was exported; there are no scenes"), "{stderr}");

    scene_in(&home, "one", Some(true), true).await;
    scene_in(&home, "one", Some(true), false).await;
    scene_in(&home, "two", None, true).await;
    scene_in(&home, "three", Some(false), true).await;
    let (code, stdout, stderr) = export(&["--out", "data"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        stdout.starts_with("1 samples of 1 scenes, ") && stdout.contains("2 replies"),
        "{stdout}"
    );
    let data = fs::read_to_string(home.path("data/train.jsonl")).unwrap();
    assert_eq!(data.lines().count(), 1);
    assert!(!data.contains("Cassia") && data.contains("keeps bee number 3.<|im_end|>"), "{data}");
    let card: Value =
        serde_json::from_slice(&fs::read(home.path("data/data-card.json")).unwrap()).unwrap();
    assert_eq!(
        (&card["scenes"], &card["scenes_taken"], &card["guilds"]),
        (&4.into(), &1.into(), &3.into())
    );
    let reasons = json!({ "not_approved": 1, "no_consent": 1, "consent_withdrawn": 1 });
    assert_eq!(card["scenes_left_out"], reasons);
    assert_eq!((&card["people"], &card["turns"]), (&1.into(), &4.into()));
    assert_eq!(card["replaced"]["names"], 4);
    let page = fs::read_to_string(home.path("data/data-card.md")).unwrap();
    assert!(page.contains("| somebody who spoke in it did not agree | 1 |"), "{page}");
    let mut names: Vec<_> = fs::read_dir(home.path("data"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["data-card.json", "data-card.md", "train.jsonl"], "nothing half done");

    // What is there stays, unless it is forced; an export without samples leaves none of
    // an earlier one.
    let (code, _, stderr) = export(&["--out", "data"]);
    assert!(code == Some(1) && stderr.contains("--force"), "{stderr}");
    let (code, _, stderr) = export(&["--out", "data", "--force", "--guild", "two"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("1 scene because somebody who spoke in it did not agree"), "{stderr}");
    assert!(!home.path("data/train.jsonl").exists() && home.path("data/data-card.md").exists());
    let (code, stdout, _) = export(&["--out", "one", "--guild", "one", "--json"]);
    assert_eq!(code, Some(0));
    let card: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&card["scenes"], &card["samples"]), (&2.into(), &1.into()));
    let (_, _, stderr) = export(&["--out", "four", "--guild", "four"]);
    assert!(stderr.contains("no guild four; there are one (A guild), "), "{stderr}");
}
