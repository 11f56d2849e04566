//! Puts the layers together and checks the result.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use config::ConfigError as Cause;
use serde::Deserialize;

use super::environment::CONFIG_FILE;
use super::layers::{self, Layer, Override};
use super::{
    Auto, ChatConfig, Config, ConfigError, DatabaseConfig, DiscordConfig, EngineConfig,
    Environment, FetchConfig, GenerationConfig, Invalid, LoreConfig, ModelConfig, ModelProfile,
    ModerationConfig, PrivacyConfig, TelemetryConfig, WorkerConfig, WorkersConfig, data_dir,
    describe, known, measured, worker,
};

/// The file that is read if nobody names another and it is there.
const DEFAULT_FILE: &str = "dramatis.toml";

/// Where settings come from.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// The file that the command line names.
    pub config_file: Option<PathBuf>,
    /// What the command line says; later ones win.
    pub overrides: Vec<Override>,
    /// The process environment.
    pub environment: Environment,
    /// Where relative paths start.
    pub working_dir: PathBuf,
}

/// The tree as it is written down, before paths are resolved.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sections {
    data_dir: String,
    database: DatabaseConfig,
    model: ModelConfig,
    fetch: FetchConfig,
    engine: EngineConfig,
    workers: WorkersConfig,
    generation: GenerationConfig,
    lore: LoreConfig,
    profiles: BTreeMap<String, ModelProfile>,
    chat: ChatConfig,
    moderation: ModerationConfig,
    privacy: PrivacyConfig,
    discord: DiscordConfig,
    worker: WorkerConfig,
    telemetry: TelemetryConfig,
}

impl Config {
    /// Every key with its default and what it means, as a TOML file.
    pub const DEFAULTS: &str = include_str!("../../config/default.toml");

    /// Reads and checks all settings.
    ///
    /// # Errors
    /// [`ConfigError`] names the key, where it stood and what is allowed.
    pub fn load(options: &LoadOptions) -> Result<Self, ConfigError> {
        let defaults =
            layers::from_toml(Self::DEFAULTS, "default").expect("the embedded file is TOML");
        let mut over = Vec::new();
        if let Some(path) = config_file(options) {
            over.push(read(&path)?);
        }
        over.push(layers::from_environment(&options.environment, &defaults));
        let overrides = layers::from_overrides(&options.overrides, &defaults);
        refuse_secrets(&overrides)?;
        over.push(overrides);
        for layer in &over {
            known::check(layer, &defaults)?;
        }
        let merged = merge(&defaults, over);
        let settings = describe::settings(&merged);
        let sections: Sections =
            merged.clone().try_deserialize().map_err(|cause| type_error(&merged, cause))?;
        let mut config = sections.resolve(options, settings)?;
        measured::add_to(&mut config)?;
        config.fetch.resolve(&options.environment);
        config.workers.resolve(&options.environment, &options.working_dir);
        config.discord.resolve(&options.environment, &options.working_dir);
        config.worker.resolve(&options.environment, &options.working_dir);
        config.moderation.resolve(&options.environment, &options.working_dir);
        config.privacy.resolve(&options.environment, &options.working_dir);
        config.validate().map_err(|invalid| {
            let origin = origin_of(&merged, &invalid.key);
            ConfigError::Invalid { origin, invalid }
        })?;
        Ok(config)
    }

    fn validate(&self) -> Result<(), Invalid> {
        self.database.validate()?;
        self.model.validate()?;
        self.fetch.validate()?;
        self.engine.validate()?;
        self.workers.validate()?;
        self.generation.validate()?;
        self.lore.validate()?;
        for (name, profile) in &self.profiles {
            profile.validate(name, &self.generation.max_tokens)?;
        }
        self.chat.validate()?;
        self.moderation.validate()?;
        self.privacy.validate()?;
        self.discord.validate()?;
        self.worker.validate()?;
        self.telemetry.validate()
    }
}

impl Sections {
    /// Makes paths absolute, starting from the home or the working directory.
    fn resolve(
        self,
        options: &LoadOptions,
        settings: Vec<super::Setting>,
    ) -> Result<Config, ConfigError> {
        let LoadOptions { environment, working_dir, .. } = options;
        let mut config = Config {
            data_dir: data_dir::resolve(&self.data_dir, environment, working_dir)?,
            database: self.database,
            model: self.model,
            fetch: self.fetch,
            engine: self.engine,
            generation: self.generation,
            lore: self.lore,
            profiles: self.profiles,
            chat: self.chat,
            moderation: self.moderation,
            privacy: self.privacy,
            workers: self.workers,
            discord: self.discord,
            worker: self.worker,
            telemetry: self.telemetry,
            settings,
        };
        environment.place(&mut config.telemetry.file, working_dir);
        for profile in config.profiles.values_mut() {
            if let Some(template) = &mut profile.template
                && template.starts_with('~')
            {
                *template = environment.expand_home(template).to_string_lossy().into_owned();
            }
        }
        if let Auto::Set(template) = &mut config.model.template
            && template.starts_with('~')
        {
            *template = environment.expand_home(template).to_string_lossy().into_owned();
        }
        for adapter in config.model.adapters.iter_mut().filter(|a| !a.path.as_os_str().is_empty()) {
            let path = environment.expand_home(&adapter.path.to_string_lossy());
            adapter.path = working_dir.join(path);
        }
        if config.model.name.starts_with('~') {
            let path = environment.expand_home(&config.model.name);
            config.model.name = path.to_string_lossy().into_owned();
        }
        Ok(config)
    }
}

/// Fails where the command line says what every user of the machine could read
/// there.
fn refuse_secrets(overrides: &Layer) -> Result<(), ConfigError> {
    let secrets = [
        ("discord.token", "DISCORD_TOKEN"),
        ("moderation.api_key", "DRAMATIS_MODERATION__API_KEY"),
        ("worker.api_key", worker::API_KEY),
        ("workers.api_key", "DRAMATIS_WORKERS__API_KEY"),
    ];
    let given = |(key, _): &(&str, &str)| layers::lookup(&overrides.0, key).is_some();
    match secrets.into_iter().find(given) {
        Some((key, variable)) => Err(ConfigError::OnCommandLine { key, variable }),
        None => Ok(()),
    }
}

/// The file to read: the one that is named, or the default one if it is there.
fn config_file(options: &LoadOptions) -> Option<PathBuf> {
    let named = options.config_file.clone();
    let named = named.or_else(|| options.environment.get(CONFIG_FILE).map(PathBuf::from));
    let path = |path: &Path| options.working_dir.join(path);
    match named {
        Some(named) => Some(path(&named)),
        None => Some(path(Path::new(DEFAULT_FILE))).filter(|path| path.is_file()),
    }
}

fn read(path: &Path) -> Result<Layer, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.into(), source })?;
    layers::from_toml(&text, &path.display().to_string())
}

fn merge(defaults: &Layer, over: Vec<Layer>) -> config::Config {
    let start = config::Config::builder().add_source(defaults.clone());
    let builder = over.into_iter().fold(start, |builder, layer| builder.add_source(layer));
    builder.build().expect("known keys are plain identifiers")
}

/// Where the value of `key` stood.
fn origin_of(merged: &config::Config, key: &str) -> String {
    let config::ValueKind::Table(table) = &merged.cache.kind else {
        return String::new();
    };
    let origin = layers::lookup(table, key).and_then(|value| value.origin());
    origin.unwrap_or("configuration").to_owned()
}

fn type_error(merged: &config::Config, cause: Cause) -> ConfigError {
    let (key, problem) = match cause {
        Cause::Type { key, unexpected, expected, .. } => {
            (key, format!("is {unexpected}, but must be {expected}"))
        }
        Cause::At { key, error, .. } => (key, format!("cannot be used: {error}")),
        other => (None, other.to_string()),
    };
    let key = key.unwrap_or_default();
    ConfigError::Type { origin: origin_of(merged, &key), key, problem }
}
