//! From a scene to the model's prompt: a LimaRP transcript, or what another template
//! makes of it, counted to the token.
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
mod instruct;
mod limarp;
mod lore;
mod macros;
mod neutralise;
mod notes;
mod others;
mod quotes;
mod receipt;
mod rendered;
mod sections;
mod shipped;
mod stage;
#[cfg(test)]
mod tests;
mod training;

pub use error::PromptError;
pub use inputs::{
    NoteAuthor, PromptCharacter, PromptInputs, PromptLore, PromptNote, PromptPerson, PromptTurn,
};
pub use instruct::handlebars::StoryStringError;
pub use macros::{MacroContext, StoryMacros, expand};
pub use others::{OtherLines, look_alike};
pub use receipt::{PromptReceipt, Section, SectionKind, Trimmed, TrimmedLore};
pub use shipped::{check_template, shipped_template, shipped_templates};
pub use training::{Lesson, LessonTurn, lesson, visible};

use std::ops::Range;

use sha2::{Digest, Sha256};

use self::frame::{Fitted, Frame};
use self::history::{History, place_notes};
use self::sections::{Block, Sections, num_tokens};
use self::stage::Stage;
use crate::domain::{Template, TurnId};
use crate::tokenizer::Tokenizer;

/// LimaRP's format and its revision: the same inputs under it make the same prompt.
const LIMARP: &str = "limarp-alpaca/1";

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
    /// Where in the text the lines and veils stand; empty where there are none.
    pub boundaries: Range<usize>,
    /// Texts that end the reply, beside the model's own end of text.
    pub stops: Vec<String>,
    /// The other participants, whose lines the reply may not hold.
    pub others: OtherLines,
    /// What is in it and what is not.
    pub receipt: PromptReceipt,
    /// To be given back with the next prompt of the scene; `None` while nothing
    /// has been left out.
    pub anchor: Option<TurnId>,
}

impl Prompt {
    /// The text without its lines and veils, which name what is not to be.
    pub fn story(&self) -> String {
        let Range { start, end } = self.boundaries;
        [&self.text[..start], &self.text[end..]].concat()
    }
}

/// Renders the scene for the character who answers, within the budget.
///
/// # Errors
///
/// What may never be left out (characters, personas, scenario, lines and veils, role line, notes, the
/// latest turn, the last turn by a person) does not fit, the template cannot be read,
/// or the cast has no such character. Nothing is cut in secret.
pub fn build(
    inputs: &PromptInputs<'_>,
    tokenizer: &Tokenizer,
    budget: Budget,
) -> Result<Prompt, PromptError> {
    let budget_tokens = budget.prompt_tokens()?;
    let stage = Stage::new(inputs)?;
    let Fitted { sections, frame, dropped } = Frame::fit(&stage, tokenizer, budget_tokens)?;

    let mut room = frame.room();
    let (blocks, trimmed) = loop {
        let (blocks, trimmed) = assemble(&sections, &frame, room)?;
        // A story that begins otherwise than its turns were counted may take a little
        // more than was kept free for that.
        match num_tokens(&blocks).checked_sub(budget_tokens) {
            None | Some(0) => break (blocks, trimmed),
            Some(excess) if room == 0 => return Err(frame.too_large(budget_tokens + excess)),
            Some(excess) => room = room.saturating_sub(excess),
        }
    };
    Ok(Prompt {
        token_ids: blocks.iter().flat_map(|block| &block.ids).copied().collect(),
        text: blocks.iter().map(|block| block.part.text.as_str()).collect(),
        boundaries: place_of(&blocks, SectionKind::Boundaries),
        stops: sections.stops(),
        others: OtherLines::of(stage.others(), stage.answering()),
        anchor: trimmed.first_kept,
        receipt: PromptReceipt {
            template: template_id(inputs.template),
            num_tokens: num_tokens(&blocks),
            sections: account(&blocks),
            budget_tokens,
            trimmed: Trimmed { lore: dropped, ..trimmed },
        },
    })
}

/// Where the first block of that kind stands, in bytes of the text.
fn place_of(blocks: &[Block], kind: SectionKind) -> Range<usize> {
    let at = blocks.iter().position(|block| block.part.kind == kind).unwrap_or(blocks.len());
    let (before, rest) = blocks.split_at(at);
    let len = |block: &Block| block.part.text.len();
    let start = before.iter().map(len).sum();
    start..start + rest.first().map_or(0, len)
}

/// The blocks of a prompt whose turns and examples keep to `room`, and what they are
/// without.
fn assemble(
    sections: &Sections<'_>,
    frame: &Frame,
    room: usize,
) -> Result<(Vec<Block>, Trimmed), PromptError> {
    let history = History::fit(sections, frame, room)?;
    let mut examples = sections.examples();
    let num_examples = examples.len();
    // Once turns have gone, examples would only come and go and change the prefix.
    examples.truncate(match history.first_kept {
        Some(_) => 0,
        None => {
            let tokens = examples.iter().map(|example| example.ids.len());
            budget::examples_that_fit(tokens, room - history.num_tokens)
        }
    });
    let trimmed = Trimmed {
        num_turns: sections.stage.inputs.turns.len() - history.turns.len(),
        num_examples: num_examples - examples.len(),
        first_kept: history.first_kept,
        lore: Vec::new(),
    };
    let mut opening = frame.opening.clone();
    if sections.opens_with_examples() {
        opening = sections.opening(examples.len());
        examples.clear();
    }
    let mut story = frame.before_examples.clone();
    story.extend(examples);
    story.extend(frame.after_examples.iter().cloned());
    story.extend(place_notes(history.turns, frame.notes.clone()));
    story.extend(frame.closing.iter().cloned());
    sections.begin(&mut story);
    opening.extend(story);
    sections.join(&mut opening);
    Ok((opening, trimmed))
}

/// The format of a prompt and its revision, as receipts name it.
fn template_id(template: &Template) -> String {
    match template {
        Template::Limarp => LIMARP.to_owned(),
        Template::Instruct(instruct) => {
            let json = serde_json::to_vec(instruct).expect("plain data is writable");
            let hash: String =
                Sha256::digest(json).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
            format!("{}/{hash}", instruct.name)
        }
    }
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
    let in_a_row = |a: &Block, b: &Block| {
        (a.part.kind, b.part.kind) == (SectionKind::Turns, SectionKind::Turns)
    };
    let section = |run: &[Block]| match run {
        [first, ..] if first.part.kind == SectionKind::Turns => Section {
            kind: SectionKind::Turns,
            label: run.len().to_string(),
            num_tokens: num_tokens(run),
        },
        [block, ..] => block.section(),
        [] => unreachable!("chunks hold something"),
    };
    blocks.chunk_by(in_a_row).map(section).collect()
}
