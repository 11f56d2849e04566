//! A model with the tokenizer that belongs to it, from one path.

use std::path::Path;
use std::sync::Arc;

use super::EngineError;
use crate::model::{LoadOptions, Model, ModelFile, TokenizerSource};
use crate::tokenizer::Tokenizer;

/// What an engine runs, and what prompts for it are counted with.
#[derive(Debug, Clone)]
pub struct LoadedModel {
    /// The weights.
    pub model: Arc<Model>,
    /// The tokenizer from the GGUF's metadata, or from the `tokenizer.json` beside the
    /// weights.
    pub tokenizer: Arc<Tokenizer>,
}

impl LoadedModel {
    /// Loads both from a `.gguf`, a `.safetensors`, or a directory of these.
    ///
    /// # Errors
    /// [`EngineError::Model`] and [`EngineError::Tokenizer`] with the reason,
    /// [`EngineError::NoTokenizer`] if the path holds none.
    pub fn load(path: &Path, options: &LoadOptions) -> Result<Self, EngineError> {
        let file = ModelFile::open(path)?;
        // The tokenizer first: it fails sooner than the weights are read.
        let tokenizer = tokenizer(&file, path)?;
        let model = Model::from_file(&file, options)?;
        Ok(Self { model: Arc::new(model), tokenizer: Arc::new(tokenizer) })
    }
}

/// The tokenizer of a model whose weights are elsewhere: from a `tokenizer.json`, or from
/// the model's own file or directory.
///
/// # Errors
/// As [`LoadedModel::load`].
pub fn load_tokenizer(path: &Path) -> Result<Arc<Tokenizer>, EngineError> {
    let is_json = path.is_file() && path.extension().is_some_and(|end| end == "json");
    let loaded = match is_json {
        true => {
            Tokenizer::from_file(path).map_err(|error| EngineError::Tokenizer(Arc::new(error)))?
        }
        false => tokenizer(&ModelFile::open(path)?, path)?,
    };
    Ok(Arc::new(loaded))
}

fn tokenizer(file: &ModelFile, path: &Path) -> Result<Tokenizer, EngineError> {
    let tokenizer = match file.tokenizer() {
        Some(TokenizerSource::Gguf(metadata)) => Tokenizer::from_gguf(metadata),
        Some(TokenizerSource::File(path)) => Tokenizer::from_file(&path),
        None => return Err(EngineError::NoTokenizer(path.to_owned())),
    };
    tokenizer.map_err(|error| EngineError::Tokenizer(Arc::new(error)))
}
