//! The parts of a LimaRP prompt, in the words of [`alpaca`].
//!
//! Every note is an instruction, whoever says it: the model was taught no other.

use super::alpaca::{self, Side};
use super::lore::{ToldLore, section_kind};
use super::notes::StandingNote;
use super::receipt::SectionKind;
use super::sections::Part;
use super::stage::Stage;
use crate::domain::LorePosition;

/// The instruction with its paragraphs. An empty description or scenario has none.
pub(super) fn opening(stage: &Stage<'_>, told: &[ToldLore<'_>]) -> Vec<Part> {
    let paragraphs = paragraphs(stage, told);
    let mut paragraphs = paragraphs.into_iter().filter(|(.., text)| !text.is_empty());
    let (kind, label, text) =
        paragraphs.next().unwrap_or((SectionKind::RoleLine, String::new(), String::new()));
    let first = Part::new(kind, label, alpaca::first_paragraph(&text));
    let rest =
        paragraphs.map(|(kind, label, text)| Part::new(kind, label, alpaca::paragraph(&text)));
    std::iter::once(first).chain(rest).collect()
}

fn paragraphs(stage: &Stage<'_>, told: &[ToldLore<'_>]) -> Vec<(SectionKind, String, String)> {
    let mut paragraphs = Vec::new();
    let lore = |place| {
        let lore = told.iter().filter(move |lore| lore.place == place);
        lore.map(move |lore| (section_kind(place), lore.label.to_owned(), lore.text.to_owned()))
    };
    let persona = |kind, name: &String, text: String| {
        let text = if text.is_empty() { text } else { alpaca::persona(name, &text) };
        (kind, name.clone(), text)
    };
    paragraphs.extend(lore(LorePosition::BeforeCharacters));
    for (i, name) in stage.cast.iter().enumerate() {
        paragraphs.push(persona(SectionKind::Character, name, stage.character(i)));
    }
    for (i, name) in stage.people.iter().enumerate() {
        paragraphs.push(persona(SectionKind::Persona, name, stage.persona(i)));
    }
    let scenario = stage.scenario();
    let scenario = if scenario.is_empty() { scenario } else { alpaca::scenario(&scenario) };
    paragraphs.push((SectionKind::Scenario, String::new(), scenario));
    paragraphs.extend(lore(LorePosition::AfterCharacters));
    // The last before the role line, which says that the chat is below it.
    paragraphs.push((SectionKind::Boundaries, String::new(), stage.boundaries()));
    paragraphs.push((SectionKind::RoleLine, String::new(), stage.system_prompt("")));
    paragraphs
}

/// The example dialogues of the whole cast.
pub(super) fn examples(stage: &Stage<'_>) -> Vec<Part> {
    let examples = stage.all_examples().into_iter();
    let rendered = examples.map(|example| {
        let turns = example.turns.iter();
        let text: String =
            turns.map(|(side, name, text)| alpaca::turn(*side, name, text)).collect();
        Part::new(SectionKind::Example, example.label, text)
    });
    rendered.collect()
}

/// Lore around the examples: instructions of their own, since the role line says that
/// the chat is below it.
pub(super) fn lore_around_examples(lore: &ToldLore<'_>) -> Part {
    Part::new(section_kind(lore.place), lore.label.to_owned(), alpaca::note(lore.text))
}

/// A note between the turns; each of its lines is a part.
pub(super) fn note(note: &StandingNote) -> Vec<Part> {
    let parts = note.lines.iter().enumerate().map(|(i, line)| {
        let text = if i == 0 { alpaca::note(&line.text) } else { format!("\n{}", line.text) };
        Part::new(line.kind, line.label.clone(), text)
    });
    parts.collect()
}

/// One turn.
pub(super) fn turn(stage: &Stage<'_>, index: usize) -> Part {
    let turn = &stage.inputs.turns[index];
    let side = if turn.speaker.is_character() { Side::Response } else { Side::Input };
    let name = stage.name(turn.speaker);
    let text = alpaca::turn(side, &name, &stage.speech(turn.text));
    Part::new(SectionKind::Turns, name, text)
}

/// What stands after all turns: instructions, if any, and the open reply.
pub(super) fn closing(stage: &Stage<'_>) -> Vec<Part> {
    let text = stage.post_history("");
    let instructions = (!text.is_empty())
        .then(|| Part::new(SectionKind::PostHistory, String::new(), alpaca::note(&text)));
    let name = stage.answering();
    let reply = alpaca::open_reply(stage.inputs.length, name, &stage.begun());
    let reply = Part::new(SectionKind::Reply, name.to_owned(), reply);
    instructions.into_iter().chain([reply]).collect()
}
