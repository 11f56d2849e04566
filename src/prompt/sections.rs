//! The parts of a prompt, each rendered and tokenised once, whatever the template.
//!
//! A block's ids never change afterwards: what is counted is what is sent.

use super::instruct::Instruct;
use super::limarp;
use super::lore::{KeptLore, ToldLore};
use super::notes::{StandingNote, standing_notes};
use super::receipt::{Section, SectionKind};
use super::rendered::Rendered;
use super::stage::Stage;
use super::{PromptError, alpaca};
use crate::domain::{LorePosition, PromptRole, Template};
use crate::tokenizer::Tokenizer;

/// A part of a prompt as text.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) kind: SectionKind,
    pub(super) label: String,
    pub(super) text: Rendered,
    /// What a template's turns and notes begin with; `None` for other parts.
    pub(super) lead: Option<Lead>,
}

/// The sequence that a part begins with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lead {
    /// Whose it is.
    pub(super) role: PromptRole,
    /// Its length in bytes, the line break after it included.
    pub(super) len: usize,
    /// Whether it stays where the part is the first of all.
    pub(super) is_fixed: bool,
}

impl Part {
    pub(super) fn new(kind: SectionKind, label: String, text: impl Into<Rendered>) -> Self {
        Self { kind, label, text: text.into(), lead: None }
    }
}

/// A part with its tokens.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) part: Part,
    pub(super) ids: Vec<u32>,
}

impl Block {
    pub(super) fn section(&self) -> Section {
        let Part { kind, label, .. } = &self.part;
        Section { kind: *kind, label: label.clone(), num_tokens: self.ids.len() }
    }
}

/// What the blocks of all of these add up to.
pub(super) fn num_tokens<'b>(blocks: impl IntoIterator<Item = &'b Block>) -> usize {
    blocks.into_iter().map(|block| block.ids.len()).sum()
}

/// A note's blocks, and how many turns stand after them.
#[derive(Debug, Clone)]
pub(super) struct NoteBlocks {
    pub(super) depth: usize,
    pub(super) blocks: Vec<Block>,
}

/// Who knows how a prompt is laid out.
enum Layout<'a> {
    Limarp,
    Instruct(Instruct<'a>),
}

/// Renders and tokenises the parts of one scene.
pub(super) struct Sections<'a> {
    pub(super) stage: &'a Stage<'a>,
    tokenizer: &'a Tokenizer,
    layout: Layout<'a>,
    told: Vec<ToldLore<'a>>,
}

impl<'a> Sections<'a> {
    /// # Errors
    /// The template's story string is none.
    pub(super) fn new(
        stage: &'a Stage<'a>,
        tokenizer: &'a Tokenizer,
        lore: &KeptLore,
    ) -> Result<Self, PromptError> {
        let layout = match stage.inputs.template {
            Template::Limarp => Layout::Limarp,
            Template::Instruct(template) => Layout::Instruct(Instruct::new(stage, template)?),
        };
        Ok(Self { stage, tokenizer, layout, told: lore.told(stage) })
    }

    /// What stands before all turns: the beginning of text and what is told before the
    /// story; with the first of the examples, where they belong there.
    pub(super) fn opening(&self, num_examples: usize) -> Vec<Block> {
        let mut parts = match &self.layout {
            Layout::Limarp => limarp::opening(self.stage, &self.told),
            Layout::Instruct(instruct) => instruct.opening(&self.told, num_examples),
        };
        if let Some(first) = parts.first_mut() {
            first.text.strip_bos(self.tokenizer);
        }
        let bos = self.tokenizer.bos_id().map(|id| Block {
            part: Part::new(SectionKind::Bos, String::new(), String::new()),
            ids: vec![id],
        });
        let blocks = parts
            .into_iter()
            .enumerate()
            .map(|(i, part)| Block { ids: part.text.encode(self.tokenizer, i == 0), part });
        bos.into_iter().chain(blocks).collect()
    }

    /// Whether the examples stand in the opening.
    pub(super) fn opens_with_examples(&self) -> bool {
        matches!(&self.layout, Layout::Instruct(instruct) if instruct.opens_with_examples())
    }

    /// The example dialogues of the whole cast.
    pub(super) fn examples(&self) -> Vec<Block> {
        self.blocks(match &self.layout {
            Layout::Limarp => limarp::examples(self.stage),
            Layout::Instruct(instruct) => instruct.examples(),
        })
    }

    /// Lore right before the examples, and before it what the story string has no place for.
    pub(super) fn before_examples(&self) -> Vec<Block> {
        let mut parts = match &self.layout {
            Layout::Limarp => Vec::new(),
            Layout::Instruct(instruct) => {
                let lore = instruct.lore_without_a_place(&self.told).into_iter();
                lore.chain(instruct.boundaries()).collect()
            }
        };
        parts.extend(self.lore_at(LorePosition::BeforeExamples));
        self.blocks(parts)
    }

    /// Lore right after the examples, and what begins the story.
    pub(super) fn after_examples(&self) -> Vec<Block> {
        let mut parts = self.lore_at(LorePosition::AfterExamples);
        if let Layout::Instruct(instruct) = &self.layout {
            parts.extend(instruct.chat_start());
        }
        self.blocks(parts)
    }

    fn lore_at(&self, place: LorePosition) -> Vec<Part> {
        let lore = self.told.iter().filter(|lore| lore.place == place);
        lore.map(|lore| match &self.layout {
            Layout::Limarp => limarp::lore_around_examples(lore),
            Layout::Instruct(instruct) => instruct.lore_around_examples(lore),
        })
        .collect()
    }

    /// The notes, deepest first; those that say nothing are left out.
    pub(super) fn notes(&self) -> Vec<NoteBlocks> {
        let notes = standing_notes(self.stage, &self.told);
        let blocks = |note: &StandingNote| match &self.layout {
            Layout::Limarp => limarp::note(note),
            Layout::Instruct(instruct) => instruct.note(note),
        };
        let placed = notes
            .iter()
            .map(|note| NoteBlocks { depth: note.depth, blocks: self.blocks(blocks(note)) });
        placed.collect()
    }

    /// One turn.
    pub(super) fn turn(&self, index: usize) -> Block {
        self.block(match &self.layout {
            Layout::Limarp => limarp::turn(self.stage, index),
            Layout::Instruct(instruct) => instruct.turn(index),
        })
    }

    /// What stands after all turns: instructions, if any, and the open reply.
    pub(super) fn closing(&self) -> Vec<Block> {
        self.blocks(match &self.layout {
            Layout::Limarp => limarp::closing(self.stage),
            Layout::Instruct(instruct) => instruct.closing(),
        })
    }

    /// The tokens that what begins the story may take beyond what it takes elsewhere.
    pub(super) fn begin_reserve(&self) -> usize {
        match &self.layout {
            Layout::Limarp => 0,
            Layout::Instruct(instruct) => {
                instruct.beginnings().iter().map(|part| self.encode(part).len()).sum()
            }
        }
    }

    /// Makes the first block of the story begin as the template wants it.
    pub(super) fn begin(&self, story: &mut Vec<Block>) {
        let Layout::Instruct(instruct) = &self.layout else { return };
        let Some(at) = story.iter().position(|block| block.part.lead.is_some()) else { return };
        if let Some(message) = instruct.alignment(&story[at].part) {
            story.insert(at, self.block(message));
        } else if let Some(first) = instruct.as_first(&story[at].part) {
            story[at] = self.block(first);
        }
    }

    /// Moves white space at the end of a block to the next one, so that the ids of the
    /// blocks are those of the whole: a space belongs to the word behind it, and of
    /// two line breaks GPT-2's split keeps the last for what follows. Where a vocabulary
    /// joins line breaks to what stands before them, they stay.
    pub(super) fn join(&self, blocks: &mut [Block]) {
        let dot = self.tokenizer.count(".") + self.tokenizer.count("\n\n");
        let takes_lines = self.tokenizer.count(".\n\n") == dot;
        let first = usize::from(blocks.first().is_some_and(|b| b.part.kind == SectionKind::Bos));
        for at in first..blocks.len().saturating_sub(1) {
            let [block, next] = &mut blocks[at..at + 2] else { continue };
            if next.part.text.begins_with_control(self.tokenizer) {
                continue;
            }
            let mut moved = block.part.text.split_end(takes_lines);
            if !moved.is_empty() {
                moved.append(std::mem::take(&mut next.part.text));
                next.part.text = moved;
                block.ids = block.part.text.encode(self.tokenizer, at == first);
                next.ids = self.encode(&next.part);
            }
        }
    }

    /// What ends the reply.
    pub(super) fn stops(&self) -> Vec<String> {
        match &self.layout {
            Layout::Limarp => alpaca::stops(self.stage.others()),
            Layout::Instruct(instruct) => instruct.stops(),
        }
    }

    fn encode(&self, part: &Part) -> Vec<u32> {
        part.text.encode(self.tokenizer, false)
    }

    fn block(&self, part: Part) -> Block {
        Block { ids: self.encode(&part), part }
    }

    fn blocks(&self, parts: Vec<Part>) -> Vec<Block> {
        parts.into_iter().map(|part| self.block(part)).collect()
    }
}
