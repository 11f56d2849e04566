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
mod frame;
mod history;
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

use self::frame::Frame;
use self::history::{History, place_notes};
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
    let frame = Frame::new(&sections, budget_tokens)?;

    let history = History::fit(&sections, &frame)?;
    let mut examples = sections.examples();
    let num_examples = examples.len();
    // Once turns have gone, examples would only come and go and change the prefix.
    examples.truncate(match history.first_kept {
        Some(_) => 0,
        None => {
            let tokens = examples.iter().map(|example| example.ids.len());
            budget::examples_that_fit(tokens, frame.room() - history.num_tokens)
        }
    });

    let trimmed = Trimmed {
        num_turns: inputs.turns.len() - history.turns.len(),
        num_examples: num_examples - examples.len(),
        first_kept: history.first_kept,
    };
    let history = place_notes(history.turns, frame.notes);
    let body = examples.into_iter().chain(history);
    let blocks: Vec<_> = frame.opening.into_iter().chain(body).chain(frame.closing).collect();
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
        anchor: trimmed.first_kept,
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
