//! What goes in comes out: guilds, people, characters, scenes and the rest.

use dramatis::domain::{
    CharacterSheet, DepthPrompt, Length, Note, PromptRole, SceneState, SwipeOrigin, TurnId,
};
use dramatis::store::{
    ChannelSettings, GuildSettings, LoreScope, LoreUse, NewMessage, NewPost, NewScene, NewSwipe,
    NewTurn, Noun, PostOwner, PostRoute, Preset, QueueLimits, SceneOpening, SceneUpdate,
    StoreError, Work,
};
use serde_json::json;

use super::{scene, stage};
use crate::support::postgres::TestDatabase;

fn sheet(name: &str) -> CharacterSheet {
    CharacterSheet {
        name: name.into(),
        nickname: Some("Mi".into()),
        description: "{{char}} keeps an inn.".into(),
        greeting: "Come in!".into(),
        alternate_greetings: vec!["Oh.".into()],
        talkativeness: 0.7,
        group_only_greetings: vec!["All of you?".into()],
        tags: vec!["inn".into()],
        depth_prompt: Some(DepthPrompt {
            text: "Rain.".into(),
            depth: 4,
            role: PromptRole::System,
        }),
        ..CharacterSheet::default()
    }
}

#[tokio::test]
async fn guilds_and_people_are_known_by_their_platform_ids() {
    let db = TestDatabase::fresh().await;
    let guild = db.store.upsert_guild("discord", "1", "Inn").await.unwrap();
    let renamed = db.store.upsert_guild("discord", "1", "The Inn").await.unwrap();
    assert_eq!((renamed.id, renamed.name.as_str()), (guild.id, "The Inn"));
    let other = db.store.upsert_guild("forum", "1", "Inn").await.unwrap();
    assert_ne!(other.id, guild.id);
    assert_eq!(db.store.get_guild(guild.id).await.unwrap(), Some(renamed));
    let ann = db.store.upsert_person(guild.id, "7", "Ann").await.unwrap();
    let anna = db.store.upsert_person(guild.id, "7", "Anna").await.unwrap();
    assert_eq!((anna.id, anna.display_name.as_str()), (ann.id, "Anna"));
    assert_ne!(db.store.upsert_person(other.id, "7", "Ann").await.unwrap().id, ann.id);
    assert_eq!(db.store.get_person(guild.id, ann.id).await.unwrap(), Some(anna));
}

#[tokio::test]
async fn a_character_keeps_every_field() {
    let db = TestDatabase::fresh().await;
    let guild = db.store.upsert_guild("test", "1", "").await.unwrap().id;
    let mira = db.store.insert_character(guild, &sheet("Mira")).await.unwrap();
    assert_eq!(mira.sheet, sheet("Mira"));
    let kept = db.store.get_character(guild, mira.id).await.unwrap().unwrap();
    assert_eq!(kept, mira);
    assert_eq!(db.store.get_character_by_name(guild, " mIRA").await.unwrap(), Some(kept));
    assert_eq!(db.store.get_character_by_name(guild, "Mir").await.unwrap(), None);
}

/// What an earlier version wrote is read by this one.
#[tokio::test]
async fn a_sheet_that_still_holds_its_card_is_read_after_the_migration() {
    let db = TestDatabase::fresh().await;
    let guild = db.store.upsert_guild("test", "1", "").await.unwrap().id;
    let mira = db.store.insert_character(guild, &sheet("Mira")).await.unwrap();
    db.execute("UPDATE character SET sheet = sheet || '{\"card\": null}'").await;
    assert!(db.store.get_character(guild, mira.id).await.is_err(), "as it was written then");
    let migration = include_str!("../../../migrations/20261128000002_character_files.sql");
    let statement = migration.split(';').find(|it| it.contains("sheet - 'card'")).unwrap();
    sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&db.pool).await.unwrap();
    assert_eq!(db.store.get_character(guild, mira.id).await.unwrap(), Some(mira));
}

#[tokio::test]
async fn a_name_is_taken_until_its_character_is_archived() {
    let db = TestDatabase::fresh().await;
    let guild = db.store.upsert_guild("test", "1", "").await.unwrap().id;
    let mira = db.store.insert_character(guild, &sheet("Mira")).await.unwrap();
    let other = db.store.insert_character(guild, &sheet("Odo")).await.unwrap();
    let taken = db.store.insert_character(guild, &sheet("MIRA")).await;
    assert!(matches!(taken, Err(StoreError::Taken(Noun::Character))), "{taken:?}");
    let taken = db.store.update_character(guild, other.id, &sheet("mira")).await;
    assert!(matches!(taken, Err(StoreError::Taken(Noun::Character))), "{taken:?}");
    let renamed = db.store.update_character(guild, mira.id, &sheet("mira")).await.unwrap();
    assert_eq!(renamed.sheet.name, "mira");

    let names = db.store.list_character_names(guild, "M", 25).await.unwrap();
    assert_eq!(names, [(mira.id, "mira".to_owned())]);
    assert_eq!(db.store.list_character_names(guild, "", 1).await.unwrap().len(), 1);
    assert!(db.store.list_character_names(guild, "%", 25).await.unwrap().is_empty());
    assert!(db.store.archive_character(guild, mira.id).await.unwrap());
    assert!(!db.store.archive_character(guild, mira.id).await.unwrap());
    assert_eq!(db.store.list_characters(guild).await.unwrap(), [other]);
    assert!(db.store.get_character(guild, mira.id).await.unwrap().is_some());
    db.store.insert_character(guild, &sheet("Mira")).await.unwrap();
}

#[tokio::test]
async fn people_play_the_persona_that_is_nearest() {
    let db = TestDatabase::fresh().await;
    let stage = stage(&db.store, "one").await;
    let (guild, scene, ann) = (stage.guild, stage.scene.id, stage.person.id);
    let sir = db.store.upsert_persona(guild, ann, "Sir Ann", "A knight.").await.unwrap();
    let maid = db.store.upsert_persona(guild, ann, "Maid", "").await.unwrap();
    let again = db.store.upsert_persona(guild, ann, "sir ann", "A tall knight.").await.unwrap();
    assert_eq!((again.id, again.name.as_str()), (sir.id, "sir ann"));
    assert_eq!(db.store.list_personas(guild, ann).await.unwrap(), [maid.clone(), again]);

    let playing = async || db.store.list_participants(guild, scene).await.unwrap().remove(0);
    db.store.insert_participant(guild, scene, ann).await.unwrap();
    assert_eq!(playing().await.name(), "Ann");
    db.store.set_guild_persona(guild, ann, Some(sir.id)).await.unwrap();
    assert_eq!(playing().await.name(), "sir ann");
    assert_eq!(playing().await.description(), "A tall knight.");
    db.store.set_scene_persona(guild, scene, ann, Some(maid.id)).await.unwrap();
    assert_eq!(playing().await.name(), "Maid");
    db.store.set_scene_persona(guild, scene, ann, None).await.unwrap();
    assert_eq!(playing().await.name(), "sir ann");

    let bob = db.store.upsert_person(guild, "bob", "Bob").await.unwrap();
    let stolen = db.store.set_scene_persona(guild, scene, bob.id, Some(sir.id)).await;
    assert!(matches!(stolen, Err(StoreError::NotFound(_))), "{stolen:?}");
    let stolen = db.store.set_guild_persona(guild, bob.id, Some(sir.id)).await;
    assert!(matches!(stolen, Err(StoreError::NotFound(_))), "{stolen:?}");
}

#[tokio::test]
async fn a_place_has_one_scene_at_a_time() {
    let db = TestDatabase::fresh().await;
    let stage = stage(&db.store, "one").await;
    let guild = stage.guild;
    let found = db.store.get_scene_by_channel(guild, "here").await.unwrap();
    assert_eq!(found.as_ref(), Some(&stage.scene));
    let second = NewScene { channel: "here".into(), ..NewScene::default() };
    let taken = db.store.insert_scene(guild, &second).await;
    assert!(matches!(taken, Err(StoreError::Taken(Noun::Scene))), "{taken:?}");
    db.store.set_scene_state(guild, stage.scene.id, SceneState::Ended).await.unwrap();
    assert_eq!(db.store.get_scene_by_channel(guild, "here").await.unwrap(), None);
    let second = db.store.insert_scene(guild, &second).await.unwrap();
    let resumed = db.store.set_scene_state(guild, stage.scene.id, SceneState::Active).await;
    assert!(matches!(resumed, Err(StoreError::Taken(Noun::Scene))), "{resumed:?}");
    let playing = db.store.list_scenes(guild, false, 10).await.unwrap();
    assert_eq!(playing.iter().map(|scene| scene.id).collect::<Vec<_>>(), [second.id]);
    assert_eq!(db.store.list_scenes(guild, true, 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn settings_change_one_by_one() {
    let db = TestDatabase::fresh().await;
    let stage = stage(&db.store, "one").await;
    let (guild, id) = (stage.guild, stage.scene.id);
    let change = async |update| db.store.update_scene(guild, id, &update).await.unwrap();
    let note = Note { text: "It rains.".into(), depth: 3 };
    let base = SceneUpdate::default;
    let scene = change(SceneUpdate { note: Some(Some(note.clone())), ..base() }).await;
    assert_eq!((scene.note, scene.title.as_str()), (Some(note.clone()), "A scene"));
    let scene = change(SceneUpdate { length: Some(Some(Length::Huge)), ..base() }).await;
    assert_eq!((scene.note, scene.length), (Some(note), Some(Length::Huge)));
    let scene = change(SceneUpdate { note: Some(None), length: Some(None), ..base() }).await;
    assert_eq!((scene.note, scene.length), (None, None));
    let scene = change(SceneUpdate { preset: Some("creative".into()), ..base() }).await;
    assert_eq!(scene.preset, "creative");

    let turn = db.store.append_turn(guild, id, &stage.said("a")).await.unwrap();
    db.store.set_anchor(guild, id, Some(turn.id)).await.unwrap();
    let kept = db.store.get_scene(guild, id).await.unwrap().unwrap();
    assert_eq!(kept.anchor, Some(turn.id));
    let unknown = db.store.set_anchor(guild, id, Some(TurnId(9999))).await;
    assert!(matches!(unknown, Err(StoreError::NotFound(Noun::Turn))), "{unknown:?}");
}

#[tokio::test]
async fn the_cast_keeps_its_order_and_lengths() {
    let db = TestDatabase::fresh().await;
    let stage = stage(&db.store, "one").await;
    let (guild, scene) = (stage.guild, stage.scene.id);
    let odo = db.store.insert_character(guild, &sheet("Odo")).await.unwrap();
    db.store.upsert_cast_member(guild, scene, odo.id, None).await.unwrap();
    db.store
        .upsert_cast_member(guild, scene, stage.character.id, Some(Length::Tiny))
        .await
        .unwrap();
    let cast = db.store.list_cast(guild, scene).await.unwrap();
    let lengths: Vec<_> = cast.iter().map(|m| (m.character.id, m.length)).collect();
    assert_eq!(lengths, [(stage.character.id, Some(Length::Tiny)), (odo.id, None)]);
    assert_eq!(cast[1].character, odo);
    assert!(db.store.remove_cast_member(guild, scene, odo.id).await.unwrap());
    assert!(!db.store.remove_cast_member(guild, scene, odo.id).await.unwrap());
}

#[tokio::test]
async fn presets_lorebooks_channels_and_the_audit_are_kept() {
    let db = TestDatabase::fresh().await;
    let stage = stage(&db.store, "one").await;
    let (store, guild) = (&db.store, stage.guild);

    let preset = Preset {
        name: "Wild".into(),
        params: json!({"temperature": 1.4}),
        source: Some("{\"temp\": 1.40}".into()),
    };
    store.upsert_preset(guild, &Preset { params: json!({}), ..preset.clone() }).await.unwrap();
    store.upsert_preset(guild, &preset).await.unwrap();
    assert_eq!(store.get_preset(guild, "wild").await.unwrap(), Some(preset.clone()));
    assert_eq!(store.list_presets(guild).await.unwrap(), [preset]);
    assert!(store.delete_preset(guild, "WILD").await.unwrap());
    assert!(!store.delete_preset(guild, "WILD").await.unwrap());

    let body = r#"{"entries": [{"keys": ["inn"], "x": 1.50}]}"#;
    let book = store.insert_lorebook(guild, "Town", body).await.unwrap();
    assert_eq!((book.body.as_str(), book.revision), (body, 1), "as it was spelled");
    let taken = store.insert_lorebook(guild, "TOWN", body).await;
    assert!(matches!(taken, Err(StoreError::Taken(Noun::Lorebook))), "{taken:?}");
    assert_eq!(store.get_lorebook_by_name(guild, "town").await.unwrap(), Some(book.clone()));
    let changed = store.update_lorebook(guild, book.id, 1, "{}").await.unwrap();
    assert_eq!((changed.body.as_str(), changed.revision), ("{}", 2));
    let late = store.update_lorebook(guild, book.id, 1, body).await;
    assert!(matches!(late, Err(StoreError::NotFound(Noun::Lorebook))), "{late:?}");

    let scene = stage.scene.id;
    let scopes =
        [LoreScope::Character(stage.character.id), LoreScope::Scene(scene), LoreScope::Guild];
    for scope in scopes {
        for _ in 0..2 {
            store.set_lorebook_use(guild, book.id, scope, true).await.unwrap();
        }
        let used = LoreUse { scope, id: book.id, revision: 2 };
        assert_eq!(store.list_lore_uses(guild, scene).await.unwrap(), [used], "the widest reason");
    }
    let listed = &store.list_lorebooks(guild).await.unwrap()[0];
    assert_eq!((listed.everywhere, listed.num_scenes), (true, 1));
    assert_eq!(listed.characters, std::slice::from_ref(&stage.character.sheet.name));
    for scope in scopes {
        store.set_lorebook_use(guild, book.id, scope, false).await.unwrap();
    }
    assert!(store.list_lore_uses(guild, scene).await.unwrap().is_empty());
    store.set_lorebook_use(guild, book.id, LoreScope::Scene(scene), true).await.unwrap();
    assert!(store.delete_lorebook(guild, book.id).await.unwrap());
    assert!(store.list_lore_uses(guild, scene).await.unwrap().is_empty());

    let settings = ChannelSettings {
        channel: "42".into(),
        opens: SceneOpening::Channel,
        starter_roles: vec!["9".into()],
        character: Some(stage.character.id),
        length: Some(Length::Long),
        preset: None,
    };
    store.upsert_channel_settings(guild, &settings).await.unwrap();
    assert_eq!(store.get_channel_settings(guild, "42").await.unwrap(), Some(settings.clone()));
    assert_eq!(store.list_channel_settings(guild).await.unwrap(), [settings]);
    assert!(store.delete_channel_settings(guild, "42").await.unwrap());

    for action in ["scene.start", "scene.end"] {
        let who = Some(stage.person.id);
        store.insert_audit(guild, who, action, &json!({"scene": 1})).await.unwrap();
    }
    let entries = store.list_audit(guild, None, 10).await.unwrap();
    assert_eq!(
        (entries[0].action.as_str(), entries[1].action.as_str()),
        ("scene.end", "scene.start")
    );
    let earlier = store.list_audit(guild, Some(entries[0].ordinal), 10).await.unwrap();
    assert_eq!(earlier, entries[1..]);

    // Whose a thing is stays known, whatever happened since.
    let scene = |id: i64| json!({ "scene": id });
    let who = store.get_audit_person(guild, &["scene.start"], &scene(1)).await.unwrap();
    assert_eq!(who, Some(stage.person.id));
    store.insert_audit(guild, None, "scene.start", &json!({"scene": 1, "again": 1})).await.unwrap();
    for (actions, scene) in [(["scene.start"], scene(1)), (["scene.end"], scene(2))] {
        assert_eq!(store.get_audit_person(guild, &actions, &scene).await.unwrap(), None);
    }
}

/// Postgres holds no U+0000; whatever carries one is kept all the same.
#[tokio::test]
async fn nul_is_taken_everywhere() {
    let db = TestDatabase::fresh().await;
    let (store, nul) = (&db.store, "a\0b".to_owned());
    let guild = store.upsert_guild(&nul, &nul, &nul).await.unwrap().id;
    let person = store.upsert_person(guild, &nul, &nul).await.unwrap();
    assert_eq!(person.display_name, "a\u{fffd}b");
    let persona = store.upsert_persona(guild, person.id, &nul, &nul).await.unwrap();
    assert_eq!(store.list_personas(guild, person.id).await.unwrap(), [persona]);
    let character = CharacterSheet {
        description: nul.clone(),
        alternate_greetings: vec![nul.clone()],
        ..sheet(&nul)
    };
    let character = store.insert_character(guild, &character).await.unwrap();
    assert_eq!(character.sheet.description, "a\u{fffd}b");
    store.update_character(guild, character.id, &sheet(&nul)).await.unwrap();
    assert!(store.get_character_by_name(guild, &nul).await.unwrap().is_some());
    assert_eq!(store.list_character_names(guild, &nul, 5).await.unwrap().len(), 1);
    let scene = scene(store, guild, &character, &nul).await;
    assert!(store.get_scene_by_channel(guild, &nul).await.unwrap().is_some());
    let update = SceneUpdate {
        title: Some(nul.clone()),
        scenario: Some(nul.clone()),
        preset: Some(nul.clone()),
        note: Some(Some(Note { text: nul.clone(), depth: 1 })),
        length: None,
    };
    assert_eq!(store.update_scene(guild, scene.id, &update).await.unwrap().title, "a\u{fffd}b");
    let message = NewMessage {
        external_id: nul.clone(),
        person: person.id,
        name: nul.clone(),
        text: nul.clone(),
        work: Some(Work::REPLY),
        limits: QueueLimits::NONE,
    };
    store.accept_message(guild, scene.id, &message).await.unwrap();
    let (turn, _) = store.get_turn_by_message(guild, &nul).await.unwrap().unwrap();
    assert_eq!(turn.swipe.text, "a\u{fffd}b");
    let new = NewTurn {
        speaker: turn.speaker.clone(),
        text: nul.clone(),
        origin: SwipeOrigin::Written,
        receipt: Some(json!([&nul])),
        alternates: vec![nul.clone()],
    };
    store.append_turn(guild, scene.id, &new).await.unwrap();
    let swipe = NewSwipe { text: nul.clone(), origin: SwipeOrigin::Edited, receipt: None };
    store.insert_swipe(guild, scene.id, turn.id, &swipe).await.unwrap();
    let route = PostRoute::Webhook(nul.clone());
    let owner = PostOwner::Turn(turn.id, turn.swipe.id);
    let post = NewPost { owner, part: 0, channel: nul.clone(), route: route.clone() };
    let post = store.reserve_outbox(guild, scene.id, &post).await.unwrap();
    store.set_outbox_route(guild, post.id, &route).await.unwrap();
    store.finish_outbox(guild, post.id, &nul).await.unwrap();
    assert!(store.get_outbox_by_message(guild, &nul).await.unwrap().is_some());
    let settings = GuildSettings {
        moderator_roles: vec![nul.clone()],
        reports_channel: Some(nul.clone()),
        locale: Some(nul.clone()),
        commands_hash: None,
    };
    store.upsert_guild_settings(guild, &settings).await.unwrap();
    store.set_commands_hash(guild, &nul).await.unwrap();
    store.insert_report(guild, scene.id, turn.id, turn.swipe.id, person.id, &nul).await.unwrap();
    assert!(store.get_guild_by_external(&nul, &nul).await.unwrap().is_some());
    assert_eq!(store.list_live_scenes(&nul, None, None, 9).await.unwrap().len(), 1);
    let preset = Preset { name: nul.clone(), params: json!(&nul), source: None };
    store.upsert_preset(guild, &preset).await.unwrap();
    assert!(store.get_preset(guild, &nul).await.unwrap().is_some());
    assert!(store.delete_preset(guild, &nul).await.unwrap());
    store.insert_lorebook(guild, &nul, r#""a\u0000b""#).await.unwrap();
    assert!(store.get_lorebook_by_name(guild, &nul).await.unwrap().is_some());
    let settings = ChannelSettings {
        channel: nul.clone(),
        opens: SceneOpening::Never,
        starter_roles: vec![nul.clone()],
        character: None,
        length: None,
        preset: Some(nul.clone()),
    };
    store.upsert_channel_settings(guild, &settings).await.unwrap();
    assert!(store.get_channel_settings(guild, &nul).await.unwrap().is_some());
    assert!(store.delete_channel_settings(guild, &nul).await.unwrap());
    store.insert_audit(guild, None, &nul, &json!(&nul)).await.unwrap();
    let claim = store.claim_lane().await.unwrap().unwrap();
    store.fail_job(&claim, &nul).await.unwrap();
}
