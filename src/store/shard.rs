//! Shards of a platform's gateway, and the budget for beginning their sessions, as
//! all processes on this database share it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tracing::instrument;

use super::lane::interval;
use super::{Store, StoreError, row};

/// What a platform's day is.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether a session may be begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentifyGrant {
    /// Yes, now; it is counted.
    Granted,
    /// Not yet: ask again after so long.
    WaitFor(Duration),
    /// The day's budget is spent.
    Exhausted {
        /// When something of it comes back, by the database's clock.
        until: DateTime<Utc>,
    },
}

/// What a shard last said of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// Its number, from 0.
    pub shard: u32,
    /// Among how many.
    pub shard_count: u32,
    /// How many guilds it serves.
    pub num_guilds: u32,
    /// How long ago, by the database's clock.
    pub silent_for: Duration,
}

impl Store {
    /// Asks for leave to begin a session: one in `every` for each bucket, and
    /// `per_day` in any 24 hours for all buckets together, across all processes.
    #[instrument(name = "db.identify.take", skip(self), err(level = "debug"))]
    pub async fn take_identify(
        &self,
        bucket: i32,
        every: Duration,
        per_day: i64,
    ) -> Result<IdentifyGrant, StoreError> {
        let mut tx = self.pool.begin().await?;
        // One asks at a time; the clock is read after the lock, not when we began to
        // wait for it.
        sqlx::query!("LOCK TABLE identify IN EXCLUSIVE MODE").execute(&mut *tx).await?;
        sqlx::query!(
            "DELETE FROM identify WHERE at < clock_timestamp() - $1::interval",
            interval(DAY)
        )
        .execute(&mut *tx)
        .await?;
        let taken = sqlx::query!(
            r#"SELECT count(*) AS "today!",
                      coalesce(min(at), clock_timestamp()) + $2::interval AS "until!",
                      extract(epoch FROM max(at) FILTER (WHERE bucket = $1) + $3::interval
                          - clock_timestamp())::double precision AS latest_s
               FROM identify"#,
            bucket,
            interval(DAY),
            interval(every),
        )
        .fetch_one(&mut *tx)
        .await?;
        let grant = if taken.today >= per_day {
            IdentifyGrant::Exhausted { until: taken.until }
        } else if let Some(wait_s) = taken.latest_s.filter(|wait_s| *wait_s > 0.0) {
            IdentifyGrant::WaitFor(Duration::from_secs_f64(wait_s))
        } else {
            sqlx::query!("INSERT INTO identify VALUES ($1, clock_timestamp())", bucket)
                .execute(&mut *tx)
                .await?;
            IdentifyGrant::Granted
        };
        tx.commit().await?;
        Ok(grant)
    }

    /// Notes what a shard says of itself.
    #[instrument(name = "db.shard.upsert", skip(self), err(level = "debug"))]
    pub async fn upsert_shard(
        &self,
        shard: u32,
        shard_count: u32,
        num_guilds: u32,
    ) -> Result<(), StoreError> {
        let number = |number: u32| i32::try_from(number).expect("there are far fewer");
        sqlx::query!(
            "INSERT INTO shard (shard, shard_count, num_guilds) VALUES ($1, $2, $3)
             ON CONFLICT (shard_count, shard) DO UPDATE
             SET num_guilds = excluded.num_guilds, updated_at = now()",
            number(shard),
            number(shard_count),
            number(num_guilds),
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// What all shards last said, those of an earlier number of shards too.
    #[instrument(name = "db.shard.list", skip(self), err(level = "debug"))]
    pub async fn list_shards(&self) -> Result<Vec<Shard>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT shard, shard_count, num_guilds,
                      extract(epoch FROM now() - updated_at)::double precision AS "silent_s!"
               FROM shard ORDER BY shard_count, shard"#,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| Shard {
                shard: row::count(row.shard.into()),
                shard_count: row::count(row.shard_count.into()),
                num_guilds: row::count(row.num_guilds.into()),
                silent_for: Duration::from_secs_f64(row.silent_s.max(0.0)),
            })
            .collect())
    }
}
