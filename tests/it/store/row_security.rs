//! The database holds guilds apart by itself, whatever a query asks for.

use std::time::Duration;

use dramatis::domain::{CharacterId, GuildId, PersonId, SceneId, SceneState, TurnId};
use dramatis::store::{
    ChannelSettings, Database, GuildSettings, HourlyLimits, Line, LoreScope, NewBranch, NewPost,
    NewSwipe, PostOwner, PostRoute, QueueLimits, SceneOpening, SceneUpdate, Store, StoreOptions,
    Work,
};
use serde_json::json;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::{Stage, stage};
use crate::support::postgres::TestDatabase;

/// Tables whose rows belong to guilds, the guilds themselves among them, each with the
/// column that says whose.
async fn held_tables(db: &TestDatabase) -> Vec<(String, &'static str)> {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT columns.table_name::text FROM information_schema.columns
         JOIN information_schema.tables USING (table_schema, table_name)
         WHERE table_schema = 'public' AND column_name = 'guild_id'
           AND table_type = 'BASE TABLE' ORDER BY 1",
    )
    .fetch_all(&db.pool)
    .await
    .unwrap();
    assert!(tables.len() > 25, "{tables:?}");
    let mut tables: Vec<_> = tables.into_iter().map(|table| (table, "guild_id")).collect();
    tables.push(("guild".into(), "id"));
    tables
}

#[tokio::test]
async fn every_table_of_guilds_is_held_by_a_policy() {
    let db = TestDatabase::fresh().await;
    for (table, column) in held_tables(&db).await {
        let held: (bool, i64, bool) = sqlx::query_as(
            "SELECT relrowsecurity,
                    (SELECT count(*) FROM pg_policy WHERE polrelid = pg_class.oid
                     AND pg_get_expr(polqual, polrelid) = format('(%s = current_guild())', $2)
                     AND pg_get_expr(polwithcheck, polrelid) = format('(%s = current_guild())', $2)),
                    has_table_privilege('dramatis_guild', oid, 'SELECT')
             FROM pg_class WHERE oid = $1::text::regclass",
        )
        .bind(&table)
        .bind(column)
        .fetch_one(&db.pool)
        .await
        .unwrap();
        assert_eq!(held, (true, 1, true), "SELECT hold_by_guild('{table}') in its migration");
    }
    let policies: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pg_policy").fetch_one(&db.pool).await.unwrap();
    assert_eq!(policies as usize, held_tables(&db).await.len(), "another policy lets more through");
}

#[tokio::test]
async fn the_role_owns_nothing_and_reaches_nothing_else() {
    let db = TestDatabase::fresh().await;
    let powers: bool = sqlx::query_scalar(
        "SELECT rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolcanlogin
         FROM pg_roles WHERE rolname = 'dramatis_guild'",
    )
    .fetch_one(&db.pool)
    .await
    .unwrap();
    assert!(!powers);
    let owned: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_shdepend
         WHERE refobjid = 'dramatis_guild'::regrole AND deptype = 'o'",
    )
    .fetch_one(&db.pool)
    .await
    .unwrap();
    assert_eq!(owned, 0);
    let others: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class
         WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')
           AND NOT EXISTS (SELECT FROM pg_attribute
                           WHERE attrelid = pg_class.oid AND attname = 'guild_id')
           AND has_table_privilege('dramatis_guild', oid, 'SELECT, INSERT, UPDATE, DELETE')
         ORDER BY 1",
    )
    .fetch_all(&db.pool)
    .await
    .unwrap();
    assert_eq!(others, ["fair_clock", "forgotten_scene", "guild"]);
    let reads: bool = sqlx::query_scalar(
        "SELECT has_table_privilege('dramatis_guild', 'forgotten_scene', 'SELECT, UPDATE, DELETE')",
    )
    .fetch_one(&db.pool)
    .await
    .unwrap();
    assert!(!reads, "it adds to that one, and sees nothing of it");
}

/// Rows of two guilds in every table, made up of nothing but types: what they refer to
/// and how they are checked is taken away first, so that later tables are filled too.
async fn fill(db: &TestDatabase, tables: &[(String, &str)]) -> (GuildId, GuildId) {
    let mut conn = db.pool.acquire().await.unwrap();
    let constraints: Vec<(String, String)> = sqlx::query_as(
        "SELECT conrelid::regclass::text, conname::text FROM pg_constraint
         WHERE contype IN ('c', 'f') AND connamespace = 'public'::regnamespace
         ORDER BY contype DESC",
    )
    .fetch_all(&mut *conn)
    .await
    .unwrap();
    for (table, name) in constraints {
        raw(&mut conn, format!("ALTER TABLE {table} DROP CONSTRAINT {name}")).await.unwrap();
    }
    // Nor do triggers, in this session.
    raw(&mut conn, "SET session_replication_role = replica".into()).await.unwrap();
    for (table, key) in tables {
        for (guild, rows) in [(1, 3), (2, 5)] {
            let rows = if table == "guild" || only_one(&mut conn, table).await { 1 } else { rows };
            for number in 0..rows {
                insert_made_up(&mut conn, table, key, guild, number).await;
            }
        }
    }
    raw(&mut conn, "RESET session_replication_role".into()).await.unwrap();
    (GuildId(1), GuildId(2))
}

/// Whether a guild has one such row at most.
async fn only_one(conn: &mut PgConnection, table: &str) -> bool {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_constraint WHERE contype = 'p' AND cardinality(conkey) = 1
                        AND conrelid = $1::text::regclass)",
    )
    .bind(table)
    .fetch_one(conn)
    .await
    .unwrap()
}

async fn insert_made_up(conn: &mut PgConnection, table: &str, key: &str, guild: i64, number: i64) {
    let columns: Vec<(String, String)> = sqlx::query_as(
        "SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute
         WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped
           AND attgenerated = '' AND (attnotnull OR attname = $2)",
    )
    .bind(table)
    .bind(key)
    .fetch_all(&mut *conn)
    .await
    .unwrap();
    let seed = guild * 1_000 + number;
    let value = |(column, kind): &(String, String)| match kind.as_str() {
        _ if column == key => guild.to_string(),
        "bigint" | "integer" | "smallint" | "double precision" | "numeric" => seed.to_string(),
        "text" => format!("'{table} {seed}'"),
        "boolean" => "false".into(),
        "json" | "jsonb" => "'{}'".into(),
        "bytea" => format!("sha256('{seed}')"),
        "timestamp with time zone" | "date" => "now()".into(),
        kind if kind.ends_with("[]") => "'{}'".into(),
        kind => panic!("{table}.{column} is of a type to be made up: {kind}"),
    };
    let values: Vec<String> = columns.iter().map(value).collect();
    let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let insert = format!(
        "INSERT INTO {table} ({}) OVERRIDING SYSTEM VALUE VALUES ({})",
        names.join(", "),
        values.join(", ")
    );
    raw(conn, insert).await.unwrap();
}

async fn raw(conn: &mut PgConnection, sql: String) -> Result<u64, sqlx::Error> {
    Ok(sqlx::raw_sql(AssertSqlSafe(sql)).execute(conn).await?.rows_affected())
}

async fn count(conn: &mut PgConnection, table: &str) -> i64 {
    let sql = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
    sqlx::raw_sql(sql).fetch_one(conn).await.unwrap().get(0)
}

/// What a guild's transaction does first, as the store does it.
fn within(guild: Option<GuildId>) -> String {
    let role = "BEGIN; SET LOCAL ROLE dramatis_guild";
    match guild {
        Some(guild) => format!("{role}; SET LOCAL dramatis.guild = '{}'", guild.0),
        None => role.into(),
    }
}

/// By row security, or because it is a key that nobody can write.
fn is_refused(result: &Result<u64, sqlx::Error>) -> bool {
    let error = result.as_ref().err().and_then(sqlx::Error::as_database_error);
    error.and_then(|error| error.code()).is_some_and(|code| code == "42501" || code == "428C9")
}

/// No query here asks for a guild.
#[tokio::test]
async fn without_any_where_a_guild_is_alone() {
    let db = TestDatabase::fresh().await;
    let tables = held_tables(&db).await;
    let (ours, theirs) = fill(&db, &tables).await;
    let mut conn = db.pool.acquire().await.unwrap();
    for (table, key) in &tables {
        let all = count(&mut conn, table).await;
        raw(&mut conn, within(None)).await.unwrap();
        assert_eq!(count(&mut conn, table).await, 0, "{table}, without a guild");
        raw(&mut conn, format!("ROLLBACK; {}", within(Some(ours)))).await.unwrap();
        let own = count(&mut conn, table).await;
        assert!(own > 0 && own < all, "{table}: {own} of {all}");
        for (write, to) in [
            (format!("UPDATE {table} SET {key} = {key}"), own),
            (format!("DELETE FROM {table}"), own),
            (format!("UPDATE {table} SET {key} = {}", theirs.0), -1),
            (
                format!(
                    "INSERT INTO {table} OVERRIDING SYSTEM VALUE
                     SELECT (jsonb_populate_record(t, jsonb_build_object('{key}', {}))).*
                     FROM {table} AS t LIMIT 1",
                    theirs.0
                ),
                -1,
            ),
        ] {
            raw(&mut conn, "SAVEPOINT before".into()).await.unwrap();
            let done = raw(&mut conn, write.clone()).await;
            let never = to < 0 || table.starts_with("audit") || table == "guild";
            let fine = match done {
                Ok(rows) => to >= 0 && rows == to as u64,
                ref error => never && is_refused(error),
            };
            assert!(fine, "{write}: {done:?}");
            raw(&mut conn, "ROLLBACK TO before".into()).await.unwrap();
        }
        raw(&mut conn, "ROLLBACK".into()).await.unwrap();
    }
}

/// Splitmix64: the same numbers in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[(self.roll() % of.len() as u64) as usize]
    }
}

/// What anybody may name, of any guild.
struct Names {
    people: Vec<PersonId>,
    scenes: Vec<SceneId>,
    turns: Vec<dramatis::domain::Turn>,
    characters: Vec<CharacterId>,
    posts: Vec<i64>,
}

/// Somebody in a guild asks for something, of theirs or of another's; it may fail.
async fn act(store: &Store, guild: GuildId, names: &mut Names, dice: &mut Dice) {
    let (person, scene) = (*dice.pick(&names.people), *dice.pick(&names.scenes));
    let (turn, character) = (dice.pick(&names.turns).clone(), *dice.pick(&names.characters));
    let post = *dice.pick(&names.posts);
    let speaker = dramatis::domain::Speaker::Person { id: person, name: "Ann".into() };
    let origin = dramatis::domain::SwipeOrigin::Edited;
    let to = |turn: TurnId, dice: &mut Dice| dice.roll().is_multiple_of(2).then_some(turn);
    match dice.roll() % 26 {
        0 => {
            let (text, alternates) = (format!("said {}", dice.roll()), Vec::new());
            let new = dramatis::store::NewTurn { speaker, text, origin, receipt: None, alternates };
            names.turns.extend(store.append_turn(guild, scene, &new).await.ok());
        }
        1 => {
            let new = NewSwipe { text: "edited".into(), origin, receipt: None };
            let _ = store.insert_swipe(guild, scene, turn.id, &new).await;
        }
        2 => drop(store.select_swipe(guild, scene, turn.id, turn.swipe.id).await),
        3 => drop(store.rewind(guild, scene, to(turn.id, dice)).await),
        4 => drop(store.undo(guild, scene).await),
        5 => drop(store.redo(guild, scene).await),
        6 => drop(store.remove_turn(guild, scene, turn.id).await),
        7 => drop(store.insert_job(guild, scene, Some(person), &Work::REPLY).await),
        8 => {
            let hourly = HourlyLimits {
                turns_per_person: None,
                replies_per_person: Some(6),
                replies_per_guild: Some(9),
            };
            let limits = QueueLimits { per_person: 2, per_guild: 3, in_all: 4, hourly };
            let _ = store.insert_job_within(guild, scene, person, &Work::REPLY, &limits).await;
        }
        9 => drop(store.cancel_jobs(guild, scene).await),
        10 => {
            let message = dramatis::store::NewMessage {
                external_id: format!("{}", dice.roll() % 20),
                person,
                name: "Ann".into(),
                text: "hello".into(),
                work: Some(Work::REPLY),
                limits: QueueLimits::NONE,
            };
            let _ = store.accept_message(guild, scene, &message).await;
        }
        11 => drop(store.set_scene_state(guild, scene, SceneState::Paused).await),
        12 => drop(store.set_scene_state(guild, scene, SceneState::Active).await),
        13 => {
            let update = SceneUpdate { title: Some("New".into()), ..SceneUpdate::default() };
            let _ = store.update_scene(guild, scene, &update).await;
        }
        14 => {
            let branch = NewBranch { channel: format!("b{}", dice.roll()), title: "B".into() };
            let made = store.branch_scene(guild, scene, turn.id, &branch).await;
            names.scenes.extend(made.ok().map(|scene| scene.id));
        }
        15 => drop(store.upsert_persona(guild, person, "Sir", "of the wood").await),
        16 => drop(store.insert_participant(guild, scene, person).await),
        17 => drop(store.archive_character(guild, character).await),
        18 => drop(store.upsert_cast_member(guild, scene, character, None).await),
        19 => drop(store.remove_cast_member(guild, scene, character).await),
        20 => {
            let new = NewPost {
                owner: PostOwner::Turn(turn.id, turn.swipe.id),
                part: 0,
                channel: "here".into(),
                route: PostRoute::Bot,
            };
            let made = store.reserve_outbox(guild, scene, &new).await;
            names.posts.extend(made.ok().map(|post| post.id));
        }
        21 => drop(store.delete_outbox(guild, post).await),
        22 => drop(store.insert_audit(guild, Some(person), "x.y", &json!({"scene": 1})).await),
        23 => {
            let (turn, swipe) = (turn.id, turn.swipe.id);
            let _ = store.insert_report(guild, scene, turn, swipe, person, "why").await;
        }
        24 => {
            let settings = ChannelSettings {
                channel: "here".into(),
                opens: SceneOpening::Never,
                starter_roles: Vec::new(),
                character: Some(character),
                length: None,
                preset: None,
            };
            let _ = store.upsert_channel_settings(guild, &settings).await;
            let _ = store.upsert_guild_settings(guild, &GuildSettings::default()).await;
            let _ = store.insert_training_consent(guild, person).await;
        }
        _ => {
            let book = store.insert_lorebook(guild, &format!("{}", dice.roll()), "{}").await;
            let book = book.unwrap().id;
            let _ = store.set_lorebook_use(guild, book, LoreScope::Scene(scene), true).await;
            let _ =
                store.set_lorebook_use(guild, book, LoreScope::Character(character), true).await;
        }
    }
}

/// What somebody in a guild reads of anything is of that guild.
async fn reads_only_its_own(store: &Store, own: &Stage, names: &Names) {
    let guild = own.guild;
    for &scene in &names.scenes {
        let found = store.get_scene(guild, scene).await.unwrap();
        assert!(found.is_none_or(|scene| scene.guild_id == guild));
        for turn in store.list_line(guild, scene, Line::default()).await.unwrap() {
            assert!(store.get_scene(guild, turn.scene_id).await.unwrap().is_some());
        }
    }
    for &person in &names.people {
        let found = store.get_person(guild, person).await.unwrap();
        assert_eq!(found.is_some(), person == own.person.id);
    }
}

#[tokio::test]
async fn whatever_anybody_asks_for_other_guilds_stay_as_they_are() {
    let db = TestDatabase::fresh().await;
    let store = &db.store;
    let mut stages = Vec::new();
    for guild in ["a", "b", "c"] {
        stages.push(stage(store, guild).await);
    }
    let mut names = Names {
        people: stages.iter().map(|stage| stage.person.id).collect(),
        scenes: stages.iter().map(|stage| stage.scene.id).collect(),
        turns: Vec::new(),
        characters: stages.iter().map(|stage| stage.character.id).collect(),
        posts: vec![0],
    };
    for own in &stages {
        let turn = store.append_turn(own.guild, own.scene.id, &own.said("first")).await.unwrap();
        names.turns.push(turn);
    }
    let mut dice = Dice(20_261_129);
    for _ in 0..60 {
        let own = dice.pick(&stages);
        let others = || stages.iter().filter(|other| other.guild != own.guild);
        let mut before = Vec::new();
        for other in others() {
            before.push(db.rows_of(other.guild).await);
        }
        for _ in 0..12 {
            act(store, own.guild, &mut names, &mut dice).await;
        }
        for (other, before) in others().zip(before) {
            assert_eq!(db.rows_of(other.guild).await, before);
        }
        reads_only_its_own(store, own, &names).await;
    }
    assert!(names.turns.len() > 6 && names.scenes.len() > 3 && names.posts.len() > 1);
}

/// The pool has one connection: what a call that was given up left on it, the next
/// one would find.
#[tokio::test]
async fn a_call_given_up_leaves_no_guild_behind() {
    let db = TestDatabase::fresh().await;
    let options =
        StoreOptions { max_connections: 1, ..StoreOptions::new(Database::Url(db.url().into())) };
    let store = Store::open(options).await.unwrap();
    let own = stage(&store, "ours").await;
    stage(&store, "theirs").await;
    let mut given_up = 0;
    for number in 0..120 {
        let call = async {
            match number % 3 {
                0 => drop(store.append_turn(own.guild, own.scene.id, &own.said("x")).await),
                1 => drop(store.get_scene(own.guild, own.scene.id).await),
                _ => drop(store.upsert_person(own.guild, "ann", "Ann").await),
            }
        };
        // Given up after so many steps, each a little later than the call is ready for.
        let mut call = Box::pin(call);
        let mut steps = number / 3 % 20;
        let mut pending = futures_util::poll!(&mut call).is_pending();
        while pending && steps > 0 {
            tokio::time::sleep(Duration::from_micros(300)).await;
            pending = futures_util::poll!(&mut call).is_pending();
            steps -= 1;
        }
        given_up += usize::from(pending);
        drop(call);
        // Two guilds are seen, and what is written is there at once, for others too.
        assert_eq!(store.list_guilds().await.unwrap().len(), 2, "call {number}");
        store.upsert_shard(number, 200, number).await.unwrap();
        let written: i64 =
            sqlx::query_scalar("SELECT count(*) FROM shard").fetch_one(&db.pool).await.unwrap();
        assert_eq!(written, i64::from(number) + 1);
    }
    // Those that are given up at once, and on a quick machine many more.
    assert!(given_up >= 6, "{given_up}");
    store.close().await.unwrap();
}
