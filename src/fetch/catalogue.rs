//! Models that can be pulled by name: `config/models.toml`.

use std::sync::LazyLock;

use serde::Deserialize;

use super::{Artifact, Digest, Source};

const MODELS: &str = include_str!("../../config/models.toml");

/// A model that can be pulled by name.
#[derive(Debug, Clone)]
pub struct KnownModel {
    /// Its name.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// Its licence, as SPDX names it.
    pub licence: String,
    /// The name of its file.
    pub file: String,
    /// Where the file can be had.
    pub artifact: Artifact,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    model: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    description: String,
    licence: String,
    file: String,
    size_bytes: u64,
    sha256: Digest,
    sources: Vec<String>,
    wheel_bytes: Option<u64>,
}

static KNOWN: LazyLock<Vec<KnownModel>> = LazyLock::new(|| {
    let catalogue: Catalogue = toml::from_str(MODELS).expect("the embedded catalogue is valid");
    catalogue.model.into_iter().map(KnownModel::from).collect()
});

/// All models that can be pulled by name.
pub fn known_models() -> &'static [KnownModel] {
    &KNOWN
}

/// The model of this name.
pub fn known_model(name: &str) -> Option<&'static KnownModel> {
    KNOWN.iter().find(|model| model.name == name)
}

impl From<Entry> for KnownModel {
    fn from(entry: Entry) -> Self {
        let source = |text: &String| -> Source {
            text.parse().expect("the embedded catalogue names valid sources")
        };
        Self {
            artifact: Artifact {
                name: entry.name.clone(),
                sources: entry.sources.iter().map(source).collect(),
                sha256: Some(entry.sha256),
                size_bytes: Some(entry.size_bytes),
                wheel_bytes: entry.wheel_bytes,
            },
            name: entry.name,
            description: entry.description,
            licence: entry.licence,
            file: entry.file,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_model_is_pinned_and_named_once() {
        assert!(known_model("smollm2-135m-instruct").is_some());
        for model in known_models() {
            assert!(model.artifact.sha256.is_some() && !model.artifact.sources.is_empty());
            for source in &model.artifact.sources {
                assert_eq!(source.file_name(), Some(model.file.as_str()));
            }
            let same = known_models().iter().filter(|other| other.name == model.name);
            assert_eq!(same.count(), 1);
        }
    }
}
