//! What stands in every prompt of a scene, and the room it leaves for the rest.
//!
//! Where it does not fit beside the turns that must stay, lore falls out of it, the
//! lowest rank first. Nothing else shrinks: if that does not suffice, its largest part
//! is named.

use super::budget::Overlong;
use super::lore::KeptLore;
use super::receipt::{Section, TrimmedLore};
use super::sections::{Block, NoteBlocks, Sections, num_tokens};
use super::stage::Stage;
use super::{PromptError, PromptTurn};
use crate::tokenizer::Tokenizer;

/// The parts that never fall out, once the lore among them is settled.
pub(super) struct Frame {
    pub(super) opening: Vec<Block>,
    pub(super) before_examples: Vec<Block>,
    pub(super) after_examples: Vec<Block>,
    /// Deepest first.
    pub(super) notes: Vec<NoteBlocks>,
    pub(super) closing: Vec<Block>,
    num_tokens: usize,
    budget_tokens: usize,
}

/// A frame that fits, with who rendered it and the lore that fell out.
pub(super) struct Fitted<'a> {
    pub(super) sections: Sections<'a>,
    pub(super) frame: Frame,
    pub(super) dropped: Vec<TrimmedLore>,
}

impl Frame {
    /// # Errors
    /// It does not fit, even without lore.
    pub(super) fn fit<'a>(
        stage: &'a Stage<'a>,
        tokenizer: &'a Tokenizer,
        budget_tokens: usize,
    ) -> Result<Fitted<'a>, PromptError> {
        let mut lore = KeptLore::all(stage);
        let mut dropped = Vec::new();
        loop {
            let sections = Sections::new(stage, tokenizer, &lore)?;
            let frame = Self::new(&sections, budget_tokens);
            let needed = frame.num_tokens + must_stay(&sections);
            if needed > budget_tokens
                && lore.shed(stage, tokenizer, needed - budget_tokens, &mut dropped)
            {
                continue;
            }
            if frame.num_tokens > budget_tokens {
                return Err(frame.too_large(frame.num_tokens));
            }
            dropped.sort_by_key(|(i, _)| *i);
            let dropped = dropped.into_iter().map(|(_, lore)| lore).collect();
            return Ok(Fitted { sections, frame, dropped });
        }
    }

    fn new(sections: &Sections<'_>, budget_tokens: usize) -> Self {
        let mut frame = Self {
            opening: sections.opening(0),
            before_examples: sections.before_examples(),
            after_examples: sections.after_examples(),
            notes: sections.notes(),
            closing: sections.closing(),
            num_tokens: 0,
            budget_tokens,
        };
        frame.num_tokens = num_tokens(frame.blocks()) + sections.begin_reserve();
        frame
    }

    /// The tokens that history and examples may take.
    pub(super) fn room(&self) -> usize {
        self.budget_tokens - self.num_tokens
    }

    /// Why a turn that must stay cannot: it is too long itself, or a larger part of
    /// the frame leaves it no room.
    pub(super) fn blame(
        &self,
        overlong: Overlong,
        turn: &PromptTurn<'_>,
        block: &Block,
    ) -> PromptError {
        let num_tokens = block.ids.len();
        if num_tokens <= self.largest().num_tokens {
            let other_turns = self.room() - overlong.available;
            return self.too_large(self.num_tokens + other_turns + num_tokens);
        }
        PromptError::TurnTooLong {
            turn: turn.id,
            speaker: block.part.label.clone(),
            num_tokens,
            available_tokens: overlong.available,
        }
    }

    /// What is told to whoever has to make room.
    pub(super) fn too_large(&self, required_tokens: usize) -> PromptError {
        let (budget_tokens, largest) = (self.budget_tokens, self.largest());
        PromptError::SectionsTooLarge { required_tokens, budget_tokens, largest }
    }

    fn largest(&self) -> Section {
        let largest = self.blocks().max_by_key(|block| block.ids.len());
        largest.expect("the open reply is always there").section()
    }

    fn blocks(&self) -> impl Iterator<Item = &Block> {
        let notes = self.notes.iter().flat_map(|note| &note.blocks);
        let around = self.before_examples.iter().chain(&self.after_examples);
        self.opening.iter().chain(around).chain(notes).chain(&self.closing)
    }
}

/// What the turns take that stay whatever happens: the latest, and a person's last.
fn must_stay(sections: &Sections<'_>) -> usize {
    let turns = sections.stage.inputs.turns;
    let latest = turns.len().checked_sub(1);
    let pinned = pinned(turns).filter(|i| Some(*i) != latest);
    num_tokens(&latest.into_iter().chain(pinned).map(|i| sections.turn(i)).collect::<Vec<_>>())
}

/// The turn that never falls out: a person's last.
pub(super) fn pinned(turns: &[PromptTurn<'_>]) -> Option<usize> {
    turns.iter().rposition(|turn| !turn.speaker.is_character())
}
