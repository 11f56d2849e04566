//! What the service does, one file for each verb of people's intent; knows no
//! platform.
//!
//! [`Chat::accept_turn`] takes words in, [`run_jobs`] answers them: it claims
//! scenes and makes replies in [`reply`]. Invariant: whatever is shown as final
//! is stored, and whatever is stored is shown once.

mod anticipate;
mod arrivals;
mod boundaries;
mod characters;
mod clearance;
mod consent;
mod curtain;
mod dataset;
mod decisions;
mod dice;
mod difference;
mod edit;
mod error;
mod file_out;
mod forgetting;
mod generate;
mod held;
mod hindsight;
mod hits;
mod jobs;
mod library;
mod limits;
mod line;
mod lore;
mod moderation;
mod opening;
mod personas;
mod plan;
mod policies;
mod presets;
mod privacy;
mod proofreader;
mod purge;
mod receipt;
pub mod reply;
mod report;
mod reproduce;
mod retention;
mod settings;
mod sink;
mod starters;
mod story_text;
mod swipe;
mod turn;
mod turn_order;
mod undo;
mod view;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;

use lore::Shelf;

use crate::classifier::Classifier;
use crate::clock::Clock;
use crate::config::{
    ChatConfig, Config, GenerationConfig, LoreConfig, ModelProfile, PrivacyConfig,
};
use crate::domain::{GuildId, Length, Scene, SceneId, Template};
use crate::engine::LengthRange;
use crate::lore::LoreSettings;
use crate::pool::Pool;
use crate::sampling::SamplerParams;
use crate::store::{HourlyLimits, Noun, QueueLimits, Stop, Store, StoreError, Surroundings};
use crate::telemetry::metrics::Metrics;

pub use arrivals::{Arrival, Offered};
pub use consent::AGREEMENT;
pub use dataset::{
    DataCard, DatasetExport, DatasetOptions, LeftOut, LengthCount, LengthRanges, MAX_SAMPLE_TOKENS,
    Replaced, ranges_of,
};
pub use decisions::{Decided, Upon};
pub use dice::{Rolled, roll};
pub use error::ChatError;
pub use file_out::{FileOut, file_name};
pub use forgetting::run_forgetting;
pub use hindsight::Stopped;
pub use hits::{HITS_KEPT_DAYS, run_rule_hits};
pub use jobs::run_jobs;
pub use library::{
    CONSENT_WORDS, CardInHand, ChatInHand, ChatPlace, EntryChange, Export, ImportedCharacter,
    ImportedChat, ImportedPreset, KeptLorebook, Library, LocalGuild, LorebookDraft, LorebookInHand,
    Rules, TrainingScene, read_book,
};
pub use lore::{LeftOutEntry, LoreReport, SceneLore, ToldEntry};
pub use opening::Opening;
pub use personas::PersonaScope;
pub use policies::PolicyTrial;
pub use privacy::{Forgotten, Kept};
pub use proofreader::{Proofreader, raised_penalty};
pub use purge::{Purge, Purged, Whom};
pub use receipt::{RepetitionReceipt, ReplyReceipt, Timings};
pub use reproduce::Reproduction;
pub use retention::{Missed, Swept, run_sweeps};
pub use settings::{Preview, clean_name};
pub use sink::{FinishedReply, ReplySink, ReplyStart, SinkError, Stage};
pub use starters::starters;
pub use story_text::story_text;
pub use swipe::SwipeTo;
pub use turn::{Answer, Message, unanswered};
pub use undo::Undone;
pub use view::SceneView;

/// The chat room: store and pool joined by what people want.
pub struct Chat {
    store: Store,
    pool: Pool,
    clock: Arc<dyn Clock>,
    settings: Settings,
    metrics: Arc<Metrics>,
    /// How to stop the replies that this process is making.
    running: Mutex<HashMap<SceneId, Stopper>>,
    shelf: Shelf,
    library: Library,
}

/// What stops the reply of one claim.
#[derive(Clone)]
struct Stopper {
    fence: i64,
    stop: watch::Sender<bool>,
}

/// The rules of the house.
struct Settings {
    default_preset: String,
    default_length: Option<Length>,
    generation: GenerationConfig,
    presets: BTreeMap<String, SamplerParams>,
    lore: LoreSettings,
    template: Template,
    /// Texts that end a reply beside the template's.
    stops: Vec<String>,
    poll: std::time::Duration,
    max_attempts: u32,
    limits: QueueLimits,
    max_replies_in_a_row: u32,
    /// For how long a guild that removed us is kept.
    guild_grace: TimeDelta,
}

/// What the rules of the house are made of.
#[derive(Debug, Clone)]
pub struct ChatOptions {
    /// How replies are sampled and how long they may get.
    pub generation: GenerationConfig,
    /// The reply queue.
    pub chat: ChatConfig,
    /// How long what is nobody's any more is kept.
    pub privacy: PrivacyConfig,
    /// How lorebooks are read.
    pub lore: LoreConfig,
    /// What belongs to the model.
    pub profile: ModelProfile,
    /// How its prompts are laid out.
    pub template: Template,
}

impl ChatOptions {
    /// As the settings have it, with the template that they name.
    pub fn new(config: &Config, template: Template) -> Self {
        Self {
            generation: config.generation.clone(),
            chat: config.chat.clone(),
            privacy: config.privacy.clone(),
            lore: config.lore.clone(),
            profile: config.profile(),
            template,
        }
    }
}

/// The preset of those who chose none, where nobody says another.
const DEFAULT_PRESET: &str = "limarp";

impl ChatOptions {
    /// The preset of those who chose none.
    pub fn default_preset(&self) -> &str {
        let own = self.generation.preset.set().or(self.profile.preset.as_ref());
        own.map_or(DEFAULT_PRESET, String::as_str)
    }

    /// The length of replies where nobody chose one; `None` leaves it to the model.
    ///
    /// # Errors
    /// The settings name no length.
    pub fn default_length(&self) -> Result<Option<Length>, ChatError> {
        let length = self.generation.default_length().map(str::parse).transpose();
        length
            .map_err(|error: crate::domain::ParseLengthError| ChatError::refused(error.to_string()))
    }
}

impl Settings {
    fn new(options: ChatOptions) -> Result<Self, ChatError> {
        let (default_preset, default_length) =
            (options.default_preset().to_owned(), options.default_length()?);
        let ChatOptions { generation, chat, privacy, lore, profile, template, .. } = options;
        let generation = generation.with_profile(&profile);
        Ok(Self {
            default_preset,
            default_length,
            presets: presets::read_all(&generation.presets)?,
            generation,
            lore: lore_settings(&lore),
            template,
            stops: profile.stops,
            poll: chat.poll(),
            max_attempts: chat.max_attempts,
            limits: QueueLimits {
                per_person: chat.max_waiting_per_person,
                per_guild: chat.max_waiting_per_guild,
                in_all: chat.max_waiting,
                hourly: HourlyLimits::NONE,
            },
            max_replies_in_a_row: chat.max_replies_in_a_row,
            guild_grace: privacy.guild_grace(),
        })
    }

    /// Where a reply of that length is cut at the latest, in tokens.
    fn max_tokens(&self, length: Option<Length>) -> usize {
        self.generation.max_tokens(length.map(Length::as_str))
    }

    /// Within which tokens a reply of that length is kept; `None` leaves it to the model.
    fn length_range(&self, length: Option<Length>) -> Option<LengthRange> {
        self.generation.keep_lengths.then(|| {
            let length = length.map(Length::as_str);
            let [min_tokens, max_tokens] = self.generation.length_range(length);
            LengthRange { min_tokens, max_tokens }
        })
    }
}

/// The lore room's defaults with what the house says otherwise.
fn lore_settings(config: &LoreConfig) -> LoreSettings {
    LoreSettings {
        scan_depth: config.scan_depth,
        budget_percent: config.budget_percent,
        budget_cap_tokens: config.budget_tokens.set().copied(),
        recursive: config.recursive,
        max_recursion_steps: config.max_rounds,
        case_sensitive: config.case_sensitive,
        match_whole_words: config.match_whole_words,
        use_group_scoring: config.group_scoring,
        ..LoreSettings::default()
    }
}

impl Chat {
    /// Joins the parts. The classifier, if there is one, is asked beside the rules.
    ///
    /// # Errors
    /// The settings name a length or a preset that cannot be used.
    pub fn new(
        store: Store,
        pool: Pool,
        classifier: Option<Arc<Classifier>>,
        clock: Arc<dyn Clock>,
        options: ChatOptions,
        metrics: Arc<Metrics>,
    ) -> Result<Self, ChatError> {
        let library = Library::new(store.clone(), options.chat.max_turn_bytes, classifier);
        let settings = Settings::new(options)?;
        Ok(Self {
            store,
            pool,
            clock,
            settings,
            metrics,
            running: Mutex::default(),
            shelf: Shelf::default(),
            library,
        })
    }

    /// The store, for what needs no verb.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// A guild's characters, lorebooks, presets and chats, as files.
    pub fn library(&self) -> &Library {
        &self.library
    }

    /// The workers.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// What was counted so far.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The time now, by the service's clock.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// A scene of the guild.
    ///
    /// # Errors
    /// There is none of that key, or the database fails.
    pub async fn scene(&self, guild: GuildId, scene: SceneId) -> Result<Scene, ChatError> {
        let found = self.store.get_scene(guild, scene).await?;
        Ok(found.ok_or(StoreError::NotFound(Noun::Scene))?)
    }

    /// Takes a scene out, those that are over too.
    ///
    /// # Errors
    /// There is no such scene, or the database fails.
    pub async fn export_scene(&self, guild: GuildId, scene: SceneId) -> Result<Export, ChatError> {
        self.library.export_scene(guild, scene, self.clock.now()).await
    }

    /// Where a chat goes on that was played elsewhere, with everything as the house has it.
    pub fn chat_place(&self, channel: String, title: Option<String>) -> ChatPlace {
        let (length, preset) = (self.settings.default_length, self.settings.default_preset.clone());
        ChatPlace { channel, title, length, preset, surroundings: Surroundings::default() }
    }

    /// Ends the reply that is being written in a scene: what is written so far
    /// stays. Says whether one was being written here.
    pub fn stop_reply(&self, scene: SceneId) -> bool {
        self.stopper(scene).is_some_and(|stop| stop.send(true).is_ok())
    }

    /// What stops the reply that is being written in a scene now, and no later one.
    fn stopper(&self, scene: SceneId) -> Option<watch::Sender<bool>> {
        let running = self.running.lock().expect("no holder of the list panics");
        running.get(&scene).map(|stopper| stopper.stop.clone())
    }

    /// Ends a reply that somebody stopped, in this process or another.
    fn heed(&self, stop: Stop) {
        let running = self.running.lock().expect("no holder of the list panics");
        // A claim that came later was made by who knew of it.
        if let Some(stopper) = running.get(&stop.scene).filter(|it| it.fence <= stop.fence) {
            stopper.stop.send_replace(true);
        }
    }
}
