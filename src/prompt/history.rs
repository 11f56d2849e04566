//! The turns of a prompt: those that stay, and the notes among them.
//!
//! A turn is rendered and tokenised only if it may stay, so that a scene of
//! thousands costs no more than what its context holds.

use super::PromptError;
use super::budget::{self, Line};
use super::frame::{Frame, pinned};
use super::sections::{Block, NoteBlocks, Sections};
use crate::domain::TurnId;

/// The turns that stay.
pub(super) struct History {
    /// One for each turn, oldest first.
    pub(super) turns: Vec<Block>,
    /// What they add up to.
    pub(super) num_tokens: usize,
    /// The oldest turn of the unbroken rest, where any was left out.
    pub(super) first_kept: Option<TurnId>,
}

impl History {
    /// Fits the scene's turns into a room, which is what the frame leaves, or less.
    pub(super) fn fit(
        sections: &Sections<'_>,
        frame: &Frame,
        room: usize,
    ) -> Result<Self, PromptError> {
        let inputs = sections.stage.inputs;
        let anchor = inputs.anchor;
        let line = Line {
            num_turns: inputs.turns.len(),
            pinned: pinned(inputs.turns),
            anchor: anchor.and_then(|id| inputs.turns.iter().position(|turn| turn.id == id)),
        };
        let mut turns: Vec<Option<Block>> = vec![None; line.num_turns];
        let mut cost = |i: usize| turns[i].get_or_insert_with(|| sections.turn(i)).ids.len();
        let kept = budget::trim(line, room, &mut cost).map_err(|overlong| {
            frame.blame(overlong, &inputs.turns[overlong.turn], &sections.turn(overlong.turn))
        })?;

        let rest = turns.split_off(kept.first);
        let pinned = line.pinned.filter(|i| *i < kept.first).and_then(|i| turns[i].take());
        Ok(Self {
            // What stays was counted, so all of it is there.
            turns: pinned.into_iter().chain(rest.into_iter().flatten()).collect(),
            num_tokens: kept.num_tokens,
            first_kept: (kept.first > 0).then(|| inputs.turns[kept.first].id),
        })
    }
}

/// Puts each note before as many turns as its depth says; where there are fewer,
/// before all of them. The notes come deepest first.
pub(super) fn place_notes(turns: Vec<Block>, notes: Vec<NoteBlocks>) -> Vec<Block> {
    let mut notes = notes.into_iter().peekable();
    let mut placed = Vec::with_capacity(turns.len() + notes.len());
    let num_turns = turns.len();
    for (i, turn) in turns.into_iter().enumerate() {
        while let Some(note) = notes.next_if(|note| num_turns - i <= note.depth) {
            placed.extend(note.blocks);
        }
        placed.push(turn);
    }
    placed.extend(notes.flat_map(|note| note.blocks));
    placed
}
