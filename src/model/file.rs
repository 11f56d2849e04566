//! A model on disk, opened far enough to describe it: headers and configuration,
//! no weights. Damaged, truncated and foreign files are refused here.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::Value;

use super::adapter::{Adaptation, AdapterOptions};
use super::gguf::GgufFile;
use super::safetensors::SafetensorsFiles;
use super::weights::{Weight, WeightSource};
use super::{ModelConfig, ModelError, WeightType};

/// An opened model: a `.gguf`, a `.safetensors` with `config.json` beside it, or a
/// directory that holds `config.json` and `*.safetensors`.
#[derive(Debug)]
pub struct ModelFile {
    pub(super) format: Format,
}

#[derive(Debug)]
pub(super) enum Format {
    Gguf(GgufFile),
    Safetensors(SafetensorsFiles),
}

/// Where the model's tokenizer is.
#[derive(Debug)]
pub enum TokenizerSource<'a> {
    /// In the GGUF's metadata.
    Gguf(&'a HashMap<String, Value>),
    /// In a `tokenizer.json`.
    File(PathBuf),
}

/// What a model is, for people and for receipts.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelInfo {
    /// The file or directory.
    pub path: PathBuf,
    /// The name its makers gave it, if any.
    pub name: Option<String>,
    /// `GGUF` or `safetensors`.
    pub format: &'static str,
    /// The decoder's shape.
    pub config: ModelConfig,
    /// Number of weights.
    pub num_parameters: u64,
    /// The type that holds most of the bytes, such as `Q4_K` or `BF16`.
    pub quantization: String,
    /// Size on disk of all weight files.
    pub size_bytes: u64,
    /// `llama` (sentencepiece), `gpt2/<pre-tokenizer>` or `tokenizer.json`; `None`
    /// if the model brings no tokenizer.
    pub tokenizer: Option<String>,
    /// See [`ModelFile::fingerprint`].
    pub fingerprint: String,
}

/// Describes the model at `path` without loading its weights.
///
/// # Errors
/// As [`ModelFile::open`].
pub fn inspect(path: &Path) -> Result<ModelInfo, ModelError> {
    ModelFile::open(path)?.info()
}

impl ModelFile {
    /// Reads headers and configuration, and checks that every tensor the decoder
    /// needs is there, has its shape, and lies inside its file.
    ///
    /// # Errors
    /// `Io`, `Foreign`, `Corrupt`, `Unsupported`, `MissingTensor`, `ShapeMismatch` or
    /// `Config`, each with the reason.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let is_directory = std::fs::metadata(path).map_err(ModelError::io(path))?.is_dir();
        let format = if is_directory {
            Format::Safetensors(SafetensorsFiles::open_directory(path)?)
        } else {
            match sniff(path)? {
                Kind::Gguf => Format::Gguf(GgufFile::open(path)?),
                Kind::Safetensors => Format::Safetensors(SafetensorsFiles::open_file(path)?),
            }
        };
        let file = Self { format };
        file.config().validate().map_err(|error| match error {
            ModelError::Config(reason) => {
                ModelError::corrupt(path, format!("its configuration is wrong: {reason}"))
            }
            other => other,
        })?;
        file.check_shapes()?;
        Ok(file)
    }

    /// The decoder's shape, as the file states it.
    pub fn config(&self) -> &ModelConfig {
        match &self.format {
            Format::Gguf(file) => &file.config,
            Format::Safetensors(files) => &files.config,
        }
    }

    /// The file or directory.
    pub fn path(&self) -> &Path {
        match &self.format {
            Format::Gguf(file) => &file.path,
            Format::Safetensors(files) => &files.path,
        }
    }

    /// Where the tokenizer is, if the model brings one.
    pub fn tokenizer(&self) -> Option<TokenizerSource<'_>> {
        match &self.format {
            Format::Gguf(file) => file
                .metadata()
                .contains_key("tokenizer.ggml.model")
                .then(|| TokenizerSource::Gguf(file.metadata())),
            Format::Safetensors(files) => files.tokenizer_json().map(TokenizerSource::File),
        }
    }

    /// A stable hash of the weights on disk, 64 hexadecimal digits, for receipts and
    /// caches: SHA-256 over each file's length, its header, and 256 samples of 4 KiB
    /// spread evenly over it (plus `config.json` for safetensors). It takes
    /// milliseconds, and two models of one shape differ in it, since training changes
    /// nearly every weight; it is no proof against tampering.
    ///
    /// # Errors
    /// `Io` if the files cannot be read.
    pub fn fingerprint(&self) -> Result<String, ModelError> {
        match &self.format {
            Format::Gguf(file) => file.fingerprint(),
            Format::Safetensors(files) => files.fingerprint(),
        }
    }

    /// Describes the model.
    ///
    /// # Errors
    /// `Io` if the files cannot be read.
    pub fn info(&self) -> Result<ModelInfo, ModelError> {
        let (format, name, tokenizer) = match &self.format {
            Format::Gguf(file) => ("GGUF", file.name(), file.tokenizer_kind()),
            Format::Safetensors(files) => {
                let tokenizer = files.tokenizer_json().map(|_| "tokenizer.json".to_owned());
                ("safetensors", files.name(), tokenizer)
            }
        };
        Ok(ModelInfo {
            path: self.path().to_owned(),
            name,
            format,
            config: self.config().clone(),
            num_parameters: self.config().num_parameters(self.has_tied_embeddings()),
            quantization: match &self.format {
                Format::Gguf(file) => file.main_type(),
                Format::Safetensors(files) => files.main_type(),
            },
            size_bytes: match &self.format {
                Format::Gguf(file) => file.size_bytes,
                Format::Safetensors(files) => files.size_bytes(),
            },
            tokenizer,
            fingerprint: self.fingerprint()?,
        })
    }

    /// Checks that adapters can be added to it, all together.
    ///
    /// # Errors
    /// `Adapter` with the first that cannot, and why; `Io` or `Corrupt` for damaged files.
    pub fn check_adapters(&self, adapters: &[AdapterOptions]) -> Result<(), ModelError> {
        Adaptation::open(adapters, self.config(), self.has_tied_embeddings()).map(|_| ())
    }

    /// Its weights.
    pub(super) fn source(&self) -> Box<dyn WeightSource + '_> {
        match &self.format {
            Format::Gguf(file) => Box::new(file),
            Format::Safetensors(files) => Box::new(files),
        }
    }

    /// Whether the output matrix is the token embedding.
    pub fn has_tied_embeddings(&self) -> bool {
        match &self.format {
            Format::Gguf(file) => file.shape(&Weight::Output.gguf_name()).is_none(),
            Format::Safetensors(files) => files.has_tied_embeddings(),
        }
    }

    fn check_shapes(&self) -> Result<(), ModelError> {
        for (weight, expected) in self.config().weight_shapes(self.has_tied_embeddings()) {
            let (name, found) = match &self.format {
                Format::Gguf(file) => {
                    let name = weight.gguf_name();
                    let shape = file.shape(&name);
                    (name, shape)
                }
                Format::Safetensors(files) => {
                    let name = weight.safetensors_name();
                    let shape = files.shape(&name);
                    (name, shape)
                }
            };
            let path = self.path().to_owned();
            match found {
                None => return Err(ModelError::MissingTensor { path, name }),
                Some(found) if found != expected => {
                    return Err(ModelError::ShapeMismatch { path, name, expected, found });
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

enum Kind {
    Gguf,
    Safetensors,
}

/// Tells the formats apart by their first bytes, and names what else it may be.
fn sniff(path: &Path) -> Result<Kind, ModelError> {
    let mut head = Vec::new();
    File::open(path)
        .and_then(|file| file.take(16).read_to_end(&mut head))
        .map_err(ModelError::io(path))?;
    let looks_like = match head.as_slice() {
        [b'G', b'G', b'U', b'F', ..] => return Ok(Kind::Gguf),
        // A safetensors file begins with its header's length and an opening brace.
        [_, _, _, _, _, _, _, _, b'{', ..] => return Ok(Kind::Safetensors),
        [] => "it is empty",
        [b'F', b'U', b'G', b'G', ..] => "it is a big-endian GGUF, which is not supported",
        [b'P', b'K', ..] => "it looks like a zip archive or a PyTorch checkpoint",
        [b'l' | b't', b'm' | b'j', b'g', b'g', ..] => "it is an old GGML file; convert it to GGUF",
        _ if head.starts_with(b"version https://") => {
            "it is a Git LFS pointer, not the file it stands for"
        }
        _ if head.starts_with(b"<") => "it looks like a web page saved in place of the download",
        _ if head.starts_with(b"{") => "it is JSON",
        _ => "it begins like neither GGUF nor safetensors",
    };
    Err(ModelError::foreign(path, looks_like))
}

/// Short name of a weight type as model cards write it (`Q4_K`, not `Q4K`).
pub(super) fn type_name(weight_type: WeightType) -> String {
    let name = format!("{weight_type:?}");
    match name.strip_suffix('K') {
        Some(bits) => format!("{bits}_K"),
        None => name,
    }
}
