//! What a template tells before the story: the story string with the scene's texts in
//! it, part by part.
//!
//! A part ends with the template's line before the next text begins, so that receipts
//! can tell texts apart and the ids stay those of the whole. Two texts on one line are
//! one part, called after the first.

use super::handlebars::{self, Node};
use super::{Instruct, plain_dialogue};
use crate::domain::LorePosition;
use crate::prompt::alpaca;
use crate::prompt::lore::{ToldLore, section_kind};
use crate::prompt::receipt::SectionKind;
use crate::prompt::rendered::Rendered;
use crate::prompt::sections::Part;

/// The names of what is told before and after the characters.
pub(super) const LORE_BEFORE: [&str; 2] = ["wiBefore", "loreBefore"];
pub(super) const LORE_AFTER: [&str; 2] = ["wiAfter", "loreAfter"];
const EXAMPLES: [&str; 2] = ["mesExamples", "mesExamplesRaw"];

/// One of the scene's texts.
#[derive(Debug)]
struct Told {
    kind: SectionKind,
    label: String,
    text: Rendered,
}

impl Told {
    fn new(kind: SectionKind, label: &str, text: String) -> Self {
        Self { kind, label: label.to_owned(), text: text.into() }
    }
}

impl Instruct<'_> {
    /// Whether the story string has a place for one of these.
    pub(super) fn story_names(&self, names: &[&str]) -> bool {
        let named = |name: &str| names.iter().any(|known| known.eq_ignore_ascii_case(name));
        self.story.iter().any(|node| matches!(node, Node::Value(name) if named(name)))
    }

    /// Whether the examples stand in the story string.
    pub(in crate::prompt) fn opens_with_examples(&self) -> bool {
        self.story_names(&EXAMPLES)
    }

    /// The story string between its own sequences.
    pub(in crate::prompt) fn opening(
        &self,
        lore: &[ToldLore<'_>],
        num_examples: usize,
    ) -> Vec<Part> {
        let value = |name: &str| self.value(name, lore, num_examples);
        let says_something = |name: &str| {
            value(name).is_some_and(|told| told.iter().any(|told| !told.text.is_empty()))
        };
        let mut parts = Parts::default();
        let standing = handlebars::standing(&self.story, says_something);
        for node in standing {
            match node {
                Node::Value("trim") => parts.trim(),
                Node::Value(name) => match value(name) {
                    Some(told) => parts.push_told(told),
                    None => {
                        parts.push_words(self.filled(&format!("{{{{{name}}}}}"), super::SYSTEM))
                    }
                },
                Node::Text(words) => parts.push_words(self.filled(words, super::SYSTEM)),
                _ => {}
            }
        }
        let sequences = self.sequences();
        let mut parts = parts.finish();
        if let (Some(last), true) = (parts.last_mut(), sequences.wrap)
            && sequences.story_string_suffix.is_empty()
            && !last.text.as_str().ends_with('\n')
        {
            last.text.push_structure("\n");
        }
        let prefix = self.lead(&sequences.story_string_prefix, super::SYSTEM);
        match parts.first_mut() {
            Some(first) => {
                let story = std::mem::replace(&mut first.text, prefix);
                first.text.append(story);
            }
            None => parts.push(Part::new(SectionKind::RoleLine, String::new(), prefix)),
        }
        if let Some(last) = parts.last_mut() {
            last.text.append(self.filled(&sequences.story_string_suffix, super::SYSTEM));
        }
        parts.retain(|part| !part.text.is_empty());
        parts
    }

    /// What a name in the story string stands for; `None` if it is none of these.
    fn value(&self, name: &str, lore: &[ToldLore<'_>], num_examples: usize) -> Option<Vec<Told>> {
        let stage = self.stage;
        let is = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
        Some(match name.to_ascii_lowercase().as_str() {
            _ if is(&LORE_BEFORE) => lore_at(lore, LorePosition::BeforeCharacters),
            _ if is(&LORE_AFTER) => lore_at(lore, LorePosition::AfterCharacters),
            _ if is(&EXAMPLES) => self.told_examples(num_examples),
            "anchorbefore" | "anchorafter" => Vec::new(),
            "system" => {
                let text = stage.system_prompt(&self.template.system_prompt.content);
                vec![Told::new(SectionKind::RoleLine, "", text)]
            }
            "scenario" => vec![Told::new(SectionKind::Scenario, "", stage.scenario())],
            "description" => self.descriptions(),
            "personality" => self.personality().into_iter().collect(),
            "persona" => self.personas(),
            "char" => vec![Told::new(SectionKind::Template, "", alpaca::join_names(&stage.cast))],
            "user" => vec![Told::new(SectionKind::Template, "", alpaca::join_names(&stage.people))],
            _ => return None,
        })
    }

    /// The characters. Where there are several, or the text does not say of whom it
    /// speaks, a heading does.
    fn descriptions(&self) -> Vec<Told> {
        let stage = self.stage;
        let described = stage.cast.iter().enumerate().map(|(i, name)| {
            let text = match stage.inputs.cast[i].description {
                _ if stage.cast.len() > 1 || !self.story_names(&["personality"]) => {
                    stage.character(i)
                }
                alone => stage.of_character(alone, i),
            };
            headed(SectionKind::Character, name, text, stage.cast.len())
        });
        described.collect()
    }

    /// The character's manner, where it is alone; that of several stands with each.
    fn personality(&self) -> Option<Told> {
        let [name] = self.stage.cast.as_slice() else { return None };
        let text = self.stage.of_character(self.stage.inputs.cast[0].personality, 0);
        Some(Told::new(SectionKind::Character, &format!("{name}, personality"), text))
    }

    fn personas(&self) -> Vec<Told> {
        let stage = self.stage;
        let personas = stage.people.iter().enumerate().map(|(i, name)| {
            headed(SectionKind::Persona, name, stage.persona(i), stage.people.len())
        });
        personas.collect()
    }

    fn told_examples(&self, num_examples: usize) -> Vec<Told> {
        let examples = self.stage.all_examples().into_iter().take(num_examples);
        let told = examples.map(|example| {
            let mut text = self.line(&self.context().example_separator);
            text.append(plain_dialogue(&example));
            Told { kind: SectionKind::Example, label: example.label, text }
        });
        told.collect()
    }
}

fn headed(kind: SectionKind, name: &str, text: String, num_heads: usize) -> Told {
    let speaks_for_itself = num_heads == 1 && text.contains(name);
    let text =
        if text.is_empty() || speaks_for_itself { text } else { alpaca::persona(name, &text) };
    Told::new(kind, name, text)
}

fn lore_at(lore: &[ToldLore<'_>], place: LorePosition) -> Vec<Told> {
    let lore = lore.iter().filter(|lore| lore.place == place);
    lore.map(|lore| Told::new(section_kind(place), lore.label, lore.text.to_owned())).collect()
}

/// The story so far: whole parts, and the one that is being told.
#[derive(Default)]
struct Parts {
    whole: Vec<Part>,
    text: Rendered,
    /// What the part being told is called after.
    called: Option<(SectionKind, String)>,
    /// Where it may end: after the last line of the template's own since its last text.
    cut: Option<usize>,
    /// Whether line breaks that come now are unwanted.
    is_trimming: bool,
}

impl Parts {
    fn push_words(&mut self, mut words: Rendered) {
        if self.is_trimming || self.is_empty() {
            words.trim_start_matches(&['\n', '\r']);
            self.is_trimming &= words.is_empty();
        }
        let last_line = words.as_str().rfind('\n').map(|at| self.text.len() + at + 1);
        self.cut = last_line.or(self.cut);
        self.text.append(words);
    }

    fn push_told(&mut self, told: Vec<Told>) {
        let told = told.into_iter().filter(|told| !told.text.is_empty());
        for (i, Told { kind, label, text }) in told.enumerate() {
            if i > 0 {
                let mut line = Rendered::default();
                line.push_structure("\n");
                self.push_words(line);
            }
            self.is_trimming = false;
            if kind != SectionKind::Template {
                self.call(kind, label);
            }
            self.text.append(text);
            self.cut = None;
        }
    }

    /// Begins a new part, if the one being told has a name and a place to end.
    fn call(&mut self, kind: SectionKind, label: String) {
        if self.called.is_some()
            && let Some(at) = self.cut.take()
        {
            let next = self.text.split_off(at);
            self.end_part();
            self.text = next;
        }
        self.called.get_or_insert((kind, label));
    }

    fn trim(&mut self) {
        self.text.trim_end_matches(&['\n', '\r']);
        self.cut = self.cut.filter(|at| *at <= self.text.len());
        self.is_trimming = true;
    }

    fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.text.is_empty()
    }

    fn end_part(&mut self) {
        let (kind, label) = self.called.take().unwrap_or((SectionKind::RoleLine, String::new()));
        self.whole.push(Part::new(kind, label, std::mem::take(&mut self.text)));
    }

    fn finish(mut self) -> Vec<Part> {
        if !self.text.is_empty() {
            self.end_part();
        }
        self.whole
    }
}
