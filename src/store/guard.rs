//! Connections that see the rows of one guild, and those of no other.
//!
//! Whatever works for a guild runs as a role that owns nothing, in a transaction that
//! names the guild; the tables' row-level security does the rest, also where a query
//! forgot to ask for the guild. Both end with the transaction, and a connection whose
//! transaction was not ended (its caller went away in the middle) is never lent again.

use std::ops::{Deref, DerefMut};

use futures_util::future::BoxFuture;
use sqlx::pool::PoolConnectionMetadata;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Row as _, Transaction};

use super::seal::GuildSeal;
use super::{Store, StoreError};
use crate::domain::GuildId;

impl Store {
    /// A transaction in a guild, to be committed. Costs what any `BEGIN` costs: role
    /// and guild travel with it.
    pub(super) async fn begin(&self, guild: GuildId) -> Result<GuildTx, StoreError> {
        let tx = open(&self.pool, "", guild).await?;
        Ok(GuildTx { tx, seal: self.seal_of(guild) })
    }

    /// The same for reading: what it reads is all of one moment, and nothing can be
    /// written, so that there is no commit to forget.
    pub(super) async fn read(&self, guild: GuildId) -> Result<GuildTx, StoreError> {
        let tx = open(&self.pool, " ISOLATION LEVEL REPEATABLE READ READ ONLY", guild).await?;
        Ok(GuildTx { tx, seal: self.seal_of(guild) })
    }

    fn seal_of(&self, guild: GuildId) -> GuildSeal {
        GuildSeal { keyring: self.keyring.clone(), guild }
    }
}

/// A transaction in a guild, with what its texts are sealed with.
pub(super) struct GuildTx {
    tx: Transaction<'static, Postgres>,
    pub(super) seal: GuildSeal,
}

impl GuildTx {
    pub(super) async fn commit(self) -> Result<(), sqlx::Error> {
        self.tx.commit().await
    }
}

impl Deref for GuildTx {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.tx
    }
}

impl DerefMut for GuildTx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}

async fn open(
    pool: &PgPool,
    mode: &str,
    guild: GuildId,
) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    // No parameters are possible here; what is put in is a number and words of ours.
    let begin = format!(
        "BEGIN{mode}; SET LOCAL ROLE dramatis_guild; SET LOCAL dramatis.guild = '{}'",
        guild.0
    );
    pool.begin_with(AssertSqlSafe(begin)).await
}

/// Whether the guild's role can be taken on at all.
pub(super) async fn try_role(pool: &PgPool) -> Result<(), sqlx::Error> {
    open(pool, "", GuildId(0)).await?.rollback().await
}

/// A pool whose connections are looked at before each use, in place of the ping that
/// it would send by itself: one that is in a transaction already is closed. So is one
/// whose transaction had failed, because the question fails there.
pub(super) fn guarded(options: PgPoolOptions) -> PgPoolOptions {
    options.test_before_acquire(false).before_acquire(is_fresh)
}

fn is_fresh(
    connection: &mut PgConnection,
    _: PoolConnectionMetadata,
) -> BoxFuture<'_, Result<bool, sqlx::Error>> {
    Box::pin(async move {
        // A statement of its own begins a transaction of its own, at the same moment.
        let fresh = sqlx::raw_sql("SELECT now() = statement_timestamp()");
        match fresh.fetch_one(connection).await {
            Ok(row) => row.try_get(0),
            Err(error) => {
                tracing::debug!(%error, "db.connection.unfinished");
                Ok(false)
            }
        }
    })
}
