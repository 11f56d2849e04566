//! No guild sees or touches what is another's.

use std::fs;
use std::path::Path;
use std::time::Duration;

use chrono::NaiveDate;
use dramatis::domain::{
    BoundaryKind, BoundaryOf, CharacterId, CharacterSheet, GuildId, PersonId, SceneState,
    SwipeOrigin,
};
use dramatis::store::{
    Accepted, Approval, AuditHead, ChannelSettings, CharacterAsset, CharacterFile, Consent,
    ForgottenMark, Generated, GuildSettings, Held, HourlyLimits, ImportedMember, ImportedTurn,
    JobKey, Line, LoreScope, NewBook, NewBranch, NewCase, NewHeld, NewImport, NewMessage, NewPost,
    NewScene, NewSwipe, PostOwner, PostRoute, Preset, QueueLimits, RuleHits, SceneOpening,
    SceneSource, SceneUpdate, Sealing, StoreError, Surroundings, Target, Work,
};
use serde_json::{Value, json};

use super::stage;
use crate::support::postgres::TestDatabase;

/// Every row that a guild owns; no table may be left empty.
async fn everything(db: &TestDatabase, guild: GuildId) -> Value {
    let rows = db.rows_of(guild).await;
    for (table, found) in rows.as_object().unwrap() {
        assert_ne!(*found, json!([]), "the test leaves {table} empty");
    }
    rows
}

/// A character with a picture and lore.
fn character_file(name: &str) -> CharacterFile {
    CharacterFile {
        sheet: CharacterSheet { name: name.into(), ..CharacterSheet::default() },
        card: r#"{"secret": true}"#.into(),
        assets: vec![CharacterAsset {
            kind: "icon".into(),
            name: "main".into(),
            ext: "png".into(),
            uri: "ccdefault:".into(),
            sha256: [7; 32],
            bytes: b"secret"[..].into(),
        }],
        book: Some(NewBook { name: "Secret lore".into(), body: "{}".into() }),
    }
}

fn import(channel: &str, cast: CharacterId, person: PersonId) -> NewImport {
    let turn = ImportedTurn {
        member: Some(0),
        name: "secret".into(),
        swipes: vec!["secret".into()],
        standing: 0,
        created_at: None,
        is_removed: false,
        source: "{}".into(),
    };
    NewImport {
        scene: NewScene { channel: channel.into(), ..NewScene::default() },
        cast: vec![ImportedMember::Known(cast)],
        person,
        header: r#""secret""#.into(),
        turns: vec![turn],
    }
}

fn refused<T: std::fmt::Debug>(result: Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::NotFound(_))), "{result:?}");
}

#[tokio::test]
async fn a_foreign_guild_sees_and_changes_nothing() {
    let db = TestDatabase::fresh().await;
    let store = &db.store;
    let own = stage(store, "theirs").await;
    let (guild, scene) = (own.guild, own.scene.id);
    let turn = store.append_turn(guild, scene, &own.said("secret")).await.unwrap();
    let edit = NewSwipe { text: "x".into(), origin: SwipeOrigin::Edited, receipt: None };
    store.insert_swipe(guild, scene, turn.id, &edit).await.unwrap();
    let message = NewMessage {
        external_id: "m".into(),
        person: own.person.id,
        name: "Ann".into(),
        text: "secret".into(),
        work: Some(Work::REPLY),
        limits: QueueLimits::NONE,
    };
    let accepted = store.accept_message(guild, scene, &message).await.unwrap();
    let Accepted::New { queued: Some(queued), .. } = accepted else { panic!() };
    let persona = store.upsert_persona(guild, own.person.id, "Sir", "").await.unwrap();
    store.set_scene_persona(guild, scene, own.person.id, Some(persona.id)).await.unwrap();
    let book = store.insert_lorebook(guild, "Book", r#"{"secret": 1}"#).await.unwrap();
    store.set_lorebook_use(guild, book.id, LoreScope::Scene(scene), true).await.unwrap();
    let file = character_file("Secret");
    let their_character = store.import_character(guild, &file, None).await.unwrap().id;
    let asset = file.assets[0].sha256;
    let embedded = store.get_embedded_lorebook(guild, their_character).await.unwrap().unwrap();
    let elsewhere = import("elsewhere", own.character.id, own.person.id);
    let imported = store.import_scene(guild, &elsewhere).await.unwrap().id;
    store.set_lore_effects(guild, scene, Some(&json!("secret"))).await.unwrap();
    let preset = Preset { name: "Wild".into(), params: json!({}), source: None };
    store.upsert_preset(guild, &preset).await.unwrap();
    let settings = ChannelSettings {
        channel: "here".into(),
        opens: SceneOpening::Never,
        starter_roles: Vec::new(),
        character: Some(own.character.id),
        length: None,
        preset: None,
    };
    store.upsert_channel_settings(guild, &settings).await.unwrap();
    store.insert_audit(guild, Some(own.person.id), "scene.start", &json!({})).await.unwrap();
    let owner = PostOwner::Turn(turn.id, turn.swipe.id);
    let post = NewPost { owner, part: 0, channel: "here".into(), route: PostRoute::Bot };
    let part = store.reserve_outbox(guild, scene, &post).await.unwrap().id;
    store.finish_outbox(guild, part, "p").await.unwrap();
    let of_job = NewPost { owner: PostOwner::Job(queued.job), ..post.clone() };
    store.reserve_outbox(guild, scene, &of_job).await.unwrap();
    let of_guild = GuildSettings { locale: Some("de".into()), ..GuildSettings::default() };
    store.upsert_guild_settings(guild, &of_guild).await.unwrap();
    store.set_guild_persona(guild, own.person.id, Some(persona.id)).await.unwrap();
    let report = store
        .insert_report(guild, scene, turn.id, turn.swipe.id, own.person.id, "secret")
        .await
        .unwrap();
    let claim = store.claim_lane().await.unwrap().unwrap();
    let reply = Generated {
        target: Target::Turn(own.speaks()),
        text: "secret".into(),
        origin: SwipeOrigin::Generated,
        receipt: json!({}),
        prompt_ids: vec![1],
    };
    let (reply, made) = store.store_generated(&claim, reply).await.unwrap();
    store.undo(guild, scene).await.unwrap();
    let waiting = store.insert_job(guild, scene, None, &Work::REPLY).await.unwrap().job;
    store.insert_training_consent(guild, own.person.id).await.unwrap();
    let seen = [(turn.id, turn.swipe.id)];
    store.upsert_training_approval(guild, scene, own.person.id, &seen, &[7; 32]).await.unwrap();
    store.upsert_policy(guild, "here", &json!({})).await.unwrap();
    let own_case = NewCase { kind: "warn", person: Some(own.person.id), ..NewCase::default() };
    let case = store.insert_case(guild, &own_case).await.unwrap();
    let theirs = BoundaryOf::Person(own.person.id);
    let drawn = store.insert_boundary(guild, theirs, BoundaryKind::Line, "secret").await.unwrap();
    let (rule, verdict) = ("secret".to_owned(), "hold".to_owned());
    let hits = [RuleHits { rule, verdict, dry_run: false, texts: 3 }];
    let day = NaiveDate::from_ymd_opt(2026, 1, 1).unwrap();
    store.add_rule_hits(guild, day, &hits).await.unwrap();
    let words = Held::Message {
        external_id: "held".into(),
        name: "Ann".into(),
        text: "secret".into(),
        work: None,
    };
    let new_held = NewHeld {
        held: words,
        source: Some("message:held".into()),
        place: Some("here".into()),
        person: Some(own.person.id),
        scene: Some(scene),
        reason: "secret".into(),
        evidence: json!({ "text": "secret" }),
    };
    let held = store.insert_held(guild, &new_held).await.unwrap();
    let gone = store.upsert_person(guild, "gone", "Gone").await.unwrap().id;
    store.set_person_blocked(guild, gone, true).await.unwrap();
    store.erase_person(guild, gone).await.unwrap();

    let before = everything(&db, guild).await;
    let foreign = stage(store, "ours").await;
    let (us, our_scene, we) = (foreign.guild, foreign.scene.id, foreign.person.id);
    let sheet = &own.character.sheet;
    let line = Line::default();

    // What reads.
    assert_eq!(store.get_person(us, own.person.id).await.unwrap(), None);
    let same_name = store.get_person_by_external(us, "ann").await.unwrap().unwrap();
    assert_eq!(same_name.id, foreign.person.id);
    assert!(store.list_personas(us, own.person.id).await.unwrap().is_empty());
    assert!(store.list_participants(us, scene).await.unwrap().is_empty());
    assert_eq!(store.get_character(us, own.character.id).await.unwrap(), None);
    let mira = store.get_character_by_name(us, "Mira").await.unwrap().unwrap();
    assert_eq!(mira.id, foreign.character.id);
    assert_eq!(store.list_characters(us).await.unwrap(), std::slice::from_ref(&mira));
    assert_eq!(store.list_character_names(us, "", 9).await.unwrap()[0].0, mira.id);
    assert!(store.list_cast(us, scene).await.unwrap().is_empty());
    assert_eq!(store.get_scene(us, scene).await.unwrap(), None);
    assert_eq!(store.get_scene_by_channel(us, "here").await.unwrap().unwrap().id, our_scene);
    assert_eq!(store.list_scenes(us, true, 9).await.unwrap().len(), 1);
    assert!(store.list_line(us, scene, line).await.unwrap().is_empty());
    let ended = Line { end: Some(turn.id), ..line };
    assert!(store.list_line(us, our_scene, ended).await.unwrap().is_empty());
    assert_eq!(store.get_turn(us, turn.id).await.unwrap(), None);
    assert_eq!(store.get_turn_by_message(us, "m").await.unwrap(), None);
    refused(store.queue_place(us, scene).await);
    let key = |guild| JobKey { guild, job: waiting };
    assert_eq!(store.list_waiting_jobs(&[key(guild)]).await.unwrap().len(), 1);
    assert!(store.list_waiting_jobs(&[key(us)]).await.unwrap().is_empty());
    assert_eq!(store.get_turn_by_message(us, "p").await.unwrap(), None);
    assert!(store.list_tree(us, scene).await.unwrap().is_empty());
    assert_eq!(store.get_guild_persona(us, own.person.id).await.unwrap(), None);
    assert_eq!(store.count_scenes_begun(us, own.person.id).await.unwrap(), 0);
    assert_eq!(store.count_scenes_begun_before(us, scene).await.unwrap(), 0);
    assert!(store.list_turns_had(us, scene, turn.id, 9).await.unwrap().is_empty());
    assert!(store.list_replies_had(us, scene, turn.id, 9).await.unwrap().is_empty());
    assert!(store.list_rule_hits(us, day).await.unwrap().is_empty());
    assert!(store.list_scenes_as_in_guild(us, own.person.id, 9).await.unwrap().is_empty());
    assert!(store.list_children(us, scene, None).await.unwrap().is_empty());
    assert!(store.list_swipes(us, turn.id).await.unwrap().is_empty());
    assert_eq!(store.get_prompt_ids(us, reply, made).await.unwrap(), None);
    assert_eq!(store.get_job(us, queued.job).await.unwrap(), None);
    assert!(store.list_open_jobs(us, scene).await.unwrap().is_empty());
    assert_eq!(store.get_outbox(us, part).await.unwrap(), None);
    assert_eq!(store.get_outbox_by_message(us, "p").await.unwrap(), None);
    assert!(store.list_job_outbox(us, queued.job).await.unwrap().is_empty());
    assert!(store.list_turn_outbox(us, turn.id).await.unwrap().is_empty());
    assert!(store.list_scene_outbox(us, scene).await.unwrap().is_empty());
    assert!(store.list_recent_inbound(us, scene, 10).await.unwrap().is_empty());
    assert_eq!(store.get_guild_settings(us).await.unwrap(), GuildSettings::default());
    assert!(store.list_reports(us, false).await.unwrap().is_empty());
    assert_eq!(store.get_preset(us, "Wild").await.unwrap(), None);
    assert!(store.list_presets(us).await.unwrap().is_empty());
    assert_eq!(store.get_lorebook_by_name(us, "Book").await.unwrap(), None);
    assert_eq!(store.get_lorebook(us, book.id).await.unwrap(), None);
    assert!(store.list_lorebooks(us).await.unwrap().is_empty());
    assert!(store.list_lore_uses(us, scene).await.unwrap().is_empty());
    assert_eq!(store.get_lore_effects(us, scene).await.unwrap(), None);
    assert_eq!(store.get_card(us, their_character).await.unwrap(), None);
    assert!(store.list_character_assets(us, their_character).await.unwrap().is_empty());
    assert_eq!(store.get_picture_sum(us, their_character).await.unwrap(), None);
    assert!(store.list_picture_names(us, their_character).await.unwrap().is_empty());
    assert_eq!(store.get_asset(us, asset).await.unwrap(), None);
    assert_eq!(store.get_embedded_lorebook(us, their_character).await.unwrap(), None);
    assert_eq!(store.get_scene_source(us, imported).await.unwrap(), SceneSource::default());
    assert_eq!(store.get_channel_settings(us, "here").await.unwrap(), None);
    assert!(store.list_channel_settings(us).await.unwrap().is_empty());
    assert!(store.list_audit(us, None, 9).await.unwrap().is_empty());
    assert_eq!(store.get_audit_head(us).await.unwrap(), AuditHead::default());
    assert_eq!(store.verify_audit(us, None).await.unwrap().head.ordinal, 0);
    assert_eq!(store.get_audit_person(us, &["scene.start"], &json!({})).await.unwrap(), None);
    assert!(store.list_training_consents(us, &[own.person.id]).await.unwrap().is_empty());
    assert_eq!(store.get_training_approval(us, scene).await.unwrap(), None);
    assert!(store.list_imported_turns(us, imported).await.unwrap().is_empty());
    assert!(store.list_training_speakers(us, scene).await.unwrap().is_empty());

    // What writes: with our guild and their keys, and with theirs among ours.
    store.add_rule_hits(us, day, &hits).await.unwrap();
    let theirs = Some(own.person.id);
    refused(store.upsert_persona(us, own.person.id, "Sir", "").await);
    refused(store.set_guild_persona(us, own.person.id, None).await);
    refused(store.set_guild_persona(us, we, Some(persona.id)).await);
    refused(store.set_scene_persona(us, scene, we, None).await);
    refused(store.set_scene_persona(us, our_scene, we, Some(persona.id)).await);
    refused(store.insert_participant(us, scene, we).await);
    refused(store.insert_participant(us, our_scene, own.person.id).await);
    refused(store.update_character(us, own.character.id, sheet).await);
    assert!(!store.archive_character(us, own.character.id).await.unwrap());
    refused(store.upsert_cast_member(us, scene, mira.id, None).await);
    refused(store.upsert_cast_member(us, our_scene, own.character.id, None).await);
    assert!(!store.remove_cast_member(us, scene, own.character.id).await.unwrap());
    refused(store.set_cast_length(us, scene, own.character.id, None).await);
    let cast = vec![own.character.id];
    let with_theirs = NewScene { channel: "x".into(), cast, ..NewScene::default() };
    refused(store.insert_scene(us, &with_theirs).await);
    refused(store.update_scene(us, scene, &SceneUpdate::default()).await);
    refused(store.set_scene_state(us, scene, SceneState::Ended).await);
    refused(store.set_anchor(us, scene, None).await);
    refused(store.set_anchor(us, our_scene, Some(turn.id)).await);
    let branch = NewBranch { channel: "y".into(), title: String::new() };
    refused(store.branch_scene(us, scene, turn.id, &branch).await);
    refused(store.branch_scene(us, our_scene, turn.id, &branch).await);
    refused(store.append_turn(us, scene, &foreign.said("x")).await);
    refused(store.append_turn(us, our_scene, &own.said("x")).await);
    refused(store.rewind(us, scene, None).await);
    refused(store.rewind(us, our_scene, Some(turn.id)).await);
    refused(store.remove_turn(us, scene, turn.id).await);
    assert_eq!(store.remove_turn(us, our_scene, turn.id).await.unwrap(), None);
    refused(store.undo(us, scene).await);
    refused(store.redo(us, scene).await);
    refused(store.insert_swipe(us, scene, turn.id, &edit).await);
    refused(store.insert_swipe(us, our_scene, turn.id, &edit).await);
    refused(store.select_swipe(us, scene, turn.id, turn.swipe.id).await);
    refused(store.select_swipe(us, our_scene, turn.id, turn.swipe.id).await);
    refused(store.accept_message(us, scene, &message).await);
    refused(store.accept_message(us, our_scene, &message).await);
    refused(store.insert_job(us, scene, None, &Work::REPLY).await);
    refused(store.insert_job(us, our_scene, theirs, &Work::REPLY).await);
    let within =
        &QueueLimits { per_person: 9, per_guild: 9, in_all: 9, hourly: HourlyLimits::NONE };
    refused(store.insert_job_within(us, scene, we, &Work::REPLY, within).await);
    refused(store.insert_job_within(us, our_scene, own.person.id, &Work::REPLY, within).await);
    assert!(!store.ask_stop(us, scene).await.unwrap());
    refused(store.cancel_jobs(us, scene).await);
    refused(store.cancel_waiting_jobs(us, scene).await);
    for post in [&post, &of_job] {
        refused(store.reserve_outbox(us, scene, post).await);
        refused(store.reserve_outbox(us, our_scene, post).await);
    }
    let ours = store.insert_job(us, our_scene, None, &Work::REPLY).await.unwrap().job;
    let our_post = NewPost { owner: PostOwner::Job(ours), ..post };
    store.reserve_outbox(us, our_scene, &our_post).await.unwrap();
    refused(store.bind_outbox(us, ours, turn.id, turn.swipe.id).await);
    store.bind_outbox(us, queued.job, turn.id, turn.swipe.id).await.unwrap();
    refused(store.begin_outbox(us, part).await);
    refused(store.finish_outbox(us, part, "x").await);
    refused(store.set_outbox_shown(us, part, None, true).await);
    refused(store.set_outbox_route(us, part, &PostRoute::Bot).await);
    refused(store.delete_outbox(us, part).await);
    let swipe = turn.swipe.id;
    refused(store.insert_report(us, scene, turn.id, swipe, we, "").await);
    refused(store.insert_report(us, our_scene, turn.id, swipe, we, "").await);
    refused(store.insert_report(us, our_scene, turn.id, swipe, own.person.id, "").await);
    refused(store.resolve_report(us, report, we).await);
    // What says nothing of whether there was such a scene.
    store.set_fresh(us, scene).await.unwrap();
    store.set_stale(us, scene, false).await.unwrap();
    store.raise_cursor(us, scene, 99).await.unwrap();
    store.upsert_guild_settings(us, &of_guild).await.unwrap();
    store.set_commands_hash(us, "x").await.unwrap();
    store.set_guild_left(us, true).await.unwrap();
    assert!(!store.delete_preset(us, "Wild").await.unwrap());
    assert!(!store.delete_lorebook(us, book.id).await.unwrap());
    assert!(!store.delete_lorebook(us, embedded).await.unwrap());
    refused(store.update_lorebook(us, book.id, 1, "{}").await);
    for scope in
        [LoreScope::Guild, LoreScope::Scene(our_scene), LoreScope::Character(foreign.character.id)]
    {
        refused(store.set_lorebook_use(us, book.id, scope, true).await);
        refused(store.set_lorebook_use(us, book.id, scope, false).await);
    }
    store.set_lore_effects(us, scene, None).await.unwrap();
    refused(store.set_character_picture(us, their_character, Some("main")).await);
    refused(store.import_character(us, &file, Some(their_character)).await);
    refused(store.import_scene(us, &import("elsewhere", own.character.id, we)).await);
    let theirs_among_ours = import("elsewhere", foreign.character.id, own.person.id);
    refused(store.import_scene(us, &theirs_among_ours).await);
    let with_theirs = ChannelSettings { channel: "z".into(), ..settings };
    refused(store.upsert_channel_settings(us, &with_theirs).await);
    assert!(!store.delete_channel_settings(us, "here").await.unwrap());
    refused(store.insert_audit(us, theirs, "x", &json!({})).await);
    refused(store.insert_training_consent(us, own.person.id).await);
    refused(store.erase_person(us, own.person.id).await);
    assert!(!store.withdraw_training_consent(us, own.person.id).await.unwrap());
    refused(store.upsert_training_approval(us, scene, we, &seen, &[0; 32]).await);
    let moderator = own.person.id;
    refused(store.upsert_training_approval(us, our_scene, moderator, &seen, &[0; 32]).await);
    assert!(!store.delete_training_approval(us, scene).await.unwrap());

    assert!(!store.delete_policy(us, "here").await.unwrap());
    store.upsert_policy(us, "here", &json!({ "ours": true })).await.unwrap();
    store.delete_policy(us, "here").await.unwrap();
    refused(store.get_surroundings(us, scene).await);
    assert!(store.get_scene_ground(us, scene).await.unwrap().is_none());
    refused(store.is_frozen(us, scene).await);
    let adults = Surroundings { places: vec!["x".into()], age_restricted: true };
    store.set_surroundings(us, scene, &adults).await.unwrap();
    refused(store.set_person_blocked(us, own.person.id, true).await);
    store.set_guild_frozen(us, true).await.unwrap();
    store.set_guild_frozen(us, false).await.unwrap();
    assert!(!store.decide_case(us, case, we, "x").await.unwrap());
    assert!(!store.appeal_case(us, case, we, "x").await.unwrap());
    let of_theirs = NewCase { kind: "warn", person: Some(own.person.id), ..NewCase::default() };
    refused(store.insert_case(us, &of_theirs).await);
    refused(store.insert_held(us, &new_held).await);
    let theirs_comes = |held| NewHeld { held, ..new_held.clone() };
    refused(store.insert_held_character(us, &file, None, theirs_comes).await);
    assert_eq!(store.get_held(us, held).await.unwrap(), None);
    assert!(!store.update_held_message(us, "message:held", "x").await.unwrap());
    assert!(!store.withdraw_held(us, "message:held").await.unwrap());
    let approval = Approval::Message(our_scene, NewMessage { person: we, ..message.clone() });
    assert_eq!(store.approve_held(us, held, we, "x", &approval).await.unwrap(), None);
    let approval = Approval::Message(scene, message.clone());
    refused(store.approve_held(us, held, we, "x", &approval).await);
    assert!(store.list_person_held(us, own.person.id).await.unwrap().is_empty());
    store.set_logged(us, held, 1, None).await.unwrap();
    assert!(store.list_waiting_cases(us).await.unwrap().is_empty());
    assert!(store.list_following_cases(us, case).await.unwrap().is_empty());
    assert!(store.list_turn_messages(us, &[turn.id]).await.unwrap().is_empty());
    assert!(store.get_case(us, case).await.unwrap().is_none());
    assert!(store.list_cases(us, None).await.unwrap().is_empty());
    assert!(store.list_policies(us).await.unwrap().is_empty());
    store.set_guild_consent(us, Consent::Asked).await.unwrap();
    assert!(store.list_absent(us, &[own.person.id]).await.unwrap().is_empty());
    assert_eq!(store.get_guild_consent(us).await.unwrap(), Consent::Asked);
    refused(store.set_person_agreed(us, own.person.id, 1).await);
    assert_eq!(store.get_agreement(us, own.person.id).await.unwrap(), None);
    assert!(!store.set_consent_asked(us, own.person.id, true).await.unwrap());
    store.set_proxy_owner(us, own.person.id, we).await.unwrap();
    refused(store.set_proxy_owner(us, we, own.person.id).await);
    for of in [BoundaryOf::Person(own.person.id), BoundaryOf::Scene(scene)] {
        refused(store.insert_boundary(us, of, BoundaryKind::Veil, "x").await);
        assert!(!store.delete_boundary(us, of, drawn.id).await.unwrap());
        assert!(store.list_boundaries(us, of).await.unwrap().is_empty());
    }
    assert!(store.list_boundaries_in(us, scene).await.unwrap().is_empty());
    refused(store.set_person_opted_out(us, own.person.id, true).await);
    assert!(store.list_person_texts(us, own.person.id).await.unwrap().is_empty());
    assert_eq!(store.get_standing(us, own.person.id).await.unwrap(), Default::default());
    assert!(!store.list_busy_scenes(us).await.unwrap().contains(&scene));
    assert_eq!(store.heed_absence(us, Some(own.person.id)).await.unwrap(), 0);
    let door = store.get_scene_door(us, scene, own.person.id).await.unwrap();
    assert!(door.is_none(), "{door:?}");
    assert_eq!(store.heed_absence(us, None).await.unwrap(), 0);
    let later = chrono::DateTime::from_timestamp(4_000_000_000, 0).unwrap();
    assert!(store.list_scene_ages(us).await.unwrap().iter().all(|age| age.id != scene));
    refused(store.empty_turns_before(us, scene, later).await);
    assert_eq!(store.delete_ended_scenes(us, &[scene]).await.unwrap(), 0);
    assert_eq!(store.delete_rule_hits_before(us, later.date_naive()).await.unwrap(), 1);
    refused(store.bar_undo(us, scene, turn.id).await);
    refused(store.set_person_left(us, own.person.id, true).await);
    let missed = store.list_people_to_look_for(us, later, 99).await.unwrap();
    assert!(missed.iter().all(|(person, _)| *person != own.person.id));
    assert!(store.list_people_left(us, later).await.unwrap().is_empty());
    assert_eq!(store.reseal_guild(us, Sealing::Open).await.unwrap(), 0);

    // What makes something of the same name makes it for us.
    store.upsert_person(us, "ann", "Another Ann").await.unwrap();
    store.upsert_preset(us, &Preset { params: json!(1), ..preset }).await.unwrap();
    store.insert_lorebook(us, "Book", "1").await.unwrap();
    store.import_character(us, &file, None).await.unwrap();
    let renamed = dramatis::domain::CharacterSheet { name: "New".into(), ..sheet.clone() };
    store.insert_character(us, &renamed).await.unwrap();

    assert_eq!(everything(&db, guild).await, before);

    // And one that goes takes nothing of another along.
    let (_, mark) = store.list_forgotten_scenes(ForgottenMark::default()).await.unwrap();
    assert!(store.delete_guild_left(us, later).await.unwrap());
    assert!(!store.delete_guild_left(guild, later).await.unwrap());
    let (forgotten, _) = store.list_forgotten_scenes(mark).await.unwrap();
    assert!(forgotten.contains(&our_scene) && !forgotten.contains(&scene));
    for (table, rows) in db.rows_of(us).await.as_object().unwrap() {
        assert_eq!(*rows, json!([]), "{table}");
    }
    assert_eq!(everything(&db, guild).await, before);
    store.wait_for_work(Duration::ZERO).await;
}

/// A method that takes a guild cannot be forgotten above.
#[test]
fn every_method_with_a_guild_is_tried() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tried = fs::read_to_string(root.join("tests/it/store/isolation.rs")).unwrap();
    let mut methods = Vec::new();
    for entry in fs::read_dir(root.join("src/store")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let source = fs::read_to_string(path).unwrap();
        for (_, rest) in
            source.match_indices("pub async fn ").map(|(i, s)| source.split_at(i + s.len()))
        {
            let (name, rest) = rest.split_once('(').unwrap();
            let arguments = rest.split_once("->").unwrap().0;
            if arguments.contains("GuildId") && name != "get_guild" {
                methods.push(name.to_owned());
            }
        }
    }
    assert!(methods.len() > 50, "{methods:?}");
    let untried: Vec<_> =
        methods.iter().filter(|name| !tried.contains(&format!("store.{name}(us"))).collect();
    assert!(untried.is_empty(), "{untried:?}");
}
