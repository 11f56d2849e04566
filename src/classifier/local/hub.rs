//! Models of the hub: fetched once, and found again.

use std::path::{Path, PathBuf};

use super::super::ClassifierError;
use super::config_json::ConfigJson;
use super::{
    CONFIG_FILE, Labels, TOKENIZER_FILE, VOCABULARY_CONFIG_FILE, VOCABULARY_FILE, WEIGHTS_FILE,
};
use crate::fetch::{Artifact, Fetcher, Progress, Repository};

/// Where the model of that name lies.
pub(in crate::classifier) fn directory(
    name: &str,
    models: &Path,
) -> Result<PathBuf, ClassifierError> {
    let directory = models.join(repository(name)?.path());
    match is_whole(&directory) {
        true => Ok(directory),
        false => Err(ClassifierError::NotHere(name.to_owned())),
    }
}

/// Brings the model of that name to where it lies, unless it is there.
pub(in crate::classifier) fn fetch(
    name: &str,
    models: &Path,
    fetcher: &Fetcher,
    progress: &dyn Progress,
) -> Result<(), ClassifierError> {
    let repository = repository(name)?;
    let directory = models.join(repository.path());
    if is_whole(&directory) {
        return Ok(());
    }
    let bring = |file: &str| {
        let path = directory.join(file);
        let artifact = Artifact::unpinned(file, repository.file(file));
        let fetched = fetcher.fetch(&artifact, &path, progress);
        fetched.map(|_| path).map_err(|error| ClassifierError::of_fetching(name, &error))
    };
    // The largest comes last: what cannot be used is known before.
    let config = bring(CONFIG_FILE)?;
    Labels::read(&ConfigJson::read(&config)?.labels, &config)?;
    if let Err(error) = bring(TOKENIZER_FILE) {
        let older = bring(VOCABULARY_CONFIG_FILE).and_then(|_| bring(VOCABULARY_FILE));
        older.map_err(|_| error)?;
    }
    bring(WEIGHTS_FILE)?;
    Ok(())
}

fn repository(name: &str) -> Result<Repository, ClassifierError> {
    let unfit = |wrong| ClassifierError::Settings(format!("moderation.classifier: {wrong}"));
    name.parse().map_err(unfit)
}

/// Whether all is there: each file stands under its name when it is whole.
fn is_whole(directory: &Path) -> bool {
    let is_there = |file: &str| directory.join(file).is_file();
    // Of the two files of a vocabulary the list comes last.
    let has_tokenizer = is_there(TOKENIZER_FILE) || is_there(VOCABULARY_FILE);
    has_tokenizer && is_there(CONFIG_FILE) && is_there(WEIGHTS_FILE)
}
