//! Opening the database: connect, then bring the tables up to date.
//!
//! Never prints an address as it was given: it may hold a password.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::sync::Notify;

use super::{Store, StoreError};

/// Which database.
#[derive(Debug, Clone)]
pub enum Database {
    /// The server at this address: `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
    Url(SecretString),
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
}

impl StoreOptions {
    /// What suits one service on one box.
    pub fn new(database: Database) -> Self {
        Self { database, max_connections: 10, acquire_timeout: Duration::from_secs(5) }
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
        let connect = match &options.database {
            Database::Url(url) => parse(url)?,
        };
        let target = target(&connect);
        let pool = PgPoolOptions::new()
            .max_connections(options.max_connections)
            .acquire_timeout(options.acquire_timeout)
            .connect_lazy_with(connect);
        // One plain attempt first: the pool would retry a refusal until its
        // timeout and then only say that it timed out.
        let connect = pool.connect_options();
        let attempt = connect.connect();
        match tokio::time::timeout(options.acquire_timeout, attempt).await {
            Ok(Ok(connection)) => drop(connection),
            Ok(Err(error)) => return Err(classify(error, target)),
            Err(_) => {
                let source = std::io::Error::from(std::io::ErrorKind::TimedOut).into();
                return Err(StoreError::Unreachable { target, source });
            }
        }
        sqlx::migrate!()
            .run(&pool)
            .await
            .map_err(|source| StoreError::Migrate { target: target.clone(), source })?;
        tracing::info!(database.target = target, "db.open");
        Ok(Self { pool, work: Arc::new(Notify::new()) })
    }

    /// Closes every connection, once the calls under way are done.
    pub async fn close(&self) {
        self.pool.close().await;
    }
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
    let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default();
    match (&error, code.as_ref()) {
        (_, "28000" | "28P01") => StoreError::Refused { target, source: error },
        (_, "3D000") => StoreError::NoDatabase { target },
        (sqlx::Error::Protocol(_) | sqlx::Error::Tls(_), _) => {
            StoreError::NotPostgres { target, source: error }
        }
        _ => StoreError::Unreachable { target, source: error },
    }
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
