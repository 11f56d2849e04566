//! GGUF files of the `llama` architecture, which Llama, Mistral and SmolLM2 are
//! converted to. Format: ggml's `docs/gguf.md`; reading by candle, checks by us.
//!
//! Invariant: once opened, every tensor of the header lies inside the file.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use candle_core::Device;
use candle_core::quantized::QTensor;
use candle_core::quantized::gguf_file::{Content, Value};
use sha2::{Digest, Sha256};

use super::file::type_name;
use super::fingerprint;
use super::weights::{Weight, WeightSource};
use super::{ModelConfig, ModelError, RopeConfig, RopeScaling};
use crate::kernels::StoredRows;

const ARCHITECTURE: &str = "llama";

/// An opened GGUF file.
#[derive(Debug)]
pub(super) struct GgufFile {
    pub(super) path: PathBuf,
    pub(super) config: ModelConfig,
    pub(super) size_bytes: u64,
    content: Content,
}

impl GgufFile {
    pub(super) fn open(path: &Path) -> Result<Self, ModelError> {
        let file = File::open(path).map_err(ModelError::io(path))?;
        let size_bytes = file.metadata().map_err(ModelError::io(path))?.len();
        let content = Content::read(&mut BufReader::new(file))
            .map_err(|e| ModelError::corrupt(path, format!("its header cannot be read ({e})")))?;
        check_extents(path, &content, size_bytes)?;
        let mut config = Keys { path, content: &content }.config()?;
        if content.tensor_infos.contains_key(ROPE_DIVISORS) {
            let divisors = read_tensor(path, &content, ROPE_DIVISORS, &Device::Cpu)?
                .dequantize(&Device::Cpu)?
                .flatten_all()?
                .to_vec1()?;
            config.rope.scaling = RopeScaling::Divisors(divisors);
        }
        Ok(Self { path: path.to_owned(), config, size_bytes, content })
    }

    pub(super) fn metadata(&self) -> &HashMap<String, Value> {
        &self.content.metadata
    }

    pub(super) fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.content.tensor_infos.get(name).map(|info| info.shape.dims().to_vec())
    }

    pub(super) fn name(&self) -> Option<String> {
        self.metadata().get("general.name")?.to_string().ok().cloned()
    }

    pub(super) fn tokenizer_kind(&self) -> Option<String> {
        let text = |key: &str| self.metadata().get(key)?.to_string().ok();
        let model = text("tokenizer.ggml.model")?;
        match text("tokenizer.ggml.pre") {
            Some(pre) if model == "gpt2" => Some(format!("{model}/{pre}")),
            _ => Some(model.clone()),
        }
    }

    /// The type that holds most of the bytes.
    pub(super) fn main_type(&self) -> String {
        let mut bytes: HashMap<String, usize> = HashMap::new();
        for info in self.content.tensor_infos.values() {
            let blocks = info.shape.elem_count() / info.ggml_dtype.block_size();
            *bytes.entry(type_name(info.ggml_dtype)).or_default() +=
                blocks * info.ggml_dtype.type_size();
        }
        bytes.into_iter().max_by_key(|(_, bytes)| *bytes).map(|(name, _)| name).unwrap_or_default()
    }

    pub(super) fn fingerprint(&self) -> Result<String, ModelError> {
        let mut hasher = Sha256::new();
        fingerprint::hash_file(&mut hasher, &self.path, self.content.tensor_data_offset)
            .map_err(ModelError::io(&self.path))?;
        Ok(fingerprint::finish(hasher))
    }
}

/// The `(head_dim / 2)` divisors of Llama 3.1's converted files.
const ROPE_DIVISORS: &str = "rope_freqs.weight";

impl WeightSource for &GgufFile {
    fn has_tied_embeddings(&self) -> bool {
        self.shape(&Weight::Output.gguf_name()).is_none()
    }

    fn matrix(
        &mut self,
        weight: Weight,
        out: usize,
        input: usize,
    ) -> Result<StoredRows<'static>, ModelError> {
        let name = weight.gguf_name();
        let missing = || ModelError::MissingTensor { path: self.path.clone(), name: name.clone() };
        let info = self.content.tensor_infos.get(&name).ok_or_else(missing)?;
        let dtype = info.ggml_dtype;
        let mut bytes = vec![0; out * input / dtype.block_size() * dtype.type_size()];
        let start = self.content.tensor_data_offset + info.offset;
        File::open(&self.path)
            .and_then(|mut reader| {
                reader.seek(SeekFrom::Start(start))?;
                reader.read_exact(&mut bytes)
            })
            .map_err(ModelError::io(&self.path))?;
        Ok(StoredRows { dtype, num_rows: out, num_columns: input, bytes: Cow::Owned(bytes) })
    }
}

fn read_tensor(
    path: &Path,
    content: &Content,
    name: &str,
    device: &Device,
) -> Result<QTensor, ModelError> {
    let mut file = File::open(path).map_err(ModelError::io(path))?;
    let missing = || ModelError::MissingTensor { path: path.to_owned(), name: name.to_owned() };
    let info = content.tensor_infos.get(name).ok_or_else(missing)?;
    info.read(&mut file, content.tensor_data_offset, device)
        .map_err(|e| ModelError::corrupt(path, format!("tensor `{name}` cannot be read ({e})")))
}

/// Checks that every tensor lies inside the file, which a cut-off download breaks.
fn check_extents(path: &Path, content: &Content, file_bytes: u64) -> Result<(), ModelError> {
    for (name, info) in &content.tensor_infos {
        let dims = info.shape.dims();
        let block_size = info.ggml_dtype.block_size();
        let broken = || ModelError::corrupt(path, format!("tensor `{name}` has shape {dims:?}"));
        let columns = *dims.last().ok_or_else(broken)?;
        let elements = dims.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim));
        let elements =
            elements.filter(|_| columns.is_multiple_of(block_size)).ok_or_else(broken)?;
        let end = (elements / block_size)
            .checked_mul(info.ggml_dtype.type_size())
            .and_then(|bytes| info.offset.checked_add(bytes as u64))
            .and_then(|end| end.checked_add(content.tensor_data_offset))
            .ok_or_else(broken)?;
        if end > file_bytes {
            return Err(ModelError::corrupt(
                path,
                format!("tensor `{name}` ends at byte {end}, but the file has only {file_bytes}"),
            ));
        }
    }
    Ok(())
}

/// Typed access to the header's keys.
struct Keys<'a> {
    path: &'a Path,
    content: &'a Content,
}

impl Keys<'_> {
    fn config(&self) -> Result<ModelConfig, ModelError> {
        let architecture =
            self.required("general.architecture", |v| v.to_string().ok().cloned())?;
        if architecture != ARCHITECTURE {
            return Err(ModelError::unsupported(
                self.path,
                format!(
                    "its architecture is `{architecture}`; supported is `{ARCHITECTURE}` \
                     (Llama, Mistral, SmolLM2 and their finetunes)"
                ),
            ));
        }
        self.refuse_variants()?;
        let hidden_size = self.size("embedding_length")?;
        let num_heads = self.size("attention.head_count")?;
        let head_dim = match self.optional_size("attention.key_length")? {
            Some(head_dim) => head_dim,
            None => hidden_size.checked_div(num_heads).unwrap_or_default(),
        };
        if self.optional_size("rope.dimension_count")?.is_some_and(|n| n != head_dim) {
            let reason = "it rotates only a part of each head; supported are whole heads";
            return Err(ModelError::unsupported(self.path, reason));
        }
        let embedding = Weight::TokenEmbedding.gguf_name();
        let vocab_size = match self.content.tensor_infos.get(&embedding) {
            Some(info) => info.shape.dims()[0],
            None => {
                let path = self.path.to_owned();
                return Err(ModelError::MissingTensor { path, name: embedding });
            }
        };
        Ok(ModelConfig {
            architecture,
            hidden_size,
            intermediate_size: self.size("feed_forward_length")?,
            num_layers: self.size("block_count")?,
            num_heads,
            num_kv_heads: self.optional_size("attention.head_count_kv")?.unwrap_or(num_heads),
            head_dim,
            vocab_size,
            norm_eps: self.required(&key("attention.layer_norm_rms_epsilon"), float)?,
            rope: RopeConfig {
                theta: self.optional(&key("rope.freq_base"), float)?.unwrap_or(10_000.0),
                scaling: self.rope_scaling()?,
                interleaved: true,
            },
            context_length: self.size("context_length")?,
            sliding_window: self.optional_size("attention.sliding_window")?.filter(|&n| n > 0),
        })
    }

    fn rope_scaling(&self) -> Result<RopeScaling, ModelError> {
        let text = |v: &Value| v.to_string().ok().cloned();
        let kind = self.optional(&key("rope.scaling.type"), text)?;
        match kind.as_deref() {
            None | Some("none") => Ok(RopeScaling::None),
            Some("linear") => {
                let factor = self.required(&key("rope.scaling.factor"), float)?;
                Ok(RopeScaling::Linear(factor))
            }
            Some(other) => Err(ModelError::unsupported(
                self.path,
                format!("rotary scaling `{other}`; supported are none, linear and Llama 3's"),
            )),
        }
    }

    /// Relatives that share the architecture's name but not its arithmetic.
    fn refuse_variants(&self) -> Result<(), ModelError> {
        if self.optional_size("expert_count")?.is_some_and(|n| n > 0) {
            let reason = "it is a mixture of experts; supported are dense models";
            return Err(ModelError::unsupported(self.path, reason));
        }
        match self.content.tensor_infos.keys().find(|name| name.ends_with(".bias")) {
            Some(name) => Err(ModelError::unsupported(
                self.path,
                format!("tensor `{name}` is a bias; supported are layers without biases"),
            )),
            None => Ok(()),
        }
    }

    fn size(&self, name: &str) -> Result<usize, ModelError> {
        self.required(&key(name), size)
    }

    fn optional_size(&self, name: &str) -> Result<Option<usize>, ModelError> {
        self.optional(&key(name), size)
    }

    fn required<T>(&self, key: &str, read: impl Fn(&Value) -> Option<T>) -> Result<T, ModelError> {
        let missing = || ModelError::corrupt(self.path, format!("its header has no `{key}`"));
        self.optional(key, read)?.ok_or_else(missing)
    }

    fn optional<T>(
        &self,
        key: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, ModelError> {
        let Some(value) = self.content.metadata.get(key) else { return Ok(None) };
        let wrong = || {
            let kind = value.value_type();
            ModelError::corrupt(self.path, format!("`{key}` in its header is a {kind:?}"))
        };
        read(value).ok_or_else(wrong).map(Some)
    }
}

fn key(name: &str) -> String {
    format!("{ARCHITECTURE}.{name}")
}

fn size(value: &Value) -> Option<usize> {
    match value {
        Value::I32(n) => usize::try_from(*n).ok(),
        Value::I64(n) => usize::try_from(*n).ok(),
        other => usize::try_from(other.to_u64().ok()?).ok(),
    }
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::F32(x) => Some(f64::from(*x)),
        Value::F64(x) => Some(*x),
        _ => None,
    }
}
