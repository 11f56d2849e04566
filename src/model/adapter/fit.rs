//! What an adapter changes of a base, once names and shapes are found to agree.

use std::collections::HashMap;

use super::super::weights::Weight;
use super::super::{ModelConfig, ModelError};
use super::Adapter;
use super::tensors::Part;

/// What an adapter does to one weight of the base.
#[derive(Debug, Default)]
pub(in super::super) struct Change {
    /// The tensor that takes the base's place.
    pub(in super::super) whole: Option<Whole>,
    /// What is added.
    pub(in super::super) update: Option<Update>,
}

/// Weights in place of the base's.
#[derive(Debug)]
pub(in super::super) struct Whole {
    pub(super) name: String,
    /// Whether they were trained; if not, they are the base's own.
    pub(in super::super) is_trained: bool,
}

/// An update of low rank: `scale · up · down`.
#[derive(Debug)]
pub(in super::super) struct Update {
    pub(super) down: String,
    pub(super) up: String,
    pub(in super::super) rank: usize,
    /// By the adapter's own settings.
    pub(in super::super) scale: f64,
    /// Whether both are stored the other way round, as embeddings' are.
    pub(super) is_embedding: bool,
}

impl Adapter {
    /// What it changes of a base of this shape.
    pub(super) fn fit(
        &self,
        base: &ModelConfig,
        tied_embeddings: bool,
    ) -> Result<HashMap<Weight, Change>, ModelError> {
        let fit = Fit { adapter: self };
        // A tied output is a module of its own too, and may be adapted alone.
        let weights: Vec<_> = base.weight_shapes(false).collect();
        let mut changes = HashMap::new();
        for (weight, shape) in &weights {
            let change = fit.change(*weight, shape)?;
            if change.whole.is_some() || change.update.is_some() {
                changes.insert(*weight, change);
            }
        }
        let modules: HashMap<_, _> = weights.iter().map(|(w, _)| (w.module(), *w)).collect();
        for (module, part) in self.tensors.modules() {
            let is_embedding = match modules.get(module) {
                Some(weight) => *weight == Weight::TokenEmbedding,
                None => return fit.refuse(fit.unknown(module, base)),
            };
            let fits = match part {
                Part::Whole | Part::Base => true,
                Part::Down | Part::Up => !is_embedding,
                Part::EmbeddingDown | Part::EmbeddingUp => is_embedding,
            };
            if !fits {
                return fit
                    .refuse(format!("its tensors for `{module}` are for another kind of layer"));
            }
        }
        if changes.is_empty() {
            return fit.refuse("it changes nothing of this base".to_owned());
        }
        let touches = |weight| changes.contains_key(&weight);
        let ends = touches(Weight::TokenEmbedding) || touches(Weight::Output);
        if self.config.keeps_tied && tied_embeddings && ends {
            return fit.refuse(
                "`ensure_weight_tying` is set: what it adds to the embedding it adds to the \
                 output too, which is not supported"
                    .to_owned(),
            );
        }
        Ok(changes)
    }
}

struct Fit<'a> {
    adapter: &'a Adapter,
}

impl Fit<'_> {
    fn refuse<T>(&self, reason: String) -> Result<T, ModelError> {
        Err(ModelError::adapter(&self.adapter.path, reason))
    }

    fn unknown(&self, module: &str, base: &ModelConfig) -> String {
        let (layers, trained_on) = (base.num_layers, self.trained_on());
        format!(
            "it adapts `{module}`, which this base of {layers} layers does not have{trained_on}"
        )
    }

    /// Which base the adapter names, for messages.
    fn trained_on(&self) -> String {
        let name = self.adapter.config.base_name.as_deref();
        name.map_or_else(String::new, |name| format!(" (it was trained on `{name}`)"))
    }

    /// What is done to one weight of shape `(out, in)`, or to a norm.
    fn change(&self, weight: Weight, shape: &[usize]) -> Result<Change, ModelError> {
        let module = weight.module();
        let Adapter { config, tensors, .. } = self.adapter;
        let whole = [(Part::Whole, true), (Part::Base, false)].into_iter();
        let mut whole = whole.filter_map(|(part, is_trained)| {
            let name = tensors.name(&module, part)?.to_owned();
            Some(Whole { name, is_trained })
        });
        let whole = whole.next();
        if let Some(whole) = &whole {
            self.check_shape(&whole.name, shape)?;
        }
        if whole.is_none() && config.replaces(&module) {
            return self.refuse(format!(
                "`modules_to_save` names `{module}`, but its tensors have none for it"
            ));
        }
        let update = self.update(weight, &module, shape)?;
        Ok(Change { whole, update })
    }

    fn update(
        &self,
        weight: Weight,
        module: &str,
        shape: &[usize],
    ) -> Result<Option<Update>, ModelError> {
        let Adapter { config, tensors, .. } = self.adapter;
        let is_embedding = weight == Weight::TokenEmbedding;
        let parts = match is_embedding {
            true => {
                [(Part::EmbeddingDown, "lora_embedding_A"), (Part::EmbeddingUp, "lora_embedding_B")]
            }
            false => [(Part::Down, "lora_A"), (Part::Up, "lora_B")],
        };
        let [down, up] = parts.map(|(part, _)| tensors.name(module, part));
        let is_targeted = !weight.is_norm() && config.targets(module);
        let (down, up) = match (down, up) {
            (Some(down), Some(up)) => (down, up),
            (None, None) if is_targeted => {
                return self.refuse(format!(
                    "its settings adapt `{module}`, but its tensors have none for it: the file \
                     is incomplete"
                ));
            }
            (None, None) => return Ok(None),
            (down, _) => {
                let missing = if down.is_none() { parts[0].1 } else { parts[1].1 };
                return self.refuse(format!("`{module}` has no {missing}: the file is incomplete"));
            }
        };
        if !is_targeted {
            return self.refuse(format!(
                "it has tensors for `{module}`, which its settings do not adapt: the two files \
                 do not belong together"
            ));
        }
        let rank = config.rank(module);
        let found = (tensors.shape(down).first(), tensors.shape(up).last());
        if let (Some(&found), Some(&other)) = found
            && (found != rank || other != rank)
        {
            return self.refuse(format!(
                "`{module}` has rank {found} in `{down}` and {other} in `{up}`, but its settings \
                 say {rank}"
            ));
        }
        let (out, input) = match is_embedding {
            true => (shape[1], shape[0]),
            false => (shape[0], shape[1]),
        };
        self.check_shape(down, &[rank, input])?;
        self.check_shape(up, &[out, rank])?;
        let (down, up) = (down.to_owned(), up.to_owned());
        Ok(Some(Update { down, up, rank, scale: config.scale(module), is_embedding }))
    }

    fn check_shape(&self, name: &str, expected: &[usize]) -> Result<(), ModelError> {
        let found = self.adapter.tensors.shape(name);
        if found == expected {
            return Ok(());
        }
        self.refuse(format!(
            "tensor `{name}` has shape {found:?}, but this base asks for {expected:?}: it was \
             made for another base{}",
            self.trained_on()
        ))
    }
}
