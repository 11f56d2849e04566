//! What adapters did to a model, by kind of module.

use super::adapter::Adaptation;
use super::merge::{ModuleReport, Spread};
use super::rewrite::Squares;
use super::weights::Weight;

/// How large each update was beside its weight.
#[derive(Debug, Default)]
pub(super) struct Kinds {
    relative: Vec<(Weight, f64)>,
}

impl Kinds {
    /// Takes in one weight, changed or not.
    pub(super) fn add(&mut self, weight: Weight, squares: Squares) {
        if squares.weights > 0.0 {
            self.relative.push((weight, (squares.added / squares.weights).sqrt()));
        }
    }

    /// One report for each kind that changes, in the order of `weights`.
    pub(super) fn report(
        &self,
        weights: impl Iterator<Item = Weight>,
        adaptation: &Adaptation,
    ) -> Vec<ModuleReport> {
        let mut reports: Vec<ModuleReport> = Vec::new();
        for weight in weights {
            let (updates, is_replaced) = (adaptation.updates(weight), adaptation.replaces(weight));
            if updates.is_empty() && !is_replaced {
                continue;
            }
            let module = weight.kind();
            let at = reports.iter().position(|report| report.module == module);
            let at = at.unwrap_or_else(|| {
                reports.push(ModuleReport {
                    module: module.clone(),
                    num_layers: 0,
                    num_replaced: 0,
                    ranks: Vec::new(),
                    scales: Vec::new(),
                    relative_norms: self.spread(&module),
                });
                reports.len() - 1
            });
            let report = &mut reports[at];
            report.num_layers += 1;
            report.num_replaced += usize::from(is_replaced);
            for (rank, scale) in updates {
                if !report.ranks.contains(&rank) {
                    report.ranks.push(rank);
                }
                if !report.scales.contains(&scale) {
                    report.scales.push(scale);
                }
            }
        }
        reports
    }

    fn spread(&self, module: &str) -> Option<Spread> {
        let of_kind = self.relative.iter().filter(|(weight, _)| weight.kind() == module);
        let mut numbers: Vec<f64> = of_kind.map(|(_, number)| *number).collect();
        numbers.sort_by(f64::total_cmp);
        let (min, max) = (*numbers.first()?, *numbers.last()?);
        let median = (numbers[(numbers.len() - 1) / 2] + numbers[numbers.len() / 2]) / 2.0;
        Some(Spread { min, median, max })
    }
}
