//! What texts are: a server with OpenAI's moderation endpoint is asked, or a model of this
//! machine.
//!
//! It tells categories and decides nothing. Texts go into questions and nowhere else: neither
//! logs nor errors hold any of them, nor of a server's words. Invariant: an error says that
//! nothing is known, never that a text is fine.

mod error;
mod known;
mod local;
mod server;
mod watch;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::config::{ClassifierPlace, ModerationConfig};
use crate::fetch::{Fetcher, Progress};
use crate::moderation::{Categories, Category, Thresholds};
use crate::telemetry::metrics::Metrics;

pub use error::ClassifierError;
pub use local::Labels;

use known::{Digest, Known};
use local::{Local, hub};
use server::Server;
use watch::Watch;

/// How sure it is that a text is something, from 0 to 1.
type Scores = BTreeMap<Category, f64>;

/// Scores of one text and of another part of it: the highest count.
fn keep_highest(scores: &mut Scores, others: Scores) {
    for (category, other) in others {
        let score = scores.entry(category).or_insert(other);
        *score = score.max(other);
    }
}

/// Whoever is asked, and what was found lately.
pub struct Classifier {
    way: Way,
    watch: Watch,
    thresholds: Thresholds,
    known: Mutex<Known>,
}

/// Who is asked.
enum Way {
    Server(Server),
    Local(Local),
}

impl fmt::Debug for Classifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Classifier").field("name", &self.name()).finish_non_exhaustive()
    }
}

/// Brings the configured model to below `models`, where one of the hub is configured and is
/// not there yet. Blocks.
///
/// # Errors
/// It cannot be fetched, or is none that could be used.
pub fn fetch_model(
    config: &ModerationConfig,
    models: &Path,
    fetcher: &Fetcher,
    progress: &dyn Progress,
) -> Result<(), ClassifierError> {
    match config.classifier() {
        Some(ClassifierPlace::Hub(name)) => hub::fetch(name, models, fetcher, progress),
        _ => Ok(()),
    }
}

impl Classifier {
    /// The configured classifier; `None` where there is to be none. Models of the hub lie below
    /// `models`. Blocks: a model of this machine is loaded.
    ///
    /// # Errors
    /// The settings say something impossible, the key's file cannot be read, or the model is
    /// not there or cannot be used.
    pub fn open(
        config: &ModerationConfig,
        models: &Path,
        metrics: Arc<Metrics>,
    ) -> Result<Option<Arc<Self>>, ClassifierError> {
        let Some(place) = config.classifier() else { return Ok(None) };
        let thresholds = Thresholds::new(&config.thresholds).map_err(|wrong| {
            ClassifierError::Settings(format!("moderation.thresholds: {wrong}"))
        })?;
        let (name, way) = match place {
            ClassifierPlace::Server(address) => {
                let server = Server::new(address, config)?;
                (server.url().to_owned(), Way::Server(server))
            }
            ClassifierPlace::Hub(name) => {
                (name.to_owned(), Way::Local(Local::open(&hub::directory(name, models)?)?))
            }
            ClassifierPlace::Directory(directory) if !directory.is_dir() => {
                return Err(ClassifierError::Settings(format!(
                    "moderation.classifier: there is no directory {}; a model of the hub is \
                     written hf:OWNER/REPO",
                    directory.display()
                )));
            }
            ClassifierPlace::Directory(directory) => {
                (directory.display().to_string(), Way::Local(Local::open(directory)?))
            }
        };
        Ok(Some(Arc::new(Self {
            way,
            watch: Watch::new(name, config.timeout(), metrics),
            thresholds,
            known: Mutex::default(),
        })))
    }

    /// Who is asked: a server's address, or a model as it was configured.
    pub fn name(&self) -> &str {
        self.watch.name()
    }

    /// What a model of this machine tells; a server's is not known before it is asked.
    pub fn labels(&self) -> Option<&Labels> {
        match &self.way {
            Way::Server(_) => None,
            Way::Local(local) => Some(local.labels()),
        }
    }

    /// What each of these texts is. One that was asked for lately is not asked for again.
    ///
    /// # Errors
    /// Nobody can be asked, or the answer cannot be read; nothing is known then.
    pub async fn classify(&self, texts: &[&str]) -> Result<Vec<Categories>, ClassifierError> {
        let digests: Vec<Digest> = texts.iter().map(|text| Digest::of(text)).collect();
        let mut found: Vec<Option<Categories>> = {
            let known = self.known.lock().expect("no holder panics");
            digests.iter().map(|digest| known.get(digest)).collect()
        };
        let fresh = found.iter().zip(texts).filter(|(known, _)| known.is_none());
        let fresh: Vec<&str> = fresh.map(|(_, text)| *text).collect();
        let scores = match &self.way {
            Way::Server(server) => server.scores(&fresh, &self.watch).await?,
            Way::Local(local) => local.scores(&fresh, &self.watch).await?,
        };
        let unknown = found.iter_mut().filter(|known| known.is_none());
        for (unknown, scores) in unknown.zip(scores) {
            *unknown = Some(self.reached(&scores));
        }
        let found: Vec<_> = found.into_iter().map(|it| it.expect("each was asked for")).collect();
        let mut known = self.known.lock().expect("no holder panics");
        for (digest, categories) in digests.into_iter().zip(&found) {
            known.insert(digest, categories.clone());
        }
        Ok(found)
    }

    fn reached(&self, scores: &Scores) -> Categories {
        let reached = scores.iter().filter(|&(it, score)| self.thresholds.is_reached(*it, *score));
        reached.map(|(category, _)| *category).collect()
    }
}
