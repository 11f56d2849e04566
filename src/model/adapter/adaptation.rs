//! Adapters fitted to one base together.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::super::weights::Weight;
use super::super::{ModelConfig, ModelError};
use super::delta::Delta;
use super::fit::{Change, Update, Whole};
use super::{Adapter, AdapterOptions};
use crate::kernels::{StoredRows, ThreadPool};

/// Adapters that fit one base together.
#[derive(Debug)]
pub(in super::super) struct Adaptation {
    fitted: Vec<Fitted>,
}

#[derive(Debug)]
struct Fitted {
    options: AdapterOptions,
    adapter: Adapter,
    changes: HashMap<Weight, Change>,
}

impl Adaptation {
    /// Opens adapters and checks them against their base.
    pub(in super::super) fn open(
        adapters: &[AdapterOptions],
        base: &ModelConfig,
        tied_embeddings: bool,
    ) -> Result<Self, ModelError> {
        let mut fitted = Vec::<Fitted>::new();
        for options in adapters {
            let adapter = Adapter::open(&options.path)?;
            let changes = adapter.fit(base, tied_embeddings)?;
            let refuse = |reason: String| Err(ModelError::adapter(&options.path, reason));
            if !(options.scale.is_finite() && options.scale != 0.0) {
                return refuse(format!("its scale is {}", options.scale));
            }
            for (weight, _) in trained(&changes) {
                let module = weight.module();
                if options.scale != 1.0 {
                    return refuse(format!(
                        "it brings `{module}` whole, which cannot be scaled by {}",
                        options.scale
                    ));
                }
                let mut earlier = fitted.iter();
                if let Some(other) = earlier.find(|f| trained(&f.changes).any(|(w, _)| w == weight))
                {
                    let other = other.options.path.display();
                    return refuse(format!("both it and {other} bring `{module}` whole"));
                }
            }
            fitted.push(Fitted { options: options.clone(), adapter, changes });
        }
        Ok(Self { fitted })
    }

    pub(in super::super) fn hash(&self, hasher: &mut Sha256) -> Result<(), ModelError> {
        for Fitted { options, adapter, .. } in &self.fitted {
            hasher.update(b"|adapter");
            options.hash(hasher);
            adapter.hash(hasher)?;
        }
        Ok(())
    }

    pub(in super::super) fn adapters(&self) -> impl Iterator<Item = (&Adapter, f32)> {
        self.fitted.iter().map(|fitted| (&fitted.adapter, fitted.options.scale))
    }

    /// Where they are, for people.
    pub(in super::super) fn paths(&self) -> String {
        let paths = self.fitted.iter().map(|fitted| fitted.options.path.display().to_string());
        paths.collect::<Vec<_>>().join(", ")
    }

    /// Whether embedding and output, if they were one, are two from now on. Added to the
    /// one, an update must not reach the other: that is what PEFT computes unmerged
    /// (merged, it changes both, which no training ever saw).
    pub(in super::super) fn unties(&self) -> bool {
        let touched = |weight| self.fitted.iter().any(|f| f.changes.contains_key(&weight));
        touched(Weight::TokenEmbedding) || touched(Weight::Output)
    }

    /// Whether an adapter brings a weight that was trained whole.
    pub(in super::super) fn replaces(&self, weight: Weight) -> bool {
        self.fitted.iter().any(|f| trained(&f.changes).any(|(w, _)| w == weight))
    }

    /// Rank and scale of every update of a weight.
    pub(in super::super) fn updates(&self, weight: Weight) -> Vec<(usize, f64)> {
        self.updates_of(weight).map(|(_, u, factor)| (u.rank, u.scale * factor)).collect()
    }

    fn updates_of(&self, weight: Weight) -> impl Iterator<Item = (&Adapter, &Update, f64)> {
        self.fitted.iter().filter_map(move |Fitted { options, adapter, changes }| {
            let update = changes.get(&weight)?.update.as_ref()?;
            Some((adapter, update, f64::from(options.scale)))
        })
    }

    /// What takes the place of a base's weight.
    pub(in super::super) fn whole(
        &self,
        weight: Weight,
    ) -> Result<Option<StoredRows<'static>>, ModelError> {
        let named = self.fitted.iter().filter_map(|Fitted { adapter, changes, .. }| {
            Some((adapter, changes.get(&weight)?.whole.as_ref()?))
        });
        // What was trained comes before what another keeps of the base.
        let named = named.max_by_key(|(_, whole)| whole.is_trained);
        named.map(|(adapter, whole)| adapter.tensors.rows(&whole.name)).transpose()
    }

    /// What is added to a matrix whose output `i` is row `row_of(i)` of Hugging Face's
    /// order.
    pub(in super::super) fn delta(
        &self,
        pool: &ThreadPool,
        weight: Weight,
        shape: (usize, usize),
        row_of: &dyn Fn(usize) -> usize,
    ) -> Result<Option<Delta>, ModelError> {
        let updates = self.updates_of(weight);
        let updates: Vec<_> = updates.map(|(a, update, f)| (&a.tensors, update, f)).collect();
        if updates.is_empty() {
            return Ok(None);
        }
        Delta::read(pool, &updates, shape, row_of).map(Some)
    }
}

/// The weights that an adapter brings whole because they were trained.
fn trained(changes: &HashMap<Weight, Change>) -> impl Iterator<Item = (Weight, &Whole)> {
    changes.iter().filter_map(|(weight, change)| {
        Some((*weight, change.whole.as_ref().filter(|whole| whole.is_trained)?))
    })
}
