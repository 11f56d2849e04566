//! Marks on people's messages: that one waits for its answer, that one gets none now.
//!
//! One task puts them there and takes them away: one request at a time in a channel, a
//! few at once over all, so that a flood of messages becomes no flood of tasks, and a
//! slow channel keeps no other waiting. Whatever of it fails, nothing else does. A stop
//! takes those away that say that something waits: nobody would later.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serenity::model::id::{ChannelId, MessageId};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::api::{ApiError, Mentions, Payload};
use super::bot::Bot;
use super::call::sentence;
use crate::chat::unanswered;
use crate::store::{Full, JobKey, WaitingJob};
use crate::telemetry::metrics;

/// On a message whose reply nobody has begun.
const WAITS: &str = "⏳";
/// On a message that nobody answers, since too many wait.
const UNANSWERED: &str = "🚦";
/// How long a message waits before it is marked.
const MARKED_AFTER: Duration = Duration::from_secs(3);
/// How often it is looked who still waits.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often a channel is told in words that too many wait.
const TOLD_EVERY: Duration = Duration::from_secs(60);
/// The most messages that are watched, and the most that wait to be told.
const MAX_WATCHED: usize = 1_024;
/// The most requests under way.
const MAX_AT_ONCE: usize = 16;
/// How long after it was due a mark is still worth putting there.
const PUT_WITHIN: Duration = Duration::from_secs(10);
/// How long taking one away may take.
const TAKE_WITHIN: Duration = Duration::from_secs(60);
/// How long a stop waits for them.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);

/// Where a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) channel: ChannelId,
    pub(super) message: MessageId,
}

/// What the task is told.
enum News {
    Waits(Spot, JobKey),
    Refused(Spot, Full),
}

/// The task's door.
pub(super) struct Marks {
    news: Mutex<Option<mpsc::Sender<News>>>,
    task: Mutex<Option<JoinHandle<()>>>,
    bot: Arc<Bot>,
}

impl Marks {
    pub(super) fn new(bot: Arc<Bot>) -> Self {
        let (news, heard) = mpsc::channel(MAX_WATCHED);
        let task = tokio::spawn(Marker::new(bot.clone()).run(heard));
        Self { news: Mutex::new(Some(news)), task: Mutex::new(Some(task)), bot }
    }

    /// A message will be answered by a job.
    pub(super) fn waits(&self, spot: Spot, job: JobKey) {
        // Who is not watched gets no mark.
        let _ = self.tell(News::Waits(spot, job));
    }

    /// A message will not be answered: its person is told.
    pub(super) fn refused(&self, spot: Spot, full: Full) {
        if self.tell(News::Refused(spot, full)).is_none() {
            self.bot.chat.metrics().count(metrics::DISCORD_MESSAGES, "untold", 1);
            tracing::warn!("discord.refusal.untold");
        }
    }

    fn tell(&self, news: News) -> Option<()> {
        let sender = self.news.lock().expect("no holder panics");
        sender.as_ref()?.try_send(news).ok()
    }

    /// Takes away what says that something waits.
    pub(super) async fn stop(&self) {
        drop(self.news.lock().expect("no holder panics").take());
        let task = self.task.lock().expect("no holder panics").take();
        let Some(task) = task else { return };
        if let Err(error) = task.await {
            tracing::error!(%error, "the marks broke down");
        }
    }
}

/// What is done with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Deed {
    /// It is marked as waiting.
    Put,
    /// It is so no more.
    Take,
    /// It is marked as unanswered.
    Refuse,
    /// Its channel is told.
    Tell(String),
}

/// Whether a message bears the mark that it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    None,
    Underway,
    There,
}

struct Watched {
    job: JobKey,
    due: Instant,
    mark: Mark,
}

type Todo = VecDeque<(Spot, Deed)>;
type Done = (Spot, Deed, Result<(), ApiError>);

/// The task.
struct Marker {
    bot: Arc<Bot>,
    watched: HashMap<MessageId, (Spot, Watched)>,
    refusals: Todo,
    others: Todo,
    doing: JoinSet<Done>,
    busy: HashSet<ChannelId>,
    told: HashMap<ChannelId, Instant>,
}

impl Marker {
    fn new(bot: Arc<Bot>) -> Self {
        Self {
            bot,
            watched: HashMap::new(),
            refusals: VecDeque::new(),
            others: VecDeque::new(),
            doing: JoinSet::new(),
            busy: HashSet::new(),
            told: HashMap::new(),
        }
    }

    async fn run(mut self, mut news: mpsc::Receiver<News>) {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.begin();
            tokio::select! {
                heard = news.recv() => match heard {
                    Some(News::Waits(spot, job)) => self.watch(spot, job),
                    Some(News::Refused(spot, full)) => self.refuse(spot, full),
                    None => break,
                },
                Some(done) = self.doing.join_next() => self.done(done),
                _ = look.tick(), if !self.watched.is_empty() => self.look().await,
            }
        }
        if timeout(LEAVE_WITHIN, self.leave()).await.is_err() {
            tracing::debug!("discord.marks.left");
        }
    }

    fn watch(&mut self, spot: Spot, job: JobKey) {
        if self.watched.len() < MAX_WATCHED {
            let watched = Watched { job, due: Instant::now() + MARKED_AFTER, mark: Mark::None };
            self.watched.insert(spot.message, (spot, watched));
        }
    }

    /// In words, where the channel was not told a moment ago.
    fn refuse(&mut self, spot: Spot, full: Full) {
        let now = Instant::now();
        self.told.retain(|_, at| now - *at < TOLD_EVERY);
        let deed = match self.told.entry(spot.channel) {
            Entry::Occupied(_) => Deed::Refuse,
            Entry::Vacant(untold) => {
                untold.insert(now);
                let words = sentence(&unanswered(full));
                let mark = format!("{UNANSWERED} on a message says the same.");
                Deed::Tell(format!("-# {UNANSWERED} {words} {mark}"))
            }
        };
        if self.refusals.len() < MAX_WATCHED {
            self.refusals.push_back((spot, deed));
        } else {
            self.bot.chat.metrics().count(metrics::DISCORD_MESSAGES, "untold", 1);
        }
    }

    /// Begins what may begin: refusals first, one thing in each channel.
    fn begin(&mut self) {
        while self.doing.len() < MAX_AT_ONCE {
            let next = next_of(&mut self.refusals, &self.busy);
            let Some((spot, deed)) = next.or_else(|| next_of(&mut self.others, &self.busy)) else {
                return;
            };
            self.busy.insert(spot.channel);
            self.doing.spawn(perform(self.bot.clone(), spot, deed));
        }
    }

    fn done(&mut self, done: Result<Done, JoinError>) {
        let (spot, deed, result) = match done {
            Ok(done) => done,
            Err(error) => {
                tracing::error!(%error, "a mark broke down");
                self.busy.clear();
                return;
            }
        };
        self.busy.remove(&spot.channel);
        if let Err(error) = &result {
            tracing::debug!(error.kind = error.kind(), "discord.mark.lost");
        }
        match deed {
            Deed::Put => {
                let is_there =
                    result.as_ref().map_or_else(ApiError::may_have_been_applied, |()| true);
                match self.watched.get_mut(&spot.message) {
                    Some((_, watched)) if is_there => watched.mark = Mark::There,
                    _ => drop(self.watched.remove(&spot.message)),
                }
            }
            Deed::Take => drop(self.watched.remove(&spot.message)),
            Deed::Tell(_) if result.is_err() => self.refusals.push_front((spot, Deed::Refuse)),
            Deed::Tell(_) | Deed::Refuse => {}
        }
    }

    /// Looks who of those that waited for a while still waits.
    async fn look(&mut self) {
        let now = Instant::now();
        let due = self.watched.values().filter(|(_, watched)| watched.due <= now);
        let jobs: HashSet<JobKey> = due.map(|(_, watched)| watched.job).collect();
        if jobs.is_empty() {
            return;
        }
        let jobs: Vec<JobKey> = jobs.into_iter().collect();
        let waiting = match self.bot.chat.store().list_waiting_jobs(&jobs).await {
            Ok(waiting) => waiting,
            Err(error) => {
                tracing::debug!(error.kind = error.kind(), "discord.marks.not_looked");
                return;
            }
        };
        let waiting: HashMap<JobKey, WaitingJob> =
            waiting.into_iter().map(|job| (job.key, job)).collect();
        let others = &mut self.others;
        self.watched.retain(|_, (spot, watched)| {
            if watched.due > now {
                return true;
            }
            match (watched.mark, waiting.get(&watched.job)) {
                (Mark::None, None) => return false,
                // A lane at another reply shows that something comes.
                (Mark::None, Some(job)) if !job.lane_is_busy => {
                    watched.mark = Mark::Underway;
                    others.push_back((*spot, Deed::Put));
                }
                (Mark::There, None) => {
                    watched.mark = Mark::Underway;
                    others.push_back((*spot, Deed::Take));
                }
                (Mark::None | Mark::Underway | Mark::There, _) => {}
            }
            true
        });
    }

    /// Tells who is still to be told, and takes away what nobody would later.
    async fn leave(&mut self) {
        self.others.retain(|(_, deed)| *deed == Deed::Take);
        loop {
            for (spot, watched) in self.watched.values_mut() {
                if watched.mark == Mark::There {
                    watched.mark = Mark::Underway;
                    self.others.push_back((*spot, Deed::Take));
                }
            }
            self.begin();
            match self.doing.join_next().await {
                Some(done) => self.done(done),
                None => return,
            }
        }
    }
}

/// Takes out the first deed in a channel where nothing is under way.
fn next_of(todo: &mut Todo, busy: &HashSet<ChannelId>) -> Option<(Spot, Deed)> {
    let free = todo.iter().position(|(spot, _)| !busy.contains(&spot.channel))?;
    todo.remove(free)
}

async fn perform(bot: Arc<Bot>, spot: Spot, deed: Deed) -> Done {
    let Spot { channel, message } = spot;
    let api = &bot.api;
    let within = if deed == Deed::Take { TAKE_WITHIN } else { PUT_WITHIN };
    let done = timeout(within, async {
        match &deed {
            Deed::Put => api.add_reaction(channel, message, WAITS).await,
            Deed::Take => api.remove_reaction(channel, message, WAITS).await,
            Deed::Refuse => api.add_reaction(channel, message, UNANSWERED).await,
            Deed::Tell(words) => {
                let payload = Payload::new(words.as_str(), Mentions::NONE)?.without_embeds();
                api.create_message(channel, &payload, None).await.map(drop)
            }
        }
    });
    // What is under way then goes on by itself.
    let late = || Err(ApiError::Ambiguous { reason: "it took too long".to_owned() });
    let result = done.await.unwrap_or_else(|_| late());
    (spot, deed, result)
}
