//! What every command starts from: the settings and the environment.

use std::path::PathBuf;

use anyhow::Context as _;

use super::GlobalArgs;
use crate::config::{Auto, Config, ConfigError, Environment, LoadOptions, LogFormat, Override};
use crate::fetch::{FetchOptions, Fetcher, ModelStore};
use crate::telemetry::logging::{self, LogOptions};

/// The settings in force, and where they were found.
#[derive(Debug, Clone)]
pub struct Session {
    /// The settings.
    pub config: Config,
    /// The process environment.
    pub environment: Environment,
    options: LoadOptions,
    verbose: u8,
}

/// Where log lines go if `telemetry.file` does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogDestination {
    /// Standard error, and only what is wrong: for commands that end soon.
    Quiet,
    /// Standard error.
    Stderr,
    /// This file of the data directory's `logs`: for a command that owns the
    /// screen.
    File(&'static str),
}

impl Session {
    /// Loads the settings.
    ///
    /// # Errors
    /// [`ConfigError`] says what is wrong with which of them.
    pub fn open(global: &GlobalArgs) -> Result<Self, ConfigError> {
        Self::open_with(global, Vec::new())
    }

    /// The same, with settings that a command's own arguments change; they win.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub fn open_with(global: &GlobalArgs, own: Vec<Override>) -> Result<Self, ConfigError> {
        let environment = Environment::from_process();
        let mut overrides = Vec::new();
        if let Some(dir) = &global.data_dir {
            overrides.push(Override::flag("--data-dir", "data_dir", dir.to_string_lossy()));
        }
        for text in &global.set {
            overrides.push(Override::parse(text)?);
        }
        overrides.extend(own);
        let options = LoadOptions {
            config_file: global.config.clone(),
            overrides,
            environment: environment.clone(),
            working_dir: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
        };
        let config = Config::load(&options)?;
        Ok(Self { config, environment, options, verbose: global.verbose })
    }

    /// The settings as they are written down now.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub fn reopened(&self) -> Result<Self, ConfigError> {
        Ok(Self { config: Config::load(&self.options)?, ..self.clone() })
    }

    /// Starts logging as the settings and `-v` say.
    ///
    /// # Errors
    /// If the log's file cannot be written.
    pub fn start_logging(&self, destination: LogDestination) -> anyhow::Result<()> {
        let telemetry = &self.config.telemetry;
        let own = match destination {
            LogDestination::File(name) => Some(self.config.data_dir.join("logs").join(name)),
            LogDestination::Quiet | LogDestination::Stderr => None,
        };
        let options = LogOptions {
            filter: self.log_filter(destination),
            json: telemetry.format == LogFormat::Json,
            file: match &telemetry.file {
                Auto::Set(path) => Some(path.clone()),
                Auto::Auto => own,
            },
            color: !self.environment.no_color(),
        };
        logging::start(&options).context("cannot start logging")
    }

    /// `-v` adds to what is configured; a command that ends soon is quiet unless
    /// somebody chose a filter.
    fn log_filter(&self, destination: LogDestination) -> String {
        let configured = &self.config.telemetry.filter;
        let is_default = |setting: &crate::config::Setting| {
            setting.key == "telemetry.filter" && setting.origin == "default"
        };
        match self.verbose {
            0 if destination != LogDestination::Quiet => configured.clone(),
            0 if self.config.describe().iter().any(is_default) => "warn".into(),
            0 => configured.clone(),
            1 => format!("{configured},dramatis=debug"),
            _ => format!("{configured},dramatis=trace"),
        }
    }

    /// The pulled models.
    pub fn models(&self) -> ModelStore {
        ModelStore::new(self.config.models_dir())
    }

    /// What brings files here, as configured.
    pub fn fetcher(&self) -> Fetcher {
        let fetch = &self.config.fetch;
        Fetcher::new(FetchOptions {
            python: fetch.python.set().cloned(),
            hub_endpoint: fetch.hub_endpoint.set().cloned(),
            hub_token: fetch.hub_token().cloned(),
        })
    }
}
