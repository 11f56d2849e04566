//! `adapter_config.json` as PEFT writes it: what of it changes the arithmetic, and what
//! we cannot compute, refused by its name.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::ModelError;
use super::targets::{LayerFilter, Names, Patterns};

/// The settings of a LoRA that decide what is computed.
#[derive(Debug)]
pub(super) struct AdapterConfig {
    /// The base's name, as whoever trained it called it.
    pub(super) base_name: Option<String>,
    pub(super) rank: usize,
    pub(super) alpha: f64,
    /// Whether the scale is `alpha / √rank`, not `alpha / rank`.
    pub(super) rank_stabilized: bool,
    targets: Names,
    excluded: Option<Names>,
    layers: Option<LayerFilter>,
    /// Modules that the adapter brings whole.
    replaced: Patterns<()>,
    ranks: Patterns<usize>,
    alphas: Patterns<f64>,
    /// Whether embedding and output share what the adapter does to them.
    pub(super) keeps_tied: bool,
}

#[derive(Deserialize)]
struct Json {
    base_model_name_or_path: Option<String>,
    r: usize,
    lora_alpha: f64,
    use_rslora: Option<bool>,
    target_modules: Option<OneOrMany>,
    exclude_modules: Option<OneOrMany>,
    modules_to_save: Option<Vec<String>>,
    layers_to_transform: Option<OneOrManyLayers>,
    layers_pattern: Option<OneOrMany>,
    rank_pattern: Option<Map<String, Value>>,
    alpha_pattern: Option<Map<String, Value>>,
    ensure_weight_tying: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrManyLayers {
    One(usize),
    Many(Vec<usize>),
}

/// Keys that are computed, or that change nothing once training is over.
/// `fan_in_fan_out` is for layers that store their weights the other way round, which
/// this decoder has none of: PEFT takes it back for linear layers too.
const KNOWN: [&str; 29] = [
    "alpha_pattern",
    "auto_mapping",
    "base_model_name_or_path",
    "bias",
    "ensure_weight_tying",
    "eva_config",
    "exclude_modules",
    "fan_in_fan_out",
    "inference_mode",
    "init_lora_weights",
    "layers_pattern",
    "layers_to_transform",
    "loftq_config",
    "lora_alpha",
    "lora_dropout",
    "megatron_core",
    "modules_to_save",
    "peft_type",
    "peft_version",
    "qalora_group_size",
    "r",
    "rank_pattern",
    "revision",
    "runtime_config",
    "target_modules",
    "task_type",
    "use_rslora",
    "corda_config",
    "lora_ga_config",
];

/// Keys that ask for more than `W + scale · B · A`, with what they ask for.
const REFUSED: [(&str, &str); 13] = [
    ("use_dora", "DoRA scales each row by a learned magnitude"),
    ("lora_bias", "its updates have biases"),
    ("alora_invocation_tokens", "aLoRA is active only after certain tokens"),
    ("layer_replication", "it repeats layers of the base"),
    ("trainable_token_indices", "it trains single rows of the embedding"),
    ("target_parameters", "it adapts bare parameters, not layers"),
    ("use_qalora", "QA-LoRA pools its inputs in groups"),
    ("use_bdlora", "its matrices are block-diagonal"),
    ("arrow_config", "Arrow chooses among several adapters for each token"),
    ("velora_config", "VeLoRA computes its updates in another way"),
    ("monteclora_config", "it samples its weights"),
    ("kasa_config", "KaSA scales its updates by learned singular values"),
    ("megatron_config", "its layers are Megatron's"),
];

/// Ways to begin a training that leave the base as it was. The others (PiSSA, OLoRA,
/// CorDA, LoftQ, …) take a part out of the base first, so that the tensors alone say too
/// little.
const INITIALIZATIONS: [&str; 4] = ["gaussian", "eva", "orthogonal", "mica"];

impl AdapterConfig {
    pub(super) fn read(path: &Path) -> Result<Self, ModelError> {
        let text = std::fs::read(path).map_err(ModelError::io(path))?;
        let wrong = |reason: String| ModelError::adapter(path, reason);
        let value: Map<String, Value> = serde_json::from_slice(&text)
            .map_err(|e| wrong(format!("it is no JSON object ({e})")))?;
        refuse(&value).map_err(wrong)?;
        let json: Json =
            serde_json::from_value(Value::Object(value)).map_err(|e| wrong(e.to_string()))?;
        Self::new(json).map_err(wrong)
    }

    fn new(json: Json) -> Result<Self, String> {
        let targets = json.target_modules.ok_or("it names no `target_modules`")?;
        if matches!((&targets, &json.layers_to_transform), (OneOrMany::One(_), Some(_))) {
            return Err("`layers_to_transform` cannot go with a pattern as `target_modules`".into());
        }
        let layers = match json.layers_to_transform {
            Some(OneOrManyLayers::One(layer)) => Some(vec![layer]),
            Some(OneOrManyLayers::Many(layers)) => Some(layers).filter(|list| !list.is_empty()),
            None => None,
        };
        let lists = match json.layers_pattern {
            Some(OneOrMany::One(pattern)) => vec![pattern],
            Some(OneOrMany::Many(patterns)) => patterns,
            None => Vec::new(),
        };
        let replaced = json.modules_to_save.unwrap_or_default();
        let excluded = json.exclude_modules.map(|names| Names::new(names, "exclude_modules"));
        if json.r == 0 {
            return Err("its rank `r` is 0".into());
        }
        let ranks = json.rank_pattern.unwrap_or_default().into_iter().map(|(pattern, value)| {
            let rank = value.as_u64().filter(|&rank| rank > 0);
            Ok((pattern, rank.ok_or("a rank in `rank_pattern` is no positive number")? as usize))
        });
        let alphas = json.alpha_pattern.unwrap_or_default().into_iter().map(|(pattern, value)| {
            Ok((pattern, value.as_f64().ok_or("an alpha in `alpha_pattern` is no number")?))
        });
        Ok(Self {
            base_name: json.base_model_name_or_path.filter(|name| !name.is_empty()),
            rank: json.r,
            alpha: json.lora_alpha,
            rank_stabilized: json.use_rslora.unwrap_or(false),
            targets: Names::new(targets, "target_modules")?,
            excluded: excluded.transpose()?,
            layers: layers.map(|layers| LayerFilter::new(layers, &lists)).transpose()?,
            replaced: Patterns::within(&replaced)?,
            ranks: Patterns::at_end(ranks.collect::<Result<_, String>>()?, "rank_pattern")?,
            alphas: Patterns::at_end(alphas.collect::<Result<_, String>>()?, "alpha_pattern")?,
            keeps_tied: json.ensure_weight_tying.unwrap_or(false),
        })
    }

    /// Whether a module, by its name in the base, has an update of low rank.
    pub(super) fn targets(&self, module: &str) -> bool {
        if self.excluded.as_ref().is_some_and(|names| names.match_whole(module))
            || self.replaced.find(module).is_some()
        {
            return false;
        }
        // A name in full is taken at its word, whatever its layer.
        self.targets.has(module)
            || (self.targets.match_whole(module)
                && self.layers.as_ref().is_none_or(|layers| layers.has(module)))
    }

    /// Whether a module is brought whole.
    pub(super) fn replaces(&self, module: &str) -> bool {
        self.replaced.find(module).is_some()
    }

    /// The rank of a module's update.
    pub(super) fn rank(&self, module: &str) -> usize {
        self.ranks.find(module).copied().unwrap_or(self.rank)
    }

    /// What a module's `B · A` is multiplied with.
    pub(super) fn scale(&self, module: &str) -> f64 {
        let alpha = self.alphas.find(module).copied().unwrap_or(self.alpha);
        let rank = self.rank(module) as f64;
        alpha / if self.rank_stabilized { rank.sqrt() } else { rank }
    }
}

/// Refuses what asks for something else than a plain LoRA.
fn refuse(json: &Map<String, Value>) -> Result<(), String> {
    let kind = json.get("peft_type").and_then(Value::as_str).unwrap_or("(none)");
    if kind != "LORA" {
        return Err(format!("its peft_type is `{kind}`; supported is `LORA`"));
    }
    for (key, why) in REFUSED {
        if json.get(key).is_some_and(says_something) {
            return Err(format!("`{key}` is set: {why}, which is not supported"));
        }
    }
    if let Some(bias) = json.get("bias").and_then(Value::as_str).filter(|bias| *bias != "none") {
        return Err(format!("`bias` is `{bias}`; supported are layers without biases"));
    }
    match json.get("init_lora_weights") {
        Some(Value::String(way)) if !INITIALIZATIONS.contains(&way.as_str()) => {
            return Err(format!(
                "`init_lora_weights` is `{way}`, which changes the base before training; save it \
                 with PEFT's `path_initial_model_for_weight_conversion` to make a plain LoRA of it"
            ));
        }
        _ => {}
    }
    let unknown = json.iter().find(|(key, value)| {
        !KNOWN.contains(&key.as_str())
            && !REFUSED.iter().any(|(refused, _)| refused == key)
            && says_something(value)
    });
    match unknown {
        Some((key, value)) => Err(format!(
            "it sets `{key}` to {value}, which is not known here and may change what it computes"
        )),
        None => Ok(()),
    }
}

/// Whether a value is other than null, false or empty.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}
