//! A model of this machine: a text classifier as transformers keeps them.
//!
//! One question at a time has its turn, for a step of at most one full window, so that a long
//! text keeps nobody waiting for longer than that. Invariant: whatever goes wrong in between is an
//! error of the whole question.

mod attention;
mod config_json;
mod encoder;
pub(super) mod hub;
mod labels;
mod relative;
#[cfg(test)]
mod tests;
mod tokenizer;
mod windows;

use std::path::Path;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::watch::Watch;
use super::{ClassifierError, Scores, keep_highest};

use config_json::{ConfigJson, ProblemType};
use encoder::Encoder;
pub use labels::Labels;
use windows::{Window, Windows};

/// What a model's directory holds.
const CONFIG_FILE: &str = "config.json";
const TOKENIZER_FILE: &str = "tokenizer.json";
/// Instead of that, of BERT's older models.
const VOCABULARY_FILE: &str = "vocab.txt";
const VOCABULARY_CONFIG_FILE: &str = "tokenizer_config.json";
const WEIGHTS_FILE: &str = "model.safetensors";

/// The way to the model.
pub(super) struct Local {
    model: Arc<Model>,
    turn: Arc<Semaphore>,
}

/// What is computed with.
struct Model {
    windows: Windows,
    encoder: Encoder,
    labels: Labels,
    problem_type: ProblemType,
}

/// A question that is answered step by step.
struct Reading {
    texts: Vec<String>,
    /// What is still to be computed; `None` before the texts were cut.
    windows: Option<Vec<Window>>,
    found: Vec<Scores>,
}

impl Local {
    /// The model in that directory. Blocks.
    pub(super) fn open(directory: &Path) -> Result<Self, ClassifierError> {
        let model = Arc::new(Model::open(directory)?);
        Ok(Self { model, turn: Arc::new(Semaphore::new(1)) })
    }

    pub(super) fn labels(&self) -> &Labels {
        &self.model.labels
    }

    /// The scores of each text; none of one that is blank.
    pub(super) async fn scores(
        &self,
        texts: &[&str],
        watch: &Watch,
    ) -> Result<Vec<Scores>, ClassifierError> {
        let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
        let found = vec![Scores::new(); texts.len()];
        let mut reading = Reading { texts, windows: None, found };
        while !reading.is_done() {
            reading = watch.over(self.step(reading)).await?;
        }
        Ok(reading.found)
    }

    /// The next step, when it is its turn. One that is given up while it computes keeps the
    /// turn until it is done.
    async fn step(&self, mut reading: Reading) -> Result<Reading, ClassifierError> {
        let turn = self.turn.clone().acquire_owned().await.expect("it is never closed");
        let model = self.model.clone();
        let step = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            model.advance(&mut reading).map(|()| reading)
        });
        step.await.map_err(|_| ClassifierError::Broken("broke down"))?
    }
}

impl Reading {
    fn is_done(&self) -> bool {
        self.texts.is_empty() || self.windows.as_ref().is_some_and(Vec::is_empty)
    }
}

impl Model {
    fn open(directory: &Path) -> Result<Self, ClassifierError> {
        let config = ConfigJson::read(&directory.join(CONFIG_FILE))?;
        let labels = Labels::read(&config.labels, &directory.join(CONFIG_FILE))?;
        let windows = Windows::open(directory, config.max_window())?;
        let encoder = Encoder::load(&directory.join(WEIGHTS_FILE), &config)?;
        Ok(Self { windows, encoder, labels, problem_type: config.problem_type })
    }

    /// Cuts the texts, if that was not done, and computes one batch.
    fn advance(&self, reading: &mut Reading) -> Result<(), ClassifierError> {
        let windows = match &mut reading.windows {
            Some(windows) => windows,
            None => reading.windows.insert(self.cut(&reading.texts)?),
        };
        let batch = self.windows.take_batch(windows);
        if batch.is_empty() {
            return Ok(());
        }
        let ids: Vec<&[u32]> = batch.iter().map(|window| window.ids.as_slice()).collect();
        let logits = self.encoder.logits(&ids);
        let logits = logits.map_err(|_| ClassifierError::Broken("could not compute"))?;
        for (window, logits) in batch.iter().zip(&logits) {
            // What is no number is above no threshold.
            if !logits.iter().all(|logit| logit.is_finite()) {
                return Err(ClassifierError::Broken("computed something that is no number"));
            }
            let probabilities = self.problem_type.probabilities(logits);
            keep_highest(&mut reading.found[window.text], self.labels.scores(&probabilities));
        }
        Ok(())
    }

    /// The windows of all texts.
    fn cut(&self, texts: &[String]) -> Result<Vec<Window>, ClassifierError> {
        let cut = texts.iter().enumerate().map(|(index, text)| self.windows.cut(index, text));
        Ok(cut.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }
}
