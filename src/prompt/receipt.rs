//! What a prompt holds and what had to stay out, in tokens.
//!
//! Numbers and names of sections only, never what a section says. The sections
//! add up to the total exactly.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::TurnId;

/// The accounts of one prompt; kept with the reply it led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptReceipt {
    /// The format, and its revision: the same inputs under the same template make
    /// the same prompt.
    pub template: String,
    /// Everything in the prompt, in order; neighbouring turns are one section.
    pub sections: Vec<Section>,
    /// The whole prompt; the sum of the sections.
    pub num_tokens: usize,
    /// The most it could have been: the context less the reply.
    pub budget_tokens: usize,
    /// What stayed out.
    pub trimmed: Trimmed,
}

/// One part of a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// What it is.
    pub kind: SectionKind,
    /// Which one, for people to read: a name, a count; may be empty.
    pub label: String,
    /// Its size.
    pub num_tokens: usize,
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.label.is_empty() {
            write!(f, "the {}", self.kind)
        } else {
            write!(f, "the {} ({})", self.kind, self.label)
        }
    }
}

/// What a part of a prompt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SectionKind {
    /// The token that begins every text, where the model wants one.
    Bos,
    /// Lore before the characters.
    LoreBefore,
    /// A character's description.
    Character,
    /// A person's persona.
    Persona,
    /// What happens in the story.
    Scenario,
    /// Lore after the scenario.
    LoreAfter,
    /// Lines and veils: what is not to be seen.
    Boundaries,
    /// The role line, or what a card puts in its place.
    RoleLine,
    /// One example dialogue.
    Example,
    /// Turns that were played.
    Turns,
    /// Lore before the example dialogues.
    LoreBeforeExamples,
    /// Lore after the example dialogues.
    LoreAfterExamples,
    /// Lore at the top or the bottom of the author's note.
    LoreInNote,
    /// Lore between the turns.
    LoreAtDepth,
    /// A note between the turns.
    Note,
    /// Words of the template's own between the other parts.
    Template,
    /// Instructions after the history.
    PostHistory,
    /// The open header of the reply, with what the reply begins with.
    Reply,
}

impl fmt::Display for SectionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Bos => "beginning of text",
            Self::LoreBefore => "lore before the characters",
            Self::Character => "character",
            Self::Persona => "persona",
            Self::Scenario => "scenario",
            Self::LoreAfter => "lore after the scenario",
            Self::Boundaries => "lines and veils",
            Self::RoleLine => "role line",
            Self::Example => "example dialogue",
            Self::Turns => "turns",
            Self::LoreBeforeExamples => "lore before the examples",
            Self::LoreAfterExamples => "lore after the examples",
            Self::LoreInNote => "lore in the note",
            Self::LoreAtDepth => "lore between the turns",
            Self::Note => "note",
            Self::Template => "template's own words",
            Self::PostHistory => "post-history instructions",
            Self::Reply => "open reply",
        })
    }
}

/// What stayed out of a prompt for want of room.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trimmed {
    /// Turns left out, the oldest.
    pub num_turns: usize,
    /// Example dialogues left out.
    pub num_examples: usize,
    /// The oldest turn of the unbroken history that was kept, where turns were
    /// left out.
    pub first_kept: Option<TurnId>,
    /// Lore left out, in the order of the prompt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lore: Vec<TrimmedLore>,
}

/// A piece of lore that stayed out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrimmedLore {
    /// Which one, for people to read.
    pub label: String,
    /// Its size, without what would have stood around it.
    pub num_tokens: usize,
}
