//! Reading what was missed while nobody listened.
//!
//! A session that begins knows nothing of what was said before it. Discord tells of
//! every guild, and with it which message is the newest of each open channel; where
//! a scene's cursor stands behind that, and only there, the messages in between are
//! read and go in like any others. Until then the guild's newer messages wait.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serenity::model::id::{ChannelId, GuildId, MessageId};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::api::{ApiError, Channel};
use super::bot::{Bot, PLATFORM};
use super::comings;
use super::gateway::{GuildSeen, Ready};
use super::intake::{Behind, Intake};
use crate::domain::SceneId;
use crate::store::{LiveScene, StoreError};

/// How many guilds are caught up with at once.
const MAX_GUILDS: usize = 4;
/// How many scenes are looked at in one query.
const PAGE: u32 = 500;
/// The most messages that Discord gives at once.
const MESSAGES: u8 = 100;
/// The most that is read of one channel: five thousand messages.
const MAX_PAGES: u32 = 50;
/// How far before the cursor edits and deletions are looked for.
const CHANGED_WITHIN: Duration = Duration::from_secs(15 * 60);
/// The most turns of people that may have been deleted.
const RECENT_TURNS: u32 = 50;
/// Threads that nobody wrote in for longer than that are not asked for: an archived
/// one is looked at when somebody opens it again.
const ASKED_WITHIN: Duration = Duration::from_secs(3 * 24 * 3_600);
/// The most archived threads of a guild that are asked for.
const MAX_ARCHIVED: usize = 50;
/// How long a guild's messages wait for Discord to answer.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long after a failure it is tried again at first, and at most.
const TRY_AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];

/// Catches up with guilds.
pub(super) struct CatchUp {
    shared: Arc<Shared>,
    /// Guilds of which Discord has not told yet in this session.
    awaited: Mutex<HashMap<GuildId, Behind>>,
    tasks: Mutex<JoinSet<()>>,
}

struct Shared {
    bot: Arc<Bot>,
    intake: Arc<Intake>,
    room: Semaphore,
    stop: watch::Sender<bool>,
}

/// Why something was not read.
#[derive(Debug, thiserror::Error)]
enum Missed {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Missed {
    fn is_transient(&self) -> bool {
        match self {
            Self::Api(error) => error.is_retryable(),
            Self::Store(error) => error.is_transient(),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Api(error) => error.kind(),
            Self::Store(error) => error.kind(),
        }
    }
}

/// What was read of a guild.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Read {
    channels: usize,
    messages: usize,
}

impl CatchUp {
    pub(super) fn new(bot: Arc<Bot>, intake: Arc<Intake>) -> Self {
        let room = Semaphore::new(MAX_GUILDS);
        let shared = Arc::new(Shared { bot, intake, room, stop: watch::Sender::new(false) });
        Self { shared, awaited: Mutex::default(), tasks: Mutex::default() }
    }

    /// A session begins: its guilds' messages wait until each is caught up with.
    pub(super) fn ready(&self, ready: &Ready) {
        let mut awaited = self.awaited.lock().expect("no holder panics");
        for guild in ready.guilds() {
            let behind = self.shared.intake.hold_back(guild);
            if let Some(earlier) = awaited.insert(guild, behind) {
                earlier.release();
            }
        }
    }

    /// Discord tells of a guild, and of what is newest in its channels.
    pub(super) fn guild(&self, guild: GuildSeen) {
        let awaited = self.awaited.lock().expect("no holder panics").remove(&guild.id);
        let behind = awaited.unwrap_or_else(|| self.shared.intake.hold_back(guild.id));
        let shared = self.shared.clone();
        self.spawn(async move {
            shared.until_done(guild.id, shared.catch_up(&guild)).await;
            behind.release();
        });
    }

    /// Discord tells of threads that can be seen from now on, or that were opened
    /// again.
    pub(super) async fn threads(&self, guild: GuildId, threads: Vec<Channel>) {
        let mut open = Vec::new();
        for thread in threads.into_iter().filter(|thread| !thread.is_archived()) {
            if !matches!(self.shared.bot.place(guild, thread.id).await, Ok(None)) {
                open.push(thread);
            }
        }
        if open.is_empty() {
            return;
        }
        let behind = self.shared.intake.hold_back(guild);
        let shared = self.shared.clone();
        self.spawn(async move {
            shared.until_done(guild, shared.catch_up_threads(guild, &open)).await;
            behind.release();
        });
    }

    /// Ends; what was not read is read by the next start.
    pub(super) async fn stop(&self) {
        self.shared.stop.send_replace(true);
        // Guilds that were not caught up with stay held back: nothing of theirs goes
        // in before what they missed.
        let mut tasks = std::mem::take(&mut *self.tasks.lock().expect("no holder panics"));
        tasks.abort_all();
        while tasks.join_next().await.is_some() {}
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().expect("no holder panics");
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }
}

impl Shared {
    async fn until_done(&self, guild: GuildId, work: impl Future<Output = Result<Read, Missed>>) {
        let Ok(_room) = self.room.acquire().await else { return };
        match work.await {
            Ok(Read { messages: 0, .. }) => {}
            Ok(Read { channels, messages }) => {
                tracing::info!(
                    guild.discord = guild.get(),
                    channels,
                    messages,
                    "discord.caught_up"
                );
            }
            Err(error) => tracing::error!(
                guild.discord = guild.get(), error.kind = error.kind(), %error,
                "discord.missed: what was said while nobody listened is not read"
            ),
        }
    }

    async fn catch_up(&self, guild: &GuildSeen) -> Result<Read, Missed> {
        self.persist(|| comings::guild_seen(&self.bot, guild.id, &guild.name)).await?;
        let scenes = self.scenes(guild.id).await?;
        if scenes.is_empty() {
            return Ok(Read::default());
        }
        let mut newest = newest(&guild.channels);
        match &guild.threads {
            Some(threads) => newest.extend(self::newest(threads)),
            None => {
                let threads = self.persist(|| self.bot.api.active_threads(guild.id)).await?;
                newest.extend(self::newest(&threads));
            }
        }
        let mut read = Read::default();
        let mut num_asked = 0;
        for scene in &scenes {
            let Some(channel) = channel_of(scene) else { continue };
            let last = match newest.get(&channel) {
                Some(last) => *last,
                // Archived, hidden or gone.
                None if num_asked < MAX_ARCHIVED && is_recent(scene, self.bot.chat.now()) => {
                    num_asked += 1;
                    self.ask_newest(scene, channel).await?
                }
                None => None,
            };
            self.catch_up_scene(guild.id, scene, channel, last, &mut read).await?;
        }
        Ok(read)
    }

    async fn catch_up_threads(&self, guild: GuildId, threads: &[Channel]) -> Result<Read, Missed> {
        let newest = newest(threads);
        let mut read = Read::default();
        for scene in self.scenes(guild).await? {
            let Some(channel) = channel_of(&scene) else { continue };
            if let Some(last) = newest.get(&channel) {
                self.catch_up_scene(guild, &scene, channel, *last, &mut read).await?;
            }
        }
        Ok(read)
    }

    /// Every scene of a guild that is not over.
    async fn scenes(&self, guild: GuildId) -> Result<Vec<LiveScene>, Missed> {
        let guilds = [guild.to_string()];
        let mut scenes: Vec<LiveScene> = Vec::new();
        loop {
            let after: Option<SceneId> = scenes.last().map(|scene| scene.scene);
            let store = self.bot.chat.store();
            let page =
                self.persist(|| store.list_live_scenes(PLATFORM, Some(&guilds), after, PAGE));
            let page = page.await?;
            let is_last = page.len() < PAGE as usize;
            scenes.extend(page);
            if is_last {
                return Ok(scenes);
            }
        }
    }

    /// The newest message of a channel of which Discord did not tell.
    async fn ask_newest(
        &self,
        scene: &LiveScene,
        channel: ChannelId,
    ) -> Result<Option<MessageId>, Missed> {
        match self.persist(|| self.bot.api.channel(channel)).await {
            Ok(found) => Ok(found.last_message_id),
            Err(Missed::Api(ApiError::NotFound { .. })) => {
                comings::close_down(&self.bot, scene.guild, scene.scene, channel).await;
                Ok(None)
            }
            Err(Missed::Api(ApiError::Forbidden { .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn catch_up_scene(
        &self,
        guild: GuildId,
        scene: &LiveScene,
        channel: ChannelId,
        last: Option<MessageId>,
        read: &mut Read,
    ) -> Result<(), Missed> {
        let Some(last) = last else { return Ok(()) };
        let Some(cursor) = self.cursor(scene, channel).await? else { return Ok(()) };
        if last <= cursor {
            return Ok(());
        }
        match self.read(guild, scene, channel, cursor).await {
            Ok(messages) => {
                read.channels += 1;
                read.messages += messages;
                Ok(())
            }
            // One channel that we may not read any more says nothing of the others.
            Err(Missed::Api(error @ (ApiError::NotFound { .. } | ApiError::Forbidden { .. }))) => {
                tracing::warn!(
                    channel.discord = channel.get(),
                    error.kind = error.kind(),
                    "discord.missed"
                );
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Up to which message a scene's channel was read. Where nobody said anything
    /// yet, its first message begins it: a thread's own, or our greeting.
    async fn cursor(
        &self,
        scene: &LiveScene,
        channel: ChannelId,
    ) -> Result<Option<MessageId>, Missed> {
        if let Some(seen) = scene.last_seen.and_then(|seen| u64::try_from(seen).ok()) {
            return Ok((seen != 0).then(|| MessageId::new(seen)));
        }
        let store = self.bot.chat.store();
        let posts = self.persist(|| store.list_scene_outbox(scene.guild, scene.scene)).await?;
        let ids = posts.iter().filter_map(|post| post.external_id.as_deref()?.parse().ok());
        let first = ids.filter(|&id: &u64| id != 0).min();
        Ok(first.map(MessageId::new).or_else(|| {
            tracing::debug!(channel.discord = channel.get(), "discord.catch_up.no_beginning");
            None
        }))
    }

    /// Reads what stands after the cursor, and looks for edits and deletions a little
    /// before it. Gives the number of messages after it.
    async fn read(
        &self,
        guild: GuildId,
        scene: &LiveScene,
        channel: ChannelId,
        cursor: MessageId,
    ) -> Result<usize, Missed> {
        let (mut after, mut count) = (before(cursor, CHANGED_WITHIN), 0);
        for number in 0..MAX_PAGES {
            let page =
                self.persist(|| self.bot.api.messages_after(channel, after, MESSAGES)).await?;
            let is_last = page.len() < usize::from(MESSAGES);
            let last = page.last().map_or(after, |message| message.id);
            if number == 0 {
                let seen = after..=if is_last { cursor } else { cursor.min(last) };
                let present: HashSet<MessageId> = page.iter().map(|message| message.id).collect();
                let gone = self.gone(scene, channel, &seen, &present).await?;
                self.intake.deleted(guild, channel, gone).await;
            }
            // Nothing new on the first page: what was missed begins at the cursor.
            after = last.max(cursor);
            for message in page {
                count += usize::from(message.id > cursor);
                self.intake.missed(guild, message, cursor).await;
            }
            if is_last {
                return Ok(count);
            }
        }
        tracing::warn!(channel.discord = channel.get(), count, "discord.catch_up.too_much");
        Ok(count)
    }

    /// Messages of turns that should be among those that were read, and are not there
    /// any more.
    async fn gone(
        &self,
        scene: &LiveScene,
        channel: ChannelId,
        seen: &RangeInclusive<MessageId>,
        present: &HashSet<MessageId>,
    ) -> Result<Vec<MessageId>, Missed> {
        let LiveScene { guild, scene: id, .. } = *scene;
        let store = self.bot.chat.store();
        let said = self.persist(|| store.list_recent_inbound(guild, id, RECENT_TURNS)).await?;
        let posts = self.persist(|| store.list_scene_outbox(guild, id)).await?;
        let shown = posts.into_iter().filter(|post| post.turn.is_some());
        let known = said.into_iter().chain(shown.filter_map(|post| post.external_id));
        let ids = known.filter_map(|id| id.parse().ok()).filter(|&id: &u64| id != 0);
        let missing = ids
            .map(MessageId::new)
            .filter(|id| id > seen.start() && seen.contains(id) && !present.contains(id));
        let mut gone = Vec::new();
        for message in missing {
            // It could also have been unreadable.
            match self.persist(|| self.bot.api.message(channel, message)).await {
                Ok(_) => {}
                Err(Missed::Api(ApiError::NotFound { .. })) => gone.push(message),
                Err(error) => return Err(error),
            }
        }
        Ok(gone)
    }

    /// Asks until there is an answer, or patience ends.
    async fn persist<T, E, F>(&self, ask: impl Fn() -> F) -> Result<T, Missed>
    where
        F: Future<Output = Result<T, E>>,
        Missed: From<E>,
    {
        let began = Instant::now();
        let [mut wait, longest] = TRY_AGAIN;
        loop {
            let error = match ask().await {
                Ok(answer) => return Ok(answer),
                Err(error) => Missed::from(error),
            };
            if !error.is_transient() || began.elapsed() > PATIENCE || *self.stop.borrow() {
                return Err(error);
            }
            tracing::debug!(error.kind = error.kind(), %error, "discord.catch_up.again");
            sleep(wait).await;
            wait = (wait * 2).min(longest);
        }
    }
}

fn newest(channels: &[Channel]) -> HashMap<ChannelId, Option<MessageId>> {
    channels.iter().map(|channel| (channel.id, channel.last_message_id)).collect()
}

fn channel_of(scene: &LiveScene) -> Option<ChannelId> {
    let id: u64 = scene.channel.parse().ok()?;
    (id != 0).then(|| ChannelId::new(id))
}

/// The first id of a message that was written so long before another.
fn before(message: MessageId, span: Duration) -> MessageId {
    // The milliseconds are above the 22 lowest bits.
    let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX >> 22) << 22;
    MessageId::new(message.get().saturating_sub(span).max(1))
}

/// Whether somebody wrote in a scene not long ago, by the ids of messages.
fn is_recent(scene: &LiveScene, now: DateTime<Utc>) -> bool {
    /// The first second of 2015, from which Discord counts.
    const EPOCH_MS: i64 = 1_420_070_400_000;
    let Some(seen) = scene.last_seen else { return false };
    let age = now.timestamp_millis() - (seen >> 22) - EPOCH_MS;
    u64::try_from(age).is_ok_and(|age| Duration::from_millis(age) <= ASKED_WITHIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_little_before_a_message_is_by_its_time() {
        let message = MessageId::new((1_000_000 << 22) + 77);
        assert_eq!(before(message, Duration::from_secs(900)).get() >> 22, 100_000);
        assert_eq!(before(MessageId::new(5), Duration::from_secs(900)), MessageId::new(1));
    }
}
