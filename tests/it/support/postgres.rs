//! A fresh database for every test, on one private server for all of them.
//!
//! The server is the service's own embedded one, kept in the target directory:
//! tests in threads and tests in processes share it, and the last one out stops
//! it. A watcher stops it where a run is killed.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use dramatis::domain::GuildId;
use dramatis::fetch::{FetchOptions, Fetcher};
use dramatis::store::embedded::{EmbeddedError, EmbeddedOptions, EmbeddedServer};
use dramatis::store::{Database, Keyring, Store, StoreError, StoreOptions};
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::{Connection, PgConnection, PgPool};

/// A database of one test's own; dropped with it.
pub(crate) struct TestDatabase {
    pub(crate) store: Store,
    /// For looking behind the store's back.
    pub(crate) pool: PgPool,
    name: String,
    server: Arc<EmbeddedServer>,
}

impl TestDatabase {
    /// A database with all tables and nothing in them, where nobody is asked before they
    /// are heard: most tests are about other things.
    pub(crate) async fn fresh() -> Self {
        let fresh = Self::as_shipped().await;
        fresh.execute("ALTER TABLE guild ALTER COLUMN consent SET DEFAULT 'assumed'").await;
        fresh
    }

    /// The same as people have it.
    pub(crate) async fn as_shipped() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let server = server().await;
        let template = template(&server).await;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        let mut admin = PgConnection::connect(&server.url("postgres")).await.unwrap();
        let create = format!("CREATE DATABASE {name} TEMPLATE {template}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(create)).execute(&mut admin).await.unwrap();
        let store = open(&server, &name).await;
        let pool = PgPool::connect(&server.url(&name)).await.unwrap();
        Self { store, pool, name, server }
    }

    /// Another store on the same database, as a second process would have.
    pub(crate) async fn second_store(&self) -> Store {
        open(&self.server, &self.name).await
    }

    /// The same with keys of an operator's.
    pub(crate) async fn sealed_store(&self, keys: &str) -> Result<Store, StoreError> {
        let url = Database::Url(self.server.url(&self.name).into());
        let keyring = Keyring::read(keys).unwrap();
        Store::open(StoreOptions { keyring, ..StoreOptions::new(url) }).await
    }

    /// Its address, for another process.
    pub(crate) fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// What `dramatis` does on it, from that home: exit code, standard output and standard
    /// error.
    pub(crate) fn dramatis(
        &self,
        home: &Path,
        arguments: &[&str],
    ) -> (Option<i32>, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_dramatis"))
            .args(["--set", &format!("database.url={}", self.url())])
            .args(arguments)
            .env_clear()
            .env("HOME", home)
            .env("PATH", "/usr/bin:/bin")
            .current_dir(home)
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    /// Every row of every table, as text.
    pub(crate) async fn dump(&self) -> String {
        let tables: Vec<String> = sqlx::query_scalar(
            "SELECT table_name::text FROM information_schema.tables
             WHERE table_schema = 'public' AND table_type = 'BASE TABLE' ORDER BY 1",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap();
        let mut dump = String::new();
        for table in tables {
            let sql = format!("SELECT coalesce(string_agg(t::text, E'\\n'), '') FROM {table} t");
            let rows: String =
                sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&self.pool).await.unwrap();
            dump.push_str(&format!("{table}\n{rows}\n"));
        }
        dump
    }

    /// Every row that a guild owns, by table.
    pub(crate) async fn rows_of(&self, guild: GuildId) -> Value {
        let tables: Vec<String> = sqlx::query_scalar(
            "SELECT table_name::text FROM information_schema.columns
             WHERE table_schema = 'public' AND column_name = 'guild_id'
               AND table_name NOT IN (SELECT table_name FROM information_schema.views) ORDER BY 1",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap();
        assert!(tables.len() > 15, "{tables:?}");
        let mut rows = serde_json::Map::new();
        for table in tables {
            let sql = format!(
                "SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY to_jsonb(t)::text), '[]')
                 FROM {table} t WHERE guild_id = $1"
            );
            let found: Value = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
                .bind(guild.0)
                .fetch_one(&self.pool)
                .await
                .unwrap();
            rows.insert(table, found);
        }
        rows.into()
    }

    pub(crate) async fn execute(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&self.pool).await.unwrap();
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let url = self.server.url("postgres");
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // A runtime of its own: this one may be in the middle of a panic.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut admin = PgConnection::connect(&url).await?;
                sqlx::raw_sql(sqlx::AssertSqlSafe(drop)).execute(&mut admin).await?;
                admin.close().await
            })
        });
        let dropped = dropped.join().unwrap();
        if !std::thread::panicking() {
            dropped.unwrap();
        }
    }
}

async fn open(server: &EmbeddedServer, database: &str) -> Store {
    let url = Database::Url(server.url(database).into());
    Store::open(StoreOptions::new(url)).await.unwrap()
}

async fn server() -> Arc<EmbeddedServer> {
    tokio::task::spawn_blocking(|| {
        static SERVER: Mutex<Weak<EmbeddedServer>> = Mutex::new(Weak::new());
        let mut current = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = current.upgrade() {
            return server;
        }
        let server = Arc::new(start());
        *current = Arc::downgrade(&server);
        server
    })
    .await
    .unwrap()
}

fn start() -> EmbeddedServer {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("postgres");
    match start_in(&dir) {
        // As root, where the server's own user cannot reach the target directory.
        Err(EmbeddedError::NoPassage { .. }) => {
            let digest = Sha256::digest(dir.as_os_str().as_encoded_bytes());
            let dir = std::env::temp_dir().join(format!("dramatis-test-{:x}", digest[0]));
            start_in(&dir).unwrap()
        }
        started => started.unwrap(),
    }
}

fn start_in(dir: &Path) -> Result<EmbeddedServer, EmbeddedError> {
    let unsafe_but_quick = [
        ("fsync", "off"),
        ("synchronous_commit", "off"),
        ("full_page_writes", "off"),
        ("max_connections", "300"),
    ];
    let settings = unsafe_but_quick.map(|(name, value)| (name.into(), value.into())).to_vec();
    // Where the machine has no Postgres.
    let fetcher = Some(Fetcher::new(FetchOptions::default()));
    let options = EmbeddedOptions { settings, fetcher, ..EmbeddedOptions::new(dir) };
    let server = EmbeddedServer::start(&options)?;
    static WATCHER: OnceLock<Option<Child>> = OnceLock::new();
    WATCHER.get_or_init(|| watch(dir).ok());
    Ok(server)
}

/// A shell that waits until this process is gone, however that comes about, and
/// then stops the server unless others hold its lock.
fn watch(dir: &Path) -> std::io::Result<Child> {
    use std::os::unix::process::CommandExt;
    let script = r#"read _; flock -n -x "$1" kill -INT "$(head -n 1 "$2")""#;
    Command::new("sh")
        .args(["-c", script, "sh"])
        .args([dir.join("users.lock"), dir.join("data/postmaster.pid")])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}

/// The name of a database with all migrations applied, for others to copy.
async fn template(server: &EmbeddedServer) -> String {
    let name = format!("template_{}", migrations_digest());
    let mut admin = PgConnection::connect(&server.url("postgres")).await.unwrap();
    sqlx::raw_sql("SELECT pg_advisory_lock(4242)").execute(&mut admin).await.unwrap();
    let names: Vec<String> =
        sqlx::query_scalar("SELECT datname FROM pg_database").fetch_all(&mut admin).await.unwrap();
    if !names.contains(&name) {
        let mut statements: Vec<String> = names
            .iter()
            .filter(|name| name.starts_with("template_") || is_left_over(name))
            .map(|name| format!("DROP DATABASE {name} WITH (FORCE)"))
            .collect();
        statements.push("CREATE DATABASE template_new".into());
        for statement in statements {
            sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut admin).await.unwrap();
        }
        open(server, "template_new").await.close().await.unwrap();
        let rename = format!("ALTER DATABASE template_new RENAME TO {name}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(rename)).execute(&mut admin).await.unwrap();
    }
    admin.close().await.unwrap();
    name
}

/// Whether it belongs to a test process that is gone.
fn is_left_over(name: &str) -> bool {
    let pid = name.strip_prefix("test_").and_then(|rest| rest.split('_').next());
    pid.is_some_and(|pid| !PathBuf::from(format!("/proc/{pid}")).exists())
}

fn migrations_digest() -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut digest = Sha256::new();
    for file in files {
        digest.update(std::fs::read(file).unwrap());
    }
    digest.finalize()[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}
