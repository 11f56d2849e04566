//! Why no prompt could be made, with the numbers a person needs to act on it.

use super::instruct::handlebars::StoryStringError;
use super::receipt::Section;
use crate::domain::TurnId;

/// Why no prompt could be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PromptError {
    /// The budget leaves no token for a prompt.
    #[error(
        "a reply of {reply_tokens} tokens leaves no room in a context of {context_tokens}; \
         ask for shorter replies or choose a larger context"
    )]
    NoRoom {
        /// The context window.
        context_tokens: usize,
        /// The part of it kept for the reply.
        reply_tokens: usize,
    },
    /// What may never be left out is larger than the whole budget.
    #[error(
        "{required_tokens} tokens must stand in every prompt of this scene but {budget_tokens} fit; \
         the largest part is {largest} with {} tokens: shorten it, or choose a larger context",
        .largest.num_tokens
    )]
    SectionsTooLarge {
        /// What the parts that never fall out add up to.
        required_tokens: usize,
        /// What a prompt may hold.
        budget_tokens: usize,
        /// The largest of them.
        largest: Section,
    },
    /// The turn to be answered does not fit beside what may never be left out.
    #[error(
        "the message by {speaker} is {num_tokens} tokens long but {available_tokens} fit beside \
         the rest; shorten it, or choose a larger context"
    )]
    TurnTooLong {
        /// Which turn.
        turn: TurnId,
        /// Who spoke it.
        speaker: String,
        /// Its size.
        num_tokens: usize,
        /// What was left for it.
        available_tokens: usize,
    },
    /// The template tells nothing that can be understood.
    #[error("the template's story string is damaged: {0}")]
    StoryString(#[from] StoryStringError),
    /// `answering` names nobody in the cast.
    #[error("there is no character number {answering} in a cast of {cast}; add one to the scene")]
    NobodyAnswers {
        /// The index asked for.
        answering: usize,
        /// How many there are.
        cast: usize,
    },
}

impl PromptError {
    /// A stable label for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoRoom { .. } => "no_room",
            Self::SectionsTooLarge { .. } => "sections_too_large",
            Self::TurnTooLong { .. } => "turn_too_long",
            Self::StoryString(_) => "story_string",
            Self::NobodyAnswers { .. } => "nobody_answers",
        }
    }
}
