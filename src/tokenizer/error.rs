//! Why a tokenizer could not be built.

use std::path::PathBuf;

/// Why a tokenizer could not be built. Encoding and decoding do not fail.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// The file system refused.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The vocabulary is incomplete or contradicts itself.
    #[error("the model's tokenizer is damaged: {0}. Fetch the model again")]
    Damaged(String),
    /// A kind of tokenizer that is not computed here.
    #[error("the model's tokenizer is not supported: {0}")]
    Unsupported(String),
    /// The tokenizer library refused the vocabulary.
    #[error("the model's tokenizer cannot be built")]
    Build(#[source] Box<dyn std::error::Error + Send + Sync>),
}
