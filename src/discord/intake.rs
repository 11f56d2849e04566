//! Messages that come in: in order, once, and only those that are story.
//!
//! Each channel in which a scene is played has a worker of its own, for as long as
//! something waits there: what is heard is put before it at once, it puts it into
//! order ([`Waiting`]) and does it (`turns`). Whatever the database cannot take
//! yet is tried again until it can; what a stop leaves over is read again by the next
//! start, since a scene's cursor never passes what did not go in.

mod turns;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serenity::model::id::{ChannelId, GuildId, MessageId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::api::Message;
use super::bot::Bot;
use super::gateway::Edited;
use super::marks::Marks;
use super::pluralkit::PluralKit;
use super::proxies::{By, Holds, Said, Waiting, is_proxy};
use crate::telemetry::metrics;

/// The most that waits for the workers; beyond it less is heard.
const MAX_WAITING: usize = 8_192;
/// How often a worker looks whether it is still needed.
const IDLE_LOOK: Duration = Duration::from_secs(30);
/// How often a guild's webhooks are looked through for those of proxies.
const LOOK_EVERY: Duration = Duration::from_secs(300);
/// How often a channel is told that moderators look at something first.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// A message of a person: an ordinary one, or a reply.
const KINDS_OF_WORDS: [u8; 2] = [0, 19];

/// Where messages go.
pub(super) struct Intake {
    shared: Arc<Shared>,
    workers: Mutex<JoinSet<()>>,
    room: Arc<Semaphore>,
}

/// What all workers share.
struct Shared {
    bot: Arc<Bot>,
    marks: Marks,
    pluralkit: Option<PluralKit>,
    holds: Holds,
    channels: Mutex<HashMap<ChannelId, mpsc::UnboundedSender<Item>>>,
    /// Guilds in which a proxy was seen.
    with_proxies: Mutex<HashSet<GuildId>>,
    /// When channels were last told what a mark on a message means.
    told: Mutex<HashMap<(ChannelId, &'static str), Instant>>,
    /// When guilds were last looked through for one.
    looked: Mutex<HashMap<GuildId, Instant>>,
    /// Guilds whose missed messages are still being read; watchers are told when that
    /// changes. Nothing newer goes in before them.
    behind: watch::Sender<HashMap<GuildId, usize>>,
    stop: watch::Sender<bool>,
}

/// Something that happened in a channel, with its share of the room.
struct Item(News, Option<OwnedSemaphorePermit>);

enum News {
    Said(Said),
    Changed(MessageId, String),
    Deleted(MessageId),
}

/// A guild whose missed messages are being read. Until it is released nothing newer
/// goes in; one that is lost, in a stop, leaves all of it to the next start.
#[must_use]
pub(super) struct Behind {
    shared: Arc<Shared>,
    guild: GuildId,
}

impl Behind {
    /// What was missed is in, or was given up.
    pub(super) fn release(self) {
        self.shared.behind.send_modify(|behind| {
            if let Some(count) = behind.get_mut(&self.guild) {
                *count -= 1;
                if *count == 0 {
                    behind.remove(&self.guild);
                }
            }
        });
    }
}

impl Intake {
    pub(super) fn new(bot: Arc<Bot>) -> Self {
        let settings = &bot.settings;
        let holds = Holds { order: settings.order_hold(), proxy: settings.proxy_hold() };
        let shared = Shared {
            marks: Marks::new(bot.clone()),
            pluralkit: PluralKit::new(&settings.pluralkit_url),
            holds,
            channels: Mutex::default(),
            with_proxies: Mutex::default(),
            told: Mutex::default(),
            looked: Mutex::default(),
            behind: watch::Sender::new(HashMap::new()),
            stop: watch::Sender::new(false),
            bot,
        };
        let room = Arc::new(Semaphore::new(MAX_WAITING));
        Self { shared: Arc::new(shared), workers: Mutex::default(), room }
    }

    /// Somebody wrote, we ourselves among them.
    pub(super) async fn message(&self, guild: GuildId, message: Message) {
        let said = self.shared.sort(guild, &message);
        self.put(guild, message.channel_id, News::Said(said)).await;
    }

    /// Somebody changed a message.
    pub(super) async fn edited(&self, edited: Edited) {
        let Edited { id, guild, channel, content } = edited;
        self.put(guild, channel, News::Changed(id, content)).await;
    }

    /// Messages were deleted.
    pub(super) async fn deleted(
        &self,
        guild: GuildId,
        channel: ChannelId,
        messages: Vec<MessageId>,
    ) {
        for message in messages {
            self.put(guild, channel, News::Deleted(message)).await;
        }
    }

    /// A message that was missed, or was near one: up to the cursor it went in long
    /// ago, and only what it says may be new.
    pub(super) async fn missed(&self, guild: GuildId, message: Message, cursor: MessageId) {
        let said = self.shared.sort(guild, &message);
        let news = match said.id <= cursor {
            true if message.edited_timestamp.is_none() || said.by == By::Other => return,
            true => News::Changed(said.id, said.content),
            false => News::Said(said),
        };
        if !matches!(self.shared.bot.place(guild, message.channel_id).await, Ok(None)) {
            // They are as many as were asked for, and what is held back must not keep
            // them out.
            self.give(guild, message.channel_id, Item(news, None));
        }
    }

    /// Webhooks of a channel changed: a proxy's may be among them, from its first
    /// repost on.
    pub(super) async fn webhooks_changed(&self, guild: GuildId, channel: ChannelId) {
        let shared = &self.shared;
        if shared.has_proxies(guild) || !shared.may_look(guild) {
            return;
        }
        match shared.bot.api.channel_webhooks(channel).await {
            Ok(webhooks) => {
                if webhooks.iter().any(|webhook| is_proxy(webhook.application_id)) {
                    shared.with_proxies.lock().expect("no holder panics").insert(guild);
                }
            }
            // Then the first repost tells.
            Err(error) => tracing::debug!(error.kind = error.kind(), "discord.proxies.not_known"),
        }
    }

    /// Holds a guild's messages back until older ones, which were missed, are read.
    pub(super) fn hold_back(&self, guild: GuildId) -> Behind {
        self.shared.behind.send_modify(|behind| *behind.entry(guild).or_default() += 1);
        Behind { shared: self.shared.clone(), guild }
    }

    /// Lets in what is held, and waits for it. What still waits for a repost, or for
    /// the database, is left to the next start.
    pub(super) async fn stop(&self) {
        self.shared.stop.send_replace(true);
        let mut workers = std::mem::take(&mut *self.workers.lock().expect("no holder panics"));
        while let Some(ended) = workers.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a channel's worker broke down");
            }
        }
        self.shared.marks.stop().await;
    }

    async fn put(&self, guild: GuildId, channel: ChannelId, news: News) {
        // A database that does not answer is no reason to lose a message: the worker
        // asks again.
        if let Ok(None) = self.shared.bot.place(guild, channel).await {
            return;
        }
        let Ok(room) = self.room.clone().acquire_owned().await else { return };
        self.give(guild, channel, Item(news, Some(room)));
    }

    /// Puts something before a channel's worker.
    fn give(&self, guild: GuildId, channel: ChannelId, item: Item) {
        let mut channels = self.shared.channels.lock().expect("no holder panics");
        let worker = channels.entry(channel).or_insert_with(|| {
            let (worker, news) = mpsc::unbounded_channel();
            let mut workers = self.workers.lock().expect("no holder panics");
            while workers.try_join_next().is_some() {}
            workers.spawn(self.shared.clone().work(guild, channel, news));
            worker
        });
        // A worker leaves the list before it ends.
        let _ = worker.send(item);
    }
}

impl Shared {
    /// Whose words a message holds. Those of machines are no story, but are seen to
    /// have been said, so that nobody asks for them again.
    fn sort(&self, guild: GuildId, message: &Message) -> Said {
        let author = &message.author;
        let is_words = KINDS_OF_WORDS.contains(&message.kind);
        // The message that a forum post or a thread begins with belongs to its frame.
        let by = if !is_words || message.id.get() == message.channel_id.get() {
            By::Other
        } else if message.webhook_id.is_some() && is_proxy(message.application_id) {
            self.with_proxies.lock().expect("no holder panics").insert(guild);
            By::Proxy { name: author.username.clone(), owner: None }
        } else if message.webhook_id.is_some() || author.bot {
            By::Other
        } else {
            let names = [message.nick.as_ref(), author.global_name.as_ref()];
            let name = names.into_iter().flatten().find(|name| !name.trim().is_empty());
            By::Person { id: author.id, name: name.unwrap_or(&author.username).clone() }
        };
        let answers = message.reference.as_ref().filter(|reference| reference.kind == 0);
        let content = match by {
            By::Other => String::new(),
            _ => message.content.clone(),
        };
        let replies_to = answers.and_then(|reference| reference.message_id);
        Said { id: message.id, by, content, replies_to }
    }

    /// Whether a guild's webhooks may be looked through now: not for each of ours.
    fn may_look(&self, guild: GuildId) -> bool {
        let mut looked = self.looked.lock().expect("no holder panics");
        let now = Instant::now();
        looked.retain(|_, at| now - *at < LOOK_EVERY);
        looked.insert(guild, now).is_none()
    }

    /// Whether a channel may be told now what that mark means.
    fn may_tell(&self, channel: ChannelId, mark: &'static str) -> bool {
        let mut told = self.told.lock().expect("no holder panics");
        let now = Instant::now();
        told.retain(|_, at| now - *at < TELL_EVERY);
        match told.entry((channel, mark)) {
            Entry::Occupied(_) => false,
            Entry::Vacant(entry) => {
                entry.insert(now);
                true
            }
        }
    }

    fn has_proxies(&self, guild: GuildId) -> bool {
        self.with_proxies.lock().expect("no holder panics").contains(&guild)
    }

    /// Works on one channel until nothing waits there.
    async fn work(
        self: Arc<Self>,
        guild: GuildId,
        channel: ChannelId,
        mut news: mpsc::UnboundedReceiver<Item>,
    ) {
        let mut waiting = Waiting::new(self.holds);
        let mut behind = self.behind.subscribe();
        let mut stop = self.stop.subscribe();
        // What is held keeps its share of the room; what is known already needs none.
        let mut rooms = Vec::new();
        loop {
            let is_behind = behind.borrow_and_update().contains_key(&guild);
            let due = waiting.next_due().filter(|_| !is_behind);
            let goes_on = tokio::select! {
                biased;
                () = stopped(&mut stop) => {
                    return self.finish(guild, channel, waiting, news).await;
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    self.let_in(guild, channel, &mut waiting).await
                }
                _ = behind.changed(), if is_behind => true,
                item = news.recv() => match item {
                    Some(Item(news, room)) => {
                        rooms.push(room);
                        self.heed(guild, channel, &mut waiting, news).await
                    }
                    None => false,
                },
                () = tokio::time::sleep(IDLE_LOOK) => {
                    !waiting.is_idle(Instant::now()) || !self.leave(channel, &news)
                }
            };
            if !goes_on {
                return;
            }
            if waiting.next_due().is_none() {
                rooms.clear();
            }
        }
    }

    /// Lets in what may go in by now. Says whether all of it did.
    async fn let_in(&self, guild: GuildId, channel: ChannelId, waiting: &mut Waiting) -> bool {
        while let Some(step) = waiting.due(Instant::now()) {
            if !self.perform(guild, channel, step).await {
                return false;
            }
        }
        true
    }

    /// Takes one piece of news. Says whether it was done.
    async fn heed(
        &self,
        guild: GuildId,
        channel: ChannelId,
        waiting: &mut Waiting,
        news: News,
    ) -> bool {
        let now = Instant::now();
        let step = match news {
            News::Said(said) => {
                waiting.arrive(said, self.has_proxies(guild), now);
                None
            }
            News::Changed(id, content) => waiting.change(id, content),
            News::Deleted(id) => waiting.delete(id, now),
        };
        match step {
            Some(step) => self.perform(guild, channel, step).await,
            None => true,
        }
    }

    /// Ends a worker for which nothing is left; no while something was put before it.
    fn leave(&self, channel: ChannelId, news: &mpsc::UnboundedReceiver<Item>) -> bool {
        let mut channels = self.channels.lock().expect("no holder panics");
        if !news.is_empty() {
            return false;
        }
        channels.remove(&channel);
        true
    }

    /// The last work of a worker: what is here goes in, as far as it may.
    async fn finish(
        &self,
        guild: GuildId,
        channel: ChannelId,
        mut waiting: Waiting,
        mut news: mpsc::UnboundedReceiver<Item>,
    ) {
        while let Ok(Item(news, _)) = news.try_recv() {
            if !self.heed(guild, channel, &mut waiting, news).await {
                return;
            }
        }
        if !self.behind.borrow().contains_key(&guild) {
            waiting.hurry(Instant::now());
            self.let_in(guild, channel, &mut waiting).await;
        }
    }

    fn count(&self, outcome: &'static str) {
        self.bot.chat.metrics().count(metrics::DISCORD_MESSAGES, outcome, 1);
    }
}

/// Returns once everything is to stop.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // Whoever could have said so is gone: that says it too.
    let _ = stop.wait_for(|&stop| stop).await;
}
