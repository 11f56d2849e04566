//! Posting once, whatever happens in between.
//!
//! Every message of ours has a row in the outbox before it is sent. A row whose
//! sending began and whose end nobody saw is looked for in the channel before it
//! is sent again: by its marker (a button that holds the row's key), by its nonce,
//! or, for the middle of a long text, by its words. So a crash, a cut connection or
//! a second process neither loses a message nor doubles it.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serenity::model::id::{ChannelId, MessageId};

use super::api::{ApiError, Mentions, Message, Payload, Row, Speaker, Webhook};
use super::bot::{Bot, Venue};
use super::controls::{self, Standing};
use super::custom_id;
use super::locale::Locale;
use crate::chat::SinkError;
use crate::domain::{GuildId, JobId, SceneId};
use crate::store::{NewPost, OutboxMessage, OutboxState, PostOwner, PostRoute, StoreError};

/// How long after a sending whose end nobody saw the channel is believed when it
/// does not show the message.
const SETTLED_AFTER: Duration = Duration::from_secs(2);
/// How long Discord surely knows a nonce ("the past few minutes").
const NONCE_KNOWN_FOR: Duration = Duration::from_secs(120);
/// How far the clocks of Discord, the database and this machine may disagree.
const CLOCKS_DIFFER_BY: Duration = Duration::from_secs(60);
/// How many pages of a channel are read for a message in doubt.
const MAX_PAGES: usize = 10;
const PAGE: u8 = 100;
/// How often one message is tried within one call.
const MAX_TRIES: u32 = 4;
/// Where Discord's ids begin to count, in milliseconds of Unix time
/// (<https://discord.com/developers/docs/reference#snowflakes>).
const DISCORD_EPOCH_MS: u64 = 1_420_070_400_000;

/// What one message shows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    pub(super) content: String,
    /// Its buttons, made for the key of its outbox row.
    pub(super) buttons: Buttons,
}

/// The buttons of a message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Buttons {
    None,
    /// Of a reply that is being written.
    Writing(JobId),
    /// Of the latest reply; its outbox row is filled in.
    Latest(Standing),
}

impl Buttons {
    fn rows(self, outbox: i64, locale: Locale) -> Vec<Row> {
        controls::rows(match self {
            Self::None => Vec::new(),
            Self::Writing(job) => controls::stop_rows(outbox, job, locale),
            Self::Latest(standing) => {
                controls::reply_rows(&Standing { outbox, ..standing }, locale)
            }
        })
    }
}

/// A message of ours, and what it shows as far as this process knows.
#[derive(Debug, Clone)]
pub(super) struct Post {
    pub(super) row: OutboxMessage,
    pub(super) shown: Option<Part>,
}

impl From<OutboxMessage> for Post {
    fn from(row: OutboxMessage) -> Self {
        Self { row, shown: None }
    }
}

/// What becomes of messages that a shorter text no longer needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Surplus {
    /// They stay: the text still grows.
    Keep,
    Remove,
}

/// A message could not be posted.
#[derive(Debug, thiserror::Error)]
pub(super) enum PostError {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The scene's channel is no Discord id.
    #[error("the scene is not played on Discord")]
    NoChannel,
}

impl PostError {
    /// Whether a later try may succeed.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Api(error) => error.is_retryable(),
            Self::Store(error) => error.is_transient(),
            Self::NoChannel => false,
        }
    }
}

impl From<PostError> for SinkError {
    fn from(error: PostError) -> Self {
        Self { retry: error.is_transient(), reason: error.to_string() }
    }
}

/// Posts in one scene.
pub(super) struct Poster {
    pub(super) bot: Arc<Bot>,
    guild: GuildId,
    scene: SceneId,
    venue: Venue,
    locale: Locale,
}

impl Poster {
    /// For a scene that is played in `channel`.
    pub(super) async fn new(
        bot: Arc<Bot>,
        guild: GuildId,
        scene: SceneId,
        channel: &str,
    ) -> Result<Self, PostError> {
        let channel: u64 = channel.parse().map_err(|_| PostError::NoChannel)?;
        if channel == 0 {
            return Err(PostError::NoChannel);
        }
        let venue = bot.venue(ChannelId::new(channel)).await?;
        let locale = bot.locale(guild).await?;
        Ok(Self { bot, guild, scene, venue, locale })
    }

    /// Makes the messages of one text be there, each once and in order: `posts` are
    /// those that belong to it already. Gives those of `parts` as they stand
    /// afterwards, and what was kept behind them.
    pub(super) async fn settle(
        &self,
        owner: PostOwner,
        speaker: &Speaker,
        posts: Vec<Post>,
        parts: &[Part],
        surplus: Surplus,
    ) -> Result<Vec<Post>, PostError> {
        let mut posts = posts.into_iter();
        let mut settled = Vec::with_capacity(parts.len());
        for (number, part) in (0..).zip(parts) {
            let post = match posts.next() {
                Some(post) => post,
                None => self.reserve(owner, number).await?,
            };
            settled.push(self.put(owner, speaker, post, part).await?);
        }
        match surplus {
            Surplus::Keep => settled.extend(posts),
            Surplus::Remove => {
                for post in posts {
                    self.remove(&post.row).await?;
                }
            }
        }
        Ok(settled)
    }

    /// Takes a message of ours away.
    pub(super) async fn remove(&self, row: &OutboxMessage) -> Result<(), PostError> {
        let mut row = row.clone();
        if row.state == OutboxState::Sending && !self.look_for(&mut row, None).await? {
            return self.forget(&row).await;
        }
        // First the row, so that the deletion is known as ours when it comes back.
        self.forget(&row).await?;
        let Some(message) = message_id(&row) else { return Ok(()) };
        let deleted = match self.webhook_of(&row).await? {
            Some(webhook) => {
                let thread = self.venue.thread();
                self.bot.api.delete_webhook_message(&webhook, thread, message).await
            }
            None => self.bot.api.delete_message(self.venue.channel, message).await,
        };
        match deleted {
            // A webhook that is gone leaves messages that only moderators may delete.
            Err(ApiError::NotFound { .. } | ApiError::Forbidden { .. }) => Ok(()),
            deleted => Ok(deleted?),
        }
    }

    /// Takes the buttons off a message.
    pub(super) async fn strip(&self, row: &OutboxMessage) -> Result<(), PostError> {
        if let Some(message) = message_id(row) {
            let edited = self.edit(row, message, &Payload::without_rows()).await;
            match edited {
                Ok(()) | Err(ApiError::NotFound { .. } | ApiError::Forbidden { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.bot.chat.store().set_outbox_shown(self.guild, row.id, row.swipe, false).await?)
    }

    async fn reserve(&self, owner: PostOwner, part: u32) -> Result<Post, PostError> {
        let route = match self.webhook().await? {
            Some(webhook) => PostRoute::Webhook(webhook.id.to_string()),
            None => PostRoute::Bot,
        };
        let new = NewPost { owner, part, channel: self.venue.channel.to_string(), route };
        Ok(self.bot.chat.store().reserve_outbox(self.guild, self.scene, &new).await?.into())
    }

    async fn forget(&self, row: &OutboxMessage) -> Result<(), PostError> {
        Ok(self.bot.chat.store().delete_outbox(self.guild, row.id).await?)
    }

    /// Makes one message be there and show `part`.
    async fn put(
        &self,
        owner: PostOwner,
        speaker: &Speaker,
        mut post: Post,
        part: &Part,
    ) -> Result<Post, PostError> {
        let store = self.bot.chat.store();
        let mut tries = 0;
        loop {
            // Discord gives back the earlier message for a nonce that it still knows.
            let repeats = post.row.state == OutboxState::Sending
                && post.row.route == PostRoute::Bot
                && post.row.sending_for.is_some_and(|age| age < NONCE_KNOWN_FOR);
            if post.row.state == OutboxState::Sending && !repeats {
                self.look_for(&mut post.row, Some(&part.content)).await?;
            }
            let rows = part.buttons.rows(post.row.id, self.locale);
            if post.row.state == OutboxState::Sent {
                if post.shown.as_ref() == Some(part) {
                    return Ok(post);
                }
                let message = message_id(&post.row).ok_or(PostError::NoChannel)?;
                let payload = self.payload(&post.row, speaker, part, rows)?;
                match self.edit(&post.row, message, &payload).await {
                    Ok(()) => {
                        post.shown = Some(part.clone());
                        return Ok(post);
                    }
                    // It is gone, or can be changed no more: another takes its place.
                    Err(ApiError::NotFound { .. }) => {
                        self.remove(&post.row).await?;
                        post = self.reserve(owner, post.row.part).await?;
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            let webhook = if repeats { None } else { self.route(&mut post.row).await? };
            let payload = self.payload(&post.row, speaker, part, rows)?;
            store.begin_outbox(self.guild, post.row.id).await?;
            let sent = match &webhook {
                Some(webhook) => {
                    let thread = self.venue.thread();
                    self.bot.api.execute_webhook(webhook, thread, speaker, &payload).await
                }
                None => {
                    let nonce = nonce(post.row.id);
                    self.bot.api.create_message(self.venue.channel, &payload, Some(&nonce)).await
                }
            };
            tries += 1;
            match sent {
                Ok(message) => {
                    let id = message.id.to_string();
                    store.finish_outbox(self.guild, post.row.id, &id).await?;
                    post.row.state = OutboxState::Sent;
                    post.row.external_id = Some(id);
                    // The earlier message says what it said then.
                    post.shown = (!repeats).then(|| part.clone());
                }
                Err(error) if tries >= MAX_TRIES => return Err(error.into()),
                Err(error) if error.may_have_been_applied() => {
                    post.row.state = OutboxState::Sending;
                    post.row.sending_for = Some(Duration::ZERO);
                }
                Err(error) => {
                    post.row.state = OutboxState::Waiting;
                    self.mend(error, webhook.as_ref()).await?;
                }
            }
        }
    }

    /// Does what makes another try worthwhile, or gives the error back.
    async fn mend(&self, error: ApiError, webhook: Option<&Webhook>) -> Result<(), PostError> {
        match (error, webhook) {
            (ApiError::NotFound { .. }, Some(_)) => {
                self.bot.webhooks.heal(&self.bot.api, self.venue.stage).await;
                Ok(())
            }
            // A locked thread is closed to every way of speaking.
            (error, _) if error.is_locked() => Err(error.into()),
            (ApiError::Forbidden { .. }, Some(_)) => {
                self.bot.webhooks.refuse(self.venue.stage);
                Ok(())
            }
            (ApiError::Archived, _) => Ok(self.bot.api.unarchive(self.venue.channel).await?),
            (error, _) => Err(error.into()),
        }
    }

    /// The webhook of this place; `None` where we speak as ourselves.
    async fn webhook(&self) -> Result<Option<Webhook>, ApiError> {
        self.bot.webhooks.for_channel(&self.bot.api, self.venue.stage).await
    }

    /// The webhook that a message was posted by; `None` for one of our own, or
    /// where that webhook is gone.
    async fn webhook_of(&self, row: &OutboxMessage) -> Result<Option<Webhook>, ApiError> {
        let PostRoute::Webhook(id) = &row.route else { return Ok(None) };
        Ok(self.webhook().await?.filter(|webhook| webhook.id.to_string() == *id))
    }

    /// Decides by which way a message that was not sent yet goes.
    async fn route(&self, row: &mut OutboxMessage) -> Result<Option<Webhook>, PostError> {
        let webhook = self.webhook().await?;
        let route = match &webhook {
            Some(webhook) => PostRoute::Webhook(webhook.id.to_string()),
            None => PostRoute::Bot,
        };
        if route != row.route {
            self.bot.chat.store().set_outbox_route(self.guild, row.id, &route).await?;
            row.route = route;
        }
        Ok(webhook)
    }

    async fn edit(
        &self,
        row: &OutboxMessage,
        message: MessageId,
        payload: &Payload,
    ) -> Result<(), ApiError> {
        let channel = self.venue.channel;
        let edit = || async {
            match &row.route {
                PostRoute::Bot => self.bot.api.edit_message(channel, message, payload).await,
                PostRoute::Webhook(_) => match self.webhook_of(row).await {
                    Ok(Some(webhook)) => {
                        let thread = self.venue.thread();
                        let api = &self.bot.api;
                        api.edit_webhook_message(&webhook, thread, message, payload).await
                    }
                    Ok(None) => Err(ApiError::unknown_webhook()),
                    Err(error) => Err(error),
                },
            }
        };
        match edit().await {
            Err(ApiError::Archived) => {
                self.bot.api.unarchive(channel).await?;
                edit().await?;
            }
            edited => {
                edited?;
            }
        }
        Ok(())
    }

    /// What a message says: a character that speaks as the bot is named in the
    /// first line.
    fn payload(
        &self,
        row: &OutboxMessage,
        speaker: &Speaker,
        part: &Part,
        rows: Vec<Row>,
    ) -> Result<Payload, PostError> {
        let content = match row.route {
            PostRoute::Bot if row.part == 0 => format!("**{}**\n{}", speaker.name, part.content),
            _ => part.content.clone(),
        };
        Ok(Payload::new(content, Mentions::NONE)?.with_rows(rows).without_embeds())
    }

    /// Looks in the channel for a message in doubt. Where it is there its row is
    /// finished; says whether it is. `content` helps to know a message without a
    /// marker.
    async fn look_for(
        &self,
        row: &mut OutboxMessage,
        content: Option<&str>,
    ) -> Result<bool, PostError> {
        let age = row.sending_for.unwrap_or_default();
        if age < SETTLED_AFTER {
            tokio::time::sleep(SETTLED_AFTER - age).await;
        }
        let mut after = message_before(self.bot.chat.now(), age + SETTLED_AFTER + CLOCKS_DIFFER_BY);
        for _ in 0..MAX_PAGES {
            let page = self.bot.api.messages_after(self.venue.channel, after, PAGE).await?;
            for message in &page {
                if self.is_that(message, row, content).await? {
                    let id = message.id.to_string();
                    self.bot.chat.store().finish_outbox(self.guild, row.id, &id).await?;
                    row.state = OutboxState::Sent;
                    row.external_id = Some(id);
                    return Ok(true);
                }
            }
            match page.iter().map(|message| message.id).max() {
                Some(newest) if page.len() == usize::from(PAGE) => after = newest,
                _ => break,
            }
        }
        row.state = OutboxState::Waiting;
        Ok(false)
    }

    /// Whether a message is the one that a row stands for.
    async fn is_that(
        &self,
        message: &Message,
        row: &OutboxMessage,
        content: Option<&str>,
    ) -> Result<bool, PostError> {
        let mut marks = message.custom_ids.iter().filter_map(|id| custom_id::outbox_of(id));
        if marks.any(|mark| mark == row.id)
            || message.nonce.as_deref() == Some(nonce(row.id).as_str())
        {
            return Ok(true);
        }
        let ours = match &row.route {
            PostRoute::Bot => message.author.id == self.bot.application.user,
            PostRoute::Webhook(id) => message.webhook_id.is_some_and(|of| of.to_string() == *id),
        };
        let same = content.is_some_and(|content| message.content.ends_with(content));
        if !ours || !same || !message.custom_ids.is_empty() {
            return Ok(false);
        }
        let id = message.id.to_string();
        Ok(self.bot.chat.store().get_outbox_by_message(self.guild, &id).await?.is_none())
    }
}

fn message_id(row: &OutboxMessage) -> Option<MessageId> {
    let id: u64 = row.external_id.as_deref()?.parse().ok()?;
    (id != 0).then(|| MessageId::new(id))
}

/// An id older than every message of the last `age`.
fn message_before(now: DateTime<Utc>, age: Duration) -> MessageId {
    let now_ms = u64::try_from(now.timestamp_millis()).unwrap_or_default();
    let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    let ms = now_ms.saturating_sub(age_ms).saturating_sub(DISCORD_EPOCH_MS);
    MessageId::new((ms << 22).max(1))
}

/// What Discord knows a bot message by for some minutes.
fn nonce(row: i64) -> String {
    format!("d{row:x}")
}
