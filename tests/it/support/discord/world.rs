//! Everything that is so in the double's Discord, and its look-ups. It knows
//! neither sockets nor HTTP: events go into an outbox that the gateway empties.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde_json::Value;

use super::clock::Clock;
use super::files::KeptFile;
use super::ledger::Ledger;
use super::model::{Author, Channel, Emoji, Guild, Interaction, Message, User, Webhook};
use super::permissions::VIEW_CHANNEL;
use super::refusal::Refusal;

/// Something for the gateway to tell.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) data: Value,
    /// Chooses the shard; events without a guild go to shard 0.
    pub(crate) guild: Option<u64>,
    /// Any of these must have been asked for; 0 is for everybody.
    pub(crate) intents: u64,
}

/// Intents. <https://docs.discord.com/developers/events/gateway#gateway-intents>
pub(crate) mod intent {
    pub(crate) const GUILDS: u64 = 1 << 0;
    pub(crate) const GUILD_MEMBERS: u64 = 1 << 1;
    pub(crate) const GUILD_WEBHOOKS: u64 = 1 << 5;
    pub(crate) const GUILD_PRESENCES: u64 = 1 << 8;
    pub(crate) const GUILD_MESSAGES: u64 = 1 << 9;
    pub(crate) const GUILD_MESSAGE_REACTIONS: u64 = 1 << 10;
    pub(crate) const GUILD_MESSAGE_TYPING: u64 = 1 << 11;
    pub(crate) const DIRECT_MESSAGES: u64 = 1 << 12;
    pub(crate) const MESSAGE_CONTENT: u64 = 1 << 15;
}

/// Times and counts that tests may change.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// For the first response to an interaction.
    pub(crate) first_response: Duration,
    /// How long an interaction's token lives.
    pub(crate) interaction_life: Duration,
    /// How long an enforced nonce is remembered: "the past few minutes".
    pub(crate) nonce_window: Duration,
    pub(crate) webhooks_per_channel: usize,
    /// Of the application.
    pub(crate) emojis: usize,
    /// Sessions that may be started in a day, and are left.
    pub(crate) session_starts_total: u64,
    pub(crate) session_starts_left: u64,
    pub(crate) max_concurrency: u64,
    /// In which `max_concurrency` sessions may be started.
    pub(crate) identify_window: Duration,
    pub(crate) recommended_shards: u64,
    /// What the application's page in the developer portal grants.
    pub(crate) privileged_intents: u64,
    pub(crate) heartbeat: Duration,
    /// Whether a payload with content but without `allowed_mentions` is a violation.
    pub(crate) demand_allowed_mentions: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            first_response: Duration::from_secs(3),
            interaction_life: Duration::from_secs(15 * 60),
            nonce_window: Duration::from_secs(3 * 60),
            webhooks_per_channel: 15,
            emojis: 2000,
            session_starts_total: 1000,
            session_starts_left: 1000,
            max_concurrency: 1,
            identify_window: Duration::from_secs(5),
            recommended_shards: 1,
            privileged_intents: intent::MESSAGE_CONTENT | intent::GUILD_MEMBERS,
            heartbeat: Duration::from_millis(41_250),
            demand_allowed_mentions: true,
        }
    }
}

/// The whole state of the double's Discord.
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) limits: Limits,
    /// Where this double is reached, for URLs of files.
    pub(crate) url: String,
    pub(crate) gateway_url: String,
    pub(crate) token: String,
    pub(crate) application: u64,
    /// The bot's user.
    pub(crate) bot: u64,
    pub(crate) users: BTreeMap<u64, User>,
    pub(crate) guilds: BTreeMap<u64, Guild>,
    /// Threads are channels too.
    pub(crate) channels: BTreeMap<u64, Channel>,
    /// By channel and id, so that a channel's history is a range.
    pub(crate) messages: BTreeMap<(u64, u64), Message>,
    pub(crate) webhooks: BTreeMap<u64, Webhook>,
    /// Registered commands, by guild (none: global), as Discord would show them.
    pub(crate) commands: BTreeMap<Option<u64>, Vec<Value>>,
    pub(crate) interactions: BTreeMap<u64, Interaction>,
    /// Enforced nonces by author: when, and which message.
    pub(crate) nonces: HashMap<(u64, String), (u64, u64, u64)>,
    /// Uploaded files by attachment id.
    pub(crate) files: HashMap<u64, KeptFile>,
    /// The attachments that somebody asked the content network for, in order.
    pub(crate) fetched: Vec<u64>,
    /// Of the application.
    pub(crate) emojis: BTreeMap<u64, Emoji>,
    /// Which original a proxied message stands for: (original, author, guild).
    pub(crate) proxied: HashMap<u64, (u64, u64, u64)>,
    /// Reposts whose member, system and name PluralKit would tell.
    pub(crate) proxy_members: HashMap<u64, (String, String)>,
    /// Who was seen typing, and where: (channel, user).
    pub(crate) typing: Vec<(u64, u64)>,
    /// There are messages that do not fit Discord's description, on purpose.
    pub(crate) has_oddities: bool,
    pub(crate) ledger: Ledger,
    pub(crate) outbox: Vec<Event>,
}

impl World {
    pub(crate) fn new(url: String, gateway_url: String) -> Self {
        let mut clock = Clock::default();
        let application = clock.snowflake();
        let bot = application;
        let user = User { id: bot, name: "dramatis".into(), display_name: None, bot: true };
        Self {
            token: token_for(bot),
            clock,
            limits: Limits::default(),
            url,
            gateway_url,
            application,
            bot,
            users: BTreeMap::from([(bot, user)]),
            guilds: BTreeMap::new(),
            channels: BTreeMap::new(),
            messages: BTreeMap::new(),
            webhooks: BTreeMap::new(),
            commands: BTreeMap::new(),
            interactions: BTreeMap::new(),
            nonces: HashMap::new(),
            files: HashMap::new(),
            fetched: Vec::new(),
            emojis: BTreeMap::new(),
            proxied: HashMap::new(),
            proxy_members: HashMap::new(),
            typing: Vec::new(),
            has_oddities: false,
            ledger: Ledger::default(),
            outbox: Vec::new(),
        }
    }

    pub(crate) fn id(&mut self) -> u64 {
        self.clock.snowflake()
    }

    pub(crate) fn channel(&self, id: u64) -> Result<&Channel, Refusal> {
        self.channels.get(&id).ok_or(Refusal::of(10003))
    }

    /// A channel that the bot can see.
    pub(crate) fn visible(&self, id: u64) -> Result<&Channel, Refusal> {
        let channel = self.channel(id)?;
        self.demand(self.bot, id, VIEW_CHANNEL)?;
        Ok(channel)
    }

    /// A guild that the bot is in. One that it is not in is as if it were not there.
    pub(crate) fn guild(&self, id: u64) -> Result<&Guild, Refusal> {
        self.guilds.get(&id).filter(|guild| guild.joined).ok_or(Refusal::of(10004))
    }

    pub(crate) fn message(&self, channel: u64, id: u64) -> Result<&Message, Refusal> {
        self.messages.get(&(channel, id)).ok_or(Refusal::of(10008))
    }

    /// A channel's messages, oldest first, without those that only one person sees.
    pub(crate) fn history(&self, channel: u64) -> impl DoubleEndedIterator<Item = &Message> {
        let range = self.messages.range((channel, 0)..=(channel, u64::MAX));
        range.map(|(_, message)| message).filter(|message| message.only_for.is_none())
    }

    /// The name that people read over a message.
    pub(crate) fn author_name(&self, message: &Message) -> String {
        match &message.author {
            Author::Webhook { name, .. } => name.clone(),
            Author::User(id) => self.name_of(*id, self.guild_of(message.channel)),
        }
    }

    pub(crate) fn name_of(&self, user: u64, guild: Option<u64>) -> String {
        let member = guild.and_then(|guild| self.guilds[&guild].members.get(&user));
        let nick = member.and_then(|member| member.nick.clone());
        let known = self.users.get(&user);
        nick.or_else(|| known.map(|user| user.display_name.clone().unwrap_or(user.name.clone())))
            .unwrap_or_else(|| user.to_string())
    }

    pub(crate) fn guild_of(&self, channel: u64) -> Option<u64> {
        self.channels.get(&channel).and_then(|channel| channel.guild)
    }

    /// Tells everybody who listens to the guild.
    pub(crate) fn emit(&mut self, name: &str, guild: Option<u64>, intents: u64, data: Value) {
        if guild.is_none_or(|id| self.guilds.get(&id).is_some_and(|guild| guild.joined)) {
            self.outbox.push(Event { name: name.into(), data, guild, intents });
        }
    }

    /// Tells what happened in a channel, where the bot can see it.
    pub(crate) fn emit_in(&mut self, channel: u64, name: &str, intents: u64, data: Value) {
        if self.may(self.bot, channel, VIEW_CHANNEL) {
            let guild = self.guild_of(channel);
            let intents = if guild.is_none() { intent::DIRECT_MESSAGES } else { intents };
            self.emit(name, guild, intents, data);
        }
    }
}

/// A token of the real shape: the user's id, a time, a signature.
fn token_for(bot: u64) -> String {
    let id = base64(bot.to_string().as_bytes());
    format!("{id}.GdOuBl.{}", "tHe_d0uble-signs_n0thing_but_it_is_38c".get(..38).unwrap())
}

/// URL-safe base64 without padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let chunk = |chunk: &[u8]| {
        let group =
            chunk.iter().enumerate().fold(0, |sum, (i, b)| sum | u32::from(*b) << (16 - 8 * i));
        let letters = (0..=chunk.len()).map(|i| ALPHABET[(group >> (18 - 6 * i) & 63) as usize]);
        letters.map(char::from).collect::<String>()
    };
    bytes.chunks(3).map(chunk).collect()
}
