//! Where a story in a template begins and ends: the first block of all, and the open
//! reply.

use super::{Instruct, SYSTEM};
use crate::domain::{InstructSequences, PromptRole};
use crate::prompt::receipt::SectionKind;
use crate::prompt::rendered::Rendered;
use crate::prompt::sections::{Lead, Part};

impl Instruct<'_> {
    /// What stands after all turns: instructions, if any, and the open reply.
    pub(in crate::prompt) fn closing(&self) -> Vec<Part> {
        let text = self.stage.post_history(&self.template.system_prompt.post_history);
        let instructions =
            (!text.is_empty()).then(|| self.instruction(SectionKind::PostHistory, "", &text));
        instructions.into_iter().chain([self.reply()]).collect()
    }

    /// The open reply: what a played turn begins with, without a space at its end.
    fn reply(&self) -> Part {
        let name = self.stage.answering();
        let InstructSequences { output_sequence, last_output_sequence, .. } = self.sequences();
        let sequence =
            if last_output_sequence.is_empty() { output_sequence } else { last_output_sequence };
        let mut out = self.lead(sequence, name);
        let lead = out.len();
        if self.shows_names() {
            // A last sequence is often written without the space of the other one.
            if output_sequence.ends_with(' ') && !sequence.ends_with(char::is_whitespace) {
                out.push_structure(" ");
            }
            out.push_text(name);
            out.push_structure(":");
        }
        let begun = self.stage.begun();
        if begun.is_empty() {
            out.trim_end_matches(&[' ']);
        } else {
            let spaced = out.as_str().ends_with([' ', '\n']) || out.is_empty();
            out.push_structure(if spaced { "" } else { " " });
            out.push_text(&begun);
        }
        let lead = Lead { role: PromptRole::Assistant, len: lead.min(out.len()), is_fixed: true };
        Part { lead: Some(lead), ..Part::new(SectionKind::Reply, name.to_owned(), out) }
    }

    /// The same part as the very first of the story; `None` if nothing changes.
    pub(in crate::prompt) fn as_first(&self, part: &Part) -> Option<Part> {
        let Lead { role, len, .. } = part.lead.filter(|lead| !lead.is_fixed)?;
        let sequence = match role {
            PromptRole::User => &self.sequences().first_input_sequence,
            PromptRole::Assistant => &self.sequences().first_output_sequence,
            PromptRole::System => return None,
        };
        let name = match (part.kind, role) {
            (SectionKind::Turns, _) => &part.label,
            (SectionKind::Example, PromptRole::User) => &self.stage.people[0],
            (SectionKind::Example, _) => self.stage.answering(),
            _ => SYSTEM,
        };
        let mut text = self.lead(sequence, name);
        text.append(part.text.clone().split_off(len));
        (!sequence.is_empty()).then(|| Part { text, ..part.clone() })
    }

    /// What the person is made to say before a story that a character begins.
    pub(in crate::prompt) fn alignment(&self, first: &Part) -> Option<Part> {
        let role = first.lead?.role;
        let message = self.stage.words(&self.sequences().user_alignment_message);
        if role != PromptRole::Assistant || message.trim().is_empty() {
            return None;
        }
        let first_input = &self.sequences().first_input_sequence;
        let sequence =
            if first_input.is_empty() { &self.sequences().input_sequence } else { first_input };
        let name = &self.stage.people[0];
        let shown = self.shows_names().then_some(name.as_str());
        let (text, _) = self.wrapped(PromptRole::User, sequence, name, shown, &message);
        Some(Part::new(SectionKind::Template, "opening message".to_owned(), text))
    }

    /// All that may be added where the story begins.
    pub(in crate::prompt) fn beginnings(&self) -> Vec<Part> {
        let reply = Part {
            lead: Some(Lead { role: PromptRole::Assistant, len: 0, is_fixed: true }),
            ..Part::new(SectionKind::Reply, String::new(), Rendered::default())
        };
        let InstructSequences { first_input_sequence, first_output_sequence, .. } =
            self.sequences();
        let firsts = [first_input_sequence, first_output_sequence].map(|sequence| {
            Part::new(SectionKind::Template, String::new(), self.filled(sequence, SYSTEM))
        });
        self.alignment(&reply).into_iter().chain(firsts).collect()
    }
}
