//! How often the rules of a guild are met, for those who look after it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{Days, NaiveDate};
use tokio::sync::watch;

use super::library::{Met, hits};
use super::{Chat, ChatError};
use crate::domain::GuildId;
use crate::store::{RuleHits, StoreError};

/// How often it is written down what was counted.
const EVERY: Duration = Duration::from_secs(5);
/// For how many days numbers are kept.
pub const HITS_KEPT_DAYS: u32 = 90;

/// Writes down how often rules are met, every few seconds, until `stopping` says `true` or
/// nobody is left who could. What is counted after that is written by
/// [`Chat::write_rule_hits`].
pub async fn run_rule_hits(chat: Arc<Chat>, mut stopping: watch::Receiver<bool>) {
    while !*stopping.borrow_and_update() {
        chat.write_rule_hits().await;
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            changed = stopping.changed() => if changed.is_err() { return },
        }
    }
}

impl Chat {
    /// Writes down what was counted so far; what fails is tried again with the next.
    pub async fn write_rule_hits(&self) {
        for (guild, counts) in self.library.tally.take() {
            self.write_hits_of(guild, counts).await;
        }
    }

    async fn write_hits_of(&self, guild: GuildId, counts: BTreeMap<Met, u64>) {
        let day = self.clock.now().date_naive();
        match self.store.add_rule_hits(guild, day, &hits(&counts)).await {
            Ok(()) => {}
            Err(error) if error.is_transient() => {
                tracing::debug!(guild = guild.0, error.kind = error.kind(), "chat.hits.later");
                self.library.tally.merge(guild, counts);
            }
            Err(error) => {
                tracing::warn!(guild = guild.0, error.kind = error.kind(), "chat.hits.lost");
            }
        }
    }

    /// How often the rules of a guild were met in so many days, today included and no further
    /// back than numbers are kept, by what followed; those that were met most often first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn rule_hits(&self, guild: GuildId, days: u32) -> Result<Vec<RuleHits>, ChatError> {
        if let Some(counts) = self.library.tally.take_of(guild) {
            self.write_hits_of(guild, counts).await;
        }
        Ok(self.store.list_rule_hits(guild, self.first_of(days)).await?)
    }

    /// Lets go of numbers that were kept long enough.
    pub(super) async fn sweep_rule_hits(&self, guild: GuildId) -> Result<(), StoreError> {
        self.store.delete_rule_hits_before(guild, self.first_of(HITS_KEPT_DAYS)).await.map(drop)
    }

    /// The first of so many days, of which today is the last.
    fn first_of(&self, days: u32) -> NaiveDate {
        let today = self.clock.now().date_naive();
        today - Days::new((days.clamp(1, HITS_KEPT_DAYS) - 1).into())
    }
}
