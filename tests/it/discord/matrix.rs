//! Every command × everybody × every state of a place × two policies, through the real
//! binary: the table beside this file says who gets through and what others are told.
//!
//! `INSTA_UPDATE=always` writes it anew. Menus on messages are not in it.

use dramatis::domain::{Character, CharacterSheet, GuildId, SceneState, Speaker, SwipeOrigin};
use dramatis::store::{NewCase, NewScene, NewTurn, Preset, Store};
use serde_json::{Map, Value, json};
use sqlx::AssertSqlSafe;

use super::serve::{Home, PATIENCE};
use crate::support::discord::answer::AnswerKind;
use crate::support::discord::guild::Guild;
use crate::support::discord::people::Person;
use crate::support::discord::permissions::{MANAGE_GUILD, MANAGE_MESSAGES};
use crate::support::discord::{ChannelId, Discord};

/// What people are told who do not get through, by a letter.
const TOLD: [(char, &str, &str); 17] = [
    ('n', "nothing is played here", "/scene start begins one"),
    ('p', "for those who play in it", "for those who play in the scene"),
    ('o', "for whoever began it", "for the person who began the scene"),
    ('a', "for its author", "somebody else wrote that"),
    ('c', "for whoever made the character", "somebody else made that character"),
    ('l', "for whoever made the book", "somebody else made that lorebook"),
    ('r', "for whoever brought the preset", "that preset is not yours"),
    ('y', "the policy says moderators", "leaves that to moderators"),
    ('m', "for moderators", "that is for moderators"),
    ('g', "for Manage Server", "the permission manage server"),
    ('f', "frozen by a moderator", "moderator froze this scene"),
    ('s', "everything is stopped", "stopped all scenes"),
    ('b', "they are blocked", "have you not heard"),
    ('u', "the scene is paused", "is paused"),
    ('k', "nobody of that kind is there", "there is no case"),
    ('q', "not frozen", "is not frozen"),
    ('t', "something is played here already", "being played here already"),
];

/// Commands that change nothing for the next one.
const READS: [&str; 17] = [
    "scene status",
    "scene export",
    "cast list",
    "persona show",
    "queue",
    "preset export",
    "lore list",
    "lore export",
    "lore test",
    "context",
    "why",
    "help",
    "character show",
    "character list",
    "character export",
    "setup show",
    "mod history",
];

const STATES: [&str; 6] = ["none", "active", "paused", "frozen", "ended", "stopped"];
const ROLES: [&str; 6] = ["reader", "player", "opener", "moderator", "manager", "blocked"];

/// A server with a place in every state, and everybody in it.
struct Court {
    guild: GuildId,
    /// Their servants, in the order of [`ROLES`].
    people: Vec<Person>,
    /// In the order of [`STATES`].
    places: Vec<ChannelId>,
}

async fn court(discord: &Discord, store: &Store, name: &str, policy: Value) -> Court {
    let server: Guild = discord.guild(name);
    let (mods, managers) =
        (server.role("mods", MANAGE_MESSAGES), server.role("staff", MANAGE_GUILD));
    let people = vec![
        server.member("rea"),
        server.member("pla"),
        server.member("ope"),
        server.member_with("mo", &[mods]),
        server.member_with("ma", &[managers]),
        server.member("blo"),
    ];
    let guild = store.upsert_guild("discord", &server.id.to_string(), name).await.unwrap().id;
    store.upsert_policy(guild, "", &policy).await.unwrap();
    let mut known = Vec::new();
    for (person, role) in people.iter().zip(ROLES) {
        known.push(store.upsert_person(guild, &person.id.to_string(), role).await.unwrap());
    }
    let tam = character(store, guild, "Tam").await;
    character(store, guild, "Una").await;
    let preset = Preset { name: "Calm".into(), params: json!({}), source: None };
    store.upsert_preset(guild, &preset).await.unwrap();
    store.insert_lorebook(guild, "Book", r#"{"entries": {}}"#).await.unwrap();
    let mut places = Vec::new();
    for state in STATES {
        let place = server.text_channel(state);
        places.push(place);
        if state == "none" {
            continue;
        }
        let scene = NewScene {
            channel: place.0.to_string(),
            title: state.into(),
            cast: vec![tam.id],
            preset: "limarp".into(),
            ..NewScene::default()
        };
        let scene = store.insert_scene(guild, &scene).await.unwrap().id;
        for person in [&known[2], &known[1], &known[5]] {
            store.insert_participant(guild, scene, person.id).await.unwrap();
            let speaker = Speaker::Person { id: person.id, name: person.display_name.clone() };
            let turn = NewTurn {
                speaker,
                text: "Well met.".into(),
                origin: SwipeOrigin::Written,
                receipt: None,
                alternates: Vec::new(),
            };
            store.append_turn(guild, scene, &turn).await.unwrap();
        }
        let state = match state {
            "paused" => SceneState::Paused,
            "frozen" => SceneState::Frozen,
            "ended" => SceneState::Ended,
            _ => continue,
        };
        store.set_scene_state(guild, scene, state).await.unwrap();
    }
    store.set_person_blocked(guild, known[5].id, true).await.unwrap();
    let case = NewCase { kind: "warn", person: Some(known[1].id), ..NewCase::default() };
    store.insert_case(guild, &case).await.unwrap();
    Court { guild, people, places }
}

async fn character(store: &Store, guild: GuildId, name: &str) -> Character {
    let sheet = CharacterSheet { name: name.into(), ..CharacterSheet::default() };
    store.insert_character(guild, &sheet).await.unwrap()
}

/// One command.
struct Form {
    path: String,
    /// The options that cannot be left out.
    needed: Vec<Value>,
    /// What somebody must be allowed for Discord to show it to them.
    shown_to: Option<u64>,
}

/// Every command with options, as far as it needs some.
fn commands(definitions: &Value, at: &str, above: Option<u64>, found: &mut Vec<Form>) {
    for one in definitions.as_array().into_iter().flatten() {
        // Slash commands, and what is below them.
        if one.get("type").is_some_and(|kind| !matches!(kind.as_u64(), Some(1 | 2))) {
            continue;
        }
        let path = format!("{at} {}", one["name"].as_str().unwrap());
        let shown_to = one["default_member_permissions"].as_str().map(|it| it.parse().unwrap());
        let shown_to = shown_to.or(above);
        let options = one["options"].as_array().cloned().unwrap_or_default();
        let is_leaf = options.iter().all(|it| !matches!(it["type"].as_u64(), Some(1 | 2)));
        if is_leaf {
            let needed = options.into_iter().filter(|it| it["required"] == true).collect();
            found.push(Form { path: path.trim().to_owned(), needed, shown_to });
        } else {
            commands(&one["options"], &path, shown_to, found);
        }
    }
}

fn fill(court: &Court, person: &Person, form: &Form) -> Value {
    let mut options = Map::new();
    for option in &form.needed {
        let name = option["name"].as_str().unwrap();
        let first_choice = option["choices"].get(0).map(|choice| choice["value"].clone());
        let value = match (name, option["type"].as_u64().unwrap()) {
            _ if first_choice.is_some() => first_choice.unwrap(),
            ("character", _) if form.path == "cast add" => "Una".into(),
            ("character", _) => "Tam".into(),
            ("book", _) => "Book".into(),
            ("name", _) => "Calm".into(),
            ("dice", _) => "d6".into(),
            ("length", _) => "medium".into(),
            (_, 4) => json!(1),
            (_, 6) => court.people[1].id.to_string().into(),
            (_, 7) => court.places[0].0.to_string().into(),
            (_, 11) => person.attach("x.txt", b"nothing that could be read"),
            _ => "something".into(),
        };
        options.insert(name.into(), value);
    }
    options.into()
}

/// Keeps the rows of a guild as they are now, and says how to bring them back.
async fn keep(home: &Home, guild: GuildId) -> String {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT table_name::text FROM information_schema.columns
         WHERE table_schema = 'public' AND column_name = 'guild_id'
           AND table_name NOT IN (SELECT table_name FROM information_schema.views) ORDER BY 1",
    )
    .fetch_all(&home.database.pool)
    .await
    .unwrap();
    let id = guild.0;
    let mut keep = format!("CREATE SCHEMA kept_{id};");
    let mut back = format!(
        "BEGIN; SET LOCAL session_replication_role = replica;
         SELECT FROM public.lane WHERE guild_id = {id} ORDER BY scene_id FOR UPDATE;"
    );
    for (table, key) in
        tables.iter().map(|table| (table.as_str(), "guild_id")).chain([("guild", "id")])
    {
        keep.push_str(&format!(
            "CREATE TABLE kept_{id}.{table} AS SELECT * FROM public.{table} WHERE {key} = {id};"
        ));
        back.push_str(&format!(
            "DELETE FROM public.{table} WHERE {key} = {id};
             INSERT INTO public.{table} OVERRIDING SYSTEM VALUE SELECT * FROM kept_{id}.{table};"
        ));
    }
    execute(home, &keep).await;
    format!("{back} COMMIT;")
}

/// The service may be at work on the same rows in another order: whoever is chosen to give
/// way begins again.
async fn execute(home: &Home, sql: &str) {
    let mut conn = home.database.pool.acquire().await.unwrap();
    for _ in 0..20 {
        match sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut *conn).await {
            Ok(_) => return,
            Err(error) => {
                let code = error.as_database_error().and_then(|error| error.code());
                assert_eq!(code.as_deref(), Some("40P01"), "{error}");
                sqlx::raw_sql("ROLLBACK").execute(&mut *conn).await.unwrap();
            }
        }
    }
    panic!("somebody is always in the way of {sql}");
}

async fn outcome(court: &Court, role: usize, place: usize, form: &Form) -> char {
    let has = [0, 0, 0, MANAGE_MESSAGES, MANAGE_GUILD, 0][role];
    if form.shown_to.is_some_and(|needed| has & needed == 0) {
        return '-';
    }
    let person = &court.people[role];
    let options = fill(court, person, form);
    let answer = person.command(court.places[place], &form.path, options).await;
    if answer.kind() == AnswerKind::Modal {
        return '·';
    }
    let told = answer.settled(PATIENCE).await.content.to_lowercase();
    TOLD.iter().find(|(_, _, text)| told.contains(text)).map_or('·', |(letter, ..)| *letter)
}

/// What becomes of every command in one server.
async fn try_all(home: &Home, court: &Court, all: &[Form]) -> String {
    let back = keep(home, court.guild).await;
    let freeze = format!("UPDATE guild SET frozen_at = now() WHERE id = {}", court.guild.0);
    let mut table = format!("{:20}", "");
    table.extend(STATES.map(|state| format!("{state:9}")));
    for form in all {
        table.push_str(&format!("\n{:20}", form.path));
        for (place, state) in STATES.iter().enumerate() {
            if *state == "stopped" {
                execute(home, &freeze).await;
            }
            let mut cells = String::new();
            for role in 0..ROLES.len() {
                let cell = outcome(court, role, place, form).await;
                cells.push(cell);
                if cell == '·' && !READS.contains(&form.path.as_str()) {
                    execute(home, &back).await;
                    if *state == "stopped" {
                        execute(home, &freeze).await;
                    }
                }
            }
            table.push_str(&format!("{cells:9}"));
        }
        execute(home, &back).await;
    }
    table
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_do_what_where_is_as_the_table_says() {
    let discord = Discord::start().await;
    let home = Home::new().await;
    let store = &home.database.store;
    let strict = json!({ "starters": "moderators", "characters": "moderators" });
    let open = court(&discord, store, "Open", json!({})).await;
    let strict = court(&discord, store, "Strict", strict).await;
    let serve = home.serve(&discord).await;
    // Nobody writes replies here.
    execute(&home, "UPDATE lane SET lease_until = now() + interval '1 day'").await;
    let definitions = include_str!("../../../config/discord/commands.json");
    let mut all = Vec::new();
    commands(&serde_json::from_str(definitions).unwrap(), "", None, &mut all);
    assert!(all.len() > 70, "{}", all.len());
    let (open, strict) = tokio::join!(try_all(&home, &open, &all), try_all(&home, &strict, &all));

    let mut table =
        format!("In each place: {}\n· gets through\n- does not see it\n", ROLES.join(", "));
    for (letter, meaning, _) in TOLD {
        table.push_str(&format!("{letter} {meaning}\n"));
    }
    table.push_str(&format!("\nWhere everything is allowed\n{open}\n"));
    table.push_str(&format!("\nWhere scenes and characters are for moderators\n{strict}\n"));
    let table: Vec<&str> = table.lines().map(str::trim_end).collect();
    insta::assert_snapshot!("who_may_do_what", table.join("\n"));
    serve.stop().await;
}
