//! The tensors of `adapter_model.safetensors` by the module and the part they are, read
//! as floats one at a time.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::Device;

use super::super::ModelError;
use super::super::safetensors::WeightFile;
use super::super::weights::quantized;
use crate::kernels::StoredRows;

/// What PEFT puts before the name that a module has in its base.
const PREFIX: &str = "base_model.model.";

/// What a tensor is to its module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// `lora_A`, `(rank, in)`.
    Down,
    /// `lora_B`, `(out, rank)`.
    Up,
    /// `lora_embedding_A`, `(rank, vocabulary)`.
    EmbeddingDown,
    /// `lora_embedding_B`, `(width, rank)`.
    EmbeddingUp,
    /// The module's own weights, trained, in place of the base's.
    Whole,
    /// The base's weights, which PEFT keeps beside an update of the embedding.
    Base,
}

/// An opened file of tensors.
#[derive(Debug)]
pub(super) struct AdapterTensors {
    pub(super) file: WeightFile,
    /// By module and part: the tensor's name.
    names: BTreeMap<(String, Part), String>,
}

impl AdapterTensors {
    pub(super) fn open(path: &Path) -> Result<Self, ModelError> {
        let file = WeightFile::open(path)?;
        let mut names = BTreeMap::new();
        for name in file.names() {
            let key = parse(&name)
                .map_err(|reason| ModelError::adapter(path, format!("tensor `{name}` {reason}")))?;
            if let Some(other) = names.insert(key, name.clone()) {
                let reason = format!("`{other}` and `{name}` are two tensors for one place");
                return Err(ModelError::adapter(path, reason));
            }
        }
        Ok(Self { file, names })
    }

    /// Every module with what is there of it.
    pub(super) fn modules(&self) -> impl Iterator<Item = (&str, Part)> {
        self.names.keys().map(|(module, part)| (module.as_str(), *part))
    }

    /// The name of a module's tensor.
    pub(super) fn name(&self, module: &str, part: Part) -> Option<&str> {
        self.names.get(&(module.to_owned(), part)).map(String::as_str)
    }

    /// A tensor's shape.
    pub(super) fn shape(&self, name: &str) -> &[usize] {
        self.file.info(name).map_or(&[], |info| &info.shape)
    }

    /// A tensor as it is stored, of two dimensions or, as a single row, of one.
    pub(super) fn rows(&self, name: &str) -> Result<StoredRows<'static>, ModelError> {
        let (dtype, bytes) = self.file.read(name)?;
        let (num_rows, num_columns) = match self.shape(name) {
            [columns] => (1, *columns),
            [rows, columns] => (*rows, *columns),
            shape => {
                let reason = format!("tensor `{name}` has shape {shape:?}");
                return Err(ModelError::adapter(&self.file.path, reason));
            }
        };
        Ok(StoredRows { dtype, num_rows, num_columns, bytes: bytes.into() })
    }

    /// A matrix as floats, row by row.
    pub(super) fn floats(&self, name: &str) -> Result<Vec<f32>, ModelError> {
        let rows = self.rows(name)?;
        Ok(quantized(&rows)?.dequantize(&Device::Cpu)?.flatten_all()?.to_vec1()?)
    }
}

/// A tensor's module and part, or what is wrong with its name.
fn parse(name: &str) -> Result<(String, Part), &'static str> {
    let path = name
        .strip_prefix(PREFIX)
        .ok_or("is named unlike PEFT's, which begin with `base_model.model.`")?;
    if path.contains("lora_magnitude_vector") {
        return Err("belongs to DoRA, which is not supported");
    }
    if path.ends_with(".bias") {
        return Err("is a bias; supported are layers without biases");
    }
    let matrices = [
        (".lora_A", ".weight", Part::Down),
        (".lora_B", ".weight", Part::Up),
        (".lora_embedding_A", "", Part::EmbeddingDown),
        (".lora_embedding_B", "", Part::EmbeddingUp),
    ];
    for (mark, end, part) in matrices {
        let Some((module, rest)) = path.split_once(mark) else { continue };
        // Some exports keep the adapter's own name (`default`) in the middle.
        let own_name = rest.strip_suffix(end).filter(|rest| {
            rest.is_empty() || rest.strip_prefix('.').is_some_and(|own| !own.contains('.'))
        });
        return match own_name {
            Some(_) => Ok((module.to_owned(), part)),
            None => Err("is no part of a LoRA that is known here"),
        };
    }
    let path = path.strip_suffix(".weight").ok_or("is no part of a LoRA that is known here")?;
    if let Some(module) = path.strip_suffix(".base_layer") {
        return Ok((module.to_owned(), Part::Base));
    }
    let module = path.split_once(".modules_to_save").and_then(|(module, own_name)| {
        (!own_name.trim_start_matches('.').contains('.')).then_some(module)
    });
    Ok((module.unwrap_or(path).to_owned(), Part::Whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_export_are_read() {
        let query = "model.layers.0.self_attn.q_proj";
        for (rest, part) in [
            ("lora_A.weight", Part::Down),
            ("lora_B.default.weight", Part::Up),
            ("lora_embedding_A", Part::EmbeddingDown),
            ("lora_embedding_B.default", Part::EmbeddingUp),
            ("weight", Part::Whole),
            ("base_layer.weight", Part::Base),
            ("modules_to_save.weight", Part::Whole),
            ("modules_to_save.default.weight", Part::Whole),
        ] {
            let name = format!("base_model.model.{query}.{rest}");
            assert_eq!(parse(&name), Ok((query.to_owned(), part)), "{name}");
        }
        for (name, reason) in [
            ("model.layers.0.self_attn.q_proj.lora_A.weight", "unlike PEFT's"),
            ("base_model.model.lm_head.lora_A.bias", "a bias"),
            ("base_model.model.lm_head.lora_magnitude_vector", "DoRA"),
            ("base_model.model.lm_head.lora_magnitude_vector.default.weight", "DoRA"),
            ("base_model.model.lm_head.lora_A.a.b.weight", "no part"),
            ("base_model.model.lm_head.lora_E", "no part"),
        ] {
            let error = parse(name).unwrap_err();
            assert!(error.contains(reason), "{name}: {error}");
        }
    }
}
