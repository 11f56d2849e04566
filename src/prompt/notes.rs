//! What stands between the turns: notes, and the lore that joins them or has a depth of
//! its own.

use super::inputs::{NoteAuthor, PromptNote};
use super::lore::{ToldLore, section_kind};
use super::receipt::SectionKind;
use super::stage::Stage;
use crate::domain::{LorePosition, Note, PromptRole};

/// A note that says something.
#[derive(Debug, Clone)]
pub(super) struct StandingNote {
    /// How many turns stand after it.
    pub(super) depth: usize,
    /// Who says it.
    pub(super) role: PromptRole,
    /// What it says, part by part; never empty.
    pub(super) lines: Vec<NoteLine>,
}

/// A part of a note, neutralised.
#[derive(Debug, Clone)]
pub(super) struct NoteLine {
    pub(super) kind: SectionKind,
    pub(super) label: String,
    pub(super) text: String,
}

/// The notes of a scene, deepest first; in one depth lore stands before notes.
pub(super) fn standing_notes(stage: &Stage<'_>, told: &[ToldLore<'_>]) -> Vec<StandingNote> {
    let mut notes: Vec<_> = told.iter().filter_map(lore_at_depth).collect();
    let mut authors = authors_note(stage, told);
    for (i, note) in stage.inputs.notes.iter().enumerate() {
        let lines = match first_of_the_scene(stage.inputs.notes) {
            Some(first) if first == i => std::mem::take(&mut authors),
            _ => own_line(stage, i, note).into_iter().collect(),
        };
        notes.push(StandingNote { depth: note.depth, role: note.role, lines });
    }
    notes.push(StandingNote {
        depth: Note::DEFAULT_DEPTH,
        role: PromptRole::System,
        lines: authors,
    });
    notes.retain(|note| !note.lines.is_empty());
    notes.sort_by_key(|note| std::cmp::Reverse(note.depth));
    notes
}

fn lore_at_depth(lore: &ToldLore<'_>) -> Option<StandingNote> {
    let LorePosition::AtDepth { depth, role } = lore.place else { return None };
    Some(StandingNote { depth, role, lines: vec![lore_line(lore)] })
}

/// The author's note with the lore at its top and bottom.
fn authors_note(stage: &Stage<'_>, told: &[ToldLore<'_>]) -> Vec<NoteLine> {
    let at = |place| told.iter().filter(move |lore| lore.place == place).map(lore_line);
    let first = first_of_the_scene(stage.inputs.notes);
    let own = first.and_then(|i| own_line(stage, i, &stage.inputs.notes[i]));
    at(LorePosition::NoteTop).chain(own).chain(at(LorePosition::NoteBottom)).collect()
}

fn first_of_the_scene(notes: &[PromptNote<'_>]) -> Option<usize> {
    notes.iter().position(|note| note.author == NoteAuthor::Scene)
}

fn own_line(stage: &Stage<'_>, index: usize, note: &PromptNote<'_>) -> Option<NoteLine> {
    let place = format!("note {index}");
    let (text, whose) = match note.author {
        NoteAuthor::Scene => (stage.direction(note.text, None, &place), None),
        NoteAuthor::Character(i) => {
            let name = stage.cast.get(i)?;
            (stage.reminder(note.text, i, &place), Some(name))
        }
    };
    let depth = format!("at depth {}", note.depth);
    let label = whose.map_or(depth.clone(), |name| format!("{name}, {depth}"));
    (!text.is_empty()).then_some(NoteLine { kind: SectionKind::Note, label, text })
}

fn lore_line(lore: &ToldLore<'_>) -> NoteLine {
    NoteLine {
        kind: section_kind(lore.place),
        label: lore.label.to_owned(),
        text: lore.text.to_owned(),
    }
}
