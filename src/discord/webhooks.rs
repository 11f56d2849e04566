//! The webhook by which characters speak in a channel: found, made, kept, healed.
//!
//! One for each channel (of a thread: its parent), owned by our application, so that
//! it takes buttons and nobody else's stands in the way. It is looked for at first
//! use and then kept in memory; Discord remembers it across restarts.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serenity::model::id::{ApplicationId, ChannelId};
use tokio::time::Instant;

use super::api::{Api, ApiError, ChannelWebhook, TOO_MANY_WEBHOOKS, Webhook};

/// What ours are called. Discord refuses names with its own in them.
const NAME: &str = "Dramatis";
/// How long it is believed that a channel gives us none.
const BELIEVED_FOR: Duration = Duration::from_secs(600);
/// The most channels that are remembered; beyond it begins anew.
const MAX_CHANNELS: usize = 20_000;

/// The webhooks of all channels.
pub(super) struct Webhooks {
    application: ApplicationId,
    channels: Mutex<HashMap<ChannelId, Arc<Entry>>>,
}

/// One channel.
#[derive(Default)]
struct Entry {
    /// Held while it is looked for, so that two callers make only one.
    known: tokio::sync::Mutex<Known>,
    /// What is known may be wrong.
    is_stale: AtomicBool,
}

#[derive(Default)]
enum Known {
    #[default]
    Unknown,
    Ours(Webhook),
    /// We speak as the bot until then.
    None(Instant),
}

impl Webhooks {
    /// For an application; knows none yet.
    pub(super) fn new(application: ApplicationId) -> Self {
        Self { application, channels: Mutex::default() }
    }

    /// The webhook of a channel (not of a thread), made if there is none; `None` where
    /// we may not have one and speak as the bot.
    pub(super) async fn for_channel(
        &self,
        api: &Api,
        channel: ChannelId,
    ) -> Result<Option<Webhook>, ApiError> {
        let entry = self.entry(channel);
        let mut known = entry.known.lock().await;
        let is_stale = entry.is_stale.swap(false, Ordering::AcqRel);
        match &*known {
            _ if is_stale => {}
            Known::Ours(webhook) => return Ok(Some(webhook.clone())),
            Known::None(until) if Instant::now() < *until => return Ok(None),
            Known::None(_) | Known::Unknown => {}
        }
        *known = Known::Unknown;
        let found = match self.find_or_make(api, channel).await {
            Ok(webhook) => Some(webhook),
            Err(error) if is_no(&error) => {
                tracing::info!(error.kind = error.kind(), "discord.webhook.none");
                None
            }
            Err(error) => return Err(error),
        };
        *known = match &found {
            Some(webhook) => Known::Ours(webhook.clone()),
            None => Known::None(Instant::now() + BELIEVED_FOR),
        };
        Ok(found)
    }

    /// A webhook turned out to be gone: looks again, and makes another if need be.
    /// `None`, and speaking as the bot for a while, if that does not help.
    pub(super) async fn heal(&self, api: &Api, channel: ChannelId) -> Option<Webhook> {
        self.forget(channel);
        match self.for_channel(api, channel).await {
            Ok(webhook) => webhook,
            Err(error) => {
                tracing::warn!(error.kind = error.kind(), "discord.webhook.not_healed");
                None
            }
        }
    }

    /// We may not speak through webhooks here: as the bot, for a while.
    pub(super) fn refuse(&self, channel: ChannelId) {
        // Whoever is looking for it just now will be refused too.
        if let Ok(mut known) = self.entry(channel).known.try_lock() {
            *known = Known::None(Instant::now() + BELIEVED_FOR);
        }
    }

    /// Webhooks or permissions of a channel changed: it is looked for again.
    pub(super) fn forget(&self, channel: ChannelId) {
        let channels = self.channels.lock().expect("nothing panics here");
        if let Some(entry) = channels.get(&channel) {
            entry.is_stale.store(true, Ordering::Release);
        }
    }

    /// The same for every channel that gives us none: a role changed.
    pub(super) fn forget_refused(&self) {
        let channels = self.channels.lock().expect("nothing panics here");
        for entry in channels.values() {
            if let Ok(Known::None(_)) = entry.known.try_lock().as_deref() {
                entry.is_stale.store(true, Ordering::Release);
            }
        }
    }

    fn entry(&self, channel: ChannelId) -> Arc<Entry> {
        let mut channels = self.channels.lock().expect("nothing panics here");
        if channels.len() >= MAX_CHANNELS && !channels.contains_key(&channel) {
            // Those that are being looked for stay, lest two be made.
            channels.retain(|_, entry| Arc::strong_count(entry) > 1);
        }
        channels.entry(channel).or_default().clone()
    }

    async fn find_or_make(&self, api: &Api, channel: ChannelId) -> Result<Webhook, ApiError> {
        if let Some(webhook) = self.find(api, channel).await? {
            return Ok(webhook);
        }
        match api.create_webhook(channel, NAME).await {
            Ok(made) => made.speakable().ok_or_else(no_token),
            // It may have been made: whoever comes next would make a second one.
            Err(error) if error.may_have_been_applied() => {
                self.find(api, channel).await?.ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    /// The oldest of ours, so that everybody finds the same.
    async fn find(&self, api: &Api, channel: ChannelId) -> Result<Option<Webhook>, ApiError> {
        let webhooks = api.channel_webhooks(channel).await?;
        let ours = webhooks.into_iter().filter(|webhook| {
            webhook.application_id == Some(self.application) && webhook.token.is_some()
        });
        Ok(ours.min_by_key(|webhook| webhook.id).and_then(ChannelWebhook::speakable))
    }
}

/// Whether a channel gives us no webhook, now and for a while.
fn is_no(error: &ApiError) -> bool {
    match error {
        ApiError::Forbidden { .. } => true,
        ApiError::Rejected { code, .. } => *code == TOO_MANY_WEBHOOKS,
        _ => false,
    }
}

fn no_token() -> ApiError {
    ApiError::Unreadable { reason: "a new webhook has no token".to_owned() }
}
