//! Which model is measured, and how it is computed with: the settings, with what
//! the command line says in their place.
//!
//! Every bench starts from [`ModelArgs::session`], so that `--set` and the flags
//! mean the same everywhere; [`ModelArgs::house_session`] is for a bench that keeps the
//! disk cache.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use serde::Deserialize as _;
use serde::de::value::{Error, StrDeserializer};

use super::super::{Session, model};
use super::whole;
use crate::config::{Auto, Weights};
use crate::model::ModelFile;

/// Which model is measured, and how it is computed with.
#[derive(Debug, Clone, Default, Args)]
pub struct ModelArgs {
    /// The model: a name or a path; without it, the configured one, fetched if absent
    #[arg(long, value_name = "FILE")]
    pub(super) model: Option<String>,
    /// Threads that compute, in place of engine.threads
    #[arg(long, value_name = "N", value_parser = whole::<1, 1024>)]
    pub(super) threads: Option<usize>,
    /// The form of the weights, in place of model.weights: stored, q8_0, bf16 or f32
    #[arg(long, value_name = "FORM")]
    pub(super) weights: Option<WeightsChoice>,
}

impl ModelArgs {
    /// The session with these choices in its settings, and without a disk cache: the
    /// configured one holds people's conversations, and what a bench computes would push
    /// them out.
    pub(super) fn session(&self, session: &Session) -> Session {
        let mut session = self.house_session(session);
        session.config.engine.disk_cache_mib = 0;
        session
    }

    /// The session with these choices and the configured disk cache, for a bench that has
    /// a data directory of its own.
    pub(super) fn house_session(&self, session: &Session) -> Session {
        let mut session = session.clone();
        let config = &mut session.config;
        if let Some(model) = &self.model {
            config.model.name.clone_from(model);
        }
        if let Some(threads) = self.threads {
            config.engine.threads = Auto::Set(threads);
        }
        if let Some(choice) = &self.weights {
            config.model.weights = choice.weights;
        }
        session
    }

    /// The same choices as arguments, for a process that is to make them too.
    pub(super) fn to_arguments(&self) -> Vec<OsString> {
        let mut arguments = Vec::new();
        let mut push = |flag: &str, value: Option<String>| {
            arguments.extend(value.into_iter().flat_map(|value| [flag.into(), value.into()]));
        };
        push("--model", self.model.clone());
        push("--threads", self.threads.map(|threads| threads.to_string()));
        push("--weights", self.weights.as_ref().map(ToString::to_string));
        arguments
    }
}

/// A value of `model.weights`, with the word for it.
#[derive(Debug, Clone)]
pub(super) struct WeightsChoice {
    word: String,
    weights: Weights,
}

impl FromStr for WeightsChoice {
    type Err = Error;

    /// Read as the settings read it, so that there is one list of choices.
    fn from_str(word: &str) -> Result<Self, Error> {
        let weights = Weights::deserialize(StrDeserializer::new(word))?;
        Ok(Self { word: word.to_owned(), weights })
    }
}

impl fmt::Display for WeightsChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.word)
    }
}

/// Where the session's model is; it is fetched if it is not here yet.
pub(super) fn model_path(session: &Session) -> anyhow::Result<PathBuf> {
    let path = model::path(session)?;
    Ok(std::path::absolute(&path).unwrap_or(path))
}

/// The most tokens of a sequence, as the settings and the model at `path` say; of the
/// model only its header is read.
pub(super) fn context_tokens(session: &Session, path: &Path) -> anyhow::Result<usize> {
    let of_model = ModelFile::open(path)?.config().context_length;
    Ok(allowed_context(session, of_model))
}

/// What the settings leave of a model's context.
pub(super) fn allowed_context(session: &Session, of_model: usize) -> usize {
    match session.config.model.context_tokens {
        Auto::Set(tokens) => tokens.min(of_model),
        Auto::Auto => of_model,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_chosen_as_in_the_settings() {
        let choice: WeightsChoice = "q8_0".parse().unwrap();
        assert_eq!((choice.weights, choice.to_string().as_str()), (Weights::Q8, "q8_0"));
        let error = "q9".parse::<WeightsChoice>().unwrap_err().to_string();
        assert!(error.contains("q9") && error.contains("`stored`"), "{error}");
    }
}
