//! With an operator's keys nothing that people or models wrote can be read, in the database
//! or in the cache on the disk.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use dramatis::chat::{ChatPlace, PersonaScope, ReplyReceipt};
use dramatis::config::{Config, Environment, LoadOptions, Override};
use dramatis::domain::{Character, Note, Scene, SceneId};
use dramatis::engine::EngineOptions;
use dramatis::formats::card::{Container, Version};
use dramatis::model::Backend;
use dramatis::pool::Pool;
use dramatis::service;
use dramatis::store::{Keyring, SceneUpdate, Sealing, Store, StoreError, Surroundings};

use serde_json::{Value, json};

use super::house::{House, chat};
use super::models::{engine, start_tiny, tiny};
use crate::support::postgres::TestDatabase;

const CANARY: &str = "the curlew of Ambrey calls";

/// A card that says it wherever one can, with its picture and lore that its word calls.
fn card() -> String {
    let picture = BASE64.encode(CANARY);
    let card = json!({
        "spec": "chara_card_v3",
        "spec_version": "3.0",
        "data": {
            "name": "Mira",
            "description": format!("Mira knows that {CANARY}."),
            "first_mes": format!("Hush: {CANARY}."),
            "creator_notes": format!("Written where {CANARY}."),
            "tags": [], "alternate_greetings": [], "group_only_greetings": [], "extensions": {},
            "character_book": {
                "name": "Marsh", "extensions": {},
                "entries": [{
                    "name": format!("How {CANARY}"), "keys": ["curlew"], "enabled": true,
                    "content": format!("At dusk {CANARY}."), "extensions": {}, "use_regex": false,
                    "insertion_order": 5
                }]
            },
            "assets": [{
                "type": "icon", "name": "main", "ext": "png",
                "uri": format!("data:image/png;base64,{picture}")
            }],
            "x_odd": ["at", "so"]
        }
    });
    // As no column of jsonb could keep it.
    card.to_string().replace(r#"["at","so"]"#, r#"[1.50, "\u0000"]"#)
}

/// A chat that was played elsewhere, said nearly everything.
fn played() -> String {
    let head = json!({
        "user_name": "Ann", "character_name": "Mira",
        "chat_metadata": { "scenario": format!("Where {CANARY}."), "x": CANARY },
    });
    let line = json!({
        "name": "Ann", "is_user": true, "is_system": false, "send_date": "June 5, 2024 2:58pm",
        "mes": format!("I hear it: {CANARY}."), "extra": { "x": CANARY },
    });
    format!("{head}\n{line}")
}

/// Brings the canary in with files.
async fn bring_in(house: &House) -> (Character, Scene) {
    let (guild, me, library) = (house.guild, &house.me.person, house.chat.library());
    let read = library.read_card(card().into_bytes()).await.unwrap();
    let mira = library.import_character(guild, me.id, read, None).await.unwrap().character;
    let preset = json!({ "temp": 1.0, "top_p": 0.9, "x": CANARY }).to_string();
    library.import_preset(guild, me.id, preset.as_bytes(), "Marsh").await.unwrap();
    let place = ChatPlace {
        channel: "elsewhere".into(),
        title: None,
        length: None,
        preset: "limarp".into(),
        surroundings: Surroundings::default(),
    };
    let chat = library.read_chat(played().into_bytes()).await.unwrap();
    let chat = library.import_chat(guild, me, chat, Some(mira.clone()), place).await.unwrap();
    (mira, chat.scene)
}

/// Says the canary through every door that is sealed.
async fn say_everywhere(house: &mut House) -> SceneId {
    let (mira, elsewhere) = bring_in(house).await;
    let scene = house.open_scene(&[mira]).await.unwrap().id;
    let (guild, me, chat) = (house.guild, house.me.person.id, house.chat.clone());
    house.run();
    let update = SceneUpdate {
        scenario: Some(format!("A marsh, where {CANARY}.")),
        note: Some(Some(Note { text: format!("Now {CANARY}."), depth: 2 })),
        ..SceneUpdate::default()
    };
    house.db.store.update_scene(guild, scene, &update).await.unwrap();
    let effects = json!({ "matched": { CANARY: 1 } });
    house.db.store.set_lore_effects(guild, elsewhere.id, Some(&effects)).await.unwrap();
    chat.set_persona(guild, PersonaScope::Guild, me, "Wren", &format!("Knows that {CANARY}."))
        .await
        .unwrap();
    let turn = house.exchange(scene, &format!("Listen: {CANARY}.")).await;
    house.settled(scene).await;
    chat.report_turn(guild, scene, turn.id, me, &format!("because {CANARY}")).await.unwrap();
    let said = house.line(scene).await[1].id;
    chat.report_turn(guild, scene, said, me, "it is mine").await.unwrap();
    scene
}

/// Everything that was said, as it is read through the store, and what cases rest on.
async fn read(house: &House, store: &Store, scene: SceneId) -> (String, Vec<Option<Value>>) {
    let (guild, me) = (house.guild, house.me.person.id);
    let found = store.get_scene(guild, scene).await.unwrap().unwrap();
    let line = store.list_line(guild, scene, Default::default()).await.unwrap();
    let mut read = format!("{:?} {:?}\n", found.scenario, found.note);
    for turn in &line {
        let prompt = store.get_prompt_ids(guild, turn.id, turn.swipe.id).await.unwrap();
        read.push_str(&format!("{:?} {prompt:?}\n", turn.swipe.text));
    }
    let swipes = store.list_swipes(guild, line[0].id).await.unwrap();
    read.push_str(&format!("{:?}\n", swipes.iter().map(|it| &it.text).collect::<Vec<_>>()));
    let tree = store.list_tree(guild, scene).await.unwrap();
    read.push_str(&format!("{:?}\n", tree[0].swipes[0].text));
    read.push_str(&format!("{:?}\n", store.list_personas(guild, me).await.unwrap()));
    let cases = store.list_cases(guild, None).await.unwrap();
    read.push_str(&format!("{:?}\n", cases.iter().map(|it| &it.reason).collect::<Vec<_>>()));
    let texts = store.list_person_texts(guild, me).await.unwrap();
    read.push_str(&format!("{:?}\n", texts.iter().map(|it| &it.text).collect::<Vec<_>>()));
    let reports = store.list_reports(guild, false).await.unwrap();
    read.push_str(&format!("{:?}\n", reports.iter().map(|it| &it.reason).collect::<Vec<_>>()));
    let receipts = line.iter().map(|turn| ReplyReceipt::of(&turn.swipe)).collect::<Vec<_>>();
    read.push_str(&format!("{receipts:?}\n"));
    let mira = &store.list_characters(guild).await.unwrap()[0];
    read.push_str(&format!("{:?}\n", mira.sheet));
    read.push_str(&format!("{:?}\n", store.get_card(guild, mira.id).await.unwrap()));
    let assets = store.list_character_assets(guild, mira.id).await.unwrap();
    read.push_str(&format!("{:?}\n", String::from_utf8_lossy(&assets[0].bytes)));
    let book = store.get_embedded_lorebook(guild, mira.id).await.unwrap().unwrap();
    read.push_str(&format!("{:?}\n", store.get_lorebook(guild, book).await.unwrap()));
    read.push_str(&format!("{:?}\n", store.get_preset(guild, "Marsh").await.unwrap()));
    for scene in store.list_scenes(guild, false, 9).await.unwrap() {
        let source = store.get_scene_source(guild, scene.id).await.unwrap();
        let effects = store.get_lore_effects(guild, scene.id).await.unwrap();
        read.push_str(&format!("{source:?} {effects:?}\n"));
    }
    (read, cases.into_iter().map(|case| case.evidence).collect())
}

/// In how many rows a dump of the database shows a word, as text or as bytes.
async fn rows_with(db: &TestDatabase, word: &str) -> usize {
    let dump = db.dump().await;
    let hex: String = word.bytes().map(|byte| format!("{byte:02x}")).collect();
    dump.lines().filter(|row| row.contains(word) || row.contains(&hex)).count()
}

fn settings(dir: &Path, set: &[(&str, &str)]) -> Config {
    let dir = dir.to_str().unwrap();
    let set = [&[("data_dir", dir)], set].concat();
    let options = LoadOptions {
        config_file: None,
        overrides: set.iter().map(|&(key, value)| Override::flag("test", key, value)).collect(),
        environment: Environment::from_pairs([("HOME", dir)]),
        working_dir: dir.into(),
    };
    Config::load(&options).unwrap()
}

/// An engine with a cache on the disk, as these settings have it.
fn cached(dir: &Path, set: &[(&str, &str)]) -> EngineOptions {
    let options = service::engine_options(&settings(dir, set), &Backend::default()).unwrap();
    EngineOptions { disk_cache: options.disk_cache, ..engine() }
}

/// Lets a pool write what it has to write, and says in how many places the files of its
/// cache hold 16 tokens in a row of that prompt.
async fn num_cached(pool: Pool, dir: &Path, prompt: &[u32]) -> usize {
    tokio::task::spawn_blocking(move || pool.shutdown()).await.unwrap();
    let bytes: Vec<u8> = prompt.iter().flat_map(|token| token.to_le_bytes()).collect();
    let pieces: Vec<&[u8]> = bytes.chunks_exact(64).collect();
    let files = fs::read_dir(dir.join("kv-cache")).unwrap();
    let files: Vec<Vec<u8>> = files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect();
    assert!(files.iter().map(Vec::len).sum::<usize>() > bytes.len(), "something was written");
    let holds = |piece: &[u8]| files.iter().any(|file| file.windows(64).any(|w| w == piece));
    pieces.into_iter().filter(|piece| holds(piece)).count()
}

#[tokio::test]
async fn what_is_sealed_is_read_by_those_who_have_the_key_and_by_nobody_else() {
    let (old, new) = (Keyring::new_key("old"), Keyring::new_key("new"));
    let mut db = TestDatabase::fresh().await;
    db.store = db.sealed_store(&old).await.unwrap();
    let mut house = House::open_in(db, tiny(), &[]).await;
    let scene = say_everywhere(&mut house).await;
    assert_eq!(rows_with(&house.db, "curlew").await, 0, "the database holds none of it");
    let said = read(&house, &house.db.store, scene).await;
    assert!(said.0.matches(CANARY).count() >= 24, "{said:?}");
    assert!(said.1.iter().all(Option::is_some) && said.1.len() == 2, "{said:?}");
    assert!(house.preview(scene).await.contains(CANARY), "prompts are made of it all the same");
    house.stop().await;
    let library = house.chat.library();
    let mira = library.find_character(house.guild, "Mira").await.unwrap().id;
    let exported = library.export_character(house.guild, mira, Container::Json, Version::V3);
    assert_eq!(String::from_utf8(exported.await.unwrap().bytes).unwrap(), card(), "to the byte");
    let other = house.db.store.list_scenes(house.guild, false, 9).await.unwrap();
    let other = other.iter().find(|it| it.channel == "elsewhere").unwrap().id;
    let exported = library.export_chat(house.guild, other).await.unwrap();
    assert_eq!(String::from_utf8(exported.bytes).unwrap().trim_end(), played());

    // Without the key, or with another of that name, there is no start or no text.
    let error = house.db.sealed_store("").await.unwrap_err();
    assert!(error.to_string().contains("“old”"), "{error}");
    let forged = house.db.sealed_store(&Keyring::new_key("old")).await.unwrap();
    let error = forged.list_line(house.guild, scene, Default::default()).await.unwrap_err();
    assert!(matches!(error, StoreError::Sealed { .. }), "{error:?}");

    // Another key takes over, and then the old one can go.
    let both = house.db.sealed_store(&format!("{new}\n{old}")).await.unwrap();
    assert!(both.reseal_guild(house.guild, Sealing::First).await.unwrap() > 20);
    assert_eq!(both.reseal_guild(house.guild, Sealing::First).await.unwrap(), 0);
    both.forget_seal_keys(Sealing::First).await.unwrap();
    let renewed = house.db.sealed_store(&new).await.unwrap();
    assert_eq!(read(&house, &renewed, scene).await, said);
    assert!(house.db.sealed_store(&old).await.is_err(), "what it wrote is nowhere any more");

    // And back to the clear.
    renewed.reseal_guild(house.guild, Sealing::Open).await.unwrap();
    renewed.forget_seal_keys(Sealing::Open).await.unwrap();
    assert!(rows_with(&house.db, CANARY).await > 0);
    let open = house.db.sealed_store("").await.unwrap();
    assert_eq!(read(&house, &open, scene).await, said);
}

#[tokio::test]
async fn what_was_there_before_is_sealed_by_a_command() {
    let mut house = House::open(tiny()).await;
    let scene = say_everywhere(&mut house).await;
    house.stop().await;
    let said = read(&house, &house.db.store, scene).await;
    for (table, column) in [
        ("swipe", "text"),
        ("swipe", "receipt"),
        ("character", "sheet"),
        ("character", "card"),
        ("lorebook", "body"),
        ("asset", "convert_from(bytes, 'UTF8')"),
        ("scene", "source"),
        ("scene", "lore_effects"),
        ("turn", "source"),
        ("preset", "source"),
    ] {
        let sql =
            format!("SELECT count(*) FROM {table} WHERE strpos(({column})::text, 'curlew') > 0");
        let found = sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(sql));
        let found = found.fetch_one(&house.db.pool).await.unwrap();
        assert!(found > 0, "{table}.{column} says it");
    }
    let home = tempfile::tempdir().unwrap();
    let dramatis = |set: &[&str], arguments: &[&str]| {
        let set = set.iter().flat_map(|set| ["--set", *set]).collect::<Vec<_>>();
        let (code, stdout, stderr) = house.db.dramatis(home.path(), &[&set, arguments].concat());
        (code == Some(0), stdout, stderr)
    };
    let (done, key, _) = dramatis(&[], &["seal", "key", "--name", "mine"]);
    assert!(done && key.starts_with("mine:"), "{key}");
    std::fs::write(home.path().join("keys"), &key).unwrap();
    let with_key = ["privacy.key_file=keys"];
    for (set, arguments, wanted) in [
        (&[][..], &["seal", "rotate"][..], "`privacy.key_file` names no file"),
        (&["privacy.key_file=lost"], &["seal", "rotate"], "privacy.key_file"),
        (&[], &["seal", "key", "--name", "a b"], "is no name for a key"),
    ] {
        let (done, _, told) = dramatis(set, arguments);
        assert!(!done && told.contains(wanted), "{arguments:?}: {told}");
    }
    // From a start with the key until then, some rows are sealed and some are not.
    let store = house.db.sealed_store(&key).await.unwrap();
    assert_eq!(read(&house, &store, scene).await, said);
    let mira = store.get_character_by_name(house.guild, "mira").await.unwrap().unwrap();
    store.update_character(house.guild, mira.id, &mira.sheet).await.unwrap();
    assert_eq!(read(&house, &store, scene).await, said);
    store.close().await.unwrap();
    let (done, _, told) = dramatis(&with_key, &["seal", "rotate"]);
    assert!(done && told.contains("sealed with “mine” now"), "{told}");
    assert_eq!(rows_with(&house.db, "curlew").await, 0);
    let store = house.db.sealed_store(&key).await.unwrap();
    assert_eq!(read(&house, &store, scene).await, said);
    let (done, _, told) = dramatis(&[], &["audit", "head"]);
    assert!(!done && told.contains("“mine”"), "a start without the key is refused: {told}");
    let (done, _, told) = dramatis(&with_key, &["seal", "open"]);
    assert!(done && told.contains("can be read without a key now"), "{told}");
    assert_eq!(read(&house, &house.db.store, scene).await, said);
}

#[tokio::test]
async fn the_cache_on_the_disk_holds_prompts_that_only_the_key_reads() {
    let home = tempfile::tempdir().unwrap();
    let key = Keyring::new_key("mine");
    fs::write(home.path().join("keys"), &key).unwrap();
    let sealing = [("privacy.key_file", "keys")];
    let mut house = House::open(tiny()).await;
    let scene = say_everywhere(&mut house).await;
    house.stop().await;
    for (set, is_read) in [(&[][..], true), (&sealing[..], false)] {
        let pool = start_tiny(&cached(home.path(), set));
        house.chat = chat(house.db.store.clone(), pool.clone());
        house.run();
        let reply = house.exchange(scene, &format!("Again, {CANARY}.")).await;
        house.stop().await;
        let prompt = house.prompt_ids(&reply).await;
        let num_cached = num_cached(pool, home.path(), &prompt).await;
        assert_eq!(num_cached > 0, is_read, "{num_cached} of {set:?}");
    }
    let error = service::engine_options(
        &settings(home.path(), &[("privacy.key_file", "lost")]),
        &Backend::default(),
    );
    assert!(format!("{:#}", error.unwrap_err()).contains("privacy.key_file"));
}
