//! The classifier that the settings name.

use std::sync::Arc;

use anyhow::Context as _;

use super::{Ground, StartStep};
use crate::classifier::{Classifier, ClassifierError, fetch_model};
use crate::config::{ClassifierPlace, Config};
use crate::moderation::Category;

/// The configured classifier, fetched if it has to be; `None` where there is to be none.
/// Blocks.
///
/// # Errors
/// It cannot be fetched, or cannot be used.
pub fn load(config: &Config, ground: &Ground) -> Result<Option<Arc<Classifier>>, ClassifierError> {
    let (moderation, models) = (&config.moderation, config.classifiers_dir());
    if let Some(ClassifierPlace::Hub(_) | ClassifierPlace::Directory(_)) = moderation.classifier() {
        (ground.on_step)(StartStep::Classifier);
    }
    fetch_model(moderation, &models, &ground.fetcher, &*ground.fetch_progress)?;
    let classifier = Classifier::open(moderation, &models, ground.metrics.clone())?;
    if let Some((name, labels)) = classifier.as_ref().and_then(|it| Some((it.name(), it.labels()?)))
    {
        let told: Vec<_> = labels.categories().into_iter().map(Category::as_str).collect();
        let ignored = labels.ignored();
        tracing::info!(classifier = name, ?told, ?ignored, "classifier.loaded");
    }
    Ok(classifier)
}

/// The same beside everything else.
///
/// # Errors
/// As [`load`].
pub(super) async fn start(
    config: &Config,
    ground: &Ground,
) -> anyhow::Result<Option<Arc<Classifier>>> {
    let (config, ground) = (config.clone(), ground.clone());
    let loaded = tokio::task::spawn_blocking(move || load(&config, &ground)).await;
    Ok(loaded.context("loading the classifier broke down")??)
}
