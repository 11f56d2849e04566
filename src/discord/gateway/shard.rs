//! One shard: a connection that is kept, and a session that is carried from one
//! connection to the next.
//!
//! Events go on in the order in which they come. Where nobody takes them, nothing
//! more is read until somebody does; the heart beats on meanwhile.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serenity::model::id::GuildId;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::backoff::Backoff;
use super::close::{AfterClose, Fatal, after_close};
use super::event::{self, Heard, Ready, Unread};
use super::frame::{self, Incoming};
use super::health::{Health, ShardState};
use super::wire::{Connect, Received, Wire};
use super::{Ground, Leave, is_trusted};
use crate::telemetry::metrics;

/// How long the first word of a connection, and the answer to ours, may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How long the question for leave to begin a session may take.
const ASK_WITHIN: Duration = Duration::from_secs(10);
/// How long after a question that failed it is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// The longest sleep while there is no leave left for today: other processes may
/// give up theirs, operators may raise the budget.
const EXHAUSTED_NAP: Duration = Duration::from_secs(300);
/// A connection that held for so long was a good one.
const GOOD_AFTER: Duration = Duration::from_secs(30);
/// Discord takes 120 frames a minute; the rest is for what must be said.
const MAX_SENDS: usize = 110;
const MINUTE: Duration = Duration::from_secs(60);
/// After so many failures the address for resuming is given up for the main one.
const MAX_RESUME_URL_FAILURES: u32 = 2;

/// We close so as to come back: the session stays.
const CLOSE_TO_RESUME: u16 = 4000;
/// We close for good: the session ends.
const CLOSE_FOR_GOOD: u16 = 1000;

/// What a shard is made of.
pub(super) struct Parts<C, G> {
    pub(super) number: u32,
    pub(super) count: u32,
    pub(super) token: SecretString,
    /// The gateway's main address.
    pub(super) url: String,
    /// Whether an address without TLS may be used.
    pub(super) may_be_plain: bool,
    /// The bucket in which it begins its sessions.
    pub(super) bucket: u32,
    pub(super) connect: C,
    pub(super) ground: Arc<G>,
    pub(super) events: mpsc::Sender<Heard>,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) backoff: Backoff,
    pub(super) health: Arc<Health>,
}

/// One shard.
pub(super) struct Shard<C, G> {
    parts: Parts<C, G>,
    session: Option<Session>,
    /// The newest event that was handed on.
    seq: Option<u64>,
    guilds: HashSet<GuildId>,
    /// Events that were complained of already, by name.
    complained: HashSet<String>,
    sends: VecDeque<Instant>,
}

/// What Discord keeps for us between connections.
struct Session {
    id: String,
    resume_url: Option<String>,
}

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// We were asked to stop.
    Stopped,
    /// It can never work.
    Fatal(Fatal),
    /// The session goes on.
    Resume(&'static str),
    /// A new session is needed.
    Begin(&'static str),
    /// There is no leave for another session today.
    Exhausted(Duration),
}

/// What comes first.
enum Next {
    Stop,
    Beat,
    Identify,
    /// An answer did not come.
    Overdue,
    /// Somebody takes events again.
    Room,
    Received(Received),
}

/// The state of one connection.
struct Line {
    /// How often the heart beats, once it is known.
    interval: Option<Duration>,
    next_beat: Instant,
    is_acked: bool,
    beat_at: Option<Instant>,
    /// When leave for a session is asked for.
    identify_at: Option<Instant>,
    /// When an answer is overdue.
    deadline: Option<Instant>,
    /// Since when the session runs.
    established: Option<Instant>,
    /// What nobody had room for yet.
    held: Option<Heard>,
}

impl Line {
    fn new(now: Instant) -> Self {
        Self {
            interval: None,
            next_beat: now,
            is_acked: true,
            beat_at: None,
            identify_at: None,
            deadline: Some(now + ANSWER_WITHIN),
            established: None,
            held: None,
        }
    }
}

impl<C: Connect, G: Ground> Shard<C, G> {
    pub(super) fn new(parts: Parts<C, G>) -> Self {
        Self {
            parts,
            session: None,
            seq: None,
            guilds: HashSet::new(),
            complained: HashSet::new(),
            sends: VecDeque::new(),
        }
    }

    /// Listens until it is stopped, or can never work.
    ///
    /// # Errors
    /// Why it can never work.
    pub(super) async fn run(mut self) -> Result<(), Fatal> {
        loop {
            self.show(ShardState::Connecting);
            let end = self.connection().await;
            let wait = match end {
                End::Stopped => {
                    self.show(ShardState::Down);
                    return Ok(());
                }
                End::Fatal(fatal) => {
                    self.show(ShardState::Down);
                    return Err(fatal);
                }
                End::Resume(reason) => self.drop_line(reason, "resume"),
                End::Begin(reason) => {
                    let wait = self.drop_line(reason, "begin");
                    (self.session, self.seq) = (None, None);
                    wait + self.parts.backoff.before_session()
                }
                End::Exhausted(wait) => {
                    tracing::error!(
                        shard = self.parts.number,
                        wait.s = wait.as_secs(),
                        "discord.gateway.no_sessions_left: as many sessions were begun today as \
                         discord.identify_per_day allows",
                    );
                    wait.min(EXHAUSTED_NAP)
                }
            };
            tokio::select! {
                () = stopped(&mut self.parts.stop) => {}
                () = sleep(wait) => {}
            }
        }
    }

    fn drop_line(&mut self, reason: &'static str, then: &'static str) -> Duration {
        let wait = self.parts.backoff.next();
        self.parts.ground.count(metrics::DISCORD_GATEWAY, "lost");
        let (shard, wait_ms) = (self.parts.number, wait.as_millis() as u64);
        tracing::info!(shard, reason, then, wait.ms = wait_ms, "discord.gateway.lost");
        wait
    }

    /// One connection, from its first word to its last.
    async fn connection(&mut self) -> End {
        let url = frame::address(self.url());
        let wire = tokio::select! {
            biased;
            () = stopped(&mut self.parts.stop) => return End::Stopped,
            wire = self.parts.connect.connect(&url) => wire,
        };
        let mut wire = match wire {
            Ok(wire) => wire,
            Err(error) => {
                tracing::debug!(shard = self.parts.number, error, "discord.gateway.unreachable");
                return End::Resume("nothing answers");
            }
        };
        self.sends.clear();
        let mut line = Line::new(Instant::now());
        let end = loop {
            if let Err(end) = self.step(&mut wire, &mut line).await {
                break end;
            }
        };
        if line.established.is_some_and(|since| since.elapsed() >= GOOD_AFTER) {
            self.parts.backoff.reset();
        }
        let code = if end == End::Stopped { CLOSE_FOR_GOOD } else { CLOSE_TO_RESUME };
        wire.close(code).await;
        end
    }

    /// Where to connect: a session goes on at an address of its own.
    fn url(&self) -> &str {
        let resume_url = self.session.as_ref().and_then(|session| session.resume_url.as_deref());
        match resume_url {
            Some(url) if self.parts.backoff.failures() <= MAX_RESUME_URL_FAILURES => url,
            _ => &self.parts.url,
        }
    }

    /// Waits for whatever comes first, and does it.
    async fn step(&mut self, wire: &mut C::Wire, line: &mut Line) -> Result<(), End> {
        match self.next(wire, line).await {
            Next::Stop => Err(End::Stopped),
            Next::Beat if !line.is_acked && line.held.is_none() => {
                self.parts.ground.count(metrics::DISCORD_GATEWAY, "zombie");
                Err(End::Resume("heartbeats are not answered"))
            }
            Next::Beat => self.beat(wire, line).await,
            Next::Identify => self.identify(wire, line).await,
            Next::Overdue => Err(End::Resume("no answer in time")),
            Next::Room => {
                if let Some(heard) = line.held.take() {
                    self.hand_on(line, heard);
                }
                // An answer may wait behind what was not read.
                line.is_acked = true;
                Ok(())
            }
            Next::Received(Received::Text(text)) => self.receive(wire, line, &text).await,
            Next::Received(Received::Closed(code)) => Err(self.closed(code)),
        }
    }

    async fn next(&mut self, wire: &mut C::Wire, line: &Line) -> Next {
        let now = Instant::now();
        tokio::select! {
            biased;
            () = stopped(&mut self.parts.stop) => Next::Stop,
            () = sleep_until(line.next_beat), if line.interval.is_some() => Next::Beat,
            () = sleep_until(line.identify_at.unwrap_or(now)), if line.identify_at.is_some() => {
                Next::Identify
            }
            () = sleep_until(line.deadline.unwrap_or(now)), if line.deadline.is_some() => {
                Next::Overdue
            }
            room = self.parts.events.reserve(), if line.held.is_some() => match room {
                Ok(_) => Next::Room,
                // Whoever listens is gone: the front end is being taken apart.
                Err(_) => Next::Stop,
            },
            received = wire.receive(), if line.held.is_none() => Next::Received(received),
        }
    }

    fn closed(&self, code: Option<u16>) -> End {
        tracing::debug!(shard = self.parts.number, code, "discord.gateway.closed");
        match after_close(code) {
            AfterClose::Resume => End::Resume("the connection ended"),
            AfterClose::Begin => End::Begin("the session ended"),
            AfterClose::Stop(fatal) => End::Fatal(fatal),
        }
    }

    async fn receive(
        &mut self,
        wire: &mut C::Wire,
        line: &mut Line,
        text: &str,
    ) -> Result<(), End> {
        let Some(incoming) = frame::read(text) else {
            self.complain("frame", "frame");
            return Ok(());
        };
        match incoming {
            Incoming::Hello(interval) => self.hello(wire, line, interval).await,
            Incoming::Ack => {
                line.is_acked = true;
                if let Some(at) = line.beat_at.take() {
                    self.parts.health.set_latency(self.parts.number, at.elapsed());
                }
                Ok(())
            }
            Incoming::BeatNow => self.beat(wire, line).await,
            Incoming::Reconnect => Err(End::Resume("Discord asks for another connection")),
            Incoming::Invalid { is_resumable: true } => Err(End::Resume("the session was paused")),
            Incoming::Invalid { is_resumable: false } => {
                self.parts.ground.count(metrics::DISCORD_GATEWAY, "invalid");
                Err(End::Begin("the session was not accepted"))
            }
            Incoming::Dispatch { seq, name, data } => {
                self.dispatch(line, seq, &name, data.get());
                Ok(())
            }
            Incoming::Other => Ok(()),
        }
    }

    /// The first word of a connection: the session goes on, or leave for one is
    /// asked for.
    async fn hello(
        &mut self,
        wire: &mut C::Wire,
        line: &mut Line,
        interval: Duration,
    ) -> Result<(), End> {
        let now = Instant::now();
        line.interval = Some(interval);
        line.next_beat = now + self.parts.backoff.part_of(interval);
        let Some(session) = &self.session else {
            (line.identify_at, line.deadline) = (Some(now), None);
            return Ok(());
        };
        self.show(ShardState::Resuming);
        self.parts.ground.count(metrics::DISCORD_GATEWAY, "resume");
        line.deadline = Some(now + ANSWER_WITHIN);
        let text = frame::resume(&self.parts.token, &session.id, self.seq.unwrap_or(0));
        self.send(wire, text).await
    }

    /// Begins a session, if there is leave for one. Never without.
    async fn identify(&mut self, wire: &mut C::Wire, line: &mut Line) -> Result<(), End> {
        self.show(ShardState::Identifying);
        let asked = timeout(ASK_WITHIN, self.parts.ground.take_identify(self.parts.bucket)).await;
        let now = Instant::now();
        match asked {
            Ok(Ok(Leave::Given)) => {
                (line.identify_at, line.deadline) = (None, Some(now + ANSWER_WITHIN));
                self.parts.ground.count(metrics::DISCORD_GATEWAY, "identify");
                let Parts { token, number, count, .. } = &self.parts;
                let text = frame::identify(token, *number, *count);
                self.send(wire, text).await
            }
            Ok(Ok(Leave::Wait(wait))) => {
                line.identify_at = Some(now + wait);
                Ok(())
            }
            Ok(Ok(Leave::Spent(wait))) => Err(End::Exhausted(wait)),
            Ok(Err(error)) => {
                tracing::warn!(shard = self.parts.number, error, "discord.identify.not_asked");
                line.identify_at = Some(now + ASK_AGAIN);
                Ok(())
            }
            Err(_) => {
                tracing::warn!(shard = self.parts.number, "discord.identify.not_answered");
                line.identify_at = Some(now + ASK_AGAIN);
                Ok(())
            }
        }
    }

    async fn beat(&mut self, wire: &mut C::Wire, line: &mut Line) -> Result<(), End> {
        let now = Instant::now();
        line.next_beat = now + line.interval.unwrap_or(MINUTE);
        while self.sends.front().is_some_and(|&at| now - at >= MINUTE) {
            self.sends.pop_front();
        }
        if self.sends.len() >= MAX_SENDS {
            // Somebody asks for too many; the next one is as good.
            return Ok(());
        }
        (line.is_acked, line.beat_at) = (false, Some(now));
        self.send(wire, frame::heartbeat(self.seq)).await
    }

    async fn send(&mut self, wire: &mut C::Wire, text: String) -> Result<(), End> {
        self.sends.push_back(Instant::now());
        wire.send(text).await.map_err(|error| {
            tracing::debug!(shard = self.parts.number, error, "discord.gateway.not_sent");
            End::Resume("nothing leaves any more")
        })
    }

    /// Hands an event on.
    fn dispatch(&mut self, line: &mut Line, seq: u64, name: &str, data: &str) {
        self.seq = self.seq.max(Some(seq));
        let heard = match event::read(name, data) {
            Ok(heard) => heard,
            Err(Unread::Useless) => return,
            Err(Unread::Name) => return self.complain("name", name),
            Err(Unread::Shape) => return self.complain("shape", name),
        };
        match &heard {
            Heard::Ready(ready) => {
                self.begun(line, ready);
            }
            Heard::Resumed => {
                (line.deadline, line.established) = (None, Some(Instant::now()));
                self.parts.ground.count(metrics::DISCORD_GATEWAY, "resumed");
                self.show(ShardState::Ready);
            }
            Heard::GuildSeen(guild) => {
                self.guilds.insert(guild.id);
                self.show_guilds();
            }
            Heard::GuildLeft(guild) => {
                self.guilds.remove(guild);
                self.show_guilds();
            }
            _ => {}
        }
        self.hand_on(line, heard);
    }

    fn hand_on(&self, line: &mut Line, heard: Heard) {
        match self.parts.events.try_send(heard) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
            Err(mpsc::error::TrySendError::Full(heard)) => line.held = Some(heard),
        }
    }

    fn begun(&mut self, line: &mut Line, ready: &Ready) {
        let resume_url = ready.resume_gateway_url.clone();
        let resume_url = resume_url.filter(|url| is_trusted(url, self.parts.may_be_plain));
        self.session = Some(Session { id: ready.session_id.clone(), resume_url });
        self.guilds = ready.guilds().collect();
        (line.deadline, line.established) = (None, Some(Instant::now()));
        self.parts.ground.count(metrics::DISCORD_GATEWAY, "ready");
        self.show(ShardState::Ready);
        self.show_guilds();
        let Parts { number, count, .. } = self.parts;
        tracing::info!(shard = number, shards = count, guilds = self.guilds.len(), "discord.ready");
    }

    /// Counts what we could not read; logs it the first time.
    fn complain(&mut self, reason: &'static str, name: &str) {
        self.parts.ground.count(metrics::DISCORD_UNKNOWN_EVENTS, reason);
        let name: String = name.chars().filter(char::is_ascii_graphic).take(60).collect();
        // Enough for every event there will ever be, and no more.
        if self.complained.len() < 256 && self.complained.insert(name.clone()) {
            tracing::warn!(shard = self.parts.number, event = name, reason, "discord.unread");
        }
    }

    fn show(&self, state: ShardState) {
        self.parts.health.set_state(self.parts.number, state);
    }

    /// Tells other processes how many guilds there are.
    fn show_guilds(&self) {
        let num_guilds = u32::try_from(self.guilds.len()).unwrap_or(u32::MAX);
        self.parts.health.set_guilds(self.parts.number, num_guilds);
    }
}

/// Returns once everything is to stop.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // Whoever could have said so is gone: that says it too.
    let _ = stop.wait_for(|&stop| stop).await;
}
