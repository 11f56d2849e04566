//! The bell between processes: work is announced, stops and deletions are called at once.
//!
//! Work is announced to others by a NOTIFY of its own, at most every [`PAUSE`] and
//! never in a transaction that takes work in: there it would make commits wait for
//! one another. A stop is called in the transaction that makes it so. Nothing depends
//! on being heard: the queue is looked at now and then all the same, and a reply that
//! was called off meets its fence at the next heartbeat.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{PgConnection, PgPool};
use tokio::sync::{Notify, broadcast};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tracing::instrument;

use super::{Store, StoreError};
use crate::domain::{GuildId, SceneId};

/// Between two announcements of a process.
const PAUSE: Duration = Duration::from_millis(75);
/// How long after a failure the bell is hung up again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// What is announced, and what is called.
const CHANNELS: [&str; 3] = [WORK, STOP, FORGET];
const WORK: &str = "dramatis_work";
const STOP: &str = "dramatis_stop";
const FORGET: &str = "dramatis_forget";
/// The most stops that wait to be heeded; who is further behind misses the oldest.
const MAX_STOPS: usize = 1_024;

/// Whoever writes in a scene is to stop, if it is by this claim or an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// The scene.
    pub scene: SceneId,
    /// The fence of the claim. Later ones are none of its business.
    pub fence: i64,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.scene, self.fence)
    }
}

impl FromStr for Stop {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scene, fence) = text.split_once(' ').unwrap_or_default();
        Ok(Self { scene: SceneId(scene.parse()?), fence: fence.parse()? })
    }
}

/// The end of the bell that is in this process.
#[derive(Debug)]
pub(super) struct Bell {
    shared: Arc<Shared>,
    /// Of the one connection that listens.
    ear: PgPool,
    tasks: [AbortHandle; 2],
}

#[derive(Debug)]
struct Shared {
    /// Who we are to the others, and to ourselves when we hear our own announcement.
    holder: String,
    /// Work may have come in.
    work: Notify,
    /// Others are to be told so.
    untold: Notify,
    stops: broadcast::Sender<Stop>,
    /// Something was deleted.
    forgotten: Notify,
}

impl Bell {
    /// Hangs it up; from then on it is heard.
    pub(super) async fn hang(
        connect: &PgConnectOptions,
        pool: &PgPool,
        holder: i32,
        patience: Duration,
    ) -> Result<Self, StoreError> {
        let ear = PgPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .acquire_timeout(patience)
            .connect_lazy_with(connect.clone());
        let listener = listen(&ear).await?;
        let shared = Arc::new(Shared {
            holder: holder.to_string(),
            work: Notify::new(),
            untold: Notify::new(),
            stops: broadcast::Sender::new(MAX_STOPS),
            forgotten: Notify::new(),
        });
        let telling = tokio::spawn(tell(shared.clone(), pool.clone()));
        let hearing = tokio::spawn(hear(shared.clone(), ear.clone(), listener));
        let tasks = [telling.abort_handle(), hearing.abort_handle()];
        Ok(Self { shared, ear, tasks })
    }

    /// Announces work, here and to others.
    pub(super) fn ring(&self) {
        self.shared.work.notify_one();
        self.shared.untold.notify_one();
    }

    /// Until something may have been deleted.
    pub(super) async fn forgotten(&self) {
        self.shared.forgotten.notified().await;
    }

    /// Takes it down and closes its connection.
    pub(super) async fn take_down(&self) {
        self.tasks.iter().for_each(AbortHandle::abort);
        self.ear.close().await;
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Shared {
    /// What was said meanwhile is missed.
    fn was_deaf(&self) {
        self.work.notify_one();
        self.forgotten.notify_one();
    }

    fn heard(&self, channel: &str, payload: &str) {
        match channel {
            WORK if payload != self.holder => self.work.notify_one(),
            STOP => {
                // Whoever wants to know them listens already.
                if let Ok(stop) = payload.parse() {
                    let _ = self.stops.send(stop);
                }
            }
            FORGET => self.forgotten.notify_one(),
            _ => {}
        }
    }
}

async fn listen(ear: &PgPool) -> Result<PgListener, sqlx::Error> {
    let mut listener = PgListener::connect_with(ear).await?;
    listener.listen_all(CHANNELS).await?;
    Ok(listener)
}

/// Hears others, for as long as this process lives.
async fn hear(shared: Arc<Shared>, ear: PgPool, mut listener: PgListener) {
    loop {
        match listener.try_recv().await {
            Ok(Some(said)) => shared.heard(said.channel(), said.payload()),
            // The connection was lost and is back.
            Ok(None) => shared.was_deaf(),
            Err(error) => {
                tracing::debug!(%error, "db.bell.lost");
                drop(listener);
                listener = loop {
                    sleep(AGAIN_AFTER).await;
                    match listen(&ear).await {
                        Ok(listener) => break listener,
                        Err(sqlx::Error::PoolClosed) => return,
                        Err(_) => {}
                    }
                };
                shared.was_deaf();
            }
        }
    }
}

/// Tells others that there is work, many pieces at once.
async fn tell(shared: Arc<Shared>, pool: PgPool) {
    loop {
        shared.untold.notified().await;
        if let Err(error) = announce(&shared.holder, &pool).await {
            // They look now and then.
            tracing::debug!(%error, "db.bell.not_rung");
        }
        sleep(PAUSE).await;
    }
}

async fn announce(holder: &str, pool: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query_scalar!("SELECT pg_notify('dramatis_work', $1)::text", holder)
        .fetch_one(pool)
        .await
        .map(drop)
}

/// Calls a stop, once the transaction is committed.
pub(super) async fn call(conn: &mut PgConnection, stop: Stop) -> Result<(), StoreError> {
    sqlx::query_scalar!("SELECT pg_notify('dramatis_stop', $1)::text", stop.to_string())
        .fetch_one(conn)
        .await?;
    Ok(())
}

/// Calls that something was deleted, once the transaction is committed.
pub(super) async fn call_forgetting(conn: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query_scalar!("SELECT pg_notify('dramatis_forget', '')::text").fetch_one(conn).await?;
    Ok(())
}

impl Store {
    /// Waits until work may have come in, here or in another process, at most so long.
    pub async fn wait_for_work(&self, at_most: Duration) {
        let _ = timeout(at_most, self.bell.shared.work.notified()).await;
    }

    /// What is to stop from now on, called by any process, this one included. Some may
    /// be missed; the claim tells in the end.
    pub fn stops(&self) -> broadcast::Receiver<Stop> {
        self.bell.shared.stops.subscribe()
    }

    /// Asks another process to end what it writes in a scene, and to keep what is
    /// written so far. Says whether another one has the scene; none may hear it.
    #[instrument(name = "db.lane.ask_stop", skip(self), err(level = "debug"))]
    pub async fn ask_stop(&self, guild: GuildId, scene: SceneId) -> Result<bool, StoreError> {
        let mut tx = self.begin(guild).await?;
        let fence = sqlx::query_scalar!(
            "SELECT fence FROM lane
             WHERE guild_id = $1 AND scene_id = $2 AND lease_until >= now() AND holder <> $3",
            guild.0,
            scene.0,
            self.holder.id,
        )
        .fetch_optional(&mut *tx)
        .await?;
        let Some(fence) = fence else { return Ok(false) };
        call(&mut tx, Stop { scene, fence }).await?;
        tx.commit().await?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_comes_back_as_it_was_called() {
        let stop = Stop { scene: SceneId(41), fence: 7 };
        assert_eq!(stop.to_string().parse(), Ok(stop));
        for nonsense in ["", "41", "41 x", "x 7"] {
            assert!(nonsense.parse::<Stop>().is_err(), "{nonsense}");
        }
    }
}
