//! Whole activations: one small test for each rule, a plain reference beside the fast
//! way, and books that mean harm.

mod budget;
mod decorators;
mod groups;
mod hostile;
mod keys;
mod places;
mod properties;
mod recursion;
mod reference;
mod sources;
mod turns;

use super::*;
use crate::domain::{LoreEntry, Lorebook};

/// An entry that says `(uid)`, in which no key of the tests is.
fn entry(uid: &str, keys: &[&str]) -> LoreEntry {
    LoreEntry {
        uid: uid.to_owned(),
        content: format!("({uid})"),
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        ..LoreEntry::default()
    }
}

fn constant(uid: &str) -> LoreEntry {
    LoreEntry { constant: true, ..entry(uid, &[]) }
}

fn book(entries: Vec<LoreEntry>) -> Lorebook {
    Lorebook { entries, ..Lorebook::default() }
}

fn lore(books: Vec<Lorebook>) -> Lore {
    let source = |(at, book): (usize, Lorebook)| LoreSource {
        scope: LoreScope::Guild,
        id: format!("book{at}"),
        book,
    };
    Lore::new(books.into_iter().enumerate().map(source).collect())
}

/// What is being told, and by whom.
#[derive(Clone)]
struct Story {
    messages: Vec<(String, String)>,
    num_turns: usize,
    num_replies: usize,
    settings: LoreSettings,
    context_tokens: usize,
    character: String,
    tags: Vec<String>,
    trigger: String,
    extras: Vec<String>,
    greeting: Option<usize>,
    user_icon: Option<String>,
    is_context_full: bool,
    seed: u64,
    effects: TimedEffects,
}

impl Story {
    /// Messages of Ana's, newest last.
    fn new(messages: &[&str]) -> Self {
        Self {
            messages: messages.iter().map(|text| ("Ana".to_owned(), (*text).to_owned())).collect(),
            num_turns: messages.len(),
            num_replies: 0,
            settings: LoreSettings::default(),
            context_tokens: 4_000,
            character: "Mira".to_owned(),
            tags: Vec::new(),
            trigger: "normal".to_owned(),
            extras: Vec::new(),
            greeting: None,
            user_icon: None,
            is_context_full: false,
            seed: 1,
            effects: TimedEffects::default(),
        }
    }

    fn with(mut self, settings: impl FnOnce(&mut LoreSettings)) -> Self {
        settings(&mut self.settings);
        self
    }

    fn activate<'l>(&self, lore: &'l Lore) -> Activation<'l> {
        let messages: Vec<LoreMessage<'_>> =
            self.messages.iter().map(|(speaker, text)| LoreMessage { speaker, text }).collect();
        let extras: Vec<&str> = self.extras.iter().map(String::as_str).collect();
        lore.activate(&LoreInputs {
            messages: &messages,
            num_turns: self.num_turns,
            num_replies: self.num_replies,
            settings: &self.settings,
            context_tokens: self.context_tokens,
            character: &self.character,
            tags: &self.tags,
            trigger: &self.trigger,
            extras: &extras,
            greeting: self.greeting,
            user_icon: self.user_icon.as_deref(),
            is_context_full: self.is_context_full,
            count_tokens: &|text| text.split_whitespace().count(),
            expand: &|text| text.replace("{{user}}", "Ana").replace("{{char}}", "Mira"),
            seed: self.seed,
            effects: &self.effects,
        })
    }

    /// The uids of what fires, in the order of the prompt.
    fn fires(&self, entries: Vec<LoreEntry>) -> Vec<String> {
        uids(&self.activate(&lore(vec![book(entries)])))
    }

    /// Why the only entry does not fire; `None` if it does.
    fn reason(&self, entry: LoreEntry) -> Option<NotFired> {
        let lore = lore(vec![book(vec![entry])]);
        let activation = self.activate(&lore);
        assert_eq!(activation.fired.len() + activation.not_fired.len(), 1);
        activation.not_fired.into_iter().next().map(|silent| silent.reason)
    }
}

fn uids(activation: &Activation<'_>) -> Vec<String> {
    activation.fired.iter().map(|fired| fired.entry.uid.clone()).collect()
}

/// Why an entry does not fire.
fn reason_of<'a>(activation: &'a Activation<'_>, uid: &str) -> Option<&'a NotFired> {
    let silent = activation.not_fired.iter().find(|silent| silent.entry.uid == uid);
    silent.map(|silent| &silent.reason)
}
