//! The order of the stages. A file of SillyTavern's holds up to three, one for each kind
//! of server; that which its author changed is the one that was meant.

use super::{Lacking, PresetFile, PresetKind};
use crate::formats::FormatError;
use crate::sampling::SamplerStage;

/// KoboldCpp's order in SillyTavern's files.
const KOBOLD_DEFAULT: [i64; 7] = [6, 0, 1, 3, 4, 2, 5];
/// text-generation-webui's.
const PRIORITY_DEFAULT: [&str; 12] = [
    "temperature",
    "dynamic_temperature",
    "quadratic_sampling",
    "top_k",
    "top_p",
    "typical_p",
    "epsilon_cutoff",
    "eta_cutoff",
    "tfs",
    "top_a",
    "min_p",
    "mirostat",
];
/// llama.cpp's.
const SAMPLERS_DEFAULT: [&str; 6] =
    ["top_k", "tfs_z", "typical_p", "top_p", "min_p", "temperature"];
/// NovelAI's stages by number.
const NOVEL: [Option<SamplerStage>; 6] = [
    Some(SamplerStage::Temperature),
    Some(SamplerStage::TopK),
    Some(SamplerStage::TopP),
    Some(SamplerStage::Tfs),
    Some(SamplerStage::TopA),
    Some(SamplerStage::TypicalP),
];
const NOVEL_MIN_P: i64 = 10;

impl PresetFile {
    /// The order that was meant; the house's where none was.
    pub(super) fn read_order(
        &self,
        lacking: &mut Vec<Lacking>,
    ) -> Result<Vec<SamplerStage>, FormatError> {
        if self.kind == PresetKind::Novel {
            let ids = self.ids("order")?.unwrap_or_default();
            return Ok(complete(ids.into_iter().filter_map(novel_stage)));
        }
        if let Some(ids) = self.ids("sampler_order")?.filter(|ids| *ids != KOBOLD_DEFAULT) {
            return Ok(self.kobold_order(&ids, lacking));
        }
        for (key, default) in
            [("sampler_priority", &PRIORITY_DEFAULT[..]), ("samplers", &SAMPLERS_DEFAULT)]
        {
            let names = self.root.texts(key)?.unwrap_or_default();
            // Newer versions know more stages than the default had once.
            let is_default = default.iter().all(|known| names.iter().any(|name| name == known))
                && names.iter().filter(|name| default.contains(&name.as_str())).eq(default);
            if !names.is_empty() && !is_default {
                return Ok(complete(names.iter().filter_map(|name| named_stage(name))));
            }
        }
        let mut order = SamplerStage::DEFAULT_ORDER.to_vec();
        if self.root.flag("temperature_last")? == Some(false) {
            order.retain(|stage| *stage != SamplerStage::Temperature);
            let at = order.iter().position(|stage| *stage == SamplerStage::TopK);
            order.insert(at.unwrap_or(0), SamplerStage::Temperature);
        }
        Ok(order)
    }

    fn ids(&self, key: &str) -> Result<Option<Vec<i64>>, FormatError> {
        let texts = self.root.texts(key)?;
        Ok(texts.map(|ids| ids.iter().filter_map(|id| id.trim().parse().ok()).collect()))
    }

    fn kobold_order(&self, ids: &[i64], lacking: &mut Vec<Lacking>) -> Vec<SamplerStage> {
        let mut ids: Vec<u32> = ids.iter().map(|id| u32::try_from(*id).unwrap_or(99)).collect();
        if !ids.contains(&6) {
            ids.insert(0, 6); // Files from before it had a number put it first.
        }
        match SamplerStage::order_from_koboldcpp(&ids) {
            Ok(order) => complete(order),
            Err(_) => {
                lacking.push(self.lack("sampler_order", "no order of KoboldCpp's; the usual one"));
                SamplerStage::DEFAULT_ORDER.to_vec()
            }
        }
    }

    /// Writes an order as KoboldCpp's where it can say it, and by names always, but for
    /// NovelAI, whose numbers stand in `order`.
    pub(super) fn write_order(&mut self, order: &[SamplerStage]) {
        if self.kind == PresetKind::Novel {
            let ids: Vec<i64> = order.iter().filter_map(|stage| novel_id(*stage)).collect();
            self.root.set("order", &ids);
            return;
        }
        let ids = (0..=6u32).filter_map(|id| {
            let first = SamplerStage::order_from_koboldcpp(&[id]).ok()?[1];
            order.iter().position(|stage| *stage == first).map(|at| (at, id))
        });
        let mut ids: Vec<_> = ids.collect();
        ids.sort_unstable();
        let ids: Vec<u32> = ids.into_iter().map(|(_, id)| id).collect();
        let says_it = SamplerStage::order_from_koboldcpp(&ids).is_ok_and(|said| said == order);
        if says_it || self.kind == PresetKind::Kobold {
            self.root.set("sampler_order", &ids);
        } else {
            // The default stands back for the order by names.
            self.root.set("sampler_order", &KOBOLD_DEFAULT);
            let names: Vec<_> = order.iter().map(|stage| stage.as_str()).collect();
            self.root.set("sampler_priority", &names);
        }
    }
}

fn novel_stage(id: i64) -> Option<SamplerStage> {
    if id == NOVEL_MIN_P {
        return Some(SamplerStage::MinP);
    }
    NOVEL.get(usize::try_from(id).ok()?).copied().flatten()
}

fn novel_id(stage: SamplerStage) -> Option<i64> {
    if stage == SamplerStage::MinP {
        return Some(NOVEL_MIN_P);
    }
    let at = NOVEL.iter().position(|known| *known == Some(stage))?;
    i64::try_from(at).ok()
}

/// The stage of a name in text-generation-webui's or llama.cpp's lists.
fn named_stage(name: &str) -> Option<SamplerStage> {
    Some(match name {
        "temperature" | "dynamic_temperature" => SamplerStage::Temperature,
        "top_k" => SamplerStage::TopK,
        "top_p" => SamplerStage::TopP,
        "top_a" => SamplerStage::TopA,
        "min_p" => SamplerStage::MinP,
        "tfs" | "tfs_z" => SamplerStage::Tfs,
        "typical_p" | "typ_p" | "typical" => SamplerStage::TypicalP,
        "xtc" => SamplerStage::Xtc,
        "dry" => SamplerStage::Dry,
        "repetition_penalty" | "penalties" => SamplerStage::RepetitionPenalty,
        _ => return None,
    })
}

/// Every stage once: those that are named in their order, the others where they usually
/// stand (penalties first, what truncates behind, XTC last).
fn complete(named: impl IntoIterator<Item = SamplerStage>) -> Vec<SamplerStage> {
    let mut order = Vec::new();
    for stage in named {
        if !order.contains(&stage) {
            order.push(stage);
        }
    }
    for stage in [SamplerStage::RepetitionPenalty, SamplerStage::Dry] {
        if !order.contains(&stage) {
            order.insert(0, stage);
        }
    }
    for stage in SamplerStage::DEFAULT_ORDER {
        if !order.contains(&stage) {
            let before_xtc = order.len() - usize::from(order.last() == Some(&SamplerStage::Xtc));
            order.insert(before_xtc, stage);
        }
    }
    order
}
