//! Opening a database: migrations, and what is said where it does not work.

use std::time::{Duration, Instant};

use dramatis::store::{Database, Store, StoreError, StoreOptions};
use tokio::net::TcpListener;

use super::stage;
use crate::support::postgres::TestDatabase;

async fn open(url: &str) -> Result<Store, StoreError> {
    let options = StoreOptions::new(Database::Url(url.into()));
    Store::open(StoreOptions { acquire_timeout: Duration::from_secs(2), ..options }).await
}

fn url(db: &TestDatabase, user: &str, database: &str) -> String {
    let connect = db.pool.connect_options();
    let socket = connect.get_socket().unwrap().to_str().unwrap().replace('/', "%2F");
    format!("postgres://{user}:canary@{socket}/{database}")
}

#[tokio::test]
async fn migrations_run_once_however_many_open_at_once() {
    let db = TestDatabase::fresh().await;
    db.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await;
    let num_migrations = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations"));
    let num_migrations = i64::try_from(num_migrations.unwrap().count()).unwrap();
    let (a, b, c) = tokio::join!(db.second_store(), db.second_store(), db.second_store());
    let applied: i64 = sqlx::query_scalar("SELECT count(*) FROM _sqlx_migrations")
        .fetch_one(&db.pool)
        .await
        .unwrap();
    assert_eq!(applied, num_migrations);
    for (store, guild) in [(a, "one"), (b, "two"), (c, "three")] {
        stage(&store, guild).await;
    }
}

#[tokio::test]
async fn a_database_of_a_later_version_is_refused() {
    let db = TestDatabase::fresh().await;
    db.execute(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (99999999999999, 'later', true, '', 0)",
    )
    .await;
    let name: String =
        sqlx::query_scalar("SELECT current_database()::text").fetch_one(&db.pool).await.unwrap();
    let error = open(&url(&db, "dramatis", &name)).await.unwrap_err();
    assert!(matches!(error, StoreError::Migrate { .. }), "{error:?}");
}

#[tokio::test]
async fn each_failure_says_what_it_is_and_never_the_password() {
    let db = TestDatabase::fresh().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    let web = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let web_port = web.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = web.accept().await {
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 No\r\n").await;
        }
    });
    let cases = [
        ("address", "sqlite://canary".to_owned()),
        ("unreachable", "postgres://u:canary@127.0.0.1:1/db".to_owned()),
        ("unreachable", format!("postgres://u:canary@127.0.0.1:{silent_port}/db")),
        ("not_postgres", format!("postgres://u:canary@127.0.0.1:{web_port}/db")),
        ("no_database", url(&db, "dramatis", "missing")),
        ("refused", url(&db, "nobody_known", "postgres")),
    ];
    for (kind, url) in cases {
        let start = Instant::now();
        let error = open(&url).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        let said = format!("{error} {error:?}");
        assert!(!said.contains("canary"), "{said}");
        assert!(start.elapsed() < Duration::from_secs(20));
    }
}

#[tokio::test]
async fn a_lost_connection_is_replaced() {
    let db = TestDatabase::fresh().await;
    let before = stage(&db.store, "one").await;
    db.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    .await;
    let scene = db.store.get_scene(before.guild, before.scene.id).await.unwrap();
    assert_eq!(scene, Some(before.scene));
}

#[tokio::test]
async fn a_full_pool_says_so_soon() {
    let db = TestDatabase::fresh().await;
    let held = stage(&db.store, "one").await;
    let mut lock = db.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE scene IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    let name: String =
        sqlx::query_scalar("SELECT current_database()::text").fetch_one(&db.pool).await.unwrap();
    let options = StoreOptions {
        max_connections: 1,
        acquire_timeout: Duration::from_millis(300),
        ..StoreOptions::new(Database::Url(url(&db, "dramatis", &name).into()))
    };
    let small = Store::open(options).await.unwrap();
    let waiting = tokio::spawn({
        let small = small.clone();
        async move { small.get_scene(held.guild, held.scene.id).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let error = small.get_guild(held.guild).await.unwrap_err();
    assert!(matches!(error, StoreError::Busy) && error.is_transient(), "{error:?}");
    lock.rollback().await.unwrap();
    assert!(waiting.await.unwrap().unwrap().is_some());
}
