//! What can go wrong between a path and a row of logits. Messages name the file,
//! what is wrong with it, and what to do next.

use std::path::{Path, PathBuf};

use crate::gpu::GpuError;

/// Why a model could not be read, loaded or run.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The file system refused.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is something other than a model we read.
    #[error(
        "{} is not a model: {reason}. Give a .gguf file, a .safetensors file, or a directory \
         that holds config.json and *.safetensors", path.display()
    )]
    Foreign {
        /// The file or directory.
        path: PathBuf,
        /// What it looks like instead.
        reason: String,
    },
    /// The file is a model, but incomplete or inconsistent.
    #[error("{} is damaged: {reason}. Remove it and fetch it again", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What does not add up.
        reason: String,
    },
    /// The model is sound, but of a kind that this decoder does not compute.
    #[error("{} is not supported: {reason}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// Which trait of the model, and what is supported.
        reason: String,
    },
    /// A tensor that the architecture needs is not there.
    #[error("{} has no tensor `{name}`: the file is incomplete or of another architecture", path.display())]
    MissingTensor {
        /// The file or directory.
        path: PathBuf,
        /// The tensor's name in that file.
        name: String,
    },
    /// A tensor's shape contradicts the model's own configuration.
    #[error("{}: tensor `{name}` has shape {found:?}, but the configuration asks for {expected:?}", path.display())]
    ShapeMismatch {
        /// The file or directory.
        path: PathBuf,
        /// The tensor's name in that file.
        name: String,
        /// The shape that follows from the configuration.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// A LoRA adapter that cannot be added, to this base or to any.
    #[error("the adapter {} cannot be used: {reason}", path.display())]
    Adapter {
        /// The adapter's directory or file.
        path: PathBuf,
        /// Why not, and what to do.
        reason: String,
    },
    /// The merged model cannot be written.
    #[error("cannot write {}: {reason}", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A configuration that describes no decoder.
    #[error("the model's configuration is wrong: {0}")]
    Config(String),
    /// A batch that breaks the contract of `Model::forward`: a bug of the caller.
    #[error("malformed batch: {0}")]
    Batch(String),
    /// Memory does not suffice for a KV cache.
    #[error(
        "a KV cache of {} MiB, which this device does not give: ask for less", num_bytes >> 20
    )]
    KvCacheTooLarge {
        /// What was asked for.
        num_bytes: usize,
    },
    /// The GPU failed, or there is none.
    #[error(transparent)]
    Gpu(#[from] GpuError),
    /// The numeric library failed (out of memory, device lost, …).
    #[error("tensor operation failed: {0}")]
    Tensor(#[from] candle_core::Error),
}

impl ModelError {
    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    pub(super) fn foreign(path: &Path, reason: impl Into<String>) -> Self {
        Self::Foreign { path: path.to_owned(), reason: reason.into() }
    }

    pub(super) fn corrupt(path: &Path, reason: impl Into<String>) -> Self {
        Self::Corrupt { path: path.to_owned(), reason: reason.into() }
    }

    pub(super) fn unsupported(path: &Path, reason: impl Into<String>) -> Self {
        Self::Unsupported { path: path.to_owned(), reason: reason.into() }
    }

    pub(super) fn adapter(path: &Path, reason: impl Into<String>) -> Self {
        Self::Adapter { path: path.to_owned(), reason: reason.into() }
    }

    pub(super) fn write(path: &Path, reason: impl std::fmt::Display) -> Self {
        Self::Write { path: path.to_owned(), reason: reason.to_string() }
    }

    /// Whether the device had no memory for it: less at once may do.
    pub fn is_out_of_memory(&self) -> bool {
        let error = match self {
            Self::Gpu(error) => return matches!(error, GpuError::OutOfMemory { .. }),
            Self::Tensor(error) => error,
            _ => return false,
        };
        // Candle's devices have codes, which reach us as words alone.
        let words = error.to_string().to_lowercase();
        words.contains("out of memory") || words.contains("out_of_memory")
    }

    /// Whether the device is of no more use to this model.
    pub fn is_device_lost(&self) -> bool {
        matches!(self, Self::Gpu(GpuError::Failed(_)))
    }

    /// A stable label for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Io { .. } => "io",
            Self::Foreign { .. } => "foreign",
            Self::Corrupt { .. } => "corrupt",
            Self::Unsupported { .. } => "unsupported",
            Self::MissingTensor { .. } => "missing_tensor",
            Self::ShapeMismatch { .. } => "shape_mismatch",
            Self::Adapter { .. } => "adapter",
            Self::Write { .. } => "write",
            Self::Config(_) => "config",
            Self::Batch(_) => "batch",
            Self::KvCacheTooLarge { .. } => "kv_cache_too_large",
            Self::Gpu(_) => "gpu",
            Self::Tensor(_) => "tensor",
        }
    }
}
