//! The gateway: sessions, which events they get, and trouble on demand. Sessions
//! outlive their connections, so that a client can resume.
//! <https://docs.discord.com/developers/events/gateway>

pub(crate) mod control;
pub(crate) mod socket;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;

use super::call::id_of;
use super::checks;
use super::world::{Event, World, intent};

/// What a connection's task is told to do.
#[derive(Debug)]
pub(crate) enum Out {
    Text(String),
    Close(u16, &'static str),
    /// The line breaks without a word.
    Cut,
}

/// One session of one shard.
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) shard: (u64, u64),
    pub(crate) intents: u64,
    pub(crate) seq: u64,
    /// Every event of it, for those who resume.
    log: Vec<(u64, String)>,
    /// The connection that serves it; none while nobody is there.
    pub(crate) connection: Option<(u64, UnboundedSender<Out>)>,
}

/// All sessions, and how events reach them.
pub(crate) struct Gateway {
    pub(crate) sessions: BTreeMap<String, Session>,
    /// Every open connection, identified or not.
    pub(crate) connections: BTreeMap<u64, UnboundedSender<Out>>,
    next: u64,
    /// When sessions were started lately, and with which key of concurrency.
    identifies: Vec<(Instant, u64)>,
    /// Sessions started since the double began.
    pub(crate) num_identifies: usize,
    pub(crate) num_resumes: usize,
    /// Heartbeats get no answer.
    pub(crate) zombie: bool,
    /// Every event comes twice.
    pub(crate) duplicate: bool,
    /// Events wait until they are released.
    pub(crate) hold: bool,
    held: VecDeque<Event>,
    /// Held events are released in an order of chance.
    pub(crate) shuffle: Option<ChaCha8Rng>,
    /// What is wrong with events that were sent.
    pub(crate) violations: Vec<String>,
}

impl Gateway {
    pub(crate) fn new() -> Self {
        Self {
            sessions: BTreeMap::new(),
            connections: BTreeMap::new(),
            next: 0,
            identifies: Vec::new(),
            num_identifies: 0,
            num_resumes: 0,
            zombie: false,
            duplicate: false,
            hold: false,
            held: VecDeque::new(),
            shuffle: None,
            violations: Vec::new(),
        }
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(crate) fn shuffle_with(&mut self, seed: Option<u64>) {
        self.shuffle = seed.map(ChaCha8Rng::seed_from_u64);
    }

    /// Whether events wait that only a timer lets out.
    pub(crate) fn has_shuffled(&self) -> bool {
        self.shuffle.is_some() && !self.hold && !self.held.is_empty()
    }

    /// Tells what happened, unless it is to wait.
    pub(crate) fn tell(&mut self, world: &World, events: Vec<Event>) {
        self.held.extend(events);
        if !self.hold && self.shuffle.is_none() {
            self.release(world);
        }
    }

    /// Lets out what waits.
    pub(crate) fn release(&mut self, world: &World) {
        let mut events: Vec<Event> = self.held.drain(..).collect();
        if let Some(rng) = &mut self.shuffle {
            events.shuffle(rng);
        }
        for event in events {
            for _ in 0..=usize::from(self.duplicate) {
                self.deliver(world, &event);
            }
        }
    }

    fn deliver(&mut self, world: &World, event: &Event) {
        for session in self.sessions.values_mut() {
            let (shard, num_shards) = session.shard;
            // https://docs.discord.com/developers/events/gateway#sharding
            let wanted = event.guild.map_or(0, |guild| (guild >> 22) % num_shards);
            let asked = event.intents == 0 || session.intents & event.intents != 0;
            if wanted == shard && asked {
                let data = visible_data(world, event, session.intents);
                session.dispatch(&event.name, data, &mut self.violations);
            }
        }
    }

    /// Counts a session's start. False where it comes too soon after another.
    pub(crate) fn count_identify(&mut self, world: &mut World, shard: u64) -> bool {
        let now = Instant::now();
        let limits = &mut world.limits;
        let key = shard % limits.max_concurrency;
        self.identifies.retain(|(when, _)| now - *when < limits.identify_window);
        let is_soon = self.identifies.iter().any(|(_, known)| *known == key);
        if is_soon {
            let text = format!(
                "gateway: shard {shard} identified within {:?} of another",
                limits.identify_window
            );
            world.ledger.violations.push(text);
        }
        if limits.session_starts_left == 0 {
            world.ledger.violations.push("gateway: no session starts were left".into());
        }
        limits.session_starts_left = limits.session_starts_left.saturating_sub(1);
        self.identifies.push((now, key));
        self.num_identifies += 1;
        !is_soon
    }

    /// Starts a session: READY, then the guilds of its shard.
    pub(crate) fn identify(
        &mut self,
        world: &World,
        connection: (u64, UnboundedSender<Out>),
        shard: (u64, u64),
        intents: u64,
    ) {
        let id = format!("{:032x}", 0xD0_0B1E_u64 * 1_000_003 + self.number());
        let log = Vec::new();
        let mut session =
            Session { id: id.clone(), shard, intents, seq: 0, log, connection: Some(connection) };
        let mine = |guild: u64| (guild >> 22) % shard.1 == shard.0;
        let guilds = || world.guilds.values().filter(|one| one.joined && mine(one.id));
        let unavailable = |id: u64| json!({"id": id.to_string(), "unavailable": true});
        let ready = json!({
            "v": 10, "user": ready_user(world), "session_type": "normal", "private_channels": [],
            "relationships": [], "guilds": guilds().map(|one| unavailable(one.id)).collect::<Value>(),
            "session_id": id, "resume_gateway_url": world.gateway_url,
            "shard": [shard.0, shard.1], "geo_ordered_rtc_regions": [], "_trace": [],
            "application": {
                "id": world.application.to_string(),
                "flags": super::rest::guilds::application_flags(world),
            },
        });
        session.dispatch("READY", ready, &mut self.violations);
        if intents & intent::GUILDS != 0 {
            let with_members = intents & intent::GUILD_PRESENCES != 0;
            for guild in guilds() {
                let data = world.guild_create(guild, with_members);
                session.dispatch("GUILD_CREATE", data, &mut self.violations);
            }
        }
        self.sessions.insert(id, session);
    }

    /// Goes on with a session, replaying what was missed. False where it is not known.
    pub(crate) fn resume(
        &mut self,
        id: &str,
        seq: u64,
        connection: (u64, UnboundedSender<Out>),
    ) -> bool {
        let Some(session) = self.sessions.get_mut(id).filter(|session| seq <= session.seq) else {
            return false;
        };
        for (_, text) in session.log.iter().filter(|(number, _)| *number > seq) {
            let _ = connection.1.send(Out::Text(text.clone()));
        }
        session.connection = Some(connection);
        session.dispatch("RESUMED", json!({"_trace": []}), &mut self.violations);
        self.num_resumes += 1;
        true
    }

    /// A connection is gone; its session waits, unless its client said goodbye.
    pub(crate) fn disconnect(&mut self, connection: u64, said_goodbye: bool) {
        self.connections.remove(&connection);
        let is_its = |session: &Session| {
            session.connection.as_ref().is_some_and(|(number, _)| *number == connection)
        };
        if said_goodbye {
            self.sessions.retain(|_, session| !is_its(session));
        }
        for session in self.sessions.values_mut().filter(|session| is_its(session)) {
            session.connection = None;
        }
    }
}

impl Session {
    pub(crate) fn dispatch(&mut self, name: &str, data: Value, violations: &mut Vec<String>) {
        self.seq += 1;
        let text = json!({"op": 0, "s": self.seq, "t": name, "d": data}).to_string();
        if !name.starts_with("UNKNOWN")
            && let Err(error) = checks::event(&text)
        {
            violations.push(format!("the double's own {name} is malformed: {error}"));
        }
        self.log.push((self.seq, text.clone()));
        if let Some((_, sender)) = &self.connection {
            // A connection that has just gone gets it when it resumes.
            let _ = sender.send(Out::Text(text));
        }
    }
}

fn ready_user(world: &World) -> Value {
    let mut user = world.user_json(world.bot);
    user["verified"] = true.into();
    user["mfa_enabled"] = false.into();
    user["email"] = Value::Null;
    user
}

/// Without the message content intent, what people wrote is empty, except to whom
/// they wrote it: the bot's own messages, direct ones, and mentions of it.
/// <https://docs.discord.com/developers/events/gateway#message-content-intent>
fn visible_data(world: &World, event: &Event, intents: u64) -> Value {
    let mut data = event.data.clone();
    let is_message = matches!(event.name.as_str(), "MESSAGE_CREATE" | "MESSAGE_UPDATE");
    if !is_message || intents & intent::MESSAGE_CONTENT != 0 || event.guild.is_none() {
        return data;
    }
    let own = id_of(&data["author"]["id"]) == Some(world.bot)
        || id_of(&data["application_id"]) == Some(world.application);
    let mentions = data["mentions"].as_array().into_iter().flatten();
    let is_mentioned = mentions.into_iter().any(|user| id_of(&user["id"]) == Some(world.bot));
    if !own && !is_mentioned {
        data["content"] = "".into();
        for key in ["embeds", "attachments", "components"] {
            data[key] = json!([]);
        }
    }
    data
}
