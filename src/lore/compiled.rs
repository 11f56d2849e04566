//! Books made ready: keys in tables, decorators read, entries in order.

use std::collections::HashSet;

use super::decorators::{self, Decorators};
use super::keys::{Key, KeyTable};
use super::problem::{Finding, LoreProblem};
use super::source::LoreSource;
use crate::domain::LoreEntry;

/// Books that are ready to be asked. It is made once for a set of books and can be kept
/// for as long as they stay the same.
#[derive(Debug)]
pub struct Lore {
    sources: Vec<LoreSource>,
    pub(super) keys: KeyTable,
    pub(super) entries: Vec<Compiled>,
    findings: Vec<Finding>,
}

/// An entry that is ready.
#[derive(Debug)]
pub(super) struct Compiled {
    /// Where the entry is.
    pub(super) source: usize,
    pub(super) entry: usize,
    /// What timed effects are remembered under.
    pub(super) effect_key: String,
    pub(super) decorators: Decorators,
    /// The content without decorators.
    pub(super) content: String,
    pub(super) keys: Vec<Key>,
    pub(super) secondary: Vec<Key>,
    /// Of `@@additional_keys` and `@@exclude_keys`.
    pub(super) additional: Vec<Key>,
    pub(super) exclude: Vec<Key>,
    pub(super) groups: Vec<String>,
}

impl Lore {
    /// Makes books ready. What is wrong in them is told by [`Lore::findings`] and does
    /// not stop the rest.
    pub fn new(sources: Vec<LoreSource>) -> Self {
        let mut compiler = Compiler::default();
        let mut entries = Vec::new();
        for (at, source) in sources.iter().enumerate() {
            for (place, entry) in source.book.entries.iter().enumerate() {
                let (decorators, content, problems) = decorators::parse(&entry.content);
                problems.into_iter().for_each(|problem| compiler.find(source, entry, problem));
                entries.push(Compiled {
                    source: at,
                    entry: place,
                    effect_key: compiler.effect_key(source, entry),
                    content: content.to_owned(),
                    keys: compiler.keys(source, entry, &entry.keys, entry.use_regex),
                    secondary: compiler.secondary(source, entry),
                    additional: compiler.keys(
                        source,
                        entry,
                        &decorators.additional_keys,
                        entry.use_regex,
                    ),
                    exclude: compiler.keys(source, entry, &decorators.exclude_keys, false),
                    groups: groups(entry),
                    decorators,
                });
            }
        }
        // Stable, so that books and entries of one order stay as they came.
        entries.sort_by_key(|entry| {
            let source = &sources[entry.source];
            (source.scope.rank(), std::cmp::Reverse(source.book.entries[entry.entry].order))
        });
        compiler.table.lower();
        Self { sources, keys: compiler.table, entries, findings: compiler.findings }
    }

    /// What is wrong with the books.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The books, as they were given.
    pub fn sources(&self) -> &[LoreSource] {
        &self.sources
    }

    /// The entry as it was written.
    pub(super) fn written(&self, compiled: &Compiled) -> &LoreEntry {
        &self.sources[compiled.source].book.entries[compiled.entry]
    }
}

#[derive(Default)]
struct Compiler {
    table: KeyTable,
    findings: Vec<Finding>,
    effect_keys: HashSet<String>,
}

impl Compiler {
    fn find(&mut self, source: &LoreSource, entry: &LoreEntry, problem: LoreProblem) {
        let (source, uid) = (source.id.clone(), entry.uid.clone());
        self.findings.push(Finding { source, uid, problem });
    }

    fn keys(
        &mut self,
        source: &LoreSource,
        entry: &LoreEntry,
        keys: &[String],
        use_regex: bool,
    ) -> Vec<Key> {
        let add = |key: &String| {
            self.table.add(key, use_regex).unwrap_or_else(|error| {
                let problem = LoreProblem::InvalidRegex { key: key.clone(), error };
                self.find(source, entry, problem);
                Key::Never
            })
        };
        keys.iter().map(add).collect()
    }

    /// The secondary keys that count: none if all keys are regular expressions (V3).
    fn secondary(&mut self, source: &LoreSource, entry: &LoreEntry) -> Vec<Key> {
        if !entry.selective || entry.use_regex {
            return Vec::new();
        }
        self.keys(source, entry, &entry.secondary_keys, false)
    }

    /// The source's id and the entry's uid; a uid that came before in the same book is
    /// told apart by a number.
    fn effect_key(&mut self, source: &LoreSource, entry: &LoreEntry) -> String {
        let plain = format!("{}.{}", source.id, entry.uid);
        let numbered = (2..).map(|number| format!("{plain}#{number}"));
        let key = std::iter::once(plain.clone())
            .chain(numbered)
            .find(|key| !self.effect_keys.contains(key))
            .unwrap_or(plain);
        self.effect_keys.insert(key.clone());
        key
    }
}

/// The most groups that one entry is in.
const MAX_GROUPS: usize = 32;

/// The groups of an entry, each once, the first of them.
fn groups(entry: &LoreEntry) -> Vec<String> {
    let mut groups: Vec<String> = Vec::new();
    for group in entry.groups.iter().map(|group| group.trim()) {
        if groups.len() == MAX_GROUPS {
            break;
        }
        if !group.is_empty() && !groups.iter().any(|known| known == group) {
            groups.push(group.to_owned());
        }
    }
    groups
}
