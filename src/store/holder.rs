//! Which processes are alive, as the database sees it.
//!
//! Every open store holds a number and, on a connection of its own, the advisory
//! lock of that number, which Postgres drops with the connection. Lanes that a
//! dead process held are so known at the next start, before their lease runs out.
//! Only a shortcut: leases and fences are what keeps two workers apart.

use std::sync::Mutex;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};

use super::StoreError;

/// Sets our advisory locks apart from those of others; the number has no
/// meaning.
const LOCK_CLASS: i32 = 0x6472_616d;

/// This process, as long as it lives.
#[derive(Debug)]
pub(super) struct Holder {
    /// Its number.
    pub(super) id: i32,
    /// Holds the lock; nothing else is asked of it.
    _connection: Mutex<PgConnection>,
}

impl Holder {
    /// Takes a number, and lets go of all lanes whose process is gone.
    pub(super) async fn register(connect: &PgConnectOptions) -> Result<Self, StoreError> {
        let mut connection = connect.connect().await?;
        // A number may be held still, once the sequence has come round.
        let id = loop {
            let taken = sqlx::query!(
                r#"SELECT id AS "id!", pg_try_advisory_lock($1, id) AS "free!"
                   FROM (SELECT nextval('holder_id_seq')::integer AS id) AS next"#,
                LOCK_CLASS,
            )
            .fetch_one(&mut connection)
            .await?;
            if taken.free {
                break taken.id;
            }
        };
        let released = sqlx::query!(
            "UPDATE lane SET lease_until = now()
             WHERE lease_until > now() AND NOT EXISTS (
                SELECT FROM pg_locks
                WHERE locktype = 'advisory' AND classid::bigint = $1 AND objsubid = 2
                  AND objid::bigint = lane.holder
                  AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))",
            i64::from(LOCK_CLASS),
        )
        .execute(&mut connection)
        .await?;
        if released.rows_affected() > 0 {
            tracing::info!(num_lanes = released.rows_affected(), "db.lane.release_orphans");
        }
        Ok(Self { id, _connection: Mutex::new(connection) })
    }
}
