//! A scene as a model is taught it: the transcript of [`alpaca`] in which every response
//! says how long it is.
//!
//! The very parts that prompts are made of, so that what is trained is what is asked
//! for. Lore, notes and examples are no part of it, nor are the card's own instructions:
//! the model card's samples have personas, a scenario and the role line.

use std::borrow::Cow;

use super::alpaca::{self, Side};
use super::limarp;
use super::neutralise;
use super::stage::Stage;
use super::{PromptError, PromptInputs};
use crate::domain::{Length, Template};

/// A scene in parts, so that whoever joins them knows what is a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lesson {
    /// The instruction: personas, scenario, role line.
    pub opening: String,
    /// The turns, oldest first; one for each of the inputs'.
    pub turns: Vec<LessonTurn>,
}

/// A turn in two parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LessonTurn {
    /// The header and the speaker's name, up to the colon; of a response with its length.
    pub header: String,
    /// What is said, with the space before it; empty where nothing is.
    pub text: String,
    /// The length that the header of a response asks for.
    pub length: Option<Length>,
}

/// A text without what nobody sees, as it stands in prompts: whatever is looked for in it
/// is looked for in this.
pub fn visible(text: &str) -> Cow<'_, str> {
    neutralise::visible(text)
}

/// Renders a scene in LimaRP's format, whatever its template. `length_of` tells the length
/// of a response from its text.
///
/// # Errors
/// The cast is empty.
pub fn lesson(
    inputs: &PromptInputs<'_>,
    length_of: impl Fn(&str) -> Length,
) -> Result<Lesson, PromptError> {
    let template = &Template::Limarp;
    let inputs = PromptInputs { template, system_prompt: "", lore: &[], notes: &[], ..*inputs };
    let stage = Stage::new(&inputs)?;
    let opening = limarp::opening(&stage, &[]);
    let turns = inputs.turns.iter().map(|turn| {
        let name = stage.name(turn.speaker);
        let text = stage.speech(turn.text);
        let text = if text.is_empty() { text } else { format!(" {text}") };
        let length = turn.speaker.is_character().then(|| length_of(&text));
        let header = match length {
            Some(length) => alpaca::open_reply(Some(length), &name, ""),
            None => alpaca::turn(Side::Input, &name, ""),
        };
        LessonTurn { header, text, length }
    });
    Ok(Lesson {
        opening: opening.iter().map(|part| part.text.as_str()).collect(),
        turns: turns.collect(),
    })
}
