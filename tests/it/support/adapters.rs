//! LoRA adapters on disk, with weights from the formula of `fixtures/tiny_models.py`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Tensor};
use serde_json::{Value as Json, json};

use super::tiny::formula;

/// An adapter to be written, and to be spoiled before.
pub(crate) struct Lora {
    pub(crate) config: Json,
    pub(crate) tensors: HashMap<String, Tensor>,
}

impl Lora {
    /// An adapter of `fixtures/adapter_logits.py`.
    pub(crate) fn of_fixture(adapter: &Json) -> Self {
        let own_name = adapter["name"].as_str().unwrap();
        let shapes = adapter["tensors"].as_object().unwrap().iter();
        let tensors = shapes.map(|(name, shape)| {
            let shape: Vec<usize> = serde_json::from_value(shape.clone()).unwrap();
            (name.clone(), tensor(own_name, name, &shape))
        });
        Self { config: adapter["config"].clone(), tensors: tensors.collect() }
    }

    /// The same, where the fixture has the tensors of the first of `num_layers` layers.
    pub(crate) fn of_fixture_with_layers(adapter: &Json, num_layers: usize) -> Self {
        let mut all = adapter.clone();
        let shapes = all["tensors"].as_object_mut().unwrap();
        for (name, shape) in adapter["tensors"].as_object().unwrap() {
            for layer in 0..num_layers {
                let name = name.replace(".layers.0.", &format!(".layers.{layer}."));
                shapes.insert(name, shape.clone());
            }
        }
        Self::of_fixture(&all)
    }

    /// Rank and alpha 4 on the linear layers of a tiny model.
    pub(crate) fn tiny(config: &Json) -> Self {
        let weights = super::tiny::Dimensions(config).weights();
        let linear = weights.iter().filter(|(name, ..)| name.contains("_proj"));
        let tensors = linear.flat_map(|(name, _, values)| {
            let module = format!("base_model.model.{}", name.trim_end_matches(".weight"));
            let (out, input) = values.dims2().unwrap();
            [("lora_A", [4, input]), ("lora_B", [out, 4])].map(|(part, shape)| {
                let name = format!("{module}.{part}.weight");
                let values = tensor("tiny", &name, &shape);
                (name, values)
            })
        });
        let tensors = tensors.collect();
        let config = json!({
            "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 4, "lora_alpha": 4,
            "target_modules": "all-linear", "bias": "none", "lora_dropout": 0.05,
            "base_model_name_or_path": "somebody/tiny",
        });
        Self { config, tensors }
    }

    /// Writes it into a directory of its own below `parent`.
    pub(crate) fn write(&self, parent: &Path, name: &str) -> PathBuf {
        let directory = parent.join(name);
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("adapter_config.json"), self.config.to_string()).unwrap();
        let path = directory.join("adapter_model.safetensors");
        candle_core::safetensors::save(&self.tensors, path).unwrap();
        directory
    }

    /// The same with its tensors in another type.
    pub(crate) fn to_dtype(&self, dtype: DType) -> Self {
        let tensors = self.tensors.iter();
        let tensors = tensors.map(|(name, t)| (name.clone(), t.to_dtype(dtype).unwrap()));
        Self { config: self.config.clone(), tensors: tensors.collect() }
    }
}

/// What PEFT keeps of the base beside an update is the base's; the rest is the adapter's.
fn tensor(own_name: &str, name: &str, shape: &[usize]) -> Tensor {
    match name.strip_suffix(".base_layer.weight") {
        Some(module) if shape.len() == 2 => {
            let module = module.strip_prefix("base_model.model.").unwrap();
            formula(&format!("{module}.weight"), shape)
        }
        _ => formula(&format!("{own_name}/{name}"), shape),
    }
}
