//! BERT, RoBERTa and DeBERTa with a head that classifies: what a text's first token has
//! become behind all layers decides. They differ in names, in positions, and in DeBERTa's
//! distances.

use std::path::Path;

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::{Activation, Embedding, LayerNorm, Linear, Module as _, VarBuilder};

use super::super::ClassifierError;
use super::attention::Attention;
use super::config_json::{ConfigJson, Family, Pooler, Shape};
use super::relative::{Distances, Pairs};

/// The network with its weights.
pub(super) struct Encoder {
    words: Embedding,
    /// What is added to every token beside its position.
    kind: Option<Tensor>,
    positions: Option<Tensor>,
    norm: LayerNorm,
    distances: Option<Distances>,
    layers: Vec<Layer>,
    pooler: Linear,
    pooler_act: Pooler,
    classifier: Linear,
    heads: usize,
}

struct Layer {
    attention: Attention,
    attention_output: Output,
    intermediate: Linear,
    act: Activation,
    output: Output,
}

/// What a layer's half ends with: it is added to what went in.
struct Output {
    dense: Linear,
    norm: LayerNorm,
}

/// A weight matrix with its bias.
pub(super) fn linear(vb: VarBuilder, from: usize, to: usize) -> Result<Linear> {
    Ok(Linear::new(vb.get((to, from), "weight")?, Some(vb.get(to, "bias")?)))
}

/// A normalisation of whole tokens.
pub(super) fn layer_norm(vb: VarBuilder, shape: &Shape) -> Result<LayerNorm> {
    let get = |name: &str| vb.get(shape.hidden_size, name);
    Ok(LayerNorm::new(get("weight")?, get("bias")?, shape.layer_norm_eps))
}

impl Encoder {
    /// The weights in that file.
    pub(super) fn load(
        path: &Path,
        config: &ConfigJson,
    ) -> std::result::Result<Self, ClassifierError> {
        let unfit = ClassifierError::model(path);
        if !path.is_file() {
            return Err(unfit("there is no such file".into()));
        }
        let tensors = candle_core::safetensors::load(path, &Device::Cpu);
        let tensors = tensors.map_err(|error| unfit(format!("it is damaged: {error}")))?;
        let vb = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
        let loaded = Self::build(&vb, config);
        loaded.map_err(|error| unfit(format!("it does not fit config.json: {error}")))
    }

    fn build(vb: &VarBuilder, config: &ConfigJson) -> Result<Self> {
        let (shape, family) = (&config.shape, config.family);
        let size = shape.hidden_size;
        let base = vb.pp(match family {
            Family::Bert => "bert",
            Family::Roberta => "roberta",
            Family::Deberta => "deberta",
        });
        let (pooler, classifier) = match family {
            Family::Bert => (base.pp("pooler.dense"), vb.pp("classifier")),
            Family::Roberta => (vb.pp("classifier.dense"), vb.pp("classifier.out_proj")),
            Family::Deberta => (vb.pp("pooler.dense"), vb.pp("classifier")),
        };
        let table = |rows: usize, name: &str| {
            base.get((rows, size), &format!("embeddings.{name}_embeddings.weight"))
        };
        let (first, window) = (config.first_position(), config.max_window());
        let positions = config
            .has_positions()
            .then(|| table(shape.max_position_embeddings, "position")?.narrow(0, first, window));
        let kind =
            (shape.type_vocab_size > 0).then(|| table(shape.type_vocab_size, "token_type")?.get(0));
        let encoder = base.pp("encoder");
        let distances = Distances::load(&encoder, shape)?;
        let layers = (0..shape.num_hidden_layers).map(|index| {
            Layer::load(&encoder.pp(format!("layer.{index}")), family, shape, distances.as_ref())
        });
        Ok(Self {
            words: Embedding::new(table(shape.vocab_size, "word")?, size),
            kind: kind.transpose()?,
            positions: positions.transpose()?,
            norm: layer_norm(base.pp("embeddings.LayerNorm"), shape)?,
            layers: layers.collect::<Result<_>>()?,
            distances,
            pooler: linear(pooler, size, size)?,
            pooler_act: config.pooler_act(),
            classifier: linear(classifier, size, config.labels.len())?,
            heads: shape.num_attention_heads,
        })
    }

    /// What the model says of each of these sequences of tokens, by label. At least one, none
    /// of them empty.
    pub(super) fn logits(&self, sequences: &[&[u32]]) -> Result<Vec<Vec<f32>>> {
        let length = sequences.iter().map(|ids| ids.len()).max().unwrap_or(0);
        let count = sequences.len();
        // What stands behind a sequence's end is looked at by nobody: any token will do.
        let padded = |ids: &&[u32]| [ids, vec![0; length - ids.len()].as_slice()].concat();
        let ids = Tensor::from_vec(
            sequences.iter().flat_map(padded).collect(),
            (count, length),
            &Device::Cpu,
        )?;
        let unseen = |ids: &&[u32]| {
            (0..length).map(|at| if at < ids.len() { 0.0 } else { f32::MIN }).collect::<Vec<_>>()
        };
        let mask = Tensor::from_vec(
            sequences.iter().flat_map(unseen).collect(),
            (count, 1, 1, length),
            &Device::Cpu,
        )?;
        let mut tokens = self.words.forward(&ids)?;
        if let Some(positions) = &self.positions {
            tokens = tokens.broadcast_add(&positions.narrow(0, 0, length)?)?;
        }
        if let Some(kind) = &self.kind {
            tokens = tokens.broadcast_add(kind)?;
        }
        let mut tokens = self.norm.forward(&tokens)?;
        let pairs = self.distances.as_ref().map(|it| it.pairs(length, count, self.heads));
        let pairs = pairs.transpose()?;
        for layer in &self.layers {
            tokens = layer.forward(&tokens, &mask, pairs.as_ref())?;
        }
        let first = self.pooler.forward(&tokens.narrow(1, 0, 1)?.squeeze(1)?.contiguous()?)?;
        let first = match self.pooler_act {
            Pooler::Tanh => first.tanh()?,
            Pooler::Act(act) => act.forward(&first)?,
        };
        self.classifier.forward(&first)?.to_vec2()
    }
}

impl Layer {
    fn load(
        vb: &VarBuilder,
        family: Family,
        shape: &Shape,
        distances: Option<&Distances>,
    ) -> Result<Self> {
        let (size, inner) = (shape.hidden_size, shape.intermediate_size);
        Ok(Self {
            attention: Attention::load(&vb.pp("attention.self"), family, shape, distances)?,
            attention_output: Output::load(&vb.pp("attention.output"), size, shape)?,
            intermediate: linear(vb.pp("intermediate.dense"), size, inner)?,
            act: shape.hidden_act,
            output: Output::load(&vb.pp("output"), inner, shape)?,
        })
    }

    fn forward(&self, tokens: &Tensor, mask: &Tensor, pairs: Option<&Pairs>) -> Result<Tensor> {
        let taken = self.attention.forward(tokens, mask, pairs)?;
        let tokens = self.attention_output.forward(&taken, tokens)?;
        let inner = self.act.forward(&self.intermediate.forward(&tokens)?)?;
        self.output.forward(&inner, &tokens)
    }
}

impl Output {
    fn load(vb: &VarBuilder, from: usize, shape: &Shape) -> Result<Self> {
        let dense = linear(vb.pp("dense"), from, shape.hidden_size)?;
        Ok(Self { dense, norm: layer_norm(vb.pp("LayerNorm"), shape)? })
    }

    fn forward(&self, inner: &Tensor, tokens: &Tensor) -> Result<Tensor> {
        self.norm.forward(&(self.dense.forward(inner)? + tokens)?)
    }
}
