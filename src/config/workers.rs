//! `[workers]`: where replies are written.

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

use super::error::require;
use super::{Auto, ConfigError, Environment, Invalid, secret};

/// Where replies are written, and how patient the pool is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkersConfig {
    on: Auto<String>,
    api_key: SecretString,
    /// The file that holds the key, if one does.
    pub api_key_file: Auto<PathBuf>,
    /// Which of a server's models; `Auto` is the first that it names.
    pub remote_model: Auto<String>,
    /// Requests that a server is given at once; `Auto` is what it says itself.
    pub remote_requests: Auto<usize>,
    /// What prompts for servers are counted with; `Auto` is the tokenizer of `model.name`.
    pub tokenizer: Auto<PathBuf>,
    /// The library that compiles kernels for NVIDIA's GPUs; `Auto` is the system's, else one
    /// that is fetched.
    pub nvrtc: Auto<PathBuf>,
    /// How long a request waits for a worker to become ready, in seconds.
    pub patience_s: u64,
    /// How long a worker with work may stand still, in seconds.
    pub stall_s: u64,
    /// How long a worker that is to be exchanged may finish what it has, in seconds.
    pub drain_s: u64,
}

/// One place for a worker, as it is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerPlace {
    /// `cpu`.
    Cpu,
    /// `cuda:N`.
    Cuda(usize),
    /// `metal:N`.
    Metal(usize),
    /// A server's address.
    Remote(String),
}

impl WorkerPlace {
    fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            None => (text == "cpu").then_some(Self::Cpu),
            Some(("cuda", index)) => index.parse().ok().map(Self::Cuda),
            Some(("metal", index)) => index.parse().ok().map(Self::Metal),
            Some(("http" | "https", _)) => Some(Self::Remote(text.to_owned())),
            Some(_) => None,
        }
    }
}

impl WorkersConfig {
    /// Where workers run; `None` leaves it to the program: each GPU, else the CPU.
    pub fn places(&self) -> Option<Vec<WorkerPlace>> {
        let on = self.on.set()?;
        Some(words(on).filter_map(WorkerPlace::parse).collect())
    }

    /// Whether all replies are written elsewhere.
    pub fn are_all_remote(&self) -> bool {
        self.places().is_some_and(|places| {
            places.iter().all(|place| matches!(place, WorkerPlace::Remote(_)))
        })
    }

    /// What servers want as a bearer token: what is set, else what the named file holds.
    ///
    /// # Errors
    /// [`ConfigError::Secret`] if there should be a file and it cannot be read.
    pub fn api_key(&self) -> Result<Option<SecretString>, ConfigError> {
        secret::set_or_read(&self.api_key, "workers.api_key_file", &self.api_key_file)
    }

    /// How long a request waits for a worker to become ready.
    pub fn patience(&self) -> Duration {
        Duration::from_secs(self.patience_s)
    }

    /// How long a worker with work may stand still.
    pub fn stall(&self) -> Duration {
        Duration::from_secs(self.stall_s)
    }

    /// How long a worker that is to be exchanged may finish what it has.
    pub fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_s)
    }

    /// Makes paths absolute.
    pub(super) fn resolve(&mut self, environment: &Environment, working_dir: &Path) {
        for path in [&mut self.api_key_file, &mut self.tokenizer, &mut self.nvrtc] {
            environment.place(path, working_dir);
        }
    }

    pub(super) fn validate(&self) -> Result<(), Invalid> {
        if let Auto::Set(on) = &self.on {
            for word in words(on) {
                require(
                    WorkerPlace::parse(word).is_some(),
                    "workers.on",
                    word,
                    "\"auto\", or a list of cpu, cuda:0, metal:0 and addresses such as \
                     http://host:8080, with commas between them",
                )?;
            }
            require(
                words(on).next().is_some(),
                "workers.on",
                on,
                "\"auto\" or at least one place",
            )?;
        }
        if let Auto::Set(most) = self.remote_requests {
            require(
                (1..=4096).contains(&most),
                "workers.remote_requests",
                most,
                "\"auto\" or a number from 1 to 4096",
            )?;
        }
        for (key, seconds) in [
            ("workers.patience_s", self.patience_s),
            ("workers.stall_s", self.stall_s),
            ("workers.drain_s", self.drain_s),
        ] {
            require(
                (1..=3600).contains(&seconds),
                key,
                seconds,
                "a number of seconds from 1 to 3600",
            )?;
        }
        Ok(())
    }
}

fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|word| !word.is_empty())
}
