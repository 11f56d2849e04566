//! From a scene to the model's prompt: a LimaRP transcript, counted to the token.
//!
//! [`build`] is pure: no I/O, no clock, no randomness but the seed it is given.
//! It does not choose turns, lore or speakers, and it never cuts inside a turn.
//! What was counted is what is sent: the prompt's ids are the very ids of its
//! sections, and people's text cannot become structure of the transcript.

pub mod alpaca;
mod budget;
mod error;
mod examples;
mod inputs;
mod macros;
mod neutralise;
mod receipt;
mod sections;
mod stage;
#[cfg(test)]
mod tests;

pub use error::PromptError;
pub use inputs::{PromptCharacter, PromptInputs, PromptPerson, PromptTurn};
pub use macros::{MacroContext, expand};
pub use receipt::{PromptReceipt, Section, SectionKind, Trimmed};

use self::budget::{Kept, Line, Overlong};
use self::sections::{Block, Sections};
use self::stage::Stage;
use crate::domain::TurnId;
use crate::tokenizer::Tokenizer;

/// The format of the prompts and its revision, as receipts name it.
pub const TEMPLATE: &str = "limarp-alpaca/1";

/// How much a prompt may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// The model's context window.
    pub context_tokens: usize,
    /// The part of it that is kept free for the reply.
    pub reply_tokens: usize,
}

/// What the model is given, and how it came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    /// The prompt, beginning of text included where the model wants it.
    pub token_ids: Vec<u32>,
    /// The same as text, to be shown.
    pub text: String,
    /// Texts that end the reply, beside the model's own end of text.
    pub stops: Vec<String>,
    /// What is in it and what is not.
    pub receipt: PromptReceipt,
    /// To be given back with the next prompt of the scene; `None` while nothing
    /// has been left out.
    pub anchor: Option<TurnId>,
}

/// Renders the scene for the character who answers, within the budget.
///
/// # Errors
///
/// What may never be left out (characters, personas, scenario, lore, role line,
/// notes, the latest turn, the last turn by a person) does not fit, or the cast
/// has no such character. Nothing is cut in secret.
pub fn build(
    inputs: &PromptInputs<'_>,
    tokenizer: &Tokenizer,
    budget: Budget,
) -> Result<Prompt, PromptError> {
    let budget_tokens = budget.prompt_tokens()?;
    let stage = Stage::new(inputs)?;
    let sections = Sections { stage: &stage, tokenizer };
    let (opening, notes, closing) = (sections.opening(), sections.notes(), sections.closing());

    let required: Vec<_> =
        opening.iter().chain(notes.iter().map(|(_, note)| note)).chain(&closing).collect();
    let required_tokens = required.iter().map(|block| block.ids.len()).sum();
    let too_large = |required_tokens| PromptError::SectionsTooLarge {
        required_tokens,
        budget_tokens,
        largest: largest(&required).section(),
    };
    let room =
        budget_tokens.checked_sub(required_tokens).ok_or_else(|| too_large(required_tokens))?;

    let mut turns: Vec<Option<Block>> = vec![None; inputs.turns.len()];
    let mut cost = |turn: usize| turns[turn].get_or_insert_with(|| sections.turn(turn)).ids.len();
    let line = line(inputs);
    let kept = budget::trim(line, room, &mut cost).map_err(|Overlong { turn, available }| {
        let num_tokens = cost(turn);
        if num_tokens <= largest(&required).ids.len() {
            return too_large(required_tokens + (room - available) + num_tokens);
        }
        PromptError::TurnTooLong {
            turn: inputs.turns[turn].id,
            speaker: stage.name(inputs.turns[turn].speaker),
            num_tokens,
            available_tokens: available,
        }
    })?;

    let mut examples = sections.examples();
    let num_examples = examples.len();
    examples.truncate(if kept.first > 0 {
        0
    } else {
        let tokens = examples.iter().map(|example| example.ids.len());
        budget::examples_that_fit(tokens, room - kept.num_tokens)
    });

    let first_kept = (kept.first > 0).then(|| inputs.turns[kept.first].id);
    let history = history(turns, line, kept);
    let trimmed = Trimmed {
        num_turns: inputs.turns.len() - history.len(),
        num_examples: num_examples - examples.len(),
        first_kept,
    };
    let history = place_notes(history, notes);
    let blocks: Vec<_> =
        opening.into_iter().chain(examples).chain(history).chain(closing).collect();
    Ok(Prompt {
        token_ids: blocks.iter().flat_map(|block| &block.ids).copied().collect(),
        text: blocks.iter().map(|block| block.text.as_str()).collect(),
        stops: alpaca::stops(stage.others()),
        receipt: PromptReceipt {
            template: TEMPLATE.to_owned(),
            num_tokens: blocks.iter().map(|block| block.ids.len()).sum(),
            sections: account(&blocks),
            budget_tokens,
            trimmed,
        },
        anchor: first_kept,
    })
}

impl Budget {
    fn prompt_tokens(self) -> Result<usize, PromptError> {
        let Self { context_tokens, reply_tokens } = self;
        match context_tokens.checked_sub(reply_tokens) {
            Some(tokens) if tokens > 0 => Ok(tokens),
            _ => Err(PromptError::NoRoom { context_tokens, reply_tokens }),
        }
    }
}

fn largest<'a>(blocks: &[&'a Block]) -> &'a Block {
    let largest = blocks.iter().max_by_key(|block| block.ids.len());
    largest.expect("the open reply is always there")
}

/// The history as trimming sees it.
fn line(inputs: &PromptInputs<'_>) -> Line {
    let turns = inputs.turns;
    Line {
        num_turns: turns.len(),
        pinned: turns.iter().rposition(|turn| !turn.speaker.is_character()),
        anchor: inputs.anchor.and_then(|anchor| turns.iter().position(|turn| turn.id == anchor)),
    }
}

/// The turns that stay, oldest first. All of them were counted.
fn history(mut turns: Vec<Option<Block>>, line: Line, kept: Kept) -> Vec<Block> {
    let rest = turns.split_off(kept.first);
    let pinned = line.pinned.filter(|pinned| *pinned < kept.first).and_then(|i| turns[i].take());
    pinned.into_iter().chain(rest.into_iter().flatten()).collect()
}

/// Puts each note before as many turns as its depth says; where there are fewer,
/// before all of them.
fn place_notes(history: Vec<Block>, notes: Vec<(usize, Block)>) -> Vec<Block> {
    let mut notes = notes.into_iter().peekable();
    let mut placed = Vec::with_capacity(history.len() + notes.len());
    let num_turns = history.len();
    for (i, turn) in history.into_iter().enumerate() {
        while let Some((_, note)) = notes.next_if(|(depth, _)| num_turns - i <= *depth) {
            placed.push(note);
        }
        placed.push(turn);
    }
    placed.extend(notes.map(|(_, note)| note));
    placed
}

/// The receipt's sections: the blocks, with turns in a row as one.
fn account(blocks: &[Block]) -> Vec<Section> {
    let in_a_row =
        |a: &Block, b: &Block| (a.kind, b.kind) == (SectionKind::Turns, SectionKind::Turns);
    let section = |run: &[Block]| match run {
        [first, ..] if first.kind == SectionKind::Turns => Section {
            kind: SectionKind::Turns,
            label: run.len().to_string(),
            num_tokens: run.iter().map(|turn| turn.ids.len()).sum(),
        },
        [block, ..] => block.section(),
        [] => unreachable!("chunks hold something"),
    };
    blocks.chunk_by(in_a_row).map(section).collect()
}
