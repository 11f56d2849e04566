//! Prompts laid out by a template that is data: sequences around the turns, a story
//! string before them.
//!
//! The template's words are structure; names and texts within them are not. What a
//! played turn begins with is byte for byte what the open reply began with.

mod ends;
mod fill;
pub(super) mod handlebars;
mod stops;
mod story;

use super::PromptError;
use super::alpaca::Side;
use super::lore::{ToldLore, section_kind};
use super::notes::StandingNote;
use super::receipt::SectionKind;
use super::rendered::Rendered;
use super::sections::{Lead, Part};
use super::stage::{Stage, StandingExample};
use crate::domain::{
    ContextLayout, InstructSequences, InstructTemplate, LorePosition, NamesBehavior, PromptRole,
};
use handlebars::Node;

/// A scene in a template.
pub(super) struct Instruct<'a> {
    stage: &'a Stage<'a>,
    template: &'a InstructTemplate,
    story: Vec<Node<'a>>,
}

/// What `{{name}}` stands for where nobody in the story speaks.
const SYSTEM: &str = "System";

impl<'a> Instruct<'a> {
    /// # Errors
    /// The story string is none.
    pub(super) fn new(
        stage: &'a Stage<'a>,
        template: &'a InstructTemplate,
    ) -> Result<Self, PromptError> {
        let story = handlebars::parse(&template.context.story_string)?;
        Ok(Self { stage, template, story })
    }

    fn sequences(&self) -> &'a InstructSequences {
        &self.template.instruct
    }

    fn context(&self) -> &'a ContextLayout {
        &self.template.context
    }

    /// What a line break stands for between a sequence and what follows.
    fn separator(&self) -> &'static str {
        if self.sequences().wrap { "\n" } else { "" }
    }

    /// Whether turns begin with their speakers' names.
    fn shows_names(&self) -> bool {
        match self.sequences().names_behavior {
            NamesBehavior::None => false,
            NamesBehavior::Always => true,
            NamesBehavior::Force => self.stage.num_speakers() > 2,
        }
    }

    /// One turn.
    pub(super) fn turn(&self, index: usize) -> Part {
        let turn = &self.stage.inputs.turns[index];
        let role =
            if turn.speaker.is_character() { PromptRole::Assistant } else { PromptRole::User };
        let name = self.stage.name(turn.speaker);
        let last_input = &self.sequences().last_input_sequence;
        let is_last_input =
            role == PromptRole::User && !last_input.is_empty() && self.is_last_input(index);
        let sequence = if is_last_input { last_input } else { self.sequence(role) };
        let shown = self.shows_names().then_some(name.as_str());
        let text = self.stage.speech(turn.text);
        let (text, len) = self.wrapped(role, sequence, &name, shown, &text);
        let lead = Lead { role, len, is_fixed: is_last_input };
        Part { lead: Some(lead), ..Part::new(SectionKind::Turns, name, text) }
    }

    fn is_last_input(&self, index: usize) -> bool {
        let turns = &self.stage.inputs.turns;
        turns[index + 1..].iter().all(|turn| turn.speaker.is_character())
    }

    fn sequence(&self, role: PromptRole) -> &'a String {
        match self.side(role) {
            PromptRole::System => &self.sequences().system_sequence,
            PromptRole::User => &self.sequences().input_sequence,
            PromptRole::Assistant => &self.sequences().output_sequence,
        }
    }

    fn suffix(&self, role: PromptRole) -> &'a str {
        let suffix: &str = match self.side(role) {
            PromptRole::System => &self.sequences().system_suffix,
            PromptRole::User => &self.sequences().input_suffix,
            PromptRole::Assistant => &self.sequences().output_suffix,
        };
        if suffix.is_empty() { self.separator() } else { suffix }
    }

    /// Whose sequences that one's words stand in.
    fn side(&self, role: PromptRole) -> PromptRole {
        match role {
            PromptRole::System if self.sequences().system_same_as_user => PromptRole::User,
            role => role,
        }
    }

    /// A sequence with the name it announces and the line break after it.
    fn lead(&self, sequence: &str, name: &str) -> Rendered {
        let mut lead = self.filled(sequence, name);
        if !lead.is_empty() {
            lead.push_structure(self.separator());
        }
        lead
    }

    /// What one says between its sequences, and how long the lead is.
    fn wrapped(
        &self,
        role: PromptRole,
        sequence: &str,
        name: &str,
        shown: Option<&str>,
        text: &str,
    ) -> (Rendered, usize) {
        let mut out = self.lead(sequence, name);
        let lead = out.len();
        if let Some(shown) = shown {
            out.push_text(shown);
            out.push_structure(if text.is_empty() { ":" } else { ": " });
        }
        out.push_text(text);
        out.append(self.filled(self.suffix(role), name));
        (out, lead)
    }

    /// A note between the turns; each of its lines is a part.
    pub(super) fn note(&self, note: &StandingNote) -> Vec<Part> {
        let role = note.role;
        let last = note.lines.len() - 1;
        let parts = note.lines.iter().enumerate().map(|(i, line)| {
            let (mut text, mut lead) = (Rendered::default(), None);
            if i == 0 {
                text = self.lead(self.sequence(role), self.note_name(role));
                lead = Some(Lead { role: self.side(role), len: text.len(), is_fixed: false });
            } else {
                text.push_text("\n");
            }
            text.push_text(&line.text);
            if i == last {
                text.append(self.filled(self.suffix(role), self.note_name(role)));
            }
            Part { lead, ..Part::new(line.kind, line.label.clone(), text) }
        });
        parts.collect()
    }

    fn note_name(&self, role: PromptRole) -> &str {
        match role {
            PromptRole::System => SYSTEM,
            PromptRole::User => &self.stage.people[0],
            PromptRole::Assistant => self.stage.answering(),
        }
    }

    /// An instruction that nobody in the story says.
    fn instruction(&self, kind: SectionKind, label: &str, text: &str) -> Part {
        let role = PromptRole::System;
        let (text, len) = self.wrapped(role, self.sequence(role), SYSTEM, None, text);
        let lead = Lead { role: self.side(role), len, is_fixed: false };
        Part { lead: Some(lead), ..Part::new(kind, label.to_owned(), text) }
    }

    /// What is not to be seen, right after the story string: none has a place for it.
    pub(super) fn boundaries(&self) -> Option<Part> {
        let text = self.stage.boundaries();
        (!text.is_empty()).then(|| self.instruction(SectionKind::Boundaries, "", &text))
    }

    /// Lore around the examples.
    pub(super) fn lore_around_examples(&self, lore: &ToldLore<'_>) -> Part {
        self.instruction(section_kind(lore.place), lore.label, lore.text)
    }

    /// Lore for which the story string has no place stands right after it.
    pub(super) fn lore_without_a_place(&self, told: &[ToldLore<'_>]) -> Vec<Part> {
        let is_homeless = |lore: &&ToldLore<'_>| match lore.place {
            LorePosition::BeforeCharacters => !self.story_names(&story::LORE_BEFORE),
            LorePosition::AfterCharacters => !self.story_names(&story::LORE_AFTER),
            _ => false,
        };
        told.iter().filter(is_homeless).map(|lore| self.lore_around_examples(lore)).collect()
    }

    /// The example dialogues, each as turns, or as text.
    pub(super) fn examples(&self) -> Vec<Part> {
        let examples = self.stage.all_examples().into_iter();
        examples.map(|example| self.example(example)).collect()
    }

    fn example(&self, example: StandingExample) -> Part {
        let mut out = self.line(&self.context().example_separator);
        let mut lead = None;
        if self.sequences().skip_examples {
            out.append(plain_dialogue(&example));
            out.push_structure("\n");
        } else {
            for (side, name, text) in &example.turns {
                let role = match side {
                    Side::Input => PromptRole::User,
                    Side::Response => PromptRole::Assistant,
                };
                let shown = self.shows_names().then_some(name.as_str());
                let (turn, len) = self.wrapped(role, self.sequence(role), name, shown, text);
                // Behind a separator nothing is the first of all.
                lead = lead.or(Some(Lead { role, len, is_fixed: !out.is_empty() }));
                out.append(turn);
            }
        }
        Part { lead, ..Part::new(SectionKind::Example, example.label, out) }
    }

    /// The line that begins the story, if the template has one.
    pub(super) fn chat_start(&self) -> Option<Part> {
        let line = self.line(&self.context().chat_start);
        (!line.is_empty()).then(|| Part::new(SectionKind::Template, "chat start".to_owned(), line))
    }

    /// A line of the template's own; empty if it says nothing.
    fn line(&self, words: &str) -> Rendered {
        let mut line = self.filled(words, SYSTEM);
        line.trim_end_matches(&['\n']);
        if !line.is_empty() {
            line.push_structure("\n");
        }
        line
    }
}

/// A dialogue as people write it down.
fn plain_dialogue(example: &StandingExample) -> Rendered {
    let mut out = Rendered::default();
    for (i, (_, name, text)) in example.turns.iter().enumerate() {
        out.push_structure(if i > 0 { "\n" } else { "" });
        out.push_text(&format!("{name}: {text}"));
    }
    out
}
