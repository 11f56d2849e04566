//! From a token to a bot that listens, and back.
//!
//! Logged in first, so that a wrong token is known before a model is loaded; then
//! the stage for the jobs; then the commands and the shards. Down in the opposite
//! order: nothing more is heard, the jobs end, what is under way is sent.

use std::sync::Arc;
use std::time::Duration;

use rand::TryRngCore;
use rand::rngs::OsRng;
use secrecy::SecretString;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::api::{Api, ApiError, ApiOptions, Application};
use super::bot::{Bot, PLATFORM};
use super::case_log;
use super::commands::register::register;
use super::gateway::{Fatal, Gateway, GatewayOptions, PlainGateway, Shared};
use super::hearing::Ears;
use super::membership::keep_looking;
use super::stage::DiscordStage;
use crate::chat::{Chat, ChatError};
use crate::config::DiscordConfig;
use crate::domain::SceneId;
use crate::store::StoreError;
use crate::telemetry::metrics::Metrics;

/// How many scenes are looked at in one query.
const PAGE: u32 = 500;

/// Discord cannot be used, or not any more.
#[derive(Debug, thiserror::Error)]
pub enum DiscordError {
    /// A request failed.
    #[error("Discord: {0}")]
    Api(#[from] Refused),
    /// Discord does not let us listen.
    #[error("{0}")]
    Gateway(String),
    /// The chat room or the database fails.
    #[error(transparent)]
    Chat(#[from] ChatError),
    /// The shards of this process are not among those that there are.
    #[error(
        "discord.shard_from = {from} and discord.shard_to = {to} are not among the {count} shards \
         that Discord advises; set discord.shards as well"
    )]
    Shards {
        /// The first.
        from: u32,
        /// The last.
        to: u32,
        /// How many there are.
        count: u32,
    },
}

/// What Discord answered that was no success.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Refused(#[from] ApiError);

impl From<ApiError> for DiscordError {
    fn from(error: ApiError) -> Self {
        Self::Api(Refused(error))
    }
}

impl From<StoreError> for DiscordError {
    fn from(error: StoreError) -> Self {
        Self::Chat(error.into())
    }
}

impl From<Fatal> for DiscordError {
    fn from(fatal: Fatal) -> Self {
        Self::Gateway(fatal.to_string())
    }
}

impl From<PlainGateway> for DiscordError {
    fn from(error: PlainGateway) -> Self {
        Self::Gateway(error.to_string())
    }
}

/// A bot that has logged in and does not listen yet.
pub struct Connection {
    api: Api,
    token: SecretString,
    application: Application,
    settings: DiscordConfig,
}

impl Connection {
    /// Logs in. `client` stands in for our own HTTP client, for machines that reach
    /// Discord in a way of their own.
    ///
    /// # Errors
    /// Discord does not know the token, or is not reached.
    pub async fn open(
        settings: &DiscordConfig,
        token: SecretString,
        client: Option<reqwest::Client>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, DiscordError> {
        let options = ApiOptions {
            base: settings.api_url.set().cloned(),
            client,
            requests_per_s: settings.requests_per_s,
            metrics,
        };
        let api = Api::new(&token, &options)?;
        let application = api.current_application().await?;
        Ok(Self { api, token, application, settings: settings.clone() })
    }

    /// Where the jobs show their replies.
    pub fn stage(&self, chat: &Arc<Chat>) -> DiscordStage {
        let Self { api, application, settings, .. } = self;
        let bot = Bot::new(chat.clone(), api.clone(), application.clone(), settings.clone());
        DiscordStage(Arc::new(bot))
    }

    /// The link by which a guild's administrators invite the bot.
    pub fn invite_link(&self) -> String {
        super::check::invite_link(self.application.id)
    }

    /// Tells Discord the commands and starts to listen.
    ///
    /// # Errors
    /// Discord refuses, or the database fails.
    pub async fn listen(self, stage: &DiscordStage) -> Result<Discord, DiscordError> {
        let bot = stage.0.clone();
        register(&bot).await?;
        let gateway = self.api.gateway_bot().await?;
        let shard_count = self.settings.shards.set().copied().unwrap_or(gateway.shards).max(1);
        let from = self.settings.shard_from.set().copied().unwrap_or(0);
        let to = self.settings.shard_to.set().copied().unwrap_or(shard_count - 1);
        if from > to || to >= shard_count {
            return Err(DiscordError::Shards { from, to, count: shard_count });
        }
        let options = GatewayOptions {
            token: self.token,
            url: gateway.url,
            may_be_plain: self.settings.api_url.set().is_some(),
            shards: from..=to,
            shard_count,
            max_concurrency: gateway.session_start_limit.max_concurrency,
            seed: OsRng.try_next_u64().unwrap_or_default(),
        };
        let ground = Arc::new(Shared::new(bot.chat.clone(), self.settings.identify_per_day));
        let ears = Arc::new(Ears::new(bot.clone()));
        let gateway = Gateway::start(&options, ground, ears.clone())?;
        redraw_stale(&bot).await?;
        let mut looks = JoinSet::new();
        looks.spawn(keep_looking(bot.clone()));
        let (stop, stopped) = watch::channel(false);
        let log = (stop, tokio::spawn(case_log::keep(bot.clone(), stopped)));
        Ok(Discord { bot, gateway, ears, log, _looks: looks })
    }
}

/// Scenes that changed and whose channel was not brought in line before the last
/// process ended.
async fn redraw_stale(bot: &Bot) -> Result<(), StoreError> {
    let store = bot.chat.store();
    let mut after: Option<SceneId> = None;
    loop {
        let page = store.list_stale_scenes(PLATFORM, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.scene);
        for scene in &page {
            store.insert_job(scene.guild, scene.scene, None, &crate::store::Work::Show).await?;
        }
    }
}

/// A bot that listens.
pub struct Discord {
    bot: Arc<Bot>,
    gateway: Gateway,
    ears: Arc<Ears>,
    /// Ends with this.
    _looks: JoinSet<()>,
    /// Who keeps the guilds' logs, and how to stop that.
    log: (watch::Sender<bool>, JoinHandle<()>),
}

impl Discord {
    /// Comes back when the bot can listen no more, with the reason.
    pub async fn ended(&self) -> DiscordError {
        tokio::select! {
            fatal = self.gateway.failed() => fatal.into(),
            error = self.bot.api.closed() => error.into(),
        }
    }

    /// Hears nothing more. Replies that are being made go on; see [`Farewell::end`].
    pub async fn deafen(self) -> Farewell {
        self.gateway.stop().await;
        self.ears.stop().await;
        let (stop, log) = self.log;
        stop.send_replace(true);
        if let Err(error) = log.await {
            tracing::error!(%error, "the log broke down");
        }
        Farewell(self.bot)
    }
}

/// A bot that no longer listens.
pub struct Farewell(Arc<Bot>);

impl Farewell {
    /// Waits until what is under way to Discord has arrived, at most so long.
    pub async fn end(self, within: Duration) {
        if !self.0.api.close(within).await {
            tracing::warn!("discord.close.in_flight");
        }
    }
}
