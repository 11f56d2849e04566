//! With an operator's keys nothing that people or models wrote can be read in the database.

use dramatis::chat::PersonaScope;
use dramatis::domain::{Note, SceneId};
use dramatis::store::{Keyring, SceneUpdate, Sealing, Store, StoreError};

use serde_json::Value;

use super::house::House;
use super::models::tiny;
use crate::support::postgres::TestDatabase;

const CANARY: &str = "the curlew of Ambrey calls";

/// Says the canary through every door that is sealed.
async fn say_everywhere(house: &mut House) -> SceneId {
    let scene = house.scene().await;
    let (guild, me, chat) = (house.guild, house.me.person.id, house.chat.clone());
    house.run();
    let update = SceneUpdate {
        scenario: Some(format!("A marsh, where {CANARY}.")),
        note: Some(Some(Note { text: format!("Now {CANARY}."), depth: 2 })),
        ..SceneUpdate::default()
    };
    house.db.store.update_scene(guild, scene, &update).await.unwrap();
    chat.set_persona(guild, PersonaScope::Guild, me, "Wren", &format!("Knows that {CANARY}."))
        .await
        .unwrap();
    let turn = house.exchange(scene, &format!("Listen: {CANARY}.")).await;
    house.settled(scene).await;
    chat.report_turn(guild, scene, turn.id, me, &format!("because {CANARY}")).await.unwrap();
    let said = house.line(scene).await[0].id;
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
    (read, cases.into_iter().map(|case| case.evidence).collect())
}

#[tokio::test]
async fn what_is_sealed_is_read_by_those_who_have_the_key_and_by_nobody_else() {
    let (old, new) = (Keyring::new_key("old"), Keyring::new_key("new"));
    let mut db = TestDatabase::fresh().await;
    db.store = db.sealed_store(&old).await.unwrap();
    let mut house = House::open_in(db, tiny(), &[]).await;
    let scene = say_everywhere(&mut house).await;
    assert!(!house.db.dump().await.contains("curlew"), "the database holds none of it");
    let said = read(&house, &house.db.store, scene).await;
    assert!(said.0.matches(CANARY).count() >= 8, "{said:?}");
    assert!(said.1.iter().all(Option::is_some) && said.1.len() == 2, "{said:?}");
    assert!(house.preview(scene).await.contains(CANARY), "prompts are made of it all the same");
    house.stop().await;

    // Without the key, or with another of that name, there is no start or no text.
    let error = house.db.sealed_store("").await.unwrap_err();
    assert!(error.to_string().contains("“old”"), "{error}");
    let forged = house.db.sealed_store(&Keyring::new_key("old")).await.unwrap();
    let error = forged.list_line(house.guild, scene, Default::default()).await.unwrap_err();
    assert!(matches!(error, StoreError::Sealed { .. }), "{error:?}");

    // Another key takes over, and then the old one can go.
    let both = house.db.sealed_store(&format!("{new}\n{old}")).await.unwrap();
    assert!(both.reseal_guild(house.guild, Sealing::First).await.unwrap() > 8);
    assert_eq!(both.reseal_guild(house.guild, Sealing::First).await.unwrap(), 0);
    both.forget_seal_keys(Sealing::First).await.unwrap();
    let renewed = house.db.sealed_store(&new).await.unwrap();
    assert_eq!(read(&house, &renewed, scene).await, said);
    assert!(house.db.sealed_store(&old).await.is_err(), "what it wrote is nowhere any more");

    // And back to the clear.
    renewed.reseal_guild(house.guild, Sealing::Open).await.unwrap();
    renewed.forget_seal_keys(Sealing::Open).await.unwrap();
    assert!(house.db.dump().await.contains(CANARY));
    let open = house.db.sealed_store("").await.unwrap();
    assert_eq!(read(&house, &open, scene).await, said);
}

#[tokio::test]
async fn what_was_there_before_is_sealed_by_a_command() {
    let mut house = House::open(tiny()).await;
    let scene = say_everywhere(&mut house).await;
    house.stop().await;
    let said = read(&house, &house.db.store, scene).await;
    assert!(house.db.dump().await.contains(CANARY));
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
    let (done, _, told) = dramatis(&with_key, &["seal", "rotate"]);
    assert!(done && told.contains("sealed with “mine” now"), "{told}");
    assert!(!house.db.dump().await.contains("curlew"));
    let store = house.db.sealed_store(&key).await.unwrap();
    assert_eq!(read(&house, &store, scene).await, said);
    let (done, _, told) = dramatis(&[], &["audit", "head"]);
    assert!(!done && told.contains("“mine”"), "a start without the key is refused: {told}");
    let (done, _, told) = dramatis(&with_key, &["seal", "open"]);
    assert!(done && told.contains("can be read without a key now"), "{told}");
    assert_eq!(read(&house, &house.db.store, scene).await, said);
}
