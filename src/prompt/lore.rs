//! The lore of one prompt: what is told where, and what falls out where room is short.

use super::receipt::{SectionKind, TrimmedLore};
use super::stage::Stage;
use crate::domain::LorePosition;
use crate::tokenizer::Tokenizer;

/// A piece of lore as it stands in the prompt: which one, and its neutralised text.
#[derive(Debug, Clone, Copy)]
pub(super) struct ToldLore<'a> {
    pub(super) label: &'a str,
    pub(super) text: &'a str,
    pub(super) place: LorePosition,
}

/// Which lore of a scene is still in its prompt.
#[derive(Debug, Clone)]
pub(super) struct KeptLore {
    /// One for each of the inputs' lore.
    is_kept: Vec<bool>,
}

impl KeptLore {
    /// All that says something.
    pub(super) fn all(stage: &Stage<'_>) -> Self {
        Self { is_kept: stage.lore.iter().map(|text| !text.is_empty()).collect() }
    }

    /// What is told, in order.
    pub(super) fn told<'s>(&self, stage: &'s Stage<'_>) -> Vec<ToldLore<'s>> {
        let inputs = stage.inputs.lore.iter().zip(&stage.lore).zip(&self.is_kept);
        let told = inputs.filter(|(_, is_kept)| **is_kept);
        told.map(|((lore, text), _)| ToldLore { label: lore.label, text, place: lore.place })
            .collect()
    }

    /// Drops the lowest ranks until about `excess` tokens are saved, one at least;
    /// what was dropped is added to `dropped`. False if there was nothing left.
    pub(super) fn shed(
        &mut self,
        stage: &Stage<'_>,
        tokenizer: &Tokenizer,
        excess: usize,
        dropped: &mut Vec<(usize, TrimmedLore)>,
    ) -> bool {
        let mut kept: Vec<_> = (0..self.is_kept.len()).filter(|i| self.is_kept[*i]).collect();
        kept.sort_by_key(|i| (stage.inputs.lore[*i].keep_rank, *i));
        let mut saved = 0;
        for i in &kept {
            let num_tokens = tokenizer.count(&stage.lore[*i]);
            let label = stage.inputs.lore[*i].label.to_owned();
            dropped.push((*i, TrimmedLore { label, num_tokens }));
            self.is_kept[*i] = false;
            saved += num_tokens;
            if saved >= excess {
                break;
            }
        }
        !kept.is_empty()
    }
}

/// What receipts call lore in this place.
pub(super) fn section_kind(place: LorePosition) -> SectionKind {
    match place {
        LorePosition::BeforeCharacters => SectionKind::LoreBefore,
        LorePosition::AfterCharacters => SectionKind::LoreAfter,
        LorePosition::BeforeExamples => SectionKind::LoreBeforeExamples,
        LorePosition::AfterExamples => SectionKind::LoreAfterExamples,
        LorePosition::NoteTop | LorePosition::NoteBottom => SectionKind::LoreInNote,
        LorePosition::AtDepth { .. } => SectionKind::LoreAtDepth,
    }
}
