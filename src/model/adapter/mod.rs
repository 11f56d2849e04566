//! LoRA adapters of PEFT (Hu et al. 2021, arXiv:2106.09685): an `adapter_config.json`
//! with an `adapter_model.safetensors`, whose product of two thin matrices is added to
//! each matrix of a base.
//!
//! Everything is checked against the base before a weight is read: what the settings say
//! is adapted is there, and nothing else is. Weights are read matrix by matrix.

mod adaptation;
mod config;
mod delta;
mod fit;
mod summed;
mod targets;
mod tensors;

use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{ModelError, fingerprint};
use config::AdapterConfig;
use tensors::{AdapterTensors, Part};

pub(super) use adaptation::Adaptation;
pub(super) use delta::{Delta, DeltaRows};
pub(super) use summed::{Adapted, Summed};

const CONFIG: &str = "adapter_config.json";
const TENSORS: &str = "adapter_model.safetensors";
const PICKLED: &str = "adapter_model.bin";

/// An adapter to be added to a model.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterOptions {
    /// The directory with `adapter_config.json` and `adapter_model.safetensors`.
    pub path: PathBuf,
    /// What its update is multiplied with beside its own scale; 1 is as it was trained.
    pub scale: f32,
}

/// An opened adapter: settings and names of tensors, no weights.
#[derive(Debug)]
pub struct Adapter {
    path: PathBuf,
    config_path: PathBuf,
    config: AdapterConfig,
    tensors: AdapterTensors,
}

/// What an adapter is, for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AdapterInfo {
    /// Its directory.
    pub path: PathBuf,
    /// The base it was trained on, as whoever trained it called it.
    pub base: Option<String>,
    /// Its rank, where no pattern says otherwise.
    pub rank: usize,
    /// Its alpha, where no pattern says otherwise.
    pub alpha: f64,
    /// Whether the scale is `alpha / √rank`, not `alpha / rank`.
    pub rank_stabilized: bool,
    /// Each kind of module with the number of those that are adapted.
    pub adapted: Vec<(String, usize)>,
    /// Each kind of module with the number of those that are brought whole.
    pub replaced: Vec<(String, usize)>,
    /// Number of weights.
    pub num_parameters: u64,
    /// Size on disk.
    pub size_bytes: u64,
}

impl Adapter {
    /// Whether a path is an adapter's, sound or not.
    pub fn is_at(path: &Path) -> bool {
        path.join(CONFIG).is_file()
    }

    /// Reads settings and names of tensors.
    ///
    /// # Errors
    /// `Io`, `Corrupt`, or `Adapter` with what cannot be computed.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let config_path = path.join(CONFIG);
        if !Self::is_at(path) {
            std::fs::metadata(path).map_err(ModelError::io(path))?;
            let reason = format!(
                "it holds no {CONFIG}; give the directory that PEFT's `save_pretrained` wrote"
            );
            return Err(ModelError::adapter(path, reason));
        }
        let tensors_path = path.join(TENSORS);
        if !tensors_path.is_file() {
            return Err(ModelError::adapter(path, no_tensors(path)));
        }
        let config = AdapterConfig::read(&config_path)?;
        let tensors = AdapterTensors::open(&tensors_path)?;
        Ok(Self { path: path.to_owned(), config_path, config, tensors })
    }

    /// Describes it.
    pub fn info(&self) -> AdapterInfo {
        let count = |wanted: &dyn Fn(Part) -> bool| {
            let mut kinds: Vec<(String, usize)> = Vec::new();
            for (module, _) in self.tensors.modules().filter(|(_, part)| wanted(*part)) {
                let kind = module.rsplit('.').next().unwrap_or_default();
                match kinds.iter_mut().find(|(known, _)| known == kind) {
                    Some((_, count)) => *count += 1,
                    None => kinds.push((kind.to_owned(), 1)),
                }
            }
            kinds
        };
        let file = &self.tensors.file;
        let size = |name: &String| {
            file.info(name).map_or(0, |info| info.shape.iter().map(|&n| n as u64).product())
        };
        AdapterInfo {
            path: self.path.clone(),
            base: self.config.base_name.clone(),
            rank: self.config.rank,
            alpha: self.config.alpha,
            rank_stabilized: self.config.rank_stabilized,
            adapted: count(&|part| matches!(part, Part::Down | Part::EmbeddingDown)),
            replaced: count(&|part| part == Part::Whole),
            num_parameters: file.names().iter().map(size).sum::<u64>(),
            size_bytes: file.size_bytes,
        }
    }

    /// Feeds `hasher` with settings and samples of the tensors.
    fn hash(&self, hasher: &mut Sha256) -> Result<(), ModelError> {
        fingerprint::hash_file(hasher, &self.config_path, 0)
            .map_err(ModelError::io(&self.config_path))?;
        let file = &self.tensors.file;
        fingerprint::hash_file(hasher, &file.path, file.data_offset)
            .map_err(ModelError::io(&file.path))
    }
}

impl AdapterOptions {
    /// An adapter as it was trained.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), scale: 1.0 }
    }

    /// Feeds `hasher` with the scale.
    fn hash(&self, hasher: &mut Sha256) {
        hasher.update(self.scale.to_bits().to_le_bytes());
    }
}

/// Why there are no tensors that are read, and what to do.
fn no_tensors(path: &Path) -> String {
    if !path.join(PICKLED).is_file() {
        return format!("it holds no {TENSORS}");
    }
    format!(
        "its tensors are pickled ({PICKLED}), which can run whatever its maker put into it, and \
         is not read. Convert it once, where PyTorch is: python -c \"import torch, \
         safetensors.torch as s; t = torch.load('{PICKLED}', map_location='cpu', \
         weights_only=True); s.save_file({{k: v.contiguous() for k, v in t.items()}}, \
         '{TENSORS}')\""
    )
}
