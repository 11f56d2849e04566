//! A model's `config.json`, as far as it says what is computed.

use std::collections::BTreeMap;
use std::path::Path;

use candle_nn::Activation;
use serde::Deserialize;

use super::super::ClassifierError;

/// The most tokens that are read at once, however many a model could: attention costs their
/// square.
const MAX_WINDOW: usize = 512;
/// The most that any of a model's sizes may be.
const MAX_SIZE: usize = 1 << 20;

/// What is computed.
#[derive(Debug)]
pub(super) struct ConfigJson {
    pub(super) family: Family,
    pub(super) shape: Shape,
    /// In the order of the model's outputs.
    pub(super) labels: Vec<String>,
    pub(super) problem_type: ProblemType,
}

/// Families of networks, by the names that their weights have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Bert,
    /// XLM-RoBERTa is the same, with another vocabulary.
    Roberta,
    Deberta,
}

/// The sizes of the network, and what of it there is.
#[derive(Debug, Deserialize)]
pub(super) struct Shape {
    pub(super) vocab_size: usize,
    pub(super) hidden_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) num_attention_heads: usize,
    pub(super) intermediate_size: usize,
    pub(super) max_position_embeddings: usize,
    pub(super) type_vocab_size: usize,
    #[serde(default)]
    pub(super) pad_token_id: Option<usize>,
    pub(super) hidden_act: Activation,
    pub(super) layer_norm_eps: f64,
    #[serde(default)]
    position_embedding_type: Option<String>,
    // Of DeBERTa alone.
    #[serde(default)]
    pub(super) relative_attention: bool,
    #[serde(default)]
    max_relative_positions: Option<i64>,
    #[serde(default)]
    position_buckets: Option<i64>,
    #[serde(default)]
    pos_att_type: Option<PosAttType>,
    #[serde(default)]
    pub(super) share_att_key: bool,
    #[serde(default)]
    norm_rel_ebd: Option<String>,
    #[serde(default)]
    position_biased_input: Option<bool>,
    #[serde(default)]
    conv_kernel_size: Option<usize>,
    #[serde(default)]
    pooler_hidden_act: Option<Activation>,
}

/// `c2p|p2c`, or a list of these.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum PosAttType {
    One(String),
    List(Vec<String>),
}

/// How outputs become probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProblemType {
    /// One of the labels is right.
    SingleLabel,
    /// Each may be right.
    MultiLabel,
}

#[derive(Deserialize)]
struct Head {
    model_type: String,
    #[serde(default)]
    id2label: BTreeMap<usize, String>,
    #[serde(default)]
    problem_type: Option<String>,
}

impl ConfigJson {
    pub(super) fn read(path: &Path) -> Result<Self, ClassifierError> {
        let unfit = ClassifierError::model(path);
        let bytes =
            std::fs::read(path).map_err(|error| unfit(format!("cannot read it: {error}")))?;
        Self::parse(&bytes).map_err(unfit)
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let wrong = |error: serde_json::Error| format!("it is no model's configuration: {error}");
        let head: Head = serde_json::from_slice(bytes).map_err(wrong)?;
        let family = match head.model_type.as_str() {
            "bert" => Family::Bert,
            "roberta" | "xlm-roberta" => Family::Roberta,
            "deberta-v2" => Family::Deberta,
            other => {
                return Err(format!(
                    "its model_type is \"{other}\"; supported are bert, roberta, xlm-roberta and \
                     deberta-v2 (v3 calls itself that)"
                ));
            }
        };
        let shape: Shape = serde_json::from_slice(bytes).map_err(wrong)?;
        shape.check(family)?;
        if head.id2label.keys().copied().ne(0..head.id2label.len()) {
            return Err("its id2label does not count its labels from 0".into());
        }
        let labels: Vec<String> = head.id2label.into_values().collect();
        let problem_type = ProblemType::of(head.problem_type.as_deref(), labels.len())?;
        Ok(Self { family, shape, labels, problem_type })
    }

    /// The most tokens that are read at once.
    pub(super) fn max_window(&self) -> usize {
        let positions = self.shape.max_position_embeddings;
        positions.saturating_sub(self.first_position()).min(MAX_WINDOW)
    }

    /// The place of the first token among the positions.
    pub(super) fn first_position(&self) -> usize {
        match self.family {
            // The position of padding, and those before it, are nobody's.
            Family::Roberta => self.shape.pad_token_id.unwrap_or(1) + 1,
            Family::Bert | Family::Deberta => 0,
        }
    }

    /// Whether positions are added to what tokens are.
    pub(super) fn has_positions(&self) -> bool {
        self.family != Family::Deberta || self.shape.position_biased_input.unwrap_or(true)
    }

    /// What the first token's output goes through before it is classified.
    pub(super) fn pooler_act(&self) -> Pooler {
        match self.family {
            Family::Bert | Family::Roberta => Pooler::Tanh,
            Family::Deberta => {
                Pooler::Act(self.shape.pooler_hidden_act.unwrap_or(Activation::Gelu))
            }
        }
    }
}

/// The last function before the labels.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pooler {
    Tanh,
    Act(Activation),
}

impl Shape {
    fn check(&self, family: Family) -> Result<(), String> {
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("intermediate_size", self.intermediate_size),
            ("max_position_embeddings", self.max_position_embeddings),
        ];
        if let Some((name, size)) =
            sizes.into_iter().find(|(_, size)| !(1..=MAX_SIZE).contains(size))
        {
            return Err(format!("its {name} is {size}"));
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Err("its hidden_size is no multiple of num_attention_heads".into());
        }
        if self.position_embedding_type.as_deref().is_some_and(|kind| kind != "absolute") {
            return Err(
                "its position_embedding_type is not \"absolute\", which alone is supported".into(),
            );
        }
        if family == Family::Deberta && self.conv_kernel_size.unwrap_or(0) > 0 {
            return Err("it has a convolution (conv_kernel_size), which is not supported".into());
        }
        if self.relative_attention && !(1..=MAX_SIZE as i64 / 2).contains(&self.relative_span()) {
            return Err("its max_relative_positions or position_buckets are too large".into());
        }
        Ok(())
    }

    /// The width of one head.
    pub(super) fn head_size(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }

    /// How far apart tokens may be to be told from tokens yet further apart.
    pub(super) fn max_distance(&self) -> i64 {
        match self.max_relative_positions {
            Some(positions) if positions >= 1 => positions,
            _ => self.max_position_embeddings as i64,
        }
    }

    /// How many groups of distances there are each way, if distances are in groups.
    pub(super) fn buckets(&self) -> Option<i64> {
        self.position_buckets.filter(|&buckets| buckets > 0)
    }

    /// How many distances are told apart each way.
    pub(super) fn relative_span(&self) -> i64 {
        self.buckets().unwrap_or_else(|| self.max_distance())
    }

    /// Whether attention looks from content to position (`c2p`), or back (`p2c`).
    pub(super) fn attends(&self, kind: &str) -> bool {
        match &self.pos_att_type {
            None => false,
            Some(PosAttType::One(kinds)) => {
                kinds.to_lowercase().split('|').any(|it| it.trim() == kind)
            }
            Some(PosAttType::List(kinds)) => kinds.iter().any(|it| it == kind),
        }
    }

    /// Whether the distances' embeddings are normalised.
    pub(super) fn norms_distances(&self) -> bool {
        let norms = self.norm_rel_ebd.as_deref().unwrap_or_default().to_lowercase();
        norms.split('|').any(|norm| norm.trim() == "layer_norm")
    }
}

impl ProblemType {
    /// As transformers' pipeline decides it.
    fn of(named: Option<&str>, num_labels: usize) -> Result<Self, String> {
        match named {
            Some("multi_label_classification") => Ok(Self::MultiLabel),
            Some("regression") => Err("it gives no probabilities (problem_type regression)".into()),
            _ if num_labels == 1 => Ok(Self::MultiLabel),
            None | Some("single_label_classification") => Ok(Self::SingleLabel),
            Some(other) => Err(format!("its problem_type \"{other}\" is not known")),
        }
    }

    /// The probability of each label.
    pub(super) fn probabilities(self, logits: &[f32]) -> Vec<f64> {
        let logits = logits.iter().map(|&logit| f64::from(logit));
        match self {
            Self::MultiLabel => logits.map(|logit| 1.0 / (1.0 + (-logit).exp())).collect(),
            Self::SingleLabel => {
                let highest = logits.clone().fold(f64::NEG_INFINITY, f64::max);
                let powers: Vec<f64> = logits.map(|logit| (logit - highest).exp()).collect();
                let sum: f64 = powers.iter().sum();
                powers.into_iter().map(|power| power / sum).collect()
            }
        }
    }
}
