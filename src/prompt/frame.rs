//! What stands in every prompt of a scene, and the room it leaves for the rest.
//!
//! The frame never shrinks to make room: if it does not fit, its largest part is
//! named.

use super::budget::Overlong;
use super::receipt::Section;
use super::sections::{Block, Sections};
use super::{PromptError, PromptTurn};

/// The parts that never fall out.
pub(super) struct Frame {
    pub(super) opening: Vec<Block>,
    /// With their depths, deepest first.
    pub(super) notes: Vec<(usize, Block)>,
    pub(super) closing: Vec<Block>,
    num_tokens: usize,
    budget_tokens: usize,
}

impl Frame {
    pub(super) fn new(sections: &Sections<'_>, budget_tokens: usize) -> Result<Self, PromptError> {
        let (opening, notes, closing) = (sections.opening(), sections.notes(), sections.closing());
        let mut frame = Self { opening, notes, closing, num_tokens: 0, budget_tokens };
        frame.num_tokens = frame.blocks().map(|block| block.ids.len()).sum();
        if frame.num_tokens > budget_tokens {
            return Err(frame.too_large(frame.num_tokens));
        }
        Ok(frame)
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
            speaker: block.label.clone(),
            num_tokens,
            available_tokens: overlong.available,
        }
    }

    fn too_large(&self, required_tokens: usize) -> PromptError {
        let (budget_tokens, largest) = (self.budget_tokens, self.largest());
        PromptError::SectionsTooLarge { required_tokens, budget_tokens, largest }
    }

    fn largest(&self) -> Section {
        let largest = self.blocks().max_by_key(|block| block.ids.len());
        largest.expect("the open reply is always there").section()
    }

    fn blocks(&self) -> impl Iterator<Item = &Block> {
        let notes = self.notes.iter().map(|(_, note)| note);
        self.opening.iter().chain(notes).chain(&self.closing)
    }
}
