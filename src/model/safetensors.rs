//! Hugging Face models: `config.json` with one or more `*.safetensors`, of
//! `LlamaForCausalLM` and `MistralForCausalLM`.
//!
//! Weights are read tensor by tensor with plain file reads. Invariant: once opened, each file is exactly as long as its header says.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use sha2::{Digest, Sha256};

use super::fingerprint;
use super::weights::{Weight, WeightSource};
use super::{ModelConfig, ModelError, WeightType};
use crate::kernels::StoredRows;

mod config_json;

/// An opened set of safetensors with its configuration.
#[derive(Debug)]
pub(super) struct SafetensorsFiles {
    pub(super) path: PathBuf,
    pub(super) config: ModelConfig,
    pub(super) config_path: PathBuf,
    files: Vec<WeightFile>,
    /// Tensor name to its file's index.
    index: HashMap<String, usize>,
    tied_embeddings: bool,
}

/// One opened `*.safetensors`.
#[derive(Debug)]
pub(super) struct WeightFile {
    pub(super) path: PathBuf,
    header: Metadata,
    /// Where tensor data begins.
    pub(super) data_offset: u64,
    pub(super) size_bytes: u64,
}

impl SafetensorsFiles {
    /// A directory with `config.json` and `*.safetensors`.
    pub(super) fn open_directory(path: &Path) -> Result<Self, ModelError> {
        let mut files: Vec<_> = std::fs::read_dir(path)
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
            .map_err(ModelError::io(path))?;
        files.retain(|file: &PathBuf| file.extension().is_some_and(|e| e == "safetensors"));
        files.sort();
        if files.is_empty() {
            return Err(ModelError::foreign(path, "the directory holds no *.safetensors"));
        }
        Self::open(path, path, &files)
    }

    /// One file, with `config.json` beside it.
    pub(super) fn open_file(path: &Path) -> Result<Self, ModelError> {
        let directory = path.parent().unwrap_or(Path::new("."));
        Self::open(path, directory, &[path.to_owned()])
    }

    fn open(path: &Path, directory: &Path, files: &[PathBuf]) -> Result<Self, ModelError> {
        let config_path = directory.join("config.json");
        if !config_path.is_file() {
            let reason = format!("there is no config.json in {}", directory.display());
            return Err(ModelError::foreign(path, reason));
        }
        let (config, tied_in_config) = config_json::read(&config_path)?;
        let files: Vec<_> = files.iter().map(|f| WeightFile::open(f)).collect::<Result<_, _>>()?;
        let index: HashMap<_, _> = files
            .iter()
            .enumerate()
            .flat_map(|(i, file)| file.header.offset_keys().into_iter().map(move |name| (name, i)))
            .collect();
        if let Some(name) = index.keys().find(|name| name.ends_with(".bias")) {
            let reason = format!("tensor `{name}` is a bias; supported are layers without biases");
            return Err(ModelError::unsupported(path, reason));
        }
        // Some exporters leave the output matrix out without saying so.
        let tied_embeddings =
            tied_in_config || !index.contains_key(&Weight::Output.safetensors_name());
        let path = path.to_owned();
        Ok(Self { path, config, config_path, files, index, tied_embeddings })
    }

    pub(super) fn has_tied_embeddings(&self) -> bool {
        self.tied_embeddings
    }

    pub(super) fn shape(&self, name: &str) -> Option<Vec<usize>> {
        Some(self.find(name)?.1.shape.clone())
    }

    pub(super) fn name(&self) -> Option<String> {
        let directory = self.config_path.parent()?.canonicalize().ok()?;
        Some(directory.file_name()?.to_string_lossy().into_owned())
    }

    pub(super) fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }

    pub(super) fn tokenizer_json(&self) -> Option<PathBuf> {
        let path = self.config_path.with_file_name("tokenizer.json");
        path.is_file().then_some(path)
    }

    /// The type that holds most of the bytes.
    pub(super) fn main_type(&self) -> String {
        let mut bytes: BTreeMap<Dtype, usize> = BTreeMap::new();
        for (_, info) in self.files.iter().flat_map(|file| file.header.tensors()) {
            *bytes.entry(info.dtype).or_default() += info.data_offsets.1 - info.data_offsets.0;
        }
        let main = bytes.into_iter().max_by_key(|(_, bytes)| *bytes);
        main.map(|(dtype, _)| format!("{dtype:?}")).unwrap_or_default()
    }

    pub(super) fn fingerprint(&self) -> Result<String, ModelError> {
        let mut hasher = Sha256::new();
        fingerprint::hash_file(&mut hasher, &self.config_path, 0)
            .map_err(ModelError::io(&self.config_path))?;
        for file in &self.files {
            fingerprint::hash_file(&mut hasher, &file.path, file.data_offset)
                .map_err(ModelError::io(&file.path))?;
        }
        Ok(fingerprint::finish(hasher))
    }

    fn find(&self, name: &str) -> Option<(&WeightFile, &TensorInfo)> {
        let file = &self.files[*self.index.get(name)?];
        Some((file, file.header.info(name)?))
    }

    /// Reads one tensor's bytes.
    fn read(&self, weight: Weight) -> Result<(WeightType, Vec<u8>), ModelError> {
        let name = weight.safetensors_name();
        match self.find(&name) {
            Some((file, _)) => file.read(&name),
            None => Err(ModelError::MissingTensor { path: self.path.clone(), name }),
        }
    }
}

impl WeightFile {
    pub(super) fn open(path: &Path) -> Result<Self, ModelError> {
        let mut file = File::open(path).map_err(ModelError::io(path))?;
        let size_bytes = file.metadata().map_err(ModelError::io(path))?.len();
        let mut length = [0; 8];
        file.read_exact(&mut length)
            .map_err(|_| ModelError::corrupt(path, "it is too short for a header"))?;
        let header_bytes = u64::from_le_bytes(length);
        if header_bytes > size_bytes - 8 {
            let reason = format!("its header asks for {header_bytes} of its {size_bytes} bytes");
            return Err(ModelError::corrupt(path, reason));
        }
        let mut header = vec![0; header_bytes as usize];
        file.read_exact(&mut header).map_err(ModelError::io(path))?;
        let header: Metadata = serde_json::from_slice(&header)
            .map_err(|e| ModelError::corrupt(path, format!("its header cannot be read ({e})")))?;
        let data_offset = 8 + header_bytes;
        let expected = data_offset + header.data_len() as u64;
        if expected != size_bytes {
            let reason =
                format!("its header describes {expected} bytes, the file has {size_bytes}");
            return Err(ModelError::corrupt(path, reason));
        }
        Ok(Self { path: path.to_owned(), header, data_offset, size_bytes })
    }

    /// The names of its tensors, in the order of the file.
    pub(super) fn names(&self) -> Vec<String> {
        self.header.offset_keys()
    }

    /// A tensor's type, shape and place.
    pub(super) fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.header.info(name)
    }

    /// Reads a tensor's bytes.
    pub(super) fn read(&self, name: &str) -> Result<(WeightType, Vec<u8>), ModelError> {
        let missing =
            || ModelError::MissingTensor { path: self.path.clone(), name: name.to_owned() };
        let info = self.info(name).ok_or_else(missing)?;
        let dtype = match info.dtype {
            Dtype::F32 => WeightType::F32,
            Dtype::F16 => WeightType::F16,
            Dtype::BF16 => WeightType::BF16,
            other => {
                let reason = format!("tensor `{name}` is {other:?}; supported are F32, F16, BF16");
                return Err(ModelError::unsupported(&self.path, reason));
            }
        };
        let (start, end) = info.data_offsets;
        let mut bytes = vec![0; end - start];
        File::open(&self.path)
            .and_then(|mut reader| {
                reader.seek(SeekFrom::Start(self.data_offset + start as u64))?;
                reader.read_exact(&mut bytes)
            })
            .map_err(ModelError::io(&self.path))?;
        Ok((dtype, bytes))
    }
}

impl WeightSource for &SafetensorsFiles {
    fn has_tied_embeddings(&self) -> bool {
        self.tied_embeddings
    }

    fn matrix(
        &mut self,
        weight: Weight,
        out: usize,
        input: usize,
    ) -> Result<StoredRows<'static>, ModelError> {
        let (dtype, bytes) = self.read(weight)?;
        Ok(StoredRows { dtype, num_rows: out, num_columns: input, bytes: Cow::Owned(bytes) })
    }
}
