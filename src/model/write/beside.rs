//! What stands beside a model's safetensors: its configuration, brought up to date, and
//! its tokenizer, as it is.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use super::super::ModelError;

/// The tokenizer in all its forms, and how it is used.
const FILES: [&str; 9] = [
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "generation_config.json",
    "chat_template.jinja",
];

/// Writes `config.json` and copies the tokenizer from beside another `config.json`.
pub(in super::super) fn write(
    config_path: &Path,
    directory: &Path,
    dtype: &str,
    untied: bool,
) -> Result<(), ModelError> {
    let text = fs::read(config_path).map_err(ModelError::io(config_path))?;
    let mut config: Map<String, Value> = serde_json::from_slice(&text)
        .map_err(|e| ModelError::corrupt(config_path, e.to_string()))?;
    // Version 5 of transformers says `dtype`, version 4 `torch_dtype`.
    let key = if config.contains_key("dtype") { "dtype" } else { "torch_dtype" };
    config.insert(key.into(), dtype.into());
    if untied {
        config.insert("tie_word_embeddings".into(), false.into());
    }
    let path = directory.join("config.json");
    let text = format!("{:#}\n", Value::Object(config));
    fs::write(&path, text).map_err(|e| ModelError::write(&path, e))?;
    for name in FILES {
        let (from, to) = (config_path.with_file_name(name), directory.join(name));
        if from.is_file() {
            fs::copy(&from, &to).map_err(|e| ModelError::write(&to, e))?;
        }
    }
    Ok(())
}
