//! Opening the database: connect, then bring the tables up to date.
//!
//! Never prints an address as it was given: it may hold a password.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection};

use super::bell::Bell;
use super::embedded::{self, EmbeddedOptions, EmbeddedServer};
use super::guard::{self, guarded};
use super::holder::Holder;
use super::seal::{self, Keyring};
use super::{Store, StoreError};

/// Which database.
#[derive(Debug, Clone)]
pub enum Database {
    /// The server at this address: `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
    Url(SecretString),
    /// A private server of our own.
    Embedded(EmbeddedOptions),
}

/// How the database is used.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Which.
    pub database: Database,
    /// The most connections held at once.
    pub max_connections: u32,
    /// How long a call waits for a connection before it says that the database
    /// is busy; also how long opening waits for a server.
    pub acquire_timeout: Duration,
    /// What texts are sealed with.
    pub keyring: Keyring,
}

impl StoreOptions {
    /// What suits one service on one box.
    pub fn new(database: Database) -> Self {
        Self {
            database,
            max_connections: 10,
            acquire_timeout: Duration::from_secs(5),
            keyring: Keyring::default(),
        }
    }
}

impl Store {
    /// Connects, and runs the migrations that the database lacks. Several
    /// processes may do so at once: an advisory lock lets one migrate while the
    /// others wait.
    ///
    /// # Errors
    /// Says what is wrong with the address, the server, the login, the database
    /// or its tables, and what to do.
    pub async fn open(options: StoreOptions) -> Result<Self, StoreError> {
        let (connect, server) = match options.database {
            Database::Url(ref url) => (parse(url)?, None),
            Database::Embedded(embedded) => {
                let starting =
                    tokio::task::spawn_blocking(move || EmbeddedServer::start(&embedded));
                let server = Arc::new(starting.await.expect("starting a server does not panic")?);
                let connect = server.connect_options(embedded::NAME);
                create_database(&server).await?;
                (connect, Some(server))
            }
        };
        let target = target(&connect);
        attempt(&connect, options.acquire_timeout, &target).await?;
        let pool = guarded(PgPoolOptions::new())
            .max_connections(options.max_connections)
            .acquire_timeout(options.acquire_timeout)
            .connect_lazy_with(connect.clone());
        sqlx::migrate!()
            .run(&pool)
            .await
            .map_err(|source| StoreError::Migrate { target: target.clone(), source })?;
        guard::try_role(&pool)
            .await
            .map_err(|source| StoreError::GuildRole { target: target.clone(), source })?;
        seal::try_keys(&pool, &options.keyring).await?;
        let holder = Arc::new(Holder::register(&connect).await?);
        let bell = Bell::hang(&connect, &pool, holder.id, options.acquire_timeout).await?;
        tracing::info!(database.target = target, "db.open");
        let keyring = Arc::new(options.keyring);
        Ok(Self { pool, keyring, bell: Arc::new(bell), holder, server })
    }

    /// Closes every connection once the calls under way are done, for all clones,
    /// and with the last of them stops a private server that nobody else uses.
    ///
    /// # Errors
    /// Where the private server does not stop.
    pub async fn close(self) -> Result<(), StoreError> {
        self.bell.take_down().await;
        self.pool.close().await;
        let Some(server) = self.server.and_then(Arc::into_inner) else { return Ok(()) };
        let stopping = tokio::task::spawn_blocking(move || server.stop());
        Ok(stopping.await.expect("stopping a server does not panic")?)
    }
}

/// One plain connection: the pool would retry a refusal until its timeout, and
/// then only say that it timed out.
async fn attempt(
    connect: &PgConnectOptions,
    limit: Duration,
    target: &str,
) -> Result<PgConnection, StoreError> {
    match tokio::time::timeout(limit, connect.connect()).await {
        Ok(connected) => connected.map_err(|error| classify(error, target.into())),
        Err(_) => {
            let source = std::io::Error::from(std::io::ErrorKind::TimedOut).into();
            Err(StoreError::Unreachable { target: target.into(), source })
        }
    }
}

/// Makes our database on a private server that does not have it yet.
async fn create_database(server: &EmbeddedServer) -> Result<(), StoreError> {
    let connect = server.connect_options("postgres");
    let mut connection = attempt(&connect, Duration::from_secs(5), &target(&connect)).await?;
    let there = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1) AS "there!""#,
        embedded::NAME,
    )
    .fetch_one(&mut connection)
    .await?;
    if !there {
        // No parameters are possible here; the name is ours.
        let created = sqlx::raw_sql("CREATE DATABASE dramatis").execute(&mut connection).await;
        match created {
            // Another process was quicker.
            Err(error) if code(&error) == "42P04" || code(&error) == "23505" => {}
            created => {
                created?;
            }
        }
    }
    Ok(connection.close().await?)
}

fn parse(url: &SecretString) -> Result<PgConnectOptions, StoreError> {
    let url = url.expose_secret();
    let reason = |reason: &str| StoreError::Address { reason: reason.into() };
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(reason("it does not begin with postgres://"));
    }
    PgConnectOptions::from_str(url).map_err(|_| reason("it cannot be parsed"))
}

/// Where we connect to, for people to read: all but the password.
fn target(options: &PgConnectOptions) -> String {
    let place = match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    };
    let user = options.get_username();
    let database = options.get_database().unwrap_or(user);
    format!("{place} (database “{database}”, user “{user}”)")
}

fn classify(error: sqlx::Error, target: String) -> StoreError {
    match (&error, code(&error).as_str()) {
        (_, "28000" | "28P01") => StoreError::Refused { target, source: error },
        (_, "3D000") => StoreError::NoDatabase { target },
        (sqlx::Error::Protocol(_) | sqlx::Error::Tls(_), _) => {
            StoreError::NotPostgres { target, source: error }
        }
        _ => StoreError::Unreachable { target, source: error },
    }
}

fn code(error: &sqlx::Error) -> String {
    let code = error.as_database_error().and_then(|error| error.code());
    code.unwrap_or_default().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_never_repeated() {
        for url in ["mysql://root:canary@host/db", "postgres://u:canary@host:notaport/db", "canary"]
        {
            let error = parse(&SecretString::from(url)).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        }
        let options =
            parse(&SecretString::from("postgres://ann:canary@db.example:5433/play")).unwrap();
        assert_eq!(target(&options), "db.example:5433 (database “play”, user “ann”)");
    }
}
