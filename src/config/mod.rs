//! Settings: a TOML file, then the environment, then the command line.
//!
//! `config/default.toml` documents every key and is the only home of defaults.
//! This room is the only reader of the process environment ([`Environment`]).
//! A [`Config`] that exists is valid, and nothing that prints it shows a secret.

mod auto;
mod chat;
mod data_dir;
mod database;
mod describe;
mod discord;
mod engine;
mod environment;
mod error;
mod fetch;
mod generation;
mod known;
mod layers;
mod load;
mod lore;
mod measured;
mod model;
mod moderation;
mod privacy;
mod profile;
mod secret;
mod telemetry;
#[cfg(test)]
mod tests;
mod worker;
mod workers;

pub use auto::Auto;
pub use chat::ChatConfig;
pub use database::{DatabaseConfig, DatabaseUrl};
pub use describe::Setting;
pub use discord::{DiscordConfig, PluralKit, TokenShapeError, check_token_shape};
pub use engine::EngineConfig;
pub use environment::Environment;
pub use error::{ConfigError, Invalid};
pub use fetch::FetchConfig;
pub use generation::{GenerationConfig, RepetitionConfig};
pub use layers::Override;
pub use load::LoadOptions;
pub use lore::LoreConfig;
pub use measured::{profiles_file, save_lengths};
pub use model::{AdapterConfig, ModelConfig, SlidingWindow, Weights};
pub use moderation::{ClassifierPlace, ModerationConfig};
pub use privacy::PrivacyConfig;
pub use profile::ModelProfile;
pub use telemetry::{LogFormat, TelemetryConfig};
pub use worker::WorkerConfig;
pub use workers::{WorkerPlace, WorkersConfig};

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Every setting in force, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where everything that must survive a restart lies; absolute.
    pub data_dir: PathBuf,
    /// Which Postgres, and how it is reached.
    pub database: DatabaseConfig,
    /// Which model, and how much of its context is used.
    pub model: ModelConfig,
    /// How files are brought onto this machine.
    pub fetch: FetchConfig,
    /// What the inference engine may take.
    pub engine: EngineConfig,
    /// Where replies are written.
    pub workers: WorkersConfig,
    /// How replies are sampled and how long they may get.
    pub generation: GenerationConfig,
    /// How lorebooks are read.
    pub lore: LoreConfig,
    /// What belongs to single models, by their names.
    pub profiles: BTreeMap<String, ModelProfile>,
    /// The reply queue.
    pub chat: ChatConfig,
    /// What texts are classified by, beside the rules.
    pub moderation: ModerationConfig,
    /// How long what is nobody's any more is kept.
    pub privacy: PrivacyConfig,
    /// The Discord bot.
    pub discord: DiscordConfig,
    /// Where our engine is served to others.
    pub worker: WorkerConfig,
    /// What is logged, and where to.
    pub telemetry: TelemetryConfig,
    settings: Vec<Setting>,
}

impl Config {
    /// Every effective setting with where it came from, by key; secrets masked.
    pub fn describe(&self) -> &[Setting] {
        &self.settings
    }

    /// What belongs to the configured model; nothing where nobody said anything.
    pub fn profile(&self) -> ModelProfile {
        self.profiles.get(&self.model.name).cloned().unwrap_or_default()
    }

    /// How replies of the configured model are written: as its profile says, else as the
    /// house does.
    pub fn generation_of_model(&self) -> GenerationConfig {
        self.generation.clone().with_profile(&self.profile())
    }

    /// Where the private database server keeps its files.
    pub fn database_dir(&self) -> PathBuf {
        self.data_dir.join("postgres")
    }

    /// Where keys and values of idle conversations lie.
    pub fn kv_cache_dir(&self) -> PathBuf {
        self.data_dir.join("kv-cache")
    }

    /// Where pulled models lie.
    pub fn models_dir(&self) -> PathBuf {
        self.data_dir.join("models")
    }

    /// Where classifiers of the hub lie.
    pub fn classifiers_dir(&self) -> PathBuf {
        self.data_dir.join("classifiers")
    }
}
