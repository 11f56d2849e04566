//! The parts of a prompt, each rendered and tokenised once.
//!
//! A block's ids never change afterwards: what is counted is what is sent.

use super::alpaca::{self, Side};
use super::receipt::{Section, SectionKind};
use super::stage::Stage;
use crate::tokenizer::Tokenizer;

/// A piece of the prompt's text with its tokens.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) kind: SectionKind,
    pub(super) label: String,
    pub(super) text: String,
    pub(super) ids: Vec<u32>,
}

impl Block {
    pub(super) fn section(&self) -> Section {
        Section { kind: self.kind, label: self.label.clone(), num_tokens: self.ids.len() }
    }
}

/// Renders and tokenises the parts of one scene.
pub(super) struct Sections<'a> {
    pub(super) stage: &'a Stage<'a>,
    pub(super) tokenizer: &'a Tokenizer,
}

impl Sections<'_> {
    /// What stands before all turns: the beginning of text and the instruction
    /// with its paragraphs. An empty description or scenario has none.
    pub(super) fn opening(&self) -> Vec<Block> {
        let mut paragraphs = self.paragraphs().into_iter().filter(|(.., text)| !text.is_empty());
        let (kind, label, text) =
            paragraphs.next().unwrap_or((SectionKind::RoleLine, String::new(), String::new()));
        let text = alpaca::first_paragraph(&text);
        let ids = self.tokenizer.encode_start(&text);
        let first = Block { kind, label, text, ids };
        let bos = self.tokenizer.bos_id().map(|id| Block {
            kind: SectionKind::Bos,
            label: String::new(),
            text: String::new(),
            ids: vec![id],
        });
        let rest =
            paragraphs.map(|(kind, label, text)| self.block(kind, label, alpaca::paragraph(&text)));
        bos.into_iter().chain([first]).chain(rest).collect()
    }

    fn paragraphs(&self) -> Vec<(SectionKind, String, String)> {
        let (stage, inputs) = (self.stage, self.stage.inputs);
        let mut paragraphs = Vec::new();
        let lore = |kind, lore: &[String], place: &str| {
            let lore = lore.iter().enumerate();
            let entry = |(i, text): (usize, &String)| {
                (kind, (i + 1).to_string(), stage.shared(text, &format!("{place} {i}")))
            };
            lore.map(entry).collect::<Vec<_>>()
        };
        let persona = |kind, name: &String, text: String| {
            let text = if text.is_empty() { text } else { alpaca::persona(name, &text) };
            (kind, name.clone(), text)
        };
        paragraphs.extend(lore(SectionKind::LoreBefore, inputs.lore_before, "lore before"));
        for (i, name) in stage.cast.iter().enumerate() {
            paragraphs.push(persona(SectionKind::Character, name, stage.character(i)));
        }
        for (i, (name, person)) in stage.people.iter().zip(inputs.people).enumerate() {
            let text = stage.shared(person.description, &format!("person {i}"));
            paragraphs.push(persona(SectionKind::Persona, name, text));
        }
        let scenario = stage.shared(inputs.scenario, "scenario");
        let scenario = if scenario.is_empty() { scenario } else { alpaca::scenario(&scenario) };
        paragraphs.push((SectionKind::Scenario, String::new(), scenario));
        paragraphs.extend(lore(SectionKind::LoreAfter, inputs.lore_after, "lore after"));
        paragraphs.push((SectionKind::RoleLine, String::new(), self.role_line()));
        paragraphs
    }

    fn role_line(&self) -> String {
        let (stage, ours) = (self.stage, self.stage.inputs.system_prompt);
        let role_line =
            alpaca::role_line(&alpaca::join_names(&stage.cast), &alpaca::join_names(&stage.people));
        if ours.trim().is_empty() {
            role_line
        } else {
            stage.direction(ours, Some(&role_line), "system prompt")
        }
    }

    /// The example dialogues of the whole cast.
    pub(super) fn examples(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        for (i, name) in self.stage.cast.iter().enumerate() {
            for (j, text) in self.stage.examples(i).into_iter().enumerate() {
                blocks.push(self.block(SectionKind::Example, format!("{name}, {}", j + 1), text));
            }
        }
        blocks
    }

    /// The notes with their depths, deepest first; those that say nothing are left
    /// out.
    pub(super) fn notes(&self) -> Vec<(usize, Block)> {
        let notes = self.stage.inputs.notes.iter().enumerate();
        let mut notes: Vec<_> = notes
            .filter_map(|(i, note)| {
                let text = self.stage.direction(&note.text, None, &format!("note {i}"));
                let label = format!("at depth {}", note.depth);
                let block = || self.block(SectionKind::Note, label, alpaca::note(&text));
                (!text.is_empty()).then(|| (note.depth, block()))
            })
            .collect();
        notes.sort_by_key(|(depth, _)| std::cmp::Reverse(*depth));
        notes
    }

    /// One turn.
    pub(super) fn turn(&self, index: usize) -> Block {
        let turn = &self.stage.inputs.turns[index];
        let side = if turn.speaker.is_character() { Side::Response } else { Side::Input };
        let name = self.stage.name(turn.speaker);
        let text = alpaca::turn(side, &name, &self.stage.speech(turn.text));
        self.block(SectionKind::Turns, name, text)
    }

    /// What stands after all turns: instructions, if any, and the open reply.
    pub(super) fn closing(&self) -> Vec<Block> {
        let (stage, inputs) = (self.stage, self.stage.inputs);
        let text = stage.direction(inputs.post_history_instructions, Some(""), "post-history");
        let instructions = (!text.is_empty())
            .then(|| self.block(SectionKind::PostHistory, String::new(), alpaca::note(&text)));
        let begun = stage.speech(inputs.continuation.unwrap_or_default());
        let name = stage.answering();
        let reply = alpaca::open_reply(inputs.length, name, &begun);
        let reply = self.block(SectionKind::Reply, name.to_owned(), reply);
        instructions.into_iter().chain([reply]).collect()
    }

    fn block(&self, kind: SectionKind, label: String, text: String) -> Block {
        let ids = self.tokenizer.encode(&text);
        Block { kind, label, text, ids }
    }
}
