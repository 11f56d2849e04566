//! Discord over the gateway: shards that listen.
//!
//! `wire` is the socket, `frame` what goes over it, `event` what is in it, `close`
//! what an end means, `shard` the loop that keeps one session going.

mod backoff;
mod close;
mod event;
mod frame;
mod health;
mod shard;
#[cfg(test)]
mod tests;
mod wire;

use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use secrecy::SecretString;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::chat::Chat;
use crate::store::IdentifyGrant;
use crate::telemetry::metrics::Name;

use backoff::Backoff;
use shard::{Parts, Shard};
use wire::Internet;

pub(super) use close::Fatal;
pub(super) use event::{Edited, GuildSeen, Heard, Ready};
pub(super) use health::{Health, ShardState};

/// How many events of a shard may wait for us.
const MAX_WAITING: usize = 1_024;
/// How often the number of guilds is noted.
const NOTE_EVERY: Duration = Duration::from_secs(60);
/// Discord lets each bucket begin a session that often.
const IDENTIFY_EVERY: Duration = Duration::from_millis(5_100);

/// Takes what shards hear: each shard's events one after another, in order.
pub(super) trait Hearer: Send + Sync + 'static {
    /// Something happened. While this is not done, nothing else of the shard is
    /// heard, so it should only be put where somebody works on it.
    fn hear(&self, shard: u32, heard: Heard) -> impl Future<Output = ()> + Send;
}

/// Whether a session may be begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leave {
    /// Yes, now; it is counted.
    Given,
    /// Not yet: ask again after so long.
    Wait(Duration),
    /// As many were begun as a day allows; one comes back after so long.
    Spent(Duration),
}

/// What shards lean on.
pub(super) trait Ground: Send + Sync + 'static {
    /// Asks for leave to begin a session.
    fn take_identify(&self, bucket: u32) -> impl Future<Output = Result<Leave, String>> + Send;

    /// Notes how many guilds a shard serves.
    fn note_guilds(
        &self,
        shard: u32,
        shard_count: u32,
        num_guilds: u32,
    ) -> impl Future<Output = ()> + Send;

    /// Counts one.
    fn count(&self, name: Name, label: &'static str);
}

/// Which shards, and where they connect.
#[derive(Debug, Clone)]
pub(super) struct GatewayOptions {
    /// The bot's token.
    pub(super) token: SecretString,
    /// The gateway's address, as Discord told it.
    pub(super) url: String,
    /// Whether an address without TLS may be used: where a proxy stands between.
    pub(super) may_be_plain: bool,
    /// The shards of this process.
    pub(super) shards: RangeInclusive<u32>,
    /// The shards of all processes.
    pub(super) shard_count: u32,
    /// How many sessions may begin at once.
    pub(super) max_concurrency: u32,
    /// What waits are drawn from.
    pub(super) seed: u64,
}

/// The shards of this process.
pub(super) struct Gateway {
    stop: watch::Sender<bool>,
    failed: watch::Receiver<Option<Fatal>>,
    tasks: JoinSet<()>,
}

/// The gateway's address would carry the token in the open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the gateway's address, {0}, is not secured by TLS; the token was not sent there")]
pub(super) struct PlainGateway(String);

impl Gateway {
    /// Starts the shards.
    ///
    /// # Errors
    /// [`PlainGateway`] where anybody on the way could read the token.
    pub(super) fn start<G: Ground, H: Hearer>(
        options: &GatewayOptions,
        ground: Arc<G>,
        hearer: Arc<H>,
    ) -> Result<Self, PlainGateway> {
        if !is_trusted(&options.url, options.may_be_plain) {
            return Err(PlainGateway(options.url.clone()));
        }
        let (stop, stopped) = watch::channel(false);
        let (failed, failure) = watch::channel(None);
        let health = Arc::new(Health::default());
        let mut tasks = JoinSet::new();
        for number in options.shards.clone() {
            let (events, heard) = mpsc::channel(MAX_WAITING);
            let shard = Shard::new(Parts {
                number,
                count: options.shard_count,
                token: options.token.clone(),
                url: options.url.clone(),
                may_be_plain: options.may_be_plain,
                bucket: number % options.max_concurrency.max(1),
                connect: Internet,
                ground: ground.clone(),
                events,
                stop: stopped.clone(),
                backoff: Backoff::new(ChaCha8Rng::seed_from_u64(
                    options.seed.wrapping_add(number.into()),
                )),
                health: health.clone(),
            });
            let failed = failed.clone();
            tasks.spawn(async move {
                if let Err(fatal) = shard.run().await {
                    tracing::error!(shard = number, error.kind = fatal.kind(), %fatal, "discord.fatal");
                    failed.send_if_modified(|first| first.is_none() && first.replace(fatal).is_none());
                }
            });
            tasks.spawn(hand_on(number, heard, hearer.clone()));
        }
        tasks.spawn(note(options.shard_count, ground, health, stopped));
        Ok(Self { stop, failed: failure, tasks })
    }

    /// Returns why a shard can never work, once one cannot.
    pub(super) async fn failed(&self) -> Fatal {
        let mut failed = self.failed.clone();
        loop {
            if let Some(fatal) = *failed.borrow_and_update() {
                return fatal;
            }
            if failed.changed().await.is_err() {
                // Every shard was stopped, none for good.
                return std::future::pending().await;
            }
        }
    }

    /// Ends the sessions; returns when the last event was handed on.
    pub(super) async fn stop(mut self) {
        let _ = self.stop.send(true);
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a shard broke down");
            }
        }
    }
}

async fn hand_on<H: Hearer>(shard: u32, mut heard: mpsc::Receiver<Heard>, hearer: Arc<H>) {
    while let Some(heard) = heard.recv().await {
        hearer.hear(shard, heard).await;
    }
}

/// Notes how many guilds each shard serves.
async fn note<G: Ground>(
    shard_count: u32,
    ground: Arc<G>,
    health: Arc<Health>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut ticks = interval(NOTE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = stopped.wait_for(|&stop| stop) => return,
            _ = ticks.tick() => {}
        }
        for (shard, health) in health.all() {
            if health.state == ShardState::Ready {
                ground.note_guilds(shard, shard_count, health.num_guilds).await;
            }
        }
    }
}

/// Whether a token may be sent there: over TLS, to this machine, or to a proxy that
/// somebody chose.
pub(super) fn is_trusted(url: &str, may_be_plain: bool) -> bool {
    if url.starts_with("wss://") {
        return true;
    }
    let Some(rest) = url.strip_prefix("ws://") else { return false };
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    let is_local = ["127.0.0.1", "localhost", "[::1]"].iter().any(|local| {
        host.strip_prefix(local).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    });
    is_local || may_be_plain
}

/// Shards of a bot whose budget and counts are in the database.
pub(super) struct Shared {
    chat: Arc<Chat>,
    identify_per_day: i64,
}

impl Shared {
    /// With that many sessions in 24 hours, over all processes.
    pub(super) fn new(chat: Arc<Chat>, identify_per_day: u32) -> Self {
        Self { chat, identify_per_day: identify_per_day.into() }
    }
}

impl Ground for Shared {
    async fn take_identify(&self, bucket: u32) -> Result<Leave, String> {
        let bucket = i32::try_from(bucket).unwrap_or(i32::MAX);
        let store = self.chat.store();
        let taken = store.take_identify(bucket, IDENTIFY_EVERY, self.identify_per_day).await;
        Ok(match taken.map_err(|error| error.to_string())? {
            IdentifyGrant::Granted => Leave::Given,
            IdentifyGrant::WaitFor(wait) => Leave::Wait(wait),
            IdentifyGrant::Exhausted { until } => {
                Leave::Spent((until - self.chat.now()).to_std().unwrap_or_default())
            }
        })
    }

    async fn note_guilds(&self, shard: u32, shard_count: u32, num_guilds: u32) {
        let noted = self.chat.store().upsert_shard(shard, shard_count, num_guilds).await;
        if let Err(error) = noted {
            tracing::debug!(shard, error.kind = error.kind(), "discord.shard.not_noted");
        }
    }

    fn count(&self, name: Name, label: &'static str) {
        self.chat.metrics().count(name, label, 1);
    }
}
